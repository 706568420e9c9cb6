/* How fast the exact apply is, against what the machine can do.
 *
 *     bench_apply [dense|sparse|all] [--quick]
 *
 * Ratios are of medians of runs that take turns in one process, so that other
 * work on the machine falls on both sides.
 */

#include <cblas.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/isa.h"
#include "core/rng.h"
#include "sv/apply.h"

#define N_THREADS   2
#define ROUNDS_MAX  9
#define BATCHES_MAX 4096

static size_t n_rounds = 7;

static void *must(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "bench_apply: out of memory\n");
        exit(1);
    }
    return p;
}

static void check(int rc, const struct err *e)
{
    if (rc != 0) {
        fprintf(stderr, "bench_apply: %s\n", e->msg);
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

static uint64_t draw(void)
{
    static uint64_t at;

    return rng_u64(1, rng_stream(RNG_TEST, 2, 0), at++);
}

static double draw_unit(void)
{
    return (double)(draw() >> 11) * 0x1p-53;
}

struct bench {
    struct pool *pool; /* N_THREADS. */
    struct sv_apply *x;
    struct sv_state s;
    struct err e;
};

static void bench_init(struct bench *b, enum sv_rule rule, size_t K, size_t J)
{
    check(pool_create(&b->pool, N_THREADS, &b->e), &b->e);
    b->x = must(sv_apply_create());
    check(sv_state_init(&b->s, rule, 1e-6f, K, J, &b->e), &b->e);
    memset(b->s.w.data, 0, b->s.w.size); /* Pages are there before we time. */
}

static void bench_fini(struct bench *b)
{
    sv_state_fini(&b->s);
    sv_apply_destroy(b->x);
    pool_destroy(b->pool);
}

static double time_apply(struct bench *b,
                         const struct sv_op *ops,
                         size_t n_ops,
                         struct pool *pool)
{
    uint64_t t0 = clock_ns();

    check(sv_apply_ops(b->x, &b->s, ops, n_ops, pool, &b->e), &b->e);
    return seconds_since(t0);
}

static void dense_fill(struct sv_batch *b, uint32_t n)
{
    struct err e;

    sv_batch_reset(b, false, false);
    check(sv_batch_resize(b, n, &e), &e);
    check(sv_vecs_resize(&b->u, n, 0, &e), &e);
    check(sv_vecs_resize(&b->v, n, 0, &e), &e);
    for (uint32_t r = 0; r < n; r++) {
        b->coef[r] = 1;
        for (uint32_t j = 0; j < b->u.len; j++) {
            b->u.val[(size_t)r * b->u.ld + j] = (float)(draw_unit() - 0.5);
        }
        for (uint32_t k = 0; k < b->v.len; k++) {
            b->v.val[(size_t)r * b->v.ld + k] = (float)(draw_unit() - 0.5);
        }
    }
}

static void dense_row(struct bench *b, uint32_t n, const char *isa)
{
    const int K = (int)b->s.w.K, J = (int)b->s.w.J;
    double ours[ROUNDS_MAX], blas[ROUNDS_MAX], flops;
    double mine, theirs;
    struct sv_batch batch;
    struct sv_op op = {.kind = SV_OP_APPLY, .batch = &batch};

    sv_batch_init(&batch, (uint32_t)J, (uint32_t)K);
    dense_fill(&batch, n);
    check(isa_force(isa, &b->e), &b->e);
    time_apply(b, &op, 1, b->pool);
    for (size_t i = 0; i < n_rounds; i++) {
        uint64_t t0;
        ours[i] = time_apply(b, &op, 1, b->pool);
        t0 = clock_ns();
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, K, J, (int)n, 1,
                    batch.v.val, (int)batch.v.ld, batch.u.val, (int)batch.u.ld,
                    1, b->s.w.data, (int)b->s.w.ld);
        blas[i] = seconds_since(t0);
    }
    flops = 2.0 * n * K * J;
    mine = median(ours);
    theirs = median(blas);
    printf("  %-7s %5u %10.1f %10.1f %8.2f\n", isa, n, flops / mine * 1e-9,
           flops / theirs * 1e-9, theirs / mine);
    sv_batch_fini(&batch);
}

static void dense(void)
{
    static const uint32_t PAIRS[] = {8, 32, 128, 512, 2048};
    struct bench b;

    openblas_set_num_threads(N_THREADS);
    printf("dense v, dense u: W 8192 x 8192, %d threads, OpenBLAS core %s\n"
           "  isa         n     GF/s   sgemm GF/s   ratio\n",
           N_THREADS, openblas_get_corename());
    bench_init(&b, SV_PLAIN, 8192, 8192);
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
        struct err e;
        if (isa_force("avx512", &e) == 0) {
            dense_row(&b, PAIRS[i], "avx512");
        }
        if (isa_force("avx2", &e) == 0) {
            dense_row(&b, PAIRS[i], "avx2");
        }
        if (isa_force("neon", &e) == 0) {
            dense_row(&b, PAIRS[i], "neon");
        }
    }
    bench_fini(&b);
}

