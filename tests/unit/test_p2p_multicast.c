/* Unit tests of p2p/multicast.h. */

#include <stdio.h>
#include <string.h>

#include "p2p/multicast.h"
#include "tests/support/test.h"

#define P_MAX P2P_PEERS_MAX

/* One clock of a schedule: whom everybody sends to and hears from. */
struct lists {
    uint32_t n_peers;
    uint32_t n_targets[P_MAX];
    uint32_t n_sources[P_MAX];
    uint32_t targets[P_MAX][P_MAX];
    uint32_t sources[P_MAX][P_MAX];
};

static struct lists lists;

static struct p2p_multicast schedule(const char *text, uint32_t n_peers)
{
    struct p2p_multicast m = {.seed = 7, .n_peers = n_peers};
    struct err e;

    assert_int_equal(p2p_multicast_parse(&m, text, &e), 0);
    return m;
}

static struct p2p_multicast
counted(enum p2p_multicast_kind kind, uint32_t fan_out, uint32_t n_peers)
{
    return (struct p2p_multicast){kind, fan_out, 7, n_peers};
}

static void lists_fill(struct lists *l,
                       const struct p2p_multicast *m,
                       uint32_t view,
                       uint64_t clock)
{
    l->n_peers = m->n_peers;
    for (uint32_t p = 0; p < m->n_peers; p++) {
        l->n_targets[p] =
            p2p_multicast_targets(m, view, p, clock, l->targets[p]);
        l->n_sources[p] =
            p2p_multicast_sources(m, view, p, clock, l->sources[p]);
    }
}

/* The lists of @n shifts that somebody else chose. */
static void
lists_by_hand(struct lists *l, uint32_t P, const uint32_t *shifts, uint32_t n)
{
    l->n_peers = P;
    for (uint32_t p = 0; p < P; p++) {
        l->n_targets[p] = l->n_sources[p] = n;
        for (uint32_t i = 0; i < n; i++) {
            l->targets[p][i] = (p + shifts[i]) % P;
            l->sources[p][i] = (p + P - shifts[i]) % P;
        }
    }
}

/* What is wrong with those whom @p sends to, or NULL. @sent (P_MAX) is marked
 * with them. */
static const char *
sender_fault(const struct lists *l, uint32_t p, uint32_t want, uint8_t *sent)
{
    const uint32_t P = l->n_peers, *targets = l->targets[p];
    uint32_t shift = 0;

    if (l->n_targets[p] != want) {
        return "wrong fan-out";
    }
    for (uint32_t i = 0; i < want; i++) {
        uint32_t q = targets[i];
        if (q >= P) {
            return "no such target";
        }
        if (q == p) {
            return "sends to itself";
        }
        if (sent[q]) {
            return "sends twice";
        }
        sent[q] = 1;
    }
    if (want > 0 && targets[0] != (p + 1) % P) {
        return "neighbour is not first";
    }
    for (uint32_t i = 0; i < want; i++) {
        uint32_t next = (targets[i] + P - p) % P;
        if (next <= shift) {
            return "wrong order";
        }
        shift = next;
    }
    return NULL;
}

/* What is wrong with those whom @q hears from, given what all sent. */
static const char *receiver_fault(const struct lists *l,
                                  uint32_t q,
                                  uint32_t want,
                                  uint8_t (*sent)[P_MAX])
{
    uint32_t n = 0;

    for (uint32_t p = 0; p < l->n_peers; p++) {
        n += sent[p][q];
    }
    if (n != want) {
        return "wrong fan-in";
    }
    if (l->n_sources[q] != want) {
        return "expects too few or too many";
    }
    for (uint32_t i = 0; i < want; i++) {
        uint32_t p = l->sources[q][i];
        if (p >= l->n_peers || !sent[p][q]) {
            return "expects what nobody sends";
        }
        sent[p][q] = 0;
    }
    return NULL;
}

/* What is wrong with one clock in which all should send to @want, or NULL. */
static const char *fault_of(const struct lists *l, uint32_t want)
{
    static uint8_t sent[P_MAX][P_MAX];
    const char *fault = NULL;

    for (uint32_t p = 0; p < l->n_peers && fault == NULL; p++) {
        memset(sent[p], 0, sizeof sent[p]);
        fault = sender_fault(l, p, want, sent[p]);
    }
    for (uint32_t q = 0; q < l->n_peers && fault == NULL; q++) {
        fault = receiver_fault(l, q, want, sent);
    }
    return fault;
}

