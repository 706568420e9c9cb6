/* What a parameter server must do in situations that are named: deaths, joins,
 * leaves, repeated and lost messages. In virtual time. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "ps/filter.h"
#include "tests/support/servers.h"
#include "tests/support/test.h"

#define KEYS 40

static struct servers cluster;
static struct servers *const c = &cluster;

static const struct ps_param VECTOR[] = {{.n = KEYS, .range_keys = 4}};
static const struct ps_param RANKED[] = {
    {.n = KEYS, .range_keys = 4, .order = PS_ORDER_RANK}};
static const struct ps_param AGGREGATED[] = {{.n = KEYS,
                                              .range_keys = 4,
                                              .order = PS_ORDER_RANK,
                                              .aggregate_first = true}};

static struct servers_options options(uint32_t n, uint32_t replicas)
{
    return (struct servers_options){
        .net = {.seed = 5,
                .n_peers = n,
                .delay_ns_min = CLOCK_MS,
                .delay_ns_max = CLOCK_MS},
        .node = {.seed = 7,
                 .params = VECTOR,
                 .n_params = 1,
                 .replicas = replicas,
                 .consistency = {.kind = PS_SEQUENTIAL},
                 .retry_ns = 100 * CLOCK_MS}};
}

/* All of them are there and serve. */
static void set_up(const struct servers_options *o)
{
    servers_set_up(c, o);
    for (p2p_peer p = 0; p < c->n; p++) {
        servers_start(c, p, 0);
        c->nodes[p].in = true;
    }
    servers_view(c, true);
    assert_true(servers_settle(c, CLOCK_S));
}

static void fill(float *x, float value)
{
    for (int i = 0; i < KEYS; i++) {
        x[i] = value;
    }
}

static void push(p2p_peer p, uint64_t time, float value)
{
    float x[KEYS];

    fill(x, value);
    servers_push(c, p, 0, time, x, KEYS);
}

/* Run until @p has done @n tasks in all. */
static void wait_done(p2p_peer p, uint64_t n, uint64_t ms)
{
    uint64_t until = servers_now(c) + ms * CLOCK_MS;

    while (c->nodes[p].n_done < n && servers_now(c) < until) {
        servers_run(c, servers_now(c) + CLOCK_MS);
    }
    assert_int_equal(c->nodes[p].n_done, n);
}

/* What @p pulls is @value in all keys. */
static void expect(p2p_peer p, uint64_t time, float value)
{
    uint64_t before = c->nodes[p].n_done;
    float x[KEYS], expected[KEYS];

    fill(x, NAN);
    fill(expected, value);
    servers_pull(c, p, 0, time, x, KEYS);
    wait_done(p, before + 1, 5000);
    assert_memory_equal(x, expected, sizeof x);
}

static void go_without(p2p_peer p)
{
    servers_kill(c, p);
    c->nodes[p].in = false;
    servers_view(c, false);
}

static void test_what_one_pushes_all_pull(void **state)
{
    struct servers_options o = options(4, 2);

    (void)state;
    set_up(&o);
    push(0, 0, 1);
    wait_done(0, 1, 50);
    push(3, 0, 2);
    wait_done(3, 1, 50);
    for (p2p_peer p = 0; p < 4; p++) {
        expect(p, 0, 3);
    }
    assert_true(servers_agree(c));
    servers_tear_down(c);
}

static void test_a_vector_begins_with_its_initial_values(void **state)
{
    static float initial[KEYS];
    const struct ps_param params[] = {
        {.n = KEYS, .range_keys = 4, .initial = initial}};
    struct servers_options o = options(3, 1);

    (void)state;
    fill(initial, 0.5f);
    o.node.params = params;
    set_up(&o);
    expect(1, 0, 0.5f);
    servers_tear_down(c);
}

static void test_a_node_alone_serves_itself_at_once(void **state)
{
    struct servers_options o = options(1, 2);

    (void)state;
    set_up(&o);
    push(0, 0, 1);
    assert_int_equal(c->nodes[0].n_done, 1);
    expect(0, 0, 1);
    servers_tear_down(c);
}

/* The acknowledgement comes after the tail: none while a successor is cut off.
 */
