/* When each mode of consistency lets a peer go on, and what it has applied. */

#include <stdio.h>
#include <string.h>

#include "tests/support/cluster.h"
#include "tests/support/test.h"

#define MS CLOCK_MS

/* Three peers; peer 2 takes three times as long. Delay is 1 ms. */
static const struct cluster_options SLOW_PEER = {
    .net = {.seed = 1, .n_peers = 3, .delay_ns_min = MS, .delay_ns_max = MS},
    .clocks = 4,
    .compute_ns = {10 * MS, 10 * MS, 30 * MS},
};

static struct cluster cluster;

static void run(enum train_mode mode, uint32_t staleness, uint64_t until_ns)
{
    struct cluster_options o = SLOW_PEER;

    o.mode = mode;
    o.staleness = staleness;
    cluster_set_up(&cluster, &o);
    cluster.telling = true;
    cluster_run(&cluster, until_ns);
}

static void test_bsp_waits_for_the_slowest_in_every_clock(void **state)
{
    (void)state;
    run(TRAIN_BSP, 0, 70 * MS);
    cluster_expect(&cluster, "[  10] 0 > clock 0 computed\n"
                             "[  10] 1 > clock 0 computed\n"
                             "[  30] 2 > clock 0 computed\n"
                             "[  30] 2 > clock 0 closed\n"
                             "[  31] 0 > clock 0 closed\n"
                             "[  31] 1 > clock 0 closed\n"
                             "[  41] 0 > clock 1 computed\n"
                             "[  41] 1 > clock 1 computed\n"
                             "[  60] 2 > clock 1 computed\n"
                             "[  60] 2 > clock 1 closed\n"
                             "[  61] 0 > clock 1 closed\n"
                             "[  61] 1 > clock 1 closed\n");
    for (p2p_peer p = 0; p < 3; p++) {
        assert_int_equal(cluster.nodes[p].applied[0], 3);
        assert_int_equal(cluster.nodes[p].applied[1], 3);
    }
    cluster_tear_down(&cluster);
}

static void test_pipeline_applies_what_is_s_clocks_old(void **state)
{
    (void)state;
    run(TRAIN_PIPELINE, 1, 45 * MS);
    cluster_expect(&cluster, "[  10] 0 > clock 0 computed\n"
                             "[  10] 0 > clock 0 closed\n"
                             "[  10] 1 > clock 0 computed\n"
                             "[  10] 1 > clock 0 closed\n"
                             "[  20] 0 > clock 1 computed\n"
                             "[  20] 1 > clock 1 computed\n"
                             "[  30] 2 > clock 0 computed\n"
                             "[  30] 2 > clock 0 closed\n"
                             "[  31] 0 > clock 1 closed\n"
                             "[  31] 1 > clock 1 closed\n"
                             "[  41] 0 > clock 2 computed\n"
                             "[  41] 1 > clock 2 computed\n");
    assert_int_equal(cluster.nodes[0].applied[0], 0);
    assert_int_equal(cluster.nodes[0].applied[1], 3);
    cluster_tear_down(&cluster);
}

static void test_ssp_lets_the_fast_run_s_clocks_ahead(void **state)
{
    (void)state;
    run(TRAIN_SSP, 1, 50 * MS);
    cluster_expect(&cluster, "[  10] 0 > clock 0 computed\n"
                             "[  10] 0 > clock 0 closed\n"
                             "[  10] 1 > clock 0 computed\n"
                             "[  10] 1 > clock 0 closed\n"
                             "[  20] 0 > clock 1 computed\n"
                             "[  20] 0 > clock 1 closed\n"
                             "[  20] 1 > clock 1 computed\n"
                             "[  20] 1 > clock 1 closed\n"
                             "[  30] 0 > clock 2 computed\n"
                             "[  30] 1 > clock 2 computed\n"
                             "[  30] 2 > clock 0 computed\n"
                             "[  30] 2 > clock 0 closed\n"
                             "[  31] 0 > clock 2 closed\n"
                             "[  31] 1 > clock 2 closed\n"
                             "[  41] 0 > clock 3 computed\n"
                             "[  41] 1 > clock 3 computed\n");
    /* Its own batch at once, and what had come by then. */
    assert_int_equal(cluster.nodes[0].applied[0], 1);
    assert_int_equal(cluster.nodes[0].applied[1], 2);
    cluster_tear_down(&cluster);
}

