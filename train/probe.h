/* What a batch costs by one way of sending it, measured here: selected,
 * encoded, decoded and applied as in training, and nothing is changed by it.
 *
 * To apply without a trace, pairs are made to add -0: u and v without signs,
 * coef -0. Then every product is -0, W + -0 is W for any finite W, both zeros
 * included, and sums of squares gain +0. A pass over W multiplies it by 1. So
 * the memory that is read and written is that of training, and needs no copy.
 *
 * Not thread-safe; the replica must be at rest.
 */

#ifndef TRAIN_PROBE_H_
#define TRAIN_PROBE_H_

#include "core/buf.h"
#include "sv/codec.h"
#include "train/auto.h"
#include "train/clock.h"
#include "train/replica.h"

struct train_probe {
    struct train_replica *replica; /* Not owned. */
    struct sv_apply *apply;
    struct sv_codec_scratch scratch;
    struct buf bytes;
};

struct train_probe_way {
    struct select_spec select;
    struct sv_codec_options codec;
    uint32_t n_batches; /* That are applied: one of each peer. */
};

struct train_probe_result {
    struct train_cost_pairs sent;
    double memory; /* Bytes of the pairs sent, decoded. */
    double size;   /* Bytes, encoded. */
    double error;  /* Relative, of the selection. */
    double select; /* Seconds: selecting and rounding, */
    double encode; /* encoding, */
    double apply;  /* decoding what others send, and applying all. */
};

/* Errors: ERR_NOMEM; @p needs fini all the same. */
int train_probe_init(struct train_probe *p,
                     struct train_replica *replica,
                     struct err *e);
void train_probe_fini(struct train_probe *p);

/* Measure batch @in of matrix @i. Everything is done twice, since memory is
 * cold at first, and the lesser time counts; svd meets what it carried.
 * Errors: as select_run(), sv_codec_encode(), sv_apply_ops(). */
int train_probe_batch(struct train_probe *p,
                      size_t i,
                      const struct sv_batch *in,
                      const struct train_probe_way *way,
                      struct train_probe_result *r,
                      struct err *e);

/* Seconds that the dense gradient of @in takes: *form to form it, *passes to
 * zero it, to add those of others and to step by it. Errors: as
 * sv_apply_ops(). */
int train_probe_matrix(struct train_probe *p,
                       size_t i,
                       const struct sv_batch *in,
                       double *form,
                       double *passes,
                       struct err *e);

/* Fill in all numbers of @a but link and latency from the minibatch of @clock,
 * and choose. Of @c only the pairs of the clock are overwritten. Errors: as
 * train_clock_gradient() and above. */
int train_probe_auto(struct train_clock *c,
                     uint64_t clock,
                     struct train_auto *a,
                     struct err *e);

#endif /* TRAIN_PROBE_H_ */
