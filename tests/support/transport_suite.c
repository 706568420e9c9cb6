#include "tests/support/transport_suite.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/rng.h"
#include "p2p/wire.h"
#include "tests/support/test.h"

#define STEPS_MAX 2000000 /* No test takes more, or it is stuck. */

/* cmocka hands one pointer to a test: the kind under test. */
static const struct suite_kind *kind_of(void **state)
{
    return *state;
}

/* A body whose bytes follow from its size and @seed. */
static struct blob *body_create(size_t size, uint64_t seed)
{
    struct blob *b = blob_create(size);

    assert_non_null(b);
    for (size_t i = 0; i < size; i++) {
        b->data[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8) * 13);
    }
    return b;
}

static void body_expect(const struct blob *got, size_t size, uint64_t seed)
{
    struct blob *want;

    if (size == 0) {
        assert_null(got);
        return;
    }
    want = body_create(size, seed);
    assert_non_null(got);
    assert_int_equal(got->size, size);
    assert_memory_equal(got->data, want->data, size);
    blob_unref(want);
}

/* Send, and poll the sender while there is no room. */
static void send_all(const struct suite_kind *kind,
                     struct suite_net *net,
                     p2p_peer from,
                     struct p2p_msg *msg)
{
    struct p2p_msg unexpected;
    struct err e;

    for (long i = 0; i < STEPS_MAX; i++) {
        int rc = p2p_send(net->t[from], msg, &e);
        if (rc == 0) {
            assert_null(msg->body);
            return;
        }
        assert_int_equal(rc, ERR_AGAIN);
        assert_int_equal(p2p_poll(net->t[from], &unexpected, &e), ERR_AGAIN);
        kind->step(net);
    }
    fail_msg("peer %u cannot send", from);
}

static void send_body(const struct suite_kind *kind,
                      struct suite_net *net,
                      p2p_peer from,
                      p2p_peer to,
                      size_t size)
{
    struct p2p_msg msg = {.peer = to, .type = 16, .ack = size + 1};

    msg.body = body_create(size, size);
    send_all(kind, net, from, &msg);
}

/* Poll both until @to has a message of @from. */
static void receive(const struct suite_kind *kind,
                    struct suite_net *net,
                    p2p_peer from,
                    p2p_peer to,
                    struct p2p_msg *msg)
{
    struct err e;

    for (long i = 0; i < STEPS_MAX; i++) {
        struct p2p_msg other;
        int rc = p2p_poll(net->t[to], msg, &e);
        if (rc == 0) {
            assert_int_equal(msg->peer, from);
            return;
        }
        assert_int_equal(rc, ERR_AGAIN);
        assert_int_equal(p2p_poll(net->t[from], &other, &e), ERR_AGAIN);
        kind->step(net);
    }
    fail_msg("peer %u received nothing", to);
}

/* Poll @from until everything to @to has left. */
static void flush(const struct suite_kind *kind,
                  struct suite_net *net,
                  p2p_peer from,
                  p2p_peer to)
{
    struct p2p_msg msg;

    for (long i = 0; i < STEPS_MAX; i++) {
        if (net->t[from]->ops->pending(net->t[from], to) == 0) {
            return;
        }
        assert_int_equal(p2p_poll(net->t[from], &msg, NULL), ERR_AGAIN);
        kind->step(net);
    }
    fail_msg("peer %u cannot flush", from);
}

static void test_bodies_of_all_sizes_arrive_whole(void **state)
{
    static const size_t SIZES[] = {
        0,     1,      WIRE_CHUNK_SIZE - 1,     WIRE_CHUNK_SIZE,
        65537, 131072, 3 * WIRE_CHUNK_SIZE + 5, 5000001};
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};

    kind->open(&net, 2);
    for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
        struct p2p_msg msg;
        send_body(kind, &net, 0, 1, SIZES[i]);
        receive(kind, &net, 0, 1, &msg);
        assert_int_equal(msg.peer, 0);
        assert_int_equal(msg.type, 16);
        assert_int_equal(msg.ack, SIZES[i] + 1);
        body_expect(msg.body, SIZES[i], SIZES[i]);
        blob_unref(msg.body);
    }
    kind->close(&net);
}

static void test_a_message_without_body_arrives_without_body(void **state)
{
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};
    struct p2p_msg msg = {.peer = 0, .type = 255, .ack = UINT64_MAX};

    kind->open(&net, 2);
    send_all(kind, &net, 1, &msg);
    receive(kind, &net, 1, 0, &msg);
    assert_int_equal(msg.peer, 1);
    assert_int_equal(msg.type, 255);
    assert_true(msg.ack == UINT64_MAX);
    assert_null(msg.body);
    kind->close(&net);
}

