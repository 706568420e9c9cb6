/* Fewer pairs for the same update: what is sent, logged and applied instead of
 * all the pairs of a clock.
 *
 * A pure function of the batch, of what is carried and of (seed, stream): it
 * does not ask where pairs come from, so batches may be sums over samples,
 * clocks or peers, with any coefs. All ways but svd work on inner products of
 * pairs alone: gram, then jcss, then fit. They send pairs of the batch as they
 * are, sparse if they were, with new coefs and the sample they came from.
 */

#ifndef SELECT_SELECT_H_
#define SELECT_SELECT_H_

#include <stdint.h>

#include "core/err.h"
#include "core/pool.h"
#include "select/spec.h"
#include "sv/batch.h"

#define SELECT_N_MAX 4096 /* Pairs to select from: memory grows as n^2. */

struct select_job {
    const struct sv_batch *in;
    struct sv_batch *carried; /* svd: select/svd.h. NULL: no feedback. */
    uint64_t seed;            /* jcss: pair t is drawn by */
    uint64_t stream;          /* rng_u64(seed, stream, t); the stream is
                               * rng_stream(RNG_SELECT, peer, clock). */
    struct pool *pool;        /* May be NULL. */
};

/* Set @out to the selected pairs, and *relative_error to the Frobenius norm of
 * what they leave of the update over the update's: exact to the rounding of
 * float, SELECT_ERROR_FLOOR. Under svd the update is that of the batch and of
 * what was carried.
 *
 * There may be fewer pairs than asked for: pairs that count as zero
 * (select/fit.h), are equal to others or spanned by them are not needed. If no
 * others are left out than zeros, coefs are as they were and the error is 0.
 *
 * Shape:  @out is initialized for the J and K of job->in. Its forms become
 *         those of job->in, dense under svd; its rate that of job->in.
 * Errors: ERR_NOMEM, ERR_NOT_FINITE, ERR_INVALID (kind auto, which the caller
 *         must have decided; more than SELECT_N_MAX pairs). @out is lost, and
 *         job->carried is unchanged.
 * Cost:   select/gram.h, select/jcss.h, select/svd.h. BLAS is called from
 *         tasks of the pool and should use one thread. */
int select_run(const struct select_spec *s,
               const struct select_job *job,
               struct sv_batch *out,
               double *relative_error,
               struct err *e);

#endif /* SELECT_SELECT_H_ */
