/* The forward product and the whole gradient of a softmax regression, on
 * synthetic rows whose features follow Zipf's law, against a plain loop over
 * rows of W, interleaved in one run; and the product of dense rows against
 * sgemm, on one thread. OPENBLAS_CORETYPE says which kernels sgemm has.
 *
 *     bench_forward [THREADS [ISA]]
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "core/clock.h"
#include "core/isa.h"
#include "core/rng.h"
#include "models/forward.h"
#include "models/model.h"

#define ROUNDS 5
#define BATCH  256

struct shape {
    const char *name;
    uint32_t K, J, nnz, n_rows;
};

static const struct shape SHAPES[] = {
    {"141 classes, W of 19 MB", 32768, 141, 32, 65536},
    {"1626 classes, W of 557 MB", 85584, 1626, 73, 8192},
};

struct bench {
    struct shape shape;
    struct dataset data;
    struct mat w;
    const struct mat *ws[1];
    const struct model_ops *ops;
    struct model *model;
    struct pool *pool;
    struct sv_batch batch;
    float *x; /* (threads, FORWARD_BLOCK, ld) logits. */
};

static void *get(size_t n, size_t size)
{
    void *p = aligned_alloc(64, (n * size + 63) / 64 * 64);

    if (p == NULL) {
        fprintf(stderr, "bench_forward: out of memory\n");
        exit(1);
    }
    return p;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Ascending features without repetition, rank r as often as 1 / r. */
static uint32_t fill_row(const struct shape *s, uint32_t row, uint32_t *idx)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->nnz; i++) {
        double u = (double)rng_f32(1, row, i);
        uint32_t rank = (uint32_t)exp(u * log(s->K));
        idx[i] = (uint32_t)rng_permute(1, 0, s->K, rank % s->K);
    }
    qsort(idx, s->nnz, sizeof *idx, by_number);
    for (uint32_t i = 0; i < s->nnz; i++) {
        if (n == 0 || idx[n - 1] != idx[i]) {
            idx[n++] = idx[i];
        }
    }
    return n;
}

static void fill_data(struct bench *b)
{
    const struct shape *s = &b->shape;
    struct dataset *d = &b->data;
    size_t n = (size_t)s->n_rows * s->nnz;

    memset(d, 0, sizeof *d);
    d->schema.n_features = s->K;
    d->schema.n_classes = s->J;
    d->n_rows = s->n_rows;
    d->n_rows_file = s->n_rows;
    d->n_shards = 1;
    d->ptr = get(s->n_rows + 1, sizeof *d->ptr);
    d->idx = get(n, sizeof *d->idx);
    d->val = get(n, sizeof *d->val);
    d->label = get(s->n_rows, sizeof *d->label);
    d->ptr[0] = 0;
    for (uint32_t i = 0; i < s->n_rows; i++) {
        d->label[i] = (uint32_t)rng_below(2, 0, i, s->J);
        d->ptr[i + 1] = d->ptr[i] + fill_row(s, i, d->idx + d->ptr[i]);
    }
    for (size_t i = 0; i < n; i++) {
        d->val[i] = 1 / sqrtf((float)s->nnz);
    }
}

/* Random weights that make some classes likely and most of them not. */
static void fill_w(struct bench *b)
{
    mat_init(&b->w, b->shape.K, b->shape.J, NULL);
    for (size_t k = 0; k < b->w.K; k++) {
        float *w = mat_row(&b->w, k);
        for (size_t j = 0; j < b->w.J; j++) {
            w[j] = 8 * (float)((k * 2654435761u + j * 40503u) % 4096) / 4096;
        }
    }
}

/* The plain loop: a row of W at a time. */
static void task_plain(void *arg, size_t index, size_t thread)
{
    const struct bench *b = arg;
    const size_t L = b->w.ld;
    float *restrict x = b->x + thread * FORWARD_BLOCK * L;

    for (size_t i = 0; i < FORWARD_BLOCK; i++) {
        struct dataset_row row =
            dataset_row(&b->data, (uint32_t)(index * FORWARD_BLOCK + i));
        memset(x, 0, L * sizeof *x);
        for (uint32_t t = 0; t < row.nnz; t++) {
            const float *restrict w = mat_row(&b->w, row.idx[t]);
            for (size_t j = 0; j < L; j++) {
                x[j] += row.val[t] * w[j];
            }
        }
    }
}

static void task_forward(void *arg, size_t index, size_t thread)
{
    const struct bench *b = arg;
    struct forward_block f = {.w = &b->w,
                              .n = FORWARD_BLOCK,
                              .x = b->x + thread * FORWARD_BLOCK * b->w.ld};

    for (uint32_t i = 0; i < FORWARD_BLOCK; i++) {
        f.rows[i] =
            dataset_row(&b->data, (uint32_t)(index * FORWARD_BLOCK + i));
    }
    forward_product(&f);
}

static double time_tasks(struct bench *b, pool_fn fn)
{
    uint64_t t0 = clock_ns();

    pool_run(b->pool, b->shape.n_rows / FORWARD_BLOCK, fn, b);
    return 1e-9 * (double)(clock_ns() - t0);
}