static void test_nothing_is_acknowledged_that_a_successor_lacks(void **state)
{
    struct servers_options o = options(3, 1);
    p2p_peer chain[SERVERS_MAX], other;
    float x[KEYS] = {1, 1, 1, 1};

    (void)state;
    set_up(&o);
    servers_chain(c, 0, chain);
    other = 3 - chain[0] - chain[1];
    p2p_sim_cut(c->net, chain[0], chain[1]);
    servers_push(c, other, 0, 0, x, 4);
    servers_run(c, servers_now(c) + 2 * CLOCK_S);
    assert_int_equal(c->nodes[other].n_done, 0);
    p2p_sim_mend(c->net, chain[0], chain[1]);
    wait_done(other, 1, 300);
    assert_true(servers_agree(c));
    servers_tear_down(c);
}

static void test_an_owner_that_dies_after_the_ack_loses_nothing(void **state)
{
    struct servers_options o = options(5, 2);
    p2p_peer chain[SERVERS_MAX], worker = 0;

    (void)state;
    set_up(&o);
    servers_chain(c, 0, chain);
    while (worker == chain[0]) {
        worker++;
    }
    push(worker, 0, 1);
    wait_done(worker, 1, 100);
    go_without(chain[0]);
    expect(worker, 0, 1);
    assert_true(servers_settled(c));
    assert_true(servers_agree(c));
    servers_tear_down(c);
}

/* Its successors may have the push or not; the worker sends it again, and it
 * counts once. */
static void test_an_owner_that_dies_before_the_ack_counts_once(void **state)
{
    (void)state;
    for (uint64_t us = 0; us <= 8000; us += 500) {
        struct servers_options o = options(5, 2);
        p2p_peer chain[SERVERS_MAX], worker = 0;
        set_up(&o);
        servers_chain(c, 0, chain);
        while (worker == chain[0]) {
            worker++;
        }
        push(worker, 0, 1);
        servers_run(c, servers_now(c) + us * 1000);
        go_without(chain[0]);
        wait_done(worker, 1, 1000);
        expect(worker, 0, 1);
        servers_tear_down(c);
    }
}

static void test_the_middle_and_the_tail_may_die_as_well(void **state)
{
    (void)state;
    for (uint32_t place = 1; place <= 2; place++) {
        for (uint64_t us = 0; us <= 8000; us += 500) {
            struct servers_options o = options(5, 2);
            p2p_peer chain[SERVERS_MAX];
            set_up(&o);
            servers_chain(c, 0, chain);
            push(chain[0], 0, 1);
            servers_run(c, servers_now(c) + us * 1000);
            go_without(chain[place]);
            wait_done(chain[0], 1, 1000);
            expect(chain[0], 0, 1);
            servers_tear_down(c);
        }
    }
}

static void test_successors_serve_within_a_second_of_the_decision(void **state)
{
    struct servers_options o = options(8, 2);
    uint64_t before;

    (void)state;
    o.net.delay_ns_max = 20 * CLOCK_MS;
    o.net.loss_permille = 50;
    set_up(&o);
    push(1, 0, 1);
    wait_done(1, 1, 5000);
    go_without(0);
    before = servers_now(c);
    assert_true(servers_settle(c, before + 10 * CLOCK_S));
    assert_true(servers_now(c) - before < CLOCK_S);
    expect(1, 0, 1);
    servers_tear_down(c);
}

static void test_more_deaths_at_once_than_replicas_are_said(void **state)
{
    struct servers_options o = options(5, 1);
    p2p_peer chain[SERVERS_MAX];

    (void)state;
    set_up(&o);
    servers_chain(c, 0, chain);
    servers_kill(c, chain[0]);
    servers_kill(c, chain[1]);
    c->nodes[chain[0]].in = false;
    c->nodes[chain[1]].in = false;
    servers_view(c, false);
    servers_run(c, servers_now(c) + CLOCK_S);
    assert_true(c->n_lost > 0);
    assert_false(servers_settled(c));
    servers_tear_down(c);
}

/* One that was taken for dead comes back with what was there before; those that
 * had more are dead. What a worker knows to be served later is not replaced by
 * that. */
