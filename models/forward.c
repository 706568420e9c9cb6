#include "models/forward.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/isa.h"
#include "models/forward_kernel.h"

static void product_portable(const struct forward_block *b)
{
    const size_t L = b->w->ld;

    for (uint32_t r = 0; r < b->n; r++) {
        const struct dataset_row *row = &b->rows[r];
        float *restrict x = b->x + r * L;

        if (b->bias != NULL) {
            memcpy(x, b->bias, L * sizeof *x);
        } else {
            memset(x, 0, L * sizeof *x);
        }
        for (uint32_t i = 0; i < row->nnz; i++) {
            const float *restrict w = mat_row(b->w, row->idx[i]);
            const float v = row->val[i];
            for (size_t j = 0; j < L; j++) {
                x[j] += v * w[j];
            }
        }
    }
}

void forward_product(const struct forward_block *b)
{
    assert(b->n <= FORWARD_BLOCK);
#if defined(__x86_64__)
    if (isa_get() == ISA_AVX512) {
        forward_product_avx512(b);
        return;
    }
    if (isa_get() == ISA_AVX2) {
        forward_product_avx2(b);
        return;
    }
#endif
    product_portable(b);
}

float forward_exp(float x)
{
    float n, r, p, scale;
    uint32_t bits;

    if (x < EXP_MIN) {
        return 0;
    }
    if (isnan(x)) {
        return x;
    }
    n = rintf(x * EXP_LOG2E);
    r = (x - n * EXP_LN2_HI) - n * EXP_LN2_LO;
    p = EXP_C6 * r + EXP_C5;
    p = p * r + EXP_C4;
    p = p * r + EXP_C3;
    p = p * r + EXP_C2;
    p = p * r + 1;
    p = p * r + 1;
    bits = (uint32_t)((int32_t)n + 127) << 23;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static float softmax_portable(float *x, uint32_t J, float max)
{
    float sum = 0, scale;

    for (uint32_t j = 0; j < J; j++) {
        x[j] = forward_exp(x[j] - max);
        sum += x[j];
    }
    scale = 1 / sum;
    for (uint32_t j = 0; j < J; j++) {
        x[j] *= scale;
    }
    memset(x + J, 0, (mat_ld(J) - J) * sizeof *x);
    return sum;
}

float forward_max(const float *x, uint32_t J)
{
    float max = x[0];

    assert(J > 0);
#if defined(__x86_64__)
    if (isa_get() == ISA_AVX512) {
        return forward_max_avx512(x, J);
    }
    if (isa_get() == ISA_AVX2) {
        return forward_max_avx2(x, J);
    }
#endif
    for (uint32_t j = 1; j < J; j++) {
        max = x[j] > max ? x[j] : max;
    }
    return max;
}

float forward_softmax(float *x, uint32_t J, float max)
{
    assert(J > 0);
#if defined(__x86_64__)
    if (isa_get() == ISA_AVX512) {
        return forward_softmax_avx512(x, J, max);
    }
    if (isa_get() == ISA_AVX2) {
        return forward_softmax_avx2(x, J, max);
    }
#endif
    return softmax_portable(x, J, max);
}

/* Sixteen at a time without a branch, which compilers turn into vectors. */
uint32_t forward_find(const float *x, uint32_t n, float max)
{
    uint32_t j = 0;

    for (; j + 16 <= n; j += 16) {
        unsigned any = 0;
        for (uint32_t i = 0; i < 16; i++) {
            any |= x[j + i] == max;
        }
        if (any != 0) {
            break;
        }
    }
    while (j < n && x[j] != max) {
        j++;
    }
    return j;
}
