#include "train/worker.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/worker_state.h"

void train_worker_act(struct train_worker *w,
                      struct actions *a,
                      struct train_action x)
{
    if (a->count == a->room) {
        size_t room = a->room == 0 ? 64 : 2 * a->room;
        struct train_action *items = malloc(room * sizeof *items);
        if (items == NULL) {
            w->out_of_memory = true;
            return;
        }
        for (size_t i = 0; i < a->count; i++) {
            items[i] = a->items[(a->first + i) % a->room];
        }
        free(a->items);
        a->items = items;
        a->first = 0;
        a->room = room;
    }
    a->items[(a->first + a->count) % a->room] = x;
    a->count++;
}

static bool next(struct actions *a, struct train_action *x)
{
    if (a->count == 0) {
        return false;
    }
    *x = a->items[a->first];
    a->first = (a->first + 1) % a->room;
    a->count--;
    return true;
}

void train_worker_tell(struct train_worker *w,
                       enum train_action_kind kind,
                       p2p_peer peer,
                       uint64_t clock,
                       uint64_t until)
{
    w->members[peer].ack_owed = false;
    train_worker_act(
        w, &w->network,
        (struct train_action){
            .kind = kind, .peer = peer, .clock = clock, .until = until});
}

static void update_all_due(struct train_worker *w)
{
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        train_timers_set(&w->due, p, train_worker_peer_due_ns(w, p));
    }
}

int train_worker_create(struct train_worker **worker,
                        const struct train_worker_options *o,
                        struct err *e)
{
    struct train_worker *w;

    if (o->n_peers == 0 || o->n_peers > TRAIN_PEERS_MAX ||
        o->self >= o->n_peers || o->first_clock > o->delivery.last_clock ||
        o->staleness > TRAIN_STALENESS_MAX ||
        o->delivery.last_clock >> (64 - SPREAD_PACE_BITS) != 0 ||
        (train_delivery_leaves_out(&o->delivery) &&
         (o->mode == TRAIN_BSP || o->mode == TRAIN_PIPELINE))) {
        return err_set(
            e, ERR_INVALID, "peer %u of %u from clock %" PRIu64 " to %" PRIu64,
            o->self, o->n_peers, o->first_clock, o->delivery.last_clock);
    }
    w = calloc(1, sizeof *w);
    if (w != NULL) {
        w->members = calloc(o->n_peers, sizeof *w->members);
    }
    if (w != NULL) {
        w->ticked = calloc(o->n_peers, sizeof *w->ticked);
    }
    if (w == NULL || w->members == NULL || w->ticked == NULL ||
        train_timers_init(&w->due, o->n_peers, e) != 0) {
        train_worker_destroy(w);
        return err_set(e, ERR_NOMEM, "engine for %u peers", o->n_peers);
    }
    w->o = *o;
    w->o.applied = NULL;
    w->o.ahead = NULL;
    w->staleness = o->mode == TRAIN_ADAPTIVE ? o->staleness_min : o->staleness;
    w->bound = (struct train_bound){
        .low = o->staleness_min, .high = o->staleness, .now = o->staleness_min};
    w->clock = o->first_clock;
    for (p2p_peer p = 0; p < o->n_peers; p++) {
        struct member *m = &w->members[p];
        m->applied = o->applied != NULL ? o->applied[p] : o->first_clock;
        m->have = train_delivery_next(&o->delivery, p, o->self, m->applied);
        m->newest = o->first_clock;
        if (o->ahead != NULL) {
            m->ahead = o->ahead[p]; /* Need not come again. */
        }
    }
    w->members[o->self].have = o->first_clock;
    w->released = w->members[o->self].applied;
    for (p2p_peer p = 0; p < o->n_peers; p++) {
        w->members[p].acked =
            train_delivery_next(&o->delivery, o->self, p, w->released);
    }
    if (o->first_clock == o->delivery.last_clock) {
        w->state = ENDING;
    }
    update_all_due(w);
    *worker = w;
    return 0;
}