static void test_asp_waits_for_nobody_but_at_the_end(void **state)
{
    (void)state;
    run(TRAIN_ASP, 0, 45 * MS);
    cluster_expect(&cluster, "[  10] 0 > clock 0 computed\n"
                             "[  10] 0 > clock 0 closed\n"
                             "[  10] 1 > clock 0 computed\n"
                             "[  10] 1 > clock 0 closed\n"
                             "[  20] 0 > clock 1 computed\n"
                             "[  20] 0 > clock 1 closed\n"
                             "[  20] 1 > clock 1 computed\n"
                             "[  20] 1 > clock 1 closed\n"
                             "[  30] 0 > clock 2 computed\n"
                             "[  30] 0 > clock 2 closed\n"
                             "[  30] 1 > clock 2 computed\n"
                             "[  30] 1 > clock 2 closed\n"
                             "[  30] 2 > clock 0 computed\n"
                             "[  30] 2 > clock 0 closed\n"
                             "[  40] 0 > clock 3 computed\n"
                             "[  40] 1 > clock 3 computed\n");
    cluster_run(&cluster, CLOCK_S);
    assert_true(cluster_ended(&cluster));
    for (p2p_peer p = 0; p < 3; p++) {
        for (p2p_peer q = 0; q < 3; q++) {
            assert_int_equal(cluster.nodes[p].n_applied[q], 4);
        }
    }
    cluster_tear_down(&cluster);
}

static void
test_all_end_with_everything_and_in_order_with_equal_bits(void **state)
{
    const enum train_mode modes[] = {TRAIN_BSP, TRAIN_PIPELINE};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        p2p_peer peer;
        char why[ERR_MSG_SIZE];
        run(modes[i], 2 * (uint32_t)i, CLOCK_S);
        assert_true(cluster_ended(&cluster));
        for (p2p_peer p = 0; p < 3; p++) {
            assert_int_equal(
                train_hub_outcome(cluster.nodes[p].hub, &peer, why), 0);
            assert_int_equal(cluster.nodes[p].n_applied[2], 4);
            assert_true(cluster_equal(&cluster, 0, p));
        }
        cluster_tear_down(&cluster);
    }
}

/* Peer 2 takes three times as long: the gate of the fast lets it be behind by
 * what that is worth, once it has been seen, and never by more than the bound.
 */
static void test_adaptive_finds_the_lag_of_a_slow_peer(void **state)
{
    const uint32_t highs[] = {1, 8};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct cluster_options o = SLOW_PEER;
        o.mode = TRAIN_ADAPTIVE;
        o.staleness = highs[i];
        o.clocks = 60;
        cluster_set_up(&cluster, &o);
        assert_int_equal(train_hub_staleness(cluster.nodes[0].hub), 0);
        cluster_run(&cluster, CLOCK_S);
        assert_in_range(train_hub_staleness(cluster.nodes[0].hub),
                        highs[i] == 1 ? 1 : 2, highs[i]);
        assert_true(cluster.nodes[0].behind_max >= 2);
        assert_true(cluster.nodes[0].behind_max <= highs[i] + 2);
        cluster_run(&cluster, 10 * CLOCK_S);
        assert_true(cluster_ended(&cluster));
        cluster_tear_down(&cluster);
    }
}

/* Go on for @ns and say what the bound of peer 0 was meanwhile, at least and at
 * most. */
static void watch_bound(uint64_t ns, uint32_t *least, uint32_t *most)
{
    uint64_t end = p2p_sim_now_ns(cluster.net) + ns;

    *least = UINT32_MAX;
    *most = 0;
    while (p2p_sim_now_ns(cluster.net) < end) {
        uint32_t s = train_hub_staleness(cluster.nodes[0].hub);
        *least = s < *least ? s : *least;
        *most = s > *most ? s : *most;
        cluster_run(&cluster, p2p_sim_now_ns(cluster.net) + MS);
    }
}

/* What a straggler is worth does not depend on who waits for it: the bound is
 * at the low end while all are equal, settles where one that takes k times as
 * long puts it, stays there, and comes back when that one recovers. With
 * batches that come late, too. */
