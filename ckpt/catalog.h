/* What is in a log: its segments, mapped read-only, and where each record is.
 *
 * Entries come from the index where it holds, and from going through the
 * segments where it lags. The catalog is what was there when it was opened; a
 * writer may go on behind it.
 *
 * A torn tail (see ckpt/log.h) is left out. It is what follows the last valid
 * record of the last segment, if no valid record follows, or if the index says
 * that it was never synced. Segments that hold nothing but a torn tail may
 * stand behind it.
 */

#ifndef CKPT_CATALOG_H_
#define CKPT_CATALOG_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ckpt/index.h"
#include "ckpt/snapshot.h"
#include "ckpt/step.h"
#include "core/err.h"
#include "sv/record.h"

struct ckpt_segment {
    uint32_t number;
    uint64_t first_clock;
    const uint8_t *data; /* Mapped, file_size bytes. NULL if there are none. */
    uint64_t file_size;
    uint64_t size;    /* Where the last valid record ends. 0: nothing valid. */
    uint64_t indexed; /* Up to where the index was good. */
    uint64_t durable; /* What the index says was synced. */
};

/* Entries of one kind, by (clock, origin, matrix, sequence) and place. */
struct ckpt_entries {
    struct ckpt_entry *at;
    size_t n, room;
};

struct ckpt_catalog {
    uint64_t run;
    uint32_t peer;
    char *run_json;
    struct ckpt_segment *segments;
    size_t n_segments; /* Those that count come first: */
    size_t n_valid;    /* the others are leftovers of a crash. */
    struct ckpt_entries kinds[SV_RECORD_KIND_END];
    struct ckpt_snapshot *snapshots; /* By clock. Bad ones are left out; */
    size_t n_snapshots;
    int snapshot_rc; /* of the first, the error. */
    struct err snapshot_err;
    int index_rc; /* 0: the index held (it may lag); else why it did not, */
    struct err index_err; /* in words. */
};

/* Map the segments in @dir, and read their headers, and what the snapshots are:
 * no entries yet.
 *
 * Errors: ERR_NOT_FOUND  no log there.
 *         ERR_CORRUPT    a segment is missing, or a header is damaged.
 *         ERR_IO, ERR_NOMEM. @c needs no close then. */
int ckpt_catalog_map(struct ckpt_catalog *c, const char *dir, struct err *e);

/* Map the segments and find all records. Errors: as map; ERR_CORRUPT: damage
 * that is not a torn tail: file and offset. */
int ckpt_catalog_open(struct ckpt_catalog *c,
                      const char *dir,
                      bool use_index,
                      struct err *e);
void ckpt_catalog_close(struct ckpt_catalog *c);

/* Add an entry; sort brings them in order when all are there. For those who go
 * through mapped segments in their own way. Errors: ERR_NOMEM. */
int ckpt_catalog_add(struct ckpt_catalog *c,
                     const struct ckpt_entry *entry,
                     struct err *e);
void ckpt_catalog_sort(struct ckpt_catalog *c);

/* Does @a stand in the log before @b? */
bool ckpt_entry_before(const struct ckpt_entry *a, const struct ckpt_entry *b);

/* The entry of @kind with this clock, origin and matrix, or NULL. If there are
 * several (a peer that was resumed made its batch again), the last one that
 * stands before @before; NULL: the last one. */
const struct ckpt_entry *ckpt_catalog_find(const struct ckpt_catalog *c,
                                           enum sv_record_kind kind,
                                           uint64_t clock,
                                           uint32_t origin,
                                           uint16_t matrix,
                                           const struct ckpt_entry *before);

/* The entry of the record that @op, of the step at @step, takes its numbers
 * from: the last one before the step. NULL: it is not there. @name, of
 * CKPT_SOURCE_NAME_SIZE bytes, is what to call it. */
#define CKPT_SOURCE_NAME_SIZE 80
const struct ckpt_entry *ckpt_catalog_source(const struct ckpt_catalog *c,
                                             const struct ckpt_op *op,
                                             const struct ckpt_entry *step,
                                             char *name);

/* Whether ops of this kind have such a record. */
bool ckpt_catalog_has_source(enum sv_op_kind kind);

/* The entry that is equal to @entry, or NULL. */
const struct ckpt_entry *ckpt_catalog_same(const struct ckpt_catalog *c,
                                           const struct ckpt_entry *entry);

/* The bytes of a record, its header read and compared with @entry.
 * Errors: ERR_CORRUPT. */
int ckpt_catalog_read(const struct ckpt_catalog *c,
                      const struct ckpt_entry *entry,
                      struct sv_record *r,
                      const uint8_t **data,
                      struct err *e);

/* The step of @clock, or NULL. */
const struct ckpt_entry *ckpt_catalog_step(const struct ckpt_catalog *c,
                                           uint64_t clock);

/* Steps first..n-1 are there, and all records that they name; W_first is that
 * of a snapshot, or first is 0. Of several such stretches the one that goes
 * furthest, and of those the longest.
 *
 * Errors: ERR_CORRUPT: the first segments are gone, and no snapshot stands in
 *         for them. */
int ckpt_catalog_count_clocks(const struct ckpt_catalog *c,
                              uint64_t *first,
                              uint64_t *n,
                              struct err *e);

/* The newest snapshot from @first to @clock that the log leads on from, or
 * NULL. @first is that of count_clocks. */
const struct ckpt_snapshot *ckpt_catalog_snapshot(const struct ckpt_catalog *c,
                                                  uint64_t first,
                                                  uint64_t clock);

#endif /* CKPT_CATALOG_H_ */
