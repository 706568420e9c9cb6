/* Unit tests of p2p/ofi.h: the transport suite over libfabric on loopback, and
 * what only a real network does. */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "p2p/mesh.h"
#include "p2p/ofi.h"
#include "tests/support/test.h"
#include "tests/support/transport_suite.h"

#define SESSION 0x1234567890abcdefu

struct address {
    uint8_t bytes[128];
    size_t size;
};

static struct p2p_transport *endpoint_open(struct address *a)
{
    struct p2p_ofi_options o = {.node = "127.0.0.1"};
    struct p2p_transport *t;
    struct err e;

    if (p2p_ofi_open(&t, &o, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(
        p2p_ofi_address(t, a->bytes, sizeof a->bytes, &a->size, &e), 0);
    return t;
}

static void endpoint_connect(struct p2p_transport *t,
                             uint64_t session,
                             p2p_peer self,
                             const struct address *a,
                             uint32_t n_peers)
{
    struct p2p_ofi_peer peers[SUITE_PEERS_MAX];
    struct err e;

    for (p2p_peer i = 0; i < n_peers; i++) {
        peers[i] = (struct p2p_ofi_peer){a[i].bytes, a[i].size};
    }
    if (p2p_ofi_connect(t, session, self, peers, n_peers, &e) != 0) {
        fail_msg("%s", e.msg);
    }
}

static void ofi_open(struct suite_net *net, uint32_t n_peers)
{
    struct address a[SUITE_PEERS_MAX];

    net->n_peers = n_peers;
    for (p2p_peer i = 0; i < n_peers; i++) {
        net->t[i] = endpoint_open(&a[i]);
    }
    for (p2p_peer i = 0; i < n_peers; i++) {
        endpoint_connect(net->t[i], SESSION, i, a, n_peers);
    }
}

static void ofi_close(struct suite_net *net)
{
    for (p2p_peer i = 0; i < net->n_peers; i++) {
        if (net->t[i] != NULL) {
            net->t[i]->ops->close(net->t[i]);
        }
    }
}

static bool ofi_step(struct suite_net *net)
{
    (void)net;
    sched_yield();
    return true;
}

static const struct suite_kind OFI = {.name = "transport suite on libfabric",
                                      .open = ofi_open,
                                      .close = ofi_close,
                                      .step = ofi_step,
                                      .tells_loss = true,
                                      .is_bounded = true};

struct waker {
    struct p2p_transport *t;
    atomic_bool is_waiting;
    pthread_t thread;
};

static void *waker_run(void *arg)
{
    struct waker *w = arg;

    while (!atomic_load(&w->is_waiting)) {
        sched_yield();
    }
    for (int i = 0; i < 100; i++) {
        sched_yield(); /* The wait is likely under way by now. */
    }
    w->t->ops->wake(w->t);
    return NULL;
}

/* Fails by hanging if wake() does not end fi_cq_sread(). */
static void test_wake_ends_a_wait_of_another_thread(void **state)
{
    struct suite_net net = {0};
    struct p2p_msg msg = {.peer = 1, .type = 16};

    (void)state;
    ofi_open(&net, 2);
    assert_int_equal(p2p_send(net.t[0], &msg, NULL), 0);
    while (p2p_poll(net.t[1], &msg, NULL) != 0) {
        (void)p2p_poll(net.t[0], &msg, NULL);
    }
    for (int i = 0; i < 20; i++) {
        struct waker w = {.t = net.t[0]};
        atomic_init(&w.is_waiting, false);
        assert_int_equal(pthread_create(&w.thread, NULL, waker_run, &w), 0);
        assert_int_equal(p2p_poll(net.t[0], &msg, NULL), ERR_AGAIN);
        atomic_store(&w.is_waiting, true);
        net.t[0]->ops->wait(net.t[0], 3600 * CLOCK_S);
        assert_int_equal(pthread_join(w.thread, NULL), 0);
        net.t[0]->ops->wait(net.t[0], 0); /* A wake that came late. */
    }
    ofi_close(&net);
}

static void test_a_message_ends_a_wait(void **state)
{
    struct suite_net net = {0};
    struct p2p_msg msg = {.peer = 1, .type = 16};

    (void)state;
    ofi_open(&net, 2);
    for (int i = 0; i < 20; i++) {
        msg = (struct p2p_msg){.peer = 1, .type = 16};
        assert_int_equal(p2p_send(net.t[0], &msg, NULL), 0);
        while (net.t[0]->ops->pending(net.t[0], 1) > 0) {
            assert_int_equal(p2p_poll(net.t[0], &msg, NULL), ERR_AGAIN);
            (void)net.t[1]->ops->wait(net.t[1], CLOCK_MS);
        }
        while (p2p_poll(net.t[1], &msg, NULL) != 0) {
            net.t[1]->ops->wait(net.t[1], 3600 * CLOCK_S);
        }
    }
    ofi_close(&net);
}

struct story {
    struct log log; /* Must be first. */
    char text[4096];
};

static void story_emit(struct log *l, enum log_level level, const char *msg)
{
    struct story *s = (struct story *)l;
    size_t used = strlen(s->text);

    (void)level;
    snprintf(s->text + used, sizeof s->text - used, "%s\n", msg);
}

/* A process of an old job still sends to the address that a new one has. */
static void test_messages_of_another_session_are_dropped(void **state)
{
    struct story story = {.log = {.emit = story_emit, .level = LOG_WARN}};
    struct p2p_ofi_options o = {.node = "127.0.0.1", .log = &story.log};
    struct p2p_transport *t[3];
    struct address a[3];
    struct p2p_msg msg;
    struct err e;
    int n = 0;

    (void)state;
    assert_int_equal(p2p_ofi_open(&t[0], &o, &e), 0);
    assert_int_equal(
        p2p_ofi_address(t[0], a[0].bytes, sizeof a[0].bytes, &a[0].size, &e),
        0);
    t[1] = endpoint_open(&a[1]);
    t[2] = endpoint_open(&a[2]);
    endpoint_connect(t[0], SESSION, 0, a, 3);
    endpoint_connect(t[1], SESSION, 1, a, 3);
    endpoint_connect(t[2], SESSION + 1, 2, a, 3);
    for (uint64_t i = 0; i < 3; i++) {
        msg = (struct p2p_msg){.peer = 0, .type = 16};
        assert_int_equal(p2p_send(t[2], &msg, &e), 0);
    }
    while (t[2]->ops->pending(t[2], 0) > 0 ||
           t[0]->ops->stats(t[0], 0).msgs_dropped < 3) {
        assert_int_equal(p2p_poll(t[2], &msg, &e), ERR_AGAIN);
        assert_int_equal(p2p_poll(t[0], &msg, &e), ERR_AGAIN);
    }
    msg = (struct p2p_msg){.peer = 0, .type = 16};
    assert_int_equal(p2p_send(t[1], &msg, &e), 0);
    while (n == 0) {
        (void)p2p_poll(t[1], &msg, &e);
        n += p2p_poll(t[0], &msg, &e) == 0;
    }
    assert_int_equal(msg.peer, 1);
    assert_int_equal(t[0]->ops->stats(t[0], 2).msgs_received, 0);
    assert_string_equal(story.text, "drop a packet of another session\n");
    for (int i = 0; i < 3; i++) {
        t[i]->ops->close(t[i]);
    }
}

static void test_an_endpoint_that_never_connects_can_be_closed(void **state)
{
    struct p2p_msg msg = {.peer = 1, .type = 16};
    struct address a;
    struct p2p_transport *t = endpoint_open(&a);
    struct err e;
    size_t size;

    (void)state;
    assert_int_equal(p2p_send(t, &msg, &e), ERR_UNREACHABLE);
    assert_string_equal(e.msg, "peer 1 has no address yet");
    assert_int_equal(p2p_poll(t, &msg, &e), ERR_AGAIN);
    assert_int_equal(p2p_ofi_address(t, a.bytes, 3, &size, &e), ERR_FULL);
    t->ops->close(t);
}

static void test_wrong_providers_and_addresses_are_explained(void **state)
{
    struct p2p_ofi_options o = {.provider = "nonsense"};
    struct p2p_transport *t = NULL;
    struct err e;

    (void)state;
    assert_int_equal(p2p_ofi_open(&t, &o, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "no provider nonsense; there are: "));
    o = (struct p2p_ofi_options){.node = "203.0.113.77"};
    assert_int_equal(p2p_ofi_open(&t, &o, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "203.0.113.77"));
    assert_null(t);
}

/* Both names of the xnet provider mean it, whichever this version has. */
static void test_the_provider_of_choice_is_xnet(void **state)
{
    static const char *const NAMES[] = {NULL, "net", "tcp"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct p2p_ofi_options o = {.provider = NAMES[i], .node = "127.0.0.1"};
        struct p2p_transport *t;
        const char *name;
        assert_int_equal(p2p_ofi_open(&t, &o, NULL), 0);
        name = p2p_ofi_provider(t);
        assert_true(strcmp(name, "net") == 0 || strcmp(name, "tcp") == 0);
        assert_string_equal(t->ops->name, name);
        t->ops->close(t);
    }
}

/* A real peer in a process of its own, which is killed. Addresses go through
 * pipes. */
struct child {
    pid_t pid;
    int out; /* Read its address here. */
    int in;  /* Write all addresses here. */
};

static struct mesh *mesh_over(struct p2p_transport *t, p2p_peer self)
{
    struct mesh_options o = {.self = self,
                             .n_peers = 3,
                             .timeout_ns = 2 * CLOCK_S,
                             .queue_bytes_max = 1 << 22};
    struct mesh *m;

    assert_int_equal(mesh_create(&m, t, &o, clock_ns(), NULL), 0);
    return m;
}

/* Stream to all others, and read what they send, for ever. */
static void child_run(p2p_peer self, int out, int in)
{
    struct address a[3];
    struct p2p_transport *t = endpoint_open(&a[0]);
    struct blob *body = blob_create(100000);
    struct mesh_event event;
    struct mesh *m;

    memset(body->data, 1, body->size);
    if (write(out, &a[0], sizeof a[0]) != sizeof a[0] ||
        read(in, a, sizeof a) != sizeof a) {
        _exit(1);
    }
    endpoint_connect(t, SESSION, self, a, 3);
    m = mesh_over(t, self);
    for (;;) {
        for (p2p_peer to = 0; to < 3; to++) {
            if (to != self) {
                (void)mesh_send(m, to, MESH_USER, 0, body, NULL);
            }
        }
        if (mesh_poll(m, clock_ns(), &event, NULL) == 0) {
            if (event.kind == MESH_EVENT_MSG) {
                blob_unref(event.msg.body);
            }
        } else {
            mesh_wait(m, CLOCK_MS);
        }
    }
}

static void child_start(struct child *c, p2p_peer self)
{
    int out[2];
    int in[2];

    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(in), 0);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        child_run(self, out[1], in[0]);
        _exit(1);
    }
    close(out[1]);
    close(in[0]);
    c->out = out[0];
    c->in = in[1];
}

