/* Unit tests of p2p/sim.h and p2p/fault.h: the transport suite on both, and
 * what only a simulated network does. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "p2p/fault.h"
#include "p2p/sim.h"
#include "p2p/wire.h"
#include "tests/support/test.h"
#include "tests/support/transport_suite.h"

static void sim_open(struct suite_net *net, uint32_t n_peers)
{
    struct p2p_sim_options o = {.seed = 7,
                                .n_peers = n_peers,
                                .delay_ns_min = CLOCK_MS,
                                .delay_ns_max = 9 * CLOCK_MS,
                                .bytes_per_s = 100000000};
    struct p2p_sim *sim = p2p_sim_create(&o);

    assert_non_null(sim);
    net->n_peers = n_peers;
    net->arg = sim;
    for (p2p_peer i = 0; i < n_peers; i++) {
        net->t[i] = p2p_sim_endpoint(sim, i);
    }
}

static void sim_close(struct suite_net *net)
{
    p2p_sim_destroy(net->arg);
}

static bool sim_step(struct suite_net *net)
{
    p2p_peer to;

    return p2p_sim_step(net->arg, p2p_sim_now_ns(net->arg) + CLOCK_MS, &to);
}

static const struct suite_kind SIM = {.name = "transport suite on sim",
                                      .open = sim_open,
                                      .close = sim_close,
                                      .step = sim_step,
                                      .is_bounded = true};

struct fault_net {
    struct suite_net inner;
    struct p2p_fault faults[SUITE_PEERS_MAX];
};

static void fault_open(struct suite_net *net, uint32_t n_peers)
{
    struct fault_net *f = calloc(1, sizeof *f);

    assert_non_null(f);
    sim_open(&f->inner, n_peers);
    net->n_peers = n_peers;
    net->arg = f;
    for (p2p_peer i = 0; i < n_peers; i++) {
        p2p_fault_init(&f->faults[i], f->inner.t[i]);
        net->t[i] = &f->faults[i].base;
        /* All callers must live with "try again" at any time. */
        f->faults[i].fail_at = 2 + i;
        f->faults[i].fail_for = 5;
        f->faults[i].code = ERR_AGAIN;
    }
}

static void fault_close(struct suite_net *net)
{
    struct fault_net *f = net->arg;

    sim_close(&f->inner);
    free(f);
}

static bool fault_step(struct suite_net *net)
{
    struct fault_net *f = net->arg;

    return sim_step(&f->inner);
}

static const struct suite_kind FAULT = {.name = "transport suite on fault(sim)",
                                        .open = fault_open,
                                        .close = fault_close,
                                        .step = fault_step,
                                        .is_bounded = true};

static void send_number(struct p2p_sim *sim, p2p_peer to, uint64_t ack)
{
    struct p2p_msg msg = {.peer = to, .type = 16, .ack = ack};

    assert_int_equal(p2p_send(p2p_sim_endpoint(sim, 0), &msg, NULL), 0);
}

/* What comes to peer 1 within a virtual second: ack and time, as text. */
static void story(struct p2p_sim *sim, char *text, size_t room)
{
    uint64_t until_ns = p2p_sim_now_ns(sim) + CLOCK_S;
    p2p_peer to;

    text[0] = '\0';
    while (p2p_sim_step(sim, until_ns, &to)) {
        struct p2p_msg msg;
        size_t used = strlen(text);
        assert_int_equal(p2p_poll(p2p_sim_endpoint(sim, to), &msg, NULL), 0);
        snprintf(text + used, room - used, "%llu@%llu ",
                 (unsigned long long)msg.ack,
                 (unsigned long long)(p2p_sim_now_ns(sim) / CLOCK_MS));
    }
}

