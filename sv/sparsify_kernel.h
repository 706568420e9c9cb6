/* The inside of sv_sparsify(): one kernel per instruction set, all of which
 * write the same bits, and the random number that they share. */

#ifndef SV_SPARSIFY_KERNEL_H_
#define SV_SPARSIFY_KERNEL_H_

#include <stdbool.h>
#include <stdint.h>

struct sv_sparsify_job {
    float tau;
    bool unbiased;
    uint32_t key[2]; /* Of the pair: the halves of its 64-bit draw. */
    const float *u;  /* (J). */
    uint32_t J;
    uint32_t *idx; /* (mat_ld(J)). */
    float *val;    /* (mat_ld(J)). */
};

/* The hash of entry @j under @key: two rounds of the 32-bit finalizer of
 * MurmurHash3, a bijection of j for each key. Its upper 24 bits are uniform in
 * [0, 1) as a multiple of 2^-24, like rng_f32(); a generator call for each of
 * J entries would cost more than the softmax.
 *
 * Source: Appleby, MurmurHash3, 2011. */
static inline uint32_t sv_sparsify_mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

static inline uint32_t sv_sparsify_hash(const uint32_t key[2], uint32_t j)
{
    return sv_sparsify_mix(sv_sparsify_mix(j ^ key[0]) ^ key[1]);
}

/* Entries from @j on, behind @n that stayed before: what vector kernels leave
 * at the end. Return how many stay in all. */
uint32_t
sv_sparsify_tail(const struct sv_sparsify_job *s, uint32_t j, uint32_t n);

/* Return how many stay. */
uint32_t sv_sparsify_avx2(const struct sv_sparsify_job *s);
uint32_t sv_sparsify_avx512(const struct sv_sparsify_job *s);

#endif /* SV_SPARSIFY_KERNEL_H_ */
