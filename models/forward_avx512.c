#include "models/forward_kernel.h"

#if defined(__AVX512F__)

#include <immintrin.h>

#define LANES     16
#define STRIP_MAX 16 /* Vectors in a strip: half of the registers. */
#define AHEAD     8  /* Rows of W that are fetched before their turn. */

/* Columns [col, col + 16 NV) of all rows of the block. NV is a constant where
 * this is inlined, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void
strip(const struct forward_block *b, size_t col, const int NV)
{
    const float *w = b->w->data + col;
    const size_t L = b->w->ld;

    for (uint32_t r = 0; r < b->n; r++) {
        const struct dataset_row *row = &b->rows[r];
        float *x = b->x + r * L + col;
        __m512 acc[STRIP_MAX];

        for (int t = 0; t < NV; t++) {
            acc[t] = b->bias == NULL
                         ? _mm512_setzero_ps()
                         : _mm512_load_ps(b->bias + col + LANES * t);
        }
        for (uint32_t i = 0; i < row->nnz; i++) {
            const float *wi = w + row->idx[i] * L;
            const __m512 v = _mm512_set1_ps(row->val[i]);
            if (i + AHEAD < row->nnz) {
                const float *next = w + row->idx[i + AHEAD] * L;
                for (int t = 0; t < NV; t++) {
                    _mm_prefetch((const void *)(next + LANES * t), _MM_HINT_T0);
                }
            }
            for (int t = 0; t < NV; t++) {
                acc[t] =
                    _mm512_fmadd_ps(v, _mm512_load_ps(wi + LANES * t), acc[t]);
            }
        }
        for (int t = 0; t < NV; t++) {
            _mm512_store_ps(x + LANES * t, acc[t]);
        }
    }
}

#define STRIP(NV)          \
    case NV:               \
        strip(b, col, NV); \
        break

static void strip_of(const struct forward_block *b, size_t col, size_t n)
{
    switch (n) {
        STRIP(1);
        STRIP(2);
        STRIP(3);
        STRIP(4);
        STRIP(5);
        STRIP(6);
        STRIP(7);
        STRIP(8);
        STRIP(9);
        STRIP(10);
        STRIP(11);
        STRIP(12);
        STRIP(13);
        STRIP(14);
        STRIP(15);
    default:
        strip(b, col, STRIP_MAX);
        break;
    }
}

void forward_product_avx512(const struct forward_block *b)
{
    const size_t step = LANES * STRIP_MAX, L = b->w->ld;

    for (size_t col = 0; col < L; col += step) {
        size_t left = L - col;
        strip_of(b, col, (left < step ? left : step) / LANES);
    }
}

/* Too far below zero, -inf included, gives zero; NaN stays. */
static inline __m512 exp16(__m512 x)
{
    __mmask16 in = _mm512_cmp_ps_mask(x, _mm512_set1_ps(EXP_MIN), _CMP_NLT_UQ);
    __m512 n =
        _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(EXP_LOG2E)),
                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_HI), x);
    __m512 p;

    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_LO), r);
    p = _mm512_fmadd_ps(_mm512_set1_ps(EXP_C6), r, _mm512_set1_ps(EXP_C5));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_C4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_C3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_C2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    return _mm512_maskz_scalef_ps(in, p, n);
}

float forward_max_avx512(const float *x, uint32_t J)
{
    const uint32_t full = J / LANES * LANES;
    const __mmask16 tail = (__mmask16)((1u << (J - full)) - 1);
    __m512 max = _mm512_set1_ps(-__builtin_inff());

    for (uint32_t j = 0; j < full; j += LANES) {
        max = _mm512_max_ps(max, _mm512_load_ps(x + j));
    }
    max = _mm512_mask_max_ps(max, tail, max,
                             _mm512_maskz_load_ps(tail, x + full));
    return _mm512_reduce_max_ps(max);
}

float forward_softmax_avx512(float *x, uint32_t J, float max)
{
    const uint32_t full = J / LANES * LANES;
    const __mmask16 tail = (__mmask16)((1u << (J - full)) - 1);
    const __m512 top = _mm512_set1_ps(max);
    __m512 sum = _mm512_setzero_ps(), scale;
    float total;

    for (uint32_t j = 0; j < full; j += LANES) {
        __m512 p = exp16(_mm512_sub_ps(_mm512_load_ps(x + j), top));
        sum = _mm512_add_ps(sum, p);
        _mm512_store_ps(x + j, p);
    }
    if (tail != 0) {
        __m512 p = exp16(_mm512_sub_ps(_mm512_load_ps(x + full), top));
        p = _mm512_maskz_mov_ps(tail, p);
        sum = _mm512_add_ps(sum, p);
        _mm512_store_ps(x + full, p);
    }
    total = _mm512_reduce_add_ps(sum);
    scale = _mm512_set1_ps(1 / total);
    for (uint32_t j = 0; j < J; j += LANES) {
        _mm512_store_ps(x + j, _mm512_mul_ps(_mm512_load_ps(x + j), scale));
    }
    return total;
}

#endif
