#include "sv/kernel.h"

const struct sv_kernel *sv_kernel_get(void)
{
    switch (isa_get()) {
#if defined(__x86_64__)
    case ISA_AVX512:
        return &sv_kernel_avx512;
    case ISA_AVX2:
        return &sv_kernel_avx2;
#elif defined(__aarch64__)
    case ISA_NEON:
        return &sv_kernel_neon;
#endif
    default:
        return &sv_kernel_scalar;
    }
}
