/* Kernels for 64-bit ARM: tiles of 4 x 24, 24 of 32 registers. */

#include "sv/kernel.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#define KERNEL     sv_kernel_neon
#define VEC        float32x4_t
#define LANES      4
#define TILE_ROWS  4
#define TILE_STEP  8
#define ROW_BLOCKS 6

#define v_load(p)      vld1q_f32(p)
#define v_store(p, x)  vst1q_f32(p, x)
#define v_set1(x)      vdupq_n_f32(x)
#define v_add(a, b)    vaddq_f32(a, b)
#define v_mul(a, b)    vmulq_f32(a, b)
#define v_div(a, b)    vdivq_f32(a, b)
#define v_sqrt(a)      vsqrtq_f32(a)
#define v_fma(a, b, c) vfmaq_f32(c, a, b)

#define v_some(m, x, y)     vbslq_f32(vceqq_f32(m, m), x, y)
#define v_fma_some(a, b, c) v_some(b, v_fma(a, b, c), c)
#define f_sqrt(x)           vget_lane_f32(vsqrt_f32(vdup_n_f32(x)), 0)

#include "sv/kernel_body.h"

#endif