static void test_delivery_is_a_function_of_the_seed(void **state)
{
    struct p2p_sim_options o = {.seed = 3,
                                .n_peers = 2,
                                .delay_ns_min = CLOCK_MS,
                                .delay_ns_max = 50 * CLOCK_MS,
                                .loss_permille = 300};
    char stories[3][1024];

    (void)state;
    for (int run = 0; run < 3; run++) {
        struct p2p_sim *sim;
        o.seed = run == 2 ? 4 : 3;
        sim = p2p_sim_create(&o);
        for (uint64_t i = 0; i < 50; i++) {
            send_number(sim, 1, i);
        }
        story(sim, stories[run], sizeof stories[run]);
        p2p_sim_destroy(sim);
    }
    assert_string_equal(stories[0], stories[1]);
    assert_string_not_equal(stories[0], stories[2]);
}

static void test_equal_times_keep_the_order_of_sending(void **state)
{
    struct p2p_sim_options o = {.n_peers = 2,
                                .delay_ns_min = 5 * CLOCK_MS,
                                .delay_ns_max = 5 * CLOCK_MS};
    struct p2p_sim *sim = p2p_sim_create(&o);
    char text[256];

    (void)state;
    for (uint64_t i = 0; i < 6; i++) {
        send_number(sim, 1, i);
    }
    story(sim, text, sizeof text);
    assert_string_equal(text, "0@5 1@5 2@5 3@5 4@5 5@5 ");
    p2p_sim_destroy(sim);
}

static void test_a_cut_loses_what_is_on_its_way(void **state)
{
    struct p2p_sim_options o = {.n_peers = 2,
                                .delay_ns_min = 5 * CLOCK_MS,
                                .delay_ns_max = 5 * CLOCK_MS};
    struct p2p_sim *sim = p2p_sim_create(&o);
    char text[256];

    (void)state;
    send_number(sim, 1, 1);
    p2p_sim_cut(sim, 0, 1);
    send_number(sim, 1, 2);
    p2p_sim_mend(sim, 0, 1);
    send_number(sim, 1, 3);
    story(sim, text, sizeof text);
    assert_string_equal(text, "3@5 ");
    p2p_sim_cut(sim, 1, 0); /* The other way: not this one. */
    send_number(sim, 1, 4);
    story(sim, text, sizeof text);
    assert_string_equal(text, "4@1005 ");
    p2p_sim_destroy(sim);
}

static void test_a_limited_link_takes_its_time(void **state)
{
    struct p2p_sim_options o = {.n_peers = 2, .bytes_per_s = 1000000};
    struct p2p_sim *sim = p2p_sim_create(&o);
    struct p2p_transport *t = p2p_sim_endpoint(sim, 0);
    char text[256];

    (void)state;
    for (uint64_t i = 0; i < 2; i++) {
        struct p2p_msg msg = {.peer = 1, .type = 16, .ack = i};
        msg.body = blob_create(10000 - WIRE_HEADER_SIZE);
        memset(msg.body->data, 0, msg.body->size);
        assert_int_equal(p2p_send(t, &msg, NULL), 0);
    }
    assert_int_equal(t->ops->pending(t, 1), 2);
    p2p_sim_loss(sim, 0);
    {
        uint64_t until_ns = 15 * CLOCK_MS;
        struct p2p_msg msg;
        p2p_peer to;
        assert_true(p2p_sim_step(sim, until_ns, &to));
        assert_int_equal(p2p_sim_now_ns(sim), 10 * CLOCK_MS);
        assert_false(p2p_sim_step(sim, until_ns, &to));
        assert_int_equal(t->ops->pending(t, 1), 1);
        assert_int_equal(p2p_poll(p2p_sim_endpoint(sim, 1), &msg, NULL), 0);
        blob_unref(msg.body);
    }
    {
        struct p2p_msg msg;
        p2p_peer to;
        assert_true(p2p_sim_step(sim, CLOCK_S, &to));
        assert_int_equal(p2p_sim_now_ns(sim), 20 * CLOCK_MS);
        assert_int_equal(t->ops->pending(t, 1), 0);
        assert_int_equal(p2p_poll(p2p_sim_endpoint(sim, 1), &msg, NULL), 0);
        blob_unref(msg.body);
    }
    story(sim, text, sizeof text);
    assert_string_equal(text, "");
    p2p_sim_destroy(sim);
}

