/* Kernels for AVX2 and FMA: tiles of 4 x 24, 12 of 16 registers. */

#include "sv/kernel.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define KERNEL     sv_kernel_avx2
#define VEC        __m256
#define LANES      8
#define TILE_ROWS  4
#define TILE_STEP  8
#define ROW_BLOCKS 6

#define v_load(p)      _mm256_loadu_ps(p)
#define v_store(p, x)  _mm256_storeu_ps(p, x)
#define v_set1(x)      _mm256_set1_ps(x)
#define v_add(a, b)    _mm256_add_ps(a, b)
#define v_mul(a, b)    _mm256_mul_ps(a, b)
#define v_div(a, b)    _mm256_div_ps(a, b)
#define v_sqrt(a)      _mm256_sqrt_ps(a)
#define v_fma(a, b, c) _mm256_fmadd_ps(a, b, c)

static inline __m256 ordered(__m256 x)
{
    return _mm256_cmp_ps(x, x, _CMP_ORD_Q);
}

#define v_some(m, x, y)     _mm256_blendv_ps(y, x, ordered(m))
#define v_fma_some(a, b, c) v_some(b, v_fma(a, b, c), c)
#define f_sqrt(x)           _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)))

#include "sv/kernel_body.h"

#endif
