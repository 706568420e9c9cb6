/* Reading a log: by clock, from mapped segments.
 *
 * A reader takes the index where it is up to date and scans the segments where
 * it is not, so it works without an index, and beside a running writer: it sees
 * what was there when it was opened. It never writes.
 */

#ifndef CKPT_READER_H_
#define CKPT_READER_H_

#include <stdbool.h>
#include <stdint.h>

#include "ckpt/snapshot.h"
#include "ckpt/step.h"
#include "core/err.h"
#include "core/hash.h"
#include "sv/record.h"

struct ckpt_reader;

/* Errors: ERR_NOT_FOUND  no log there.
 *         ERR_CORRUPT    damage that is not a torn tail: file and offset.
 *         ERR_IO, ERR_NOMEM. */
int ckpt_reader_open(struct ckpt_reader **r, const char *dir, struct err *e);
void ckpt_reader_close(struct ckpt_reader *r);

uint64_t ckpt_reader_run(const struct ckpt_reader *r); /* The job's number. */
uint32_t ckpt_reader_peer(const struct ckpt_reader *r);
const char *ckpt_reader_run_json(const struct ckpt_reader *r);

/* Steps first..n-1 are all there, with the records they name: from W_first to
 * W_n all can be rebuilt. first is 0, or, in a log that was compacted, where a
 * snapshot is. */
uint64_t ckpt_reader_clocks(const struct ckpt_reader *r); /* n */
uint64_t ckpt_reader_first(const struct ckpt_reader *r);

/* The newest snapshot that is not behind @clock; NULL: none, clock 0 is where
 * replay begins. Lives as long as the reader. */
const struct ckpt_snapshot *ckpt_reader_snapshot(const struct ckpt_reader *r,
                                                 uint64_t clock);

/* Give @states what it holds. Errors: as ckpt_snapshot_load(). */
int ckpt_reader_load(const struct ckpt_reader *r,
                     const struct ckpt_snapshot *s,
                     struct sv_state *states,
                     size_t n_states,
                     struct err *e);

/* Which batches are in W_@clock: those of the snapshot before it, and those
 * that steps behind that name. Owner: the caller's, on success.
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT, ERR_NOMEM. */
int ckpt_reader_applied(struct ckpt_reader *r,
                        uint64_t clock,
                        struct ckpt_applied_list *list,
                        struct err *e);

/* The step of @clock. Errors: ERR_NOT_FOUND, ERR_CORRUPT, ERR_NOMEM. */
int ckpt_reader_step(struct ckpt_reader *r,
                     uint64_t clock,
                     struct ckpt_step *step,
                     struct err *e);

/* The record of a batch; if a peer that was resumed made it again, the last
 * one. *data lives as long as the reader.
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT. */
int ckpt_reader_batch(const struct ckpt_reader *r,
                      uint32_t origin,
                      uint64_t clock,
                      uint16_t matrix,
                      const uint8_t **data,
                      size_t *size,
                      struct err *e);

/* The record of the batch or rows that @op of the step of @clock means: the
 * last one before that step. Errors: as reader_batch. */
int ckpt_reader_op(const struct ckpt_reader *r,
                   uint64_t clock,
                   const struct ckpt_op *op,
                   const uint8_t **data,
                   size_t *size,
                   struct err *e);

/* Name file and offset of @data, which reader_batch gave, in front of the
 * message in @e. Return @rc, but ERR_CORRUPT for ERR_AGAIN: all of the record
 * is there. */
int ckpt_reader_wrap(const struct ckpt_reader *r,
                     const uint8_t *data,
                     int rc,
                     struct err *e);

/* The digest that was taken in training, if one was: false if not. */
bool ckpt_reader_digest(const struct ckpt_reader *r,
                        uint64_t clock,
                        uint16_t matrix,
                        struct hash128 *digest);

/* The first clock >= @clock with a digest; false: none. */
bool ckpt_reader_next_digest(const struct ckpt_reader *r,
                             uint64_t clock,
                             uint64_t *at);

/* Where a record is, for listings. */
struct ckpt_record_info {
    struct sv_record record;
    uint32_t segment;
    uint64_t offset;
    uint64_t size;          /* Bytes, header and payload. */
    const uint8_t *payload; /* As stored. Lives as long as the reader. */
};

/* Call @fn for each record of @kind, by clock, origin, matrix and sequence, as
 * long as it returns 0. Return what it returned last.
 * Errors: ERR_CORRUPT. */
int ckpt_reader_each(const struct ckpt_reader *r,
                     enum sv_record_kind kind,
                     int (*fn)(void *arg, const struct ckpt_record_info *info),
                     void *arg,
                     struct err *e);

uint64_t ckpt_reader_count(const struct ckpt_reader *r,
                           enum sv_record_kind kind);

/* Segments, and bytes in them that count. */
size_t ckpt_reader_segments(const struct ckpt_reader *r);
uint64_t ckpt_reader_bytes(const struct ckpt_reader *r);

#endif /* CKPT_READER_H_ */
