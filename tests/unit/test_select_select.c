/* Unit tests of select/select.h. */

#include "select/select.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "select/fit.h"
#include "tests/support/test.h"

#define J     20
#define K     30
#define N_MAX 32
#define JK    (J * K)

static uint64_t at;

static uint64_t draw(void)
{
    return rng_u64(9, rng_stream(RNG_TEST, 0, 0), at++);
}

static float number(void)
{
    return rng_f32(9, rng_stream(RNG_TEST, 1, 0), at++) - 0.4f;
}

/* Pairs near a few others, with holes in u and v. */
struct pairs {
    uint32_t n;
    float coef[N_MAX], u[N_MAX][J], v[N_MAX][K];
};

static void fill(struct pairs *p, uint32_t n)
{
    p->n = n;
    for (uint32_t r = 0; r < n; r++) {
        uint32_t like = r < 5 ? r : (uint32_t)(draw() % 5);
        p->coef[r] = 0.5f + number();
        for (uint32_t j = 0; j < J; j++) {
            p->u[r][j] = r < 5 ? j % 4 == 0 ? 0 : number()
                               : p->u[like][j] * (1 + number() / 4);
        }
        for (uint32_t k = 0; k < K; k++) {
            p->v[r][k] = r < 5 ? k % 3 == 0 ? 0 : number()
                               : p->v[like][k] * (1 + number() / 4);
        }
    }
}

static struct sv_vec
view(const float *x, uint32_t len, bool sparse, uint32_t *idx, float *val)
{
    uint32_t nnz = 0;

    for (uint32_t i = 0; i < len && sparse; i++) {
        if (x[i] != 0) {
            idx[nnz] = i;
            val[nnz++] = x[i];
        }
    }
    return sparse ? (struct sv_vec){nnz, idx, val}
                  : (struct sv_vec){len, NULL, x};
}

/* Pair order[i] is the i-th, and its sample is its number. */
static void batch_of(struct sv_batch *b,
                     const struct pairs *p,
                     const uint32_t *order,
                     bool u_sparse,
                     bool v_sparse)
{
    uint32_t u_idx[J], v_idx[K];
    float u[J], v[K];
    struct err e;

    sv_batch_init(b, J, K);
    sv_batch_reset(b, u_sparse, v_sparse);
    b->rate = 0.75f;
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t r = order == NULL ? i : order[i];
        assert_int_equal(
            sv_batch_append(b, p->coef[r], view(p->u[r], J, u_sparse, u_idx, u),
                            view(p->v[r], K, v_sparse, v_idx, v), r, &e),
            0);
    }
}

static void update_of(const struct sv_batch *b, double *w)
{
    memset(w, 0, JK * sizeof *w);
    for (uint32_t r = 0; r < b->n; r++) {
        struct sv_vec u = sv_vecs_get(&b->u, r), v = sv_vecs_get(&b->v, r);
        for (uint32_t i = 0; i < u.nnz * v.nnz; i++) {
            uint32_t j = u.idx == NULL ? i / v.nnz : u.idx[i / v.nnz];
            uint32_t k = v.idx == NULL ? i % v.nnz : v.idx[i % v.nnz];
            w[j * K + k] += (double)b->coef[r] * (double)u.val[i / v.nnz] *
                            (double)v.val[i % v.nnz];
        }
    }
}

static double error_naive(const struct sv_batch *in, const struct sv_batch *out)
{
    double want[JK], got[JK], left = 0, all = 0;

    update_of(in, want);
    update_of(out, got);
    for (size_t i = 0; i < JK; i++) {
        left += (want[i] - got[i]) * (want[i] - got[i]);
        all += want[i] * want[i];
    }
    return sqrt(left / all);
}

static struct select_spec spec(const char *text)
{
    struct select_spec s;
    struct err e;

    assert_int_equal(select_spec_parse(&s, text, &e), 0);
    return s;
}

/* Select by @text into @out, which this initializes. Return the error. */
static double run(const char *text,
                  const struct sv_batch *in,
                  struct pool *pool,
                  struct sv_batch *out)
{
    struct select_spec s = spec(text);
    struct select_job job = {.in = in, .seed = 3, .stream = 4, .pool = pool};
    double error = -1;
    struct err e;

    sv_batch_init(out, J, K);
    if (select_run(&s, &job, out, &error, &e) != 0) {
        fail_msg("%s: %s", text, e.msg);
    }
    return error;
}