/* How many peers are reached from peer 0, itself among them. */
static uint32_t
reached(uint32_t P, uint32_t (*next)[P_MAX], const uint32_t *n_next)
{
    static uint32_t todo[P_MAX];
    static uint8_t seen[P_MAX];
    uint32_t n = 1;

    memset(seen, 0, sizeof seen);
    seen[0] = 1;
    todo[0] = 0;
    for (uint32_t done = 0; done < n; done++) {
        uint32_t p = todo[done];
        for (uint32_t i = 0; i < n_next[p]; i++) {
            uint32_t q = next[p][i];
            if (q < P && !seen[q]) {
                seen[q] = 1;
                todo[n++] = q;
            }
        }
    }
    return n;
}

/* Everybody is reached from peer 0, and peer 0 from everybody. */
static bool connected(struct lists *l)
{
    return reached(l->n_peers, l->targets, l->n_targets) == l->n_peers &&
           reached(l->n_peers, l->sources, l->n_sources) == l->n_peers;
}

static void check_clock(const struct p2p_multicast *m, uint64_t clock)
{
    uint32_t P = m->n_peers, want = P - 1, p = (uint32_t)(clock % P);
    const char *fault;

    if (m->kind != P2P_MULTICAST_ALL) {
        uint32_t Q = m->kind == P2P_MULTICAST_RING ? 1 : m->fan_out;
        want = Q < want ? Q : want;
    }
    assert_int_equal(p2p_multicast_fan_out(m), want);
    lists_fill(&lists, m, 3, clock);
    fault = fault_of(&lists, want);
    if (fault != NULL || !connected(&lists)) {
        fail_msg("kind %d P %u Q %u clock %llu: %s", (int)m->kind, P,
                 m->fan_out, (unsigned long long)clock,
                 fault ? fault : "not connected");
    }
    for (uint32_t q = 0; q < P; q++) {
        bool listed = false;
        for (uint32_t i = 0; i < want; i++) {
            listed |= lists.targets[p][i] == q;
        }
        assert_int_equal(p2p_multicast_sends(m, 3, p, clock, q), listed);
    }
}

static void test_all_peers_send_and_hear_alike_and_are_connected(void **state)
{
    (void)state;
    for (uint32_t P = 1; P <= 200; P++) {
        struct p2p_multicast all = schedule("all", P);
        struct p2p_multicast ring = schedule("ring", P);
        check_clock(&all, P);
        check_clock(&ring, P);
        for (uint32_t Q = 1; Q <= 12; Q++) { /* Also more than there are. */
            struct p2p_multicast r = counted(P2P_MULTICAST_RANDOM, Q, P);
            struct p2p_multicast h = counted(P2P_MULTICAST_HALTON, Q, P);
            check_clock(&r, 1000 * P + Q);
            check_clock(&r, UINT64_MAX - Q);
            check_clock(&h, 1000 * P + Q);
            check_clock(&h, UINT64_MAX - Q);
        }
    }
}

static void test_sizes_around_words_and_bounds_work(void **state)
{
    static const uint32_t PS[] = {63, 64, 65, 66, 128, 129, 130, P_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof PS / sizeof *PS; i++) {
        uint32_t P = PS[i],
                 QS[] = {1, 2, P / 2, P - 3, P - 2, P - 1, P_MAX - 1};
        for (size_t k = 0; k < sizeof QS / sizeof *QS; k++) {
            struct p2p_multicast r = counted(P2P_MULTICAST_RANDOM, QS[k], P);
            struct p2p_multicast h = counted(P2P_MULTICAST_HALTON, QS[k], P);
            check_clock(&r, k);
            check_clock(&h, k);
        }
    }
}

/* Peer 4 of 10 in lists of shifts 1, 3 and 5. */
static void break_fan_out(struct lists *l)
{
    l->n_targets[4]--;
}

static void break_target(struct lists *l)
{
    l->targets[4][2] = 10;
}

static void break_self(struct lists *l)
{
    l->targets[4][2] = 4;
}

static void break_twice(struct lists *l)
{
    l->targets[4][2] = l->targets[4][1];
}

static void break_neighbour(struct lists *l)
{
    l->targets[4][0] = 6;
}

static void break_order(struct lists *l)
{
    l->targets[4][1] = 9;
    l->targets[4][2] = 7;
}

