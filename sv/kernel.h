/* The loops of the apply, one set for each instruction set.
 *
 * All sets are made from sv/kernel_body.h and give the same bits: each element
 * sees the f32 operations that sv/apply.h defines, in that order. Only how many
 * elements are in flight differs. No kernel calls libm where the machine has an
 * instruction.
 *
 * Inside of sv/, and for the tiles of models/forward_dense.c.
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

/* Rows, and the entries to apply to each in order: row i has those from
 * end[i - 1] (or begin) to end[i]. */
struct sv_rows {
    float *w;            /* (K, ld), what FMAs go to: W, or M. */
    float *aux;          /* (K, ld). adagrad: H. */
    size_t ld;           /* A multiple of 16; all of it is touched. */
    size_t n;            /* Rows. */
    const uint32_t *k;   /* (n). */
    const uint32_t *end; /* (n). */
    uint32_t begin;
    const struct sv_pair *pairs;
    const uint32_t *pair; /* (end[n - 1]) of each entry, an index to pairs. */
    const float *v;       /* (end[n - 1]) or, with rowgrad, the step. */
    float eps;            /* adagrad. */
};

/* An entry of v on its way to its row, which is known by its place in a
 * bucket: see sv/apply_grouped.c. */
struct sv_hit {
    uint32_t place;
    uint32_t pair;
    float v;
};

/* Entries of a bucket that are brought into the order of rows. */
struct sv_sort {
    const struct sv_hit *from; /* (n). */
    size_t n;
    uint32_t *at;   /* By place: where the next entry of the row goes. */
    uint32_t *pair; /* (n) out. */
    float *v;       /* (n) out. */

    /* rowgrad only. */
    const struct sv_pair *pairs;
    float *sum;    /* (n) scratch. */
    float *h;      /* Of place 0; places go on in groups of 16, */
    size_t h_step; /* so many floats apart. */
    float eps;
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

    /* w[j] = fmaf(v, c[j], w[j]) for each entry of each row. */
    void (*rows_fma[SV_FORM_COUNT])(const struct sv_rows *t);

    /* The same with the rule adagrad. */
    void (*rows_adagrad[SV_FORM_COUNT])(const struct sv_rows *t);

    /* Sort entries, move h on, and replace v by the step that rowgrad takes. */
    void (*sort_rowgrad)(const struct sv_sort *t);

    /* rowgrad for 16 rows that have all pairs: @v is (n, 16), @h is (16). */
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
