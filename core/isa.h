/* Which vector instructions kernels may use. All of them give the same bits;
 * they differ in speed only. */

#ifndef CORE_ISA_H_
#define CORE_ISA_H_

#include "core/err.h"

enum isa {
    ISA_SCALAR, /* C with fmaf(). Every machine has it. */
    ISA_NEON,   /* 64-bit ARM. */
    ISA_AVX2,   /* AVX2 and FMA. */
    ISA_AVX512  /* AVX-512 F, DQ, BW, VL. */
};

/* The best one that this machine has, or the one that was forced. */
enum isa isa_get(void);

/* Use @name ("scalar", "neon", "avx2", "avx512") from now on. Call it before
 * other threads start.
 *
 * Errors: ERR_INVALID  no such name, or this machine lacks it. */
int isa_force(const char *name, struct err *e);

const char *isa_name(enum isa isa);

#endif /* CORE_ISA_H_ */
