#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "train/hub_state.h"
#include "train/msg.h"

#define EVENTS_PER_TURN 64
#define FAREWELL_NS     (2 * CLOCK_S) /* Patience for goodbyes. */
#define WAIT_NS_MAX     (500 * CLOCK_MS)

static bool defer(struct train_hub *h, const struct train_action *a)
{
    if (h->n_deferred == h->deferred_room) {
        size_t room = h->deferred_room == 0 ? 64 : 2 * h->deferred_room;
        void *p = realloc(h->deferred, room * sizeof *h->deferred);
        if (p == NULL) {
            return false;
        }
        h->deferred = p;
        h->deferred_room = room;
    }
    h->deferred[h->n_deferred++] = *a;
    return true;
}

void train_hub_drop_group(struct train_hub *h)
{
    for (size_t i = 0; i < h->group.n; i++) {
        blob_unref(h->group.bodies[i]);
    }
    h->group.n = 0;
}

/* Which batches of [clock, until) an action sends, a bit for each: those that
 * the peer was not sent at once. Batches that all have asked for and
 * acknowledged since are gone. */
static uint64_t parts_of(const struct train_hub *h,
                         const struct train_action *a)
{
    const struct train_delivery *d = &h->o.worker.delivery;
    p2p_peer self = h->o.worker.self;
    uint64_t parts = 0;

    for (uint64_t c = a->clock; c < a->until; c++) {
        if (train_store_get(&h->store, self, c) != NULL &&
            !train_delivery_eager(d, self, a->peer, c)) {
            parts |= (uint64_t)1 << (c - a->clock);
        }
    }
    return parts;
}

/* These, one behind the other. NULL: none, or no memory. */
static struct blob *
join(const struct train_hub *h, const struct train_action *a, uint64_t parts)
{
    struct blob *body;
    struct buf all;

    buf_init(&all);
    for (uint64_t c = a->clock; c < a->until; c++) {
        if ((parts >> (c - a->clock) & 1) != 0) {
            const struct blob *b =
                train_store_get(&h->store, h->o.worker.self, c);
            buf_put(&all, b->data, b->size);
        }
    }
    body = all.failed || all.size == 0 ? NULL : blob_copy(all.data, all.size);
    buf_fini(&all);
    return body;
}

/* The body of a group: most receivers of a group get the same one. */
static int
group_of(struct train_hub *h, const struct train_action *a, struct blob **body)
{
    uint64_t parts = parts_of(h, a);
    size_t i = 0;

    _Static_assert(TRAIN_LAZY_MAX <= 64, "a bit for each clock of a group");
    if (h->group.clock != a->clock || h->group.until != a->until) {
        train_hub_drop_group(h);
        h->group.clock = a->clock;
        h->group.until = a->until;
    }
    while (i < h->group.n && h->group.parts[i] != parts) {
        i++;
    }
    *body = i < h->group.n ? blob_ref(h->group.bodies[i]) : join(h, a, parts);
    if (i == h->group.n && i < GROUP_BODIES_MAX && *body != NULL) {
        h->group.parts[i] = parts;
        h->group.bodies[i] = blob_ref(*body);
        h->group.n++;
    }
    return *body == NULL ? ERR_NOT_FOUND : 0;
}

/* A batch of another: one that waits to be applied, or was. */
static int
held_of(struct train_hub *h, const struct train_action *a, struct blob **body)
{
    struct blob *b = train_store_get(&h->store, a->origin, a->clock);

    *body =
        b != NULL ? blob_ref(b) : train_held_get(&h->held, a->origin, a->clock);
    return *body == NULL ? ERR_NOT_FOUND : 0;
}

/* The body that an action sends. NULL with 0: none. */
static int
body_of(struct train_hub *h, const struct train_action *a, struct blob **body)
{
    struct train_msg m = {
        .clock = a->clock, .until = a->until, .digest = a->digest};
    p2p_peer about;
    const char *why;

    *body = NULL;
    switch (a->kind) {
    case TRAIN_ACTION_SEND:
        return train_hub_fetch(h, h->o.worker.self, a->clock, body, NULL);
    case TRAIN_ACTION_GROUP:
        return group_of(h, a, body);
    case TRAIN_ACTION_HELD:
        return held_of(h, a, body);
    case TRAIN_ACTION_ASK:
        m.origin = a->origin;
        *body = train_msg_encode(TRAIN_MSG_WANT, &m);
        break;
    case TRAIN_ACTION_DIGEST:
        *body = train_msg_encode(TRAIN_MSG_DIGEST, &m);
        break;
    case TRAIN_ACTION_STOP:
        m.reason = train_worker_outcome(h->worker, &about, &why);
        snprintf(m.why, sizeof m.why, "%s", why);
        *body = train_msg_encode(TRAIN_MSG_STOP, &m);
        break;
    default:
        return 0;
    }
    return *body == NULL ? ERR_NOMEM : 0;
}

