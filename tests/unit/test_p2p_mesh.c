/* Unit tests of p2p/mesh.h: stories in virtual time. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "p2p/fault.h"
#include "p2p/mesh.h"
#include "p2p/sim.h"
#include "tests/support/test.h"

#define PEERS_MAX 8

struct world {
    struct p2p_sim *sim;
    struct mesh *meshes[PEERS_MAX];
    uint32_t n_peers;
    bool frozen[PEERS_MAX]; /* Nobody polls it. */
    struct p2p_fault faults[PEERS_MAX];
    uint64_t got[PEERS_MAX][PEERS_MAX]; /* Messages, by receiver and sender. */
    char story[1 << 14];                /* UP, LOST and BYE. */
    size_t story_size;
};

static const struct p2p_sim_options LAN = {.seed = 5,
                                           .n_peers = 3,
                                           .delay_ns_min = CLOCK_MS,
                                           .delay_ns_max = CLOCK_MS};

static void world_init(struct world *w, const struct p2p_sim_options *net)
{
    struct mesh_options o = {.n_peers = net->n_peers,
                             .timeout_ns = CLOCK_S,
                             .queue_bytes_max = 1000};

    memset(w, 0, sizeof *w);
    w->sim = p2p_sim_create(net);
    assert_non_null(w->sim);
    w->n_peers = net->n_peers;
    for (p2p_peer i = 0; i < w->n_peers; i++) {
        o.self = i;
        p2p_fault_init(&w->faults[i], p2p_sim_endpoint(w->sim, i));
        assert_int_equal(
            mesh_create(&w->meshes[i], &w->faults[i].base, &o, 0, NULL), 0);
    }
}

static void world_fini(struct world *w)
{
    for (p2p_peer i = 0; i < w->n_peers; i++) {
        mesh_destroy(w->meshes[i]);
    }
    p2p_sim_destroy(w->sim);
}

static void tell(struct world *w, p2p_peer self, const struct mesh_event *event)
{
    static const char *const KINDS[] = {"", "", "up", "lost", "bye"};
    int n = snprintf(w->story + w->story_size, sizeof w->story - w->story_size,
                     "[%5llu] %u: %u %s%s%s\n",
                     (unsigned long long)(p2p_sim_now_ns(w->sim) / CLOCK_MS),
                     self, event->peer, KINDS[event->kind],
                     event->why[0] ? ", " : "", event->why);

    assert_true(n > 0 && (size_t)n < sizeof w->story - w->story_size);
    w->story_size += (size_t)n;
}

/* Poll a mesh until nothing happens. */
static void poll_all(struct world *w, p2p_peer i)
{
    struct mesh_event event;
    struct err e;
    int rc;

    while ((rc = mesh_poll(w->meshes[i], p2p_sim_now_ns(w->sim), &event, &e)) ==
           0) {
        if (event.kind == MESH_EVENT_MSG) {
            assert_true(mesh_is_up(w->meshes[i], event.peer));
            assert_int_equal(event.msg.ack, ++w->got[i][event.peer]);
            blob_unref(event.msg.body);
        } else {
            tell(w, i, &event);
        }
    }
    assert_int_equal(rc, ERR_AGAIN);
}

/* Let time pass until @until_ms, polling each mesh when it wants to be. */
static void run(struct world *w, uint64_t until_ms)
{
    uint64_t until_ns = until_ms * CLOCK_MS;

    for (;;) {
        uint64_t due_ns = until_ns;
        p2p_peer to;
        for (p2p_peer i = 0; i < w->n_peers; i++) {
            if (w->meshes[i] != NULL && !w->frozen[i]) {
                poll_all(w, i);
                due_ns = mesh_due_ns(w->meshes[i]) < due_ns
                             ? mesh_due_ns(w->meshes[i])
                             : due_ns;
            }
        }
        if (!p2p_sim_step(w->sim, due_ns, &to) && due_ns == until_ns) {
            break;
        }
    }
}

