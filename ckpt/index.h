/* The index of a log: index.db, a SQLite database in WAL mode.
 *
 *     run       number, peer, json: what the job is; one row
 *     segment   number, first_clock, indexed: bytes of the file that the rows
 *               of record cover, durable: bytes that were synced
 *     record    clock, origin, matrix, sequence, kind, segment, offset ->
 *               length, checksum (as in the record's header). The place is
 *               part of the key: a resumed peer makes batches again.
 *     digest    clock, matrix -> high, low
 *     metric    clock -> one column for each of CKPT_METRIC_MAP; columns that
 *               an older version had not are added, with NULL in old rows
 *     view      number -> first_clock, members      (one view so far: no rows)
 *     snapshot  clock, matrix -> file, high, low: digest of the matrix there
 *
 * 64-bit numbers without sign are stored as the signed ones of the same bits.
 *
 * The segments are the truth. A row is committed only behind the bytes it
 * speaks of, and durable only grows behind a sync; rows may lag behind and are
 * never missed. An index that cannot be read or contradicts its segments is
 * made anew.
 */

#ifndef CKPT_INDEX_H_
#define CKPT_INDEX_H_

#include <stdbool.h>
#include <stdint.h>

#include "ckpt/step.h"
#include "ckpt/stmt.h"
#include "core/err.h"
#include "sv/record.h"

/* Where a record is. */
struct ckpt_entry {
    uint64_t clock;
    uint32_t origin;
    uint32_t sequence;
    uint16_t matrix;
    uint8_t kind;
    uint32_t segment;
    uint64_t offset; /* In the segment, of the record's header. */
    uint64_t size;   /* Bytes, header and payload. */
    uint64_t checksum;
};

/* The entry of the valid record @r that stands at @data. */
struct ckpt_entry ckpt_entry_of(const struct sv_record *r,
                                const uint8_t *data,
                                uint32_t segment,
                                uint64_t offset);

struct ckpt_segment_row {
    uint32_t number;
    uint64_t first_clock;
    uint64_t indexed;
    uint64_t durable;
};

struct ckpt_digest_row {
    uint64_t clock;
    uint16_t matrix;
    struct hash128 digest;
};

struct ckpt_index {
    sqlite3 *db;
    struct ckpt_stmt put_record, put_segment, put_digest, put_metric;
    struct ckpt_step step; /* Scratch. */
};

/* Open @dir/index.db. Writing, the file and its tables are made where they are
 * missing.
 *
 * Thread: one at a time.
 * Errors: ERR_NOT_FOUND  reading, and there is none; ERR_CORRUPT  not a
 *         database, or not with our tables; ERR_IO, ERR_BUSY. */
int ckpt_index_open(struct ckpt_index *x,
                    const char *dir,
                    bool write,
                    struct err *e);
void ckpt_index_close(struct ckpt_index *x); /* What did not begin, too. */

/* Remove index.db and its companions. Errors: ERR_IO. */
int ckpt_index_remove(const char *dir, struct err *e);

int ckpt_index_begin(struct ckpt_index *x, struct err *e);
int ckpt_index_commit(struct ckpt_index *x, struct err *e);
void ckpt_index_rollback(struct ckpt_index *x);

int ckpt_index_put_run(struct ckpt_index *x,
                       uint64_t run,
                       uint32_t peer,
                       const char *json,
                       struct err *e);
int ckpt_index_put_segment(struct ckpt_index *x,
                           const struct ckpt_segment_row *row,
                           struct err *e);

/* Insert a record, and what of its payload has a table of its own: @payload may
 * be NULL for batches. */
int ckpt_index_put(struct ckpt_index *x,
                   const struct ckpt_entry *entry,
                   const uint8_t *payload,
                   struct err *e);

/* Forget what lies behind @offset of @segment, and clocks from @clock on. */
int ckpt_index_cut(struct ckpt_index *x,
                   uint32_t segment,
                   uint64_t offset,
                   uint64_t clock,
                   struct err *e);

/* Forget segments before @segment, which are gone, and what was said of them;
 * measurements stay. One transaction. */
int ckpt_index_forget(struct ckpt_index *x, uint32_t segment, struct err *e);

/* Make the rows of snapshots those of the catalog's @snapshots (n). One
 * transaction. */
struct ckpt_snapshot;
int ckpt_index_set_snapshots(struct ckpt_index *x,
                             const struct ckpt_snapshot *snapshots,
                             size_t n,
                             struct err *e);

/* The run it is of. Errors: ERR_NOT_FOUND: no row. */
int ckpt_index_get_run(struct ckpt_index *x, uint64_t *run, struct err *e);

/* The description of that run. Owner: the caller frees it. Errors: as get_run,
 * ERR_NOMEM. */
int ckpt_index_get_json(struct ckpt_index *x, char **json, struct err *e);

/* Call @fn with the metrics of each clock from @clock on, ascending, as long as
 * it returns 0; what an older version did not measure is NaN. Returns what @fn
 * returned last. A writer is not kept waiting. */
int ckpt_index_each_metric(struct ckpt_index *x,
                           uint64_t clock,
                           int (*fn)(void *,
                                     uint64_t clock,
                                     const struct ckpt_metrics *),
                           void *arg,
                           struct err *e);

/* Call @fn for each row, as long as it returns 0; records in the order of their
 * key. Returns what @fn returned last. */
int ckpt_index_each_segment(struct ckpt_index *x,
                            int (*fn)(void *, const struct ckpt_segment_row *),
                            void *arg,
                            struct err *e);
int ckpt_index_each_record(struct ckpt_index *x,
                           int (*fn)(void *, const struct ckpt_entry *),
                           void *arg,
                           struct err *e);
struct ckpt_snapshot_row {
    uint64_t clock;
    uint16_t matrix;
    struct hash128 digest;
};
int ckpt_index_each_snapshot(struct ckpt_index *x,
                             int (*fn)(void *,
                                       const struct ckpt_snapshot_row *),
                             void *arg,
                             struct err *e);
int ckpt_index_each_digest(struct ckpt_index *x,
                           int (*fn)(void *, const struct ckpt_digest_row *),
                           void *arg,
                           struct err *e);

#endif /* CKPT_INDEX_H_ */
