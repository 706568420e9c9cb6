/* The best update of rank C there is, and what it leaves carried on.
 *
 *     sum_r coef_r v_r u_r^T = V^T U = sum_i s_i p_i t_i^T,   s_1 >= s_2 >= ...
 *
 * The first C terms are sent. They are found without forming the update: with
 * U = L1 Q1^T and V = L2 Q2^T (thin QR of the transposes, from Cholesky
 * decompositions of the Gram matrices, pivoted so that dependent vectors drop
 * out), the singular vectors are those of the small core L2^T L1.
 *
 * Error feedback: the next C' terms are carried, as pairs, to the candidates of
 * the next clock. What is carried is a batch, so it can be logged, sent and
 * rebuilt like any other, and is all the state there is.
 *
 * Singular values below SELECT_SVD_CUT of the first are rounding: they are
 * neither sent nor carried.
 *
 * Source: Golub, Van Loan, "Matrix Computations", for the QR of a low-rank
 * update; Seide et al., "1-bit stochastic gradient descent", 2014, and
 * Stich et al., "Sparsified SGD with memory", 2018, for error feedback.
 */

#ifndef SELECT_SVD_H_
#define SELECT_SVD_H_

#include <stdint.h>

#include "core/err.h"
#include "core/pool.h"
#include "sv/batch.h"

#define SELECT_SVD_CUT 1e-6

struct select_svd_job {
    const struct sv_batch *in; /* u and v in any form. */
    uint32_t C;                /* Pairs sent, at most. */
    uint32_t feedback;         /* Pairs carried, at most: C'. 0: none. */
    struct pool *pool;         /* May be NULL. */
};

/* Make @out of the pairs of job->in and of @carried, and replace @carried by
 * what the next clock begins with. Both are dense afterwards, of unit vectors
 * with coefs s_i, and know of no samples; out->rate is that of job->in.
 *
 * *relative_error is the norm of what is not sent over that of all, carried
 * pairs included: 0 if there is no update.
 *
 * Shape:  @out and @carried are initialized for the J and K of job->in.
 * Owner:  @carried is the caller's, empty at first; NULL: no feedback.
 * Errors: ERR_NOMEM, ERR_NOT_FINITE. @carried is unchanged, @out is lost.
 * Cost:   with n pairs in all (n^2 + 2 n (C + C')) (J + K) flops in double and
 *         O(n^3). */
int select_svd(const struct select_svd_job *job,
               struct sv_batch *carried,
               struct sv_batch *out,
               double *relative_error,
               struct err *e);

#endif /* SELECT_SVD_H_ */
