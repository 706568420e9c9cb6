/* Answers to pulls: all values, or what changed since the last answer that the
 * worker got. Both sides forget the last answers when a view begins; within a
 * view it is always the same node that answers. */

#include <stdlib.h>
#include <string.h>

#include "ps/node_state.h"

void ps_node_reply_reset(struct seat *s)
{
    for (uint32_t i = 0; i < s->n_sent; i++) {
        ps_filter_changed_fini(&s->sent[i].changed);
    }
    free(s->sent);
    s->sent = NULL;
    s->n_sent = 0;
}

static struct sent_reply *find_sent(struct seat *s, p2p_peer peer)
{
    for (uint32_t i = 0; i < s->n_sent; i++) {
        if (s->sent[i].peer == peer) {
            return &s->sent[i];
        }
    }
    return NULL;
}

/* Remember that @to gets all of @v, as reply @number. */
static void remember(struct ps_node *n,
                     struct seat *s,
                     p2p_peer to,
                     const struct ps_values *v,
                     uint64_t number)
{
    struct sent_reply *sent = find_sent(s, to), *more;

    if (sent == NULL) {
        more = realloc(s->sent, (s->n_sent + 1) * sizeof *more);
        if (more == NULL) {
            n->out_of_memory = true;
            return;
        }
        s->sent = more;
        sent = &more[s->n_sent++];
        memset(sent, 0, sizeof *sent);
        sent->peer = to;
    }
    ps_filter_changed_fini(&sent->changed);
    sent->number = number;
    sent->first = v->first;
    sent->count = v->n;
    if (ps_filter_changed_init(&sent->changed, v->n, v->val,
                               n->o.change_threshold) != 0) {
        sent->count = 0;
        n->out_of_memory = true;
    }
}

/* The worker has reply m->from: append what changed since, keys counted from
 * the first of the pull. False: it has not, or not of these keys. */
static bool put_changes(struct ps_node *n,
                        struct seat *s,
                        p2p_peer to,
                        const struct ps_msg *m,
                        uint64_t number)
{
    struct sent_reply *sent = find_sent(s, to);
    struct ps_values v;

    if (m->from == 0 || sent == NULL || sent->number != m->from ||
        sent->first != m->first || sent->count != m->count) {
        return false;
    }
    if (ps_values_init(&v, 0, m->count, s->range.val + m->first) != 0) {
        n->out_of_memory = true;
        return false;
    }
    if (sent->changed.filter.apply(&sent->changed.filter, &v) != 0) {
        n->out_of_memory = true;
    }
    sent->number = number;
    ps_values_encode(&v, false, &n->out);
    ps_values_fini(&v);
    return true;
}

/* Send @to what @m, a pull or a read, asks for. */
void ps_node_answer_pull(struct ps_node *n,
                         struct seat *s,
                         uint32_t range,
                         p2p_peer to,
                         const struct ps_msg *m)
{
    struct ps_msg reply = {
        .kind = PS_MSG_PULLED, .range = range, .task = m->task};
    struct ps_values v = {.first = m->first, .n = m->count};

    if (m->first > s->range.n || m->count > s->range.n - m->first) {
        n->stats.n_dropped++;
        return;
    }
    v.val = s->range.val + m->first;
    buf_reset(&n->out);
    if (n->o.send_changes) {
        reply.seq = ++n->n_replies;
    }
    if (n->o.send_changes && put_changes(n, s, to, m, reply.seq)) {
        reply.from = m->from;
    } else {
        ps_values_encode(&v, false, &n->out);
        if (n->o.send_changes) {
            remember(n, s, to, &v, reply.seq);
        }
    }
    reply.payload = n->out.data;
    reply.payload_size = n->out.size;
    if (n->out.failed || n->out_of_memory) {
        n->out_of_memory = true;
        return;
    }
    ps_node_send(n, to, &reply);
}

/* The reply that a pull of @p may build on; 0: none. */
uint64_t ps_node_reply_known(const struct ps_node *n, const struct part *p)
{
    const struct got_reply *g = n->got == NULL ? NULL : &n->got[p->range];

    return g != NULL && g->first == p->first && g->count == p->count ? g->number
                                                                     : 0;
}

/* Keep @val as reply @number. */
static int keep(struct got_reply *g,
                const struct part *p,
                const float *val,
                uint64_t number)
{
    float *copy = malloc(p->count * sizeof *copy);

    if (copy == NULL) {
        return ERR_NOMEM;
    }
    memcpy(copy, val, p->count * sizeof *copy);
    free(g->val);
    *g = (struct got_reply){
        .number = number, .first = p->first, .count = p->count, .val = copy};
    return 0;
}

static int take_all(struct ps_node *n,
                    const struct ps_msg *m,
                    const struct part *part,
                    const struct ps_values *v,
                    float *out)
{
    if (v->index != NULL || v->first != part->first || v->n != part->count) {
        return ERR_CORRUPT;
    }
    memcpy(out, v->val, v->n * sizeof *v->val);
    return n->got == NULL ? 0 : keep(&n->got[m->range], part, out, m->seq);
}

static int take_changes(struct ps_node *n,
                        const struct ps_msg *m,
                        const struct part *part,
                        const struct ps_values *v,
                        float *out)
{
    struct got_reply *g = n->got == NULL ? NULL : &n->got[m->range];

    if (m->from != ps_node_reply_known(n, part) ||
        (v->n > 0 && ps_values_key(v, v->n - 1) >= part->count)) {
        return ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        g->val[ps_values_key(v, i)] = v->val[i];
    }
    g->number = m->seq;
    memcpy(out, g->val, part->count * sizeof *out);
    return 0;
}

/* Write to @out (part->count) what reply @m says.
 *
 * Errors: ERR_CORRUPT, ERR_NOT_FINITE, ERR_NOMEM. */
int ps_node_reply_take(struct ps_node *n,
                       const struct ps_msg *m,
                       const struct part *part,
                       float *out)
{
    const uint8_t *p = m->payload;
    uint32_t length = ps_table_piece(&n->table, m->range).n;
    struct ps_values v;
    int rc;

    if (p == NULL) {
        return ERR_CORRUPT;
    }
    rc = ps_values_decode(&v, &p, p + m->payload_size, length, NULL, NULL);
    if (rc == 0) {
        rc = m->from == 0 ? take_all(n, m, part, &v, out)
                          : take_changes(n, m, part, &v, out);
        ps_values_fini(&v);
    }
    return rc;
}

void ps_node_reply_forget(struct ps_node *n)
{
    for (uint32_t r = 0; n->got != NULL && r < n->table.n_ranges; r++) {
        n->got[r].number = 0;
    }
}
