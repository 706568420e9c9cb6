/* Who changed a replica most: peers, batches and samples of a stretch of
 * clocks.
 *
 * A pair of a batch weighs
 *
 *     |coef| |v| |u|         the norm of the update that it asks for
 *     |coef| |v[row]| |u|    what of that goes to one row of W
 *     |coef| |v| |u[column]| what goes to one column
 *
 * and a batch, a peer or a sample the sum of its pairs. All of it is in the
 * records: W is not needed and nothing is replayed. What a rule makes of a pair
 * (the rate, the sums of rowgrad and adagrad) does not count, so weights tell
 * who pulled, not how far W went: that is in ckpt/diff.h. Rows that were added
 * from other replicas (SV_OP_MIX) have no pairs, and are blamed on nobody.
 */

#ifndef CKPT_BLAME_H_
#define CKPT_BLAME_H_

#include <stddef.h>
#include <stdint.h>

#include "ckpt/reader.h"
#include "core/pool.h"

struct ckpt_blame_options {
    uint64_t from, to; /* Steps from..to - 1: they lead from W_from to W_to. */
    uint16_t matrix;
    uint32_t J, K;       /* Of the matrix. */
    int64_t row, column; /* Below K, J; -1: all. At most one is given. */
    struct pool *pool;   /* May be NULL. */
};

/* A peer, or a batch, or a sample. */
struct ckpt_blame_line {
    uint32_t origin;  /* Peer; of a sample, the last that had it. */
    uint64_t clock;   /* Batch: its own clock. Sample: the last one. */
    uint64_t applied; /* Batch: the step that applied it. */
    uint32_t sample;  /* Sample: its row in the file. */
    uint64_t n_batches, n_pairs;
    double weight;
};

/* Each list is by weight, greatest first; of equal ones the lower origin, clock
 * and sample. Pairs without a sample number are in no sample. */
struct ckpt_blame {
    struct ckpt_blame_line *peers, *batches, *samples; /* Owned. */
    size_t n_peers, n_batches, n_samples;
    double weight; /* Of all. */
};

/* Owner:  on success ckpt_blame_fini() is needed.
 * Errors: ERR_NOT_FOUND (clocks that the log lacks), ERR_CORRUPT, ERR_NOMEM.
 * Cost:   decoding, split over the pool, and sorting. */
int ckpt_blame(struct ckpt_blame *b,
               struct ckpt_reader *r,
               const struct ckpt_blame_options *o,
               struct err *e);
void ckpt_blame_fini(struct ckpt_blame *b);

#endif /* CKPT_BLAME_H_ */