static void test_adaptive_settles_and_comes_back(void **state)
{
    static const struct {
        uint64_t factor, delay_ns;
        uint32_t settled;
        bool groups;
    } CASES[] = {{1, MS, 0, false},
                 {3, MS, 2, false},
                 {5, MS, 4, false},
                 {3, MS, 2, true},
                 {3, 15 * MS, 2, false}};

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct cluster_options o = SLOW_PEER;
        uint32_t least, most;
        o.mode = TRAIN_ADAPTIVE;
        o.staleness = 8;
        o.clocks = 1000;
        o.net.n_peers = 5;
        o.net.delay_ns_min = CASES[i].delay_ns;
        o.net.delay_ns_max = CASES[i].delay_ns + 5 * MS;
        memset(o.compute_ns, 0, sizeof o.compute_ns);
        if (CASES[i].groups) {
            o.multicast = P2P_MULTICAST_RANDOM;
            o.fan_out = 2;
            o.lazy = 3;
        }
        cluster_set_up(&cluster, &o);
        watch_bound(CLOCK_S, &least, &most);
        assert_int_equal(most, 0);
        cluster.o.compute_ns[3] = CASES[i].factor * 10 * MS;
        watch_bound(3 * CLOCK_S, &least, &most);
        assert_int_equal(most, CASES[i].settled);
        watch_bound(2 * CLOCK_S, &least, &most);
        assert_int_equal(least, CASES[i].settled);
        assert_int_equal(most, CASES[i].settled);
        cluster.o.compute_ns[3] = 0;
        watch_bound(CLOCK_S, &least, &most);
        assert_int_equal(least, 0);
        watch_bound(CLOCK_S, &least, &most);
        assert_int_equal(most, 0);
        cluster_tear_down(&cluster);
    }
}

/* Four peers, each sends to its neighbour at once and to the others every third
 * clock: nobody waits within a group, all are equal at its end, and messages
 * are P Q a clock and P (P - 1) a group. */
static void test_bsp_with_lazy_groups_is_equal_at_their_ends(void **state)
{
    struct cluster_options o = SLOW_PEER;
    uint64_t batches = 0;

    (void)state;
    o.net.n_peers = 4;
    o.clocks = 9;
    o.digest_every = 1;
    o.compute_ns[2] = o.compute_ns[3] = 10 * MS;
    o.multicast = P2P_MULTICAST_RING;
    o.lazy = 3;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 25 * MS);
    for (p2p_peer p = 0; p < 4; p++) {
        assert_int_equal(cluster.nodes[p].clock, 2);
        assert_int_equal(cluster.nodes[p].applied[0], 0);
        assert_int_equal(cluster.nodes[p].applied[1], 0);
    }
    cluster_run(&cluster, 35 * MS);
    for (p2p_peer p = 0; p < 4; p++) {
        assert_int_equal(cluster.nodes[p].applied[2], 12);
    }
    cluster_run(&cluster, CLOCK_S);
    assert_true(cluster_ended(&cluster));
    for (p2p_peer p = 0; p < 4; p++) {
        assert_true(cluster_equal(&cluster, 0, p));
        batches += cluster.nodes[p].n_batch_msgs;
    }
    /* 9 clocks to the neighbour, 3 groups to the two others. */
    assert_int_equal(batches, 4 * (9 + 3 * 2));
    cluster_tear_down(&cluster);
}

/* What is not due by the schedule is not asked for, though later ones came. */
static void test_asp_applies_eager_batches_as_they_come(void **state)
{
    struct cluster_options o = SLOW_PEER;

    (void)state;
    o.net.n_peers = 4;
    o.mode = TRAIN_ASP;
    o.clocks = 8;
    o.compute_ns[2] = o.compute_ns[3] = 10 * MS;
    o.multicast = P2P_MULTICAST_RING;
    o.lazy = 8;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 45 * MS);
    /* Its own four, and those of its left neighbour that had come. */
    assert_int_equal(cluster.nodes[1].n_applied[1], 4);
    assert_int_equal(cluster.nodes[1].n_applied[0], 3);
    assert_int_equal(cluster.nodes[1].n_applied[2], 0);
    cluster_run(&cluster, CLOCK_S);
    assert_true(cluster_ended(&cluster));
    for (p2p_peer p = 0; p < 4; p++) {
        for (p2p_peer q = 0; q < 4; q++) {
            assert_int_equal(cluster.nodes[p].n_applied[q], 8);
        }
        assert_int_equal(cluster.nodes[p].n_asked, 0);
    }
    cluster_tear_down(&cluster);
}