static uint8_t type_of(enum train_action_kind kind)
{
    switch (kind) {
    case TRAIN_ACTION_SEND:
    case TRAIN_ACTION_GROUP:
        return TRAIN_MSG_BATCH;
    case TRAIN_ACTION_HELD:
        return TRAIN_MSG_HELD;
    case TRAIN_ACTION_ASK:
        return TRAIN_MSG_WANT;
    case TRAIN_ACTION_DIGEST:
        return TRAIN_MSG_DIGEST;
    case TRAIN_ACTION_DONE:
        return TRAIN_MSG_DONE;
    case TRAIN_ACTION_STOP:
        return TRAIN_MSG_STOP;
    default:
        return TRAIN_MSG_ACK;
    }
}

/* Carry out a network action. False: no room now, try again later. */
static bool perform(struct train_hub *h, const struct train_action *a)
{
    struct blob *body;
    uint64_t ack;
    int rc;

    /* A batch that is asked for again may be in the queue still. */
    if ((a->kind == TRAIN_ACTION_SEND || a->kind == TRAIN_ACTION_HELD) &&
        a->until != 0 && mesh_pending(h->mesh, a->peer) > 0) {
        return true;
    }
    pthread_mutex_lock(&h->mutex);
    rc = body_of(h, a, &body);
    ack = train_msg_ack(train_worker_have(h->worker, a->peer),
                        train_worker_pace(h->worker));
    pthread_mutex_unlock(&h->mutex);
    if (rc != 0) {
        return true; /* Released: the peer has it. Or no memory: it asks. */
    }
    rc = mesh_send(h->mesh, a->peer, type_of(a->kind), ack, body, NULL);
    blob_unref(body);
    return rc != ERR_AGAIN;
}

static void perform_all(struct train_hub *h)
{
    struct train_action a;
    size_t n = h->n_deferred, kept = 0;
    bool more = true;

    for (size_t i = 0; i < n; i++) {
        a = h->deferred[i];
        if (!perform(h, &a)) {
            h->deferred[kept++] = a;
        }
    }
    h->n_deferred = kept;
    while (more) {
        pthread_mutex_lock(&h->mutex);
        more = train_worker_next_network(h->worker, &a);
        pthread_mutex_unlock(&h->mutex);
        if (more && !perform(h, &a) && !defer(h, &a)) {
            log_warn(h->o.log, "no memory to send to peer %u", a.peer);
        }
    }
    train_hub_reduce_send(h);
}

/* One clock of a batch message. The mutex is held. */
static void
on_batch(struct train_hub *h, p2p_peer peer, uint64_t clock, struct blob *b)
{
    /* It came before, or an older one is not applied. */
    if (train_store_put(&h->store, peer, clock, b) != 0) {
        blob_unref(b);
        return;
    }
    /* It is held by now: the step may open the gate for it. */
    if (train_hub_step(h, (struct train_event){.kind = TRAIN_EVENT_BATCH,
                                               .peer = peer,
                                               .clock = clock}) != 0) {
        train_store_drop(&h->store, peer, clock);
    }
}

static void
on_batches(struct train_hub *h, const struct p2p_msg *msg, p2p_peer origin)
{
    size_t at = 0, size, from = 0;
    uint64_t clock;

    while (
        train_msg_next_clock(msg->body, h->o.n_matrices, &at, &size, &clock)) {
        struct blob *b = size == msg->body->size
                             ? blob_ref(msg->body)
                             : blob_slice(msg->body, from, size);
        from = at;
        if (b == NULL) {
            log_warn(h->o.log, "no memory for a batch of peer %u", origin);
            return; /* It will be asked for again. */
        }
        on_batch(h, origin, clock, b);
    }
}

static void on_message(struct train_hub *h, const struct p2p_msg *msg)
{
    static const enum train_event_kind EVENTS[] = {
        TRAIN_EVENT_BATCH, TRAIN_EVENT_WANT, TRAIN_EVENT_DIGEST,
        TRAIN_EVENT_ACK,   TRAIN_EVENT_DONE, TRAIN_EVENT_STOP,
        TRAIN_EVENT_BATCH};
    struct train_msg m;
    struct err e;
    struct train_event ev = {.kind = TRAIN_EVENT_ACK,
                             .peer = msg->peer,
                             .clock = train_msg_ack_clock(msg->ack),
                             .pace = train_msg_ack_pace(msg->ack)};

    if (train_hub_reduce_is(msg->type)) {
        pthread_mutex_lock(&h->mutex);
        (void)train_hub_step(h, ev);
        train_hub_reduce_message(h, msg);
        pthread_mutex_unlock(&h->mutex);
        return;
    }
    if (msg->type >= TRAIN_MSG_PART) {
        train_hub_exchange_receive(h, msg);
        return;
    }
    if (train_msg_decode(&m, msg->type, msg->body, msg->peer, h->o.n_matrices,
                         &e) != 0) {
        log_warn(h->o.log, "dropped what peer %u sent: %s", msg->peer, e.msg);
        return;
    }
    if (m.origin >= h->o.worker.n_peers) {
        log_warn(h->o.log, "dropped what peer %u sent: there is no peer %u",
                 msg->peer, m.origin);
        return;
    }
    pthread_mutex_lock(&h->mutex);
    (void)train_hub_step(h, ev);
    ev.kind = EVENTS[msg->type - TRAIN_MSG_BATCH];
    ev.clock = m.clock;
    ev.until = m.until;
    ev.origin = m.origin;
    ev.digest = m.digest;
    ev.reason = m.reason;
    ev.why = m.why;
    if (ev.kind == TRAIN_EVENT_BATCH) {
        on_batches(h, msg, m.origin);
    } else if (ev.kind != TRAIN_EVENT_ACK) {
        (void)train_hub_step(h, ev);
    }
    pthread_mutex_unlock(&h->mutex);
}

