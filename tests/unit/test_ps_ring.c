/* Unit tests of ps/ring.h. */

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "ps/ring.h"
#include "tests/support/test.h"

#define KEYS 20000

static struct ps_ring make_ring(uint64_t seed, uint32_t n, p2p_peer without)
{
    p2p_peer members[P2P_PEERS_MAX] = {0};
    struct ps_ring r;
    uint32_t m = 0;

    for (p2p_peer p = 0; p < n; p++) {
        if (p != without) {
            members[m++] = p;
        }
    }
    assert_int_equal(ps_ring_init(&r, seed, members, m, NULL), 0);
    return r;
}

static p2p_peer owner(const struct ps_ring *r, uint64_t key)
{
    p2p_peer p = 0;

    assert_int_equal(ps_ring_chain(r, key, 1, &p), 1);
    return p;
}

static void test_a_chain_has_different_members_and_all_if_asked(void **state)
{
    struct ps_ring r = make_ring(1, 5, UINT32_MAX);
    p2p_peer chain[8] = {0};

    (void)state;
    for (uint64_t key = 0; key < 1000; key++) {
        unsigned seen = 0;
        assert_int_equal(ps_ring_chain(&r, key, 8, chain), 5);
        for (int i = 0; i < 5; i++) {
            seen |= 1u << chain[i];
        }
        assert_int_equal(seen, 31);
    }
    ps_ring_fini(&r);
}

static void test_nobody_owns_keys_of_an_empty_ring(void **state)
{
    struct ps_ring r = make_ring(1, 0, UINT32_MAX);
    p2p_peer p = 0;

    (void)state;
    assert_int_equal(ps_ring_chain(&r, 7, 1, &p), 0);
    ps_ring_fini(&r);
}

/* Who goes takes nothing with it but its own keys, and these go to who was
 * next; who comes back has the same keys as before. */
static void test_only_keys_of_the_member_that_goes_move(void **state)
{
    struct ps_ring all = make_ring(3, 20, UINT32_MAX);
    struct ps_ring less = make_ring(3, 20, 7);
    uint64_t moved = 0;

    (void)state;
    for (uint64_t key = 0; key < KEYS; key++) {
        p2p_peer before[4] = {0}, after[3] = {0}, expected[4];
        uint32_t n = 0;
        ps_ring_chain(&all, key, 4, before);
        ps_ring_chain(&less, key, 3, after);
        for (int i = 0; i < 4; i++) {
            if (before[i] != 7) {
                expected[n++] = before[i];
            }
        }
        assert_memory_equal(after, expected, sizeof after);
        moved += before[0] == 7;
    }
    assert_in_range(moved, KEYS / 30, KEYS / 14);
    ps_ring_fini(&all);
    ps_ring_fini(&less);
}

/* The share of the ring itself, not of some keys. */
static double share_max_over_mean(const struct ps_ring *r)
{
    double *share = calloc(r->n_members, sizeof *share), most = 0;

    for (size_t i = 0; i < r->n_points; i++) {
        uint64_t before = r->points[i == 0 ? r->n_points - 1 : i - 1].at;
        share[r->points[i].member] +=
            (double)(r->points[i].at - before) * 0x1p-64;
    }
    for (uint32_t p = 0; p < r->n_members; p++) {
        most = share[p] > most ? share[p] : most;
    }
    free(share);
    return most * r->n_members;
}

static void test_shares_are_balanced_up_to_200_members(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (uint32_t n = 1; n <= 200; n += n < 20 ? 1 : 20) {
            struct ps_ring r = make_ring(seed, n, UINT32_MAX);
            assert_true(share_max_over_mean(&r) < 1.3);
            ps_ring_fini(&r);
        }
    }
}

static void test_keys_in_a_row_are_spread_as_shares_are(void **state)
{
    struct ps_ring r = make_ring(9, 10, UINT32_MAX);
    uint32_t count[10] = {0};

    (void)state;
    for (uint64_t key = 0; key < KEYS; key++) {
        count[owner(&r, key)]++;
    }
    for (int p = 0; p < 10; p++) {
        assert_in_range(count[p], KEYS / 14, KEYS / 7);
    }
    ps_ring_fini(&r);
}

static void test_another_seed_is_another_ring(void **state)
{
    struct ps_ring a = make_ring(1, 10, UINT32_MAX);
    struct ps_ring b = make_ring(2, 10, UINT32_MAX);
    uint64_t same = 0;

    (void)state;
    for (uint64_t key = 0; key < KEYS; key++) {
        same += owner(&a, key) == owner(&b, key);
    }
    assert_in_range(same, KEYS / 20, KEYS / 6);
    ps_ring_fini(&a);
    ps_ring_fini(&b);
}

static void test_members_out_of_order_or_too_many_are_refused(void **state)
{
    static p2p_peer many[P2P_PEERS_MAX + 1];
    struct ps_ring r;
    struct err e;

    (void)state;
    many[0] = 4;
    many[1] = 4;
    assert_int_equal(ps_ring_init(&r, 1, many, 2, &e), ERR_INVALID);
    assert_string_equal(e.msg, "ring: member 4 after 4");
    assert_int_equal(ps_ring_init(&r, 1, many, P2P_PEERS_MAX + 1, &e),
                     ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_chain_has_different_members_and_all_if_asked),
        cmocka_unit_test(test_nobody_owns_keys_of_an_empty_ring),
        cmocka_unit_test(test_only_keys_of_the_member_that_goes_move),
        cmocka_unit_test(test_shares_are_balanced_up_to_200_members),
        cmocka_unit_test(test_keys_in_a_row_are_spread_as_shares_are),
        cmocka_unit_test(test_another_seed_is_another_ring),
        cmocka_unit_test(test_members_out_of_order_or_too_many_are_refused),
    };
    return cmocka_run_group_tests_name("ps_ring", tests, NULL, NULL);
}