/* Text-like features: a few in most samples, the rest rare. */
static uint32_t feature_of_text(uint32_t K)
{
    double x = draw_unit();
    uint64_t i;

    if (draw_unit() < 0.4) {
        i = (uint64_t)(300 * x * x);
    } else {
        i = (uint64_t)((double)K * x * x * x);
    }
    return (uint32_t)((i * 2654435761u >> 3) % K);
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* What the sparse pairs of a batch look like. */
struct shape {
    uint32_t K, J;
    uint32_t n_v; /* Entries of v. */
    uint32_t n_u; /* Entries of u on average, 0: dense. */
    bool uniform; /* Rows of v, else like text. */
};

static uint32_t draw_v(const struct shape *s, uint32_t *idx)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_v; i++) {
        idx[i] = s->uniform ? (uint32_t)(draw() % s->K) : feature_of_text(s->K);
    }
    qsort(idx, s->n_v, sizeof *idx, by_index);
    for (uint32_t i = 0; i < s->n_v; i++) {
        if (n == 0 || idx[n - 1] != idx[i]) {
            idx[n++] = idx[i];
        }
    }
    return n;
}

/* Some classes are in most u. */
static uint32_t draw_u(const struct shape *s, uint32_t *idx)
{
    uint32_t n = 0;
    double share = s->n_u / (0.04 * s->J + 0.2 * s->n_u + 1e-9);

    for (uint32_t j = 0; j < s->J; j++) {
        bool common = (j * 2654435761u >> 8) % 25 == 0;
        double p =
            common ? 0.8 * share / (1 + share) : (double)s->n_u / s->J * 0.75;
        if (draw_unit() < p) {
            idx[n++] = j;
        }
    }
    return n;
}

static void sparse_fill(struct sv_batch *b, uint32_t n, const struct shape *s)
{
    uint32_t *u_idx = must(malloc(s->J * sizeof *u_idx));
    uint32_t *v_idx = must(malloc(s->n_v * sizeof *v_idx));
    float *val = must(malloc((s->J + s->n_v) * sizeof *val));
    struct err e;

    sv_batch_init(b, s->J, s->K);
    sv_batch_reset(b, s->n_u > 0, true);
    b->rate = 0.5f;
    for (uint32_t i = 0; i < s->J + s->n_v; i++) {
        val[i] = (float)(draw_unit() - 0.3);
    }
    for (uint32_t r = 0; r < n; r++) {
        struct sv_vec u = {.nnz = s->J, .val = val};
        struct sv_vec v = {.idx = v_idx, .val = val};
        if (s->n_u > 0) {
            u.nnz = draw_u(s, u_idx);
            u.idx = u_idx;
        }
        v.nnz = draw_v(s, v_idx);
        check(sv_batch_append(b, -1, u, v, r, &e), &e);
    }
    free(u_idx);
    free(v_idx);
    free(val);
}

/* The rows that a batch touches, each once. */
static size_t distinct_rows(const struct sv_batch *b, uint32_t *rows)
{
    char *seen = must(calloc(b->v.len, 1));
    size_t n = 0;

    for (size_t i = 0; i < sv_vecs_entries(&b->v); i++) {
        if (!seen[b->v.idx[i]]) {
            seen[b->v.idx[i]] = 1;
            rows[n++] = b->v.idx[i];
        }
    }
    free(seen);
    return n;
}

struct stream {
    const struct mat *w;
    const uint32_t *rows;
    size_t n;
};

/* What STREAM would do with those rows: read, add, write. */
static void stream_task(void *arg, size_t index, size_t thread)
{
    const struct stream *s = arg;
    size_t end = (index + 1) * 64 < s->n ? (index + 1) * 64 : s->n;

    (void)thread;
    for (size_t i = index * 64; i < end; i++) {
        float *w = mat_row(s->w, s->rows[i]);
        for (size_t j = 0; j < s->w->ld; j++) {
            w[j] += 1e-6f;
        }
    }
}

