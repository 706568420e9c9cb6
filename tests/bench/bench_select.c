/* What selection costs, and what it loses.
 *
 *     bench_select [time|error|all] [--quick]
 *
 * Times are medians of runs that take turns in one process, so that other work
 * on the machine falls on all of them.
 */

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"
#include "select/gram.h"
#include "select/jcss.h"
#include "select/select.h"
#include "sv/apply.h"

#define N_THREADS  2
#define ROUNDS_MAX 9
#define COLUMNS    512 /* Of W in a task of the forward product. */

static size_t n_rounds = 7;

static void *must(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "bench_select: out of memory\n");
        exit(1);
    }
    return p;
}

static void check(int rc, const struct err *e)
{
    if (rc != 0) {
        fprintf(stderr, "bench_select: %s\n", e->msg);
        exit(1);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x)
{
    qsort(x, n_rounds, sizeof *x, by_value);
    return x[n_rounds / 2];
}

static double seconds_since(uint64_t t0)
{
    return (double)(clock_ns() - t0) * 1e-9;
}

static uint64_t at;

static float normal(void)
{
    return rng_normal(1, rng_stream(RNG_TEST, 0, 0), at++);
}

static float uniform(void)
{
    return rng_f32(1, rng_stream(RNG_TEST, 1, 0), at++);
}

/* --- Data: vectors of @n pairs near those of a few prototypes. */

struct clusters {
    uint32_t n_prototypes;
    float noise; /* Norm of the noise over that of the prototype. */
};

static void vecs_fill(struct sv_vecs *x,
                      uint32_t n,
                      const uint32_t *cluster,
                      const struct clusters *c)
{
    float *prototypes =
        must(malloc((size_t)c->n_prototypes * x->len * sizeof *prototypes));
    struct err e;

    for (size_t i = 0; i < (size_t)c->n_prototypes * x->len; i++) {
        prototypes[i] = normal();
    }
    check(sv_vecs_resize(x, n, 0, &e), &e);
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t i = 0; i < x->len; i++) {
            x->val[(size_t)r * x->ld + i] =
                prototypes[(size_t)cluster[r] * x->len + i] +
                c->noise * normal();
        }
    }
    free(prototypes);
}

static void batch_fill(struct sv_batch *b, uint32_t n, const struct clusters *c)
{
    uint32_t *cluster = must(malloc(n * sizeof *cluster));
    struct err e;

    sv_batch_reset(b, false, false);
    check(sv_batch_resize(b, n, &e), &e);
    for (uint32_t r = 0; r < n; r++) {
        cluster[r] = (uint32_t)(uniform() * (float)c->n_prototypes);
        b->coef[r] = 1;
    }
    vecs_fill(&b->u, n, cluster, c);
    vecs_fill(&b->v, n, cluster, c);
    free(cluster);
}

/* --- Error. */

/* Errors of C pairs drawn: with weights, as they are, times B / C. */
static void errors_of(const struct sv_batch *b,
                      const struct select_jcss_options *o,
                      double sum[3])
{
    size_t square = (size_t)b->n * b->n;
    double *g1 = must(malloc(square * sizeof *g1));
    double *g2 = must(malloc(square * sizeof *g2));
    double *w = must(malloc(b->n * sizeof *w));
    uint32_t *index = must(malloc(b->n * sizeof *index)), m;
    struct select_grams g = {b->n, g1, g2};
    struct err e;

    check(select_gram(&b->u, b->coef, NULL, g1, &e), &e);
    check(select_gram(&b->v, NULL, NULL, g2, &e), &e);
    check(select_jcss(&g, o, index, &m, &e), &e);
    check(select_fit(&g, index, m, w, &e), &e);
    sum[0] += select_error(&g, index, m, w);
    for (uint32_t i = 0; i < m; i++) {
        w[i] = 1;
    }
    sum[1] += select_error(&g, index, m, w);
    for (uint32_t i = 0; i < m; i++) {
        w[i] = (double)b->n / m;
    }
    sum[2] += select_error(&g, index, m, w);
    free(g1);
    free(g2);
    free(w);
    free(index);
}

static double svd_error(const struct sv_batch *b, uint32_t C)
{
    struct select_spec s = {.kind = SELECT_SVD, .C = C};
    struct select_job job = {.in = b};
    struct sv_batch out;
    double error;
    struct err e;

    sv_batch_init(&out, b->u.len, b->v.len);
    check(select_run(&s, &job, &out, &error, &e), &e);
    sv_batch_fini(&out);
    return error;
}

