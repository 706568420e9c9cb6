#include "ps/node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ps/node_state.h"

static int check_options(const struct ps_node_options *o, struct err *e)
{
    if (o->self >= P2P_PEERS_MAX || o->replicas > PS_REPLICAS_MAX) {
        return err_set(e, ERR_INVALID,
                       "parameter server: peer %u with %u replicas, at most %d",
                       o->self, o->replicas, PS_REPLICAS_MAX);
    }
    if (o->retry_ns == 0 || o->consistency.delay > PS_DELAY_MAX) {
        return err_set(e, ERR_INVALID,
                       "parameter server: no patience, or too much delay");
    }
    return 0;
}

static int make_tables(struct ps_node *n)
{
    n->seats = calloc(n->table.n_ranges, sizeof *n->seats);
    n->range_next = calloc(n->table.n_ranges, sizeof *n->range_next);
    n->served = calloc(n->table.n_ranges, sizeof *n->served);
    n->param_next = calloc(n->table.n_params, sizeof *n->param_next);
    n->tasks = calloc(PS_TASKS_MAX, sizeof(struct task *));
    n->got =
        n->o.send_changes ? calloc(n->table.n_ranges, sizeof *n->got) : NULL;
    n->keys = calloc(1, sizeof *n->keys);
    n->keys_sent = calloc(1, sizeof *n->keys_sent);
    if (n->seats == NULL || n->range_next == NULL || n->served == NULL ||
        n->param_next == NULL || n->tasks == NULL || n->keys == NULL ||
        n->keys_sent == NULL || (n->o.send_changes && n->got == NULL)) {
        return ERR_NOMEM;
    }
    for (uint32_t r = 0; r < n->table.n_ranges; r++) {
        n->seats[r].place = NOWHERE;
        n->range_next[r] = n->o.first_time;
    }
    for (uint32_t p = 0; p < n->table.n_params; p++) {
        n->param_next[p] = n->o.first_time;
    }
    return 0;
}

int ps_node_create(struct ps_node **n,
                   const struct ps_node_options *o,
                   struct err *e)
{
    struct ps_node *made;
    int rc = check_options(o, e);

    if (rc != 0) {
        return rc;
    }
    made = calloc(1, sizeof *made);
    if (made == NULL) {
        return err_set(e, ERR_NOMEM, "parameter server");
    }
    made->o = *o;
    made->due_ns = UINT64_MAX;
    buf_init(&made->scratch);
    buf_init(&made->out);
    rc = ps_table_init(&made->table, o->params, o->n_params, e);
    if (rc == 0 && make_tables(made) != 0) {
        rc = err_set(e, ERR_NOMEM, "parameter server of %u ranges",
                     made->table.n_ranges);
    }
    if (rc != 0) {
        ps_node_destroy(made);
        return rc;
    }
    *n = made;
    return 0;
}

void ps_node_drop_copy(struct seat *s)
{
    if (s->holds) {
        ps_range_fini(&s->range);
        s->holds = false;
    }
}

static void free_seat(struct seat *s)
{
    ps_node_chain_reset(s);
    ps_node_head_reset(s);
    ps_node_reply_reset(s);
    ps_node_forget_known(s);
    free(s->window);
    ps_node_drop_copy(s);
}

void ps_node_destroy(struct ps_node *n)
{
    struct ps_action a;

    if (n == NULL) {
        return;
    }
    while (ps_node_next(n, &a)) {
        blob_unref(a.body);
    }
    for (uint32_t r = 0; n->seats != NULL && r < n->table.n_ranges; r++) {
        free_seat(&n->seats[r]);
        if (n->got != NULL) {
            free(n->got[r].val);
        }
    }
    for (uint32_t i = 0; i < n->n_tasks; i++) {
        ps_node_task_free(n->tasks[i]);
    }
    for (size_t i = 0; i < n->n_local; i++) {
        blob_unref(n->local[i]);
    }
    if (n->keys != NULL) {
        ps_keys_fini(n->keys);
    }
    ps_ring_fini(&n->ring);
    ps_table_fini(&n->table);
    buf_fini(&n->scratch);
    buf_fini(&n->out);
    free(n->got);
    free(n->keys);
    free(n->keys_sent);
    free(n->seats);
    free(n->range_next);
    free(n->served);
    free(n->param_next);
    free(n->tasks);
    free(n->members);
    free(n->workers);
    free(n->reported);
    free(n->actions);
    free(n->local);
    free(n);
}

/* Actions stand in a ring that doubles. */
static bool make_room(struct ps_node *n)
{
    size_t room = n->actions_room == 0 ? 64 : 2 * n->actions_room;
    struct ps_action *more = calloc(room, sizeof *more);

    if (more == NULL) {
        n->out_of_memory = true;
        return false;
    }
    for (size_t i = 0; i < n->n_actions; i++) {
        more[i] = n->actions[(n->actions_first + i) % n->actions_room];
    }
    free(n->actions);
    n->actions = more;
    n->actions_room = room;
    n->actions_first = 0;
    return true;
}

