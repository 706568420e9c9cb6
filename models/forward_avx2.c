#include "models/forward_kernel.h"

#if defined(__AVX2__)

#include <immintrin.h>

#define LANES     8
#define STRIP_MAX 12 /* Vectors in a strip; two more are needed. */
#define AHEAD     8  /* Rows of W that are fetched before their turn. */

/* Columns [col, col + 8 NV) of all rows of the block. NV is a constant where
 * this is inlined, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void
strip(const struct forward_block *b, size_t col, const int NV)
{
    const float *w = b->w->data + col;
    const size_t L = b->w->ld;

    for (uint32_t r = 0; r < b->n; r++) {
        const struct dataset_row *row = &b->rows[r];
        float *x = b->x + r * L + col;
        __m256 acc[STRIP_MAX];

        for (int t = 0; t < NV; t++) {
            acc[t] = b->bias == NULL
                         ? _mm256_setzero_ps()
                         : _mm256_load_ps(b->bias + col + LANES * t);
        }
        for (uint32_t i = 0; i < row->nnz; i++) {
            const float *wi = w + row->idx[i] * L;
            const __m256 v = _mm256_set1_ps(row->val[i]);
            if (i + AHEAD < row->nnz) {
                const float *next = w + row->idx[i + AHEAD] * L;
                for (int t = 0; t < NV; t += 2) {
                    _mm_prefetch((const char *)(next + LANES * t), _MM_HINT_T0);
                }
            }
            for (int t = 0; t < NV; t++) {
                acc[t] =
                    _mm256_fmadd_ps(v, _mm256_load_ps(wi + LANES * t), acc[t]);
            }
        }
        for (int t = 0; t < NV; t++) {
            _mm256_store_ps(x + LANES * t, acc[t]);
        }
    }
}

/* Rows are padded to 16 floats: an even number of vectors. */
void forward_product_avx2(const struct forward_block *b)
{
    const size_t L = b->w->ld;
    size_t col = 0;

    for (; col + LANES * STRIP_MAX <= L; col += LANES * STRIP_MAX) {
        strip(b, col, STRIP_MAX);
    }
    switch ((L - col) / LANES) {
    case 2:
        strip(b, col, 2);
        break;
    case 4:
        strip(b, col, 4);
        break;
    case 6:
        strip(b, col, 6);
        break;
    case 8:
        strip(b, col, 8);
        break;
    case 10:
        strip(b, col, 10);
        break;
    default:
        break;
    }
}

/* Too far below zero, -inf included, gives zero; NaN stays. */
static inline __m256 exp8(__m256 x)
{
    __m256 in = _mm256_cmp_ps(x, _mm256_set1_ps(EXP_MIN), _CMP_NLT_UQ);
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(EXP_LOG2E)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(EXP_LN2_HI), x);
    __m256i scale;
    __m256 p;

    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(EXP_LN2_LO), r);
    p = _mm256_fmadd_ps(_mm256_set1_ps(EXP_C6), r, _mm256_set1_ps(EXP_C5));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
    scale = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(scale, 23)));
    return _mm256_and_ps(in, p);
}

static float reduce_max(__m256 a)
{
    __m128 b =
        _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

static float reduce_add(__m256 a)
{
    __m128 b =
        _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

float forward_max_avx2(const float *x, uint32_t J)
{
    __m256 acc = _mm256_set1_ps(-__builtin_inff());
    uint32_t j = 0;
    float max;

    for (; j + LANES <= J; j += LANES) {
        acc = _mm256_max_ps(acc, _mm256_load_ps(x + j));
    }
    max = reduce_max(acc);
    for (; j < J; j++) {
        max = x[j] > max ? x[j] : max;
    }
    return max;
}

float forward_softmax_avx2(float *x, uint32_t J, float max)
{
    const uint32_t L = (uint32_t)mat_ld(J);
    const __m256 top = _mm256_set1_ps(max);
    __m256 sum = _mm256_setzero_ps(), scale;
    float total;

    for (uint32_t j = J; j < L; j++) {
        x[j] = -__builtin_inff(); /* Whose exp is zero. */
    }
    for (uint32_t j = 0; j < L; j += LANES) {
        __m256 p = exp8(_mm256_sub_ps(_mm256_load_ps(x + j), top));
        sum = _mm256_add_ps(sum, p);
        _mm256_store_ps(x + j, p);
    }
    total = reduce_add(sum);
    scale = _mm256_set1_ps(1 / total);
    for (uint32_t j = 0; j < L; j += LANES) {
        _mm256_store_ps(x + j, _mm256_mul_ps(_mm256_load_ps(x + j), scale));
    }
    return total;
}

#endif