static void error_row(uint32_t B, uint32_t C, const struct clusters *c)
{
    const uint32_t n_trials = 20;
    double drawn[3] = {0}, greedy[3] = {0}, svd = 0;

    for (uint32_t i = 0; i < n_trials; i++) {
        struct select_jcss_options o = {.C = C, .seed = i};
        struct sv_batch b;
        sv_batch_init(&b, 300, 500);
        batch_fill(&b, B, c);
        errors_of(&b, &o, drawn);
        o.greedy = true;
        errors_of(&b, &o, greedy);
        svd += svd_error(&b, C);
        sv_batch_fini(&b);
    }
    printf("  %4u %4u %10u %6.2f | %8.3f %8.3f %8.3f | %8.3f %8.3f %8.3f | "
           "%6.3f\n",
           B, C, c->n_prototypes, (double)c->noise, drawn[0] / n_trials,
           drawn[1] / n_trials, drawn[2] / n_trials, greedy[0] / n_trials,
           greedy[1] / n_trials, greedy[2] / n_trials, svd / n_trials);
}

static void errors(void)
{
    static const float NOISE[] = {0.1f, 0.2f, 0.4f};

    printf("relative error of the update, clustered u (300) and v (500), mean "
           "of 20 batches\n"
           "                               | jcss                       | "
           "jcss-greedy                | svd\n"
           "     B    C prototypes  noise | weighted  as they    B / C | "
           "weighted  as they    B / C |\n");
    for (size_t i = 0; i < sizeof NOISE / sizeof *NOISE; i++) {
        struct clusters few = {6, NOISE[i]}, more = {8, NOISE[i]};
        error_row(32, 8, &few);
        error_row(32, 8, &more);
        error_row(256, 32, &more);
    }
}

/* --- Time. */

struct bench {
    struct pool *pool;
    struct sv_apply *apply;
    struct sv_state state;
    struct sv_batch in, out;
    float *logits; /* (B, J). */
};

static void forward_task(void *arg, size_t index, size_t thread)
{
    struct bench *b = arg;
    const struct mat *w = &b->state.w;
    size_t col = index * COLUMNS;
    size_t n = w->J - col < COLUMNS ? w->J - col : COLUMNS;

    (void)thread;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)b->in.n, (int)n,
                (int)w->K, 1, b->in.v.val, (int)b->in.v.ld, w->data + col,
                (int)w->ld, 0, b->logits + col, (int)w->ld);
}

static double time_forward(struct bench *b)
{
    uint64_t t0 = clock_ns();

    pool_run(b->pool, (b->state.w.J + COLUMNS - 1) / COLUMNS, forward_task, b);
    return seconds_since(t0);
}

static double time_select(struct bench *b, const struct select_spec *s)
{
    struct select_job job = {.in = &b->in, .pool = b->pool};
    double error;
    uint64_t t0 = clock_ns();
    struct err e;

    check(select_run(s, &job, &b->out, &error, &e), &e);
    return seconds_since(t0);
}

static double time_apply(struct bench *b)
{
    struct sv_op op = {.kind = SV_OP_APPLY, .batch = &b->out};
    uint64_t t0 = clock_ns();
    struct err e;

    check(sv_apply_ops(b->apply, &b->state, &op, 1, b->pool, &e), &e);
    return seconds_since(t0);
}

static void bench_init(struct bench *b, uint32_t B, uint32_t J, uint32_t K)
{
    const struct clusters c = {64, 0.5f};
    struct err e;

    memset(b, 0, sizeof *b);
    openblas_set_num_threads(1);
    check(pool_create(&b->pool, N_THREADS, &e), &e);
    b->apply = must(sv_apply_create());
    check(sv_state_init(&b->state, SV_PLAIN, 1e-6f, K, J, &e), &e);
    memset(b->state.w.data, 0, b->state.w.size);
    sv_batch_init(&b->in, J, K);
    sv_batch_init(&b->out, J, K);
    batch_fill(&b->in, B, &c);
    b->logits = must(calloc(B * b->state.w.ld, sizeof *b->logits));
}

static void bench_fini(struct bench *b)
{
    sv_batch_fini(&b->in);
    sv_batch_fini(&b->out);
    sv_state_fini(&b->state);
    sv_apply_destroy(b->apply);
    pool_destroy(b->pool);
    free(b->logits);
}

static void clock_row(uint32_t B, uint32_t C, uint32_t J, uint32_t K)
{
    static const enum select_kind KINDS[] = {SELECT_SVD, SELECT_JCSS_GREEDY,
                                             SELECT_JCSS};
    double forward[ROUNDS_MAX], apply[ROUNDS_MAX], select[3][ROUNDS_MAX];
    double f, a, t[3];
    struct bench b;

    bench_init(&b, B, J, K);
    time_forward(&b);
    for (size_t i = 0; i < n_rounds; i++) {
        forward[i] = time_forward(&b);
        for (size_t k = 0; k < 3; k++) {
            struct select_spec s = {.kind = KINDS[k], .C = C};
            select[k][i] = time_select(&b, &s);
        }
        apply[i] = time_apply(&b);
    }
    f = median(forward);
    a = median(apply);
    for (size_t k = 0; k < 3; k++) {
        t[k] = median(select[k]);
    }
    printf("  %4u %4u %6u %6u %9.2f %7.2f | %7.2f %5.1f%% | %7.2f %5.1f%% | "
           "%8.2f %5.1f%%\n",
           B, C, J, K, f * 1e3, a * 1e3, t[2] * 1e3, 100 * t[2] / (f + a),
           t[1] * 1e3, 100 * t[1] / (f + a), t[0] * 1e3, 100 * t[0] / (f + a));
    bench_fini(&b);
}