static const char *const KINDS[] = {"none",  "jcss:6",   "jcss-greedy:6",
                                    "svd:6", "error:.3", "jcss:1000"};
#define N_KINDS (sizeof KINDS / sizeof *KINDS)

static void test_error_is_that_of_the_updates(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4 * N_KINDS; i++) {
        struct pairs p;
        struct sv_batch in, out;
        double error;
        fill(&p, N_MAX);
        batch_of(&in, &p, NULL, i / N_KINDS % 2, i / N_KINDS / 2);
        error = run(KINDS[i % N_KINDS], &in, NULL, &out);
        assert_true(fabs(error - error_naive(&in, &out)) < SELECT_ERROR_FLOOR);
        assert_true(out.rate == in.rate);
        sv_batch_fini(&in);
        sv_batch_fini(&out);
    }
}

static void expect_same(const struct sv_batch *a, const struct sv_batch *b)
{
    assert_int_equal(a->n, b->n);
    for (uint32_t r = 0; r < a->n; r++) {
        assert_int_equal(a->sample[r], b->sample[r]);
        assert_true(fabsf(a->coef[r] - b->coef[r]) <
                    1e-3f * (1 + fabsf(a->coef[r])));
    }
}

static void test_sparse_and_dense_pairs_are_selected_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        struct pairs p;
        struct sv_batch dense, first;
        fill(&p, N_MAX);
        batch_of(&dense, &p, NULL, false, false);
        run(KINDS[i], &dense, NULL, &first);
        for (int form = 1; form < 4; form++) {
            struct sv_batch in, out;
            batch_of(&in, &p, NULL, form & 1, form & 2);
            run(KINDS[i], &in, NULL, &out);
            expect_same(&first, &out);
            sv_batch_fini(&in);
            sv_batch_fini(&out);
        }
        sv_batch_fini(&dense);
        sv_batch_fini(&first);
    }
}

static void test_chosen_pairs_are_pairs_of_the_batch(void **state)
{
    struct pairs p;
    struct sv_batch in, out;

    (void)state;
    fill(&p, N_MAX);
    batch_of(&in, &p, NULL, true, true);
    run("jcss:6", &in, NULL, &out);
    assert_int_equal(out.n, 6);
    assert_true(out.u.sparse && out.v.sparse);
    for (uint32_t i = 0; i < out.n; i++) {
        uint32_t r = out.sample[i];
        struct sv_vec a = sv_vecs_get(&in.v, r), b = sv_vecs_get(&out.v, i);
        assert_int_equal(a.nnz, b.nnz);
        assert_memory_equal(a.val, b.val, a.nnz * sizeof *a.val);
        assert_memory_equal(a.idx, b.idx, a.nnz * sizeof *a.idx);
        a = sv_vecs_get(&in.u, r);
        b = sv_vecs_get(&out.u, i);
        assert_int_equal(a.nnz, b.nnz);
        assert_memory_equal(a.val, b.val, a.nnz * sizeof *a.val);
    }
    sv_batch_fini(&in);
    sv_batch_fini(&out);
}

static void test_as_many_as_there_are_give_the_update_itself(void **state)
{
    static const char *const ALL[] = {"none", "jcss:32", "jcss-greedy:32",
                                      "jcss:99"};

    (void)state;
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        struct pairs p;
        struct sv_batch in, out;
        fill(&p, N_MAX);
        batch_of(&in, &p, NULL, false, i % 2);
        assert_true(run(ALL[i], &in, NULL, &out) == 0);
        assert_int_equal(out.n, N_MAX);
        for (uint32_t r = 0; r < out.n; r++) {
            assert_true(out.coef[r] == in.coef[out.sample[r]]);
        }
        assert_true(error_naive(&in, &out) < 1e-12);
        sv_batch_fini(&in);
        sv_batch_fini(&out);
    }
}

static void test_error_falls_as_more_are_sent(void **state)
{
    static const char *const WAYS[] = {"jcss", "jcss-greedy", "svd"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct pairs p;
        struct sv_batch in, out;
        double before = 1;
        fill(&p, N_MAX);
        batch_of(&in, &p, NULL, false, false);
        for (uint32_t C = 1; C <= N_MAX; C++) {
            char text[SELECT_SPEC_SIZE];
            double error;
            snprintf(text, sizeof text, "%s:%u", WAYS[i], C);
            error = run(text, &in, NULL, &out);
            assert_true(error <= before + 1e-4);
            before = error;
            sv_batch_fini(&out);
        }
        assert_true(before < 1e-6);
        sv_batch_fini(&in);
    }
}

