/* Unit tests of train/worker.h: that what is kept up to date by need is what
 * looking at all peers would say. Its decisions are the stories of tests/sim.
 */

#include "core/clock.h"
#include "core/rng.h"
#include "tests/support/test.h"
#include "train/worker_state.h"

#define PEERS  9
#define CLOCKS 12

static struct train_worker *make(enum train_mode mode, uint64_t seed)
{
    struct train_worker_options o = {
        .n_peers = PEERS,
        .mode = mode,
        .staleness = mode == TRAIN_SSP ? 2 : 0,
        .delivery = {.schedule = {.kind = P2P_MULTICAST_RANDOM,
                                  .fan_out = 2,
                                  .seed = seed,
                                  .n_peers = PEERS},
                     .lazy = 3,
                     .last_clock = CLOCKS},
        .retry_ns = 100};
    struct train_worker *w;

    assert_int_equal(train_worker_create(&w, &o, NULL), 0);
    return w;
}

static uint64_t least_due_ns(const struct train_worker *w)
{
    uint64_t due = UINT64_MAX;

    for (p2p_peer p = 0; p < PEERS; p++) {
        uint64_t d = train_worker_peer_due_ns(w, p);
        due = d < due ? d : due;
    }
    return due;
}

/* The gate is as open as looking at all peers says, and no batch that somebody
 * lacks was released. */
static void check(const struct train_worker *w)
{
    bool held_up = false;

    assert_true(train_worker_due_ns(w) == least_due_ns(w));
    for (p2p_peer p = 0; p < PEERS; p++) {
        held_up = held_up || train_worker_holds_up(w, p);
        assert_true(!train_worker_is_other(w, p) ||
                    w->members[p].acked >= w->released);
    }
    assert_true(w->state != AT_GATE || held_up);
}

static struct train_event
draw_event(const struct train_worker *w, uint64_t seed, uint64_t i)
{
    static const enum train_event_kind KINDS[] = {
        TRAIN_EVENT_BATCH, TRAIN_EVENT_BATCH, TRAIN_EVENT_BATCH,
        TRAIN_EVENT_ACK,   TRAIN_EVENT_ACK,   TRAIN_EVENT_WANT,
        TRAIN_EVENT_TICK,  TRAIN_EVENT_DONE};
    uint64_t s = rng_stream(RNG_TEST, i, 0);
    struct train_event ev = {
        .kind = KINDS[rng_below(seed, s, 0, 8)],
        .now_ns = 1 + i * 17,
        .peer = 1 + (p2p_peer)rng_below(seed, s, 1, PEERS - 1)};

    ev.clock = rng_below(seed, s, 2, CLOCKS);
    ev.until = ev.clock + 2;
    if (ev.kind == TRAIN_EVENT_TICK) {
        ev.peer = 0;
    }
    if (w->state == COMPUTING && rng_below(seed, s, 3, 4) == 0) {
        ev.kind = TRAIN_EVENT_OWN;
        ev.peer = 0;
        ev.clock = w->clock;
    } else if (w->state == ENDING && !w->all_applied) {
        ev.kind = TRAIN_EVENT_DIGEST;
        ev.peer = 0;
        ev.clock = CLOCKS;
    }
    return ev;
}

static void test_what_is_due_and_open_is_what_all_peers_say(void **state)
{
    uint64_t n_ended = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct train_worker *w =
            make(seed % 2 == 0 ? TRAIN_BSP : TRAIN_SSP, seed);
        for (uint64_t i = 0; i < 6000 && !train_worker_ended(w); i++) {
            struct train_event ev = draw_event(w, seed, i);
            struct train_action a;
            (void)train_worker_step(w, &ev);
            check(w);
            while (train_worker_next_network(w, &a) ||
                   train_worker_next_replica(w, &a)) {
            }
        }
        n_ended += train_worker_ended(w);
        train_worker_destroy(w);
    }
    assert_int_equal(n_ended, 200);
}

static void tell_digest(struct train_worker *w,
                        p2p_peer peer,
                        uint64_t clock,
                        uint64_t digest)
{
    struct train_event ev = {.kind = TRAIN_EVENT_DIGEST,
                             .peer = peer,
                             .clock = clock,
                             .digest = {digest, 0}};

    assert_int_equal(train_worker_step(w, &ev), 0);
}

static int outcome(const struct train_worker *w, p2p_peer *peer)
{
    const char *why;

    return train_worker_outcome(w, peer, &why);
}

static void test_digests_are_compared_whoever_is_first(void **state)
{
    p2p_peer about;

    (void)state;
    for (int own_first = 0; own_first < 2; own_first++) {
        struct train_worker *w = make(TRAIN_BSP, 1);
        tell_digest(w, 0, 3, 33);
        for (p2p_peer p = 1; p < PEERS; p++) {
            tell_digest(w, p, 3, 33);
            tell_digest(w, p, 9, 99); /* Early. */
        }
        assert_int_equal(outcome(w, &about), 0);
        tell_digest(w, own_first ? 0 : 4, 6, own_first ? 66 : 67);
        tell_digest(w, own_first ? 4 : 0, 6, own_first ? 67 : 66);
        assert_int_equal(outcome(w, &about), ERR_DIVERGED);
        assert_int_equal(about, 4);
        train_worker_destroy(w);
    }
}

static void test_early_digests_outlive_others_and_have_a_bound(void **state)
{
    struct train_worker *w = make(TRAIN_BSP, 1);
    p2p_peer about;

    (void)state;
    tell_digest(w, 2, 9, 98);
    tell_digest(w, 0, 3, 33);
    tell_digest(w, 0, 6, 66);
    assert_int_equal(outcome(w, &about), 0);
    for (uint64_t c = 0; c < 1000; c++) {
        tell_digest(w, 1, 100 + c, c);
    }
    assert_true(w->n_early <= (size_t)DIGESTS_HELD * PEERS);
    tell_digest(w, 0, 9, 99);
    assert_int_equal(outcome(w, &about), ERR_DIVERGED);
    assert_int_equal(about, 2);
    train_worker_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_due_and_open_is_what_all_peers_say),
        cmocka_unit_test(test_digests_are_compared_whoever_is_first),
        cmocka_unit_test(test_early_digests_outlive_others_and_have_a_bound),
    };
    return cmocka_run_group_tests_name("train_worker", tests, NULL, NULL);
}