static bool reaches(p2p_peer p, p2p_peer q, uint64_t clock)
{
    struct p2p_multicast m = {.kind = cluster.o.multicast,
                              .fan_out = cluster.o.fan_out,
                              .seed = cluster.o.net.seed,
                              .n_peers = cluster.n};

    return p == q || p2p_multicast_sends(&m, 0, p, clock, q);
}

/* Every peer sends to Q at once, in every clock, whatever becomes of the
 * others. */
static void test_eager_messages_are_p_times_q_a_clock(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct cluster_options o = SLOW_PEER;
        uint64_t eager = 0, all = 0;
        o.net.n_peers = 7;
        o.mode = TRAIN_SSP;
        o.staleness = 2;
        memset(o.compute_ns, 0, sizeof o.compute_ns);
        o.clocks = 60;
        o.multicast = P2P_MULTICAST_RANDOM + (enum p2p_multicast_kind)(i % 3);
        o.fan_out = o.multicast == P2P_MULTICAST_RING ? 0 : 3;
        o.repair = i < 3 ? TRAIN_REPAIR_LAZY : TRAIN_REPAIR_NONE;
        o.lazy = 4;
        cluster_set_up(&cluster, &o);
        cluster_run(&cluster, 60 * CLOCK_S);
        assert_true(cluster_ended(&cluster));
        for (p2p_peer p = 0; p < 7; p++) {
            eager += cluster.nodes[p].n_eager;
            all += cluster.nodes[p].n_batch_msgs;
            assert_int_equal(cluster.nodes[p].n_asked, 0);
        }
        assert_int_equal(eager, 7 * 60 * (o.fan_out == 0 ? 1 : 3));
        if (o.repair == TRAIN_REPAIR_NONE) {
            assert_int_equal(all, eager);
        } else {
            assert_true(all > eager);
        }
        cluster_tear_down(&cluster);
    }
}

/* The ring without repair: each hears its left neighbour and nobody else, and
 * waits for nobody else. Peer 2 is slow; peer 3 waits for it, peer 0 for peer
 * 3, and so on, each s clocks ahead of the one before. */
static void test_ssp_without_repair_waits_along_the_ring(void **state)
{
    struct cluster_options o = SLOW_PEER;

    (void)state;
    o.net.n_peers = 4;
    o.mode = TRAIN_SSP;
    o.staleness = 1;
    o.clocks = 100;
    o.compute_ns[0] = o.compute_ns[1] = o.compute_ns[3] = MS;
    o.multicast = P2P_MULTICAST_RING;
    o.repair = TRAIN_REPAIR_NONE;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 20 * MS);
    /* Clock s + 1 of a peer wants clock 0 of the one before, which takes 30 ms
     * at peer 2; and clock c + s + 1 wants clock c, which the one before has
     * computed when it stands at its gate. */
    assert_int_equal(cluster.nodes[2].clock, 0);
    assert_int_equal(cluster.nodes[3].clock, 2);
    assert_int_equal(cluster.nodes[0].clock, 5);
    assert_int_equal(cluster.nodes[1].clock, 8);
    cluster_run(&cluster, 60 * CLOCK_S);
    assert_true(cluster_ended(&cluster));
    for (p2p_peer p = 0; p < 4; p++) {
        for (p2p_peer q = 0; q < 4; q++) {
            assert_int_equal(cluster.nodes[p].n_applied[q],
                             p == q || p == (q + 1) % 4 ? 100 : 0);
        }
        assert_int_equal(cluster.nodes[p].n_asked, 0);
    }
    cluster_tear_down(&cluster);
}

/* What was for a peer and is lost is asked for; what was not for it never
 * comes, not even then. */
static void test_without_repair_a_cut_link_is_made_up_for(void **state)
{
    struct cluster_options o = SLOW_PEER;

    (void)state;
    o.net.n_peers = 6;
    o.mode = TRAIN_SSP;
    o.staleness = 1;
    o.clocks = 40;
    o.multicast = P2P_MULTICAST_RANDOM;
    o.fan_out = 3;
    o.repair = TRAIN_REPAIR_NONE;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 5 * MS);
    for (p2p_peer p = 0; p < 6; p++) {
        p2p_sim_cut(cluster.net, 2, p);
    }
    cluster_run(&cluster, 500 * MS);
    assert_int_equal(cluster.nodes[3].clock, 2); /* It waits for clock 0. */
    for (p2p_peer p = 0; p < 6; p++) {
        p2p_sim_mend(cluster.net, 2, p);
    }
    cluster_run(&cluster, 60 * CLOCK_S);
    assert_true(cluster_ended(&cluster));
    assert_true(cluster.nodes[3].n_asked > 0);
    for (p2p_peer p = 0; p < 6; p++) {
        for (p2p_peer q = 0; q < 6; q++) {
            for (uint64_t c = 0; c < 40; c++) {
                assert_int_equal(cluster_has(&cluster, p, q, c),
                                 reaches(q, p, c));
            }
        }
    }
    cluster_tear_down(&cluster);
}

