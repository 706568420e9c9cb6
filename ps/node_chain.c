/* Entries on their way down the chain of a range. Whoever is in the chain keeps
 * what the tail may lack, and sends it again when nothing is heard. */

#include <stdlib.h>
#include <string.h>

#include "ps/node_state.h"

#define CONTRIBUTION_SIZE 28 /* Bytes: origin, task, from, time. */

void ps_node_chain_reset(struct seat *s)
{
    for (size_t i = 0; s->window != NULL && i < WINDOW; i++) {
        blob_unref(s->window[i]);
        s->window[i] = NULL;
    }
    s->acked = s->holds ? s->range.seq : 0;
}

static bool has_window(struct ps_node *n, struct seat *s)
{
    if (s->window == NULL) {
        s->window = calloc(WINDOW, sizeof(struct blob *));
        n->out_of_memory = n->out_of_memory || s->window == NULL;
    }
    return s->window != NULL;
}

static bool is_tail(const struct seat *s)
{
    return s->place + 1 == s->n_chain;
}

static int apply_push(struct ps_node *n, struct seat *s, const struct ps_msg *m)
{
    struct ps_push push = {
        .origin = m->origin, .from = m->from, .time = m->time};
    const uint8_t *p = m->payload;
    int rc;

    if (p == NULL || ps_vclock_has(&s->range.clock, m->origin, m->time)) {
        return ERR_CORRUPT;
    }
    rc = ps_values_decode(&push.values, &p, p + m->payload_size, s->range.n,
                          NULL, NULL);
    if (rc == 0) {
        rc = ps_range_push(&s->range, &push);
        ps_push_fini(&push);
    }
    n->out_of_memory = n->out_of_memory || rc == ERR_NOMEM;
    return rc;
}

static int apply_contribution(struct seat *s, const uint8_t *p)
{
    p2p_peer origin = le_u32(p);
    uint64_t from = le_u64(p + 12), time = le_u64(p + 20);

    if (origin >= P2P_PEERS_MAX || from > time || time == UINT64_MAX) {
        return ERR_CORRUPT;
    }
    return ps_vclock_add(&s->range.clock, origin, from, time);
}

/* The range has become what the entry says. */
static int
apply_aggregate(struct ps_node *n, struct seat *s, const struct ps_msg *m)
{
    const uint8_t *p = m->payload, *end = p + m->payload_size;
    uint32_t n_pushes = m->payload_size < 4 ? 0 : le_u32(p);
    struct ps_values v;
    int rc;

    if (n_pushes == 0 || n_pushes > (m->payload_size - 4) / CONTRIBUTION_SIZE) {
        return ERR_CORRUPT;
    }
    p += 4 + (size_t)n_pushes * CONTRIBUTION_SIZE;
    rc = ps_values_decode(&v, &p, end, s->range.n, NULL, NULL);
    if (rc != 0) {
        n->out_of_memory = n->out_of_memory || rc == ERR_NOMEM;
        return rc;
    }
    if (v.index != NULL || v.n != s->range.n) {
        ps_values_fini(&v);
        return ERR_CORRUPT;
    }
    memcpy(s->range.val, v.val, v.n * sizeof *v.val);
    ps_values_fini(&v);
    for (uint32_t i = 0; i < n_pushes && rc == 0; i++) {
        rc = apply_contribution(s, m->payload + 4 + i * CONTRIBUTION_SIZE);
    }
    n->out_of_memory = n->out_of_memory || rc == ERR_NOMEM;
    return rc;
}

/* Make the copy what it is behind entry m->seq, the next one. Errors: it could
 * not be; the copy is as it was. */
int ps_node_apply_entry(struct ps_node *n,
                        struct seat *s,
                        const struct ps_msg *m)
{
    int rc = 0;

    if (m->entry == PS_ENTRY_PUSH) {
        rc = apply_push(n, s, m);
    } else if (m->entry == PS_ENTRY_AGGREGATE) {
        rc = apply_aggregate(n, s, m);
    }
    if (rc == 0) {
        s->range.seq = m->seq;
    }
    return rc;
}

static void
tell_pushed(struct ps_node *n, uint32_t range, p2p_peer origin, uint64_t task)
{
    ps_node_send(
        n, origin,
        &(struct ps_msg){.kind = PS_MSG_PUSHED, .range = range, .task = task});
}

/* The tail tells whose task it was. */
static void answer(struct ps_node *n, struct seat *s, const struct ps_msg *m)
{
    if (m->entry == PS_ENTRY_READ) {
        ps_node_answer_pull(n, s, m->range, m->origin, m);
    } else if (m->entry == PS_ENTRY_AGGREGATE) {
        for (uint32_t i = 0; i < le_u32(m->payload); i++) {
            const uint8_t *p = m->payload + 4 + i * CONTRIBUTION_SIZE;
            tell_pushed(n, m->range, le_u32(p), le_u64(p + 4));
        }
    } else {
        tell_pushed(n, m->range, m->origin, m->task);
    }
}

static void
log_entry(struct ps_node *n, const struct ps_msg *m, struct blob *body)
{
    if (n->o.log_states &&
        (m->entry == PS_ENTRY_PUSH || m->entry == PS_ENTRY_AGGREGATE)) {
        ps_node_act(n, &(struct ps_action){.kind = PS_ACTION_LOG,
                                           .range = m->range,
                                           .body = blob_ref(body)});
    }
}

