/* Messages and states of a parameter server, of any content: decoded without
 * harm, and what comes out is sound; a node that gets them goes on. */

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ps/msg.h"
#include "ps/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEYS 9

static const struct ps_param PARAMS[] = {
    {.n = KEYS, .range_keys = 4},
    {.n = KEYS, .range_keys = 4, .order = PS_ORDER_RANK},
    {.n = KEYS,
     .range_keys = 4,
     .order = PS_ORDER_RANK,
     .aggregate_first = true}};

static void check_values(const struct ps_values *v, uint32_t length)
{
    for (uint32_t i = 0; i < v->n; i++) {
        assert(isfinite(v->val[i]));
        assert(ps_values_key(v, i) < length);
        assert(i == 0 || ps_values_key(v, i) > ps_values_key(v, i - 1));
    }
}

static void fuzz_values(const uint8_t *data, size_t size)
{
    struct ps_keys *keys = calloc(1, sizeof *keys);
    const uint8_t *p = data, *end = data + size;
    struct ps_values v;

    while (keys != NULL &&
           ps_values_decode(&v, &p, end, 100, keys, NULL) == 0) {
        check_values(&v, 100);
        ps_values_fini(&v);
    }
    ps_keys_fini(keys);
    free(keys);
}

/* A state that is accepted is accepted again as it is encoded. */
static void fuzz_range(const uint8_t *data, size_t size)
{
    const struct ps_update add = {.apply = ps_update_add};
    struct ps_range r;
    struct buf b;

    if (ps_range_init(&r, 0, KEYS, PS_ORDER_RANK, &add, NULL) != 0) {
        return;
    }
    buf_init(&b);
    if (ps_range_decode(&r, data, size, NULL) == 0) {
        for (uint32_t i = 0; i < r.n_held; i++) {
            check_values(&r.held[i].values, KEYS);
        }
        ps_range_encode(&r, &b);
        assert(ps_range_decode(&r, b.data, b.size, NULL) == 0);
    }
    buf_fini(&b);
    ps_range_fini(&r);
}

static void drop_actions(struct ps_node *n)
{
    struct ps_action a;

    while (ps_node_next(n, &a)) {
        blob_unref(a.body);
    }
}

/* Rows of messages: three bytes say from whom and how many follow. Kind and
 * view are put right now and then, so that what is behind them is reached. */
static void fuzz_node(const uint8_t *data, size_t size)
{
    struct ps_node_options o = {.self = 1,
                                .params = PARAMS,
                                .n_params = 3,
                                .replicas = 1,
                                .retry_ns = 10,
                                .log_states = true,
                                .send_known = true};
    const struct ps_member members[] = {{.peer = 0}, {.peer = 1}, {.peer = 2}};
    struct ps_view view = {
        .number = 1, .fresh = true, .members = members, .n_members = 3};
    struct ps_node *n;
    uint64_t now = 0;

    if (ps_node_create(&n, &o, NULL) != 0 ||
        ps_node_view(n, 0, &view, NULL) != 0) {
        return;
    }
    while (size >= 3) {
        uint8_t bytes[256];
        size_t m = data[1] < size - 3 ? data[1] : size - 3;
        memcpy(bytes, data + 3, m);
        if (m >= PS_MSG_HEADER_SIZE && data[2] < 250) {
            bytes[0] = (uint8_t)(1 + data[2] % (PS_MSG_KINDS - 1));
            bytes[1] = 0;
            bytes[2] =
                bytes[0] == PS_MSG_ENTRY ? (uint8_t)(1 + bytes[2] % 4) : 0;
            bytes[3] = 0;
            le_put_u32(bytes + 4, 1);
            le_put_u32(bytes + 8, bytes[8] % 9);
            le_put_u32(bytes + 12, bytes[12] % 3);
            le_put_u32(bytes + 60, (uint32_t)m - PS_MSG_HEADER_SIZE);
        }
        assert(ps_node_receive(n, now, data[0] % 3, bytes, m) == 0);
        assert(ps_node_tick(n, now++) == 0);
        drop_actions(n);
        data += 3 + m;
        size -= 3 + m;
    }
    ps_node_destroy(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (data[0] % 3 == 0) {
        fuzz_values(data + 1, size - 1);
    } else if (data[0] % 3 == 1) {
        fuzz_range(data + 1, size - 1);
    } else {
        fuzz_node(data + 1, size - 1);
    }
    return 0;
}