/* Who is hardly ever sent anything must be acknowledged all the same, long
 * before its window is full: nobody asks, nobody waits. */
static void test_one_way_senders_are_acknowledged_in_time(void **state)
{
    struct cluster_options o = SLOW_PEER;

    (void)state;
    o.net.n_peers = 5;
    o.mode = TRAIN_ASP;
    o.clocks = 3 * TRAIN_WINDOW;
    o.multicast = P2P_MULTICAST_RING;
    o.repair = TRAIN_REPAIR_NONE;
    o.retry_ns = 3600 * CLOCK_S;
    for (p2p_peer p = 0; p < 5; p++) {
        o.compute_ns[p] = MS;
    }
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, (3 * TRAIN_WINDOW - 1) * MS);
    for (p2p_peer p = 0; p < 5; p++) {
        assert_int_equal(cluster.nodes[p].clock, 3 * TRAIN_WINDOW - 2);
    }
    cluster_tear_down(&cluster);
}

/* All that one peer sends another is lost, so that no batch tells of those
 * before: both stand at the window when the link is mended. */
static void test_without_repair_a_full_window_is_made_up_for(void **state)
{
    struct cluster_options o = SLOW_PEER;
    uint64_t lost = 2; /* From 5 ms on. */

    (void)state;
    o.net.n_peers = 4;
    o.mode = TRAIN_ASP;
    o.clocks = 2 * TRAIN_WINDOW;
    o.multicast = P2P_MULTICAST_RANDOM;
    o.fan_out = 2;
    o.repair = TRAIN_REPAIR_NONE;
    for (p2p_peer p = 0; p < 4; p++) {
        o.compute_ns[p] = 2 * MS;
    }
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 5 * MS); /* They have met. */
    while (!reaches(0, 2, lost)) {
        lost++;
    }
    p2p_sim_cut(cluster.net, 0, 2);
    cluster_run(&cluster, 800 * MS);
    assert_false(cluster_has(&cluster, 2, 0, lost));
    assert_int_equal(cluster.nodes[0].clock, lost + TRAIN_WINDOW / 2);
    p2p_sim_mend(cluster.net, 0, 2);
    cluster_run(&cluster, 1800 * MS);
    assert_true(cluster_has(&cluster, 2, 0, lost));
    cluster_run(&cluster, 60 * CLOCK_S);
    assert_true(cluster_ended(&cluster));
    cluster_tear_down(&cluster);
}

/* Replicas are mixed every four clocks while peers compute. One that has got
 * stuck is waited for where the next round of the first piece would begin, and
 * no earlier; when it goes on, so do all, and every round gives its result. */
static void test_mixing_is_waited_for_before_the_next_round(void **state)
{
    const enum train_repair kinds[] = {TRAIN_REPAIR_SYNC, TRAIN_REPAIR_ROTATE};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct cluster_options o = SLOW_PEER;
        o.net.n_peers = 4;
        o.mode = TRAIN_ASP;
        o.clocks = 20;
        o.compute_ns[2] = 10 * MS;
        o.compute_ns[3] = 2 * CLOCK_S;
        o.multicast = P2P_MULTICAST_RING;
        o.repair = kinds[i];
        o.mix_clocks = 4;
        cluster_set_up(&cluster, &o);
        assert_int_equal(cluster.pieces.n, 3);
        cluster_run(&cluster, 1000 * MS);
        assert_int_equal(cluster.nodes[3].clock, 0);
        assert_int_equal(cluster.nodes[0].clock, 7); /* 4 + 4 - 1 */
        assert_true(cluster.nodes[0].at_gate);
        if (kinds[i] == TRAIN_REPAIR_SYNC) {
            assert_int_equal(cluster.nodes[1].clock, 7);
            assert_int_equal(cluster.nodes[1].n_results, 0);
        }
        cluster_run(&cluster, 100 * CLOCK_S);
        assert_true(cluster_ended(&cluster));
        for (p2p_peer p = 0; p < 4; p++) {
            /* Of each piece at four clocks. */
            assert_int_equal(cluster.nodes[p].n_results, 3 * 4);
        }
        cluster_tear_down(&cluster);
    }
}