static void test_an_old_copy_does_not_pass_for_a_lost_one(void **state)
{
    struct servers_options o = options(4, 1);
    p2p_peer chain[SERVERS_MAX], old, worker = 0;
    float out[4] = {-1};

    (void)state;
    set_up(&o);
    servers_chain(c, 0, chain);
    old = chain[0];
    c->nodes[old].in = false;
    servers_view(c, false);
    assert_true(servers_settle(c, servers_now(c) + CLOCK_S));
    servers_chain(c, 0, chain);
    while (worker == old || worker == chain[0] || worker == chain[1]) {
        worker++;
    }
    push(worker, 0, 1);
    wait_done(worker, 1, 1000);
    servers_kill(c, chain[0]);
    servers_kill(c, chain[1]);
    c->nodes[chain[0]].in = false;
    c->nodes[chain[1]].in = false;
    c->nodes[old].in = true;
    servers_view(c, false);
    servers_pull(c, worker, 0, 1, out, 4); /* Of range 0. */
    servers_run(c, servers_now(c) + CLOCK_S);
    assert_non_null(ps_node_copy(c->nodes[old].node, 0));
    assert_true(c->n_lost > 0);
    assert_int_equal(c->nodes[worker].n_done, 1);
    servers_view(c, true); /* Go on with what there is. */
    wait_done(worker, 2, 1000);
    assert_true(out[0] == 0);
    servers_tear_down(c);
}

/* The first report of node 0 is lost, and it cannot be asked: what it sends
 * again for copies that others should have must say what it keeps, too. */
static void test_a_report_that_is_sent_again_is_whole(void **state)
{
    const struct ps_param params[] = {{.n = KEYS, .range_keys = 1}};
    struct servers_options o = options(4, 1);

    (void)state;
    o.node.params = params;
    servers_set_up(c, &o);
    for (p2p_peer p = 0; p < 3; p++) {
        servers_start(c, p, 0);
        c->nodes[p].in = true;
    }
    servers_view(c, true);
    assert_true(servers_settle(c, CLOCK_S));
    push(1, 0, 1);
    wait_done(1, 1, 1000);
    p2p_sim_cut(c->net, 0, 3);
    p2p_sim_cut(c->net, 3, 0);
    servers_start(c, 3, 0);
    c->nodes[3].in = true;
    go_without(2);
    servers_run(c, servers_now(c) + 50 * CLOCK_MS);
    p2p_sim_mend(c->net, 0, 3);
    servers_run(c, servers_now(c) + CLOCK_S);
    assert_int_equal(c->n_lost, 0);
    p2p_sim_mend(c->net, 3, 0);
    assert_true(servers_settle(c, servers_now(c) + CLOCK_S));
    expect(1, 0, 1);
    servers_tear_down(c);
}

static void test_one_that_returns_gets_its_ranges_back(void **state)
{
    struct servers_options o = options(4, 1);
    p2p_peer before[SERVERS_MAX], after[SERVERS_MAX];

    (void)state;
    set_up(&o);
    servers_chain(c, 0, before);
    push(before[1], 0, 1);
    wait_done(before[1], 1, 100);
    go_without(before[0]);
    assert_true(servers_settle(c, 10 * CLOCK_S));
    push(before[1], 1, 1);
    wait_done(before[1], 2, 100);
    servers_start(c, before[0], 2);
    c->nodes[before[0]].in = true;
    c->nodes[before[0]].since = 2;
    servers_view(c, false);
    assert_true(servers_settle(c, 20 * CLOCK_S));
    servers_chain(c, 0, after);
    assert_int_equal(after[0], before[0]);
    assert_non_null(ps_node_copy(c->nodes[before[0]].node, 0));
    expect(before[0], 0, 2);
    servers_run(c, servers_now(c) + CLOCK_S);
    for (p2p_peer p = 0; p < 4; p++) { /* And the others gave theirs away. */
        assert_int_equal(ps_node_held(c->nodes[p].node), 0);
    }
    servers_tear_down(c);
}

