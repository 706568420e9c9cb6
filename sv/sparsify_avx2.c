#include "sv/sparsify_kernel.h"

#if defined(__AVX2__)

#include <immintrin.h>

static inline __m256i mix(__m256i x)
{
    x = _mm256_xor_si256(x, _mm256_srli_epi32(x, 16));
    x = _mm256_mullo_epi32(x, _mm256_set1_epi32((int)0x85ebca6bu));
    x = _mm256_xor_si256(x, _mm256_srli_epi32(x, 13));
    x = _mm256_mullo_epi32(x, _mm256_set1_epi32((int)0xc2b2ae35u));
    return _mm256_xor_si256(x, _mm256_srli_epi32(x, 16));
}

/* Round the entries of @u that do not @stay up to tau or down to nothing.
 * Return the lanes that stay now. */
static inline __m256
round_small(const struct sv_sparsify_job *s, __m256i j, __m256 *u, __m256 stay)
{
    __m256 tau = _mm256_set1_ps(s->tau), sign = _mm256_set1_ps(-0.0f);
    __m256i h = mix(_mm256_xor_si256(j, _mm256_set1_epi32((int)s->key[0])));
    __m256 r, up, rounded;

    h = mix(_mm256_xor_si256(h, _mm256_set1_epi32((int)s->key[1])));
    r = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(h, 8)),
                      _mm256_set1_ps(0x1p-24f));
    up = _mm256_cmp_ps(_mm256_mul_ps(r, tau), _mm256_andnot_ps(sign, *u),
                       _CMP_LT_OQ);
    rounded = _mm256_or_ps(_mm256_and_ps(*u, sign), tau);
    *u = _mm256_blendv_ps(rounded, *u, stay);
    return _mm256_or_ps(up, stay);
}

/* Lane i of row m is the place of the i-th set bit of m. */
static const int32_t COMPRESS[16][4] = {
    {0, 0, 0, 0}, {0, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0},
    {2, 0, 0, 0}, {0, 2, 0, 0}, {1, 2, 0, 0}, {0, 1, 2, 0},
    {3, 0, 0, 0}, {0, 3, 0, 0}, {1, 3, 0, 0}, {0, 1, 3, 0},
    {2, 3, 0, 0}, {0, 2, 3, 0}, {1, 2, 3, 0}, {0, 1, 2, 3}};

/* Put down the lanes of four entries that are set in @m. The whole vector is
 * stored; the next store begins behind what stays of it. */
static inline uint32_t put4(const struct sv_sparsify_job *s,
                            __m128 u,
                            __m128i j,
                            unsigned m,
                            uint32_t n)
{
    __m128i order = _mm_loadu_si128((const __m128i *)(const void *)COMPRESS[m]);

    _mm_storeu_ps(s->val + n, _mm_permutevar_ps(u, order));
    _mm_storeu_ps((float *)(void *)(s->idx + n),
                  _mm_permutevar_ps(_mm_castsi128_ps(j), order));
    return n + (uint32_t)__builtin_popcount(m);
}

uint32_t sv_sparsify_avx2(const struct sv_sparsify_job *s)
{
    const __m256 tau = _mm256_set1_ps(s->tau), sign = _mm256_set1_ps(-0.0f);
    __m256i j8 = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    uint32_t n = 0, j = 0;

    for (; j + 8 <= s->J; j += 8) {
        __m256 u = _mm256_loadu_ps(s->u + j);
        __m256 stay =
            _mm256_cmp_ps(_mm256_andnot_ps(sign, u), tau, _CMP_NLT_UQ);
        unsigned m;

        if (s->unbiased) {
            stay = round_small(s, j8, &u, stay);
        }
        m = (unsigned)_mm256_movemask_ps(stay);
        if (m != 0) {
            n = put4(s, _mm256_castps256_ps128(u), _mm256_castsi256_si128(j8),
                     m & 15, n);
            n = put4(s, _mm256_extractf128_ps(u, 1),
                     _mm256_extracti128_si256(j8, 1), m >> 4, n);
        }
        j8 = _mm256_add_epi32(j8, _mm256_set1_epi32(8));
    }
    return sv_sparsify_tail(s, j, n);
}

#endif