static void child_kill(struct child *c)
{
    int status;

    assert_int_equal(kill(c->pid, SIGKILL), 0);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    close(c->in);
    close(c->out);
}

/* Poll @m until the given event comes, and count messages of peer 2. */
static void
mesh_until(struct mesh *m, enum mesh_event_kind kind, p2p_peer peer, int n)
{
    uint64_t start_ns = clock_ns();
    struct blob *body = blob_create(50000);

    memset(body->data, 2, body->size);
    while (n > 0) {
        struct mesh_event event;
        if (clock_ns() - start_ns > 60 * CLOCK_S) {
            fail_msg("no event %d of peer %u", kind, peer);
        }
        for (p2p_peer to = 1; to < 3; to++) {
            (void)mesh_send(m, to, MESH_USER, 0, body, NULL);
        }
        if (mesh_poll(m, clock_ns(), &event, NULL) != 0) {
            mesh_wait(m, CLOCK_MS);
            continue;
        }
        n -= event.kind == kind && event.peer == peer;
        if (event.kind == MESH_EVENT_MSG) {
            blob_unref(event.msg.body);
        } else {
            assert_true(event.kind == kind || event.kind == MESH_EVENT_UP);
        }
    }
    blob_unref(body);
}

static void test_a_killed_peer_is_lost_and_others_go_on(void **state)
{
    struct child children[3];
    struct address a[3];
    struct p2p_transport *t;
    struct mesh *m;
    uint64_t killed_ns;

    (void)state;
    for (p2p_peer i = 1; i < 3; i++) { /* Before libfabric runs in here. */
        child_start(&children[i], i);
    }
    t = endpoint_open(&a[0]);
    for (p2p_peer i = 1; i < 3; i++) {
        assert_int_equal(read(children[i].out, &a[i], sizeof a[i]),
                         sizeof a[i]);
    }
    for (p2p_peer i = 1; i < 3; i++) {
        assert_int_equal(write(children[i].in, a, sizeof a), sizeof a);
    }
    endpoint_connect(t, SESSION, 0, a, 3);
    m = mesh_over(t, 0);
    mesh_until(m, MESH_EVENT_MSG, 1, 20);
    mesh_until(m, MESH_EVENT_MSG, 2, 20);
    killed_ns = clock_ns();
    child_kill(&children[1]);
    mesh_until(m, MESH_EVENT_LOST, 1, 1);
    assert_true(clock_ns() - killed_ns < 10 * CLOCK_S);
    assert_false(mesh_is_up(m, 1));
    mesh_until(m, MESH_EVENT_MSG, 2, 50);
    child_kill(&children[2]);
    mesh_until(m, MESH_EVENT_LOST, 2, 1);
    mesh_destroy(m);
    t->ops->close(t);
}

