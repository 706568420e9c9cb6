#include "tests/support/servers.h"

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "ps/ring.h"
#include "tests/support/test.h"

#define MSG_TYPE 64

void servers_set_up(struct servers *c, const struct servers_options *o)
{
    memset(c, 0, sizeof *c);
    c->o = *o;
    c->n = o->net.n_peers;
    assert_true(c->n <= SERVERS_MAX);
    c->net = p2p_sim_create(&o->net);
    assert_non_null(c->net);
}

void servers_tear_down(struct servers *c)
{
    for (p2p_peer p = 0; p < c->n; p++) {
        ps_node_destroy(c->nodes[p].node);
        for (size_t i = 0; i < c->nodes[p].n_log; i++) {
            blob_unref(c->nodes[p].log[i]);
        }
        free(c->nodes[p].log);
    }
    p2p_sim_destroy(c->net);
}

uint64_t servers_now(const struct servers *c)
{
    return p2p_sim_now_ns(c->net);
}

void servers_start(struct servers *c, p2p_peer p, uint64_t first_time)
{
    struct ps_node_options o = c->o.node;

    assert_null(c->nodes[p].node);
    o.self = p;
    o.first_time = first_time;
    assert_int_equal(ps_node_create(&c->nodes[p].node, &o, NULL), 0);
    c->nodes[p].n_views = c->n_views;
}

void servers_restore(struct servers *c, p2p_peer p)
{
    struct servers_node *s = &c->nodes[p];

    for (size_t i = 0; i < s->n_log; i++) {
        assert_int_equal(
            ps_node_restore(s->node, s->log[i]->data, s->log[i]->size, NULL),
            0);
    }
}

void servers_kill(struct servers *c, p2p_peer p)
{
    ps_node_destroy(c->nodes[p].node);
    c->nodes[p].node = NULL;
}

void servers_view(struct servers *c, bool fresh)
{
    uint32_t v = c->n_views++, n = 0;

    assert_true(v < SERVERS_VIEWS_MAX);
    for (p2p_peer p = 0; p < c->n; p++) {
        if (c->nodes[p].in) {
            c->views[v].members[n++] =
                (struct ps_member){.peer = p,
                                   .since = c->nodes[p].since,
                                   .leaving = c->nodes[p].leaving};
        }
    }
    c->views[v].n_members = n;
    c->views[v].fresh = fresh;
    c->views[v].at_ns = servers_now(c);
}

/* When @p hears of view @v. */
static uint64_t heard_ns(const struct servers *c, p2p_peer p, uint32_t v)
{
    return c->views[v].at_ns + rng_below(c->o.net.seed,
                                         rng_stream(RNG_TEST, 1234, p), v,
                                         c->o.view_delay_ns + 1);
}

static void keep(struct servers_node *s, struct blob *b)
{
    if (s->n_log == s->log_room) {
        s->log_room = s->log_room == 0 ? 64 : 2 * s->log_room;
        s->log = realloc(s->log, s->log_room * sizeof *s->log);
        assert_non_null(s->log);
    }
    s->log[s->n_log++] = b;
}

static void send_body(struct servers *c, p2p_peer p, struct ps_action *a)
{
    struct p2p_msg msg = {.peer = a->peer, .type = MSG_TYPE, .body = a->body};

    if (p2p_send(p2p_sim_endpoint(c->net, p), &msg, NULL) != 0) {
        blob_unref(a->body);
    }
}

void servers_act(struct servers *c, p2p_peer p)
{
    struct ps_action a;

    while (c->nodes[p].node != NULL && ps_node_next(c->nodes[p].node, &a)) {
        switch (a.kind) {
        case PS_ACTION_SEND:
            send_body(c, p, &a);
            break;
        case PS_ACTION_LOG:
            keep(&c->nodes[p], a.body);
            break;
        case PS_ACTION_LOST:
            c->n_lost++;
            break;
        case PS_ACTION_DONE:
            c->nodes[p].n_done++;
            if (c->o.done != NULL) {
                c->o.done(c, p, a.task);
            }
            break;
        }
    }
}

/* Views that are heard of by now; of several, only the last. */
static void hear(struct servers *c, p2p_peer p)
{
    struct servers_node *s = &c->nodes[p];
    uint32_t last = s->n_views;

    for (uint32_t v = s->n_views; v < c->n_views; v++) {
        if (heard_ns(c, p, v) <= servers_now(c)) {
            last = v + 1;
        }
    }
    if (last > s->n_views) {
        struct ps_view view = {.number = last,
                               .fresh = c->views[last - 1].fresh,
                               .members = c->views[last - 1].members,
                               .n_members = c->views[last - 1].n_members};
        s->n_views = last;
        assert_int_equal(ps_node_view(s->node, servers_now(c), &view, NULL), 0);
        servers_act(c, p);
    }
}

static uint64_t next_ns(const struct servers *c, uint64_t until_ns)
{
    for (p2p_peer p = 0; p < c->n; p++) {
        const struct servers_node *s = &c->nodes[p];
        if (s->node == NULL) {
            continue;
        }
        if (ps_node_due_ns(s->node) < until_ns) {
            until_ns = ps_node_due_ns(s->node);
        }
        for (uint32_t v = s->n_views; v < c->n_views; v++) {
            if (heard_ns(c, p, v) < until_ns) {
                until_ns = heard_ns(c, p, v);
            }
        }
    }
    return until_ns;
}

