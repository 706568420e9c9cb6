/* Gram matrices: the inner products of all vectors of one side of a batch,
 *
 *     G[r][s] = scale_r scale_s <x_r, x_s>
 *
 * Once they are there, choosing pairs, weighing them and knowing the error
 * costs nothing that depends on the length of vectors.
 *
 * BLAS is called from tasks of the pool: it should use one thread
 * (openblas_set_num_threads(1), as models do).
 */

#ifndef SELECT_GRAM_H_
#define SELECT_GRAM_H_

#include <stdint.h>

#include "core/err.h"
#include "core/pool.h"
#include "select/rows.h"
#include "sv/batch.h"

/* Relative to the norms of the two vectors, what select_gram() may be off. */
#define SELECT_GRAM_NOISE 1e-6

/* The Gram matrix of @x, its rows scaled by @scale (n; NULL: ones).
 *
 * Dense vectors are multiplied in float, in pieces that are summed in double;
 * in double if a square would leave the range of float. Sparse ones are
 * multiplied column by column in double. The result does not depend on the
 * number of threads.
 *
 * Shape:  @g (n, n), both triangles.
 * Errors: ERR_NOMEM, ERR_NOT_FINITE (an entry or scale is; names the vector).
 * Cost:   dense n^2 len flops; sparse: the sum over columns of the squared
 *         number of vectors that have it, or as dense where they are full. */
int select_gram(const struct sv_vecs *x,
                const float *scale,
                struct pool *pool,
                double *g,
                struct err *e);

/* The same in double throughout, for what needs the small directions too.
 *
 * Shape:  @g (r->n, r->n). Errors: as select_gram().
 * Cost:   n^2 len flops in double, whatever the form. */
int select_gram_exact(const struct select_rows *r,
                      struct pool *pool,
                      double *g,
                      struct err *e);

#endif /* SELECT_GRAM_H_ */
