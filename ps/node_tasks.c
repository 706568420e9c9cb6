/* The worker's side: tasks, cut into a part for each range. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ps/node_state.h"

#define TOKENS_MAX   256 /* Parts that are sent without hearing of others. */
#define BACK_OFF_MAX 4   /* Doublings of patience. */

void ps_node_task_free(struct task *t)
{
    if (t != NULL) {
        ps_values_fini(&t->values);
        free(t->after);
        free(t->parts);
        free(t);
    }
}

/* Where the task is, or n_tasks. */
static uint32_t find(const struct ps_node *n, uint64_t id)
{
    uint32_t low = 0, high = n->n_tasks;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (n->tasks[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < n->n_tasks && n->tasks[low]->id == id ? low : n->n_tasks;
}

static bool may_start(const struct ps_node *n, uint32_t i)
{
    const struct task *t = n->tasks[i];
    const struct ps_consistency *c = &n->o.consistency;

    if (c->kind == PS_SEQUENTIAL) {
        return i == 0;
    }
    for (uint32_t j = 0; j < i && c->kind == PS_BOUNDED; j++) {
        if (n->tasks[j]->time + c->delay < t->time) {
            return false;
        }
    }
    for (uint32_t j = 0; j < t->n_after; j++) {
        if (find(n, t->after[j]) < n->n_tasks) {
            return false;
        }
    }
    return true;
}

static void fill_push(struct ps_node *n,
                      const struct task *t,
                      const struct part *p,
                      struct ps_msg *m)
{
    struct ps_piece piece = ps_table_piece(&n->table, p->range);
    p2p_peer head = n->seats[p->range].chain[0];
    struct ps_values v;
    bool known = false;

    buf_reset(&n->out);
    if (ps_values_cut(&v, &t->values, piece.first, piece.n) != 0) {
        n->out_of_memory = true;
        return;
    }
    if (n->o.send_known && v.index != NULL && v.n > 0) {
        uint64_t hash = ps_values_hash(&v);
        known = ps_keys_sent_has(n->keys_sent, head, hash);
        ps_keys_sent_put(n->keys_sent, head, hash);
    }
    ps_values_encode(&v, known, &n->out);
    ps_values_fini(&v);
    n->out_of_memory = n->out_of_memory || n->out.failed;
    m->payload = n->out.data;
    m->payload_size = n->out.size;
}

static void send_part(struct ps_node *n, const struct task *t, struct part *p)
{
    const struct seat *s = &n->seats[p->range];
    struct ps_msg m = {.kind = t->is_push ? PS_MSG_PUSH : PS_MSG_PULL,
                       .range = p->range,
                       .task = t->id,
                       .time = t->time};
    uint32_t doubled = p->n_tries < BACK_OFF_MAX ? p->n_tries : BACK_OFF_MAX;

    p->due_ns = n->now_ns + (n->o.retry_ns << doubled);
    p->n_tries++;
    if (s->n_chain == 0) {
        return;
    }
    if (t->is_push) {
        m.from = p->from;
        fill_push(n, t, p, &m);
    } else {
        m.from = ps_node_reply_known(n, p);
        m.first = p->first;
        m.count = p->count;
    }
    if (!n->out_of_memory) {
        ps_node_send(n, s->chain[0], &m);
    }
}

/* Start what may start, and send what has not been sent. */
static void pump(struct ps_node *n)
{
    for (uint32_t i = 0; i < n->n_tasks && n->n_tokens > 0 && n->is_member;
         i++) {
        struct task *t = n->tasks[i];
        t->started = t->started || may_start(n, i);
        if (!t->started && n->o.consistency.kind == PS_SEQUENTIAL) {
            return;
        }
        while (t->started && t->n_sent < t->n_parts && n->n_tokens > 0) {
            n->n_tokens--;
            send_part(n, t, &t->parts[t->n_sent++]);
        }
    }
}

static void finish_task(struct ps_node *n, uint32_t i)
{
    struct task *t = n->tasks[i];

    ps_node_act(n, &(struct ps_action){.kind = PS_ACTION_DONE, .task = t->id});
    ps_node_task_free(t);
    n->n_tasks--;
    memmove(&n->tasks[i], &n->tasks[i + 1],
            (n->n_tasks - i) * sizeof(struct task *));
}

/* The part of the task that @m, of the range's tail or head, is about. */
static struct part *
find_part(const struct ps_node *n, const struct ps_msg *m, bool is_push)
{
    uint32_t i = find(n, m->task), low = 0, high;
    struct task *t;

    if (i == n->n_tasks || n->tasks[i]->is_push != is_push) {
        return NULL;
    }
    t = n->tasks[i];
    high = t->n_parts;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->parts[middle].range < m->range) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < t->n_parts && t->parts[low].range == m->range &&
                   !t->parts[low].done && low < t->n_sent
               ? &t->parts[low]
               : NULL;
}

static bool is_in_chain(const struct ps_node *n, p2p_peer from, uint32_t range)
{
    const struct seat *s = &n->seats[range];

    for (uint32_t i = 0; i < s->n_chain; i++) {
        if (s->chain[i] == from) {
            return true;
        }
    }
    return false;
}

static void part_done(struct ps_node *n, const struct ps_msg *m, struct part *p)
{
    uint32_t i = find(n, m->task);

    p->done = true;
    n->served[m->range] = n->view;
    if (n->n_tokens < TOKENS_MAX) {
        n->n_tokens++;
    }
    if (++n->tasks[i]->n_done == n->tasks[i]->n_parts) {
        finish_task(n, i);
    }
    pump(n);
}

void ps_node_on_pushed(struct ps_node *n, p2p_peer from, const struct ps_msg *m)
{
    struct part *p = find_part(n, m, true);

    if (p != NULL && is_in_chain(n, from, m->range)) {
        part_done(n, m, p);
    }
}

void ps_node_on_pulled(struct ps_node *n, p2p_peer from, const struct ps_msg *m)
{
    struct part *part = find_part(n, m, false);
    struct ps_piece piece = ps_table_piece(&n->table, m->range);
    const struct task *t;
    int rc;

    if (part == NULL || !is_in_chain(n, from, m->range)) {
        return;
    }
    t = n->tasks[find(n, m->task)];
    rc = ps_node_reply_take(n, m, part,
                            t->out + (piece.first + part->first - t->first));
    if (rc != 0) {
        n->out_of_memory = n->out_of_memory || rc == ERR_NOMEM;
        n->stats.n_dropped++;
        return;
    }
    part_done(n, m, part);
}

/* The head does not know the keys: send them all. */
void ps_node_on_miss(struct ps_node *n, p2p_peer from, const struct ps_msg *m)
{
    struct part *p = find_part(n, m, true);
    struct ps_piece piece = ps_table_piece(&n->table, m->range);
    const struct task *t;
    struct ps_values v;

    if (p == NULL || from != n->seats[m->range].chain[0]) {
        return;
    }
    t = n->tasks[find(n, m->task)];
    if (ps_values_cut(&v, &t->values, piece.first, piece.n) != 0) {
        n->out_of_memory = true;
        return;
    }
    if (v.index != NULL) {
        ps_keys_sent_drop(n->keys_sent, from, ps_values_hash(&v));
    }
    ps_values_fini(&v);
    send_part(n, t, p);
}

void ps_node_tasks_view(struct ps_node *n)
{
    ps_node_reply_forget(n);
    n->n_tokens = TOKENS_MAX;
    n->tokens_ns = n->now_ns;
    for (uint32_t i = 0; i < n->n_tasks; i++) {
        struct task *t = n->tasks[i];
        for (uint32_t j = 0; j < t->n_sent; j++) {
            t->parts[j].n_tries = 0;
            t->parts[j].due_ns = n->now_ns + n->o.retry_ns / 4;
        }
    }
}

static void send_again(struct ps_node *n, struct task *t)
{
    for (uint32_t j = 0; j < t->n_sent && n->n_tokens > 0; j++) {
        struct part *p = &t->parts[j];
        if (!p->done && n->now_ns >= p->due_ns) {
            n->n_tokens--;
            n->stats.n_resent++;
            send_part(n, t, p);
        }
    }
}

/* Return whether any task is under way. */
bool ps_node_tasks_tick(struct ps_node *n)
{
    if (n->now_ns - n->tokens_ns >= n->o.retry_ns) {
        n->n_tokens = TOKENS_MAX;
        n->tokens_ns = n->now_ns;
    }
    for (uint32_t i = 0; i < n->n_tasks && n->is_member; i++) {
        send_again(n, n->tasks[i]);
    }
    pump(n);
    return n->n_tasks > 0;
}

static int
check_common(const struct ps_node *n, const struct ps_task *t, struct err *e)
{
    if (t->param >= n->table.n_params) {
        return err_set(e, ERR_INVALID, "parameter %u, there are %u", t->param,
                       n->table.n_params);
    }
    if (t->n_after > PS_AFTER_MAX) {
        return err_set(e, ERR_INVALID, "after %u tasks, at most %u", t->n_after,
                       PS_AFTER_MAX);
    }
    for (uint32_t i = 0; i < t->n_after; i++) {
        if (t->after[i] == 0 || t->after[i] > n->last_id) {
            return err_set(e, ERR_INVALID, "after task %llu, which is not",
                           (unsigned long long)t->after[i]);
        }
    }
    if (n->n_tasks == PS_TASKS_MAX) {
        return err_set(e, ERR_FULL, "%u tasks are under way", PS_TASKS_MAX);
    }
    return 0;
}

static int
check_push(const struct ps_node *n, const struct ps_task *t, struct err *e)
{
    const struct ps_values *v = t->values;
    uint32_t keys = n->table.params[t->param].n;

    if (t->time < n->param_next[t->param] || t->time >= UINT64_MAX / 2) {
        return err_set(e, ERR_INVALID, "push of time %llu, must be from %llu",
                       (unsigned long long)t->time,
                       (unsigned long long)n->param_next[t->param]);
    }
    for (uint32_t i = 0; v->index != NULL && i < v->n; i++) {
        if (v->index[i] >= keys || (i > 0 && v->index[i] <= v->index[i - 1])) {
            return err_set(e, ERR_INVALID,
                           "push of key %u, must ascend below "
                           "%u",
                           v->index[i], keys);
        }
    }
    if (v->index == NULL && (v->first > keys || v->n > keys - v->first)) {
        return err_set(e, ERR_INVALID, "push of %u keys from %u, there are %u",
                       v->n, v->first, keys);
    }
    if (!ps_values_finite(v)) {
        return err_set(e, ERR_NOT_FINITE, "push of a value that is not finite");
    }
    return 0;
}

/* A task with room for @n_parts. */
static struct task *
make_task(struct ps_node *n, const struct ps_task *t, uint32_t n_parts)
{
    struct task *made = calloc(1, sizeof *made);

    if (made == NULL) {
        return NULL;
    }
    made->param = t->param;
    made->time = t->time;
    made->n_after = t->n_after;
    made->after = malloc((t->n_after + 1) * sizeof *made->after);
    made->parts = calloc(n_parts + 1, sizeof *made->parts);
    if (made->after == NULL || made->parts == NULL) {
        ps_node_task_free(made);
        return NULL;
    }
    if (t->n_after > 0) {
        memcpy(made->after, t->after, t->n_after * sizeof *t->after);
    }
    made->id = n->last_id + 1;
    return made;
}

static int add_task(struct ps_node *n, struct task *t, uint64_t *id)
{
    n->last_id = t->id;
    *id = t->id;
    n->tasks[n->n_tasks++] = t;
    if (t->n_parts == 0) {
        finish_task(n, n->n_tasks - 1);
    }
    pump(n);
    return ps_node_finish(n);
}

/* Whether others wait for pushes of nothing, too. */
static bool is_awaited(const struct ps_node *n, uint32_t param)
{
    return n->o.consistency.kind == PS_BOUNDED ||
           n->table.params[param].order == PS_ORDER_RANK;
}

static void cut_push(struct ps_node *n, struct task *t)
{
    uint32_t end = n->table.ranges[t->param + 1];

    for (uint32_t r = n->table.ranges[t->param]; r < end; r++) {
        struct ps_piece piece = ps_table_piece(&n->table, r);
        if (!is_awaited(n, t->param) &&
            ps_values_count(&t->values, piece.first, piece.n) == 0) {
            continue;
        }
        t->parts[t->n_parts++] =
            (struct part){.range = r, .from = n->range_next[r]};
        n->range_next[r] = t->time + 1;
    }
    n->param_next[t->param] = t->time + 1;
}

int ps_node_push(struct ps_node *n,
                 uint64_t now_ns,
                 const struct ps_task *task,
                 uint64_t *id,
                 struct err *e)
{
    int rc = check_common(n, task, e);
    struct task *t;

    n->now_ns = now_ns;
    if (rc == 0) {
        rc = check_push(n, task, e);
    }
    if (rc != 0) {
        return rc;
    }
    t = make_task(n, task,
                  n->table.ranges[task->param + 1] -
                      n->table.ranges[task->param]);
    if (t == NULL || ps_values_cut(&t->values, task->values, 0,
                                   n->table.params[task->param].n) != 0) {
        ps_node_task_free(t);
        return err_set(e, ERR_NOMEM, "push of %u values", task->values->n);
    }
    t->is_push = true;
    cut_push(n, t);
    return add_task(n, t, id);
}

int ps_node_pull(struct ps_node *n,
                 uint64_t now_ns,
                 const struct ps_task *task,
                 uint64_t *id,
                 struct err *e)
{
    int rc = check_common(n, task, e);
    uint32_t first_range, last_range, keys;
    struct task *t;

    n->now_ns = now_ns;
    if (rc != 0) {
        return rc;
    }
    keys = n->table.params[task->param].n;
    if (task->count == 0 || task->first >= keys ||
        task->count > keys - task->first || task->time >= UINT64_MAX / 2) {
        return err_set(e, ERR_INVALID, "pull of %u keys from %u, there are %u",
                       task->count, task->first, keys);
    }
    first_range = ps_table_range(&n->table, task->param, task->first);
    last_range =
        ps_table_range(&n->table, task->param, task->first + (task->count - 1));
    t = make_task(n, task, last_range - first_range + 1);
    if (t == NULL) {
        return err_set(e, ERR_NOMEM, "pull of %u values", task->count);
    }
    t->first = task->first;
    t->out = task->out;
    for (uint32_t r = first_range; r <= last_range; r++) {
        struct ps_piece piece = ps_table_piece(&n->table, r);
        uint64_t low = piece.first, high = (uint64_t)piece.first + piece.n;
        uint64_t end = (uint64_t)task->first + task->count;
        low = low < task->first ? task->first : low;
        high = high > end ? end : high;
        t->parts[t->n_parts++] =
            (struct part){.range = r,
                          .first = (uint32_t)(low - piece.first),
                          .count = (uint32_t)(high - low)};
    }
    return add_task(n, t, id);
}
