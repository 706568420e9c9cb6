/* Unit tests of select/fit.h: weights and errors against outer products that
 * are formed. */

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "select/fit.h"
#include "tests/support/test.h"

#define N  12
#define J  6
#define K  7
#define JK (J * K)

struct pairs {
    double u[N][J], v[N][K];
    double outer[N][JK];
    double sum[JK]; /* The update. */
    double g1[N * N], g2[N * N];
};

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static struct select_grams derive(struct pairs *p)
{
    memset(p->sum, 0, sizeof p->sum);
    for (uint32_t r = 0; r < N; r++) {
        for (uint32_t i = 0; i < JK; i++) {
            p->outer[r][i] = p->u[r][i / K] * p->v[r][i % K];
            p->sum[i] += p->outer[r][i];
        }
        for (uint32_t s = 0; s < N; s++) {
            p->g1[r * N + s] = dot(p->u[r], p->u[s], J);
            p->g2[r * N + s] = dot(p->v[r], p->v[s], K);
        }
    }
    return (struct select_grams){N, p->g1, p->g2};
}

static struct select_grams fill(struct pairs *p, uint64_t seed)
{
    uint64_t stream = rng_stream(RNG_TEST, 0, 0), at = 0;

    for (uint32_t r = 0; r < N; r++) {
        for (uint32_t j = 0; j < J; j++) {
            p->u[r][j] = (double)rng_f32(seed, stream, at++) - 0.3;
        }
        for (uint32_t k = 0; k < K; k++) {
            p->v[r][k] = (double)rng_f32(seed, stream, at++) - 0.3;
        }
    }
    return derive(p);
}

static void left_naive(const struct pairs *p,
                       const uint32_t *index,
                       uint32_t m,
                       const double *w,
                       double *left)
{
    memcpy(left, p->sum, sizeof p->sum);
    for (uint32_t i = 0; i < m; i++) {
        for (uint32_t x = 0; x < JK; x++) {
            left[x] -= w[i] * p->outer[index[i]][x];
        }
    }
}

static void test_error_is_that_of_the_matrices(void **state)
{
    const uint32_t index[] = {7, 2, 9, 0};
    const double w[] = {1.5, -0.25, 3, 0};
    double left[JK], want;
    struct select_grams g;
    struct pairs p;

    (void)state;
    g = fill(&p, 1);
    left_naive(&p, index, 4, w, left);
    want = sqrt(dot(left, left, JK) / dot(p.sum, p.sum, JK));
    assert_true(fabs(select_error(&g, index, 4, w) - want) < 1e-12 * want);
    assert_true(select_error(&g, NULL, 0, NULL) == 1);
}

/* What is left of the update has nothing of the chosen pairs in it: there are
 * no better weights. */
static void test_weights_leave_the_least(void **state)
{
    const uint32_t index[] = {3, 1, 8, 11, 6};
    double w[5], left[JK];
    struct select_grams g;
    struct pairs p;
    struct err e;

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        g = fill(&p, seed);
        for (uint32_t m = 1; m <= 5; m++) {
            assert_int_equal(select_fit(&g, index, m, w, &e), 0);
            left_naive(&p, index, m, w, left);
            for (uint32_t i = 0; i < m; i++) {
                assert_true(fabs(dot(left, p.outer[index[i]], JK)) < 1e-9);
            }
        }
    }
}

static void test_all_pairs_weigh_one(void **state)
{
    uint32_t index[N];
    double w[N];
    struct select_grams g;
    struct pairs p;
    struct err e;

    (void)state;
    g = fill(&p, 3);
    for (uint32_t i = 0; i < N; i++) {
        index[i] = N - 1 - i;
    }
    assert_int_equal(select_fit(&g, index, N, w, &e), 0);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(fabs(w[i] - 1) < 1e-6);
    }
    assert_true(select_error(&g, index, N, w) < 1e-6);
}

static void test_equal_pairs_share_a_weight(void **state)
{
    const uint32_t index[] = {0, 1, 2, 5};
    double w[4], left[JK];
    struct select_grams g;
    struct pairs p;
    struct err e;

    (void)state;
    fill(&p, 4);
    memcpy(p.u[1], p.u[0], sizeof p.u[0]);
    memcpy(p.v[1], p.v[0], sizeof p.v[0]);
    memset(p.u[2], 0, sizeof p.u[2]);
    g = derive(&p);
    assert_int_equal(select_fit(&g, index, 4, w, &e), 0);
    assert_true(w[2] == 0);
    assert_true(fabs(w[0] - w[1]) < 1e-3 * fabs(w[0]));
    left_naive(&p, index, 4, w, left);
    assert_true(fabs(dot(left, p.outer[0], JK)) < 1e-4);
    assert_true(fabs(dot(left, p.outer[5], JK)) < 1e-4);
}

static void test_no_update_has_no_error(void **state)
{
    const uint32_t index[] = {4, 5};
    double w[2] = {7, 7};
    struct select_grams g;
    struct pairs p;
    struct err e;

    (void)state;
    fill(&p, 5);
    memset(p.v, 0, sizeof p.v);
    g = derive(&p);
    assert_int_equal(select_fit(&g, index, 2, w, &e), 0);
    assert_true(w[0] == 0 && w[1] == 0);
    assert_true(select_error(&g, index, 2, w) == 0);
    assert_int_equal(select_fit(&g, NULL, 0, NULL, &e), 0);
}

static void test_zero_is_what_is_small_beside_the_largest_pair(void **state)
{
    struct select_grams g;
    struct pairs p;

    (void)state;
    memset(&p, 0, sizeof p);
    g = derive(&p);
    assert_true(select_zero(&g) == 0);
    p.u[3][1] = 1;
    p.v[3][2] = 100;
    p.u[5][0] = p.v[5][0] = 2;
    g = derive(&p);
    assert_true(fabs(select_zero(&g) - 1e-10) < 1e-20);
}

static void test_weights_of_what_is_not_finite_are_refused(void **state)
{
    const uint32_t index[] = {4, 5};
    double w[2];
    struct select_grams g;
    struct pairs p;
    struct err e;

    (void)state;
    g = fill(&p, 6);
    p.g1[4 * N + 5] = p.g1[5 * N + 4] = NAN;
    assert_int_equal(select_fit(&g, index, 2, w, &e), ERR_NOT_FINITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_is_that_of_the_matrices),
        cmocka_unit_test(test_weights_leave_the_least),
        cmocka_unit_test(test_all_pairs_weigh_one),
        cmocka_unit_test(test_equal_pairs_share_a_weight),
        cmocka_unit_test(test_no_update_has_no_error),
        cmocka_unit_test(test_zero_is_what_is_small_beside_the_largest_pair),
        cmocka_unit_test(test_weights_of_what_is_not_finite_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
