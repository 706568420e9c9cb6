/* Joint column subset selection: which pairs stand for all of them.
 *
 * A pair is drawn with probability proportional to
 *
 *     |u_r'|^2 / sum_s |u_s|^2 + |v_r'|^2 / sum_s |v_s|^2,
 *
 * u' and v' being what is left of coef u and v when the pairs drawn before are
 * projected out: a column subset of both matrices at once. In Gram space the
 * projection is a step of a Cholesky decomposition of G1 and of G2 with a
 * common pivot, and costs no more than the number of pairs times draws.
 *
 * When nothing is left on either side but some update is (three outer products
 * of two vectors, say), the residual of the outer products decides, which is
 * the same step on H = G1 o G2 (select/fit.h). When that is spanned too, fewer
 * pairs than asked for are chosen. Pairs that count as zero never are.
 *
 * A residual below SELECT_JCSS_SPANNED of the vector's own squared norm counts
 * as zero, so the chosen rows of H are far enough from singular to solve with.
 *
 * Source: Xie, Kim, Zhou, Ho, Kumar, Yu, Xing, "Lighter-communication
 * distributed machine learning via sufficient factor broadcasting" (Orpheus),
 * for the sampling; weights and greedy order are ours.
 */

#ifndef SELECT_JCSS_H_
#define SELECT_JCSS_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "select/fit.h"

#define SELECT_JCSS_SPANNED 1e-5

struct select_jcss_options {
    uint32_t C; /* At most so many. */
    /* Not 0: stop as soon as the best weights leave at most this relative
     * error. */
    double error_max;
    /* Take the largest instead of drawing. Numbers that differ by less than
     * 1e-5 are equal then, and the least key wins: with keys that follow the
     * content, the order of pairs in the batch does not matter. */
    bool greedy;
    const uint64_t *key; /* (n) greedy; NULL: the first one wins. */
    uint64_t seed;       /* Drawing: pair t is drawn by */
    uint64_t stream;     /* rng_u64(seed, stream, t). */
};

/* Write the chosen pairs, in the order of choosing, to @index (the least of C
 * and n), and how many there are to @n_chosen.
 *
 * Errors: ERR_NOMEM. Cost: n C^2. */
int select_jcss(const struct select_grams *g,
                const struct select_jcss_options *o,
                uint32_t *index,
                uint32_t *n_chosen,
                struct err *e);

#endif /* SELECT_JCSS_H_ */