static void expect_any_order(const struct pairs *p, const char *text)
{
    uint32_t order[N_MAX];
    struct sv_batch in, first, out;

    batch_of(&in, p, NULL, false, true);
    run(text, &in, NULL, &first);
    sv_batch_fini(&in);
    for (uint64_t shuffle = 0; shuffle < 10; shuffle++) {
        for (uint32_t i = 0; i < p->n; i++) {
            order[i] = (uint32_t)rng_permute(shuffle, 1, p->n, i);
        }
        batch_of(&in, p, order, false, true);
        run(text, &in, NULL, &out);
        expect_same(&first, &out);
        sv_batch_fini(&in);
        sv_batch_fini(&out);
    }
    sv_batch_fini(&first);
}

static void test_order_of_pairs_does_not_matter_to_greedy(void **state)
{
    struct pairs p;

    (void)state;
    for (int i = 0; i < 5; i++) {
        fill(&p, N_MAX);
        expect_any_order(&p, "jcss-greedy:7");
        expect_any_order(&p, "error:.2");
    }
}

/* What a first clock looks like: unit vectors, and u of a uniform softmax. */
static void test_order_of_pairs_does_not_matter_to_ties(void **state)
{
    struct pairs p = {.n = J};

    (void)state;
    for (uint32_t r = 0; r < p.n; r++) {
        float sum = 0;
        p.coef[r] = -0.1f;
        for (uint32_t j = 0; j < J; j++) {
            p.u[r][j] = (j == r) - 1.0f / J;
        }
        for (uint32_t k = 0; k < K; k++) {
            p.v[r][k] = number();
            sum += p.v[r][k] * p.v[r][k];
        }
        for (uint32_t k = 0; k < K; k++) {
            p.v[r][k] /= sqrtf(sum);
        }
    }
    expect_any_order(&p, "jcss-greedy:7");
}

static void test_equal_and_zero_pairs_are_not_sent(void **state)
{
    static const char *const WAYS[] = {"jcss:32", "jcss-greedy:32",
                                       "error:.001"};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct pairs p;
        struct sv_batch in, out;
        double error;
        fill(&p, 12);
        for (uint32_t r = 6; r < 12; r++) {
            memcpy(p.u[r], p.u[r - 6], sizeof p.u[r]);
            memcpy(p.v[r], p.v[r - 6], sizeof p.v[r]);
        }
        p.coef[0] = p.coef[6] = 0;
        memset(p.u[1], 0, sizeof p.u[1]);
        memset(p.v[7], 0, sizeof p.v[7]);
        batch_of(&in, &p, NULL, i % 2, i % 2);
        error = run(WAYS[i % 3], &in, NULL, &out);
        assert_int_equal(out.n, 4);
        assert_true(error < SELECT_ERROR_FLOOR);
        assert_true(error_naive(&in, &out) < SELECT_ERROR_FLOOR);
        sv_batch_fini(&in);
        sv_batch_fini(&out);
    }
}

static void test_an_error_asked_for_is_met_by_the_fewest(void **state)
{
    static const char *const ERRORS[] = {"error:.9", "error:.5", "error:.2",
                                         "error:.05", "error:.001"};

    (void)state;
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        struct pairs p;
        struct sv_batch in, out;
        char text[SELECT_SPEC_SIZE];
        double limit = spec(ERRORS[i]).error, fewer = 1;
        uint32_t n;
        fill(&p, N_MAX);
        batch_of(&in, &p, NULL, false, false);
        assert_true(run(ERRORS[i], &in, NULL, &out) <= limit + 1e-4);
        assert_true(error_naive(&in, &out) <= limit + 1e-3);
        n = out.n;
        sv_batch_fini(&out);
        if (n > 1) {
            snprintf(text, sizeof text, "jcss-greedy:%u", n - 1);
            fewer = run(text, &in, NULL, &out);
            sv_batch_fini(&out);
        }
        assert_true(fewer > limit - 1e-4);
        sv_batch_fini(&in);
    }
}

static void test_an_empty_batch_stays_empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * N_KINDS; i++) {
        struct sv_batch in, out;
        sv_batch_init(&in, J, K);
        sv_batch_reset(&in, i % 2, i % 2);
        assert_true(run(KINDS[i / 2], &in, NULL, &out) == 0);
        assert_int_equal(out.n, 0);
        sv_batch_fini(&in);
        sv_batch_fini(&out);
    }
}

