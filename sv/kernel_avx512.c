/* Kernels for AVX-512: tiles of 8 x 48, 24 of 32 registers. */

#include "sv/kernel.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define KERNEL     sv_kernel_avx512
#define VEC        __m512
#define LANES      16
#define TILE_ROWS  8
#define TILE_STEP  16
#define ROW_BLOCKS 16

#define v_load(p)      _mm512_loadu_ps(p)
#define v_store(p, x)  _mm512_storeu_ps(p, x)
#define v_set1(x)      _mm512_set1_ps(x)
#define v_add(a, b)    _mm512_add_ps(a, b)
#define v_mul(a, b)    _mm512_mul_ps(a, b)
#define v_div(a, b)    _mm512_div_ps(a, b)
#define v_sqrt(a)      _mm512_sqrt_ps(a)
#define v_fma(a, b, c) _mm512_fmadd_ps(a, b, c)

static inline __mmask16 ordered(__m512 x)
{
    return _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
}

#define v_fma_some(a, b, c) _mm512_mask3_fmadd_ps(a, b, c, ordered(b))
#define v_some(m, x, y)     _mm512_mask_mov_ps(y, ordered(m), x)
#define f_sqrt(x)           _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)))

#include "sv/kernel_body.h"

#endif