static void test_a_join_moves_ranges_while_pushes_fly(void **state)
{
    struct servers_options o = options(4, 1);

    (void)state;
    o.net.delay_ns_max = 30 * CLOCK_MS;
    servers_set_up(c, &o);
    for (p2p_peer p = 0; p < 3; p++) {
        servers_start(c, p, 0);
        c->nodes[p].in = true;
    }
    servers_view(c, true);
    assert_true(servers_settle(c, CLOCK_S));
    for (uint64_t t = 0; t < 30; t++) {
        for (p2p_peer p = 0; p < 3; p++) {
            push(p, t, 1);
        }
        if (t == 10) {
            servers_start(c, 3, 0);
            c->nodes[3].in = true;
            servers_view(c, false);
        }
        servers_run(c, servers_now(c) + 20 * CLOCK_MS);
    }
    for (p2p_peer p = 0; p < 3; p++) {
        wait_done(p, 30, 10000);
    }
    expect(3, 0, 90);
    assert_true(servers_settled(c));
    assert_true(servers_agree(c));
    servers_tear_down(c);
}

/* Even without successors nothing is lost. */
static void test_one_that_leaves_gives_its_copies_away_first(void **state)
{
    struct servers_options o = options(4, 0);
    uint64_t until;

    (void)state;
    o.net.loss_permille = 200;
    set_up(&o);
    push(1, 0, 1);
    wait_done(1, 1, 10000);
    c->nodes[0].leaving = true;
    servers_view(c, false);
    servers_run(c, servers_now(c) + 5 * CLOCK_MS);
    assert_true(ps_node_held(c->nodes[0].node) > 0);
    until = servers_now(c) + 10 * CLOCK_S;
    while (ps_node_held(c->nodes[0].node) > 0 && servers_now(c) < until) {
        servers_run(c, servers_now(c) + CLOCK_MS);
    }
    assert_int_equal(ps_node_held(c->nodes[0].node), 0);
    assert_int_equal(c->n_lost, 0);
    go_without(0);
    expect(1, 0, 1);
    servers_tear_down(c);
}

/* One that was taken for dead goes on with the task that it had begun. */
static void test_one_falsely_taken_for_dead_comes_back(void **state)
{
    struct servers_options o = options(4, 1);
    p2p_peer chain[SERVERS_MAX];

    (void)state;
    set_up(&o);
    servers_chain(c, 0, chain);
    push(chain[0], 0, 1);
    servers_run(c, servers_now(c) + CLOCK_MS / 2);
    c->nodes[chain[0]].in = false;
    servers_view(c, false);
    push(chain[1], 0, 2);
    wait_done(chain[1], 1, 1000);
    assert_int_equal(c->nodes[chain[0]].n_done, 0);
    expect(chain[1], 0, 2);
    c->nodes[chain[0]].in = true;
    servers_view(c, false);
    wait_done(chain[0], 1, 1000);
    expect(chain[1], 0, 3);
    assert_true(servers_agree(c));
    servers_tear_down(c);
}

/* An old owner that has not heard of the change cannot answer. */
static void test_an_old_owner_answers_nobody(void **state)
{
    struct servers_options o = options(4, 1);
    p2p_peer chain[SERVERS_MAX], other = 0, last;
    float x[KEYS];

    (void)state;
    set_up(&o);
    servers_chain(c, 0, chain);
    while (other == chain[0] || other == chain[1]) {
        other++;
    }
    last = 6 - chain[0] - chain[1] - other;
    /* Only the successor and one worker hear of the new view. */
    c->nodes[chain[0]].in = false;
    c->nodes[last].in = false;
    servers_view(c, false);
    c->nodes[chain[0]].n_views = c->n_views;
    c->nodes[last].n_views = c->n_views;
    fill(x, 1);
    servers_push(c, other, 0, 0, x, 4);
    wait_done(other, 1, 1000);
    servers_pull(c, last, 0, 0, x, 4);
    servers_run(c, servers_now(c) + 3 * CLOCK_S);
    assert_int_equal(c->nodes[last].n_done, 0);
    servers_tear_down(c);
}

