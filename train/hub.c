#include "train/hub.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "train/msg.h"

#define QUEUE_BYTES_MAX ((size_t)256 << 20) /* Per peer, in the mesh. */
#define EVENTS_PER_TURN 64
#define INTERRUPT_NS    (100 * CLOCK_MS) /* How often the flag is looked at. */
#define FAREWELL_NS     (2 * CLOCK_S)    /* Patience for goodbyes. */
#define WAIT_NS_MAX     (500 * CLOCK_MS)

struct train_hub {
    struct train_hub_options o;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* The gate opened, or the job ended. */
    struct train_worker *worker;
    struct blob **store; /* (n_peers, TRAIN_WINDOW) batches by clock. */
    struct p2p_stats stats;
    struct train_hub_item *items;
    size_t n_items, items_room;

    /* The network thread's own. */
    struct mesh *mesh;
    struct train_action *deferred; /* Sends that found no room. */
    size_t n_deferred, deferred_room;
    pthread_t thread;
    bool started;
    atomic_bool quit;
};

static struct blob **slot(struct train_hub *h, p2p_peer peer, uint64_t clock)
{
    return &h->store[(size_t)peer * TRAIN_WINDOW + clock % TRAIN_WINDOW];
}

static uint64_t now(const struct train_hub *h)
{
    return h->o.now != NULL ? h->o.now(h->o.now_arg) : clock_ns();
}

/* Report an event to the engine. The mutex is held. */
static int step(struct train_hub *h, struct train_event ev)
{
    int rc;

    ev.now_ns = now(h);
    rc = train_worker_step(h->worker, &ev);
    if (rc == ERR_NOMEM) {
        ev = (struct train_event){.kind = TRAIN_EVENT_STOP,
                                  .peer = h->o.worker.self,
                                  .reason = ERR_NOMEM,
                                  .why = "out of memory"};
        (void)train_worker_step(h->worker, &ev);
    }
    return rc;
}

/* The blob of a batch: from the store, or from before this process. */
static int fetch(struct train_hub *h,
                 p2p_peer peer,
                 uint64_t clock,
                 struct blob **blob,
                 struct err *e)
{
    struct blob *b = *slot(h, peer, clock);

    if (peer == h->o.worker.self && clock < h->o.worker.first_clock) {
        return h->o.load(h->o.load_arg, clock, blob, e);
    }
    if (b == NULL) {
        return err_set(e, ERR_NOT_FOUND,
                       "batch of peer %u, clock %" PRIu64 " is not held", peer,
                       clock);
    }
    *blob = blob_ref(b);
    return 0;
}

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
        return fetch(h, h->o.worker.self, a->clock, body, NULL);
    case TRAIN_ACTION_ASK:
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
        return TRAIN_MSG_BATCH;
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
    if (a->kind == TRAIN_ACTION_SEND && a->until != 0 &&
        mesh_pending(h->mesh, a->peer) > 0) {
        return true;
    }
    pthread_mutex_lock(&h->mutex);
    rc = body_of(h, a, &body);
    ack = train_worker_have(h->worker, a->peer);
    pthread_mutex_unlock(&h->mutex);
    if (rc != 0) {
        return true; /* Released meanwhile: the peer has it. */
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
}