static void on_event(struct train_hub *h, const struct mesh_event *ev)
{
    struct train_event t = {.peer = ev->peer, .reason = ERR_UNREACHABLE};

    if (ev->kind == MESH_EVENT_MSG) {
        on_message(h, &ev->msg);
        blob_unref(ev->msg.body);
        return;
    }
    if (ev->kind == MESH_EVENT_UP) {
        log_debug(h->o.log, "peer %u is there", ev->peer);
        return;
    }
    t.kind = ev->kind == MESH_EVENT_LOST ? TRAIN_EVENT_LOST : TRAIN_EVENT_BYE;
    t.why = ev->why;
    pthread_mutex_lock(&h->mutex);
    (void)train_hub_step(h, t);
    pthread_mutex_unlock(&h->mutex);
}

/* Poll the mesh until nothing more has come. Return whether anything came. */
static bool poll_all(struct train_hub *h)
{
    struct mesh_event ev;
    struct err e = {.msg = ""};
    bool any = false;
    int rc = 0;

    for (int i = 0; i < EVENTS_PER_TURN; i++) {
        rc = mesh_poll(h->mesh, train_hub_now(h), &ev, &e);
        if (rc != 0) {
            break;
        }
        any = true;
        on_event(h, &ev);
    }
    if (rc == ERR_IO) {
        pthread_mutex_lock(&h->mutex);
        (void)train_hub_step(h, (struct train_event){.kind = TRAIN_EVENT_STOP,
                                                     .peer = h->o.worker.self,
                                                     .reason = ERR_IO,
                                                     .why = e.msg});
        pthread_mutex_unlock(&h->mutex);
    }
    return any;
}

/* Tell the engine the time, wake the compute thread if there is something for
 * it, and return how long nothing needs to be done. */
static uint64_t tick(struct train_hub *h)
{
    uint64_t t = train_hub_now(h), due, exchange_due, reduce_due;

    pthread_mutex_lock(&h->mutex);
    h->stats = mesh_total(h->mesh);
    exchange_due = train_hub_exchange_tick(h, t);
    if (train_worker_due_ns(h->worker) <= t) {
        (void)train_hub_step(h, (struct train_event){.kind = TRAIN_EVENT_TICK,
                                                     .peer = h->o.worker.self});
    }
    reduce_due = train_hub_reduce_tick(h, t);
    due = train_worker_due_ns(h->worker);
    due = exchange_due < due ? exchange_due : due;
    due = reduce_due < due ? reduce_due : due;
    if (train_worker_gate_open(h->worker) && !train_hub_held_up(h)) {
        pthread_cond_signal(&h->changed);
    }
    pthread_mutex_unlock(&h->mutex);
    if (mesh_due_ns(h->mesh) < due) {
        due = mesh_due_ns(h->mesh);
    }
    return due <= t ? 0 : due - t < WAIT_NS_MAX ? due - t : WAIT_NS_MAX;
}

/* Flush what is queued, say goodbye and wait a little for the others'. */
static void farewell(struct train_hub *h)
{
    uint64_t until = clock_ns() + FAREWELL_NS;
    bool waiting = true;

    perform_all(h);
    train_hub_exchange_send(h);
    mesh_bye(h->mesh);
    while (waiting && clock_ns() < until) {
        struct mesh_event ev;
        waiting = false;
        while (mesh_poll(h->mesh, clock_ns(), &ev, NULL) == 0) {
            if (ev.kind == MESH_EVENT_MSG) {
                blob_unref(ev.msg.body);
            }
        }
        for (p2p_peer p = 0; p < h->o.worker.n_peers; p++) {
            waiting = waiting ||
                      (p != h->o.worker.self && mesh_pending(h->mesh, p) > 0);
        }
        if (waiting) {
            mesh_wait(h->mesh, 10 * CLOCK_MS);
        }
    }
}

uint64_t train_hub_turn(struct train_hub *h)
{
    bool any, blocked;
    uint64_t idle_ns;

    perform_all(h);
    train_hub_exchange_send(h);
    any = poll_all(h);
    idle_ns = tick(h);
    if (any) {
        return 0;
    }
    blocked = h->n_deferred + h->n_unsent > 0 || h->mail_held.body != NULL;
    return blocked && idle_ns > CLOCK_MS ? CLOCK_MS : idle_ns;
}

void *train_hub_network(void *arg)
{
    struct train_hub *h = arg;

    while (!atomic_load(&h->quit)) {
        uint64_t idle_ns = train_hub_turn(h);
        if (idle_ns > 0) {
            mesh_wait(h->mesh, idle_ns);
        }
    }
    farewell(h);
    return NULL;
}