static void test_lost_acknowledgements_do_not_count_twice(void **state)
{
    struct servers_options o = options(3, 1);
    p2p_peer chain[SERVERS_MAX], other;
    float x[KEYS] = {1, 1, 1, 1};

    (void)state;
    set_up(&o);
    servers_chain(c, 0, chain);
    other = 3 - chain[0] - chain[1];
    p2p_sim_cut(c->net, chain[1], other);
    servers_push(c, other, 0, 0, x, 4);
    servers_run(c, servers_now(c) + 2 * CLOCK_S);
    assert_int_equal(c->nodes[other].n_done, 0);
    assert_true(ps_node_stats(c->nodes[chain[0]].node).n_duplicates > 0);
    p2p_sim_mend(c->net, chain[1], other);
    wait_done(other, 1, 2000);
    assert_true(ps_node_copy(c->nodes[chain[0]].node, 0)->val[0] == 1);
    servers_tear_down(c);
}

static uint64_t finished[100];
static size_t n_finished;

static void note_done(struct servers *servers, p2p_peer p, uint64_t task)
{
    (void)servers;
    if (p == 0) {
        finished[n_finished++] = task;
    }
}

static void test_a_task_begins_after_those_it_comes_after(void **state)
{
    struct servers_options o = options(3, 1);
    float x[KEYS], slow[KEYS] = {0};
    uint64_t first, other, id;
    p2p_peer chain[SERVERS_MAX];

    (void)state;
    o.node.consistency.kind = PS_EVENTUAL;
    o.done = note_done;
    n_finished = 0;
    set_up(&o);
    servers_chain(c, 0, chain);
    fill(x, 1);
    p2p_sim_loss(c->net, 1000);
    first = servers_push(c, 0, 0, 0, x, KEYS);
    p2p_sim_loss(c->net, 0);
    other = servers_pull(c, 0, 0, 0, slow, KEYS);
    {
        float out[KEYS];
        struct ps_task t = {.time = 1,
                            .after = &first,
                            .n_after = 1,
                            .count = KEYS,
                            .out = out};
        assert_int_equal(
            ps_node_pull(c->nodes[0].node, servers_now(c), &t, &id, NULL), 0);
        servers_act(c, 0);
        wait_done(0, 3, 1000);
        assert_true(out[0] == 1);
    }
    assert_int_equal(finished[0], other);
    assert_int_equal(finished[1], first);
    assert_int_equal(finished[2], id);
    servers_tear_down(c);
}

static void test_a_bounded_pull_waits_for_pushes_of_all(void **state)
{
    struct servers_options o = options(3, 1);
    float x[KEYS];

    (void)state;
    o.node.consistency = (struct ps_consistency){PS_BOUNDED, 2};
    set_up(&o);
    for (uint64_t t = 0; t < 4; t++) {
        push(0, t, 1);
        push(1, t, 1);
    }
    push(2, 0, 1);
    servers_run(c, servers_now(c) + CLOCK_S);
    assert_int_equal(c->nodes[0].n_done, 4);
    expect(0, 2, 9);
    servers_pull(c, 0, 0, 3, x, KEYS);
    servers_run(c, servers_now(c) + CLOCK_S);
    assert_int_equal(c->nodes[0].n_done, 5); /* Push 1 of node 2 is missing. */
    push(2, 1, 1);
    wait_done(0, 6, 100);
    assert_true(x[0] == 10);
    servers_tear_down(c);
}

static void test_who_dies_is_not_waited_for(void **state)
{
    struct servers_options o = options(4, 1);
    float x[KEYS];

    (void)state;
    o.node.consistency = (struct ps_consistency){PS_BOUNDED, 0};
    set_up(&o);
    for (p2p_peer p = 0; p < 3; p++) {
        push(p, 0, 1);
    }
    servers_pull(c, 0, 0, 0, x, KEYS);
    servers_run(c, servers_now(c) + CLOCK_S);
    assert_int_equal(c->nodes[0].n_done, 1);
    go_without(3);
    wait_done(0, 2, 1000);
    assert_true(x[0] == 3);
    servers_tear_down(c);
}

/* Values whose sum depends on the order in which they are added. */
static void odd_values(p2p_peer p, uint64_t t, float *x)
{
    for (uint64_t i = 0; i < KEYS; i++) {
        x[i] = rng_normal(p, t, i);
    }
}

