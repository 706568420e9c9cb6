/* Unit tests of train/keep.h: where a log is compacted to while it grows. */

#include "tests/support/test.h"
#include "train/keep.h"

static void test_the_clocks_that_are_kept_are_at_least_as_many(void **state)
{
    const struct train_run run = {
        .mode = TRAIN_BSP, .n_peers = 2, .keep_clocks = 100};
    struct train_keep_state s = {.first = 0};

    (void)state;
    for (s.durable = 0; s.durable < 200; s.durable++) {
        s.safe = s.durable;
        assert_true(train_keep_target(&run, &s) == 0);
    }
    s.safe = 200;
    assert_true(train_keep_target(&run, &s) == 100);
    s.first = 100;
    assert_true(train_keep_target(&run, &s) == 0);
    s.durable = s.safe = 350;
    assert_true(train_keep_target(&run, &s) == 250);
}

static void test_no_clock_that_others_may_lack_is_compacted_to(void **state)
{
    struct train_run run = {.mode = TRAIN_PIPELINE,
                            .staleness = 4,
                            .n_peers = 2,
                            .keep_clocks = 10};
    struct train_keep_state s = {.durable = 1000, .safe = 0};

    (void)state;
    assert_true(train_keep_target(&run, &s) == 0);
    s.safe = 500;
    assert_true(train_keep_target(&run, &s) == 500 - 4 - 2);
    run.mode = TRAIN_ASP;
    s.safe = 512;
    assert_true(train_keep_target(&run, &s) == 0);
}

static void test_a_log_that_is_too_large_goes_as_far_as_is_safe(void **state)
{
    const struct train_run run = {
        .mode = TRAIN_BSP, .n_peers = 2, .log_limit = 1000};
    struct train_keep_state s = {.durable = 300, .safe = 200, .bytes = 1000};

    (void)state;
    assert_true(train_keep_target(&run, &s) == 0);
    s.bytes = 1001;
    assert_true(train_keep_target(&run, &s) == 198);
    s.tried = 198; /* Nothing could go: not again at once. */
    assert_true(train_keep_target(&run, &s) == 0);
    s.safe = 400;
    assert_true(train_keep_target(&run, &s) == 398);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_clocks_that_are_kept_are_at_least_as_many),
        cmocka_unit_test(test_no_clock_that_others_may_lack_is_compacted_to),
        cmocka_unit_test(test_a_log_that_is_too_large_goes_as_far_as_is_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