/* Entry @m, with the bytes @body, is applied: send it on, or answer. Owner:
 * takes @body. */
static void pass_on(struct ps_node *n,
                    struct seat *s,
                    const struct ps_msg *m,
                    struct blob *body)
{
    log_entry(n, m, body);
    if (is_tail(s)) {
        answer(n, s, m);
        s->acked = m->seq;
        blob_unref(body);
        return;
    }
    if (s->acked + 1 == m->seq) {
        s->sent_ns = n->now_ns;
    }
    s->window[m->seq % WINDOW] = body;
    ps_node_send_blob(n, s->chain[s->place + 1], blob_ref(body));
}

/* The head makes @m the next entry.
 *
 * Errors: ERR_AGAIN  too many are on their way.
 *         others     it cannot be applied: nothing changed. */
int ps_node_append(struct ps_node *n, uint32_t range, struct ps_msg *m)
{
    struct seat *s = &n->seats[range];
    struct blob *body;
    int rc;

    if (s->range.seq - s->acked >= WINDOW) {
        return ERR_AGAIN;
    }
    m->kind = PS_MSG_ENTRY;
    m->view = n->view;
    m->range = range;
    m->seq = s->range.seq + 1;
    body = has_window(n, s) ? ps_msg_encode(m, n->o.compress) : NULL;
    if (body == NULL) {
        n->out_of_memory = true;
        return ERR_NOMEM;
    }
    rc = ps_node_apply_entry(n, s, m);
    if (rc != 0) {
        blob_unref(body);
        return rc;
    }
    pass_on(n, s, m, body);
    return 0;
}

static void tell_seen(struct ps_node *n, struct seat *s, uint32_t range)
{
    ps_node_send(
        n, s->chain[s->place - 1],
        &(struct ps_msg){.kind = PS_MSG_SEEN, .range = range, .seq = s->acked});
}

/* Apply what stands next in the window, as far as it goes. */
static void drain(struct ps_node *n, struct seat *s, uint32_t range)
{
    struct blob **slot = &s->window[(s->range.seq + 1) % WINDOW];

    while (*slot != NULL && !n->out_of_memory) {
        struct blob *body = *slot;
        struct ps_msg m;
        if (le_u64(body->data + 24) != s->range.seq + 1) {
            return;
        }
        *slot = NULL;
        if (ps_msg_decode(&m, body->data, body->size, n->table.n_ranges,
                          &n->scratch, NULL) != 0 ||
            ps_node_apply_entry(n, s, &m) != 0) {
            log_error(n->o.log, "range %u: entry %llu cannot be applied", range,
                      (unsigned long long)(s->range.seq + 1));
            n->stats.n_dropped++;
            blob_unref(body);
            return;
        }
        pass_on(n, s, &m, body);
        slot = &s->window[(s->range.seq + 1) % WINDOW];
    }
}

void ps_node_on_entry(struct ps_node *n,
                      p2p_peer from,
                      const struct ps_msg *m,
                      const uint8_t *data,
                      size_t size)
{
    struct seat *s = &n->seats[m->range];
    struct blob **slot;

    if (s->place == NOWHERE || s->place == 0 ||
        from != s->chain[s->place - 1] || !s->holds ||
        s->range.epoch != n->view || !has_window(n, s)) {
        n->stats.n_stale++;
        return;
    }
    if (m->seq > s->range.seq && m->seq - s->acked <= WINDOW) {
        slot = &s->window[m->seq % WINDOW];
        if (*slot == NULL) {
            *slot = blob_copy(data, size);
            n->out_of_memory = n->out_of_memory || *slot == NULL;
        }
        drain(n, s, m->range);
    }
    if (is_tail(s) || m->seq <= s->acked) {
        tell_seen(n, s, m->range);
    }
}

void ps_node_on_seen(struct ps_node *n, p2p_peer from, const struct ps_msg *m)
{
    struct seat *s = &n->seats[m->range];

    if (s->place == NOWHERE || is_tail(s) || from != s->chain[s->place + 1] ||
        !s->holds || s->range.epoch != n->view || m->seq > s->range.seq ||
        m->seq <= s->acked) {
        return;
    }
    while (s->acked < m->seq) {
        s->acked++;
        blob_unref(s->window[s->acked % WINDOW]);
        s->window[s->acked % WINDOW] = NULL;
    }
    s->sent_ns = n->now_ns;
    if (s->place > 0) {
        tell_seen(n, s, m->range);
    } else {
        ps_node_head_go_on(n, m->range);
    }
}

/* Send again what may be lost. Return whether anything is on its way. */
bool ps_node_chain_tick(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];

    if (s->place == NOWHERE || is_tail(s) || !s->holds ||
        s->range.epoch != n->view || s->range.seq == s->acked) {
        return false;
    }
    if (n->now_ns - s->sent_ns >= n->o.retry_ns) {
        s->sent_ns = n->now_ns;
        for (uint64_t q = s->acked + 1; q <= s->range.seq; q++) {
            ps_node_send_blob(n, s->chain[s->place + 1],
                              blob_ref(s->window[q % WINDOW]));
            n->stats.n_resent++;
        }
    }
    return true;
}