static void expect(struct world *w, const char *story)
{
    assert_string_equal(w->story, story);
    w->story_size = 0;
    w->story[0] = '\0';
}

static int count(const char *text, const char *word)
{
    int n = 0;

    for (const char *at = strstr(text, word); at != NULL;
         at = strstr(at + 1, word)) {
        n++;
    }
    return n;
}

static void world_forget(struct world *w)
{
    w->story_size = 0;
    w->story[0] = '\0';
}

static int send_next(struct world *w, p2p_peer from, p2p_peer to, size_t size)
{
    static uint64_t n[PEERS_MAX][PEERS_MAX];
    struct blob *body = size > 0 ? blob_create(size) : NULL;
    int rc;

    if (w == NULL) {
        memset(n, 0, sizeof n);
        return 0;
    }
    if (body != NULL) {
        memset(body->data, 1, size);
    }
    rc = mesh_send(w->meshes[from], to, MESH_USER, n[from][to] + 1, body, NULL);
    n[from][to] += rc == 0;
    blob_unref(body);
    return rc;
}

static void test_hello_makes_all_peers_meet(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    assert_false(mesh_is_up(w.meshes[0], 1));
    run(&w, 100);
    expect(&w, "[    2] 0: 1 up\n"
               "[    2] 0: 2 up\n"
               "[    2] 1: 0 up\n"
               "[    2] 1: 2 up\n"
               "[    2] 2: 0 up\n"
               "[    2] 2: 1 up\n");
    assert_true(mesh_is_up(w.meshes[0], 1));
    run(&w, 5000);
    expect(&w, "");
    world_fini(&w);
}

static void test_hello_gets_through_with_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct p2p_sim_options o = LAN;
        struct world w;
        o.seed = seed;
        o.n_peers = 4;
        o.loss_permille = 300;
        world_init(&w, &o);
        run(&w, 990);
        assert_int_equal(count(w.story, "up"), 12);
        p2p_sim_loss(w.sim, 0);
        run(&w, 3000);
        assert_int_equal(count(w.story, "lost"), 0);
        world_fini(&w);
    }
}

static void test_messages_queued_before_hello_follow_it(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    send_next(NULL, 0, 0, 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(send_next(&w, 0, 1, 10), 0);
    }
    assert_int_equal(mesh_pending(w.meshes[0], 1), 5);
    run(&w, 50);
    assert_int_equal(w.got[1][0], 5);
    assert_int_equal(mesh_pending(w.meshes[0], 1), 0);
    world_fini(&w);
}

static void test_silence_for_the_timeout_loses_a_peer(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 1500);
    world_forget(&w);
    w.frozen[2] = true;
    run(&w, 4000);
    assert_int_equal(count(w.story, "0: 2 lost, no sign for 1.0 s"), 1);
    assert_int_equal(count(w.story, "1: 2 lost, no sign for 1.0 s"), 1);
    assert_int_equal(count(w.story, "\n"), 2);
    assert_in_range(strtoul(w.story + 1, NULL, 10), 2300, 2502);
    assert_false(mesh_is_up(w.meshes[0], 2));
    assert_int_equal(send_next(&w, 0, 2, 1), ERR_UNREACHABLE);
    world_fini(&w);
}

static void test_a_peer_that_never_comes_is_lost(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    w.frozen[2] = true;
    run(&w, 3000);
    assert_int_equal(count(w.story, "[ 1000] 0: 2 lost, no answer for 1.0 s"),
                     1);
    assert_int_equal(count(w.story, "[ 1000] 1: 2 lost, no answer for 1.0 s"),
                     1);
    assert_int_equal(count(w.story, "lost"), 2);
    world_fini(&w);
}

