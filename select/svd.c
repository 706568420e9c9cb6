#include "select/svd.h"

#include <assert.h>
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select/gram.h"
#include "select/rows.h"

/* Of a Gram matrix in double: what is left of a vector below this share of the
 * largest is rounding. Float input is no better than that. */
#define DEPENDENT 1e-14

struct svd {
    struct select_rows u, v;
    uint32_t n;
    uint32_t r1, r2; /* Ranks of U and V. */
    uint32_t k;      /* The lesser of them. */
    double *memory;
    double *g1, *g2; /* (n, n) Grams, then L1 (n, r1), L2 (n, r2), ld n. */
    double *m;       /* (r2, r1) core, ld n. */
    double *p;       /* (r2, k) left singular vectors, ld n. */
    double *t;       /* (k, r1) right singular vectors, ld n. */
    double *s;       /* (n) singular values. */
    double *scale1;  /* (n) what rows of U, */
    double *scale2;  /* (n) and V are multiplied by. */
    double *y;       /* (n, n) combinations. */
};

static int svd_init(struct svd *x,
                    const struct sv_batch *in,
                    const struct sv_batch *carried,
                    struct err *e)
{
    size_t n, square;

    memset(x, 0, sizeof *x);
    select_rows_put(&x->u, &in->u, in->coef);
    select_rows_put(&x->v, &in->v, NULL);
    if (carried != NULL && carried->n > 0) {
        select_rows_put(&x->u, &carried->u, carried->coef);
        select_rows_put(&x->v, &carried->v, NULL);
    }
    x->n = x->u.n;
    n = x->n;
    square = n * n;
    x->memory = malloc((6 * square + 3 * n + 1) * sizeof *x->memory);
    if (x->memory == NULL) {
        return err_set(e, ERR_NOMEM, "decompose %u pairs", x->n);
    }
    x->g1 = x->memory;
    x->g2 = x->g1 + square;
    x->m = x->g2 + square;
    x->p = x->m + square;
    x->t = x->p + square;
    x->y = x->t + square;
    x->s = x->y + square;
    x->scale1 = x->s + n;
    x->scale2 = x->scale1 + n;
    return 0;
}

static void scale(double *g, const double *by, uint32_t n)
{
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t s = 0; s < n; s++) {
            g[(size_t)r * n + s] *= by[r] * by[s];
        }
    }
}

/* Give both sides of a pair the same norm: a pair is then dropped for being
 * small, and never for having its size on one side. */
static void balance(struct svd *x)
{
    for (uint32_t r = 0; r < x->n; r++) {
        size_t at = (size_t)r * x->n + r;
        double ratio = sqrt(x->g1[at]) / sqrt(x->g2[at]);
        bool counts = x->g1[at] > 0 && x->g2[at] > 0;
        x->scale1[r] = counts ? 1 / sqrt(ratio) : 0;
        x->scale2[r] = counts ? sqrt(ratio) : 0;
    }
    scale(x->g1, x->scale1, x->n);
    scale(x->g2, x->scale2, x->n);
}

/* Replace @g by L, with rows in the order of the pairs and zeros right of the
 * rank: g = L L^T. Return the rank. */
static int
decompose(double *g, uint32_t n, double *room, uint32_t *rank, struct err *e)
{
    lapack_int *pivot = malloc(n * sizeof *pivot), found = 0, rc = 0;
    double most = 0;

    if (pivot == NULL) {
        return err_set(e, ERR_NOMEM, "decompose %u pairs", n);
    }
    for (uint32_t r = 0; r < n; r++) {
        most = fmax(most, g[(size_t)r * n + r]);
    }
    if (most > 0) {
        /* Row-major lower is column-major upper. A positive return says that
         * the rank is not n. */
        rc = LAPACKE_dpstrf(LAPACK_COL_MAJOR, 'U', (int)n, g, (int)n, pivot,
                            &found, DEPENDENT * most);
    }
    if (rc < 0) {
        free(pivot);
        return err_set(e, ERR_NOMEM, "decompose %u pairs", n);
    }
    memset(room, 0, (size_t)n * n * sizeof *room);
    for (uint32_t r = 0; r < n && found > 0; r++) {
        uint32_t width = r + 1 < (uint32_t)found ? r + 1 : (uint32_t)found;
        memcpy(room + (size_t)(pivot[r] - 1) * n, g + (size_t)r * n,
               width * sizeof *g);
    }
    memcpy(g, room, (size_t)n * n * sizeof *g);
    free(pivot);
    *rank = (uint32_t)found;
    return 0;
}

/* Singular values and vectors of L2^T L1. */
static int core(struct svd *x, struct err *e)
{
    const int n = (int)x->n, r1 = (int)x->r1, r2 = (int)x->r2;
    int rc;

    x->k = x->r1 < x->r2 ? x->r1 : x->r2;
    if (x->k == 0) {
        return 0;
    }
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, r2, r1, n, 1, x->g2, n,
                x->g1, n, 0, x->m, n);
    /* Column-major sees the transpose: t and p change places. */
    rc = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', r1, r2, x->m, n, x->s, x->t, n,
                        x->p, n);
    if (rc == LAPACK_WORK_MEMORY_ERROR) {
        return err_set(e, ERR_NOMEM, "singular values of %d pairs", n);
    }
    return rc == 0 ? 0
                   : err_set(e, ERR_NOT_FINITE,
                             "singular values of %d pairs do not converge", n);
}

