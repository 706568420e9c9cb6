/* The kernels of a softmax over a product with W: all that a clock costs beside
 * its network and its update.
 *
 *     x = sum_i val[i] * W[idx[i]]          (J) logits of one row
 *     p = exp(x - max) / sum                (J)
 *
 * What they compute may differ in the last bits between instruction sets: it
 * happens before u is logged. It does not depend on how rows are grouped into
 * blocks or on threads.
 */

#ifndef MODELS_FORWARD_H_
#define MODELS_FORWARD_H_

#include <stddef.h>
#include <stdint.h>

#include "core/mat.h"
#include "dataset/dataset.h"

#define FORWARD_BLOCK 64 /* Rows in a block, at most. */

/* Sparse rows of data to be multiplied with W. */
struct forward_block {
    const struct mat *w; /* (K, J). */
    uint32_t n;          /* Rows, at most FORWARD_BLOCK. */
    struct dataset_row rows[FORWARD_BLOCK];
    const float *bias; /* (ld) a row of W that is added to each, or NULL. */
    float *x;          /* (n, ld) where the logits go, 64-byte aligned. The
                        * padding becomes zero. */
};

/* The logits of a block. W is read in strips of columns that all rows of the
 * block go through one after another, so what they share comes from cache.
 *
 * Cost: 2 J nnz flops; memory-bound for a W beyond the cache. */
void forward_product(const struct forward_block *b);

/* Dense rows, to be multiplied with some columns of W. */
struct forward_dense {
    const struct mat *w; /* (K, J). */
    uint32_t n;          /* Rows. */
    const float *v;      /* (n, v_ld). */
    size_t v_ld;
    uint32_t v_len;    /* Floats of a row that count: at most K. */
    const float *bias; /* (ld) a row of W that is added to each, or NULL. */
    size_t col, cols;  /* Multiples of 16, within ld. */
    float *x;          /* (n, ld) of which columns [col, col + cols) are set. */
};

/* x[i][j] = bias[j] + sum_k v[i][k] W[k][j], by fmaf() in the order of k: the
 * same bits with every instruction set, and for every division into calls.
 *
 * Cost: 2 n v_len cols flops. */
void forward_dense(const struct forward_dense *d);

/* The largest of the logits @x (J), 64-byte aligned. Anything if one is NaN. */
float forward_max(const float *x, uint32_t J);

/* Turn the logits @x (J) into probabilities in place, given forward_max() of
 * them. Return the sum of exp(x - max): from 1 to J, or NaN if a logit is NaN
 * or the maximum is not finite.
 *
 * Shape: @x has mat_ld(J) floats, 64-byte aligned; the padding becomes zero. */
float forward_softmax(float *x, uint32_t J, float max);

/* The first of @n floats that equals @max, or @n. */
uint32_t forward_find(const float *x, uint32_t n, float max);

/* exp(x) for x <= 0, to about 1e-7 of its value; NaN for NaN: what
 * forward_softmax() uses where there are no vector instructions. */
float forward_exp(float x);

#endif /* MODELS_FORWARD_H_ */
