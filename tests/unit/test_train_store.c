/* Unit tests of train/store.h. */

#include "tests/support/test.h"
#include "train/store.h"
#include "train/window.h"

static int put(struct train_store *s, p2p_peer peer, uint64_t clock)
{
    struct blob *b = blob_copy(&clock, sizeof clock);
    int rc;

    assert_non_null(b);
    rc = train_store_put(s, peer, clock, b);
    if (rc != 0) {
        blob_unref(b);
    }
    return rc;
}

static void expect(const struct train_store *s, p2p_peer peer, uint64_t clock)
{
    struct blob *b = train_store_get(s, peer, clock);

    assert_non_null(b);
    assert_memory_equal(b->data, &clock, sizeof clock);
}

static void test_a_batch_is_held_until_it_is_dropped(void **state)
{
    struct train_store s;

    (void)state;
    assert_int_equal(train_store_init(&s, 3, NULL), 0);
    assert_null(train_store_get(&s, 1, 0));
    train_store_drop(&s, 1, 0);
    assert_int_equal(put(&s, 1, 7), 0);
    expect(&s, 1, 7);
    assert_null(train_store_get(&s, 1, 3));
    assert_null(train_store_get(&s, 2, 7));
    assert_int_equal(put(&s, 1, 7), ERR_INVALID);
    train_store_drop(&s, 1, 3); /* Another one of the same slot. */
    expect(&s, 1, 7);
    train_store_drop(&s, 1, 7);
    assert_null(train_store_get(&s, 1, 7));
    assert_int_equal(put(&s, 1, 3), 0);
    train_store_fini(&s); /* With what is held. */
}

static void test_any_window_of_clocks_fits_in_any_order(void **state)
{
    struct train_store s;

    (void)state;
    for (uint64_t first = 1000; first < 1003; first++) {
        assert_int_equal(train_store_init(&s, 1, NULL), 0);
        for (uint64_t i = 0; i < TRAIN_WINDOW; i++) {
            assert_int_equal(put(&s, 0, first + i * 37 % TRAIN_WINDOW), 0);
        }
        for (uint64_t i = 0; i < TRAIN_WINDOW; i++) {
            expect(&s, 0, first + i);
        }
        assert_int_equal(put(&s, 0, first + TRAIN_WINDOW), ERR_INVALID);
        train_store_drop(&s, 0, first);
        assert_int_equal(put(&s, 0, first + TRAIN_WINDOW), 0);
        expect(&s, 0, first + TRAIN_WINDOW);
        train_store_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_is_held_until_it_is_dropped),
        cmocka_unit_test(test_any_window_of_clocks_fits_in_any_order),
    };
    return cmocka_run_group_tests_name("train_store", tests, NULL, NULL);
}
