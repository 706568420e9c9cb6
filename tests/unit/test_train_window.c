/* Unit tests of train/window.h. */

#include <string.h>

#include "core/rng.h"
#include "tests/support/test.h"
#include "train/window.h"

/* Add @clock, and move *all up behind what is there without a gap. */
static bool add(struct train_window *w, uint64_t *all, uint64_t clock)
{
    bool new = train_window_put(w, *all, clock);

    while (train_window_take(w, *all)) {
        ++*all;
    }
    return new;
}

static void test_clocks_in_order_leave_nothing_open(void **state)
{
    struct train_window w = {{0}}, empty = {{0}};
    uint64_t all = 0;

    (void)state;
    for (uint64_t c = 0; c < 3 * TRAIN_WINDOW; c++) {
        assert_true(add(&w, &all, c));
        assert_int_equal(all, c + 1);
    }
    assert_memory_equal(&w, &empty, sizeof w);
}

static void test_a_gap_is_closed_by_what_it_waits_for(void **state)
{
    struct train_window w = {{0}};
    uint64_t all = 1000;

    (void)state;
    assert_true(add(&w, &all, 1002));
    assert_true(add(&w, &all, 1001));
    assert_int_equal(all, 1000);
    assert_true(train_window_has(&w, 1002));
    assert_true(add(&w, &all, 1000));
    assert_int_equal(all, 1003);
}

static void test_twice_too_old_and_too_far_change_nothing(void **state)
{
    struct train_window w = {{0}}, before;
    uint64_t all = 700;

    (void)state;
    assert_true(add(&w, &all, 705));
    before = w;
    assert_false(add(&w, &all, 705));
    assert_false(add(&w, &all, 699));
    assert_false(add(&w, &all, 700 + TRAIN_WINDOW));
    assert_int_equal(all, 700);
    assert_memory_equal(&w, &before, sizeof w);
}

/* Any order, as long as nothing is too far ahead, ends with everything. */
static void test_any_order_ends_without_a_gap(void **state)
{
    struct train_window w = {{0}}, empty = {{0}};
    uint64_t all = 0, n = 0;

    (void)state;
    for (uint64_t base = 0; base < 4000; base += 500) {
        for (uint64_t i = 0; i < 500; i++) {
            uint64_t c = base + rng_permute(3, base, 500, i);
            assert_true(add(&w, &all, c));
            n++;
        }
        assert_int_equal(all, n);
    }
    assert_memory_equal(&w, &empty, sizeof w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks_in_order_leave_nothing_open),
        cmocka_unit_test(test_a_gap_is_closed_by_what_it_waits_for),
        cmocka_unit_test(test_twice_too_old_and_too_far_change_nothing),
        cmocka_unit_test(test_any_order_ends_without_a_gap),
    };
    return cmocka_run_group_tests_name("train_window", tests, NULL, NULL);
}
