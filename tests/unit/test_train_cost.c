/* Unit tests of train/cost.h. */

#include <math.h>

#include "tests/support/test.h"
#include "train/cost.h"

static struct train_delivery delivery(enum p2p_multicast_kind kind,
                                      uint32_t fan_out,
                                      uint32_t n_peers,
                                      uint32_t lazy)
{
    return (struct train_delivery){
        .schedule = {.kind = kind, .fan_out = fan_out, .n_peers = n_peers},
        .lazy = lazy,
        .last_clock = 1000};
}

static void close_to(double got, double want)
{
    assert_true(fabs(got - want) <= 1e-12 * fabs(want));
}

/* Without repair a batch goes to Q, whatever the others lack. */
static void test_what_is_never_sent_costs_nothing(void **state)
{
    struct train_delivery d = delivery(P2P_MULTICAST_RANDOM, 3, 9, 4);

    (void)state;
    d.repair = TRAIN_REPAIR_NONE;
    close_to(train_cost_sv(&d, 1000).bytes, 3000);
    close_to(train_cost_sv(&d, 1000).msgs_eager, 3);
    assert_true(train_cost_sv(&d, 1000).msgs_lazy == 0);
}

/* A mean crosses each link twice but for the own part, a move once. */
static void test_mixing_costs_the_matrix_every_so_many_clocks(void **state)
{
    struct train_delivery d = delivery(P2P_MULTICAST_RANDOM, 1, 4, 4);

    (void)state;
    d.repair = TRAIN_REPAIR_SYNC;
    close_to(train_cost_mix(&d, 25, 100, 1000).bytes, 4 * 100000 * 1.5 / 25);
    close_to(train_cost_mix(&d, 25, 100, 1000).msgs_eager, 1.5 / 25);
    d.repair = TRAIN_REPAIR_ROTATE;
    close_to(train_cost_mix(&d, 10, 100, 1000).bytes, 4 * 100000 / 10.0);
    close_to(train_cost_mix(&d, 1, 1024, 1024).msgs_eager, 4);
    d.repair = TRAIN_REPAIR_NONE;
    assert_true(train_cost_mix(&d, 10, 100, 1000).bytes == 0);
    d = delivery(P2P_MULTICAST_RANDOM, 3, 4, 4); /* That is to all. */
    d.repair = TRAIN_REPAIR_SYNC;
    assert_true(train_cost_mix(&d, 10, 100, 1000).bytes == 0);
}

static void test_cases_by_hand(void **state)
{
    /* J = 100, K = 1000, dense, 8 pairs, 4 peers. */
    const struct train_cost_pairs p = {.n = 8, .nnz_u = 100, .nnz_v = 1000};
    const struct train_delivery d = delivery(P2P_MULTICAST_ALL, 0, 4, 4);
    const struct train_cost_traffic sv =
        train_cost_sv(&d, train_cost_record_size(&p, 4, 4));

    (void)state;
    close_to(train_cost_record_size(&p, 4, 4), 35200);
    close_to(train_cost_record_size(&p, 2, 5), 8 * (200 + 5000));
    close_to(sv.bytes, 105600);
    close_to(sv.msgs_eager, 3);
    assert_true(sv.msgs_lazy == 0 && sv.rounds == 1);
    close_to(train_cost_matrix_ps(100, 1000, 4).bytes, 600000);
    close_to(train_cost_matrix_ring(100, 1000, 4).bytes, 600000);
    close_to(train_cost_matrix_ps(100, 1000, 4).rounds, 2);
    close_to(train_cost_matrix_ring(100, 1000, 4).rounds, 6);
    close_to(train_cost_matrix_ring(100, 1000, 4).msgs_eager, 6);
    close_to(train_cost_forward_flops(64, 100, 1000), 12.8e6);
    close_to(train_cost_apply_flops(&p, 4), 6.4e6);
    close_to(train_cost_select_flops(&p), 64 * 1100);
    close_to(train_cost_matrix_flops(&p, 100, 1000, 4), 1.6e6 + 75e3 + 200e3);
    close_to(train_cost_matrix_memory(100, 1000, 2), 4 * 1000 * 112 * 2);
    close_to(train_cost_held_memory(4, 3, 500), 6000);
    assert_int_equal(train_cost_batches(&d), 4);
}

static void test_the_break_even_is_where_bytes_are_equal(void **state)
{
    (void)state;
    for (uint32_t P = 2; P <= 64; P *= 2) {
        const struct train_delivery d = delivery(P2P_MULTICAST_ALL, 0, P, 1);
        const struct train_cost_pairs one = {1, 100, 1000};
        const double pair = train_cost_record_size(&one, 4, 4);
        const double C = train_cost_break_even(100, 1000, P, pair);
        const double matrix = train_cost_matrix_ring(100, 1000, P).bytes;
        close_to(train_cost_sv(&d, C * pair).bytes, matrix);
        assert_true(train_cost_sv(&d, (C - 1) * pair).bytes < matrix);
        assert_true(train_cost_sv(&d, (C + 1) * pair).bytes > matrix);
    }
    assert_true(isinf(train_cost_break_even(100, 1000, 1, 4400)));
}

