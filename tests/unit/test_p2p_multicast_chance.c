/* Unit tests of p2p/multicast.h: who meets whom over many clocks. */

#include <math.h>
#include <string.h>

#include "p2p/multicast.h"
#include "tests/support/test.h"

#define N_CLOCKS   20000 /* Of a statistic. */
#define SHIFTS_MAX 32
#define SIGMAS     5.0 /* What chance may do, in standard deviations. */

#define RHYTHM_P_MAX      200
#define RHYTHM_ROUNDS     4
#define RHYTHM_CLOCKS_MAX (RHYTHM_ROUNDS * RHYTHM_P_MAX)

static struct p2p_multicast
counted(enum p2p_multicast_kind kind, uint32_t fan_out, uint32_t n_peers)
{
    return (struct p2p_multicast){kind, fan_out, 7, n_peers};
}

/* How often shifts occurred: alone, with another one in the same clock, and
 * before another one (or itself) in the next clock and in the next view. */
struct tally {
    uint32_t P;
    unsigned one[SHIFTS_MAX];
    unsigned both[SHIFTS_MAX][SHIFTS_MAX];
    unsigned then[SHIFTS_MAX][SHIFTS_MAX];
    unsigned viewed[SHIFTS_MAX][SHIFTS_MAX];
};

static void shifts_of(const struct p2p_multicast *m,
                      uint32_t view,
                      uint64_t clock,
                      uint8_t has[SHIFTS_MAX])
{
    for (uint32_t s = 0; s < m->n_peers; s++) {
        has[s] = p2p_multicast_sends(m, view, 1, clock, (1 + s) % m->n_peers);
    }
}

/* Pairs of clocks do not overlap, so that counts are those of fair coins. */
static void tally_fill(struct tally *t, const struct p2p_multicast *m)
{
    uint8_t now[SHIFTS_MAX], then[SHIFTS_MAX], viewed[SHIFTS_MAX];

    memset(t, 0, sizeof *t);
    t->P = m->n_peers;
    for (uint64_t c = 0; c < 2 * N_CLOCKS; c += 2) {
        shifts_of(m, 1, c, now);
        shifts_of(m, 1, c + 1, then);
        shifts_of(m, 2, c, viewed);
        for (uint32_t s = 2; s < t->P; s++) {
            t->one[s] += now[s];
            for (uint32_t o = 2; o < t->P; o++) {
                t->both[s][o] += now[s] & now[o];
                t->then[s][o] += now[s] & then[o];
                t->viewed[s][o] += now[s] & viewed[o];
            }
        }
    }
}

/* How far @count of N_CLOCKS is from what probability @x says, in standard
 * deviations. */
static double sigmas(unsigned count, double x)
{
    double mean = N_CLOCKS * x;
    double sd = sqrt(mean * (1 - x));

    return sd > 0 ? fabs(count - mean) / sd : fabs(count - mean) * 1e9;
}

/* The worst of all counts, if Q-1 of 2..P-1 are drawn fairly each time. */
static double tally_worst(const struct tally *t, uint32_t Q)
{
    double n = t->P - 2, k = Q - 1, x = k / n, worst = 0;
    double both = n > 1 ? x * (k - 1) / (n - 1) : 0;

    for (uint32_t s = 2; s < t->P; s++) {
        worst = fmax(worst, sigmas(t->one[s], x));
        for (uint32_t o = 2; o < t->P; o++) {
            if (o != s) {
                worst = fmax(worst, sigmas(t->both[s][o], both));
            }
            worst = fmax(worst, sigmas(t->then[s][o], x * x));
            worst = fmax(worst, sigmas(t->viewed[s][o], x * x));
        }
    }
    return worst;
}

static void test_random_shifts_are_fair_and_clocks_independent(void **state)
{
    static const uint32_t CASES[][2] = {{4, 2},  {5, 3},   {8, 3},
                                        {12, 4}, {12, 10}, {32, 5}};
    static struct tally t;

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint32_t P = CASES[i][0], Q = CASES[i][1];
        struct p2p_multicast m = counted(P2P_MULTICAST_RANDOM, Q, P);
        double worst;
        tally_fill(&t, &m);
        worst = tally_worst(&t, Q);
        if (worst > SIGMAS) {
            fail_msg("P %u Q %u: %.1f standard deviations", P, Q, worst);
        }
    }
}