static void check_rank_order(const struct ps_param *params, uint64_t seed)
{
    struct servers_options o = options(4, 2);
    float expected[KEYS] = {0}, x[KEYS];

    o.net.seed = seed;
    o.net.delay_ns_max = 40 * CLOCK_MS;
    o.net.loss_permille = 100;
    o.node.params = params;
    o.node.consistency = (struct ps_consistency){PS_BOUNDED, 0};
    set_up(&o);
    for (uint64_t t = 0; t < 6; t++) {
        for (uint32_t i = 0; i < 4; i++) {
            p2p_peer p = (p2p_peer)rng_permute(seed, t, 4, i);
            odd_values(p, t, x);
            servers_push(c, p, 0, t, x, KEYS);
            servers_run(c, servers_now(c) + 5 * CLOCK_MS);
        }
        for (p2p_peer p = 0; p < 4; p++) {
            odd_values(p, t, x);
            for (int i = 0; i < KEYS; i++) {
                expected[i] += x[i];
            }
        }
    }
    for (p2p_peer p = 0; p < 4; p++) {
        servers_pull(c, p, 0, 5, x, KEYS);
        wait_done(p, 7, 20000);
        assert_memory_equal(x, expected, sizeof x);
    }
    assert_true(servers_agree(c));
    servers_tear_down(c);
}

static void test_by_rank_bits_do_not_depend_on_the_network(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        check_rank_order(RANKED, seed);
        check_rank_order(AGGREGATED, seed);
    }
}

/* A head dies with pushes that wait for others: workers send them again. */
static void test_aggregating_survives_the_head(void **state)
{
    const struct ps_param *const kinds[] = {RANKED, AGGREGATED};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct servers_options o = options(4, 1);
        float x[KEYS], expected[KEYS];
        o.node.params = kinds[i];
        o.node.consistency = (struct ps_consistency){PS_BOUNDED, 0};
        set_up(&o);
        for (p2p_peer p = 1; p < 3; p++) {
            push(p, 0, 1);
        }
        servers_run(c, servers_now(c) + 20 * CLOCK_MS);
        go_without(0);
        servers_run(c, servers_now(c) + CLOCK_S);
        push(3, 0, 1);
        servers_pull(c, 1, 0, 0, x, KEYS);
        wait_done(1, 2, 2000);
        fill(expected, 3);
        assert_memory_equal(x, expected, sizeof x);
        servers_tear_down(c);
    }
}

/* Aggregating first, the values go down once for each time. */
static void test_aggregating_first_sends_successors_less(void **state)
{
    const struct ps_param *const kinds[] = {RANKED, AGGREGATED};
    uint64_t bytes[2] = {0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct servers_options o = options(8, 2);
        o.node.params = kinds[i];
        o.node.consistency = (struct ps_consistency){PS_BOUNDED, 0};
        set_up(&o);
        for (uint64_t t = 0; t < 5; t++) {
            for (p2p_peer p = 0; p < 8; p++) {
                push(p, t, 1);
            }
        }
        for (p2p_peer p = 0; p < 8; p++) {
            wait_done(p, 5, 2000);
            for (p2p_peer q = 0; q < 8; q++) {
                struct p2p_transport *t = p2p_sim_endpoint(c->net, p);
                bytes[i] += t->ops->stats(t, q).bytes_sent;
            }
        }
        servers_tear_down(c);
    }
    assert_true(bytes[1] * 2 < bytes[0]);
}

static struct ps_values sparse(uint64_t seed)
{
    struct ps_values v = {.n = KEYS / 2};

    v.val = malloc(sizeof(float) * v.n);
    v.index = malloc(sizeof(uint32_t) * v.n);
    for (uint32_t i = 0; i < v.n; i++) {
        v.index[i] = 2 * i;
        v.val[i] = (float)seed;
    }
    return v;
}