static void on_message(struct train_hub *h, const struct p2p_msg *msg)
{
    static const enum train_event_kind EVENTS[] = {
        TRAIN_EVENT_BATCH, TRAIN_EVENT_WANT, TRAIN_EVENT_DIGEST,
        TRAIN_EVENT_ACK,   TRAIN_EVENT_DONE, TRAIN_EVENT_STOP};
    struct train_msg m;
    struct err e;
    struct train_event ev = {.peer = msg->peer};

    if (train_msg_decode(&m, msg->type, msg->body, msg->peer, h->o.n_matrices,
                         &e) != 0) {
        log_warn(h->o.log, "dropped what peer %u sent: %s", msg->peer, e.msg);
        return;
    }
    pthread_mutex_lock(&h->mutex);
    ev.kind = TRAIN_EVENT_ACK;
    ev.clock = msg->ack;
    (void)step(h, ev);
    ev.kind = EVENTS[msg->type - TRAIN_MSG_BATCH];
    ev.clock = m.clock;
    ev.until = m.until;
    ev.digest = m.digest;
    ev.reason = m.reason;
    ev.why = m.why;
    if (ev.kind == TRAIN_EVENT_BATCH) {
        struct blob **at = slot(h, msg->peer, m.clock);
        struct blob *old = *at;
        *at = blob_ref(msg->body); /* The step may open the gate for it. */
        if (step(h, ev) != 0) {
            blob_unref(*at);
            *at = old;
        } else {
            blob_unref(old);
        }
    } else if (ev.kind != TRAIN_EVENT_ACK) {
        (void)step(h, ev);
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
    (void)step(h, t);
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
        rc = mesh_poll(h->mesh, now(h), &ev, &e);
        if (rc != 0) {
            break;
        }
        any = true;
        on_event(h, &ev);
    }
    if (rc == ERR_IO) {
        pthread_mutex_lock(&h->mutex);
        (void)step(h, (struct train_event){.kind = TRAIN_EVENT_STOP,
                                           .peer = h->o.worker.self,
                                           .reason = ERR_IO,
                                           .why = e.msg});
        pthread_mutex_unlock(&h->mutex);
    }
    return any;
}

static void sum_stats(struct train_hub *h, struct p2p_stats *sum)
{
    memset(sum, 0, sizeof *sum);
    for (p2p_peer p = 0; p < h->o.worker.n_peers; p++) {
        struct p2p_stats s = mesh_stats(h->mesh, p);
        sum->bytes_sent += s.bytes_sent;
        sum->bytes_received += s.bytes_received;
        sum->msgs_sent += s.msgs_sent;
        sum->msgs_received += s.msgs_received;
        sum->msgs_dropped += s.msgs_dropped;
    }
}

/* Tell the engine the time, wake the compute thread if there is something for
 * it, and return how long nothing needs to be done. */
static uint64_t tick(struct train_hub *h)
{
    struct p2p_stats stats;
    uint64_t t = now(h), due;

    sum_stats(h, &stats);
    pthread_mutex_lock(&h->mutex);
    h->stats = stats;
    if (train_worker_due_ns(h->worker) <= t) {
        (void)step(h, (struct train_event){.kind = TRAIN_EVENT_TICK,
                                           .peer = h->o.worker.self});
    }
    due = train_worker_due_ns(h->worker);
    if (train_worker_gate_open(h->worker)) {
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
    bool any;
    uint64_t idle_ns;

    perform_all(h);
    any = poll_all(h);
    idle_ns = tick(h);
    if (any) {
        return 0;
    }
    return h->n_deferred > 0 && idle_ns > CLOCK_MS ? CLOCK_MS : idle_ns;
}

static void *network_main(void *arg)
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

static int start_network(struct train_hub *h, struct err *e)
{
    struct mesh_options mo = {
        .self = h->o.worker.self,
        .n_peers = h->o.worker.n_peers,
        .timeout_ns = h->o.peer_timeout_ns,
        .queue_bytes_max = QUEUE_BYTES_MAX,
        .log = h->o.log,
    };
    int rc = mesh_create(&h->mesh, h->o.transport, &mo, now(h), e);

    if (rc != 0 || h->o.now != NULL) {
        return rc;
    }
    if (pthread_create(&h->thread, NULL, network_main, h) != 0) {
        return err_set(e, ERR_NOMEM, "start the network thread");
    }
    h->started = true;
    return 0;
}

int train_hub_create(struct train_hub **hub,
                     const struct train_hub_options *o,
                     struct err *e)
{
    struct train_hub *h = calloc(1, sizeof *h);
    pthread_condattr_t attr;
    int rc;

    assert((o->transport == NULL) == (o->worker.n_peers == 1));
    if (h == NULL) {
        return err_set(e, ERR_NOMEM, "hub");
    }
    h->o = *o;
    pthread_mutex_init(&h->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->changed, &attr);
    pthread_condattr_destroy(&attr);
    h->store =
        calloc((size_t)o->worker.n_peers * TRAIN_WINDOW, sizeof *h->store);
    rc = h->store == NULL
             ? err_set(e, ERR_NOMEM, "batches of %u peers", o->worker.n_peers)
             : train_worker_create(&h->worker, &o->worker, e);
    if (rc == 0 && o->transport != NULL) {
        rc = start_network(h, e);
    }
    if (rc != 0) {
        train_hub_destroy(h);
        return rc;
    }
    *hub = h;
    return 0;
}

static void drop_items(struct train_hub *h)
{
    for (size_t i = 0; i < h->n_items; i++) {
        blob_unref(h->items[i].blob);
    }
    h->n_items = 0;
}

void train_hub_destroy(struct train_hub *h)
{
    if (h == NULL) {
        return;
    }
    if (h->started) {
        atomic_store(&h->quit, true);
        mesh_wake(h->mesh);
        pthread_join(h->thread, NULL);
    }
    mesh_destroy(h->mesh);
    drop_items(h);
    for (size_t i = 0;
         h->store != NULL && i < (size_t)h->o.worker.n_peers * TRAIN_WINDOW;
         i++) {
        blob_unref(h->store[i]);
    }
    train_worker_destroy(h->worker);
    free(h->store);
    free(h->items);
    free(h->deferred);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mutex);
    free(h);
}