/* Terms that are more than rounding. */
static uint32_t terms(const struct svd *x)
{
    uint32_t n = 0;

    while (n < x->k && x->s[n] > SELECT_SVD_CUT * x->s[0]) {
        n++;
    }
    return n;
}

/* Vectors of terms [from, from + b->n): @l is L of the other side, @w the
 * singular vectors, (., i) at w[i] with steps of @step, and rows are scaled.
 *
 * A singular vector is the update times its partner: no triangle is solved, and
 * what rounding adds is small against the update whatever the vectors are. */
static int side_put(const struct svd *x,
                    uint32_t from,
                    bool u,
                    struct pool *pool,
                    struct sv_batch *b,
                    struct err *e)
{
    const int n = (int)x->n, m = (int)b->n;
    const double *by = u ? x->scale1 : x->scale2;

    if (u) { /* y_i = L2 p_i / s_i. */
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasTrans, m, n, (int)x->r2, 1,
                    x->p + from, n, x->g2, n, 0, x->y, n);
    } else { /* y_i = L1 t_i / s_i. */
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, (int)x->r1,
                    1, x->t + (size_t)from * x->n, n, x->g1, n, 0, x->y, n);
    }
    for (uint32_t i = 0; i < b->n; i++) {
        for (uint32_t r = 0; r < x->n; r++) {
            x->y[(size_t)i * x->n + r] *= by[r] / x->s[from + i];
        }
    }
    return select_rows_combine(u ? &x->u : &x->v, x->y, pool, u ? &b->u : &b->v,
                               e);
}

/* Make @b of terms [from, from + m). */
static int terms_put(const struct svd *x,
                     uint32_t from,
                     uint32_t m,
                     struct pool *pool,
                     struct sv_batch *b,
                     struct err *e)
{
    int rc;

    sv_batch_reset(b, false, false);
    if ((rc = sv_batch_resize(b, m, e)) != 0 ||
        (rc = sv_vecs_resize(&b->u, m, 0, e)) != 0 ||
        (rc = sv_vecs_resize(&b->v, m, 0, e)) != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < m; i++) {
        b->coef[i] = (float)x->s[from + i];
        if (!isfinite(b->coef[i])) {
            return err_set(e, ERR_NOT_FINITE,
                           "a singular value of %u pairs is not finite", x->n);
        }
    }
    rc = side_put(x, from, true, pool, b, e);
    return rc != 0 ? rc : side_put(x, from, false, pool, b, e);
}

static double error_behind(const struct svd *x, uint32_t sent)
{
    double all = 0, left = 0;

    for (uint32_t i = x->k; i-- > 0;) {
        all += x->s[i] * x->s[i];
        left += i >= sent ? x->s[i] * x->s[i] : 0;
    }
    return all > 0 ? sqrt(left / all) : 0;
}

static int svd_run(struct svd *x, struct pool *pool, struct err *e)
{
    int rc;

    if ((rc = select_gram_exact(&x->u, pool, x->g1, e)) != 0 ||
        (rc = select_gram_exact(&x->v, pool, x->g2, e)) != 0) {
        return rc;
    }
    balance(x);
    if ((rc = decompose(x->g1, x->n, x->y, &x->r1, e)) != 0 ||
        (rc = decompose(x->g2, x->n, x->y, &x->r2, e)) != 0) {
        return rc;
    }
    return core(x, e);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int select_svd(const struct select_svd_job *job,
               struct sv_batch *carried,
               struct sv_batch *out,
               double *relative_error,
               struct err *e)
{
    struct sv_batch next;
    struct svd x;
    uint32_t n_terms, sent, n_next;
    int rc = svd_init(&x, job->in, carried, e);

    if (rc != 0) {
        return rc;
    }
    sv_batch_init(&next, job->in->u.len, job->in->v.len);
    rc = x.n == 0 ? 0 : svd_run(&x, job->pool, e);
    if (rc != 0) {
        goto out;
    }
    n_terms = terms(&x);
    sent = least(job->C, n_terms);
    n_next = carried == NULL ? 0 : least(job->feedback, n_terms - sent);
    if ((rc = terms_put(&x, 0, sent, job->pool, out, e)) != 0 ||
        (rc = terms_put(&x, sent, n_next, job->pool, &next, e)) != 0) {
        goto out;
    }
    out->rate = job->in->rate;
    *relative_error = error_behind(&x, sent);
    if (carried != NULL) {
        struct sv_batch old = *carried;
        *carried = next;
        next = old;
    }
out:
    sv_batch_fini(&next);
    free(x.memory);
    return rc;
}
