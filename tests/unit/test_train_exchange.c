/* Unit tests of train/exchange.h: what a round gives, and that a network that
 * loses, doubles, delays and reorders does not change it. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/rng.h"
#include "tests/support/test.h"
#include "train/exchange.h"
#include "train/msg.h"

#define PEERS_MAX  6
#define PIECES_MAX 7
#define FLOATS_MAX 5
#define RETRY_NS   100
#define FLIGHT_MAX 20000
#define SEEDS      400

struct flight {
    uint64_t due_ns;
    p2p_peer from, to;
    struct train_exchange_out out;
};

struct node {
    struct train_exchange *x;
    uint64_t first, clock;
    uint64_t busy_ns; /* Computing its clock until then. */
    bool at_gate;
    uint64_t n_results;
};

/* Peers that go through clocks as fast as gates and their own pace let them. */
struct net {
    enum train_exchange_kind kind;
    uint32_t n, n_pieces, every;
    uint64_t last, now_ns, seed, draws;
    uint64_t delay_ns, pace_ns[PEERS_MAX];
    uint32_t loss, doubling; /* Of 1000. */
    uint32_t floats[PIECES_MAX];
    struct node nodes[PEERS_MAX];
    struct flight flights[FLIGHT_MAX];
    size_t n_flights;
    size_t n_sent[5]; /* By type. */
};

static struct net net;

static uint64_t draw(uint64_t n)
{
    return rng_below(net.seed, rng_stream(RNG_TEST, 5, 0), net.draws++, n);
}

/* What peer @p has in piece @i when its round @r begins. */
static float number(p2p_peer p, uint32_t i, uint64_t r, uint32_t k)
{
    return rng_f32(net.seed, rng_stream(RNG_TEST, 16 * r + p, i), k) - 0.4f;
}

static uint64_t clock_of(uint32_t i, uint64_t r)
{
    return r * net.every + (uint64_t)i * net.every / net.n_pieces;
}

static bool takes_part(p2p_peer p, uint32_t i, uint64_t r)
{
    return net.nodes[p].first <= clock_of(i, r);
}

/* What the round gives to peer @p. False: nothing. */
static bool expected(p2p_peer p, uint32_t i, uint64_t r, float *x)
{
    p2p_peer from = net.kind == TRAIN_EXCHANGE_STAR
                        ? (p2p_peer)((i + r) % net.n)
                        : (p + net.n - 1) % net.n;
    uint32_t count = 0;

    if (!takes_part(from, i, r)) {
        return false;
    }
    for (p2p_peer q = 0; q < net.n; q++) {
        if (net.kind == TRAIN_EXCHANGE_SHIFT ? q != from
                                             : !takes_part(q, i, r)) {
            continue;
        }
        for (uint32_t k = 0; k < net.floats[i]; k++) {
            x[k] = count == 0 ? number(q, i, r, k) : x[k] + number(q, i, r, k);
        }
        count++;
    }
    for (uint32_t k = 0; k < net.floats[i]; k++) {
        x[k] = x[k] / (float)count;
    }
    return true;
}

static void fly(p2p_peer from, struct train_exchange_out out)
{
    uint32_t copies = 1 + (draw(1000) < net.doubling);

    net.n_sent[out.type - TRAIN_MSG_PART]++;
    for (uint32_t c = 0; c < copies; c++) {
        if (draw(1000) < net.loss) {
            continue;
        }
        assert_true(net.n_flights < FLIGHT_MAX);
        net.flights[net.n_flights++] =
            (struct flight){.due_ns = net.now_ns + 1 + draw(net.delay_ns),
                            .from = from,
                            .to = out.peer,
                            .out = out};
        blob_ref(out.body);
    }
    blob_unref(out.body);
}

static void send_all(p2p_peer p)
{
    struct train_exchange_out out;

    while (train_exchange_next(net.nodes[p].x, &out)) {
        assert_true(out.peer < net.n && out.peer != p);
        fly(p, out);
    }
}

static void begin_clock(p2p_peer p)
{
    struct node *node = &net.nodes[p];
    uint32_t first, end;

    train_exchange_due(net.n_pieces, net.every, node->clock, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        struct blob *body = train_exchange_body(net.floats[i]);
        assert_int_equal(node->clock, clock_of(i, node->clock / net.every));
        for (uint32_t k = 0; k < net.floats[i]; k++) {
            train_exchange_floats(body)[k] =
                number(p, i, node->clock / net.every, k);
        }
        assert_int_equal(
            train_exchange_begin(node->x, i, node->clock, body, net.now_ns), 0);
        blob_unref(body);
    }
    node->busy_ns = net.now_ns + 1 + draw(net.pace_ns[p]);
    node->at_gate = false;
}

