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

/* Repair none: eager or never, which every function must agree on. */
static void test_without_repair_only_the_schedule_delivers(void **state)
{
    const struct train_delivery ways[] = {
        make(P2P_MULTICAST_RANDOM, 3, 9), make(P2P_MULTICAST_HALTON, 2, 7),
        make(P2P_MULTICAST_RANDOM, 1, 5), make(P2P_MULTICAST_RING, 0, 5)};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct train_delivery d = ways[i];
        uint32_t P = d.schedule.n_peers;
        d.repair = TRAIN_REPAIR_NONE;
        d.last_clock = 100;
        assert_true(train_delivery_leaves_out(&d));
        for (uint64_t c = 0; c < 100; c++) {
            for (p2p_peer q = 0; q < P; q++) {
                bool comes = p2p_multicast_sends(&d.schedule, 0, 1, c, q);
                uint64_t next = c;
                assert_int_equal(train_delivery_reaches(&d, 1, q, c),
                                 comes || q == 1);
                assert_false(train_delivery_due(&d, 1, q, c, c));
                assert_int_equal(train_delivery_due(&d, 1, q, c, 100), comes);
                while (next < 100 && q != 1 &&
                       !p2p_multicast_sends(&d.schedule, 0, 1, next, q)) {
                    next++;
                }
                assert_int_equal(train_delivery_next(&d, 1, q, c), next);
            }
            assert_int_equal(train_delivery_complete(&d, c), c);
            assert_int_equal(train_delivery_group_end(&d, c), c + 1);
        }
        assert_int_equal(train_delivery_next(&d, 1, 3, 100), 100);
    }
}

static void test_what_never_comes_is_known_at_once(void **state)
{
    struct train_delivery d = make(P2P_MULTICAST_RING, 0, P2P_PEERS_MAX);

    (void)state;
    d.repair = TRAIN_REPAIR_NONE;
    d.last_clock = UINT64_MAX; /* To look at every clock would not end. */
    assert_true(train_delivery_next(&d, 5, 7, 0) == UINT64_MAX);
    assert_int_equal(train_delivery_next(&d, 5, 6, 77), 77);
    assert_int_equal(train_delivery_next(&d, P2P_PEERS_MAX - 1, 0, 77), 77);
}

static void test_where_all_are_targets_repairs_do_not_differ(void **state)
{
    const struct train_delivery all[] = {make(P2P_MULTICAST_ALL, 0, 5),
                                         make(P2P_MULTICAST_RANDOM, 4, 5),
                                         make(P2P_MULTICAST_RING, 0, 2)};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct train_delivery d = all[i];
        d.repair = TRAIN_REPAIR_NONE;
        assert_false(train_delivery_leaves_out(&d));
        assert_true(train_delivery_reaches(&d, 0, 1, 3));
        assert_int_equal(train_delivery_next(&d, 0, 1, 3), 3);
        assert_true(train_delivery_factor(&d, 0, 1) == 1);
    }
}

/* So that each peer counts P - 1 batches of others a clock, on the mean. */
static void test_factors_make_up_for_what_is_left_out(void **state)
{
    struct train_delivery d = make(P2P_MULTICAST_RANDOM, 4, 11);

    (void)state;
    assert_true(train_delivery_factor(&d, 3, 5) == 1); /* Lazy brings all. */
    d.repair = TRAIN_REPAIR_NONE;
    assert_true(train_delivery_factor(&d, 3, 3) == 1);
    assert_true(train_delivery_factor(&d, 3, 4) == 1);
    assert_true(train_delivery_factor(&d, 3, 5) == 3); /* (P - 2) / (Q - 1). */
}

/* In whatever order batches come, those that are for us are noted once. */
static void test_noting_passes_over_what_never_comes(void **state)
{
    struct train_delivery d = make(P2P_MULTICAST_RANDOM, 2, 9);
    struct train_window ahead = {{0}}, empty = {{0}};
    uint64_t have, n = 2000;

    (void)state;
    d.repair = TRAIN_REPAIR_NONE;
    d.last_clock = n;
    have = train_delivery_next(&d, 2, 6, 0);
    assert_true(have > 0);
    for (uint64_t c = 0; c < n; c++) {
        uint64_t x = c ^ 7; /* Eight at a time, backwards. */
        bool comes = train_delivery_reaches(&d, 2, 6, x);
        assert_int_equal(train_delivery_note(&d, 2, 6, &ahead, &have, x),
                         comes);
        assert_false(train_delivery_note(&d, 2, 6, &ahead, &have, x));
        if (c % 8 == 7) {
            assert_int_equal(have, train_delivery_next(&d, 2, 6, c + 1));
            assert_memory_equal(&ahead, &empty, sizeof empty);
        }
    }
    assert_int_equal(have, n);
}

/* Everybody who gets a batch is named once in a round, targets first. */
static void test_holders_are_those_who_get_a_batch(void **state)
{
    struct train_delivery d = make(P2P_MULTICAST_RANDOM, 3, 9);

    (void)state;
    for (int repair = 0; repair < TRAIN_REPAIR_COUNT; repair++) {
        d.repair = (enum train_repair)repair;
        for (uint64_t c = 0; c < 9; c++) {
            uint32_t q = 3, n = 0, named = 0;
            for (p2p_peer x = 0; x < 9; x++) {
                n += x != 2 && x != q && train_delivery_reaches(&d, 2, x, c);
            }
            for (uint32_t i = 0; i < n; i++) {
                p2p_peer x = train_delivery_holder(&d, 2, q, c, i);
                assert_true(x != 2 && x != q);
                assert_true(train_delivery_reaches(&d, 2, x, c));
                assert_int_equal(train_delivery_eager(&d, 2, x, c), i < 2);
                assert_int_equal(train_delivery_holder(&d, 2, q, c, i + n), x);
                assert_false(named >> x & 1);
                named |= 1u << x;
            }
        }
    }
    d = make(P2P_MULTICAST_ALL, 0, 2);
    assert_int_equal(train_delivery_holder(&d, 1, 0, 5, 0), 1); /* None. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_tile_the_clocks_and_end_with_the_job),
        cmocka_unit_test(test_what_is_due_is_what_has_been_sent),
        cmocka_unit_test(test_where_all_are_targets_there_are_no_groups),
        cmocka_unit_test(test_eager_is_the_schedule),
        cmocka_unit_test(test_without_repair_only_the_schedule_delivers),
        cmocka_unit_test(test_what_never_comes_is_known_at_once),
        cmocka_unit_test(test_where_all_are_targets_repairs_do_not_differ),
        cmocka_unit_test(test_factors_make_up_for_what_is_left_out),
        cmocka_unit_test(test_noting_passes_over_what_never_comes),
        cmocka_unit_test(test_holders_are_those_who_get_a_batch),
    };
    return cmocka_run_group_tests_name("train_delivery", tests, NULL, NULL);
}