/* 1 does not hear 0, which hears 1 until 1 gives it up. */
static void test_a_one_way_cut_is_noticed_on_both_sides(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 500);
    world_forget(&w);
    p2p_sim_cut(w.sim, 0, 1);
    run(&w, 5000);
    assert_int_equal(count(w.story, "1: 0 lost"), 1);
    assert_int_equal(count(w.story, "0: 1 lost"), 1);
    assert_int_equal(count(w.story, "\n"), 2);
    assert_true(strstr(w.story, "1: 0 lost") < strstr(w.story, "0: 1 lost"));
    assert_true(mesh_is_up(w.meshes[2], 0) && mesh_is_up(w.meshes[2], 1));
    world_fini(&w);
}

static void test_a_one_way_cut_from_the_start_is_noticed(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    p2p_sim_cut(w.sim, 0, 1);
    run(&w, 5000);
    assert_int_equal(count(w.story, "1: 0 lost"), 1);
    assert_int_equal(count(w.story, "0: 1 lost"), 1);
    assert_int_equal(count(w.story, "lost"), 2);
    world_fini(&w);
}

static void test_a_short_cut_loses_nobody(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 500);
    world_forget(&w);
    p2p_sim_cut(w.sim, 0, 1);
    run(&w, 1100);
    p2p_sim_mend(w.sim, 0, 1);
    run(&w, 4000);
    expect(&w, "");
    world_fini(&w);
}

static void test_goodbye_is_no_loss_and_comes_last(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 100);
    world_forget(&w);
    send_next(NULL, 0, 0, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send_next(&w, 0, 1, 10), 0);
    }
    mesh_bye(w.meshes[0]);
    assert_int_equal(mesh_pending(w.meshes[0], 1), 5); /* And an answer. */
    assert_int_equal(send_next(&w, 0, 1, 10), ERR_UNREACHABLE);
    run(&w, 101);
    assert_int_equal(mesh_pending(w.meshes[0], 1), 1);
    run(&w, 102);
    assert_int_equal(mesh_pending(w.meshes[0], 1), 0);
    assert_int_equal(w.got[1][0], 3);
    mesh_destroy(w.meshes[0]);
    w.meshes[0] = NULL;
    run(&w, 5000);
    expect(&w, "[  101] 1: 0 bye\n[  101] 2: 0 bye\n");
    assert_int_equal(send_next(&w, 1, 0, 1), ERR_UNREACHABLE);
    world_fini(&w);
}

static void test_goodbye_gets_through_with_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct p2p_sim_options o = LAN;
        struct world w;
        o.seed = seed;
        world_init(&w, &o);
        run(&w, 100);
        world_forget(&w);
        p2p_sim_loss(w.sim, 300);
        mesh_bye(w.meshes[0]);
        run(&w, 900);
        assert_int_equal(mesh_pending(w.meshes[0], 1), 0);
        assert_int_equal(mesh_pending(w.meshes[0], 2), 0);
        assert_int_equal(count(w.story, "1: 0 bye"), 1);
        assert_int_equal(count(w.story, "2: 0 bye"), 1);
        assert_int_equal(count(w.story, "\n"), 2);
        world_fini(&w);
    }
}

/* Two leave at the same moment: neither takes the other for lost. */
static void test_all_may_say_goodbye_at_once(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 100);
    world_forget(&w);
    for (p2p_peer i = 0; i < 3; i++) {
        mesh_bye(w.meshes[i]);
    }
    run(&w, 102);
    for (p2p_peer i = 0; i < 3; i++) {
        for (p2p_peer k = 0; k < 3; k++) {
            assert_int_equal(mesh_pending(w.meshes[i], k), 0);
        }
    }
    assert_int_equal(count(w.story, "bye"), 6);
    assert_int_equal(count(w.story, "\n"), 6);
    world_fini(&w);
}

static void test_after_our_goodbye_nobody_is_lost(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 100);
    world_forget(&w);
    w.frozen[1] = true;
    mesh_bye(w.meshes[0]);
    run(&w, 5000);
    assert_int_equal(count(w.story, "0: 1 bye"), 1);
    assert_int_equal(count(w.story, "0: 1 lost"), 0);
    assert_int_equal(count(w.story, "2: 1 lost"), 1);
    world_fini(&w);
}