/* Zeros, copies, opposites and sizes of all kinds in few dimensions. */
static void fill_odd(struct pairs *p)
{
    static const float SIZES[] = {0, 1, 1, -1, 1e-4f, 1e4f, 1e-20f};

    memset(p, 0, sizeof *p);
    p->n = (uint32_t)(draw() % (N_MAX + 1));
    for (uint32_t r = 0; r < p->n; r++) {
        uint32_t like = r > 0 && draw() % 3 == 0 ? (uint32_t)(draw() % r) : r;
        float u = SIZES[draw() % 7], v = SIZES[draw() % 7];
        uint32_t n_u = 1 + (uint32_t)(draw() % 4);
        uint32_t n_v = 1 + (uint32_t)(draw() % K);
        p->coef[r] = SIZES[draw() % 7];
        for (uint32_t j = 0; j < n_u; j++) {
            p->u[r][j] = like == r ? u * number() : p->u[like][j];
        }
        for (uint32_t k = 0; k < n_v; k++) {
            p->v[r][k] = like == r ? v * number() : p->v[like][k];
        }
    }
}

static void test_odd_batches_are_selected_from_as_well(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100 * N_KINDS; i++) {
        struct pairs p;
        struct sv_batch in, out;
        double error;
        fill_odd(&p);
        batch_of(&in, &p, NULL, draw() % 2, draw() % 2);
        error = run(KINDS[i % N_KINDS], &in, NULL, &out);
        assert_true(error >= 0 && error < 1 + SELECT_ERROR_FLOOR);
        assert_true(out.n <= p.n);
        assert_int_equal(sv_batch_find_not_finite(&out), out.n);
        sv_batch_fini(&in);
        sv_batch_fini(&out);
    }
}

static void test_threads_do_not_change_a_bit(void **state)
{
    struct pool *pool;
    struct err e;

    (void)state;
    assert_int_equal(pool_create(&pool, 3, &e), 0);
    for (size_t i = 0; i < N_KINDS; i++) {
        struct pairs p;
        struct sv_batch in, one, three;
        fill(&p, N_MAX);
        batch_of(&in, &p, NULL, false, i % 2);
        run(KINDS[i], &in, NULL, &one);
        run(KINDS[i], &in, pool, &three);
        assert_int_equal(one.n, three.n);
        assert_memory_equal(one.coef, three.coef, one.n * sizeof *one.coef);
        assert_memory_equal(one.u.val, three.u.val,
                            (size_t)one.n * one.u.ld * sizeof(float));
        sv_batch_fini(&in);
        sv_batch_fini(&one);
        sv_batch_fini(&three);
    }
    pool_destroy(pool);
}

static void test_other_draws_choose_other_pairs(void **state)
{
    struct pairs p;
    struct sv_batch in, out;
    struct select_spec s = spec("jcss:4");
    bool seen[N_MAX] = {false};
    uint32_t n_seen = 0;

    (void)state;
    fill(&p, N_MAX);
    batch_of(&in, &p, NULL, false, false);
    sv_batch_init(&out, J, K);
    for (uint64_t clock = 0; clock < 100; clock++) {
        struct select_job job = {.in = &in, .stream = clock};
        double error;
        struct err e;
        assert_int_equal(select_run(&s, &job, &out, &error, &e), 0);
        for (uint32_t i = 0; i < out.n; i++) {
            n_seen += !seen[out.sample[i]];
            seen[out.sample[i]] = true;
        }
    }
    assert_true(n_seen > N_MAX * 3 / 4);
    sv_batch_fini(&in);
    sv_batch_fini(&out);
}

/* Pairs near one of six, each with noise of a fifth of its norm. */
static void fill_clusters(struct pairs *p, uint64_t seed)
{
    uint64_t stream = rng_stream(RNG_TEST, 2, 0), i = 0;

    p->n = N_MAX;
    for (uint32_t r = 0; r < p->n; r++) {
        uint64_t like = rng_below(seed, stream, i++, 6) << 20;
        p->coef[r] = -0.01f;
        for (uint32_t j = 0; j < J; j++) {
            p->u[r][j] = rng_normal(seed, stream + 1, like + j) +
                         0.2f * rng_normal(seed, stream + 2, i++);
        }
        for (uint32_t k = 0; k < K; k++) {
            p->v[r][k] = rng_normal(seed, stream + 3, like + k) +
                         0.2f * rng_normal(seed, stream + 4, i++);
        }
    }
}