/* A lost batch is asked for again; nobody goes on without it. */
static void test_a_cut_link_is_waited_for_and_made_up_for(void **state)
{
    struct cluster_options o = SLOW_PEER;

    (void)state;
    o.compute_ns[2] = 10 * MS;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 5 * MS);
    p2p_sim_cut(cluster.net, 2, 0);
    cluster_run(&cluster, 500 * MS);
    assert_int_equal(cluster.nodes[0].clock, 0);
    assert_int_equal(cluster.nodes[1].clock, 1); /* Peer 0 holds it up. */
    p2p_sim_mend(cluster.net, 2, 0);
    cluster_run(&cluster, 20 * CLOCK_S);
    assert_true(cluster_ended(&cluster));
    assert_true(cluster_equal(&cluster, 0, 1));
    assert_true(cluster_equal(&cluster, 0, 2));
    cluster_tear_down(&cluster);
}

/* Nothing of peer 2 comes to peer 0, ever: it asks in vain, and gets all of it
 * from peer 1. Only that peer 2 is done it must hear from peer 2. */
static void test_what_an_origin_cannot_send_comes_from_a_holder(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct cluster_options o = SLOW_PEER;
        o.net.n_peers = 4;
        o.mode = i == 0 ? TRAIN_BSP : TRAIN_SSP;
        o.staleness = (uint32_t)i;
        o.clocks = 6;
        o.compute_ns[2] = o.compute_ns[3] = 10 * MS;
        if (i == 2) { /* Each batch of 2 comes to 3 and, at times, to 0. */
            o.multicast = P2P_MULTICAST_RANDOM;
            o.fan_out = 2;
            o.repair = TRAIN_REPAIR_NONE;
        }
        cluster_set_up(&cluster, &o);
        cluster_run(&cluster, 5 * MS);
        p2p_sim_cut(cluster.net, 2, 0);
        cluster_run(&cluster, 60 * CLOCK_S);
        assert_int_equal(cluster.nodes[0].clock, 6);
        assert_false(cluster.nodes[0].ended);
        for (uint64_t c = 0; c < 6; c++) {
            assert_int_equal(cluster_has(&cluster, 0, 2, c),
                             i < 2 || reaches(2, 0, c));
        }
        p2p_sim_mend(cluster.net, 2, 0);
        cluster_run(&cluster, 120 * CLOCK_S);
        assert_true(cluster_ended(&cluster));
        assert_true(i > 0 || cluster_equal(&cluster, 0, 2));
        cluster_tear_down(&cluster);
    }
}

/* Nobody waits in asp but for acknowledgements, at the bound of the window.
 * When those and the batches are lost both ways, all stand there with nothing
 * to wait for: they must ask. */
static void test_asp_goes_on_after_all_stood_at_the_window(void **state)
{
    struct cluster_options o = SLOW_PEER;

    (void)state;
    o.net.n_peers = 2;
    o.mode = TRAIN_ASP;
    o.clocks = 2 * TRAIN_WINDOW;
    o.compute_ns[0] = o.compute_ns[1] = 2 * MS;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 100 * MS);
    p2p_sim_cut(cluster.net, 0, 1);
    p2p_sim_cut(cluster.net, 1, 0);
    cluster_run(&cluster, 2000 * MS);
    for (p2p_peer p = 0; p < 2; p++) {
        assert_in_range(cluster.nodes[p].clock, TRAIN_WINDOW / 2,
                        TRAIN_WINDOW - 1);
        assert_true(cluster.nodes[p].at_gate);
    }
    p2p_sim_mend(cluster.net, 0, 1);
    p2p_sim_mend(cluster.net, 1, 0);
    cluster_run(&cluster, 60 * CLOCK_S);
    assert_true(cluster_ended(&cluster));
    assert_int_equal(cluster.nodes[0].n_applied[1], 2 * TRAIN_WINDOW);
    assert_int_equal(cluster.nodes[1].n_applied[0], 2 * TRAIN_WINDOW);
    cluster_tear_down(&cluster);
}