static void break_fan_in(struct lists *l)
{
    l->targets[4][2] = 1; /* By 7 instead of 5. */
}

static void break_expected(struct lists *l)
{
    l->n_sources[4]++;
}

static void break_source(struct lists *l)
{
    l->sources[4][2] = 2; /* Sends by 1, 3, 5, not by 2. */
}

static void break_source_twice(struct lists *l)
{
    l->sources[4][2] = l->sources[4][1];
}

static void test_every_check_of_a_clock_can_fail(void **state)
{
    static const struct {
        void (*breaks)(struct lists *l);
        const char *fault;
    } CASES[] = {
        {break_fan_out, "wrong fan-out"},
        {break_target, "no such target"},
        {break_self, "sends to itself"},
        {break_twice, "sends twice"},
        {break_neighbour, "neighbour is not first"},
        {break_order, "wrong order"},
        {break_fan_in, "wrong fan-in"},
        {break_expected, "expects too few or too many"},
        {break_source, "expects what nobody sends"},
        {break_source_twice, "expects what nobody sends"},
    };
    static const uint32_t GOOD[] = {1, 3, 5}, EVEN[] = {2, 4};

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const char *fault;
        lists_by_hand(&lists, 10, GOOD, 3);
        assert_null(fault_of(&lists, 3));
        CASES[i].breaks(&lists);
        fault = fault_of(&lists, 3);
        assert_non_null(fault);
        assert_string_equal(fault, CASES[i].fault);
    }
    lists_by_hand(&lists, 10, GOOD, 3);
    assert_true(connected(&lists));
    lists_by_hand(&lists, 10, EVEN, 2);
    assert_false(connected(&lists));
}

static void test_a_schedule_is_the_same_on_every_machine(void **state)
{
    static const uint32_t RANDOM[4][3] = {
        {5, 7, 3}, {5, 6, 2}, {5, 0, 2}, {5, 6, 8}};
    static const uint32_t HALTON[4][3] = {
        {5, 8, 1}, {5, 0, 3}, {5, 7, 2}, {5, 6, 1}};
    struct p2p_multicast r = schedule("random:3", 9);
    struct p2p_multicast h = schedule("halton:3", 9);
    uint32_t targets[3];

    (void)state;
    for (uint64_t clock = 4; clock-- > 0;) { /* Whatever was asked before. */
        assert_int_equal(p2p_multicast_targets(&r, 1, 4, clock, targets), 3);
        assert_memory_equal(targets, RANDOM[clock], sizeof targets);
        assert_int_equal(p2p_multicast_targets(&h, 1, 4, clock, targets), 3);
        assert_memory_equal(targets, HALTON[clock], sizeof targets);
    }
}

static void check_all_matters(const struct p2p_multicast *m)
{
    uint32_t targets[20], other[20];
    struct p2p_multicast of_seed = *m;
    const size_t size = m->fan_out * sizeof *targets;

    of_seed.seed += (uint64_t)1 << 32;
    p2p_multicast_targets(m, 1, 4, 6, targets);
    p2p_multicast_targets(m, 1, 4, 6, other);
    assert_memory_equal(targets, other, size);
    p2p_multicast_targets(m, 2, 4, 6, other);
    assert_memory_not_equal(targets, other, size);
    p2p_multicast_targets(m, 1, 4, 7, other);
    assert_memory_not_equal(targets, other, size);
    p2p_multicast_targets(m, 1, 4, 6 + ((uint64_t)1 << 32), other);
    assert_memory_not_equal(targets, other, size);
    p2p_multicast_targets(&of_seed, 1, 4, 6, other);
    assert_memory_not_equal(targets, other, size);
}

static void test_seed_view_and_clock_all_matter(void **state)
{
    struct p2p_multicast r = schedule("random:20", 500);
    struct p2p_multicast h = schedule("halton:20", 500);

    (void)state;
    check_all_matters(&r);
    check_all_matters(&h);
}

static void test_a_fan_out_beyond_the_others_means_all(void **state)
{
    static const char *const TEXTS[] = {"random:9", "halton:9", "random:1023"};
    struct p2p_multicast all = schedule("all", 10);
    uint32_t want[9], got[9];

    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct p2p_multicast m = schedule(TEXTS[i], 10);
        for (uint32_t p = 0; p < 10; p++) {
            assert_int_equal(p2p_multicast_targets(&all, 1, p, i, want), 9);
            assert_int_equal(p2p_multicast_targets(&m, 1, p, i, got), 9);
            assert_memory_equal(got, want, sizeof want);
        }
    }
}