/* Peers 1 and 2 send 10 ms worth of bytes to peer 0 at once. */
static void times_of_two(bool limit_in, uint64_t first_ms, uint64_t second_ms)
{
    struct p2p_sim_options o = {.n_peers = 3,
                                .bytes_per_s = 1000000,
                                .delay_ns_min = CLOCK_MS,
                                .delay_ns_max = CLOCK_MS,
                                .limit_in = limit_in};
    struct p2p_sim *sim = p2p_sim_create(&o);
    p2p_peer to;

    for (p2p_peer p = 1; p < 3; p++) {
        struct p2p_msg msg = {.peer = 0, .type = 16};
        msg.body = blob_create(10000 - WIRE_HEADER_SIZE);
        memset(msg.body->data, 0, msg.body->size);
        assert_int_equal(p2p_send(p2p_sim_endpoint(sim, p), &msg, NULL), 0);
    }
    assert_true(p2p_sim_step(sim, CLOCK_S, &to));
    assert_int_equal(p2p_sim_now_ns(sim), first_ms * CLOCK_MS);
    assert_true(p2p_sim_step(sim, CLOCK_S, &to));
    assert_int_equal(p2p_sim_now_ns(sim), second_ms * CLOCK_MS);
    assert_false(p2p_sim_step(sim, CLOCK_S, &to));
    p2p_sim_destroy(sim);
}

static void test_messages_share_the_link_of_their_receiver(void **state)
{
    (void)state;
    times_of_two(false, 11, 11);
    times_of_two(true, 11, 21);
}

static void test_loss_can_be_turned_on_and_off(void **state)
{
    struct p2p_sim_options o = {.n_peers = 2};
    struct p2p_sim *sim = p2p_sim_create(&o);
    char text[64];

    (void)state;
    p2p_sim_loss(sim, 1000);
    send_number(sim, 1, 1);
    p2p_sim_loss(sim, 0);
    send_number(sim, 1, 2);
    story(sim, text, sizeof text);
    assert_string_equal(text, "2@0 ");
    p2p_sim_destroy(sim);
}

static void test_faults_come_when_asked_for(void **state)
{
    struct p2p_sim_options o = {.n_peers = 2};
    struct p2p_sim *sim = p2p_sim_create(&o);
    struct p2p_msg msg = {.peer = 1, .type = 16};
    struct p2p_fault f;
    struct err e;

    (void)state;
    p2p_fault_init(&f, p2p_sim_endpoint(sim, 0));
    f.fail_at = 2;
    f.fail_for = 2;
    f.code = ERR_IO;
    assert_int_equal(p2p_send(&f.base, &msg, &e), 0);
    assert_int_equal(p2p_send(&f.base, &msg, &e), ERR_IO);
    assert_string_equal(e.msg, "call 2: failure on demand");
    assert_int_equal(p2p_poll(&f.base, &msg, &e), ERR_IO);
    assert_int_equal(p2p_poll(&f.base, &msg, &e), ERR_AGAIN);
    assert_int_equal(f.n_calls, 4);
    p2p_sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery_is_a_function_of_the_seed),
        cmocka_unit_test(test_equal_times_keep_the_order_of_sending),
        cmocka_unit_test(test_a_cut_loses_what_is_on_its_way),
        cmocka_unit_test(test_a_limited_link_takes_its_time),
        cmocka_unit_test(test_messages_share_the_link_of_their_receiver),
        cmocka_unit_test(test_loss_can_be_turned_on_and_off),
        cmocka_unit_test(test_faults_come_when_asked_for),
    };
    int failed = transport_suite_run(&SIM) + transport_suite_run(&FAULT);

    return failed + cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
