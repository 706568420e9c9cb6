#include "sv/sparsify_kernel.h"

#if defined(__AVX512F__)

#include <immintrin.h>

static inline __m512i mix(__m512i x)
{
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32((int)0x85ebca6bu));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 13));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32((int)0xc2b2ae35u));
    return _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
}

/* Round the small entries of @u up to tau or down to nothing. Return which are
 * rounded up. */
static inline __mmask16
round_small(const struct sv_sparsify_job *s, __m512i j, __m512 *u, __mmask16 m)
{
    __m512 tau = _mm512_set1_ps(s->tau);
    __m512 sign = _mm512_set1_ps(-0.0f);
    __m512i h = mix(_mm512_xor_si512(j, _mm512_set1_epi32((int)s->key[0])));
    __m512 r;
    __mmask16 up;

    h = mix(_mm512_xor_si512(h, _mm512_set1_epi32((int)s->key[1])));
    r = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_srli_epi32(h, 8)),
                      _mm512_set1_ps(0x1p-24f));
    up = _mm512_mask_cmp_ps_mask(m, _mm512_mul_ps(r, tau), _mm512_abs_ps(*u),
                                 _CMP_LT_OQ);
    *u = _mm512_mask_or_ps(*u, up, _mm512_and_ps(*u, sign), tau);
    return up;
}

/* The whole vector is stored, and the next store begins behind what stays of
 * it: faster than a masked store, and within mat_ld(J) floats. */
uint32_t sv_sparsify_avx512(const struct sv_sparsify_job *s)
{
    const __m512 tau = _mm512_set1_ps(s->tau);
    __m512i j16 =
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    uint32_t n = 0;

    for (uint32_t j = 0; j < s->J; j += 16) {
        uint32_t left = s->J - j;
        __mmask16 in = (__mmask16)(left < 16 ? (1u << left) - 1 : 0xffff);
        __m512 u = _mm512_maskz_loadu_ps(in, s->u + j);
        __mmask16 stay =
            _mm512_mask_cmp_ps_mask(in, _mm512_abs_ps(u), tau, _CMP_NLT_UQ);

        if (s->unbiased) {
            stay |= round_small(s, j16, &u, (__mmask16)(in & ~stay));
        }
        if (stay != 0) {
            _mm512_storeu_ps(s->val + n, _mm512_maskz_compress_ps(stay, u));
            _mm512_storeu_si512(s->idx + n,
                                _mm512_maskz_compress_epi32(stay, j16));
            n += (uint32_t)__builtin_popcount(stay);
        }
        j16 = _mm512_add_epi32(j16, _mm512_set1_epi32(16));
    }
    return n;
}

#endif
