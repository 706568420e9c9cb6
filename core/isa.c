#include "core/isa.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static const char *const NAMES[] = {"scalar", "neon", "avx2", "avx512"};

/* The forced one plus one, or zero. */
static atomic_int forced;

static bool isa_here(enum isa isa)
{
    switch (isa) {
    case ISA_SCALAR:
        return true;
    case ISA_NEON:
#if defined(__aarch64__)
        return true;
#else
        return false;
#endif
    case ISA_AVX2:
#if defined(__x86_64__)
        return __builtin_cpu_supports("avx2") &&
               __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#else
        return false;
#endif
    case ISA_AVX512:
#if defined(__x86_64__)
        return isa_here(ISA_AVX2) && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl");
#else
        return false;
#endif
    }
    return false;
}

enum isa isa_get(void)
{
    int f = atomic_load_explicit(&forced, memory_order_relaxed);

    if (f != 0) {
        return (enum isa)(f - 1);
    }
    for (int i = ISA_AVX512; i > ISA_SCALAR; i--) {
        if (isa_here((enum isa)i)) {
            return (enum isa)i;
        }
    }
    return ISA_SCALAR;
}

int isa_force(const char *name, struct err *e)
{
    for (int i = ISA_SCALAR; i <= ISA_AVX512; i++) {
        if (strcmp(name, NAMES[i]) != 0) {
            continue;
        }
        if (!isa_here((enum isa)i)) {
            return err_set(e, ERR_INVALID, "this machine has no %s", name);
        }
        atomic_store(&forced, i + 1);
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "no instruction set \"%s\": scalar, neon, avx2 or avx512",
                   name);
}

const char *isa_name(enum isa isa)
{
    return NAMES[isa];
}