/* Owner: takes a->body. */
void ps_node_act(struct ps_node *n, const struct ps_action *a)
{
    if (n->n_actions == n->actions_room && !make_room(n)) {
        blob_unref(a->body);
        return;
    }
    n->actions[(n->actions_first + n->n_actions++) % n->actions_room] = *a;
}

bool ps_node_next(struct ps_node *n, struct ps_action *a)
{
    if (n->n_actions == 0) {
        return false;
    }
    *a = n->actions[n->actions_first];
    n->actions_first = (n->actions_first + 1) % n->actions_room;
    n->n_actions--;
    return true;
}

static void put_local(struct ps_node *n, struct blob *body)
{
    if (n->n_local == n->local_room) {
        size_t room = n->local_room == 0 ? 16 : 2 * n->local_room;
        struct blob **more = realloc(n->local, room * sizeof *more);
        if (more == NULL) {
            n->out_of_memory = true;
            blob_unref(body);
            return;
        }
        n->local = more;
        n->local_room = room;
    }
    n->local[n->n_local++] = body;
}

/* Owner: takes the reference. */
void ps_node_send_blob(struct ps_node *n, p2p_peer to, struct blob *body)
{
    if (body == NULL) {
        n->out_of_memory = true;
    } else if (to == n->o.self) {
        put_local(n, body);
    } else {
        ps_node_act(n, &(struct ps_action){
                           .kind = PS_ACTION_SEND, .peer = to, .body = body});
    }
}

void ps_node_send(struct ps_node *n, p2p_peer to, struct ps_msg *m)
{
    m->view = n->view;
    ps_node_send_blob(n, to,
                      ps_msg_encode(m, n->o.compress && to != n->o.self));
}

const struct ps_member *ps_node_member(const struct ps_node *n, p2p_peer peer)
{
    uint32_t low = 0, high = n->n_members;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (n->members[middle].peer < peer) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < n->n_members && n->members[low].peer == peer ? &n->members[low]
                                                              : NULL;
}

/* See to it that there is a copy, of initial values if there was none. */
int ps_node_hold(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];
    struct ps_piece piece = ps_table_piece(&n->table, range);
    const struct ps_param *p = &n->table.params[piece.param];
    int rc;

    if (s->holds) {
        return 0;
    }
    rc = ps_range_init(&s->range, piece.first, piece.n, p->order, &p->update,
                       NULL);
    if (rc != 0) {
        n->out_of_memory = true;
        return rc;
    }
    if (p->initial != NULL) {
        memcpy(s->range.val, p->initial + piece.first,
               piece.n * sizeof *p->initial);
    }
    s->holds = true;
    return 0;
}

void ps_node_log_state(struct ps_node *n, uint32_t range)
{
    struct ps_msg m = {.kind = PS_MSG_INSTALL, .view = n->view, .range = range};
    struct blob *body;

    if (!n->o.log_states) {
        return;
    }
    buf_reset(&n->out);
    ps_range_encode(&n->seats[range].range, &n->out);
    m.payload = n->out.data;
    m.payload_size = n->out.size;
    body = n->out.failed ? NULL : ps_msg_encode(&m, true);
    if (body == NULL) {
        n->out_of_memory = true;
        return;
    }
    ps_node_act(n, &(struct ps_action){
                       .kind = PS_ACTION_LOG, .range = range, .body = body});
}

static void dispatch(struct ps_node *n,
                     p2p_peer from,
                     const struct ps_msg *m,
                     const uint8_t *data,
                     size_t size)
{
    switch (m->kind) {
    case PS_MSG_PUSH:
        ps_node_on_push(n, from, m);
        break;
    case PS_MSG_PULL:
        ps_node_on_pull(n, from, m);
        break;
    case PS_MSG_PUSHED:
        ps_node_on_pushed(n, from, m);
        break;
    case PS_MSG_PULLED:
        ps_node_on_pulled(n, from, m);
        break;
    case PS_MSG_MISS:
        ps_node_on_miss(n, from, m);
        break;
    case PS_MSG_ENTRY:
        ps_node_on_entry(n, from, m, data, size);
        break;
    case PS_MSG_SEEN:
        ps_node_on_seen(n, from, m);
        break;
    case PS_MSG_SURVEY:
        ps_node_on_survey(n, from);
        break;
    case PS_MSG_REPORT:
        ps_node_on_report(n, from, m);
        break;
    case PS_MSG_FETCH:
        ps_node_on_fetch(n, from, m);
        break;
    case PS_MSG_STATE:
        ps_node_on_state(n, from, m);
        break;
    case PS_MSG_INSTALL:
        ps_node_on_install(n, from, m);
        break;
    case PS_MSG_INSTALLED:
        ps_node_on_installed(n, from, m);
        break;
    case PS_MSG_RELEASE:
        ps_node_on_release(n, from, m);
        break;
    case PS_MSG_KINDS:
        break;
    }
}

