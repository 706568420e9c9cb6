/* Unit tests of train/delivery.h. */

#include "tests/support/test.h"
#include "train/delivery.h"

static struct train_delivery
make(enum p2p_multicast_kind kind, uint32_t fan_out, uint32_t n_peers)
{
    return (struct train_delivery){.schedule = {.kind = kind,
                                                .fan_out = fan_out,
                                                .seed = 5,
                                                .n_peers = n_peers},
                                   .lazy = 4,
                                   .last_clock = 10};
}

static void test_groups_tile_the_clocks_and_end_with_the_job(void **state)
{
    struct train_delivery d = make(P2P_MULTICAST_RING, 0, 5);
    const uint64_t ends[] = {4, 4, 4, 4, 8, 8, 8, 8, 10, 10};

    (void)state;
    for (uint64_t c = 0; c < 10; c++) {
        assert_int_equal(train_delivery_group_end(&d, c), ends[c]);
    }
    assert_int_equal(train_delivery_complete(&d, 0), 0);
    assert_int_equal(train_delivery_complete(&d, 3), 0);
    assert_int_equal(train_delivery_complete(&d, 7), 4);
    assert_int_equal(train_delivery_complete(&d, 9), 8);
    assert_int_equal(train_delivery_complete(&d, 10), 10);
}

static void test_what_is_due_is_what_has_been_sent(void **state)
{
    struct train_delivery d = make(P2P_MULTICAST_RING, 0, 5);

    (void)state;
    /* To the neighbour at once, to others when the group is complete. */
    assert_true(train_delivery_due(&d, 1, 2, 5, 6));
    assert_false(train_delivery_due(&d, 1, 2, 5, 5));
    assert_false(train_delivery_due(&d, 1, 3, 5, 7));
    assert_true(train_delivery_due(&d, 1, 3, 5, 8));
    assert_true(train_delivery_due(&d, 1, 3, 9, 10));
}

static void test_where_all_are_targets_there_are_no_groups(void **state)
{
    const struct train_delivery all[] = {
        make(P2P_MULTICAST_ALL, 0, 5), make(P2P_MULTICAST_RANDOM, 4, 5),
        make(P2P_MULTICAST_RING, 0, 2), make(P2P_MULTICAST_ALL, 0, 1)};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(train_delivery_eager(&all[i], 0, 1, 3));
        assert_int_equal(train_delivery_group_end(&all[i], 3), 4);
        assert_int_equal(train_delivery_complete(&all[i], 3), 3);
    }
}

/* In every clock a peer sends at once to exactly Q. */
static void test_eager_is_the_schedule(void **state)
{
    struct train_delivery d = make(P2P_MULTICAST_RANDOM, 3, 9);

    (void)state;
    for (uint64_t c = 0; c < 10; c++) {
        uint32_t n = 0;
        for (p2p_peer q = 1; q < 9; q++) {
            n += train_delivery_eager(&d, 0, q, c);
        }
        assert_int_equal(n, 3);
        assert_true(train_delivery_eager(&d, 0, 1, c));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_tile_the_clocks_and_end_with_the_job),
        cmocka_unit_test(test_what_is_due_is_what_has_been_sent),
        cmocka_unit_test(test_where_all_are_targets_there_are_no_groups),
        cmocka_unit_test(test_eager_is_the_schedule),
    };
    return cmocka_run_group_tests_name("train_delivery", tests, NULL, NULL);
}
