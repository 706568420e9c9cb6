/* Thinning out u: a trained softmax is nearly one-hot, so most of u is noise.
 *
 * Entries with |u| < tau are left out or, in the unbiased variant, kept with
 * probability |u| / tau as +-tau, so that the expected u is u. Entry j of a
 * pair is kept if r tau < |u|, r in [0, 1) being a hash of j under a key that
 * rng_u64(seed, stream, pair) draws: what is left out is a pure function of the
 * pair and the clock, the same with every instruction set.
 */

#ifndef SV_SPARSIFY_H_
#define SV_SPARSIFY_H_

#include <stdbool.h>
#include <stdint.h>

struct sv_sparsify {
    float tau; /* 0: u stays dense. Not negative. */
    bool unbiased;
    uint64_t seed;
    uint64_t stream; /* rng_stream(RNG_SPARSIFY, peer, clock). */
};

/* Write the entries of @u (J) that stay, NaN among them, to @idx and @val (J
 * each; more may be scribbled up to mat_ld(J), which must be allocated). Return
 * how many.
 *
 * @pair numbers the sample in its minibatch, for the random stream. */
uint32_t sv_sparsify(const struct sv_sparsify *s,
                     const float *u,
                     uint32_t J,
                     uint32_t pair,
                     uint32_t *idx,
                     float *val);

#endif /* SV_SPARSIFY_H_ */