static void check_result(p2p_peer p, struct train_exchange_result *r)
{
    float want[FLOATS_MAX];
    const float *part = train_exchange_floats(r->part);

    assert_true(expected(p, r->piece, r->round, want));
    assert_memory_equal(train_exchange_floats(r->result), want,
                        net.floats[r->piece] * sizeof(float));
    for (uint32_t k = 0; k < net.floats[r->piece]; k++) {
        assert_true(part[k] == number(p, r->piece, r->round, k));
    }
    blob_unref(r->part);
    blob_unref(r->result);
    net.nodes[p].n_results++;
}

/* Through the gate, if it is open. */
static void gate(p2p_peer p)
{
    struct node *node = &net.nodes[p];
    struct train_exchange_result r;

    if (node->clock == net.last || net.now_ns < node->busy_ns) {
        return;
    }
    node->at_gate = true;
    if (!train_exchange_open(node->x, node->clock)) {
        return;
    }
    while (train_exchange_take(node->x, &r)) {
        check_result(p, &r);
    }
    node->clock++;
    if (node->clock < net.last) {
        begin_clock(p);
    }
}

/* Own parts, a result each, or a part before its time; and, where it is the
 * owner, the parts that it gathers. */
static void check_memory(void)
{
    size_t model = 0, held = 0;

    for (uint32_t i = 0; i < net.n_pieces; i++) {
        model += TRAIN_EXCHANGE_HEAD_SIZE + net.floats[i] * sizeof(float);
    }
    for (p2p_peer p = 0; p < net.n; p++) {
        size_t own = train_exchange_held(net.nodes[p].x);
        if (net.kind == TRAIN_EXCHANGE_SHIFT) {
            assert_true(own <= 3 * model);
        }
        held += own;
    }
    /* Of each piece, two rounds may be gathered at once, by two owners. */
    assert_true(held <= (2 * net.n + 2 * net.n) * model);
}

static void deliver(size_t i)
{
    struct flight f = net.flights[i];
    struct err e;

    net.flights[i] = net.flights[--net.n_flights];
    assert_int_equal(train_exchange_receive(net.nodes[f.to].x, f.from,
                                            f.out.type, f.out.body, net.now_ns,
                                            &e),
                     0);
    blob_unref(f.out.body);
}

static bool turn(void)
{
    bool ended = true;

    for (size_t i = 0; i < net.n_flights;) {
        if (net.flights[i].due_ns <= net.now_ns) {
            deliver(i);
        } else {
            i++;
        }
    }
    for (p2p_peer p = 0; p < net.n; p++) {
        struct node *node = &net.nodes[p];
        assert_int_equal(train_exchange_tick(node->x, net.now_ns), 0);
        gate(p);
        send_all(p);
        ended = ended && node->clock == net.last;
    }
    check_memory();
    net.now_ns += 1 + draw(5);
    return ended;
}

static void set_up(void)
{
    for (p2p_peer p = 0; p < net.n; p++) {
        struct train_exchange_options o = {.kind = net.kind,
                                           .self = p,
                                           .n_peers = net.n,
                                           .every = net.every,
                                           .first_clock = net.nodes[p].first,
                                           .last_clock = net.last,
                                           .n_pieces = net.n_pieces,
                                           .floats = net.floats,
                                           .retry_ns = RETRY_NS};
        assert_int_equal(train_exchange_create(&net.nodes[p].x, &o, NULL), 0);
        net.nodes[p].clock = net.nodes[p].first;
        if (net.pace_ns[p] == 0) {
            net.pace_ns[p] = 10;
        }
        begin_clock(p);
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < net.n_flights; i++) {
        blob_unref(net.flights[i].out.body);
    }
    for (p2p_peer p = 0; p < net.n; p++) {
        train_exchange_destroy(net.nodes[p].x);
    }
}

/* A network that loses nothing, but for what the test changes. */
static void plain(enum train_exchange_kind kind, uint32_t n)
{
    memset(&net, 0, sizeof net);
    net = (struct net){.kind = kind,
                       .n = n,
                       .n_pieces = 3,
                       .every = 2,
                       .last = 7,
                       .seed = 9,
                       .delay_ns = 1,
                       .floats = {2, 5, 1}};
}

