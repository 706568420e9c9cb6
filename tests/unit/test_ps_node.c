/* Unit tests of ps/node.h: what one node refuses. How nodes work together is in
 * tests/sim. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "ps/msg.h"
#include "ps/node.h"
#include "tests/support/test.h"

static const struct ps_param PARAMS[] = {{.n = 10, .range_keys = 4}, {.n = 1}};

static struct ps_node *make(p2p_peer self)
{
    struct ps_node_options o = {.self = self,
                                .params = PARAMS,
                                .n_params = 2,
                                .replicas = 1,
                                .retry_ns = 1000,
                                .log_states = true,
                                .first_time = 3};
    struct ps_node *n;

    assert_int_equal(ps_node_create(&n, &o, NULL), 0);
    return n;
}

static int view(struct ps_node *n, uint32_t number, uint32_t n_members)
{
    struct ps_member members[] = {{.peer = 0}, {.peer = 1}, {.peer = 2}};
    struct ps_view v = {.number = number,
                        .fresh = true,
                        .members = members,
                        .n_members = n_members};

    return ps_node_view(n, 0, &v, NULL);
}

static void drop_actions(struct ps_node *n)
{
    struct ps_action a;

    while (ps_node_next(n, &a)) {
        blob_unref(a.body);
    }
}

static void test_options_that_cannot_be_are_refused(void **state)
{
    struct ps_node_options good = {.params = PARAMS,
                                   .n_params = 2,
                                   .retry_ns = 1},
                           bad[3];
    struct ps_node *n;
    struct err e;

    (void)state;
    for (int i = 0; i < 3; i++) {
        bad[i] = good;
    }
    bad[0].replicas = PS_REPLICAS_MAX + 1;
    bad[1].retry_ns = 0;
    bad[2].n_params = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ps_node_create(&n, &bad[i], &e), ERR_INVALID);
    }
}

static void test_members_out_of_order_are_refused(void **state)
{
    struct ps_member members[] = {{.peer = 1}, {.peer = 1}};
    struct ps_view v = {.number = 1, .members = members, .n_members = 2};
    struct ps_node *n = make(0);

    (void)state;
    assert_int_equal(ps_node_view(n, 0, &v, NULL), ERR_INVALID);
    members[1].peer = P2P_PEERS_MAX;
    assert_int_equal(ps_node_view(n, 0, &v, NULL), ERR_INVALID);
    ps_node_destroy(n);
}

static int try_push(struct ps_node *n, struct ps_task t, const char **said)
{
    static struct err e;
    uint64_t id;
    int rc = ps_node_push(n, 0, &t, &id, &e);

    *said = e.msg;
    drop_actions(n);
    return rc;
}

static void test_pushes_that_cannot_be_are_refused_with_the_reason(void **state)
{
    float val[] = {1, NAN};
    uint32_t index[] = {3, 3};
    uint64_t after[] = {7};
    struct ps_values row = {.first = 9, .n = 1, .val = val},
                     outside = {.first = 9, .n = 2, .val = val},
                     nan = {.first = 0, .n = 2, .val = val},
                     twice = {.n = 2, .index = index, .val = val};
    struct ps_node *n = make(0);
    const char *said;

    (void)state;
    assert_int_equal(view(n, 1, 1), 0);
    assert_int_equal(
        try_push(n, (struct ps_task){.param = 2, .values = &row}, &said),
        ERR_INVALID);
    assert_string_equal(said, "parameter 2, there are 2");
    assert_int_equal(
        try_push(n, (struct ps_task){.time = 2, .values = &row}, &said),
        ERR_INVALID);
    assert_string_equal(said, "push of time 2, must be from 3");
    assert_int_equal(
        try_push(n, (struct ps_task){.time = 3, .values = &outside}, &said),
        ERR_INVALID);
    assert_int_equal(
        try_push(n, (struct ps_task){.time = 3, .values = &twice}, &said),
        ERR_INVALID);
    assert_int_equal(
        try_push(n, (struct ps_task){.time = 3, .values = &nan}, &said),
        ERR_NOT_FINITE);
    assert_int_equal(
        try_push(n,
                 (struct ps_task){
                     .time = 3, .values = &row, .after = after, .n_after = 1},
                 &said),
        ERR_INVALID);
    assert_string_equal(said, "after task 7, which is not");
    assert_int_equal(
        try_push(n, (struct ps_task){.time = 3, .values = &row}, &said), 0);
    assert_int_equal(
        try_push(n, (struct ps_task){.time = 3, .values = &row}, &said),
        ERR_INVALID);
    assert_string_equal(said, "push of time 3, must be from 4");
    ps_node_destroy(n);
}

static void test_pulls_outside_the_vector_are_refused(void **state)
{
    struct ps_task bad[] = {{.count = 0},
                            {.first = 10, .count = 1},
                            {.first = 1, .count = 10},
                            {.first = 9, .count = UINT32_MAX},
                            {.param = 9, .count = 1}};
    struct ps_node *n = make(0);
    uint64_t id;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ps_node_pull(n, 0, &bad[i], &id, NULL), ERR_INVALID);
    }
    ps_node_destroy(n);
}

static void test_tasks_under_way_are_bounded(void **state)
{
    struct ps_node *n = make(0);
    float out[10];
    struct ps_task t = {.count = 10, .out = out};
    uint64_t id;

    (void)state;
    for (int i = 0; i < PS_TASKS_MAX; i++) {
        assert_int_equal(ps_node_pull(n, 0, &t, &id, NULL), 0);
    }
    assert_int_equal(ps_node_pull(n, 0, &t, &id, NULL), ERR_FULL);
    ps_node_destroy(n);
}

/* A node in the middle of two others, fed with anything. */
static void test_no_message_does_harm(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct ps_node *n = make(1);
        uint64_t stream = rng_stream(RNG_TEST, seed, 5);
        assert_int_equal(view(n, 1, 3), 0);
        for (uint64_t i = 0; i < 2000; i += 20) {
            uint64_t x = rng_u64(seed, stream, i);
            uint8_t payload[60];
            struct ps_msg m = {.kind = 1 + x % (PS_MSG_KINDS - 1),
                               .view = 1,
                               .range = x >> 8 & 3,
                               .origin = x >> 10 & 3,
                               .task = x >> 12 & 3,
                               .seq = x >> 14 & 3,
                               .from = x >> 16 & 1,
                               .time = x >> 17 & 3,
                               .first = x >> 20 & 7,
                               .count = x >> 23 & 7,
                               .code = -(int)(x >> 26 & 1),
                               .payload = payload,
                               .payload_size = x >> 32 & 63};
            struct blob *b;
            if (m.kind == PS_MSG_ENTRY) {
                m.entry = 1 + (x >> 40 & 3);
            }
            if (m.payload_size > 60) {
                m.payload = NULL;
                m.payload_size = 0;
            }
            for (size_t k = 0; k < sizeof payload; k++) {
                payload[k] = (uint8_t)(rng_u64(seed, stream, i + 1 + k / 8) >>
                                       (k % 8 * 8)) &
                             (uint8_t)(k % 3 == 0 ? 3 : 255);
            }
            b = ps_msg_encode(&m, false);
            assert_int_equal(ps_node_receive(n, i, (p2p_peer)(x >> 60 & 2),
                                             b->data, b->size),
                             0);
            assert_int_equal(ps_node_tick(n, i), 0);
            blob_unref(b);
            drop_actions(n);
        }
        ps_node_destroy(n);
    }
}