static void test_every_check_of_fairness_can_fail(void **state)
{
    struct p2p_multicast r = counted(P2P_MULTICAST_RANDOM, 4, 12);
    struct p2p_multicast h = counted(P2P_MULTICAST_HALTON, 4, 12);
    static struct tally t, bad;

    (void)state;
    tally_fill(&t, &r);
    bad = t;
    bad.one[5] += N_CLOCKS / 40;
    assert_true(tally_worst(&bad, 4) > SIGMAS);
    bad = t;
    bad.both[5][6] += N_CLOCKS / 40;
    assert_true(tally_worst(&bad, 4) > SIGMAS);
    bad = t;
    bad.then[5][6] += N_CLOCKS / 40;
    assert_true(tally_worst(&bad, 4) > SIGMAS);
    bad = t;
    bad.viewed[5][6] += N_CLOCKS / 40;
    assert_true(tally_worst(&bad, 4) > SIGMAS);
    tally_fill(&t, &h); /* Even, but the next clock can be told. */
    assert_true(tally_worst(&t, 4) > SIGMAS);
}

/* Peers, not shifts: all pairs but neighbours as often as the header says. */
static void test_every_pair_of_peers_meets_equally_often(void **state)
{
    enum { P = 11, Q = 4 };
    struct p2p_multicast m = counted(P2P_MULTICAST_RANDOM, Q, P);
    unsigned met[P][P] = {{0}};
    uint32_t targets[Q];

    (void)state;
    for (uint64_t c = 0; c < N_CLOCKS; c++) {
        for (uint32_t p = 0; p < P; p++) {
            p2p_multicast_targets(&m, 9, p, c, targets);
            for (uint32_t i = 0; i < Q; i++) {
                met[p][targets[i]]++;
            }
        }
    }
    for (uint32_t p = 0; p < P; p++) {
        for (uint32_t q = 0; q < P; q++) {
            double x = q == p ? 0 : q == (p + 1) % P ? 1 : 3.0 / 9.0;
            assert_true(sigmas(met[p][q], x) < SIGMAS);
            if (q != p) { /* So what arrives adds up to what was sent. */
                x = 1 / (double)p2p_multicast_scale(&m, p, q);
                assert_true(sigmas(met[p][q], x) < SIGMAS);
            }
        }
    }
}

/* When a peer sends to whom, over some rounds of all the others. */
struct rhythm {
    uint32_t P;
    uint32_t low;  /* Clocks from one meeting to the next, at least, */
    uint32_t high; /* and at most. */
    uint32_t n_clocks;
    uint8_t met[RHYTHM_CLOCKS_MAX][RHYTHM_P_MAX]; /* By clock and shift. */
};

static struct rhythm rhythm;

/* Q from 2 to P-2. */
static void
rhythm_fill(struct rhythm *r, const struct p2p_multicast *m, uint64_t clock)
{
    uint32_t n = m->n_peers - 2, k = m->fan_out - 1;
    uint32_t p = (uint32_t)(clock % m->n_peers), targets[RHYTHM_P_MAX];

    memset(r, 0, sizeof *r);
    r->P = m->n_peers;
    r->low = n / k;
    r->high = (n + k - 1) / k;
    r->n_clocks = RHYTHM_ROUNDS * r->high;
    for (uint32_t c = 0; c < r->n_clocks; c++) {
        uint32_t count = p2p_multicast_targets(m, 5, p, clock + c, targets);
        for (uint32_t i = 0; i < count; i++) {
            r->met[c][(targets[i] + r->P - p) % r->P] = 1;
        }
    }
}

/* What is wrong with the times at which peers come round, or NULL. */
static const char *rhythm_fault(const struct rhythm *r)
{
    for (uint32_t s = 2; s < r->P; s++) {
        uint32_t last = 0; /* Clocks begun until the last meeting. */
        for (uint32_t c = 1; c <= r->n_clocks; c++) {
            if (!r->met[c - 1][s]) {
                continue;
            }
            if (c - last > r->high) {
                return "waits too long";
            }
            if (last != 0 && c - last < r->low) {
                return "comes too soon";
            }
            last = c;
        }
        if (r->n_clocks - last >= r->high) {
            return "is left out";
        }
    }
    return NULL;
}

static void check_rhythm(uint32_t Q, uint32_t P, uint64_t clock)
{
    struct p2p_multicast m = counted(P2P_MULTICAST_HALTON, Q, P);
    const char *fault;

    rhythm_fill(&rhythm, &m, clock);
    fault = rhythm_fault(&rhythm);
    if (fault != NULL) {
        fail_msg("P %u Q %u clock %llu: a target %s", P, Q,
                 (unsigned long long)clock, fault);
    }
}

static void test_halton_brings_every_pair_round_in_time(void **state)
{
    (void)state;
    for (uint32_t P = 4; P <= RHYTHM_P_MAX; P++) {
        for (uint32_t Q = 2; Q <= P - 2 && Q <= 12; Q++) {
            check_rhythm(Q, P, 1000 * P + Q);
        }
        check_rhythm(2, P, ((uint64_t)1 << 32) - P); /* Across 32 bits. */
    }
}