static void growth_row(uint32_t B, uint32_t C, uint32_t J)
{
    struct select_spec s = {.kind = SELECT_JCSS, .C = C};
    double select[ROUNDS_MAX], t;
    struct bench b;

    bench_init(&b, B, J, 16); /* W stays small. */
    sv_batch_fini(&b.in);
    sv_batch_fini(&b.out);
    sv_batch_init(&b.in, J, J);
    sv_batch_init(&b.out, J, J);
    batch_fill(&b.in, B, &(struct clusters){64, 0.5f});
    time_select(&b, &s);
    for (size_t i = 0; i < n_rounds; i++) {
        select[i] = time_select(&b, &s);
    }
    t = median(select);
    printf("  %4u %4u %6u %6u %9.2f %12.2f\n", B, C, J, J, t * 1e3,
           t * 1e12 / ((double)B * B * 2 * J));
    bench_fini(&b);
}

/* Text: few features are in most samples. Entries of @x: @nnz a vector. */
static uint32_t draw_sparse(uint32_t len, uint32_t nnz, uint32_t *idx)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < len; i++) {
        float common = 0.7f / (1 + 20 * (float)i / (float)nnz);
        float rare = 0.5f * (float)nnz / (float)len;
        if (uniform() < common + rare) {
            idx[n++] = i;
        }
    }
    return n;
}

static void
sparse_row(uint32_t B, uint32_t J, uint32_t K, uint32_t n_u, uint32_t n_v)
{
    const struct select_spec s = {.kind = SELECT_JCSS, .C = B / 8};
    uint32_t *idx = must(malloc(((size_t)J + K) * sizeof *idx));
    float *val = must(malloc(((size_t)J + K) * sizeof *val));
    double select[ROUNDS_MAX];
    struct bench b;
    struct err e;

    bench_init(&b, 1, 16, 16);
    sv_batch_fini(&b.in);
    sv_batch_fini(&b.out);
    sv_batch_init(&b.in, J, K);
    sv_batch_init(&b.out, J, K);
    sv_batch_reset(&b.in, true, true);
    for (size_t i = 0; i < (size_t)J + K; i++) {
        val[i] = normal();
    }
    for (uint32_t r = 0; r < B; r++) {
        struct sv_vec u = {draw_sparse(J, n_u, idx), idx, val};
        struct sv_vec v = {draw_sparse(K, n_v, idx + J), idx + J, val + r};
        check(sv_batch_append(&b.in, 1, u, v, r, &e), &e);
    }
    time_select(&b, &s);
    for (size_t i = 0; i < n_rounds; i++) {
        select[i] = time_select(&b, &s);
    }
    printf("  %4u %4u %6u %6u %8zu %8zu %9.2f\n", B, B / 8, J, K,
           sv_vecs_entries(&b.in.u) / B, sv_vecs_entries(&b.in.v) / B,
           median(select) * 1e3);
    bench_fini(&b);
    free(idx);
    free(val);
}

static void times(bool quick)
{
    printf("time of a clock in ms, dense, %d threads; selection also as a "
           "share of forward and apply\n"
           "     B    C      J      K   forward   apply | jcss           | "
           "jcss-greedy    | svd\n",
           N_THREADS);
    clock_row(256, 32, 8192, 8192);
    clock_row(64, 8, 8192, 8192);
    if (!quick) {
        clock_row(256, 32, 1024, 8192);
    }
    printf("how jcss grows: ps for each of B^2 (J + K)\n"
           "     B    C      J      K        ms           ps\n");
    growth_row(128, 32, 8192);
    growth_row(256, 8, 8192);
    growth_row(256, 32, 4096);
    growth_row(256, 32, 8192);
    growth_row(256, 64, 8192);
    growth_row(512, 32, 8192);
    printf("jcss of sparse pairs\n"
           "     B    C      J      K   nnz(u)   nnz(v)        ms\n");
    sparse_row(256, 141, 32768, 10, 32);
    sparse_row(256, 1626, 85584, 30, 73);
}

int main(int argc, char **argv)
{
    bool quick = false, want_time = true, want_error = true;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            quick = true;
            n_rounds = 3;
        } else if (strcmp(argv[i], "time") == 0) {
            want_error = false;
        } else if (strcmp(argv[i], "error") == 0) {
            want_time = false;
        } else if (strcmp(argv[i], "all") != 0) {
            fprintf(stderr, "usage: bench_select [time|error|all] "
                            "[--quick]\n");
            return 2;
        }
    }
    if (want_error) {
        errors();
    }
    if (want_time) {
        times(quick);
    }
    return 0;
}