/* Everybody sends to everybody; each message arrives once. */
static void test_all_talk_to_all(void **state)
{
    enum { PEERS = 5, MSGS = 20 };
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};
    bool seen[PEERS][PEERS][MSGS] = {{{false}}};
    int left = PEERS * (PEERS - 1) * MSGS;

    kind->open(&net, PEERS);
    for (long step = 0, sent = 0; left > 0 && step < STEPS_MAX; step++) {
        if (sent < PEERS * (PEERS - 1) * MSGS) {
            p2p_peer from = (p2p_peer)(sent % PEERS);
            p2p_peer to =
                (p2p_peer)((from + 1 + sent / PEERS % (PEERS - 1)) % PEERS);
            uint64_t n = (uint64_t)sent / (PEERS * (PEERS - 1));
            struct p2p_msg msg = {.peer = to, .type = 17, .ack = n};
            msg.body = body_create(n * 5000, n + from);
            if (p2p_send(net.t[from], &msg, NULL) == 0) {
                sent++;
            }
            blob_unref(msg.body);
        }
        for (p2p_peer p = 0; p < PEERS; p++) {
            struct p2p_msg msg;
            if (p2p_poll(net.t[p], &msg, NULL) == 0) {
                assert_false(seen[msg.peer][p][msg.ack]);
                seen[msg.peer][p][msg.ack] = true;
                body_expect(msg.body, msg.ack * 5000, msg.ack + msg.peer);
                blob_unref(msg.body);
                left--;
            }
        }
        kind->step(&net);
    }
    assert_int_equal(left, 0);
    kind->close(&net);
}

/* A sender whose receiver does not poll is told to wait, and everything
 * arrives once the receiver polls again. */
static void test_backpressure_ends_when_the_receiver_polls(void **state)
{
    enum { MSGS_MAX = 4096, SIZE = 100000 };
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};
    struct blob *body = body_create(SIZE, 3);
    struct p2p_msg got;
    int quiet = 0;
    long n = 0;

    if (!kind->is_bounded) {
        blob_unref(body);
        skip();
    }
    kind->open(&net, 2);
    while (n < MSGS_MAX && quiet < 200) {
        struct p2p_msg msg = {.peer = 1, .type = 16};
        msg.body = blob_ref(body);
        if (p2p_send(net.t[0], &msg, NULL) == 0) {
            n++;
            quiet = 0;
        } else {
            blob_unref(msg.body);
            assert_int_equal(p2p_poll(net.t[0], &got, NULL), ERR_AGAIN);
            net.t[0]->ops->wait(net.t[0], 1000000);
            quiet++;
        }
    }
    assert_in_range(n, 1, MSGS_MAX - 1);
    assert_true(net.t[0]->ops->pending(net.t[0], 1) > 0);
    for (long i = 0; i < n; i++) {
        receive(kind, &net, 0, 1, &got);
        body_expect(got.body, SIZE, 3);
        blob_unref(got.body);
    }
    send_body(kind, &net, 0, 1, 10);
    receive(kind, &net, 0, 1, &got);
    blob_unref(got.body);
    flush(kind, &net, 0, 1);
    blob_unref(body);
    kind->close(&net);
}

static void test_stats_count_headers_and_bodies(void **state)
{
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};
    struct p2p_stats sent;
    struct p2p_stats received;
    struct p2p_msg msg;

    kind->open(&net, 3);
    send_body(kind, &net, 0, 2, 100);
    receive(kind, &net, 0, 2, &msg);
    blob_unref(msg.body);
    send_body(kind, &net, 0, 2, 200000);
    receive(kind, &net, 0, 2, &msg);
    blob_unref(msg.body);
    sent = net.t[0]->ops->stats(net.t[0], 2);
    received = net.t[2]->ops->stats(net.t[2], 0);
    assert_int_equal(sent.msgs_sent, 2);
    assert_int_equal(sent.bytes_sent, wire_bytes(100) + wire_bytes(200000));
    assert_int_equal(sent.bytes_received, 0);
    assert_int_equal(received.msgs_received, 2);
    assert_int_equal(received.bytes_received, sent.bytes_sent);
    assert_int_equal(received.msgs_dropped, 0);
    assert_int_equal(net.t[0]->ops->stats(net.t[0], 1).msgs_sent, 0);
    send_body(kind, &net, 0, 1, 5);
    receive(kind, &net, 0, 1, &msg);
    blob_unref(msg.body);
    sent = net.t[0]->ops->total(net.t[0]);
    assert_int_equal(sent.msgs_sent, 3);
    assert_int_equal(sent.bytes_sent,
                     wire_bytes(100) + wire_bytes(200000) + wire_bytes(5));
    received = net.t[2]->ops->total(net.t[2]);
    assert_int_equal(received.msgs_received, 2);
    assert_int_equal(received.bytes_received,
                     wire_bytes(100) + wire_bytes(200000));
    kind->close(&net);
}

