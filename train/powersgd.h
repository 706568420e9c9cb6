/* The dense update of all peers, approximated by one of rank r: the compressed
 * all-reduce that a user of data-parallel training has, and SVs are compared
 * with.
 *
 * In each clock, peer i of P has an update G_i (K, J), the sum of its pairs,
 * and an error E_i (K, J) that earlier clocks left. All peers have the same Q
 * (J, r):
 *
 *     M_i = E_i + G_i
 *     P_i = M_i Q                     all-reduce: the sum over i, (K, r)
 *     P   = orthonormal columns of the sum
 *     Q_i = M_i^T P                   all-reduce: the sum over i, (J, r)
 *     Q   = the sum, for this update and for the next clock to begin with
 *     W  += P Q^T                     r pairs (u, v) = columns of Q and P
 *     E_i = M_i - P Q^T / P_peers
 *
 * A column of P that is nothing but rounding of those before it becomes zero,
 * and so does its pair; where Q has a column of zeros, the next clock draws it
 * anew. Sums that have the same bits everywhere lead to the same pairs and the
 * same Q everywhere.
 *
 * Source: Vogels, Karimireddy, Jaggi, "PowerSGD", NeurIPS 2019, algorithms 1
 * and 2.
 */

#ifndef TRAIN_POWERSGD_H_
#define TRAIN_POWERSGD_H_

#include <stdint.h>

#include "core/err.h"
#include "core/pool.h"
#include "sv/apply.h"

#define TRAIN_POWERSGD_RANK_MAX 256

struct train_powersgd {
    uint32_t K, J, r;
    uint32_t n_peers;
    uint64_t seed;
    uint64_t n_drawn;    /* Columns of Q drawn so far. */
    struct sv_state sum; /* E, and M while a clock lasts: plain. */
    float *p;            /* (K, r). Owned. */
    float *q;            /* (J, r). Owned. */
    struct sv_apply *apply;
};

/* E is zero, Q is drawn from @seed, which all peers share. @r is at most K and
 * J. Errors: ERR_INVALID, ERR_NOMEM; @s needs fini all the same. */
int train_powersgd_init(struct train_powersgd *s,
                        uint32_t K,
                        uint32_t J,
                        uint32_t r,
                        uint32_t n_peers,
                        uint64_t seed,
                        struct err *e);
void train_powersgd_fini(struct train_powersgd *s);

/* Begin a clock with the own pairs, of any form: M = E + G, and @p (K, r), the
 * own part of the first sum. Errors: ERR_NOMEM: nothing has changed. */
int train_powersgd_begin(struct train_powersgd *s,
                         const struct sv_batch *own,
                         struct pool *pool,
                         float *p,
                         struct err *e);

/* The first sum is there: @q (J, r) is the own part of the second one. */
void train_powersgd_middle(struct train_powersgd *s,
                           const float *p_sum,
                           float *q);

/* The second sum is there: E, Q, and the pairs that are the update, dense, r or
 * fewer. Errors: ERR_NOMEM; E and Q are as they should be then. */
int train_powersgd_end(struct train_powersgd *s,
                       const float *q_sum,
                       struct sv_batch *update,
                       struct err *e);

#endif /* TRAIN_POWERSGD_H_ */
