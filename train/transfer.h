/* Whole matrices in place of sufficient vectors: from the pairs of one peer to
 * the update of all.
 *
 * In a clock, every peer makes a dense update of its pairs, the updates are
 * summed over the peers (train/reduce.h), and the sum comes back as a batch
 * with a pair for each row k that it has: u is that row, v is the unit vector
 * of k. So applying it, logging it and replaying it are what they are for any
 * batch; rowgrad and adagrad see the gradient of the whole clock at once. Under
 * powersgd the batch is the R pairs of train/powersgd.h.
 *
 *     matrix-ps, matrix-allreduce
 *         one round of pieces, ranges of rows. Where v is sparse, parts list
 *         the rows that the peer has touched, and sums those of all.
 *     powersgd:R
 *         two rounds, of (K, R) and of (J, R) numbers.
 *
 * Gradients are made by the exact apply, in a matrix of zeros.
 */

#ifndef TRAIN_TRANSFER_H_
#define TRAIN_TRANSFER_H_

#include "train/hub.h"
#include "train/part.h"
#include "train/powersgd.h"
#include "train/replica.h"
#include "train/transfer_spec.h"

#define TRAIN_TRANSFER_PIECE_SIZE ((size_t)1 << 20) /* Bytes, about. */
#define TRAIN_TRANSFER_PIECES_MAX 128 /* Of a matrix, but for many peers. */

/* How the rows of something are cut into pieces. */
struct train_transfer_cut {
    uint32_t n_rows, width;
    uint32_t piece_rows; /* Rows of a piece; the last may have fewer. */
    uint32_t n_pieces;
};

struct train_transfer {
    struct train_transfer_spec spec;
    const struct train_replica *replica; /* Not owned. */
    struct train_hub *hub;               /* Not owned. */
    size_t n;                            /* Matrices. */
    struct sv_state *sums;           /* matrix-*: (n) zeros between clocks. */
    struct train_powersgd *powersgd; /* powersgd: (n). */
    struct sv_batch *updates;        /* (n). */
    struct sv_apply *apply;
    struct blob **came; /* (pieces_max) sums of a round. */
    uint32_t pieces_max;
    uint32_t *rows;    /* (K) rows that a piece lists. */
    uint8_t *touched;  /* (K) 1: the row has been touched. */
    float *factor;     /* powersgd: an own part, */
    float *factor_sum; /* and a sum, (K, R) or (J, R). */
};

/* The cut of @n_rows rows of @width floats for @n_peers peers. */
struct train_transfer_cut
train_transfer_cut(uint32_t n_rows, uint32_t width, uint32_t n_peers);

/* What a hub needs for this: kind, and the most that a round has. */
void train_transfer_reduce_options(const struct train_replica *replica,
                                   struct train_reduce_options *o);

/* Errors: ERR_NOMEM, ERR_INVALID (the rank); @t needs fini all the same. */
int train_transfer_init(struct train_transfer *t,
                        const struct train_replica *replica,
                        struct train_hub *hub,
                        struct err *e);
void train_transfer_fini(struct train_transfer *t);

/* Replace the own pairs of @clock in @own (n) by the update of all peers. Waits
 * for them.
 *
 * Errors: ERR_CLOSED  the job is over: see train_hub_outcome().
 *         others      ERR_NOMEM, ERR_CORRUPT, ERR_INVALID. */
int train_transfer_run(struct train_transfer *t,
                       uint64_t clock,
                       struct sv_batch *own,
                       struct err *e);

#endif /* TRAIN_TRANSFER_H_ */
