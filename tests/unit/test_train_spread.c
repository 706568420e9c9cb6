/* Unit tests of train/spread.h. */

#include "tests/support/test.h"
#include "train/spread.h"

/* Clocks of @ns each, long enough to forget the beginning. */
static struct train_spread steady(uint64_t ns)
{
    struct train_spread s = {0};

    for (uint64_t c = 0; c < 200; c++) {
        train_spread_add(&s, c * ns, 1);
    }
    return s;
}

static void test_equal_peers_need_no_staleness(void **state)
{
    struct train_spread a = steady(1000), b = steady(1000);
    const struct train_spread *peers[] = {&a, &b};

    (void)state;
    assert_int_equal(train_spread_staleness(peers, 2, 0, 8), 0);
    assert_int_equal(train_spread_staleness(peers, 2, 2, 8), 2);
}

static void test_a_slow_peer_is_worth_its_lag_within_bounds(void **state)
{
    struct train_spread a = steady(1000), b = steady(3500);
    const struct train_spread *peers[] = {&a, &b};

    (void)state;
    assert_int_equal(train_spread_staleness(peers, 2, 0, 8), 3);
    assert_int_equal(train_spread_staleness(peers, 2, 0, 2), 2);
}

static void test_jitter_is_worth_something_too(void **state)
{
    struct train_spread a = steady(1000), b = {0};
    const struct train_spread *peers[] = {&a, &b};
    uint64_t t = 0;

    (void)state;
    for (uint64_t c = 0; c < 400; c++) {
        train_spread_add(&b, t, 1);
        t += c % 2 == 0 ? 500 : 1500;
    }
    assert_in_range(train_spread_staleness(peers, 2, 0, 8), 1, 2);
}

static void test_several_clocks_at_once_count_as_several(void **state)
{
    struct train_spread a = steady(1000), b = {0};
    const struct train_spread *peers[] = {&a, &b};

    (void)state;
    for (uint64_t g = 0; g < 100; g++) {
        train_spread_add(&b, g * 4000, 4);
    }
    assert_int_equal(train_spread_staleness(peers, 2, 0, 8), 0);
}

static void test_nothing_is_known_at_first(void **state)
{
    struct train_spread a = steady(1000), b = {0};
    const struct train_spread *peers[] = {&a, &b};

    (void)state;
    assert_int_equal(train_spread_staleness(peers, 2, 1, 8), 1);
    train_spread_add(&b, 77, 1); /* A first sign has no duration. */
    assert_int_equal(train_spread_staleness(peers, 2, 1, 8), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_peers_need_no_staleness),
        cmocka_unit_test(test_a_slow_peer_is_worth_its_lag_within_bounds),
        cmocka_unit_test(test_jitter_is_worth_something_too),
        cmocka_unit_test(test_several_clocks_at_once_count_as_several),
        cmocka_unit_test(test_nothing_is_known_at_first),
    };
    return cmocka_run_group_tests_name("train_spread", tests, NULL, NULL);
}