void train_worker_destroy(struct train_worker *w)
{
    if (w == NULL) {
        return;
    }
    train_timers_fini(&w->due);
    free(w->ticked);
    free(w->early);
    free(w->members);
    free(w->arrivals);
    free(w->network.items);
    free(w->replica.items);
    free(w);
}

void train_worker_end(struct train_worker *w)
{
    if (w->state != ENDED) {
        w->state = ENDED;
        train_worker_act(w, &w->replica,
                         (struct train_action){.kind = TRAIN_ACTION_END});
        w->n_decided++;
    }
}

static void try_end(struct train_worker *w)
{
    if (w->state != ENDING || !w->all_applied) {
        return;
    }
    while (w->n_done < w->o.n_peers && !(train_worker_is_other(w, w->n_done) &&
                                         !w->members[w->n_done].done)) {
        w->n_done++;
    }
    if (w->n_done < w->o.n_peers) {
        return;
    }
    log_debug(w->o.log, "all peers are done at clock %" PRIu64, w->clock);
    train_worker_end(w);
}

static void
stop(struct train_worker *w, int outcome, p2p_peer peer, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Keep the first reason, tell the others, end. */
static void
stop(struct train_worker *w, int outcome, p2p_peer peer, const char *fmt, ...)
{
    va_list args;

    if (w->state == ENDED) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(w->why, sizeof w->why, fmt, args);
    va_end(args);
    w->outcome = outcome;
    w->outcome_peer = peer;
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (train_worker_is_other(w, p) && p != peer) {
            train_worker_tell(w, TRAIN_ACTION_STOP, p, w->clock, 0);
        }
    }
    train_worker_end(w);
}

/* In adaptive: what the slowest is worth, as we know it now. */
static void choose_staleness(struct train_worker *w)
{
    unsigned slowest = 0, own;

    if (w->o.mode != TRAIN_ADAPTIVE) {
        return;
    }
    train_spread_end(&w->spread, w->now_ns);
    own = train_spread_pace(&w->spread);
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (train_worker_is_other(w, p) && w->members[p].pace > slowest) {
            slowest = w->members[p].pace;
        }
    }
    w->staleness =
        train_bound_next(&w->bound, train_spread_worth(own, slowest));
}

static int on_own(struct train_worker *w, const struct train_event *ev)
{
    assert(w->state == COMPUTING || w->state == ENDED);
    assert(ev->clock == w->clock);

    if (w->state == ENDED) {
        return 0;
    }
    log_trace(w->o.log, "clock %" PRIu64 " computed", w->clock);
    w->members[w->o.self].have = w->clock + 1;
    choose_staleness(w);
    train_worker_arrive(w, w->o.self, w->clock);
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (train_worker_is_other(w, p)) {
            train_worker_deliver(w, p);
        }
        train_worker_wait_for(w, p, train_worker_lacks(w, p));
    }
    w->state = AT_GATE;
    w->n_let_go = 0;
    train_worker_try_close(w);
    return 0;
}

/* Ours of @clock, or NULL: not known yet, or forgotten. */
static const struct digest *own_digest(const struct train_worker *w,
                                       uint64_t clock)
{
    for (size_t i = 0; i < DIGESTS_HELD && i < w->n_own_digests; i++) {
        if (w->own_digests[i].clock == clock) {
            return &w->own_digests[i];
        }
    }
    return NULL;
}

static void compare_digests(struct train_worker *w,
                            const struct digest *ours,
                            const struct digest *theirs)
{
    char a[HASH_HEX_SIZE], b[HASH_HEX_SIZE];

    if (ours->hash.high == theirs->hash.high &&
        ours->hash.low == theirs->hash.low) {
        return;
    }
    hash_hex(ours->hash, a);
    hash_hex(theirs->hash, b);
    stop(w, ERR_DIVERGED, theirs->peer,
         "replicas differ at clock %" PRIu64
         ": the digest is %s at peer %u and %s at peer %u",
         ours->clock, a, w->o.self, b, theirs->peer);
}

/* Keep a digest until ours is known, as long as peers do not send far more of
 * them than they may be ahead. */