static void test_what_is_parsed_is_formatted_alike(void **state)
{
    static const struct {
        const char *text;
        enum p2p_multicast_kind kind;
        uint32_t fan_out;
    } GOOD[] = {
        {"all", P2P_MULTICAST_ALL, 0},
        {"ring", P2P_MULTICAST_RING, 0},
        {"random:1", P2P_MULTICAST_RANDOM, 1},
        {"random:1023", P2P_MULTICAST_RANDOM, 1023},
        {"halton:1", P2P_MULTICAST_HALTON, 1},
        {"halton:64", P2P_MULTICAST_HALTON, 64},
    };

    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        struct p2p_multicast m = {.fan_out = 77, .seed = 8, .n_peers = 9};
        char text[P2P_MULTICAST_TEXT_SIZE];
        assert_int_equal(p2p_multicast_parse(&m, GOOD[i].text, NULL), 0);
        assert_int_equal(m.kind, GOOD[i].kind);
        assert_int_equal(m.fan_out, GOOD[i].fan_out);
        assert_true(m.seed == 8 && m.n_peers == 9);
        p2p_multicast_format(&m, text);
        assert_string_equal(text, GOOD[i].text);
    }
}

static void test_the_longest_text_fits(void **state)
{
    struct p2p_multicast m = counted(P2P_MULTICAST_RANDOM, UINT32_MAX, 2);
    char text[P2P_MULTICAST_TEXT_SIZE];

    (void)state;
    p2p_multicast_format(&m, text);
    assert_string_equal(text, "random:4294967295");
}

static void test_what_is_no_schedule_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } BAD[] = {
        {"", "all, random:Q, halton:Q or ring"},
        {"some", "all, random:Q, halton:Q or ring"},
        {"All", "all, random:Q, halton:Q or ring"},
        {"all ", "all, random:Q, halton:Q or ring"},
        {"all:3", "all, random:Q, halton:Q or ring"},
        {"ring:1", "all, random:Q, halton:Q or ring"},
        {"random", "all, random:Q, halton:Q or ring"},
        {"random4", "all, random:Q, halton:Q or ring"},
        {"halton", "all, random:Q, halton:Q or ring"},
        {"random:", "1 to 1023, as in random:4"},
        {"random:0", "1 to 1023, as in random:4"},
        {"random:-1", "1 to 1023, as in random:4"},
        {"random:+1", "1 to 1023, as in random:4"},
        {"random: 1", "1 to 1023, as in random:4"},
        {"random:4x", "1 to 1023, as in random:4"},
        {"random:4.5", "1 to 1023, as in random:4"},
        {"random:0x4", "1 to 1023, as in random:4"},
        {"random:1024", "1 to 1023, as in random:4"},
        {"random:4294967297", "1 to 1023, as in random:4"},
        {"random:99999999999999999999", "1 to 1023, as in random:4"},
        {"halton:1024", "1 to 1023, as in halton:4"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct p2p_multicast m = {P2P_MULTICAST_RING, 5, 6, 7}, was = m;
        struct err e = {""};
        char quoted[64];
        assert_int_equal(p2p_multicast_parse(&m, BAD[i].text, &e), ERR_INVALID);
        snprintf(quoted, sizeof quoted, "\"%s\"", BAD[i].text);
        assert_non_null(strstr(e.msg, quoted));
        assert_non_null(strstr(e.msg, BAD[i].reason));
        assert_true(m.kind == was.kind && m.fan_out == was.fan_out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_peers_send_and_hear_alike_and_are_connected),
        cmocka_unit_test(test_sizes_around_words_and_bounds_work),
        cmocka_unit_test(test_every_check_of_a_clock_can_fail),
        cmocka_unit_test(test_a_schedule_is_the_same_on_every_machine),
        cmocka_unit_test(test_seed_view_and_clock_all_matter),
        cmocka_unit_test(test_a_fan_out_beyond_the_others_means_all),
        cmocka_unit_test(test_what_is_parsed_is_formatted_alike),
        cmocka_unit_test(test_the_longest_text_fits),
        cmocka_unit_test(test_what_is_no_schedule_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
