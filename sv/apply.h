/* The exact apply: what changes a replica, to the bit.
 *
 * Everything that changes W is an op. An op is *defined* by the order of its
 * f32 operations on each element, so the result does not depend on blocking,
 * threads, vector width, or on how many ops are carried out in one call:
 *
 *   SV_OP_APPLY   for r = 0..n-1 in order, for every row k that v_r has and
 *                 every column j that u_r has (a dense vector has all),
 *                 with c_r[j] = coef_r * u_r[j] rounded once to f32:
 *     plain     W[k][j] = fmaf(v_r[k], c_r[j], W[k][j])
 *     momentum  M[k][j] = fmaf(v_r[k], c_r[j], M[k][j])
 *     rowgrad   h[k] = fmaf(v_r[k] * v_r[k], s_r, h[k])   s_r = |c_r|^2, below
 *               a = (rate * v_r[k]) / sqrtf(h[k] + eps)
 *               W[k][j] = fmaf(a, c_r[j], W[k][j])
 *     adagrad   g = v_r[k] * c_r[j]
 *               H[k][j] = fmaf(g, g, H[k][j])
 *               W[k][j] = W[k][j] + (rate * g) / sqrtf(H[k][j] + eps)
 *   SV_OP_SCALE      W[k][j] = a * W[k][j]      weight decay, all elements
 *   SV_OP_SCALE_AUX  M[k][j] = a * M[k][j]
 *   SV_OP_ADD_AUX    W[k][j] = W[k][j] + M[k][j]
 *   SV_OP_MIX        for the rows k of a block (sv/rows.h), with x its numbers
 *                    of that row: W[k][j] = W[k][j] + x[j], and so on through
 *                    aux[k] and h[k], as far as the rule has them
 *
 * |c_r|^2 is summed over the entries that u_r stores, in the order stored, in
 * 16 lanes: entry i goes to lane i mod 16, each lane is acc = fmaf(c, c, acc)
 * from +0, then lanes are added pairwise, 8, 4, 2, 1 apart. rate is the batch's
 * own. eps is above 0, so nothing is divided by zero, and no pair is an
 * exception: where v_r[k] is zero, h[k] stays and a is zero.
 *
 * This holds for finite numbers, denormals and both zeros included. What
 * becomes of a NaN is not defined to the bit.
 *
 * Every op works on each row of W by itself, so a row may go through many ops
 * while it is in cache: that is how a thousand clocks are replayed in one pass.
 *
 * Source: design of the apply, GEMM with the accumulator starting from W; the
 * rule rowgrad is AdaGrad (Duchi, Hazan, Singer, JMLR 2011) with one sum per
 * row.
 */

#ifndef SV_APPLY_H_
#define SV_APPLY_H_

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/mat.h"
#include "core/pool.h"
#include "sv/batch.h"

enum sv_rule {
    SV_PLAIN = 0,
    SV_MOMENTUM,
    SV_ROWGRAD,
    SV_ADAGRAD,
    SV_RULE_COUNT
};

const char *sv_rule_name(enum sv_rule rule);

/* A replica of one matrix with what its rule keeps beside it. */
struct sv_state {
    enum sv_rule rule;
    float eps;      /* rowgrad, adagrad. */
    struct mat w;   /* (K, J). */
    struct mat aux; /* momentum: M, adagrad: H (K, J). Else empty. */
    float *h;       /* rowgrad: (K). Else NULL. Owned. */
};

/* All zeros. Errors: ERR_INVALID, ERR_NOMEM. */
int sv_state_init(struct sv_state *s,
                  enum sv_rule rule,
                  float eps,
                  size_t K,
                  size_t J,
                  struct err *e);
void sv_state_fini(struct sv_state *s);

enum sv_op_kind {
    SV_OP_APPLY = 1,
    SV_OP_SCALE,
    SV_OP_SCALE_AUX, /* momentum only. */
    SV_OP_ADD_AUX,   /* momentum only. */
    SV_OP_MIX = 6
};

struct sv_row_block;

struct sv_op {
    enum sv_op_kind kind;
    float a;                         /* SCALE, SCALE_AUX. */
    const struct sv_batch *batch;    /* APPLY. */
    const struct sv_row_block *rows; /* MIX. */
};

/* Memory that applies reuse: grouping of entries by row, packed panels. */
struct sv_apply;
struct sv_apply *sv_apply_create(void);
void sv_apply_destroy(struct sv_apply *x);

/* Carry out @ops in order.
 *
 * Shape:  batches have the J and K of the state; sv_rows_fit() holds for
 * blocks. Thread: rows are split over @pool (NULL: this thread). Errors:
 * ERR_NOMEM before anything is changed. An empty batch is fine. Cost:   dense 2
 * n J K flops; sparse v: each listed row of W is read and written once per
 * call, or once per 4,096 pairs and 2 million entries of longer ones; sparse u:
 * nnz(u) nnz(v) updates. SCALE and aux ops pass over every row, once per call
 * for all of them together, with the same exception. MIX touches its own rows;
 * with sparse v, or a rule that has h, it ends one pass and begins the next.
 * Memory is allocated only where a call is larger than those before; it stays
 * below about 120 MB unless 200 dense u alone take more. */
int sv_apply_ops(struct sv_apply *x,
                 struct sv_state *s,
                 const struct sv_op *ops,
                 size_t n_ops,
                 struct pool *pool,
                 struct err *e);

/* The definition above, one element at a time: the oracle of the tests. */
void sv_apply_naive(struct sv_state *s, const struct sv_op *ops, size_t n_ops);

#endif /* SV_APPLY_H_ */
