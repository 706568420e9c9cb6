/* What the head of a range does with pushes and pulls. */

#include <stdlib.h>
#include <string.h>

#include "ps/node_state.h"

void ps_node_head_reset(struct seat *s)
{
    for (uint32_t i = 0; i < s->n_pool; i++) {
        ps_push_fini(&s->pool[i].push);
    }
    free(s->pool);
    free(s->pulls);
    s->pool = NULL;
    s->pulls = NULL;
    s->n_pool = 0;
    s->n_pulls = 0;
    ps_vclock_fini(&s->pooled);
}

int ps_node_head_begin(struct seat *s)
{
    return ps_vclock_copy(&s->pooled, &s->range.clock);
}

static bool is_aggregated_first(const struct ps_node *n, uint32_t range)
{
    return n->table.params[ps_table_piece(&n->table, range).param]
        .aggregate_first;
}

/* Whether an entry of this task is on its way down. */
static bool is_under_way(const struct seat *s, p2p_peer origin, uint64_t task)
{
    for (uint64_t q = s->acked + 1; q <= s->range.seq; q++) {
        const struct blob *b = s->window[q % WINDOW];
        if (le_u32(b->data + 12) == origin && le_u64(b->data + 16) == task) {
            return true;
        }
    }
    return false;
}

static bool is_before(const struct ps_push *a, const struct ps_push *b)
{
    return a->time < b->time || (a->time == b->time && a->origin < b->origin);
}

/* Add a push to those that wait for the others of their time. */
static void
pool_put(struct ps_node *n, struct seat *s, struct ps_push *p, uint64_t task)
{
    struct waiting_push *more;
    uint32_t at = s->n_pool;
    int rc;

    if (s->n_pool == PS_RANGE_HELD_MAX) {
        return;
    }
    more = realloc(s->pool, (s->n_pool + 1) * sizeof *more);
    if (more == NULL) {
        n->out_of_memory = true;
        return;
    }
    s->pool = more;
    rc = ps_vclock_add(&s->pooled, p->origin, p->from, p->time);
    if (rc != 0) {
        n->out_of_memory = n->out_of_memory || rc == ERR_NOMEM;
        return;
    }
    while (at > 0 && is_before(p, &more[at - 1].push)) {
        at--;
    }
    memmove(&more[at + 1], &more[at], (s->n_pool - at) * sizeof *more);
    more[at] = (struct waiting_push){.push = *p, .task = task};
    s->n_pool++;
    memset(&p->values, 0, sizeof p->values);
}

/* Apply the pushes of all times that are complete, and send down what the range
 * has become. */
static void pool_aggregate(struct ps_node *n, struct seat *s, uint32_t range)
{
    struct ps_msg m = {.entry = PS_ENTRY_AGGREGATE, .origin = n->o.self};
    struct ps_values whole = {.n = s->range.n, .val = s->range.val};
    uint64_t until;
    uint32_t k = 0;

    if (s->n_pool == 0) {
        return;
    }
    until = ps_range_complete(&s->range, &s->pooled);
    while (k < s->n_pool && s->pool[k].push.time < until) {
        k++;
    }
    if (k == 0 || s->range.seq - s->acked >= WINDOW) {
        return;
    }
    buf_reset(&n->out);
    buf_put_u32(&n->out, k);
    for (uint32_t i = 0; i < k; i++) {
        struct waiting_push *w = &s->pool[i];
        ps_range_apply(&s->range, &w->push);
        buf_put_u32(&n->out, w->push.origin);
        buf_put_u64(&n->out, w->task);
        buf_put_u64(&n->out, w->push.from);
        buf_put_u64(&n->out, w->push.time);
        ps_push_fini(&w->push);
    }
    s->n_pool -= k;
    memmove(s->pool, s->pool + k, s->n_pool * sizeof *s->pool);
    ps_values_encode(&whole, false, &n->out);
    m.payload = n->out.data;
    m.payload_size = n->out.size;
    /* The values are what the entry says already, so this can only fail for
     * want of memory: contributions stand in order of time. */
    if (n->out.failed || ps_node_append(n, range, &m) != 0) {
        n->out_of_memory = true;
    }
}

/* A push that is in: its acknowledgement may be lost, or on its way. */
static void on_duplicate(struct ps_node *n,
                         struct seat *s,
                         p2p_peer from,
                         const struct ps_msg *m)
{
    struct ps_msg fence = {
        .entry = PS_ENTRY_FENCE, .origin = from, .task = m->task};

    n->stats.n_duplicates++;
    if (!is_under_way(s, from, m->task)) {
        ps_node_append(n, m->range, &fence);
    }
}

static void append_push(struct ps_node *n,
                        p2p_peer from,
                        const struct ps_msg *m,
                        const struct ps_values *v)
{
    struct ps_msg entry = {.entry = PS_ENTRY_PUSH,
                           .origin = from,
                           .task = m->task,
                           .from = m->from,
                           .time = m->time};

    buf_reset(&n->out);
    ps_values_encode(v, false, &n->out);
    entry.payload = n->out.data;
    entry.payload_size = n->out.size;
    if (n->out.failed) {
        n->out_of_memory = true;
        return;
    }
    /* What has no room now is sent again. */
    (void)ps_node_append(n, m->range, &entry);
}