static void test_a_log_out_of_order_is_refused(void **state)
{
    struct ps_msg m = {.kind = PS_MSG_ENTRY,
                       .entry = PS_ENTRY_PUSH,
                       .view = 1,
                       .seq = 1,
                       .payload = (const uint8_t *)"\0\0\0",
                       .payload_size = 3};
    struct blob *b = ps_msg_encode(&m, false);
    struct ps_node *n = make(0);
    struct err e;

    (void)state;
    assert_int_equal(ps_node_restore(n, b->data, b->size, &e), ERR_CORRUPT);
    assert_string_equal(e.msg, "restore: range 0: entry 1 of view 1 is out of "
                               "place");
    assert_int_equal(ps_node_restore(n, b->data, 7, &e), ERR_CORRUPT);
    blob_unref(b);
    ps_node_destroy(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_that_cannot_be_are_refused),
        cmocka_unit_test(test_members_out_of_order_are_refused),
        cmocka_unit_test(
            test_pushes_that_cannot_be_are_refused_with_the_reason),
        cmocka_unit_test(test_pulls_outside_the_vector_are_refused),
        cmocka_unit_test(test_tasks_under_way_are_bounded),
        cmocka_unit_test(test_no_message_does_harm),
        cmocka_unit_test(test_a_log_out_of_order_is_refused),
    };
    return cmocka_run_group_tests_name("ps_node", tests, NULL, NULL);
}