static void deliver(struct servers *c, p2p_peer to)
{
    struct p2p_msg msg;

    while (p2p_poll(p2p_sim_endpoint(c->net, to), &msg, NULL) == 0) {
        struct servers_node *s = &c->nodes[to];
        if (s->node != NULL) {
            assert_int_equal(ps_node_receive(s->node, servers_now(c), msg.peer,
                                             msg.body->data, msg.body->size),
                             0);
            servers_act(c, to);
        }
        blob_unref(msg.body);
    }
}

static void tick_all(struct servers *c)
{
    for (p2p_peer p = 0; p < c->n; p++) {
        struct servers_node *s = &c->nodes[p];
        if (s->node == NULL) {
            continue;
        }
        hear(c, p);
        if (ps_node_due_ns(s->node) <= servers_now(c)) {
            assert_int_equal(ps_node_tick(s->node, servers_now(c)), 0);
            servers_act(c, p);
        }
    }
}

void servers_run(struct servers *c, uint64_t until_ns)
{
    while (servers_now(c) < until_ns) {
        uint64_t next = until_ns;
        p2p_peer to;
        tick_all(c);
        if (c->o.turn != NULL) {
            uint64_t again = c->o.turn(c);
            next = again < next ? again : next;
        }
        if (p2p_sim_step(c->net, next_ns(c, next), &to)) {
            deliver(c, to);
        }
    }
}

bool servers_settled(const struct servers *c)
{
    for (p2p_peer p = 0; p < c->n; p++) {
        const struct servers_node *s = &c->nodes[p];
        if (s->in && (s->node == NULL || s->n_views < c->n_views ||
                      !ps_node_settled(s->node))) {
            return false;
        }
    }
    return true;
}

bool servers_settle(struct servers *c, uint64_t until_ns)
{
    while (!servers_settled(c) && servers_now(c) < until_ns) {
        servers_run(c, servers_now(c) + CLOCK_MS);
    }
    return servers_settled(c);
}

uint32_t servers_chain(const struct servers *c,
                       uint32_t range,
                       p2p_peer chain[SERVERS_MAX])
{
    p2p_peer keepers[SERVERS_MAX];
    uint32_t n = 0;
    struct ps_table t;
    struct ps_ring ring;

    for (uint32_t i = 0; i < c->views[c->n_views - 1].n_members; i++) {
        if (!c->views[c->n_views - 1].members[i].leaving) {
            keepers[n++] = c->views[c->n_views - 1].members[i].peer;
        }
    }
    assert_int_equal(
        ps_table_init(&t, c->o.node.params, c->o.node.n_params, NULL), 0);
    assert_int_equal(ps_ring_init(&ring, c->o.node.seed, keepers, n, NULL), 0);
    n = ps_ring_chain(&ring, ps_table_ring_key(&t, range),
                      c->o.node.replicas + 1, chain);
    ps_ring_fini(&ring);
    ps_table_fini(&t);
    return n;
}

uint64_t servers_push(struct servers *c,
                      p2p_peer p,
                      uint32_t param,
                      uint64_t time,
                      const float *val,
                      uint32_t n)
{
    struct ps_values v;
    struct ps_task t = {.param = param, .time = time, .values = &v};
    uint64_t id;

    assert_int_equal(ps_values_init(&v, 0, n, val), 0);
    assert_int_equal(
        ps_node_push(c->nodes[p].node, servers_now(c), &t, &id, NULL), 0);
    ps_values_fini(&v);
    servers_act(c, p);
    return id;
}

uint64_t servers_pull(struct servers *c,
                      p2p_peer p,
                      uint32_t param,
                      uint64_t time,
                      float *out,
                      uint32_t n)
{
    struct ps_task t = {.param = param, .time = time, .count = n, .out = out};
    uint64_t id;

    assert_int_equal(
        ps_node_pull(c->nodes[p].node, servers_now(c), &t, &id, NULL), 0);
    servers_act(c, p);
    return id;
}

bool servers_agree(const struct servers *c)
{
    const struct ps_table *t = NULL;
    bool same = true;

    for (p2p_peer p = 0; p < c->n && t == NULL; p++) {
        t = c->nodes[p].node == NULL ? NULL : ps_node_table(c->nodes[p].node);
    }
    for (uint32_t r = 0; t != NULL && same && r < t->n_ranges; r++) {
        p2p_peer chain[SERVERS_MAX];
        uint32_t n = servers_chain(c, r, chain);
        struct buf first, other;
        buf_init(&first);
        buf_init(&other);
        for (uint32_t i = 0; i < n && same; i++) {
            const struct ps_node *node = c->nodes[chain[i]].node;
            const struct ps_range *copy =
                node == NULL ? NULL : ps_node_copy(node, r);
            struct buf *b = i == 0 ? &first : &other;
            buf_reset(b);
            if (copy != NULL) {
                ps_range_encode(copy, b);
            }
            same = copy != NULL && first.size == b->size &&
                   memcmp(first.data, b->data, b->size) == 0;
        }
        buf_fini(&first);
        buf_fini(&other);
    }
    return same;
}