static void keep_early(struct train_worker *w, const struct digest *d)
{
    if (w->n_early >= (size_t)DIGESTS_HELD * w->o.n_peers) {
        return;
    }
    if (w->n_early == w->early_room) {
        size_t room = w->early_room == 0 ? 16 : 2 * w->early_room;
        void *p = realloc(w->early, room * sizeof *w->early);
        if (p == NULL) {
            w->out_of_memory = true;
            return;
        }
        w->early = p;
        w->early_room = room;
    }
    w->early[w->n_early++] = *d;
}

static void tell_digest(struct train_worker *w, const struct digest *d)
{
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (train_worker_is_other(w, p)) {
            train_worker_act(w, &w->network,
                             (struct train_action){.kind = TRAIN_ACTION_DIGEST,
                                                   .peer = p,
                                                   .clock = d->clock,
                                                   .digest = d->hash});
        }
    }
}

/* Ours is known: tell the others, and look at those that came before. */
static void on_own_digest(struct train_worker *w, const struct digest *d)
{
    size_t kept = 0;

    w->own_digests[w->n_own_digests++ % DIGESTS_HELD] = *d;
    tell_digest(w, d);
    for (size_t i = 0; i < w->n_early; i++) {
        if (w->early[i].clock == d->clock) {
            compare_digests(w, d, &w->early[i]);
        } else if (w->early[i].clock > d->clock) {
            w->early[kept++] = w->early[i];
        }
    }
    w->n_early = kept;
}

static void on_digest_of_other(struct train_worker *w, const struct digest *d)
{
    const struct digest *ours = own_digest(w, d->clock);
    size_t last = (w->n_own_digests - 1) % DIGESTS_HELD;

    if (ours != NULL) {
        compare_digests(w, ours, d);
    } else if (w->n_own_digests == 0 || d->clock > w->own_digests[last].clock) {
        keep_early(w, d);
    }
}

static void on_digest(struct train_worker *w, const struct train_event *ev)
{
    struct digest d = {ev->peer, ev->clock, ev->digest};
    bool own = ev->peer == w->o.self;

    if (train_worker_in_order(w) && own) {
        on_own_digest(w, &d);
    } else if (train_worker_in_order(w)) {
        on_digest_of_other(w, &d);
    }
    if (!own || ev->clock != w->o.delivery.last_clock || w->state != ENDING) {
        return;
    }
    w->all_applied = true;
    w->done_said_ns = ev->now_ns;
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (train_worker_is_other(w, p)) {
            train_worker_tell(w, TRAIN_ACTION_DONE, p, w->clock, 0);
        }
    }
    try_end(w);
}

/* A peer that says it again has not heard us. */
static void on_done(struct train_worker *w, const struct train_event *ev)
{
    struct member *m = &w->members[ev->peer];
    bool again = m->done;

    m->done = true;
    if (again && w->all_applied) {
        train_worker_tell(w, TRAIN_ACTION_DONE, ev->peer, w->clock, 0);
    }
    try_end(w);
}

static void on_gone(struct train_worker *w, const struct train_event *ev)
{
    struct member *m = &w->members[ev->peer];
    bool left = ev->kind == TRAIN_EVENT_BYE;

    if (m->bye) {
        return;
    }
    m->bye = true;
    if (m->done) {
        try_end(w);
        return;
    }
    if (left && w->end_clock != 0) {
        /* All it had for us came before. */
        if (m->have < train_delivery_complete(&w->o.delivery, w->end_clock)) {
            train_worker_end(w);
        }
        return;
    }
    stop(w, ERR_UNREACHABLE, ev->peer,
         "peer %u is gone since clock %" PRIu64 ": %s", ev->peer,
         m->have < m->newest ? m->have : m->newest, left ? "it left" : ev->why);
}

/* A peer has ended the job. Others may hear of us that we left before they hear
 * of it, so they hear it of us, too. */