static void test_one_peer_sends_nothing(void **state)
{
    const struct train_delivery d = delivery(P2P_MULTICAST_RING, 0, 1, 4);

    (void)state;
    assert_true(train_cost_sv(&d, 1e6).bytes == 0);
    assert_true(train_cost_sv(&d, 1e6).msgs_eager == 0);
    assert_true(train_cost_sv(&d, 1e6).msgs_lazy == 0);
    assert_true(train_cost_matrix_ps(10, 10, 1).bytes == 0);
    assert_true(train_cost_matrix_ring(10, 10, 1).bytes == 0);
}

/* The messages of groups, counted one by one. */
static double lazy_naive(const struct train_delivery *d, uint32_t n_groups)
{
    uint64_t n = 0;

    for (uint32_t g = 0; g < n_groups; g++) {
        for (uint32_t q = 1; q < d->schedule.n_peers; q++) {
            bool lacks = false;
            for (uint32_t c = 0; c < d->lazy; c++) {
                lacks = lacks || !train_delivery_eager(
                                     d, 0, q, (uint64_t)g * d->lazy + c);
            }
            n += lacks;
        }
    }
    return (double)n / (n_groups * d->lazy);
}

static void test_messages_are_those_that_the_schedule_makes(void **state)
{
    const struct train_delivery ways[] = {
        delivery(P2P_MULTICAST_RING, 0, 8, 4),
        delivery(P2P_MULTICAST_RING, 0, 2, 4),
        delivery(P2P_MULTICAST_ALL, 0, 8, 4),
        delivery(P2P_MULTICAST_RANDOM, 3, 8, 4),
        delivery(P2P_MULTICAST_RANDOM, 6, 8, 2),
        delivery(P2P_MULTICAST_RANDOM, 3, 16, 1),
    };

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const double got = train_cost_sv(&ways[i], 1).msgs_lazy;
        const double want = lazy_naive(&ways[i], 1000);
        assert_true(fabs(got - want) <= 0.02 * want);
    }
}

static void test_more_of_anything_costs_more(void **state)
{
    const struct train_cost_pairs few = {4, 10, 100}, many = {5, 10, 100};

    (void)state;
    assert_true(train_cost_record_size(&few, 4, 4) <
                train_cost_record_size(&many, 4, 4));
    assert_true(train_cost_apply_flops(&few, 3) <
                train_cost_apply_flops(&many, 3));
    assert_true(train_cost_apply_flops(&few, 3) <
                train_cost_apply_flops(&few, 4));
    for (uint32_t P = 2; P < 100; P++) {
        const struct train_delivery d = delivery(P2P_MULTICAST_ALL, 0, P, 4);
        const struct train_delivery next =
            delivery(P2P_MULTICAST_ALL, 0, P + 1, 4);
        assert_true(train_cost_sv(&d, 9).bytes < train_cost_sv(&next, 9).bytes);
        assert_true(train_cost_matrix_ring(9, 9, P).bytes <
                    train_cost_matrix_ring(9, 9, P + 1).bytes);
        /* But never more than everything twice. */
        assert_true(train_cost_matrix_ring(9, 9, P).bytes < 2 * 4 * 81);
        assert_true(train_cost_break_even(9, 9, P, 10) >
                    train_cost_break_even(9, 9, P + 1, 10));
    }
}

static void test_longer_groups_make_fewer_messages_of_as_many_bytes(void **s)
{
    (void)s;
    for (uint32_t L = 1; L < 32; L++) {
        const struct train_delivery d = delivery(P2P_MULTICAST_RANDOM, 2, 9, L);
        const struct train_delivery next =
            delivery(P2P_MULTICAST_RANDOM, 2, 9, L + 1);
        assert_true(train_cost_sv(&d, 5).msgs_lazy >
                    train_cost_sv(&next, 5).msgs_lazy);
        close_to(train_cost_sv(&d, 5).bytes, train_cost_sv(&next, 5).bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases_by_hand),
        cmocka_unit_test(test_what_is_never_sent_costs_nothing),
        cmocka_unit_test(test_mixing_costs_the_matrix_every_so_many_clocks),
        cmocka_unit_test(test_the_break_even_is_where_bytes_are_equal),
        cmocka_unit_test(test_one_peer_sends_nothing),
        cmocka_unit_test(test_messages_are_those_that_the_schedule_makes),
        cmocka_unit_test(test_more_of_anything_costs_more),
        cmocka_unit_test(
            test_longer_groups_make_fewer_messages_of_as_many_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