static void wake_network(struct train_hub *h)
{
    if (h->started) {
        mesh_wake(h->mesh);
    }
}

int train_hub_own(struct train_hub *h, uint64_t clock, struct blob *batch)
{
    struct blob **at = slot(h, h->o.worker.self, clock);
    int rc;

    pthread_mutex_lock(&h->mutex);
    blob_unref(*at);
    *at = blob_ref(batch);
    rc = step(h, (struct train_event){.kind = TRAIN_EVENT_OWN,
                                      .peer = h->o.worker.self,
                                      .clock = clock});
    pthread_mutex_unlock(&h->mutex);
    wake_network(h);
    return rc;
}

static int
add_item(struct train_hub *h, const struct train_action *a, struct err *e)
{
    struct train_hub_item item = {.peer = a->peer, .clock = a->clock};
    struct blob **at = slot(h, a->peer, a->clock);
    int rc;

    if (h->n_items == h->items_room) {
        size_t room = h->items_room == 0 ? 16 : 2 * h->items_room;
        void *p = realloc(h->items, room * sizeof *h->items);
        if (p == NULL) {
            return err_set(e, ERR_NOMEM, "%zu batches", room);
        }
        h->items = p;
        h->items_room = room;
    }
    rc = fetch(h, a->peer, a->clock, &item.blob, e);
    if (rc != 0) {
        return rc;
    }
    if (a->peer != h->o.worker.self) {
        blob_unref(*at);
        *at = NULL;
    }
    h->items[h->n_items++] = item;
    return 0;
}

/* Take what the engine has for the replica. 1: the clock is closed. */
static int take(struct train_hub *h, struct err *e)
{
    struct train_action a;

    while (train_worker_next_replica(h->worker, &a)) {
        struct blob **at = slot(h, h->o.worker.self, a.clock);
        int rc = 0;
        switch (a.kind) {
        case TRAIN_ACTION_APPLY:
            rc = add_item(h, &a, e);
            break;
        case TRAIN_ACTION_CLOSE:
            return 1;
        case TRAIN_ACTION_RELEASE:
            if (a.clock >= h->o.worker.first_clock) {
                blob_unref(*at);
                *at = NULL;
            }
            break;
        case TRAIN_ACTION_END:
            return ERR_CLOSED;
        default:
            break;
        }
        if (rc != 0) {
            return rc;
        }
    }
    return train_worker_ended(h->worker) ? ERR_CLOSED : 0;
}

