#include "train/hub.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "train/hub_state.h"

#define QUEUE_BYTES_MAX ((size_t)256 << 20) /* Per peer, in the mesh. */
#define INTERRUPT_NS    (100 * CLOCK_MS) /* How often the flag is looked at. */

uint64_t train_hub_now(const struct train_hub *h)
{
    return h->o.now != NULL ? h->o.now(h->o.now_arg) : clock_ns();
}

/* Report an event to the engine. The mutex is held. */
int train_hub_step(struct train_hub *h, struct train_event ev)
{
    int rc;

    ev.now_ns = train_hub_now(h);
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
int train_hub_fetch(struct train_hub *h,
                    p2p_peer peer,
                    uint64_t clock,
                    struct blob **blob,
                    struct err *e)
{
    struct blob *b = train_store_get(&h->store, peer, clock);

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

static int start_network(struct train_hub *h, struct err *e)
{
    struct mesh_options mo = {
        .self = h->o.worker.self,
        .n_peers = h->o.worker.n_peers,
        .timeout_ns = h->o.peer_timeout_ns,
        .queue_bytes_max = QUEUE_BYTES_MAX,
        .log = h->o.log,
    };
    int rc = mesh_create(&h->mesh, h->o.transport, &mo, train_hub_now(h), e);

    if (rc != 0 || h->o.now != NULL) {
        return rc;
    }
    if (pthread_create(&h->thread, NULL, train_hub_network, h) != 0) {
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
    h->held.bytes_max = o->held_bytes_max;
    pthread_mutex_init(&h->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->changed, &attr);
    pthread_condattr_destroy(&attr);
    rc = train_store_init(&h->store, o->worker.n_peers, e);
    rc = rc != 0 ? rc : train_worker_create(&h->worker, &o->worker, e);
    rc = rc != 0 ? rc : train_hub_exchange_create(h, e);
    if (rc == 0 && h->o.reduce != NULL) {
        rc = train_reduce_create(&h->reduce, h->o.reduce, e);
    }
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
    train_hub_exchange_destroy(h);
    train_hub_drop_group(h);
    train_store_fini(&h->store);
    train_held_fini(&h->held);
    blob_unref(h->mail_held.body);
    train_reduce_destroy(h->reduce);
    train_worker_destroy(h->worker);
    free(h->items);
    free(h->deferred);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mutex);
    free(h);
}

void train_hub_wake(struct train_hub *h)
{
    if (h->started) {
        mesh_wake(h->mesh);
    }
}

int train_hub_own(struct train_hub *h, uint64_t clock, struct blob *batch)
{
    p2p_peer self = h->o.worker.self;
    int rc;

    pthread_mutex_lock(&h->mutex);
    rc = train_store_put(&h->store, self, clock, batch);
    if (rc != 0) {
        pthread_mutex_unlock(&h->mutex);
        return rc;
    }
    (void)blob_ref(batch);
    h->clock = clock;
    rc = train_hub_step(h, (struct train_event){.kind = TRAIN_EVENT_OWN,
                                                .peer = h->o.worker.self,
                                                .clock = clock});
    pthread_mutex_unlock(&h->mutex);
    train_hub_wake(h);
    return rc;
}

static int
add_item(struct train_hub *h, const struct train_action *a, struct err *e)
{
    struct train_hub_item item = {
        .peer = a->peer,
        .clock = a->clock,
        .factor = train_delivery_factor(&h->o.worker.delivery, a->peer,
                                        h->o.worker.self)};
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
    rc = train_hub_fetch(h, a->peer, a->clock, &item.blob, e);
    if (rc != 0) {
        return rc;
    }
    if (a->peer != h->o.worker.self) {
        train_held_put(&h->held, a->peer, a->clock, item.blob);
        train_store_drop(&h->store, a->peer, a->clock);
    }
    h->items[h->n_items++] = item;
    return 0;
}

/* Take what the engine has for the replica. 1: the clock is closed. */
static int take(struct train_hub *h, struct err *e)
{
    struct train_action a;

    while (train_worker_next_replica(h->worker, &a)) {
        int rc = 0;
        switch (a.kind) {
        case TRAIN_ACTION_APPLY:
            rc = add_item(h, &a, e);
            break;
        case TRAIN_ACTION_CLOSE:
            return 1;
        case TRAIN_ACTION_RELEASE:
            if (a.clock >= h->o.worker.first_clock) {
                train_store_drop(&h->store, h->o.worker.self, a.clock);
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
void train_hub_wait(struct train_hub *h)
{
    uint64_t due = clock_ns() + INTERRUPT_NS;
    struct timespec ts = {.tv_sec = (time_t)(due / CLOCK_S),
                          .tv_nsec = (long)(due % CLOCK_S)};

    pthread_cond_timedwait(&h->changed, &h->mutex, &ts);
    if (h->o.interrupted != NULL && *h->o.interrupted != 0) {
        (void)train_hub_step(h, (struct train_event){.kind = TRAIN_EVENT_STOP,
                                                     .peer = h->o.worker.self,
                                                     .reason = ERR_INTERRUPTED,
                                                     .why = "interrupted"});
    }
}

/* Through the gate, if it is open. 1: the clock is closed. */
static int pass(struct train_hub *h, struct err *e)
{
    int rc = train_hub_held_up(h) ? 0 : take(h, e);

    if (rc == 1) {
        int late = train_hub_take_results(h, e);
        rc = late != 0 ? late : rc;
    }
    return rc;
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
    while ((rc = pass(h, e)) == 0 && wait) {
        train_hub_wait(h);
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
    (void)train_hub_step(h, (struct train_event){.kind = TRAIN_EVENT_DIGEST,
                                                 .peer = h->o.worker.self,
                                                 .clock = clock,
                                                 .digest = digest});
    pthread_mutex_unlock(&h->mutex);
    train_hub_wake(h);
}

void train_hub_wait_end(struct train_hub *h)
{
    pthread_mutex_lock(&h->mutex);
    while (!train_worker_ended(h->worker)) {
        train_hub_wait(h);
    }
    pthread_mutex_unlock(&h->mutex);
}

void train_hub_stop(struct train_hub *h, int reason, const char *why)
{
    pthread_mutex_lock(&h->mutex);
    (void)train_hub_step(h, (struct train_event){.kind = TRAIN_EVENT_STOP,
                                                 .peer = h->o.worker.self,
                                                 .reason = reason,
                                                 .why = why});
    pthread_mutex_unlock(&h->mutex);
    train_hub_wake(h);
}

uint32_t train_hub_staleness(struct train_hub *h)
{
    uint32_t s;

    pthread_mutex_lock(&h->mutex);
    s = train_worker_staleness(h->worker);
    pthread_mutex_unlock(&h->mutex);
    return s;
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
