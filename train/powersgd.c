#include "train/powersgd.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

/* What is left of a column, relative to what it was, if it is nothing but
 * rounding. */
#define RANK_TOLERANCE 1e-6

/* Draw column @c of Q anew. */
static void draw_column(struct train_powersgd *s, uint32_t c)
{
    uint64_t stream = rng_stream(RNG_INIT, s->n_drawn++, s->r);

    for (uint32_t j = 0; j < s->J; j++) {
        s->q[(size_t)j * s->r + c] = rng_normal(s->seed, stream, j);
    }
}

int train_powersgd_init(struct train_powersgd *s,
                        uint32_t K,
                        uint32_t J,
                        uint32_t r,
                        uint32_t n_peers,
                        uint64_t seed,
                        struct err *e)
{
    memset(s, 0, sizeof *s);
    if (r == 0 || r > TRAIN_POWERSGD_RANK_MAX || r > K || r > J) {
        return err_set(e, ERR_INVALID,
                       "rank %u of a matrix (%u, %u): from 1 to %u", r, K, J,
                       K < J ? K : J);
    }
    s->K = K;
    s->J = J;
    s->r = r;
    s->n_peers = n_peers;
    s->seed = seed;
    s->apply = sv_apply_create();
    s->p = calloc((size_t)K * r, sizeof *s->p);
    s->q = calloc((size_t)J * r, sizeof *s->q);
    if (s->apply == NULL || s->p == NULL || s->q == NULL) {
        return err_set(e, ERR_NOMEM, "factors of rank %u", r);
    }
    for (uint32_t c = 0; c < r; c++) {
        draw_column(s, c);
    }
    return sv_state_init(&s->sum, SV_PLAIN, 0, K, J, e);
}

void train_powersgd_fini(struct train_powersgd *s)
{
    sv_state_fini(&s->sum);
    sv_apply_destroy(s->apply);
    free(s->p);
    free(s->q);
    memset(s, 0, sizeof *s);
}

int train_powersgd_begin(struct train_powersgd *s,
                         const struct sv_batch *own,
                         struct pool *pool,
                         float *p,
                         struct err *e)
{
    struct sv_op op = {.kind = SV_OP_APPLY, .batch = own};
    int rc = sv_apply_ops(s->apply, &s->sum, &op, 1, pool, e);

    if (rc != 0) {
        return rc;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)s->K, (int)s->r,
                (int)s->J, 1, s->sum.w.data, (int)s->sum.w.ld, s->q, (int)s->r,
                0, p, (int)s->r);
    return 0;
}

/* Columns @a and @b of (n, r) numbers. */
static double
dot(const float *x, uint32_t n, uint32_t r, uint32_t a, uint32_t b)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i * r + a] * (double)x[i * r + b];
    }
    return sum;
}

/* Column @b less @f times column @a. */
static void
subtract(float *x, uint32_t n, uint32_t r, uint32_t a, uint32_t b, double f)
{
    for (size_t i = 0; i < n; i++) {
        x[i * r + b] = (float)((double)x[i * r + b] - f * (double)x[i * r + a]);
    }
}

static void scale(float *x, uint32_t n, uint32_t r, uint32_t c, double f)
{
    for (size_t i = 0; i < n; i++) {
        x[i * r + c] = f == 0 ? 0 : (float)(f * (double)x[i * r + c]);
    }
}

/* Gram and Schmidt, twice for each column, in a fixed order: no BLAS, whose
 * order is its own, so that all peers have the same bits. */
static void orthonormalize(float *x, uint32_t n, uint32_t r)
{
    for (uint32_t c = 0; c < r; c++) {
        double before = dot(x, n, r, c, c), after;
        for (uint32_t k = 0; k < 2 * c; k++) {
            uint32_t a = k % c;
            subtract(x, n, r, a, c, dot(x, n, r, a, c));
        }
        after = dot(x, n, r, c, c);
        scale(x, n, r, c,
              after > before * RANK_TOLERANCE * RANK_TOLERANCE ? 1 / sqrt(after)
                                                               : 0);
    }
}

void train_powersgd_middle(struct train_powersgd *s,
                           const float *p_sum,
                           float *q)
{
    memcpy(s->p, p_sum, (size_t)s->K * s->r * sizeof *s->p);
    orthonormalize(s->p, s->K, s->r);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)s->J, (int)s->r,
                (int)s->K, 1, s->sum.w.data, (int)s->sum.w.ld, s->p, (int)s->r,
                0, q, (int)s->r);
}

/* The pairs of P Q^T. */
static int
write_update(const struct train_powersgd *s, struct sv_batch *b, struct err *e)
{
    int rc;

    sv_batch_reset(b, false, false);
    rc = sv_batch_resize(b, s->r, e);
    rc = rc != 0 ? rc : sv_vecs_resize(&b->u, s->r, 0, e);
    rc = rc != 0 ? rc : sv_vecs_resize(&b->v, s->r, 0, e);
    if (rc != 0) {
        sv_batch_reset(b, false, false);
        return rc;
    }
    for (uint32_t c = 0; c < s->r; c++) {
        float *u = b->u.val + (size_t)c * b->u.ld;
        float *v = b->v.val + (size_t)c * b->v.ld;
        b->coef[c] = 1;
        for (uint32_t j = 0; j < s->J; j++) {
            u[j] = s->q[(size_t)j * s->r + c];
        }
        for (uint32_t k = 0; k < s->K; k++) {
            v[k] = s->p[(size_t)k * s->r + c];
        }
    }
    return 0;
}

int train_powersgd_end(struct train_powersgd *s,
                       const float *q_sum,
                       struct sv_batch *update,
                       struct err *e)
{
    int rc;

    memcpy(s->q, q_sum, (size_t)s->J * s->r * sizeof *s->q);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)s->K, (int)s->J,
                (int)s->r, -1.0f / (float)s->n_peers, s->p, (int)s->r, s->q,
                (int)s->r, 1, s->sum.w.data, (int)s->sum.w.ld);
    rc = write_update(s, update, e);
    for (uint32_t c = 0; c < s->r; c++) {
        if (dot(s->q, s->J, s->r, c, c) == 0) {
            draw_column(s, c);
        }
    }
    return rc;
}