static void test_a_rare_sender_counts_for_the_clocks_it_was_silent(void **state)
{
    struct p2p_multicast h = counted(P2P_MULTICAST_HALTON, 4, 12);
    struct p2p_multicast all = counted(P2P_MULTICAST_ALL, 0, 12);
    struct p2p_multicast ring = counted(P2P_MULTICAST_RING, 0, 12);
    struct p2p_multicast one = counted(P2P_MULTICAST_RANDOM, 1, 12);
    struct p2p_multicast many = counted(P2P_MULTICAST_RANDOM, 40, 12);
    struct p2p_multicast two = counted(P2P_MULTICAST_RANDOM, 1, 2);

    (void)state;
    assert_true(p2p_multicast_scale(&h, 11, 0) == 1);
    assert_true(p2p_multicast_scale(&h, 11, 1) == 10.0f / 3.0f);
    assert_true(p2p_multicast_scale(&h, 0, 11) == 10.0f / 3.0f);
    assert_true(p2p_multicast_scale(&all, 3, 7) == 1);
    assert_true(p2p_multicast_scale(&ring, 3, 4) == 1);
    assert_true(p2p_multicast_scale(&one, 3, 7) == 1);
    assert_true(p2p_multicast_scale(&many, 3, 7) == 1);
    assert_true(p2p_multicast_scale(&two, 1, 0) == 1);
}

/* The widest hole between two shifts of a clock (2 and P-1 being neighbours),
 * over many clocks. */
static uint32_t widest_hole(const struct p2p_multicast *m)
{
    uint32_t n = m->n_peers - 2, widest = 0, targets[P2P_PEERS_MAX];

    for (uint64_t c = 0; c < 500; c++) {
        uint32_t k = p2p_multicast_targets(m, 1, 0, c, targets);
        for (uint32_t i = 1; i < k; i++) {
            uint32_t next = i + 1 < k ? targets[i + 1] : targets[1] + n;
            uint32_t hole = next - targets[i];
            widest = hole > widest ? hole : widest;
        }
    }
    return widest;
}

static void test_halton_spreads_the_targets_of_a_clock(void **state)
{
    struct p2p_multicast h = counted(P2P_MULTICAST_HALTON, 9, 66);
    struct p2p_multicast r = counted(P2P_MULTICAST_RANDOM, 9, 66);

    (void)state; /* One in each eighth of 64: two are less than 16 apart. */
    assert_in_range(widest_hole(&h), 8, 15);
    assert_true(widest_hole(&r) > 15);
}

/* When shift 7 is met for the @nth time, from 0. */
static uint32_t meeting(const struct rhythm *r, uint32_t nth)
{
    uint32_t c = 0;

    while (!r->met[c][7] || nth-- > 0) {
        c++;
        assert_true(c < r->n_clocks);
    }
    return c;
}

static void check_rhythm_fault(const char *want)
{
    const char *fault = rhythm_fault(&rhythm);

    assert_non_null(fault);
    assert_string_equal(fault, want);
}

static void test_every_check_of_rhythm_can_fail(void **state)
{
    struct p2p_multicast h = counted(P2P_MULTICAST_HALTON, 4, 40);
    struct p2p_multicast r = counted(P2P_MULTICAST_RANDOM, 4, 40);

    (void)state;
    rhythm_fill(&rhythm, &h, 0);
    assert_null(rhythm_fault(&rhythm));
    rhythm.met[meeting(&rhythm, 1)][7] = 0;
    check_rhythm_fault("waits too long");
    rhythm_fill(&rhythm, &h, 0);
    rhythm.met[meeting(&rhythm, 0)][7] = 0; /* Already the first time. */
    check_rhythm_fault("waits too long");
    rhythm_fill(&rhythm, &h, 0);
    rhythm.met[meeting(&rhythm, 1) + rhythm.low / 2][7] = 1;
    check_rhythm_fault("comes too soon");
    rhythm_fill(&rhythm, &h, 0);
    for (uint32_t c = meeting(&rhythm, 2) + 1; c < rhythm.n_clocks; c++) {
        rhythm.met[c][7] = 0;
    }
    check_rhythm_fault("is left out");
    rhythm_fill(&rhythm, &r, 0);
    assert_non_null(rhythm_fault(&rhythm));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_shifts_are_fair_and_clocks_independent),
        cmocka_unit_test(test_every_check_of_fairness_can_fail),
        cmocka_unit_test(test_every_pair_of_peers_meets_equally_often),
        cmocka_unit_test(
            test_a_rare_sender_counts_for_the_clocks_it_was_silent),
        cmocka_unit_test(test_halton_brings_every_pair_round_in_time),
        cmocka_unit_test(test_halton_spreads_the_targets_of_a_clock),
        cmocka_unit_test(test_every_check_of_rhythm_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
