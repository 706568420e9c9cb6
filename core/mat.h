/* A parameter matrix W (K, J), row-major: one row per input, one column per
 * output. Rows are padded to a multiple of 16 floats so that every row starts
 * on a cache line, and the padding is zero at all times.
 */

#ifndef CORE_MAT_H_
#define CORE_MAT_H_

#include <stddef.h>

#include "core/err.h"

#define MAT_PAD        16 /* Floats that rows are padded to. */
#define MAT_ALIGN_SIZE 64 /* Bytes that rows are aligned to. */

struct mat {
    size_t K;    /* Rows. */
    size_t J;    /* Columns. */
    size_t ld;   /* Floats from one row to the next, a multiple of MAT_PAD. */
    float *data; /* (K, ld). Owned. */
    size_t size; /* Bytes mapped at data. */
};

/* J rounded up to MAT_PAD. */
static inline size_t mat_ld(size_t J)
{
    return (J + MAT_PAD - 1) / MAT_PAD * MAT_PAD;
}

/* Make a matrix of zeros, on huge pages where the kernel has them. Memory is
 * touched only when it is written.
 *
 * Errors: ERR_INVALID  a dimension is zero, or the size overflows.
 *         ERR_NOMEM    no memory. @m needs no mat_fini() then. */
int mat_init(struct mat *m, size_t K, size_t J, struct err *e);
void mat_fini(struct mat *m);

static inline float *mat_row(const struct mat *m, size_t k)
{
    return m->data + k * m->ld;
}

#endif /* CORE_MAT_H_ */