/* One forgets the keys, as it may: the whole list comes. */
static void test_keys_are_sent_once_and_again_when_forgotten(void **state)
{
    const struct ps_param params[] = {{.n = KEYS}};
    struct servers_options o = options(3, 1);
    p2p_peer chain[SERVERS_MAX], other;

    (void)state;
    o.node.params = params;
    o.node.send_known = true;
    set_up(&o);
    servers_chain(c, 0, chain);
    other = 3 - chain[0] - chain[1];
    for (uint64_t t = 0; t < 4; t++) {
        struct ps_values v = sparse(t);
        struct ps_task task = {.time = t, .values = &v};
        uint64_t id;
        if (t == 2) { /* Another head, which has seen no list. */
            c->nodes[chain[0]].in = false;
            servers_kill(c, chain[0]);
            servers_view(c, false);
            assert_true(servers_settle(c, 10 * CLOCK_S));
            servers_start(c, chain[0], 0);
            c->nodes[chain[0]].in = true;
            servers_view(c, false);
            assert_true(servers_settle(c, 10 * CLOCK_S));
        }
        assert_int_equal(ps_node_push(c->nodes[other].node, servers_now(c),
                                      &task, &id, NULL),
                         0);
        servers_act(c, other);
        wait_done(other, t + 1, 500);
        ps_values_fini(&v);
    }
    assert_int_equal(ps_node_stats(c->nodes[chain[0]].node).n_misses, 1);
    assert_true(ps_node_copy(c->nodes[chain[0]].node, 0)->val[2] == 6);
    servers_tear_down(c);
}

static uint64_t bytes_from(p2p_peer from, p2p_peer to)
{
    struct p2p_transport *t = p2p_sim_endpoint(c->net, from);

    return t->ops->stats(t, to).bytes_sent;
}

/* A second pull brings what changed, the bits of a zero included. */
static void test_a_pull_that_comes_again_brings_what_changed(void **state)
{
    static float initial[KEYS * 10];
    const struct ps_param params[] = {
        {.n = KEYS * 10, .initial = initial, .update = {ps_update_assign, 0}}};
    struct servers_options o = options(3, 1);
    p2p_peer chain[SERVERS_MAX], other;
    float out[KEYS * 10], minus_zero = -0.0f;
    uint64_t before, all, changed;

    (void)state;
    for (int i = 0; i < KEYS * 10; i++) {
        initial[i] = (float)i;
    }
    o.node.params = params;
    o.node.send_changes = true;
    set_up(&o);
    servers_chain(c, 0, chain);
    other = 3 - chain[0] - chain[1];
    before = bytes_from(chain[1], other);
    servers_pull(c, other, 0, 0, out, KEYS * 10);
    wait_done(other, 1, 100);
    all = bytes_from(chain[1], other) - before;
    assert_memory_equal(out, initial, sizeof out);
    servers_push(c, other, 0, 0, &minus_zero, 1);
    wait_done(other, 2, 100);
    before = bytes_from(chain[1], other);
    memset(out, 0xff, sizeof out);
    servers_pull(c, other, 0, 0, out, KEYS * 10);
    wait_done(other, 3, 100);
    changed = bytes_from(chain[1], other) - before;
    initial[0] = -0.0f;
    assert_memory_equal(out, initial, sizeof out);
    assert_true(all > sizeof out && changed < 300);
    servers_tear_down(c);
}

/* What a filter holds back at the workers arrives with what is flushed. */
static void test_filters_of_workers_send_less_and_lose_nothing(void **state)
{
    struct servers_options o = options(3, 1);
    struct ps_filter_significant filters[3];
    float total[KEYS] = {0}, out[KEYS];
    uint64_t n_sent = 0, id;

    (void)state;
    o.node.consistency = (struct ps_consistency){PS_BOUNDED, 0};
    set_up(&o);
    for (uint64_t t = 0; t <= 20; t++) {
        for (p2p_peer p = 0; p < 3; p++) {
            struct ps_filter *list[] = {&filters[p].filter};
            struct ps_values v;
            struct ps_task task = {.time = t, .values = &v};
            float x[KEYS];
            if (t == 0) {
                ps_filter_significant_init(&filters[p], KEYS, 1);
            }
            for (uint64_t i = 0; i < KEYS; i++) {
                x[i] = (float)((int)rng_below(p, t, i, 9) - 4) / 8;
                total[i] += t < 20 ? x[i] : 0;
            }
            if (t == 20) {
                ps_filter_significant_flush(&filters[p], &v);
                ps_filter_significant_fini(&filters[p]);
            } else {
                ps_values_init(&v, 0, KEYS, x);
                ps_filter_apply(list, 1, &v);
            }
            n_sent += v.n;
            assert_int_equal(ps_node_push(c->nodes[p].node, servers_now(c),
                                          &task, &id, NULL),
                             0);
            ps_values_fini(&v);
        }
    }
    servers_pull(c, 0, 0, 20, out, KEYS);
    wait_done(0, 22, 2000);
    assert_memory_equal(out, total, sizeof out);
    assert_in_range(n_sent, KEYS, 20 * 3 * KEYS / 2);
    servers_tear_down(c);
}

