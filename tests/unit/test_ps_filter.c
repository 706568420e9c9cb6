/* Unit tests of ps/filter.h. */

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "ps/filter.h"
#include "tests/support/test.h"

#define N 50

static struct ps_values row(const float *val)
{
    struct ps_values v;

    assert_int_equal(ps_values_init(&v, 0, N, val), 0);
    return v;
}

/* Multiples of 1/64, so that sums are exact in any order. */
static void draw(float *x, uint64_t seed)
{
    for (uint64_t i = 0; i < N; i++) {
        int64_t k = (int64_t)rng_below(seed, rng_stream(RNG_TEST, 3, 0), i, 65);
        x[i] = (float)(k - 32) / 64;
    }
}

static void test_what_is_not_significant_is_held_and_not_lost(void **state)
{
    struct ps_filter_significant f;
    float pushed[N] = {0}, arrived[N] = {0}, x[N];
    uint32_t n_sent = 0;
    struct ps_values v;

    (void)state;
    assert_int_equal(ps_filter_significant_init(&f, N, 0.75f), 0);
    for (uint64_t t = 0; t < 40; t++) {
        draw(x, t);
        v = row(x);
        assert_int_equal(f.filter.apply(&f.filter, &v), 0);
        n_sent += v.n;
        for (uint32_t i = 0; i < v.n; i++) {
            assert_true(fabsf(v.val[i]) >= 0.75f);
            arrived[v.index[i]] += v.val[i];
        }
        for (int i = 0; i < N; i++) {
            pushed[i] += x[i];
            assert_true(fabsf(pushed[i] - arrived[i]) < 0.75f);
        }
        ps_values_fini(&v);
    }
    assert_in_range(n_sent, N, 40 * N / 2);
    assert_int_equal(ps_filter_significant_flush(&f, &v), 0);
    for (uint32_t i = 0; i < v.n; i++) {
        arrived[v.index[i]] += v.val[i];
    }
    assert_memory_equal(arrived, pushed, sizeof pushed);
    ps_values_fini(&v);
    assert_int_equal(ps_filter_significant_flush(&f, &v), 0);
    assert_int_equal(v.n, 0);
    ps_values_fini(&v);
    ps_filter_significant_fini(&f);
}

static void test_kkt_leaves_out_what_l1_keeps_at_zero(void **state)
{
    float w[N] = {0}, g[N] = {0};
    struct ps_filter_kkt f;
    struct ps_values v;

    (void)state;
    w[3] = 1e-20f;
    g[3] = 0.01f; /* The weight is not 0. */
    g[7] = -0.5f; /* At the limit. */
    g[8] = -0.6f;
    g[9] = NAN;
    v = row(g);
    ps_filter_kkt_init(&f, w, 0.5f);
    assert_int_equal(f.filter.apply(&f.filter, &v), 0);
    assert_int_equal(v.n, 3);
    assert_true(v.index[0] == 3 && v.val[0] == 0.01f);
    assert_true(v.index[1] == 8 && v.val[1] == -0.6f);
    assert_true(v.index[2] == 9 && isnan(v.val[2]));
    ps_values_fini(&v);
}

/* The receiver puts what it gets over what it has. */
static void test_a_receiver_of_changes_is_never_far_off(void **state)
{
    struct ps_filter_changed f;
    float now[N] = {0}, has[N] = {0}, x[N];

    (void)state;
    assert_int_equal(ps_filter_changed_init(&f, N, has, 0.75f), 0);
    for (uint64_t t = 0; t < 40; t++) {
        struct ps_values v;
        draw(x, t);
        for (int i = 0; i < N; i++) {
            now[i] += x[i];
        }
        v = row(now);
        assert_int_equal(f.filter.apply(&f.filter, &v), 0);
        assert_true(v.n < N);
        for (uint32_t i = 0; i < v.n; i++) {
            has[v.index[i]] = v.val[i];
        }
        for (int i = 0; i < N; i++) {
            assert_true(fabsf(now[i] - has[i]) < 0.75f);
        }
        ps_values_fini(&v);
    }
    ps_filter_changed_fini(&f);
}

static void test_filters_stand_behind_one_another(void **state)
{
    float w[N] = {0}, g[N] = {0};
    struct ps_filter_kkt kkt;
    struct ps_filter_significant significant;
    struct ps_filter *both[] = {&kkt.filter, &significant.filter};
    struct ps_values v;

    (void)state;
    g[1] = 0.4f; /* Left out by the first: never held. */
    g[2] = 0.7f; /* Held by the second. */
    g[5] = 2;
    ps_filter_kkt_init(&kkt, w, 0.5f);
    assert_int_equal(ps_filter_significant_init(&significant, N, 1), 0);
    for (int t = 0; t < 2; t++) {
        v = row(g);
        assert_int_equal(ps_filter_apply(both, 2, &v), 0);
        assert_int_equal(v.n, t == 0 ? 1 : 2);
        assert_int_equal(v.index[0], t == 0 ? 5 : 2);
        ps_values_fini(&v);
    }
    assert_true(significant.held[1] == 0);
    ps_filter_significant_fini(&significant);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_significant_is_held_and_not_lost),
        cmocka_unit_test(test_kkt_leaves_out_what_l1_keeps_at_zero),
        cmocka_unit_test(test_a_receiver_of_changes_is_never_far_off),
        cmocka_unit_test(test_filters_stand_behind_one_another),
    };
    return cmocka_run_group_tests_name("ps_filter", tests, NULL, NULL);
}