/* The link of 0 is slow: its queue fills, and drains. */
static void test_a_full_queue_says_again_and_recovers(void **state)
{
    struct p2p_sim_options o = LAN;
    struct world w;
    int n = 0;

    (void)state;
    o.bytes_per_s = 100000;
    world_init(&w, &o);
    run(&w, 100);
    send_next(NULL, 0, 0, 0);
    while (send_next(&w, 0, 1, 100) == 0) {
        n++;
        if (n % 4 == 0) {
            poll_all(&w, 0);
        }
        assert_in_range(n, 0, 1000);
    }
    assert_int_equal(send_next(&w, 0, 1, 100), ERR_AGAIN);
    assert_int_equal(send_next(&w, 0, 2, 100), 0); /* Others have room. */
    run(&w, 2000);
    assert_int_equal(w.got[1][0], n);
    assert_int_equal(w.got[2][0], 1);
    assert_int_equal(send_next(&w, 0, 1, 5000), 0); /* More than the queue. */
    assert_int_equal(send_next(&w, 0, 1, 1), ERR_AGAIN);
    run(&w, 4000);
    assert_int_equal(w.got[1][0], n + 1);
    assert_int_equal(count(w.story, "lost"), 0);
    world_fini(&w);
}

static void test_beats_are_sent_only_into_silence(void **state)
{
    struct p2p_stats before;
    struct p2p_stats after;
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 1000);
    before = mesh_stats(w.meshes[0], 1);
    send_next(NULL, 0, 0, 0);
    for (uint64_t ms = 1000; ms < 3000; ms += 100) {
        assert_int_equal(send_next(&w, 0, 1, 1), 0);
        run(&w, ms + 100);
    }
    after = mesh_stats(w.meshes[0], 1);
    assert_int_equal(after.msgs_sent - before.msgs_sent, 20);
    before = after;
    run(&w, 5000);
    after = mesh_stats(w.meshes[0], 1);
    assert_in_range(after.msgs_sent - before.msgs_sent, 9, 11);
    world_fini(&w);
}

/* Peer 0 is stopped for ten seconds. The others lose it; it loses nobody that
 * still talks to it. */
static void test_a_stalled_caller_loses_nobody_at_once(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 500);
    world_forget(&w);
    w.frozen[0] = true;
    run(&w, 1200); /* Not long enough for the others to lose it. */
    {
        struct mesh_event event;
        /* The clock of peer 0 alone jumps. */
        assert_int_equal(mesh_poll(w.meshes[0], 60 * CLOCK_S, &event, NULL),
                         ERR_AGAIN);
    }
    assert_true(mesh_is_up(w.meshes[0], 1));
    assert_true(mesh_is_up(w.meshes[0], 2));
    world_fini(&w);
}

static void test_after_a_stall_silence_counts_again(void **state)
{
    struct world w;
    uint64_t now_ns = 60 * CLOCK_S;
    struct mesh_event event;
    int n_lost = 0;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 500);
    while (n_lost < 2 && now_ns < 70 * CLOCK_S) {
        if (mesh_poll(w.meshes[0], now_ns, &event, NULL) == 0) {
            assert_int_equal(event.kind, MESH_EVENT_LOST);
            n_lost++;
        }
        now_ns += 10 * CLOCK_MS;
    }
    assert_int_equal(n_lost, 2);
    assert_in_range(now_ns, 60500 * CLOCK_MS, 61200 * CLOCK_MS);
    world_fini(&w);
}

static void test_what_the_transport_says_is_lost_is_lost_once(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 500);
    world_forget(&w);
    w.faults[0].peer = 2;
    w.faults[0].code = ERR_UNREACHABLE;
    w.faults[0].fail_at = w.faults[0].n_calls + 1;
    w.faults[0].fail_for = 2; /* The second is no news. */
    w.frozen[1] = w.frozen[2] = true;
    poll_all(&w, 0);
    assert_int_equal(count(w.story, "0: 2 lost, call"), 1);
    assert_int_equal(count(w.story, "\n"), 1);
    world_fini(&w);
}