/* One end leaves while the other one streams: its goodbye must arrive before
 * the reset of its connection does. */
struct leaver {
    struct mesh *m;
    struct p2p_transport *t;
    pthread_t thread;
};

static void *leaver_run(void *arg)
{
    struct leaver *x = arg;
    uint64_t start_ns = clock_ns();
    struct mesh_event event;
    int n = 0;

    while (n < 50 || mesh_pending(x->m, 0) > 0) {
        if (clock_ns() - start_ns > 60 * CLOCK_S) {
            break;
        }
        if (mesh_poll(x->m, clock_ns(), &event, NULL) != 0) {
            mesh_wait(x->m, CLOCK_MS);
        } else if (event.kind == MESH_EVENT_MSG) {
            blob_unref(event.msg.body);
            n++;
            if (n == 50) {
                mesh_bye(x->m);
            }
        }
    }
    mesh_destroy(x->m);
    x->t->ops->close(x->t);
    return NULL;
}

static void test_a_goodbye_arrives_before_the_connection_ends(void **state)
{
    struct blob *body = blob_create(60000);

    (void)state;
    memset(body->data, 1, body->size);
    for (int i = 0; i < 10; i++) {
        struct mesh_options o = {.n_peers = 2,
                                 .timeout_ns = 30 * CLOCK_S,
                                 .queue_bytes_max = 1 << 22};
        struct suite_net net = {0};
        struct leaver x;
        struct mesh *m;
        bool has_left = false;
        ofi_open(&net, 2);
        assert_int_equal(mesh_create(&m, net.t[0], &o, clock_ns(), NULL), 0);
        o.self = 1;
        x.t = net.t[1];
        assert_int_equal(mesh_create(&x.m, x.t, &o, clock_ns(), NULL), 0);
        assert_int_equal(pthread_create(&x.thread, NULL, leaver_run, &x), 0);
        while (!has_left) {
            struct mesh_event event;
            (void)mesh_send(m, 1, MESH_USER, 0, body, NULL);
            if (mesh_poll(m, clock_ns(), &event, NULL) != 0) {
                mesh_wait(m, CLOCK_MS);
                continue;
            }
            assert_true(event.kind == MESH_EVENT_UP ||
                        event.kind == MESH_EVENT_BYE);
            has_left = event.kind == MESH_EVENT_BYE;
        }
        while (mesh_pending(m, 1) > 0) {
            struct mesh_event event;
            (void)mesh_poll(m, clock_ns(), &event, NULL);
        }
        assert_int_equal(pthread_join(x.thread, NULL), 0);
        mesh_destroy(m);
        net.t[0]->ops->close(net.t[0]);
    }
    blob_unref(body);
}

int main(void)
{
    const struct CMUnitTest first[] = {
        cmocka_unit_test(test_a_killed_peer_is_lost_and_others_go_on),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wake_ends_a_wait_of_another_thread),
        cmocka_unit_test(test_a_message_ends_a_wait),
        cmocka_unit_test(test_messages_of_another_session_are_dropped),
        cmocka_unit_test(test_a_goodbye_arrives_before_the_connection_ends),
        cmocka_unit_test(test_an_endpoint_that_never_connects_can_be_closed),
        cmocka_unit_test(test_wrong_providers_and_addresses_are_explained),
        cmocka_unit_test(test_the_provider_of_choice_is_xnet),
    };
    int failed = cmocka_run_group_tests_name("kill", first, NULL, NULL);

    failed += transport_suite_run(&OFI);
    return failed + cmocka_run_group_tests_name("ofi", tests, NULL, NULL);
}
