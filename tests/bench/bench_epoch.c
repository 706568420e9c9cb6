/* One peer's training without network and log: what of an epoch is the model,
 * what is the apply, and what accuracy comes of the options.
 *
 *     bench_epoch TRAIN TEST [name=value]...
 *
 * Options and what they are without: see OPTIONS below. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"
#include "dataset/sampler.h"
#include "models/model.h"
#include "sv/apply.h"

struct bench {
    double tau, unbiased, batch, lr, threads, epochs, momentum, eps, bias, seed;
    enum sv_rule rule;
    struct dataset_options data_options;
    struct dataset train, test;
    struct pool *pool;
    const struct model_ops *ops;
    struct model *model;
    struct sv_state state;
    struct sv_batch batch_sv;
    struct sv_apply *apply;
    uint32_t *rows;
    uint64_t ns_model, ns_apply;
    double loss, n_kept; /* Of an epoch. */
};

static const struct {
    const char *name;
    size_t offset;
    double value;
} OPTIONS[] = {
    {"tau", offsetof(struct bench, tau), 1e-3},
    {"unbiased", offsetof(struct bench, unbiased), 0},
    {"batch", offsetof(struct bench, batch), 256},
    {"lr", offsetof(struct bench, lr), 2},
    {"threads", offsetof(struct bench, threads), 2},
    {"epochs", offsetof(struct bench, epochs), 1},
    {"momentum", offsetof(struct bench, momentum), 0.9},
    {"eps", offsetof(struct bench, eps), 1e-8},
    {"bias", offsetof(struct bench, bias), 0},
    {"seed", offsetof(struct bench, seed), 1},
};
#define N_OPTIONS (sizeof OPTIONS / sizeof *OPTIONS)

static void die(const char *what)
{
    fprintf(stderr, "bench_epoch: %s\n", what);
    exit(1);
}

static void check(int rc, const struct err *e)
{
    if (rc != 0) {
        die(e->msg);
    }
}

/* "optimizer", "transform" and "normalize" have names for values. */
static bool set_name(struct bench *b, const char *name, const char *value)
{
    static const char *const RULES[] = {"sgd", "momentum", "rowgrad",
                                        "adagrad"};
    static const char *const TRANSFORMS[] = {"none", "binary", "log1p"};
    static const char *const NORMALIZES[] = {"none", "l2"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(name, "optimizer") == 0 && strcmp(value, RULES[i]) == 0) {
            b->rule = (enum sv_rule)i;
            return true;
        }
        if (i < 3 && strcmp(name, "transform") == 0 &&
            strcmp(value, TRANSFORMS[i]) == 0) {
            b->data_options.transform = (enum dataset_transform)i;
            return true;
        }
        if (i < 2 && strcmp(name, "normalize") == 0 &&
            strcmp(value, NORMALIZES[i]) == 0) {
            b->data_options.normalize = (enum dataset_normalize)i;
            return true;
        }
    }
    return false;
}

static bool set_number(struct bench *b, const char *name, const char *value)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (strcmp(name, OPTIONS[i].name) == 0) {
            double x = atof(value);
            memcpy((char *)b + OPTIONS[i].offset, &x, sizeof x);
            return true;
        }
    }
    return false;
}

static void set_options(struct bench *b, int argc, char **argv)
{
    memset(b, 0, sizeof *b);
    b->rule = SV_ROWGRAD;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        memcpy((char *)b + OPTIONS[i].offset, &OPTIONS[i].value,
               sizeof(double));
    }
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL) {
            die("options are name=value");
        }
        *value++ = 0;
        if (!set_name(b, argv[i], value) && !set_number(b, argv[i], value)) {
            die("no such option");
        }
    }
}

static void set_up(struct bench *b, const char *train, const char *test)
{
    struct dataset_options o = b->data_options;
    struct model_param p;
    struct err e;

    check(pool_create(&b->pool, (size_t)b->threads, &e), &e);
    o.pool = b->pool;
    check(dataset_read(&b->train, train, &o, &e), &e);
    o.schema = &b->train.schema;
    check(dataset_read(&b->test, test, &o, &e), &e);
    b->ops = model_find("mlr");
    check(b->ops->create(&b->model,
                         &(struct model_options){.schema = &b->train.schema,
                                                 .bias = b->bias != 0},
                         &e),
          &e);
    p = b->ops->param(b->model, 0);
    check(sv_state_init(&b->state, b->rule, (float)b->eps, p.K, p.J, &e), &e);
    sv_batch_init(&b->batch_sv, p.J, p.K);
    b->apply = sv_apply_create();
    b->rows = calloc((size_t)b->batch, sizeof *b->rows);
    if (b->apply == NULL || b->rows == NULL) {
        die("out of memory");
    }
}

