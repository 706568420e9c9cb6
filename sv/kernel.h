/* The loops of the apply, one set for each instruction set.
 *
 * All sets are made from sv/kernel_body.h and give the same bits: each element
 * sees the f32 operations that sv/apply.h defines, in that order. Only how many
 * elements are in flight differs. No kernel calls libm where the machine has an
 * instruction.
 *
 * Inside of sv/ only.
 */

#ifndef SV_KERNEL_H_
#define SV_KERNEL_H_

#include <stddef.h>
#include <stdint.h>

#include "core/isa.h"

/* How the u side of a pair lies in memory. */
enum sv_form {
    SV_FORM_DENSE,  /* u, (cols). c is coef times it. */
    SV_FORM_SPREAD, /* c, (cols), NaN where u has no entry. */
    SV_FORM_LISTED, /* u and its columns, (nnz) each. */
    SV_FORM_COUNT
};

struct sv_pair {
    const float *u;      /* As the form says. */
    const uint32_t *idx; /* LISTED: (nnz). */
    const float *v;      /* Dense v: (K padded). */
    uint32_t nnz;        /* LISTED. */
    float coef;          /* Not used by SPREAD. */
    float s;             /* rowgrad: |c|^2. */
    float rate;          /* rowgrad, adagrad. */
};

/* A pair has value v in some row. */
struct sv_entry {
    uint32_t pair;
    float v;
};

/* Entries to apply to a row, in order. */
struct sv_row {
    float *w;    /* (cols), what FMAs go to: W, or M. */
    float *aux;  /* (cols). adagrad: H. */
    size_t cols; /* A multiple of 16. */
    const struct sv_pair *pairs;
    const struct sv_entry *entries; /* (n). */
    size_t n;
    float eps;         /* adagrad. */
    const float *next; /* A row that will be needed soon. */
};

/* Rows of W that pass by packed panels of c. */
struct sv_strip {
    size_t n;       /* Pairs. */
    const float *v; /* (n, mr). */
    const float *c; /* Panels (n, nr), one behind the other; the last one is as
                     * wide as what is left of cols. */
    float *w;       /* First row and column. */
    size_t ld;      /* Floats from one row to the next. */
    size_t rows;    /* At most mr. */
    size_t cols;    /* A multiple of 16. */
};

struct sv_kernel {
    size_t lanes; /* Floats in a vector. */
    size_t mr;    /* Rows of a tile; divides 16. */
    size_t nr;    /* Columns of a tile. */

    /* w[i][j] = fmaf(v_r[i], c_r[j], w[i][j]) for r = 0..n-1. */
    void (*strip)(const struct sv_strip *t);

    /* The same for one row. */
    void (*row_fma[SV_FORM_COUNT])(const struct sv_row *t);

    /* adagrad for one row. */
    void (*row_adagrad[SV_FORM_COUNT])(const struct sv_row *t);

    /* rowgrad: replace the v of each entry by its step a, and move *h on. */
    void (*row_rowgrad)(struct sv_entry *entries,
                        size_t n,
                        const struct sv_pair *pairs,
                        float *h,
                        float eps);

    /* The same for 16 rows at once: @v is (n, 16), @h is (16). */
    void (*block_rowgrad)(float *v,
                          size_t n,
                          const struct sv_pair *pairs,
                          float *h,
                          float eps);

    /* |a x|^2 as sv/apply.h sums it. */
    float (*sum_of_squares)(const float *x, size_t n, float a);

    /* y = a * x; y may be x. @n a multiple of 8. */
    void (*scale)(float *y, const float *x, size_t n, float a);

    /* y = y + x. @n a multiple of 16. */
    void (*add)(float *y, const float *x, size_t n);
};

/* The set for isa_get(). */
const struct sv_kernel *sv_kernel_get(void);

extern const struct sv_kernel sv_kernel_scalar;
#if defined(__x86_64__)
extern const struct sv_kernel sv_kernel_avx2;
extern const struct sv_kernel sv_kernel_avx512;
#elif defined(__aarch64__)
extern const struct sv_kernel sv_kernel_neon;
#endif

#endif /* SV_KERNEL_H_ */