/* A fast peer stands at its last gate while a slow one makes far more clocks
 * than are held for one peer. */
static void test_asp_ends_though_speeds_differ(void **state)
{
    struct cluster_options o = SLOW_PEER;

    (void)state;
    o.net.n_peers = 2;
    o.mode = TRAIN_ASP;
    o.clocks = 4 * TRAIN_WINDOW;
    o.compute_ns[0] = MS;
    o.compute_ns[1] = 8 * MS;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 600 * CLOCK_S);
    assert_true(cluster_ended(&cluster));
    cluster_tear_down(&cluster);
}

static void test_a_silent_peer_stops_all_others_who_say_since_when(void **state)
{
    struct cluster_options o = SLOW_PEER;

    (void)state;
    o.clocks = 1000;
    o.timeout_ns = 2 * CLOCK_S;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 100 * MS);
    cluster.nodes[1].frozen = true;
    cluster_run(&cluster, 2600 * MS);
    for (p2p_peer p = 0; p < 3; p += 2) {
        char why[ERR_MSG_SIZE], want[64];
        p2p_peer peer = 99;
        assert_true(cluster.nodes[p].ended);
        assert_int_equal(train_hub_outcome(cluster.nodes[p].hub, &peer, why),
                         ERR_UNREACHABLE);
        assert_int_equal(peer, 1);
        snprintf(want, sizeof want, "peer 1 is gone since clock %u",
                 (unsigned)cluster.nodes[p].n_applied[1] + 1);
        /* Its batch of the clock at whose gate all stand may have come. */
        if (strncmp(why, want, strlen(want)) != 0) {
            snprintf(want, sizeof want, "peer 1 is gone since clock %u",
                     (unsigned)cluster.nodes[p].n_applied[1]);
            assert_memory_equal(why, want, strlen(want));
        }
    }
    cluster_tear_down(&cluster);
}

static void test_replicas_that_differ_stop_the_job(void **state)
{
    struct cluster_options o = SLOW_PEER;
    char why[ERR_MSG_SIZE];
    p2p_peer peer = 99;

    (void)state;
    o.clocks = 20;
    o.digest_every = 5;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 100 * MS);
    mat_row(&cluster.nodes[1].state.w, 3)[2] += 1e-6f;
    cluster_run(&cluster, 10 * CLOCK_S);
    assert_true(cluster_ended(&cluster));
    for (p2p_peer p = 0; p < 3; p++) {
        assert_int_equal(train_hub_outcome(cluster.nodes[p].hub, &peer, why),
                         ERR_DIVERGED);
        assert_memory_equal(why, "replicas differ at clock 5: ", 28);
    }
    cluster_tear_down(&cluster);
}

static void test_one_that_stops_tells_the_others_why(void **state)
{
    char why[ERR_MSG_SIZE];
    p2p_peer peer = 99;

    (void)state;
    run(TRAIN_BSP, 0, 20 * MS);
    train_hub_stop(cluster.nodes[1].hub, ERR_NOT_FINITE, "loss is nan");
    cluster_run(&cluster, 100 * MS);
    assert_true(cluster_ended(&cluster));
    assert_int_equal(train_hub_outcome(cluster.nodes[0].hub, &peer, why),
                     ERR_NOT_FINITE);
    assert_int_equal(peer, 1);
    assert_string_equal(why, "loss is nan (peer 1 says)");
    assert_int_equal(train_hub_outcome(cluster.nodes[1].hub, &peer, why),
                     ERR_NOT_FINITE);
    assert_string_equal(why, "loss is nan");
    cluster_tear_down(&cluster);
}

/* Stop a job at @stop_ns of virtual time, as a peer does that has reached a
 * target. Return how many others were behind then. */
static unsigned end_early(enum train_mode mode, uint64_t stop_ns)
{
    struct cluster_options o = SLOW_PEER;
    struct cluster_node *nodes = cluster.nodes;
    unsigned n_behind = 0;
    char why[ERR_MSG_SIZE];
    p2p_peer peer;

    o.mode = mode;
    o.clocks = 1000;
    o.net.delay_ns_min = o.net.delay_ns_max = 8 * MS;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, stop_ns);
    for (p2p_peer p = 0; p < 3; p++) {
        n_behind += nodes[p].clock < nodes[2].clock;
    }
    const uint64_t clock = nodes[2].clock;
    train_hub_stop(nodes[2].hub, ERR_CLOSED, "reached");
    cluster_run(&cluster, stop_ns + CLOCK_S);
    assert_true(cluster_ended(&cluster));
    for (p2p_peer p = 0; p < 3; p++) {
        assert_int_equal(train_hub_outcome(nodes[p].hub, &peer, why),
                         ERR_CLOSED);
        assert_true(nodes[p].clock < 1000);
        if (mode == TRAIN_BSP) {
            assert_int_equal(nodes[p].clock, clock);
            assert_true(cluster_equal(&cluster, p, 2));
        }
    }
    cluster_tear_down(&cluster);
    return n_behind;
}