/* The whole job stops and comes back from what its nodes logged. */
static void test_a_job_comes_back_from_its_logs(void **state)
{
    (void)state;
    for (int aggregated = 0; aggregated < 2; aggregated++) {
        struct servers_options o = options(4, 2);
        o.node.log_states = true;
        o.node.params = aggregated ? AGGREGATED : VECTOR;
        o.node.compress = true;
        set_up(&o);
        for (uint64_t t = 0; t < 5; t++) {
            for (p2p_peer p = 0; p < 4; p++) {
                push(p, t, 1);
            }
        }
        for (p2p_peer p = 0; p < 4; p++) {
            wait_done(p, 5, 1000);
        }
        for (p2p_peer p = 0; p < 4; p++) {
            servers_kill(c, p);
            servers_start(c, p, 5);
            servers_restore(c, p);
            c->nodes[p].since = 5;
        }
        servers_view(c, false);
        assert_true(servers_settle(c, servers_now(c) + CLOCK_S));
        assert_int_equal(c->n_lost, 0);
        for (p2p_peer p = 0; p < 4; p++) {
            push(p, 5, 1);
        }
        for (p2p_peer p = 0; p < 4; p++) {
            wait_done(p, 6, 1000);
            expect(p, 0, 24);
        }
        assert_true(servers_agree(c));
        servers_tear_down(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_one_pushes_all_pull),
        cmocka_unit_test(test_a_vector_begins_with_its_initial_values),
        cmocka_unit_test(test_a_node_alone_serves_itself_at_once),
        cmocka_unit_test(test_nothing_is_acknowledged_that_a_successor_lacks),
        cmocka_unit_test(test_an_owner_that_dies_after_the_ack_loses_nothing),
        cmocka_unit_test(test_an_owner_that_dies_before_the_ack_counts_once),
        cmocka_unit_test(test_the_middle_and_the_tail_may_die_as_well),
        cmocka_unit_test(test_successors_serve_within_a_second_of_the_decision),
        cmocka_unit_test(test_more_deaths_at_once_than_replicas_are_said),
        cmocka_unit_test(test_an_old_copy_does_not_pass_for_a_lost_one),
        cmocka_unit_test(test_a_report_that_is_sent_again_is_whole),
        cmocka_unit_test(test_one_that_returns_gets_its_ranges_back),
        cmocka_unit_test(test_a_join_moves_ranges_while_pushes_fly),
        cmocka_unit_test(test_one_that_leaves_gives_its_copies_away_first),
        cmocka_unit_test(test_one_falsely_taken_for_dead_comes_back),
        cmocka_unit_test(test_an_old_owner_answers_nobody),
        cmocka_unit_test(test_lost_acknowledgements_do_not_count_twice),
        cmocka_unit_test(test_a_task_begins_after_those_it_comes_after),
        cmocka_unit_test(test_a_bounded_pull_waits_for_pushes_of_all),
        cmocka_unit_test(test_who_dies_is_not_waited_for),
        cmocka_unit_test(test_by_rank_bits_do_not_depend_on_the_network),
        cmocka_unit_test(test_aggregating_survives_the_head),
        cmocka_unit_test(test_aggregating_first_sends_successors_less),
        cmocka_unit_test(test_keys_are_sent_once_and_again_when_forgotten),
        cmocka_unit_test(test_a_pull_that_comes_again_brings_what_changed),
        cmocka_unit_test(test_filters_of_workers_send_less_and_lose_nothing),
        cmocka_unit_test(test_a_job_comes_back_from_its_logs),
    };
    return cmocka_run_group_tests_name("ps_stories", tests, NULL, NULL);
}