static void end_early(struct train_worker *w, const struct train_event *ev)
{
    for (p2p_peer p = 0; p < w->o.n_peers && w->end_clock == 0; p++) {
        if (train_worker_is_other(w, p) && p != ev->peer) {
            train_worker_tell(w, TRAIN_ACTION_STOP, p, ev->clock, 0);
        }
    }
    w->end_clock = ev->clock;
    if (!train_worker_in_order(w) || w->clock >= w->end_clock) {
        train_worker_end(w);
    }
}

static void on_stop(struct train_worker *w, const struct train_event *ev)
{
    if (ev->peer == w->o.self) {
        stop(w, ev->reason, ev->peer, "%s", ev->why);
        return;
    }
    if (w->state != ENDED) {
        snprintf(w->why, sizeof w->why, "%s (peer %u says)", ev->why, ev->peer);
        w->outcome = ev->reason;
        w->outcome_peer = ev->peer;
        if (ev->reason == ERR_CLOSED) {
            end_early(w, ev);
        } else {
            train_worker_end(w);
        }
    }
}

/* What others send concerns them; our own events may concern everybody. */
static void update_due(struct train_worker *w, const struct train_event *ev)
{
    p2p_peer p = ev->peer;
    uint64_t due;

    if (p != w->o.self) {
        train_timers_set(&w->due, p, train_worker_peer_due_ns(w, p));
    } else if (ev->kind != TRAIN_EVENT_TICK) {
        update_all_due(w);
    }
    while (p = train_timers_next(&w->due), due = train_worker_peer_due_ns(w, p),
           due != w->due.due_ns[p]) {
        train_timers_set(&w->due, p, due);
    }
}

int train_worker_step(struct train_worker *w, const struct train_event *ev)
{
    int rc = 0;

    assert(ev->peer < w->o.n_peers);
    w->now_ns = ev->now_ns;
    switch (ev->kind) {
    case TRAIN_EVENT_OWN:
        rc = on_own(w, ev);
        break;
    case TRAIN_EVENT_BATCH:
        rc = train_worker_on_batch(w, ev);
        break;
    case TRAIN_EVENT_ACK:
        train_worker_on_ack(w, ev);
        break;
    case TRAIN_EVENT_WANT:
        train_worker_on_want(w, ev);
        break;
    case TRAIN_EVENT_DIGEST:
        on_digest(w, ev);
        break;
    case TRAIN_EVENT_DONE:
        on_done(w, ev);
        break;
    case TRAIN_EVENT_BYE:
    case TRAIN_EVENT_LOST:
        on_gone(w, ev);
        break;
    case TRAIN_EVENT_STOP:
        on_stop(w, ev);
        break;
    case TRAIN_EVENT_TICK:
        train_worker_on_tick(w, ev);
        break;
    }
    update_due(w, ev);
    return w->out_of_memory ? ERR_NOMEM : rc;
}

bool train_worker_next_network(struct train_worker *w, struct train_action *a)
{
    return next(&w->network, a);
}

bool train_worker_next_replica(struct train_worker *w, struct train_action *a)
{
    bool any = next(&w->replica, a);

    if (any && (a->kind == TRAIN_ACTION_CLOSE || a->kind == TRAIN_ACTION_END)) {
        w->n_decided--;
    }
    return any;
}

uint64_t train_worker_clock(const struct train_worker *w)
{
    return w->clock;
}

uint32_t train_worker_staleness(const struct train_worker *w)
{
    return w->staleness;
}

uint64_t train_worker_due_ns(const struct train_worker *w)
{
    return w->due.due_ns[train_timers_next(&w->due)];
}

unsigned train_worker_pace(const struct train_worker *w)
{
    return train_spread_pace(&w->spread);
}

uint64_t train_worker_have(const struct train_worker *w, p2p_peer peer)
{
    return w->members[peer].have;
}

bool train_worker_gate_open(const struct train_worker *w)
{
    return w->n_decided > 0;
}

bool train_worker_ended(const struct train_worker *w)
{
    return w->state == ENDED;
}

int train_worker_outcome(const struct train_worker *w,
                         p2p_peer *peer,
                         const char **why)
{
    *peer = w->outcome_peer;
    *why = w->why;
    return w->outcome;
}