static void test_all_end_where_one_has_reached_the_target(void **state)
{
    unsigned n_behind = 0;

    (void)state;
    for (uint64_t ns = 50 * MS; ns < 150 * MS; ns += MS) {
        n_behind += end_early(TRAIN_BSP, ns);
    }
    assert_true(n_behind > 0);
    end_early(TRAIN_SSP, 100 * MS);
    end_early(TRAIN_ASP, 100 * MS);
}

/* Node 1 hears that the job ends while it waits for a batch of node 0. */
static void test_one_that_is_behind_goes_on_to_the_end(void **state)
{
    struct cluster_options o = SLOW_PEER;
    struct cluster_node *nodes = cluster.nodes;

    (void)state;
    o.clocks = 1000;
    cluster_set_up(&cluster, &o);
    cluster_run(&cluster, 60 * MS);
    p2p_sim_cut(cluster.net, 0, 1);
    cluster_run(&cluster, 150 * MS);
    const uint64_t clock = nodes[2].clock;
    assert_int_equal(nodes[1].clock, clock - 1);
    train_hub_stop(nodes[2].hub, ERR_CLOSED, "reached");
    cluster_run(&cluster, 160 * MS);
    assert_true(nodes[0].ended && nodes[2].ended);
    assert_false(nodes[1].ended);
    p2p_sim_mend(cluster.net, 0, 1);
    cluster_run(&cluster, CLOCK_S);
    assert_true(cluster_ended(&cluster));
    for (p2p_peer p = 0; p < 3; p++) {
        assert_int_equal(nodes[p].clock, clock);
        assert_true(cluster_equal(&cluster, p, 2));
    }
    cluster_tear_down(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bsp_waits_for_the_slowest_in_every_clock),
        cmocka_unit_test(test_pipeline_applies_what_is_s_clocks_old),
        cmocka_unit_test(test_ssp_lets_the_fast_run_s_clocks_ahead),
        cmocka_unit_test(test_asp_waits_for_nobody_but_at_the_end),
        cmocka_unit_test(
            test_all_end_with_everything_and_in_order_with_equal_bits),
        cmocka_unit_test(test_adaptive_finds_the_lag_of_a_slow_peer),
        cmocka_unit_test(test_adaptive_settles_and_comes_back),
        cmocka_unit_test(test_bsp_with_lazy_groups_is_equal_at_their_ends),
        cmocka_unit_test(test_asp_applies_eager_batches_as_they_come),
        cmocka_unit_test(test_eager_messages_are_p_times_q_a_clock),
        cmocka_unit_test(test_ssp_without_repair_waits_along_the_ring),
        cmocka_unit_test(test_without_repair_a_cut_link_is_made_up_for),
        cmocka_unit_test(test_one_way_senders_are_acknowledged_in_time),
        cmocka_unit_test(test_without_repair_a_full_window_is_made_up_for),
        cmocka_unit_test(test_mixing_is_waited_for_before_the_next_round),
        cmocka_unit_test(test_a_cut_link_is_waited_for_and_made_up_for),
        cmocka_unit_test(test_what_an_origin_cannot_send_comes_from_a_holder),
        cmocka_unit_test(test_asp_goes_on_after_all_stood_at_the_window),
        cmocka_unit_test(test_asp_ends_though_speeds_differ),
        cmocka_unit_test(
            test_a_silent_peer_stops_all_others_who_say_since_when),
        cmocka_unit_test(test_replicas_that_differ_stop_the_job),
        cmocka_unit_test(test_one_that_stops_tells_the_others_why),
        cmocka_unit_test(test_all_end_where_one_has_reached_the_target),
        cmocka_unit_test(test_one_that_is_behind_goes_on_to_the_end),
    };
    return cmocka_run_group_tests_name("gates", tests, NULL, NULL);
}