static bool run(void)
{
    for (int i = 0; i < 400000; i++) {
        if (turn()) {
            return true;
        }
    }
    return false;
}

/* How many results the peer is to get. */
static uint64_t n_expected(p2p_peer p)
{
    float x[FLOATS_MAX];
    uint64_t n = 0;

    for (uint32_t i = 0; i < net.n_pieces; i++) {
        for (uint64_t r = 1; clock_of(i, r) < net.last; r++) {
            n += takes_part(p, i, r) && expected(p, i, r, x);
        }
    }
    return n;
}

static void test_pieces_are_spread_over_the_clocks_of_a_round(void **state)
{
    uint32_t first, end;

    (void)state;
    for (uint32_t n = 1; n < 30; n++) {
        for (uint32_t every = 1; every < 12; every++) {
            for (uint64_t c = 0; c < every; c++) {
                train_exchange_due(n, every, c, &first, &end);
                assert_int_equal(first, end);
            }
            uint32_t next = 0;
            for (uint64_t c = every; c < 2 * every; c++) {
                train_exchange_due(n, every, c, &first, &end);
                assert_int_equal(first == end ? next : first, next);
                for (uint32_t i = first; i < end; i++) {
                    assert_int_equal(every + i * every / n, c);
                }
                assert_true(end - first <= (n + every - 1) / every);
                next = first == end ? next : end;
            }
            assert_int_equal(next, n);
        }
    }
}

/* Each part goes to its owner and each mean to P - 1: nothing else is said. */
static void test_star_gives_all_the_mean_in_two_messages_each(void **state)
{
    (void)state;
    plain(TRAIN_EXCHANGE_STAR, 4);
    set_up();
    assert_true(run());
    for (p2p_peer p = 0; p < 4; p++) {
        /* Clocks 2, 4, 6 for two pieces of each, 3, 5 for the third. */
        assert_int_equal(net.nodes[p].n_results, 8);
        assert_int_equal(n_expected(p), 8);
    }
    assert_int_equal(net.n_sent[0], 8 * 3);
    assert_int_equal(net.n_sent[1], 8 * 3);
    assert_int_equal(net.n_sent[2] + net.n_sent[3] + net.n_sent[4], 0);
    tear_down();
}

static void test_shift_gives_each_what_its_neighbour_had(void **state)
{
    (void)state;
    plain(TRAIN_EXCHANGE_SHIFT, 3);
    set_up();
    assert_true(run());
    for (p2p_peer p = 0; p < 3; p++) {
        assert_int_equal(net.nodes[p].n_results, 8);
    }
    assert_int_equal(net.n_sent[0], 8 * 3);
    assert_int_equal(net.n_sent[4], 8 * 3); /* It has come. */
    assert_int_equal(net.n_sent[1] + net.n_sent[2] + net.n_sent[3], 0);
    tear_down();
}

/* A slow peer is not waited for until the next round of a piece begins. */
static void test_the_gate_waits_for_the_round_before_only(void **state)
{
    (void)state;
    for (int kind = 1; kind < TRAIN_EXCHANGE_KIND_END; kind++) {
        plain((enum train_exchange_kind)kind, 3);
        net.every = 4;
        net.last = 20;
        net.pace_ns[2] = 1000000;
        set_up();
        net.nodes[2].busy_ns = 1000000; /* In clock 0. */
        while (net.now_ns < 5000) {
            (void)turn();
        }
        /* Piece 0 began at clock 4 and would again at 8. Peer 0 of a shift
         * gets it from the slow one; peer 1 has it from peer 0, and peer 2 has
         * not begun, but takes it for later. */
        assert_int_equal(net.nodes[0].clock, 7);
        assert_int_equal(net.nodes[1].clock,
                         kind == TRAIN_EXCHANGE_STAR ? 7 : 11);
        if (kind == TRAIN_EXCHANGE_STAR) {
            assert_int_equal(net.nodes[1].n_results, 0);
        }
        tear_down();
    }
}

/* Peer 1 begins where round 1 of all pieces is over. */
static void test_one_that_begins_behind_a_round_abstains(void **state)
{
    (void)state;
    for (int kind = 1; kind < TRAIN_EXCHANGE_KIND_END; kind++) {
        plain((enum train_exchange_kind)kind, 3);
        net.nodes[1].first = 4;
        set_up();
        assert_true(run());
        for (p2p_peer p = 0; p < 3; p++) {
            assert_int_equal(net.nodes[p].n_results, n_expected(p));
        }
        assert_true(net.n_sent[3] > 0);
        assert_true(n_expected(2) < 8);
        tear_down();
    }
}

