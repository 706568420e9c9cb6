/* Unit tests of sv/sparsify.h. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"
#include "core/mat.h"
#include "core/rng.h"
#include "sv/sparsify.h"
#include "sv/sparsify_kernel.h"
#include "tests/support/test.h"

#define J_MAX 300

static const char *const ISAS[] = {"scalar", "neon", "avx2", "avx512"};
#define N_ISAS (sizeof ISAS / sizeof *ISAS)

struct list {
    uint32_t n;
    uint32_t idx[J_MAX + MAT_PAD];
    float val[J_MAX + MAT_PAD];
};

/* By the words of the header, entry by entry. */
static void sparsify_naive(const struct sv_sparsify *s,
                           const float *u,
                           uint32_t J,
                           uint32_t pair,
                           struct list *out)
{
    uint64_t bits = rng_u64(s->seed, s->stream, pair);
    uint32_t key[2] = {(uint32_t)bits, (uint32_t)(bits >> 32)};

    out->n = 0;
    for (uint32_t j = 0; j < J; j++) {
        float x = u[j];
        if (fabsf(x) < s->tau) {
            float r = (float)(sv_sparsify_hash(key, j) >> 8) * 0x1p-24f;
            bool up = s->unbiased && r * s->tau < fabsf(x);
            x = up ? copysignf(s->tau, x) : 0;
            if (!up) {
                continue;
            }
        }
        out->idx[out->n] = j;
        out->val[out->n++] = x;
    }
}

static void fill(float *u, uint32_t J, uint64_t seed)
{
    for (uint32_t j = 0; j < J; j++) {
        float x = rng_f32(seed, 1, j);
        u[j] = (rng_u64(seed, 2, j) & 1 ? 1.0f : -1.0f) * x * x * x;
        if (rng_below(seed, 3, j, 10) == 0) {
            u[j] = rng_u64(seed, 4, j) & 1 ? 0.0f : -0.0f;
        }
    }
}

static void check_isa(const struct sv_sparsify *s, uint64_t seed)
{
    uint32_t J = 1 + (uint32_t)rng_below(seed, 9, 0, J_MAX);
    float *u = malloc(J * sizeof *u); /* Exact: reading beyond is seen. */
    struct list want, got;

    assert_non_null(u);
    fill(u, J, seed);
    u[0] = s->tau; /* Not below: stays. */
    sparsify_naive(s, u, J, 7, &want);
    got.n = sv_sparsify(s, u, J, 7, got.idx, got.val);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.idx, want.idx, want.n * sizeof *want.idx);
    assert_memory_equal(got.val, want.val, want.n * sizeof *want.val);
    free(u);
}

static void test_every_instruction_set_keeps_the_same_entries(void **state)
{
    const char *before = isa_name(isa_get());
    (void)state;

    for (size_t i = 0; i < N_ISAS; i++) {
        if (isa_force(ISAS[i], NULL) != 0) {
            continue;
        }
        for (uint64_t seed = 0; seed < 200; seed++) {
            struct sv_sparsify s = {.tau = seed % 5 == 0 ? 0 : 0.05f,
                                    .unbiased = seed % 2 == 1,
                                    .seed = seed,
                                    .stream = 3};
            check_isa(&s, seed);
        }
    }
    isa_force(before, NULL);
}

static void test_nothing_is_left_out_without_a_threshold(void **state)
{
    const struct sv_sparsify s = {.tau = 0};
    float u[40];
    struct list got;
    (void)state;

    fill(u, 40, 1);
    assert_int_equal(sv_sparsify(&s, u, 40, 0, got.idx, got.val), 40);
    assert_memory_equal(got.val, u, sizeof u);
}

static void test_nan_stays_so_that_it_is_found(void **state)
{
    const char *before = isa_name(isa_get());
    const struct sv_sparsify s = {.tau = 0.5f};
    float u[20] = {0};
    struct list got;
    (void)state;

    u[3] = NAN;
    u[18] = NAN;
    for (size_t i = 0; i < N_ISAS; i++) {
        if (isa_force(ISAS[i], NULL) == 0) {
            assert_int_equal(sv_sparsify(&s, u, 20, 0, got.idx, got.val), 2);
            assert_int_equal(got.idx[1], 18);
            assert_true(isnan(got.val[0]));
        }
    }
    isa_force(before, NULL);
}

/* The sum over n draws of an entry u is tau times a binomial with mean
 * n u / tau; five standard deviations. */
static void test_unbiased_keeps_the_mean(void **state)
{
    enum { J = 33, N = 20000 };
    struct sv_sparsify s = {.tau = 0.1f, .unbiased = true, .seed = 5};
    float u[J];
    double sum[J] = {0};
    struct list got;
    (void)state;

    for (uint32_t j = 0; j < J; j++) {
        u[j] = (j % 2 == 0 ? 1.0f : -1.0f) * 0.11f * (float)j / J;
    }
    for (uint32_t i = 0; i < N; i++) {
        s.stream = rng_stream(RNG_SPARSIFY, 0, i / 100);
        got.n = sv_sparsify(&s, u, J, i % 100, got.idx, got.val);
        for (uint32_t t = 0; t < got.n; t++) {
            sum[got.idx[t]] += (double)got.val[t];
        }
    }
    for (uint32_t j = 0; j < J; j++) {
        double p = fmin(fabs((double)u[j]) / (double)s.tau, 1);
        double sd = (double)s.tau * sqrt(N * p * (1 - p));
        assert_true(fabs(sum[j] - N * (double)u[j]) <= 5 * sd + 1e-2);
    }
}

static void test_draws_differ_between_pairs_clocks_and_entries(void **state)
{
    const struct sv_sparsify s = {
        .tau = 1, .unbiased = true, .seed = 1, .stream = 2};
    struct sv_sparsify later = s;
    struct list a, b, c;
    float u[J_MAX];
    (void)state;

    for (uint32_t j = 0; j < J_MAX; j++) {
        u[j] = 0.5f;
    }
    later.stream = 3;
    a.n = sv_sparsify(&s, u, J_MAX, 0, a.idx, a.val);
    b.n = sv_sparsify(&s, u, J_MAX, 1, b.idx, b.val);
    c.n = sv_sparsify(&later, u, J_MAX, 0, c.idx, c.val);
    assert_in_range(a.n, J_MAX / 3, J_MAX * 2 / 3);
    assert_memory_not_equal(a.idx, b.idx, 50 * sizeof *a.idx);
    assert_memory_not_equal(a.idx, c.idx, 50 * sizeof *a.idx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_instruction_set_keeps_the_same_entries),
        cmocka_unit_test(test_nothing_is_left_out_without_a_threshold),
        cmocka_unit_test(test_nan_stays_so_that_it_is_found),
        cmocka_unit_test(test_unbiased_keeps_the_mean),
        cmocka_unit_test(test_draws_differ_between_pairs_clocks_and_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
