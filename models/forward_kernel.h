/* The inside of models/forward.h: the kernels of each instruction set. */

#ifndef MODELS_FORWARD_KERNEL_H_
#define MODELS_FORWARD_KERNEL_H_

#include "models/forward.h"

/* exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2, with ln 2 in two
 * parts and exp(r) as a polynomial of degree 6 (Taylor's coefficients, which
 * are within 2e-7 on this interval). Below EXP_MIN the result is 0, well before
 * probabilities become denormal and with them slow. */
#define EXP_MIN    (-80.0f)
#define EXP_LOG2E  1.44269504f
#define EXP_LN2_HI 0.693359375f
#define EXP_LN2_LO (-2.12194440e-4f)
#define EXP_C6     1.388888889e-3f
#define EXP_C5     8.333333333e-3f
#define EXP_C4     4.166666667e-2f
#define EXP_C3     1.666666667e-1f
#define EXP_C2     0.5f

void forward_product_avx2(const struct forward_block *b);
float forward_max_avx2(const float *x, uint32_t J);
float forward_softmax_avx2(float *x, uint32_t J, float max);

void forward_product_avx512(const struct forward_block *b);
float forward_max_avx512(const float *x, uint32_t J);
float forward_softmax_avx512(float *x, uint32_t J, float max);

#endif /* MODELS_FORWARD_KERNEL_H_ */
