/* The hub's share in train/exchange.h: the same lock, the same mesh. */

#include <assert.h>
#include <stdlib.h>

#include "train/hub_state.h"
#include "train/msg.h"

int train_hub_exchange_create(struct train_hub *h, struct err *e)
{
    struct train_exchange_options o = h->o.exchange;

    if (o.kind == TRAIN_EXCHANGE_NONE || h->o.worker.n_peers < 2) {
        return 0;
    }
    o.self = h->o.worker.self;
    o.n_peers = h->o.worker.n_peers;
    o.first_clock = h->o.worker.first_clock;
    o.last_clock = h->o.worker.delivery.last_clock;
    o.retry_ns = h->o.worker.retry_ns;
    o.log = h->o.worker.log;
    return train_exchange_create(&h->exchange, &o, e);
}

static void drop_results(struct train_hub *h)
{
    for (size_t i = 0; i < h->n_results; i++) {
        blob_unref(h->results[i].part);
        blob_unref(h->results[i].result);
    }
    h->n_results = 0;
}

void train_hub_exchange_destroy(struct train_hub *h)
{
    drop_results(h);
    for (size_t i = 0; i < h->n_unsent; i++) {
        blob_unref(h->unsent[i].body);
    }
    free(h->results);
    free(h->unsent);
    train_exchange_destroy(h->exchange);
}

/* What the engine of rounds cannot go on without stops the other one. */
static int check(struct train_hub *h, int rc)
{
    if (rc == ERR_NOMEM) {
        (void)train_hub_step(h, (struct train_event){.kind = TRAIN_EVENT_STOP,
                                                     .peer = h->o.worker.self,
                                                     .reason = ERR_NOMEM,
                                                     .why = "out of memory"});
    }
    return rc;
}

int train_hub_part(struct train_hub *h,
                   uint32_t piece,
                   uint64_t clock,
                   struct blob *body)
{
    int rc = 0;

    pthread_mutex_lock(&h->mutex);
    if (h->exchange != NULL && !train_worker_ended(h->worker)) {
        rc = check(h, train_exchange_begin(h->exchange, piece, clock, body,
                                           train_hub_now(h)));
    }
    pthread_mutex_unlock(&h->mutex);
    if (h->started) {
        mesh_wake(h->mesh);
    }
    return rc;
}

size_t train_hub_results(struct train_hub *h,
                         struct train_exchange_result **results)
{
    size_t n = h->n_results;

    *results = h->results;
    h->n_results = 0; /* The blobs are the caller's now. */
    return n;
}

bool train_hub_held_up(const struct train_hub *h)
{
    return h->exchange != NULL && !train_worker_ended(h->worker) &&
           !train_exchange_open(h->exchange, h->clock);
}

int train_hub_take_results(struct train_hub *h, struct err *e)
{
    struct train_exchange_result r;

    drop_results(h); /* Those that nobody asked for. */
    while (h->exchange != NULL && train_exchange_take(h->exchange, &r)) {
        if (h->n_results == h->results_room) {
            size_t room = h->results_room == 0 ? 16 : 2 * h->results_room;
            void *p = realloc(h->results, room * sizeof *h->results);
            if (p == NULL) {
                blob_unref(r.part);
                blob_unref(r.result);
                return err_set(e, ERR_NOMEM, "%zu results", room);
            }
            h->results = p;
            h->results_room = room;
        }
        h->results[h->n_results++] = r;
    }
    return 0;
}

/* Move what is to be sent behind what could not be. The mutex is held. */
static void collect(struct train_hub *h)
{
    struct train_exchange_out out;

    while (train_exchange_next(h->exchange, &out)) {
        if (h->n_unsent == h->unsent_room) {
            size_t room = h->unsent_room == 0 ? 64 : 2 * h->unsent_room;
            void *p = realloc(h->unsent, room * sizeof *h->unsent);
            if (p == NULL) { /* It will be asked for. */
                blob_unref(out.body);
                continue;
            }
            h->unsent = p;
            h->unsent_room = room;
        }
        h->unsent[h->n_unsent++] = out;
    }
}

/* False: no room now, try again later. */
static bool send(struct train_hub *h, const struct train_exchange_out *out)
{
    uint64_t ack;

    if (out->again && mesh_pending(h->mesh, out->peer) > 0) {
        return true;
    }
    pthread_mutex_lock(&h->mutex);
    ack = train_msg_ack(train_worker_have(h->worker, out->peer),
                        train_worker_pace(h->worker));
    pthread_mutex_unlock(&h->mutex);
    return mesh_send(h->mesh, out->peer, out->type, ack, out->body, NULL) !=
           ERR_AGAIN;
}

void train_hub_exchange_send(struct train_hub *h)
{
    size_t kept = 0;

    if (h->exchange == NULL) {
        return;
    }
    pthread_mutex_lock(&h->mutex);
    collect(h);
    pthread_mutex_unlock(&h->mutex);
    for (size_t i = 0; i < h->n_unsent; i++) {
        if (send(h, &h->unsent[i])) {
            blob_unref(h->unsent[i].body);
        } else {
            h->unsent[kept++] = h->unsent[i];
        }
    }
    h->n_unsent = kept;
}

void train_hub_exchange_receive(struct train_hub *h, const struct p2p_msg *msg)
{
    struct train_event ack = {.kind = TRAIN_EVENT_ACK,
                              .peer = msg->peer,
                              .clock = train_msg_ack_clock(msg->ack),
                              .pace = train_msg_ack_pace(msg->ack)};
    struct err e;
    int rc;

    if (h->exchange == NULL) {
        log_warn(h->o.log, "dropped what peer %u sent: replicas are not mixed",
                 msg->peer);
        return;
    }
    pthread_mutex_lock(&h->mutex);
    rc = train_exchange_receive(h->exchange, msg->peer, msg->type, msg->body,
                                train_hub_now(h), &e);
    if (rc == ERR_INVALID) {
        log_warn(h->o.log, "dropped what peer %u sent: %s", msg->peer, e.msg);
    } else {
        (void)train_hub_step(h, ack);
        (void)check(h, rc);
    }
    pthread_mutex_unlock(&h->mutex);
}

uint64_t train_hub_exchange_tick(struct train_hub *h, uint64_t now_ns)
{
    if (h->exchange == NULL) {
        return UINT64_MAX;
    }
    (void)check(h, train_exchange_tick(h->exchange, now_ns));
    return train_exchange_due_ns(h->exchange);
}