static bool serves(struct ps_node *n, const struct ps_msg *m)
{
    if (n->seats[m->range].stage != STAGE_SERVE) {
        n->stats.n_stale++;
        return false;
    }
    return true;
}

static int decode_push(struct ps_node *n,
                       struct seat *s,
                       const struct ps_msg *m,
                       struct ps_values *v)
{
    const uint8_t *p = m->payload;

    if (p == NULL) {
        return ERR_CORRUPT;
    }
    return ps_values_decode(v, &p, p + m->payload_size, s->range.n, n->keys,
                            NULL);
}

void ps_node_on_push(struct ps_node *n, p2p_peer from, const struct ps_msg *m)
{
    struct seat *s = &n->seats[m->range];
    struct ps_push push = {.origin = from, .from = m->from, .time = m->time};
    int rc;

    if (!serves(n, m)) {
        return;
    }
    if (ps_vclock_has(&s->range.clock, from, m->time)) {
        on_duplicate(n, s, from, m);
        return;
    }
    rc = decode_push(n, s, m, &push.values);
    if (rc == ERR_NOT_FOUND) {
        n->stats.n_misses++;
        ps_node_send(n, from,
                     &(struct ps_msg){.kind = PS_MSG_MISS,
                                      .range = m->range,
                                      .task = m->task});
    } else if (rc != 0) {
        n->out_of_memory = n->out_of_memory || rc == ERR_NOMEM;
        n->stats.n_dropped++;
    } else if (!is_aggregated_first(n, m->range)) {
        append_push(n, from, m, &push.values);
    } else if (!ps_vclock_has(&s->pooled, from, m->time)) {
        pool_put(n, s, &push, m->task);
    }
    ps_push_fini(&push);
    ps_node_head_go_on(n, m->range);
}

/* Whether all pushes that a pull of @time must see are in. */
static bool
is_fresh(const struct ps_node *n, const struct seat *s, uint64_t time)
{
    const struct ps_consistency *c = &n->o.consistency;

    return c->kind != PS_BOUNDED || time < c->delay ||
           ps_range_complete(&s->range, &s->range.clock) > time - c->delay;
}

/* Answer a pull, or send it down the chain. False: no room there now. */
static bool serve_pull(struct ps_node *n,
                       struct seat *s,
                       p2p_peer from,
                       const struct ps_msg *m)
{
    struct ps_msg read = {.entry = PS_ENTRY_READ,
                          .origin = from,
                          .task = m->task,
                          .from = m->from,
                          .first = m->first,
                          .count = m->count};

    if (n->o.consistency.kind != PS_SEQUENTIAL) {
        ps_node_answer_pull(n, s, m->range, from, m);
        return true;
    }
    return is_under_way(s, from, m->task) ||
           ps_node_append(n, m->range, &read) != ERR_AGAIN;
}

static void wait_pull(struct ps_node *n,
                      struct seat *s,
                      p2p_peer from,
                      const struct ps_msg *m)
{
    struct waiting_pull *more;

    for (uint32_t i = 0; i < s->n_pulls; i++) {
        if (s->pulls[i].peer == from && s->pulls[i].msg.task == m->task) {
            return;
        }
    }
    if (s->n_pulls == WAITS_MAX) {
        return;
    }
    more = realloc(s->pulls, (s->n_pulls + 1) * sizeof *more);
    if (more == NULL) {
        n->out_of_memory = true;
        return;
    }
    s->pulls = more;
    more[s->n_pulls] = (struct waiting_pull){.peer = from, .msg = *m};
    more[s->n_pulls].msg.payload = NULL;
    more[s->n_pulls++].msg.payload_size = 0;
}

void ps_node_on_pull(struct ps_node *n, p2p_peer from, const struct ps_msg *m)
{
    struct seat *s = &n->seats[m->range];

    if (!serves(n, m)) {
        return;
    }
    if (m->first > s->range.n || m->count > s->range.n - m->first) {
        n->stats.n_dropped++;
    } else if (!is_fresh(n, s, m->time) || !serve_pull(n, s, from, m)) {
        wait_pull(n, s, from, m);
    }
}

/* Something is in, or there is room: do what waited for it. */
void ps_node_head_go_on(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];
    uint32_t left = 0;

    if (s->stage != STAGE_SERVE) {
        return;
    }
    pool_aggregate(n, s, range);
    for (uint32_t i = 0; i < s->n_pulls; i++) {
        struct waiting_pull *w = &s->pulls[i];
        if (!is_fresh(n, s, w->msg.time) ||
            !serve_pull(n, s, w->peer, &w->msg)) {
            s->pulls[left++] = *w;
        }
    }
    s->n_pulls = left;
}
