/* Vectors of one side of a batch, or of two batches one behind the other, read
 * as columns of numbers: what dense linear algebra wants, whatever the form.
 *
 * Carried pairs are candidates like those of the clock, and lie in a batch of
 * their own that may have another form.
 */

#ifndef SELECT_ROWS_H_
#define SELECT_ROWS_H_

#include <stdint.h>

#include "core/err.h"
#include "core/pool.h"
#include "sv/batch.h"

#define SELECT_ROWS_PARTS 2

/* A row is scale_r x_r. Zero it, then put parts. */
struct select_rows {
    const struct sv_vecs *x[SELECT_ROWS_PARTS]; /* Same len. */
    const float *scale[SELECT_ROWS_PARTS];      /* (n of x), NULL: ones. */
    uint32_t n_parts;
    uint32_t n;   /* Rows of all parts. */
    uint32_t len; /* Columns. */
};

/* Put the rows of @x, which stays the caller's, behind those that are there. */
void select_rows_put(struct select_rows *r,
                     const struct sv_vecs *x,
                     const float *scale);

/* Write columns [from, from + width) of all rows to @out (n, width). */
void select_rows_columns(const struct select_rows *r,
                         uint32_t from,
                         uint32_t width,
                         double *out);

/* Combinations of rows, in double until they are stored: vector i of @out is
 * the sum over rows r of y[i][r] times row r.
 *
 * Shape:  @y (m, n) row-major; @out is dense, has m vectors of len and is
 *         overwritten.
 * Errors: ERR_NOMEM, ERR_NOT_FINITE (a sum is too large for a float).
 * Cost:   2 m n len flops. */
int select_rows_combine(const struct select_rows *r,
                        const double *y,
                        struct pool *pool,
                        struct sv_vecs *out,
                        struct err *e);

#endif /* SELECT_ROWS_H_ */