static void test_an_unusable_network_is_an_error(void **state)
{
    struct mesh_event event;
    struct world w;
    struct err e;

    (void)state;
    world_init(&w, &LAN);
    run(&w, 500);
    w.faults[0].code = ERR_IO;
    w.faults[0].fail_at = w.faults[0].n_calls + 1;
    w.faults[0].fail_for = 1;
    assert_int_equal(mesh_poll(w.meshes[0], 500 * CLOCK_MS, &event, &e),
                     ERR_IO);
    assert_non_null(strstr(e.msg, "failure on demand"));
    assert_int_equal(mesh_poll(w.meshes[0], 500 * CLOCK_MS, &event, &e),
                     ERR_AGAIN);
    world_fini(&w);
}

/* Whatever call of a peer fails with "again", nothing is lost but time. */
static void test_no_call_that_fails_once_does_harm(void **state)
{
    (void)state;
    for (uint64_t at = 1; at < 120; at++) {
        struct world w;
        world_init(&w, &LAN);
        send_next(NULL, 0, 0, 0);
        w.faults[0].code = ERR_AGAIN;
        w.faults[0].fail_at = at;
        w.faults[0].fail_for = 1 + at % 3;
        for (int i = 0; i < 4; i++) {
            assert_int_equal(send_next(&w, 0, 1, 20), 0);
            assert_int_equal(send_next(&w, 1, 0, 20), 0);
        }
        run(&w, 900);
        assert_int_equal(w.got[0][1], 4);
        assert_int_equal(w.got[1][0], 4);
        assert_int_equal(count(w.story, "up"), 6);
        assert_int_equal(count(w.story, "lost"), 0);
        world_fini(&w);
    }
}

static void test_options_are_checked(void **state)
{
    struct mesh_options o = {.self = 2, .n_peers = 2, .timeout_ns = 1};
    struct mesh *m;
    struct err e;

    (void)state;
    assert_int_equal(mesh_create(&m, NULL, &o, 0, &e), ERR_INVALID);
    assert_string_equal(e.msg, "mesh: peer 2 of 2, time-out 1 ns");
    o = (struct mesh_options){.self = 0, .n_peers = 2, .timeout_ns = 0};
    assert_int_equal(mesh_create(&m, NULL, &o, 0, &e), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_makes_all_peers_meet),
        cmocka_unit_test(test_hello_gets_through_with_loss),
        cmocka_unit_test(test_messages_queued_before_hello_follow_it),
        cmocka_unit_test(test_silence_for_the_timeout_loses_a_peer),
        cmocka_unit_test(test_a_peer_that_never_comes_is_lost),
        cmocka_unit_test(test_a_one_way_cut_is_noticed_on_both_sides),
        cmocka_unit_test(test_a_one_way_cut_from_the_start_is_noticed),
        cmocka_unit_test(test_a_short_cut_loses_nobody),
        cmocka_unit_test(test_goodbye_is_no_loss_and_comes_last),
        cmocka_unit_test(test_goodbye_gets_through_with_loss),
        cmocka_unit_test(test_all_may_say_goodbye_at_once),
        cmocka_unit_test(test_after_our_goodbye_nobody_is_lost),
        cmocka_unit_test(test_a_full_queue_says_again_and_recovers),
        cmocka_unit_test(test_beats_are_sent_only_into_silence),
        cmocka_unit_test(test_a_stalled_caller_loses_nobody_at_once),
        cmocka_unit_test(test_after_a_stall_silence_counts_again),
        cmocka_unit_test(test_what_the_transport_says_is_lost_is_lost_once),
        cmocka_unit_test(test_an_unusable_network_is_an_error),
        cmocka_unit_test(test_no_call_that_fails_once_does_harm),
        cmocka_unit_test(test_options_are_checked),
    };
    return cmocka_run_group_tests_name("mesh", tests, NULL, NULL);
}