/* What choosing without weights would leave: coefs as they are, or times B/C.
 */
static double
error_times(const struct sv_batch *in, struct sv_batch *out, float times)
{
    for (uint32_t i = 0; i < out->n; i++) {
        out->coef[i] = times * in->coef[out->sample[i]];
    }
    return error_naive(in, out);
}

static void test_weights_make_few_pairs_of_clusters_enough(void **state)
{
    const uint64_t n_trials = 20;
    double weighted = 0, as_they_are = 0, scaled = 0;

    (void)state;
    for (uint64_t seed = 0; seed < n_trials; seed++) {
        struct pairs p;
        struct sv_batch in, out;
        fill_clusters(&p, seed);
        batch_of(&in, &p, NULL, false, false);
        weighted += run("jcss:8", &in, NULL, &out) / (double)n_trials;
        as_they_are += error_times(&in, &out, 1) / (double)n_trials;
        scaled += error_times(&in, &out, N_MAX / 8) / (double)n_trials;
        sv_batch_fini(&in);
        sv_batch_fini(&out);
    }
    assert_true(weighted <= 0.25);
    assert_true(scaled > 1.5 * weighted);
    assert_true(as_they_are > 0.7);
}

static void test_what_cannot_be_is_refused(void **state)
{
    struct pairs p;
    struct sv_batch in, out;
    struct select_spec s = spec("auto");
    struct select_job job = {.in = &in};
    double error = 7;
    struct err e;

    (void)state;
    fill(&p, 5);
    batch_of(&in, &p, NULL, false, true);
    sv_batch_init(&out, J, K);
    assert_int_equal(select_run(&s, &job, &out, &error, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "auto"));
    s = spec("jcss:2");
    for (uint32_t r = 0; r < 5; r++) { /* One pair for five: a coef of 5e38. */
        in.coef[r] = 1e38f;
        memcpy(in.u.val + r * in.u.ld, in.u.val, J * sizeof(float));
        memcpy(in.v.val + in.v.ptr[r], in.v.val,
               (in.v.ptr[1] - in.v.ptr[0]) * sizeof(float));
    }
    assert_int_equal(select_run(&s, &job, &out, &error, &e), ERR_NOT_FINITE);
    assert_non_null(strstr(e.msg, "coef"));
    s = spec("svd:2");
    assert_int_equal(select_run(&s, &job, &out, &error, &e), ERR_NOT_FINITE);
    s = spec("jcss:3");
    in.v.val[in.v.ptr[2]] = INFINITY;
    assert_int_equal(select_run(&s, &job, &out, &error, &e), ERR_NOT_FINITE);
    assert_non_null(strstr(e.msg, "v: vector 2 of 5"));
    sv_batch_reset(&in, true, true);
    assert_int_equal(sv_batch_resize(&in, SELECT_N_MAX + 1, &e), 0);
    assert_int_equal(select_run(&s, &job, &out, &error, &e), ERR_INVALID);
    assert_true(error == 7);
    sv_batch_fini(&in);
    sv_batch_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_is_that_of_the_updates),
        cmocka_unit_test(test_sparse_and_dense_pairs_are_selected_alike),
        cmocka_unit_test(test_chosen_pairs_are_pairs_of_the_batch),
        cmocka_unit_test(test_as_many_as_there_are_give_the_update_itself),
        cmocka_unit_test(test_error_falls_as_more_are_sent),
        cmocka_unit_test(test_order_of_pairs_does_not_matter_to_greedy),
        cmocka_unit_test(test_order_of_pairs_does_not_matter_to_ties),
        cmocka_unit_test(test_equal_and_zero_pairs_are_not_sent),
        cmocka_unit_test(test_an_error_asked_for_is_met_by_the_fewest),
        cmocka_unit_test(test_an_empty_batch_stays_empty),
        cmocka_unit_test(test_odd_batches_are_selected_from_as_well),
        cmocka_unit_test(test_threads_do_not_change_a_bit),
        cmocka_unit_test(test_other_draws_choose_other_pairs),
        cmocka_unit_test(test_weights_make_few_pairs_of_clusters_enough),
        cmocka_unit_test(test_what_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