/* A blob is sent to many without a copy: all references come back. */
static void test_references_to_a_body_come_back(void **state)
{
    enum { PEERS = 4 };
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};
    struct blob *body = body_create(300000, 9);
    struct p2p_msg msg;

    kind->open(&net, PEERS);
    for (p2p_peer to = 1; to < PEERS; to++) {
        msg = (struct p2p_msg){.peer = to, .type = 16};
        msg.body = blob_ref(body);
        send_all(kind, &net, 0, &msg);
    }
    for (p2p_peer to = 1; to < PEERS; to++) {
        receive(kind, &net, 0, to, &msg);
        body_expect(msg.body, 300000, 9);
        blob_unref(msg.body);
    }
    for (p2p_peer to = 1; to < PEERS; to++) {
        flush(kind, &net, 0, to);
    }
    assert_int_equal(atomic_load(&body->refs), 1);
    blob_unref(body);
    kind->close(&net);
}

/* wake() before wait() ends that one; other tests see that it comes back. */
static void test_wake_before_wait_is_kept(void **state)
{
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};

    kind->open(&net, 2);
    for (int i = 0; i < 10; i++) {
        net.t[0]->ops->wake(net.t[0]);
        net.t[0]->ops->wait(net.t[0], UINT64_MAX);
    }
    kind->close(&net);
}

static void test_sending_to_oneself_is_a_bug(void **state)
{
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};
    int status;
    pid_t child;

    kind->open(&net, 2);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct p2p_msg msg = {.peer = 0, .type = 16};
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        (void)p2p_send(net.t[0], &msg, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    kind->close(&net);
}

static void close_one(struct suite_net *net, p2p_peer p)
{
    net->t[p]->ops->close(net->t[p]);
    net->t[p] = NULL;
}

/* Peer 1 goes away. Sending to it does no harm, its loss is told once at most,
 * and peer 2 is still there. */
static void test_a_peer_that_closes_is_told_once(void **state)
{
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};
    struct p2p_msg msg;
    int told = 0;

    kind->open(&net, 3);
    send_body(kind, &net, 0, 1, 10);
    receive(kind, &net, 0, 1, &msg);
    blob_unref(msg.body);
    close_one(&net, 1);
    for (int i = 0; i < 3000 && (told == 0 || i < 300); i++) {
        struct err e;
        int rc;
        msg = (struct p2p_msg){.peer = 1, .type = 16};
        msg.body = body_create(1000, 1);
        rc = p2p_send(net.t[0], &msg, &e);
        assert_true(rc == 0 || rc == ERR_AGAIN || rc == ERR_UNREACHABLE);
        blob_unref(msg.body);
        rc = p2p_poll(net.t[0], &msg, &e);
        if (rc == ERR_UNREACHABLE) {
            assert_int_equal(msg.peer, 1);
            told++;
        } else {
            assert_int_equal(rc, ERR_AGAIN);
        }
        net.t[0]->ops->wait(net.t[0], told ? 0 : 1000000);
        kind->step(&net);
    }
    assert_int_equal(told, kind->tells_loss ? 1 : 0);
    send_body(kind, &net, 0, 2, 70000);
    receive(kind, &net, 0, 2, &msg);
    body_expect(msg.body, 70000, 70000);
    blob_unref(msg.body);
    kind->close(&net);
}

static void test_closing_with_queued_messages_leaks_nothing(void **state)
{
    const struct suite_kind *kind = kind_of(state);
    struct suite_net net = {0};

    kind->open(&net, 4);
    for (p2p_peer from = 0; from < 4; from++) {
        for (p2p_peer to = 0; to < 4; to++) {
            struct p2p_msg msg = {.peer = to, .type = 16};
            if (to != from) {
                msg.body = body_create(200000, to);
                (void)p2p_send(net.t[from], &msg, NULL);
                blob_unref(msg.body);
                kind->step(&net);
            }
        }
    }
    kind->close(&net);
}

int transport_suite_run(const struct suite_kind *kind)
{
    void *state = (void *)(uintptr_t)kind;
    const struct CMUnitTest tests[] = {
#define T(F) {#F, F, NULL, NULL, state}
        T(test_bodies_of_all_sizes_arrive_whole),
        T(test_a_message_without_body_arrives_without_body),
        T(test_all_talk_to_all),
        T(test_backpressure_ends_when_the_receiver_polls),
        T(test_stats_count_headers_and_bodies),
        T(test_references_to_a_body_come_back),
        T(test_wake_before_wait_is_kept),
        T(test_sending_to_oneself_is_a_bug),
        T(test_a_peer_that_closes_is_told_once),
        T(test_closing_with_queued_messages_leaks_nothing),
#undef T
    };
    return cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
}
