/* Kernels in plain C, for every machine. */

#include <math.h>

#include "sv/kernel.h"

#define KERNEL     sv_kernel_scalar
#define VEC        float
#define LANES      1
#define TILE_ROWS  4
#define TILE_STEP  8
#define ROW_BLOCKS 1

#define v_load(p)           (*(p))
#define v_store(p, x)       (*(p) = (x))
#define v_set1(x)           ((float)(x))
#define v_add(a, b)         ((a) + (b))
#define v_mul(a, b)         ((a) * (b))
#define v_div(a, b)         ((a) / (b))
#define v_sqrt(a)           sqrtf(a)
#define v_fma(a, b, c)      f_fma(a, b, c)
#define v_some(m, x, y)     (isnan(m) ? (y) : (x))
#define v_fma_some(a, b, c) v_some(b, v_fma(a, b, c), c)
#define f_sqrt(x)           sqrtf(x)

#include "sv/kernel_body.h"