static void tear_down(struct bench *b)
{
    free(b->rows);
    sv_apply_destroy(b->apply);
    sv_batch_fini(&b->batch_sv);
    sv_state_fini(&b->state);
    b->ops->destroy(b->model);
    dataset_fini(&b->train);
    dataset_fini(&b->test);
    pool_destroy(b->pool);
}

/* The pairs of a clock as the trainer would scale them. */
static void gradient(struct bench *b, uint64_t clock, uint32_t n)
{
    const bool sum = b->rule == SV_ROWGRAD || b->rule == SV_ADAGRAD;
    const struct mat *ws[1] = {&b->state.w};
    const uint64_t seed = (uint64_t)b->seed;
    const struct sv_sparsify s = {.tau = (float)b->tau,
                                  .unbiased = b->unbiased != 0,
                                  .seed = seed,
                                  .stream = rng_stream(RNG_SPARSIFY, 0, clock)};
    const struct dataset_sampler sampler = {
        .seed = seed, .n_rows = b->train.n_rows, .batch = (uint32_t)b->batch};
    const struct model_input in = {.data = &b->train,
                                   .rows = b->rows,
                                   .n = n,
                                   .w = ws,
                                   .sparsify = &s,
                                   .pool = b->pool};
    struct model_loss loss;
    struct err e;

    dataset_sampler_get(&sampler, clock, b->rows);
    check(b->ops->gradient(b->model, &in, &b->batch_sv, &loss, &e), &e);
    b->loss += loss.sum;
    b->n_kept += (double)sv_vecs_entries(&b->batch_sv.u);
    b->batch_sv.rate = sum ? (float)b->lr : 1;
    for (uint32_t r = 0; r < n; r++) {
        b->batch_sv.coef[r] = sum ? -1 : (float)(-b->lr / n);
    }
}

static void apply(struct bench *b)
{
    const struct sv_op ops[] = {
        {.kind = SV_OP_SCALE_AUX, .a = (float)b->momentum},
        {.kind = SV_OP_APPLY, .batch = &b->batch_sv},
        {.kind = SV_OP_ADD_AUX},
    };
    struct err e;

    if (b->rule == SV_MOMENTUM) {
        check(sv_apply_ops(b->apply, &b->state, ops, 3, b->pool, &e), &e);
    } else {
        check(sv_apply_ops(b->apply, &b->state, ops + 1, 1, b->pool, &e), &e);
    }
}

/* Clocks [from, to). */
static void train(struct bench *b, uint64_t from, uint64_t to)
{
    for (uint64_t c = from; c < to; c++) {
        uint64_t t0 = clock_ns(), t1;
        gradient(b, c, (uint32_t)b->batch);
        t1 = clock_ns();
        apply(b);
        b->ns_model += t1 - t0;
        b->ns_apply += clock_ns() - t1;
    }
}

static void report(const struct bench *b, uint32_t epoch, double n)
{
    const struct mat *ws[1] = {&b->state.w};
    struct model_score score;
    struct err e;

    check(b->ops->evaluate(b->model, ws, &b->test, b->pool, &score, &e), &e);
    printf("epoch %u: model %.3f s, apply %.3f s, train loss %.4f, u kept "
           "%.4f, test loss %.4f, accuracy %.4f\n",
           epoch, 1e-9 * (double)b->ns_model, 1e-9 * (double)b->ns_apply,
           b->loss / n, b->n_kept / n / (double)b->state.w.J, score.loss,
           score.accuracy);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct bench b;
    uint64_t clocks, begun = 0;

    if (argc < 3) {
        die("TRAIN TEST [name=value]...");
    }
    set_options(&b, argc, argv);
    set_up(&b, argv[1], argv[2]);
    for (uint32_t epoch = 1; epoch <= (uint32_t)b.epochs; epoch++) {
        clocks = (uint64_t)((double)b.train.n_rows * epoch / b.batch + 0.5);
        clocks = clocks > begun ? clocks : begun + 1;
        b.loss = b.n_kept = 0;
        train(&b, begun, clocks);
        report(&b, epoch, (double)(clocks - begun) * b.batch);
        begun = clocks;
    }
    tear_down(&b);
    return 0;
}