static void
take_msg(struct ps_node *n, p2p_peer from, const uint8_t *data, size_t size)
{
    struct ps_msg m;
    int rc =
        ps_msg_decode(&m, data, size, n->table.n_ranges, &n->scratch, NULL);

    if (rc == ERR_NOMEM) {
        n->out_of_memory = true;
    } else if (rc != 0) {
        n->stats.n_dropped++;
    } else if (m.view != n->view || !n->is_member ||
               ps_node_member(n, from) == NULL) {
        n->stats.n_stale++;
        if (m.view > n->view && from < P2P_PEERS_MAX) {
            n->early[from] = m.view;
        }
    } else {
        dispatch(n, from, &m, data, size);
    }
}

/* Messages to self, until there are no more; and what every call ends with. */
int ps_node_finish(struct ps_node *n)
{
    for (size_t i = 0; i < n->n_local && !n->out_of_memory; i++) {
        struct blob *b = n->local[i];
        n->local[i] = NULL;
        take_msg(n, n->o.self, b->data, b->size);
        blob_unref(b);
        if (i + 1 == n->n_local) {
            n->n_local = 0;
            i = SIZE_MAX;
        }
    }
    if (n->due_ns > n->now_ns + n->o.retry_ns / 4) {
        n->due_ns = n->now_ns + n->o.retry_ns / 4;
    }
    return n->out_of_memory ? ERR_NOMEM : 0;
}

int ps_node_receive(struct ps_node *n,
                    uint64_t now_ns,
                    p2p_peer from,
                    const uint8_t *data,
                    size_t size)
{
    n->now_ns = now_ns;
    if (from == n->o.self) {
        n->stats.n_dropped++;
    } else {
        take_msg(n, from, data, size);
    }
    return ps_node_finish(n);
}

int ps_node_tick(struct ps_node *n, uint64_t now_ns)
{
    bool busy;
    int rc;

    n->now_ns = now_ns;
    busy = ps_node_tasks_tick(n);
    if (n->is_member) {
        busy = ps_node_move_tick(n) || busy;
        for (uint32_t r = 0; r < n->table.n_ranges; r++) {
            busy = ps_node_chain_tick(n, r) || busy;
        }
    }
    rc = ps_node_finish(n);
    n->due_ns = busy ? n->now_ns + n->o.retry_ns / 4 : UINT64_MAX;
    return rc;
}

uint64_t ps_node_due_ns(const struct ps_node *n)
{
    return n->due_ns;
}

static int restore_msg(struct ps_node *n, const struct ps_msg *m, struct err *e)
{
    struct seat *s = &n->seats[m->range];

    if (m->kind == PS_MSG_INSTALL) {
        return ps_node_hold(n, m->range) != 0
                   ? ERR_NOMEM
                   : ps_range_decode(&s->range, m->payload, m->payload_size, e);
    }
    if (m->kind != PS_MSG_ENTRY || !s->holds || s->range.epoch != m->view ||
        m->seq <= s->range.seq) {
        return err_set(e, ERR_CORRUPT,
                       "range %u: %s %llu of view %u is out of "
                       "place",
                       m->range, ps_msg_str(m->kind),
                       (unsigned long long)m->seq, m->view);
    }
    s->range.seq = m->seq - 1; /* Entries that change nothing are not logged. */
    if (ps_node_apply_entry(n, s, m) != 0) {
        return err_set(e, ERR_CORRUPT, "range %u: entry %llu cannot be applied",
                       m->range, (unsigned long long)m->seq);
    }
    return 0;
}

int ps_node_restore(struct ps_node *n,
                    const uint8_t *data,
                    size_t size,
                    struct err *e)
{
    struct ps_msg m;
    int rc = ps_msg_decode(&m, data, size, n->table.n_ranges, &n->scratch, e);

    assert(n->view == 0);
    if (rc == 0) {
        rc = restore_msg(n, &m, e);
    }
    return rc == 0 ? 0 : err_wrap(e, rc, "restore");
}

bool ps_node_settled(const struct ps_node *n)
{
    return n->view != 0 && n->n_reported == n->n_members && n->n_unsettled == 0;
}

uint32_t ps_node_held(const struct ps_node *n)
{
    uint32_t held = 0;

    for (uint32_t r = 0; r < n->table.n_ranges; r++) {
        held += n->seats[r].holds && n->seats[r].place == NOWHERE;
    }
    return held;
}

const struct ps_range *ps_node_copy(const struct ps_node *n, uint32_t range)
{
    return n->seats[range].holds ? &n->seats[range].range : NULL;
}

const struct ps_table *ps_node_table(const struct ps_node *n)
{
    return &n->table;
}

struct ps_node_stats ps_node_stats(const struct ps_node *n)
{
    struct ps_node_stats stats = n->stats;

    for (uint32_t r = 0; r < n->table.n_ranges; r++) {
        stats.n_refused += n->seats[r].holds ? n->seats[r].range.n_refused : 0;
    }
    return stats;
}