/* Random settings, a bad network: every round ends, and with the very bits. */
static void swarm_seed(uint64_t seed)
{
    memset(&net, 0, sizeof net);
    net.seed = seed;
    net.kind = (enum train_exchange_kind)(1 + draw(2));
    net.n = 2 + (uint32_t)draw(PEERS_MAX - 1);
    net.n_pieces = 1 + (uint32_t)draw(PIECES_MAX);
    net.every = 1 + (uint32_t)draw(6);
    net.last = 1 + draw(40);
    net.delay_ns = 1 + draw(seed % 3 == 0 ? 400 : 40);
    net.loss = (uint32_t)draw(300);
    net.doubling = (uint32_t)draw(300);
    for (uint32_t i = 0; i < net.n_pieces; i++) {
        net.floats[i] = 1 + (uint32_t)draw(FLOATS_MAX);
    }
    for (p2p_peer p = 0; p < net.n; p++) {
        net.pace_ns[p] = 1 + draw(draw(4) == 0 ? 500 : 20);
        if (seed % 4 == 1 && draw(2) == 0) {
            net.nodes[p].first = draw(net.last);
        }
    }
    set_up();
    if (!run()) {
        fail_msg("seed=%llu: no progress", (unsigned long long)seed);
    }
    for (p2p_peer p = 0; p < net.n; p++) {
        if (net.nodes[p].n_results != n_expected(p)) {
            fail_msg("seed=%llu: peer %u has %llu results of %llu",
                     (unsigned long long)seed, p,
                     (unsigned long long)net.nodes[p].n_results,
                     (unsigned long long)n_expected(p));
        }
    }
    tear_down();
}

static void test_every_round_ends_with_the_bits_of_the_definition(void **state)
{
    const char *wish = getenv("SWARM_SEEDS");
    uint64_t n = wish != NULL ? strtoull(wish, NULL, 10) : SEEDS;

    (void)state;
    for (uint64_t seed = 1; seed <= n; seed++) {
        swarm_seed(seed);
    }
}

static void refused(p2p_peer from, uint8_t type, struct blob *b)
{
    struct err e;

    assert_int_equal(
        train_exchange_receive(net.nodes[0].x, from, type, b, 5, &e),
        ERR_INVALID);
    blob_unref(b);
}

static struct blob *
message(size_t size, uint32_t piece, uint32_t need, uint64_t round)
{
    struct blob *b = blob_create(size);

    memset(b->data, 0, size);
    le_put_u32(b->data, piece);
    le_put_u32(b->data + 4, need);
    le_put_u64(b->data + 8, round);
    return b;
}

static void
test_what_can_be_no_message_is_refused_and_changes_nothing(void **state)
{
    struct train_exchange_out out;

    (void)state;
    for (int kind = 1; kind < TRAIN_EXCHANGE_KIND_END; kind++) {
        plain((enum train_exchange_kind)kind, 3);
        set_up();
        for (uint8_t type = TRAIN_MSG_PART; type <= TRAIN_MSG_GOT + 1; type++) {
            refused(1, type, blob_create(0));
            refused(1, type, blob_copy("0123456789abcde", 15));
            refused(1, type, message(16, 3, 0, 1));
            refused(1, type, message(16, 0, 3, 1));
            refused(1, type, message(16, 0, 0, 0));
            refused(1, type, message(16, 0, 0, 4));
            refused(1, type, message(17, 0, 0, 1));
            refused(1, type, message(16 + 8 + 8, 0, 0, 1)); /* Checksum. */
        }
        assert_false(train_exchange_next(net.nodes[0].x, &out));
        assert_int_equal(train_exchange_held(net.nodes[0].x), 0);
        assert_true(run());
        tear_down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_spread_over_the_clocks_of_a_round),
        cmocka_unit_test(test_star_gives_all_the_mean_in_two_messages_each),
        cmocka_unit_test(test_shift_gives_each_what_its_neighbour_had),
        cmocka_unit_test(test_the_gate_waits_for_the_round_before_only),
        cmocka_unit_test(test_one_that_begins_behind_a_round_abstains),
        cmocka_unit_test(test_every_round_ends_with_the_bits_of_the_definition),
        cmocka_unit_test(
            test_what_can_be_no_message_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests_name("train/exchange", tests, NULL, NULL);
}