static double time_gradient(struct bench *b, struct sv_sparsify s)
{
    uint32_t rows[BATCH];
    struct model_input in = {.data = &b->data,
                             .rows = rows,
                             .n = BATCH,
                             .w = b->ws,
                             .sparsify = &s,
                             .pool = b->pool};
    struct model_loss loss;
    uint64_t t0 = clock_ns();

    for (uint32_t at = 0; at + BATCH <= b->shape.n_rows; at += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            rows[i] = at + i;
        }
        if (b->ops->gradient(b->model, &in, &b->batch, &loss, NULL) != 0) {
            exit(1);
        }
    }
    return 1e-9 * (double)(clock_ns() - t0);
}

static void keep_least(double *least, double x)
{
    *least = *least == 0 || x < *least ? x : *least;
}

static void measure(struct bench *b)
{
    static const char *const NAMES[] = {
        "plain loop, product only", "product only", "gradient, dense u",
        "gradient, u at 1e-2", "gradient, u at 1e-1, unbiased"};
    const size_t threads = pool_threads(b->pool);
    const double n = b->shape.n_rows;
    const double bytes =
        (double)b->data.ptr[b->shape.n_rows] * (double)b->w.ld * sizeof(float);
    double least[5] = {0};

    for (int round = 0; round < ROUNDS; round++) {
        keep_least(&least[0], time_tasks(b, task_plain));
        keep_least(&least[1], time_tasks(b, task_forward));
        keep_least(&least[2], time_gradient(b, (struct sv_sparsify){0}));
        keep_least(&least[3],
                   time_gradient(b, (struct sv_sparsify){.tau = 1e-2f}));
        keep_least(&least[4],
                   time_gradient(b, (struct sv_sparsify){.tau = 1e-1f,
                                                         .unbiased = true}));
    }
    printf("%s, %.1f features in a row, %zu threads, %s:\n", b->shape.name,
           (double)b->data.ptr[b->shape.n_rows] / n, threads,
           isa_name(isa_get()));
    for (int i = 0; i < 5; i++) {
        printf("    %-30s %7.3f us a row and thread, %6.1f GB/s of W, %.2fx\n",
               NAMES[i], 1e6 * least[i] * (double)threads / n,
               bytes / least[i] * 1e-9, least[0] / least[i]);
    }
}

/* @n dense rows of @K floats times (K, J). */
static void measure_dense(uint32_t n, uint32_t K, uint32_t J)
{
    double least[2] = {0}, flops = 2.0 * n * K * J;
    struct mat w;
    float *v = get((size_t)n * K, sizeof *v);
    float *x = get(n * mat_ld(J), sizeof *x);

    mat_init(&w, K, J, NULL);
    for (size_t i = 0; i < (size_t)K * w.ld; i++) {
        w.data[i] = 1e-3f * (float)(i % 97);
    }
    for (size_t i = 0; i < (size_t)n * K; i++) {
        v[i] = 1e-3f * (float)(i % 89);
    }
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t t0 = clock_ns(), t1;
        forward_dense(&(struct forward_dense){.w = &w,
                                              .n = n,
                                              .v = v,
                                              .v_ld = K,
                                              .v_len = K,
                                              .cols = w.ld,
                                              .x = x});
        t1 = clock_ns();
        keep_least(&least[0], 1e-9 * (double)(t1 - t0));
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)J,
                    (int)K, 1, v, (int)K, w.data, (int)w.ld, 0, x, (int)w.ld);
        keep_least(&least[1], 1e-9 * (double)(clock_ns() - t1));
    }
    printf("%u dense rows of %u, %u classes: %.0f GFLOP/s, sgemm %.0f (%s), "
           "%.2fx\n",
           n, K, J, flops / least[0] * 1e-9, flops / least[1] * 1e-9,
           openblas_get_corename(), least[1] / least[0]);
    mat_fini(&w);
    free(v);
    free(x);
}

static void run(const struct shape *shape, size_t threads)
{
    struct bench b = {.shape = *shape, .ops = model_find("mlr")};

    fill_data(&b);
    fill_w(&b);
    b.ws[0] = &b.w;
    b.x = get(threads * FORWARD_BLOCK * b.w.ld, sizeof *b.x);
    sv_batch_init(&b.batch, shape->J, shape->K);
    if (pool_create(&b.pool, threads, NULL) != 0 ||
        b.ops->create(&b.model,
                      &(struct model_options){.schema = &b.data.schema},
                      NULL) != 0) {
        exit(1);
    }
    measure(&b);
    b.ops->destroy(b.model);
    pool_destroy(b.pool);
    sv_batch_fini(&b.batch);
    mat_fini(&b.w);
    free(b.x);
    free(b.data.ptr);
    free(b.data.idx);
    free(b.data.val);
    free(b.data.label);
}

int main(int argc, char **argv)
{
    size_t threads = argc > 1 ? (size_t)atoi(argv[1]) : 2;
    struct err e;

    if (argc > 2 && isa_force(argv[2], &e) != 0) {
        fprintf(stderr, "bench_forward: %s\n", e.msg);
        return 1;
    }
    openblas_set_num_threads(1);
    measure_dense(64, 4096, 4096);
    measure_dense(256, 8192, 8192);
    measure_dense(32, 784, 10);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        run(&SHAPES[i], threads);
    }
    return 0;
}
