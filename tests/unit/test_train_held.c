/* Unit tests of train/held.h. */

#include <stdbool.h>
#include <string.h>

#include "tests/support/test.h"
#include "train/held.h"

static void
put(struct train_held *h, p2p_peer origin, uint64_t clock, size_t size)
{
    struct blob *b = blob_create(size);

    assert_non_null(b);
    memset(b->data, (int)(origin + clock), size);
    train_held_put(h, origin, clock, b);
    blob_unref(b);
}

static bool has(const struct train_held *h, p2p_peer origin, uint64_t clock)
{
    struct blob *b = train_held_get(h, origin, clock);
    bool right = b != NULL && b->data[0] == (uint8_t)(origin + clock);

    blob_unref(b);
    return right;
}

static void test_what_was_applied_of_late_is_held(void **state)
{
    struct train_held h = {.bytes_max = 1 << 20};

    (void)state;
    for (uint64_t c = 0; c < 1000; c++) {
        put(&h, 1, c, 10);
        put(&h, 2, c, 20);
        assert_true(has(&h, 1, c) && has(&h, 2, c));
        assert_false(has(&h, 3, c));
        if (c >= TRAIN_HELD_CLOCKS) {
            assert_true(has(&h, 1, c - TRAIN_HELD_CLOCKS + 1));
            assert_false(has(&h, 1, c - TRAIN_HELD_CLOCKS));
            assert_int_equal(h.count, 2 * TRAIN_HELD_CLOCKS);
        }
    }
    assert_int_equal(h.bytes, TRAIN_HELD_CLOCKS * 30);
    train_held_fini(&h);
    assert_int_equal(h.bytes, 0);
}

static void test_bytes_are_bounded(void **state)
{
    struct train_held h = {.bytes_max = 100};

    (void)state;
    put(&h, 0, 1, 40);
    put(&h, 0, 2, 40);
    put(&h, 0, 3, 40);
    assert_false(has(&h, 0, 1));
    assert_true(has(&h, 0, 2) && has(&h, 0, 3));
    put(&h, 0, 4, 101); /* Larger than all that may be held. */
    assert_int_equal(h.bytes, 0);
    assert_false(has(&h, 0, 4));
    put(&h, 0, 5, 100);
    assert_true(has(&h, 0, 5));
    train_held_fini(&h);
}

static void test_nothing_is_held_where_nothing_may_be(void **state)
{
    struct train_held h = {.bytes_max = 0};

    (void)state;
    put(&h, 0, 1, 1);
    assert_false(has(&h, 0, 1));
    assert_null(h.items);
    train_held_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_applied_of_late_is_held),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_nothing_is_held_where_nothing_may_be),
    };
    return cmocka_run_group_tests_name("train_held", tests, NULL, NULL);
}
