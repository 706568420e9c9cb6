/* How well some of the pairs stand for all of them, and with what weights.
 *
 * With U scaled by coefs, pair r adds v_r u_r^T to the update. The inner
 * products of these outer products are
 *
 *     H = G1 o G2,   G1 = U U^T,  G2 = V V^T   (elementwise)
 *
 * so the Frobenius norm of any combination d of them is sqrt(d^T H d), and the
 * weights that leave the least of the update solve a system with the rows and
 * columns of H that are chosen:
 *
 *     w = argmin || sum_r v_r u_r^T - sum_i w_i v_{I(i)} u_{I(i)}^T ||_F
 *       = H[I, I]^-1 H[I, :] 1
 */

#ifndef SELECT_FIT_H_
#define SELECT_FIT_H_

#include <stdint.h>

#include "core/err.h"

/* Inner products of both sides of n pairs. */
struct select_grams {
    uint32_t n;
    const double *g1; /* (n, n) of coef u. */
    const double *g2; /* (n, n) of v. */
};

/* The squared norm up to which a pair counts as zero: SELECT_ZERO of that of
 * the largest pair. Rounding hides such a pair in the update, and a weight that
 * made it stand for others would be out of all proportion. */
#define SELECT_ZERO 1e-14
double select_zero(const struct select_grams *g);

/* Set the weights @w (m) of the pairs @index (m, each once).
 *
 * Where H[I, I] is singular, a ridge is added to its diagonal, in steps of ten
 * from 1e-7 of each entry on, until it is not: chosen pairs that are equal
 * share a weight then. Pairs that are zero get none.
 *
 * Errors: ERR_NOMEM, ERR_NOT_FINITE (the Grams are not). Cost: m n + m^3 / 3.
 */
int select_fit(const struct select_grams *g,
               const uint32_t *index,
               uint32_t m,
               double *w,
               struct err *e);

/* The Frobenius norm of what @w leaves of the update, over that of the update:
 * computed, not estimated, from all of H. 0 if there is no update.
 *
 * With Grams in float, errors below SELECT_ERROR_FLOOR are rounding.
 * Cost: n^2. */
#define SELECT_ERROR_FLOOR 1e-3
double select_error(const struct select_grams *g,
                    const uint32_t *index,
                    uint32_t m,
                    const double *w);

#endif /* SELECT_FIT_H_ */