static void sparse_bytes(enum sv_rule rule, uint32_t n)
{
    const struct shape shape = {
        .K = 85584, .J = 1626, .n_v = 73, .uniform = true};
    double ours[ROUNDS_MAX], raw[ROUNDS_MAX], bytes, mine, theirs;
    uint32_t *rows = must(malloc(shape.K * sizeof *rows));
    struct sv_batch batch;
    struct sv_op op = {.kind = SV_OP_APPLY, .batch = &batch};
    struct stream stream = {.rows = rows};
    struct bench b;

    bench_init(&b, rule, shape.K, shape.J);
    sparse_fill(&batch, n, &shape);
    stream.w = &b.s.w;
    stream.n = distinct_rows(&batch, rows);
    time_apply(&b, &op, 1, b.pool);
    for (size_t i = 0; i < n_rounds; i++) {
        uint64_t t0;
        ours[i] = time_apply(&b, &op, 1, b.pool);
        t0 = clock_ns();
        pool_run(b.pool, stream.n / 64 + 1, stream_task, &stream);
        raw[i] = seconds_since(t0);
    }
    bytes = 2.0 * (double)stream.n * (double)b.s.w.ld * sizeof(float);
    mine = median(ours);
    theirs = median(raw);
    printf("  %-8s %5u %7zu %9.1f %9.1f %7.2f\n", sv_rule_name(rule), n,
           stream.n, bytes / mine * 1e-9, bytes / theirs * 1e-9, theirs / mine);
    sv_batch_fini(&batch);
    bench_fini(&b);
    free(rows);
}

static void
sparse_pairs(const struct shape *shape, size_t n_batches, uint32_t n_pairs)
{
    static struct sv_batch batches[BATCHES_MAX];
    static struct sv_op ops[BATCHES_MAX];
    double one[ROUNDS_MAX], two[ROUNDS_MAX], t1, t2;
    double entries = 0, updates = 0;
    struct bench b;

    bench_init(&b, SV_ROWGRAD, shape->K, shape->J);
    for (size_t i = 0; i < n_batches; i++) {
        struct sv_batch *x = &batches[i];
        sparse_fill(x, n_pairs, shape);
        ops[i] = (struct sv_op){.kind = SV_OP_APPLY, .batch = x};
        entries += (double)sv_vecs_entries(&x->v);
        for (uint32_t r = 0; r < n_pairs; r++) {
            updates += (double)sv_vecs_get(&x->u, r).nnz *
                       (double)sv_vecs_get(&x->v, r).nnz;
        }
    }
    time_apply(&b, ops, n_batches, b.pool);
    for (size_t i = 0; i < n_rounds; i++) {
        uint64_t t0 = clock_thread_cpu_ns();
        time_apply(&b, ops, n_batches, NULL);
        one[i] = (double)(clock_thread_cpu_ns() - t0) * 1e-9;
        two[i] = time_apply(&b, ops, n_batches, b.pool);
    }
    t1 = median(one);
    t2 = median(two);
    printf("  %6u %5u %4u %6zu %5u %10.1f %8.1f %8.2f %8.2f\n", shape->K,
           shape->J, shape->n_u, n_batches, n_pairs, t1 * 1e6,
           t1 / entries * 1e9, t1 / updates * 1e9, t1 / t2);
    for (size_t i = 0; i < n_batches; i++) {
        sv_batch_fini(&batches[i]);
    }
    bench_fini(&b);
}

static void sparse(bool quick)
{
    const struct shape langid = {.K = 32768, .J = 141, .n_v = 32, .n_u = 13};
    const struct shape langid_dense = {.K = 32768, .J = 141, .n_v = 32};
    const struct shape poems = {.K = 85584, .J = 1626, .n_v = 73, .n_u = 30};

    printf("sparse v, dense u: W 85584 x 1626 (557 MB), 73 entries a v, %d "
           "threads\n  rule         n    rows      GB/s   raw GB/s   ratio\n",
           N_THREADS);
    sparse_bytes(SV_PLAIN, 64);
    sparse_bytes(SV_PLAIN, 256);
    sparse_bytes(SV_ROWGRAD, 256);
    printf("sparse v, rowgrad: CPU time of 1 thread, and what 2 gain\n"
           "       K     J nnz(u) calls pairs         us ns/entry ns/update  "
           "2 gain\n");
    sparse_pairs(&langid, 1, 64);
    sparse_pairs(&langid, 8, 64);
    sparse_pairs(&langid, 8, 512);
    sparse_pairs(&langid, quick ? 512 : BATCHES_MAX, 64);
    sparse_pairs(&langid_dense, 8, 64);
    sparse_pairs(&langid_dense, 8, 512);
    sparse_pairs(&poems, 1, 256);
    sparse_pairs(&poems, 8, 256);
}

int main(int argc, char **argv)
{
    bool quick = false, want_dense = true, want_sparse = true;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            quick = true;
            n_rounds = 3;
        } else if (strcmp(argv[i], "dense") == 0) {
            want_sparse = false;
        } else if (strcmp(argv[i], "sparse") == 0) {
            want_dense = false;
        } else if (strcmp(argv[i], "all") != 0) {
            fprintf(stderr, "usage: bench_apply [dense|sparse|all] "
                            "[--quick]\n");
            return 2;
        }
    }
    if (want_sparse) {
        printf("isa %s\n", isa_name(isa_get()));
        sparse(quick);
    }
    if (want_dense) {
        dense();
    }
    return 0;
}
