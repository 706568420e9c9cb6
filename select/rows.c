#include "select/rows.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 256 /* Of a task: a few hundred rows of them stay in cache. */

void select_rows_put(struct select_rows *r,
                     const struct sv_vecs *x,
                     const float *scale)
{
    assert(r->n_parts < SELECT_ROWS_PARTS);
    assert(r->n_parts == 0 || r->len == x->len);
    r->x[r->n_parts] = x;
    r->scale[r->n_parts] = scale;
    r->n_parts++;
    r->n += x->n;
    r->len = x->len;
}

/* The first entry of @x that is not left of @column. */
static uint32_t entry_from(struct sv_vec x, uint32_t column)
{
    uint32_t lo = 0, hi = x.nnz;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (x.idx[mid] < column) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void
row_columns(struct sv_vec x, double a, uint32_t from, uint32_t width, double *y)
{
    if (x.idx == NULL) {
        for (uint32_t i = 0; i < width; i++) {
            y[i] = a * (double)x.val[from + i];
        }
        return;
    }
    memset(y, 0, width * sizeof *y);
    for (uint32_t i = entry_from(x, from); i < x.nnz && x.idx[i] - from < width;
         i++) {
        y[x.idx[i] - from] = a * (double)x.val[i];
    }
}

void select_rows_columns(const struct select_rows *r,
                         uint32_t from,
                         uint32_t width,
                         double *out)
{
    for (uint32_t part = 0; part < r->n_parts; part++) {
        const float *scale = r->scale[part];
        for (uint32_t i = 0; i < r->x[part]->n; i++, out += width) {
            double a = scale == NULL ? 1 : (double)scale[i];
            row_columns(sv_vecs_get(r->x[part], i), a, from, width, out);
        }
    }
}

struct combine {
    const struct select_rows *r;
    const double *y; /* (m, n). */
    struct sv_vecs *out;
    double *scratch; /* For each thread (n + m, COLUMNS). */
    atomic_bool too_large;
};

static void combine_task(void *arg, size_t index, size_t thread)
{
    struct combine *c = arg;
    const uint32_t n = c->r->n, m = c->out->n;
    uint32_t from = (uint32_t)index * COLUMNS;
    uint32_t width = c->r->len - from < COLUMNS ? c->r->len - from : COLUMNS;
    double *x = c->scratch + thread * ((size_t)n + m) * COLUMNS;
    double *sum = x + (size_t)n * COLUMNS;
    bool finite = true;

    select_rows_columns(c->r, from, width, x);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)width,
                (int)n, 1, c->y, (int)n, x, (int)width, 0, sum, (int)width);
    for (uint32_t i = 0; i < m; i++) {
        float *out = c->out->val + (size_t)i * c->out->ld + from;
        for (uint32_t j = 0; j < width; j++) {
            out[j] = (float)sum[(size_t)i * width + j];
            finite = finite && isfinite(out[j]);
        }
    }
    if (!finite) {
        atomic_store(&c->too_large, true);
    }
}

int select_rows_combine(const struct select_rows *r,
                        const double *y,
                        struct pool *pool,
                        struct sv_vecs *out,
                        struct err *e)
{
    struct combine c = {.r = r, .y = y, .out = out};
    size_t size =
        pool_threads(pool) * ((size_t)r->n + out->n) * COLUMNS * sizeof(double);

    assert(!out->sparse && out->len == r->len);
    if (out->n == 0 || r->n == 0) {
        return 0;
    }
    c.scratch = malloc(size);
    if (c.scratch == NULL) {
        return err_set(e, ERR_NOMEM, "combine %u vectors of %u", r->n, r->len);
    }
    pool_run(pool, ((size_t)r->len + COLUMNS - 1) / COLUMNS, combine_task, &c);
    free(c.scratch);
    if (atomic_load(&c.too_large)) {
        return err_set(e, ERR_NOT_FINITE,
                       "a combination of %u vectors is not finite", r->n);
    }
    return 0;
}
