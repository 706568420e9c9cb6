/* Unit tests of train/spread.h. */

#include "core/rng.h"
#include "tests/support/test.h"
#include "train/spread.h"

/* @n clocks of @ns each, give or take @jitter of it, and waits between them. */
static void work(struct train_spread *s, int n, double ns, double jitter)
{
    static uint64_t t = 1;

    for (int c = 0; c < n; c++) {
        double luck = 2.0 * (double)rng_f32(1, rng_stream(RNG_TEST, 0, 0), t);
        train_spread_begin(s, t);
        t += (uint64_t)(ns * (1 + jitter * (luck - 1)));
        train_spread_end(s, t);
        t += 100000000; /* Waiting is no work. */
    }
}

static unsigned pace(double ns, double jitter)
{
    struct train_spread s = {0};

    work(&s, 100, ns, jitter);
    return train_spread_pace(&s);
}

static void test_equal_peers_are_worth_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        unsigned a = pace(1e6, 0), b = pace(1e6, 0.3);
        assert_int_equal(train_spread_worth(a, b), 0);
        assert_int_equal(train_spread_worth(b, a), 0);
    }
}

static void test_a_slow_peer_is_worth_its_lag(void **state)
{
    static const struct {
        double factor;
        uint32_t worth;
    } CASES[] = {{1, 0},   {1.2, 0}, {1.3, 1}, {2, 1},
                 {2.3, 2}, {3, 2},   {8, 7},   {1000, 999}};

    (void)state;
    for (double ns = 2e3; ns < 1e10; ns *= 10) {
        unsigned own = pace(ns, 0);
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
            unsigned slow = pace(ns * CASES[i].factor, 0);
            uint32_t got = train_spread_worth(own, slow);
            assert_in_range(got, CASES[i].worth - CASES[i].worth / 50,
                            CASES[i].worth + CASES[i].worth / 50);
            assert_int_equal(train_spread_worth(slow, own), 0);
        }
    }
}

static void test_a_pace_has_its_bits_and_is_not_known_at_first(void **state)
{
    struct train_spread s = {0};

    (void)state;
    train_spread_end(&s, 5); /* Nothing had begun. */
    work(&s, 3, 1e6, 0);
    assert_int_equal(train_spread_pace(&s), 0);
    work(&s, 1, 1e6, 0);
    assert_int_not_equal(train_spread_pace(&s), 0);
    assert_int_equal(pace(0, 0), 1);
    assert_int_equal(pace(1e17, 0), (1 << SPREAD_PACE_BITS) - 1);
    assert_int_equal(train_spread_worth(0, 7), 0);
    assert_int_equal(train_spread_worth(7, 0), 0);
}

static void test_a_pace_forgets(void **state)
{
    struct train_spread s = {0};

    (void)state;
    work(&s, 100, 3e6, 0);
    work(&s, 100, 1e6, 0);
    assert_int_equal(train_spread_pace(&s), pace(1e6, 0));
}

static void test_a_bound_rises_at_once_and_falls_when_less_was_enough(void **st)
{
    struct train_bound b = {.low = 1, .high = 6, .now = 1};

    (void)st;
    assert_int_equal(train_bound_next(&b, 0), 1);
    assert_int_equal(train_bound_next(&b, 4), 4);
    for (int i = 1; i < SPREAD_CALM; i++) {
        assert_int_equal(train_bound_next(&b, i == 3 ? 3 : 2), 4);
    }
    assert_int_equal(train_bound_next(&b, 2), 3);
    for (int i = 1; i < SPREAD_CALM; i++) {
        assert_int_equal(train_bound_next(&b, 2), 3);
    }
    assert_int_equal(train_bound_next(&b, 3), 3); /* Not calm: begin again. */
    for (int i = 1; i < SPREAD_CALM; i++) {
        assert_int_equal(train_bound_next(&b, 0), 3);
    }
    assert_int_equal(train_bound_next(&b, 0), 1);
    assert_int_equal(train_bound_next(&b, 99), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_peers_are_worth_nothing),
        cmocka_unit_test(test_a_slow_peer_is_worth_its_lag),
        cmocka_unit_test(test_a_pace_has_its_bits_and_is_not_known_at_first),
        cmocka_unit_test(test_a_pace_forgets),
        cmocka_unit_test(
            test_a_bound_rises_at_once_and_falls_when_less_was_enough),
    };
    return cmocka_run_group_tests_name("train_spread", tests, NULL, NULL);
}
