/* The step record: what a clock did to a replica.
 *
 * One SV_RECORD_STEP stands in the log for each clock c, behind every record it
 * names. Its ops, carried out in order, lead from W_c to W_{c+1}:
 * they are all that replay needs to know of consistency modes, optimizers and
 * views.
 *
 * Payload:
 *
 *     varint n_ops, then for each op
 *         u8 kind (enum sv_op_kind), varint matrix, and
 *         APPLY:      varint origin, varint clock of the batch
 *         APPLY | 64: varint origin, varint clock, f32 factor: the batch counts
 *                     so many times, see sv_batch_scale()
 *         MIX:        varint sequence of the record SV_RECORD_ROWS of this
 *                     clock, this peer and this matrix
 *         else:       f32 a
 *     varint n_metrics, then f64 each, in the order of CKPT_METRIC_MAP
 *
 * A shorter list of metrics is valid (an older writer); the rest are NaN.
 */

#ifndef CKPT_STEP_H_
#define CKPT_STEP_H_

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/hash.h"
#include "sv/apply.h"
#include "sv/record.h"

/* What a peer measured in a clock: the columns of the table metric. New ones go
 * to the end. */
#define CKPT_METRIC_MAP(X)                                                   \
    X(epoch, "epochs of the own shard so far")                               \
    X(loss, "mean loss of the minibatch, nats per sample")                   \
    X(accuracy, "share of the minibatch that was right before the update")   \
    X(samples, "samples of the minibatch")                                   \
    X(pairs, "SV pairs sent")                                                \
    X(u_share, "share of the entries of u that were sent")                   \
    X(bytes_encoded, "bytes of the own records")                             \
    X(bytes_sent, "bytes handed to the network")                             \
    X(bytes_received, "bytes that came from the network")                    \
    X(seconds_compute, "forward, loss, SVs")                                 \
    X(seconds_encode, "encoding, and decoding what was encoded")             \
    X(seconds_wait, "waiting at the gate")                                   \
    X(seconds_apply, "decoding what came, and applying")                     \
    X(seconds_log, "handing records to the log since the clock before")      \
    X(seconds_clock, "the whole clock, from the end of the one before")      \
    X(staleness, "how many clocks the slowest applied batch was behind")     \
    X(test_loss, "mean loss on the test set, where it was evaluated")        \
    X(test_accuracy, "accuracy on the test set")                             \
    X(selection_error, "of the update that was sent, relative to all pairs") \
    X(staleness_bound, "how many clocks behind the gate let the slowest be") \
    X(seconds_select, "choosing which pairs are sent")                       \
    X(selection, "how they were chosen: enum select_kind, 0 for all")

struct ckpt_metrics {
#define X(NAME, TEXT) double NAME;
    CKPT_METRIC_MAP(X)
#undef X
};
#define CKPT_METRICS_COUNT (sizeof(struct ckpt_metrics) / sizeof(double))

struct ckpt_op {
    enum sv_op_kind kind;
    uint16_t matrix;
    float a;           /* SCALE and those of momentum. APPLY: the factor, 1 but
                        * where batches of others are left out for good. */
    uint32_t origin;   /* APPLY. */
    uint64_t clock;    /* APPLY. */
    uint32_t sequence; /* MIX. */
};

struct ckpt_step {
    uint64_t clock;
    size_t n_ops;
    size_t ops_room;
    struct ckpt_op *ops; /* Owned. */
    struct ckpt_metrics metrics;
};

void ckpt_step_init(struct ckpt_step *s);
void ckpt_step_fini(struct ckpt_step *s);

/* Empty it for @clock; all metrics NaN. Keeps its memory. */
void ckpt_step_reset(struct ckpt_step *s, uint64_t clock);

/* Errors: ERR_NOMEM. */
int ckpt_step_add(struct ckpt_step *s, const struct ckpt_op *op, struct err *e);

/* Append the record of @s to @out. Errors: ERR_NOMEM. */
int ckpt_step_write(struct buf *out,
                    uint32_t view,
                    uint32_t self,
                    const struct ckpt_step *s,
                    struct err *e);

/* Read the payload of a valid record @r. Errors: ERR_CORRUPT, ERR_NOMEM. */
int ckpt_step_read(struct ckpt_step *s,
                   const struct sv_record *r,
                   const uint8_t *payload,
                   struct err *e);

/* The digest of a matrix: a record SV_RECORD_DIGEST whose clock is that of W
 * and whose payload is u64 high, u64 low. Append one. Errors: ERR_NOMEM. */
int ckpt_digest_write(struct buf *out,
                      uint32_t view,
                      uint32_t self,
                      uint64_t clock,
                      uint16_t matrix,
                      struct hash128 digest);

/* Read the payload of a valid record @r. Errors: ERR_CORRUPT. */
int ckpt_digest_read(struct hash128 *digest,
                     const struct sv_record *r,
                     const uint8_t *payload,
                     struct err *e);

#endif /* CKPT_STEP_H_ */
