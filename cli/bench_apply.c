#include "cli/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/past.h"
#include "cli/say.h"
#include "core/clock.h"
#include "core/isa.h"
#include "core/rng.h"
#include "sv/apply.h"

#define SEED        1
#define CALLS_MAX   1000
#define CALL_S_MAX  2.0 /* Seconds; what would take longer is left out. */
#define RESULT_NONE (-1.0)

static struct {
    uint64_t threads;
    uint64_t measure_ns;
} opts = {.measure_ns = CLOCK_S / 2};

static const struct opt OPTS[] = {
    {.name = "threads",
     .kind = OPT_U64,
     .value = &opts.threads,
     .arg = "T",
     .help = "threads (default: one for each CPU)",
     .min = 1,
     .max = POOL_THREADS_MAX},
    {.name = "time",
     .kind = OPT_SECONDS,
     .value = &opts.measure_ns,
     .arg = "TIME",
     .help = "how long each number is measured",
     .min = 0.001,
     .max = 60},
};

static const struct opt_command COMMAND = {
    .name = "bench apply",
    .summary = "Speed of the exact apply, W += coef v u^T, by instruction set.",
    .usage = "bench apply [--threads T] [--time TIME]",
    .details =
        "Shown is the best of many calls. Dense vectors are bound by "
        "arithmetic: GFLOP/s.\nWith sparse v every row of W that is listed is "
        "read and written once: GB/s.\nWith sparse u only single elements are "
        "touched: millions of updates a second.",
    .examples = "lyre bench apply\nlyre bench apply --threads 1 --time 2s",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

/* What is measured: a batch of n pairs on W (K, J). */
struct work {
    const char *name;
    uint32_t K, J, n;
    uint32_t u_nnz, v_nnz; /* Entries of a sparse vector; 0: dense. */
};

static const struct work WORKS[] = {
    {"dense u, dense v", 2048, 2048, 32, 0, 0},
    {"dense u, dense v", 2048, 2048, 128, 0, 0},
    {"dense u, dense v", 2048, 2048, 512, 0, 0},
    {"dense u, sparse v", 65536, 1600, 512, 0, 64},
    {"sparse u, sparse v", 65536, 1600, 512, 16, 64},
};

static const char *const ISAS[] = {"scalar", "neon", "avx2", "avx512"};
#define N_ISAS  (sizeof ISAS / sizeof ISAS[0])
#define N_WORKS (sizeof WORKS / sizeof WORKS[0])

/* Vector number @r: every (len / nnz)-th index, from a random one on. */
static struct sv_vec
vector(uint32_t len, uint32_t nnz, uint64_t r, uint32_t *idx, float *val)
{
    const uint64_t stream = rng_stream(RNG_TEST, len, r);
    const uint32_t n = nnz != 0 ? nnz : len;
    const uint32_t step = len / n;

    for (uint32_t i = 0; i < n; i++) {
        idx[i] = i * step + (uint32_t)rng_below(SEED, stream, i, step);
        val[i] = 1e-3f * rng_f32(SEED, stream, n + i);
    }
    return (struct sv_vec){n, nnz != 0 ? idx : NULL, val};
}

static int make_batch(struct sv_batch *b, const struct work *w, struct err *e)
{
    uint32_t *idx = malloc((w->J + w->K) * sizeof *idx);
    float *val = malloc((w->J + w->K) * sizeof *val);
    int status = 0;

    sv_batch_init(b, w->J, w->K);
    sv_batch_reset(b, w->u_nnz != 0, w->v_nnz != 0);
    if (idx == NULL || val == NULL) {
        status = err_set(e, ERR_NOMEM, "out of memory");
    }
    for (uint32_t r = 0; r < w->n && status == 0; r++) {
        const struct sv_vec u = vector(w->J, w->u_nnz, 2 * r, idx, val);
        const struct sv_vec v =
            vector(w->K, w->v_nnz, 2 * r + 1, idx + w->J, val + w->J);
        status = sv_batch_append(b, -1.0f, u, v, SV_NO_SAMPLE, e);
    }
    free(idx);
    free(val);
    return status;
}

/* Rows of W that some v of the batch lists. */
static double rows_listed(const struct sv_batch *b, const struct work *w)
{
    bool *listed = calloc(w->K, sizeof *listed);
    double n = 0;

    for (size_t i = 0; listed != NULL && i < b->v.ptr[b->n]; i++) {
        n += !listed[b->v.idx[i]];
        listed[b->v.idx[i]] = true;
    }
    free(listed);
    return n;
}

/* How much there is to do in a call, in the unit of the work. */
static double amount(const struct sv_batch *b, const struct work *w)
{
    if (w->u_nnz != 0) {
        return 1e-6 * w->n * w->u_nnz * w->v_nnz;
    }
    if (w->v_nnz != 0) {
        return 1e-9 * 2 * sizeof(float) * w->J * rows_listed(b, w);
    }
    return 1e-9 * 2 * w->n * w->J * w->K;
}

static const char *unit(const struct work *w)
{
    return w->u_nnz != 0 ? "M updates/s" : w->v_nnz != 0 ? "GB/s" : "GFLOP/s";
}

/* Set *seconds to the shortest call. The first one warms up, unless it was too
 * long to be repeated. */
static int measure(struct sv_state *s,
                   const struct sv_batch *b,
                   struct pool *pool,
                   double *seconds,
                   struct err *e)
{
    const struct sv_op op = {.kind = SV_OP_APPLY, .batch = b};
    struct sv_apply *x = sv_apply_create();
    uint64_t best = UINT64_MAX, spent = 0;
    int status = 0;

    if (x == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    for (int i = 0; i < CALLS_MAX && spent < opts.measure_ns; i++) {
        const uint64_t begun = clock_ns();
        status = sv_apply_ops(x, s, &op, 1, pool, e);
        const uint64_t took = clock_ns() - begun;
        if (status != 0) {
            break;
        }
        best = took < best ? took : best;
        spent += i > 0 || took > opts.measure_ns ? took : 0;
    }
    sv_apply_destroy(x);
    *seconds = (double)best / (double)CLOCK_S;
    return status;
}

/* Speeds of all instruction sets. What took @cost seconds for a GFLOP before is
 * left out where that would be too long. */
static int run_work(const struct work *w,
                    struct pool *pool,
                    double result[N_ISAS],
                    double cost[N_ISAS],
                    struct err *e)
{
    struct sv_state s;
    struct sv_batch b;
    double seconds = 0;
    int status = sv_state_init(&s, SV_PLAIN, 0, w->K, w->J, e);

    if (status != 0) {
        return status;
    }
    memset(s.w.data, 0, s.w.size); /* Pages are there before time counts. */
    status = make_batch(&b, w, e);
    const double size = status == 0 ? amount(&b, w) : 0;
    for (size_t i = 0; i < N_ISAS && status == 0; i++) {
        result[i] = RESULT_NONE;
        if ((w->v_nnz == 0 && cost[i] * size > CALL_S_MAX) ||
            isa_force(ISAS[i], NULL) != 0) {
            continue;
        }
        status = measure(&s, &b, pool, &seconds, e);
        result[i] = size / seconds;
        cost[i] = w->v_nnz == 0 ? seconds / size : cost[i];
    }
    sv_batch_fini(&b);
    sv_state_fini(&s);
    return status;
}

static int run_all(struct pool *pool, struct err *e)
{
    double result[N_ISAS], cost[N_ISAS] = {0};

    printf("%zu threads%25s", pool_threads(pool), "");
    for (size_t i = 0; i < N_ISAS; i++) {
        if (isa_force(ISAS[i], NULL) == 0) {
            printf("%9s", ISAS[i]);
        }
    }
    putchar('\n');
    for (size_t i = 0; i < N_WORKS; i++) {
        const struct work *w = &WORKS[i];
        const int status = run_work(w, pool, result, cost, e);
        if (status != 0) {
            return err_wrap(e, status, "%s", w->name);
        }
        printf("%-19s%6ux%-5un %-4u", w->name, w->K, w->J, w->n);
        for (size_t j = 0; j < N_ISAS; j++) {
            if (isa_force(ISAS[j], NULL) != 0) {
                continue;
            }
            if (result[j] == RESULT_NONE) {
                printf("%9s", "-");
            } else {
                printf("%9.1f", result[j]);
            }
        }
        printf("  %s\n", unit(w));
        fflush(stdout);
    }
    return 0;
}

int bench_apply(int argc, char **argv)
{
    struct pool *pool;
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 0) {
        return say_usage(&COMMAND, "'%s' is not an option", argv[1]);
    }
    status = past_pool(&pool, opts.threads, &e);
    if (status == 0) {
        status = run_all(pool, &e);
        pool_destroy(pool);
    }
    return status == 0 ? CMD_OK : say_error(status, &e);
}
