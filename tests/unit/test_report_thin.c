/* Unit tests of report/thin.h: what must stay, stays. */

#include <math.h>
#include <stdbool.h>

#include "core/rng.h"
#include "report/thin.h"
#include "tests/support/test.h"

#define N_MAX 5000

static double y[N_MAX];
static size_t keep[N_MAX];

/* Noise. */
static void make(size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = (double)rng_f32(seed, 1, i);
    }
}

static void check(size_t n, size_t max)
{
    size_t least = 0, greatest = 0;
    bool has_least = false, has_greatest = false, gap = false, kept_gap = false;

    const size_t kept = report_thin(y, n, max, keep);
    assert_true(kept <= max && kept <= n);
    assert_true(n <= max ? kept == n : kept >= 2);
    for (size_t i = 0; i < n; i++) {
        gap = gap || isnan(y[i]);
        least = isnan(y[least]) || y[i] < y[least] ? i : least;
        greatest = isnan(y[greatest]) || y[i] > y[greatest] ? i : greatest;
    }
    for (size_t i = 0; i < kept; i++) {
        assert_true(keep[i] < n && (i == 0 || keep[i] > keep[i - 1]));
        has_least = has_least || !(y[keep[i]] > y[least]);
        has_greatest = has_greatest || !(y[keep[i]] < y[greatest]);
        kept_gap = kept_gap || isnan(y[keep[i]]);
    }
    if (n > 0) {
        assert_int_equal(keep[0], 0);
        assert_int_equal(keep[kept - 1], n - 1);
        assert_true(has_least && has_greatest);
    }
    assert_int_equal(gap, kept_gap);
}

static void test_first_last_least_and_greatest_stay(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        const size_t n = seed < 20 ? (size_t)seed : 17 * (size_t)seed + 3;
        make(n, seed);
        check(n, REPORT_THIN_MIN);
        check(n, 9 + seed);
        check(n, 1000);
    }
}

static void test_a_peak_of_one_point_stays_wherever_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        y[i] = 1;
    }
    for (size_t i = 0; i < 1000; i++) {
        bool seen = false;
        y[i] = i % 2 == 0 ? 2 : 0;
        const size_t kept = report_thin(y, 1000, 32, keep);
        for (size_t k = 0; k < kept; k++) {
            seen = seen || keep[k] == i;
        }
        assert_true(seen);
        y[i] = 1;
    }
}

static void test_a_gap_stays_a_gap(void **state)
{
    (void)state;
    for (size_t at = 1; at < 999; at += 7) {
        bool seen = false;
        make(1000, at);
        y[at] = NAN;
        check(1000, 64);
        const size_t kept = report_thin(y, 1000, 64, keep);
        for (size_t k = 0; k < kept; k++) {
            seen = seen || keep[k] == at;
        }
        assert_true(seen);
    }
    for (size_t i = 0; i < 1000; i++) {
        y[i] = NAN;
    }
    assert_true(report_thin(y, 1000, 64, keep) <= 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_last_least_and_greatest_stay),
        cmocka_unit_test(test_a_peak_of_one_point_stays_wherever_it_is),
        cmocka_unit_test(test_a_gap_stays_a_gap),
    };
    return cmocka_run_group_tests_name("thin", tests, NULL, NULL);
}