/* Sleep until the network thread reports or it is time to look at the flag. */
static void wait_changed(struct train_hub *h)
{
    uint64_t due = clock_ns() + INTERRUPT_NS;
    struct timespec ts = {.tv_sec = (time_t)(due / CLOCK_S),
                          .tv_nsec = (long)(due % CLOCK_S)};

    pthread_cond_timedwait(&h->changed, &h->mutex, &ts);
    if (h->o.interrupted != NULL && *h->o.interrupted != 0) {
        (void)step(h, (struct train_event){.kind = TRAIN_EVENT_STOP,
                                           .peer = h->o.worker.self,
                                           .reason = ERR_INTERRUPTED,
                                           .why = "interrupted"});
    }
}

/* Wait for the gate, or look once. */
static int gate(struct train_hub *h,
                bool wait,
                struct train_hub_item **items,
                size_t *n_items,
                struct err *e)
{
    int rc;

    pthread_mutex_lock(&h->mutex);
    while ((rc = take(h, e)) == 0 && wait) {
        wait_changed(h);
    }
    pthread_mutex_unlock(&h->mutex);
    if (rc < 0) {
        drop_items(h);
        return rc;
    }
    if (rc == 0) {
        return ERR_AGAIN;
    }
    *items = h->items;
    *n_items = h->n_items;
    h->n_items = 0; /* The blobs are the caller's now. */
    return 0;
}

int train_hub_gate(struct train_hub *h,
                   struct train_hub_item **items,
                   size_t *n_items,
                   struct err *e)
{
    return gate(h, true, items, n_items, e);
}

int train_hub_try_gate(struct train_hub *h,
                       struct train_hub_item **items,
                       size_t *n_items,
                       struct err *e)
{
    return gate(h, false, items, n_items, e);
}

void train_hub_digest(struct train_hub *h,
                      uint64_t clock,
                      struct hash128 digest)
{
    pthread_mutex_lock(&h->mutex);
    (void)step(h, (struct train_event){.kind = TRAIN_EVENT_DIGEST,
                                       .peer = h->o.worker.self,
                                       .clock = clock,
                                       .digest = digest});
    pthread_mutex_unlock(&h->mutex);
    wake_network(h);
}

void train_hub_wait_end(struct train_hub *h)
{
    pthread_mutex_lock(&h->mutex);
    while (!train_worker_ended(h->worker)) {
        wait_changed(h);
    }
    pthread_mutex_unlock(&h->mutex);
}

void train_hub_stop(struct train_hub *h, int reason, const char *why)
{
    pthread_mutex_lock(&h->mutex);
    (void)step(h, (struct train_event){.kind = TRAIN_EVENT_STOP,
                                       .peer = h->o.worker.self,
                                       .reason = reason,
                                       .why = why});
    pthread_mutex_unlock(&h->mutex);
    wake_network(h);
}

bool train_hub_ended(struct train_hub *h)
{
    bool ended;

    pthread_mutex_lock(&h->mutex);
    ended = train_worker_ended(h->worker);
    pthread_mutex_unlock(&h->mutex);
    return ended;
}

int train_hub_outcome(struct train_hub *h, p2p_peer *peer, char *why)
{
    const char *text;
    int rc;

    pthread_mutex_lock(&h->mutex);
    rc = train_worker_outcome(h->worker, peer, &text);
    snprintf(why, ERR_MSG_SIZE, "%s", text);
    pthread_mutex_unlock(&h->mutex);
    return rc;
}

struct p2p_stats train_hub_stats(struct train_hub *h)
{
    struct p2p_stats s;

    pthread_mutex_lock(&h->mutex);
    s = h->stats;
    pthread_mutex_unlock(&h->mutex);
    return s;
}
