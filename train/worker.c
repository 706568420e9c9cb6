#include "train/worker.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many digests of a peer wait for ours, or ours for theirs. */
#define DIGESTS_HELD 8

/* A peer is asked for at most so many batches at once. */
#define ASK_MAX 64

/* Patience doubles so many times while asking brings nothing. */
#define RETRY_DOUBLINGS_MAX 5

struct digest {
    bool here;
    uint64_t clock;
    struct hash128 hash;
};

/* What we know of one peer. For ourselves, have is what we computed. */
struct member {
    uint64_t have;    /* Its batches below this clock are here. */
    uint64_t newest;  /* It has computed all clocks below this, as we know. */
    uint64_t applied; /* In order: its batches below this clock were handed to
                       * apply. Else how many were. */
    uint64_t acked;   /* Our batches below this clock are there. */
    struct train_window ahead; /* Came, but are not below have. */
    uint64_t patient_ns;       /* Since when we wait for something of it. */
    unsigned n_asked;          /* How often we asked since the last one came. */
    bool ack_owed;
    uint64_t ack_owed_ns; /* Since when. */
    bool done;
    bool bye;
    struct train_spread spread;
    struct digest digests[DIGESTS_HELD];
};

struct arrival {
    p2p_peer peer;
    uint64_t clock;
};

struct actions {
    struct train_action *items;
    size_t first, count, room;
};

enum worker_state { COMPUTING, AT_GATE, ENDING, ENDED };

struct train_worker {
    struct train_worker_options o;
    enum worker_state state;
    uint64_t clock;
    uint64_t now_ns;                     /* Of the event that is looked at. */
    uint32_t staleness;                  /* That the gate demands now. */
    const struct train_spread **spreads; /* (n_peers) of members. */
    uint64_t released; /* Our batches below this clock are released. */
    bool all_applied;  /* W_last is there. */
    uint64_t done_said_ns;
    struct member *members;   /* (n_peers). */
    struct arrival *arrivals; /* ssp, asp: came and not yet applied. */
    size_t n_arrivals, arrivals_room;
    struct actions network, replica;
    size_t n_decided; /* CLOSEs and ENDs in replica. */
    bool out_of_memory;
    int outcome;
    p2p_peer outcome_peer;
    char why[ERR_MSG_SIZE];
};

static void
act(struct train_worker *w, struct actions *a, struct train_action x)
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

/* Tell @peer something that needs no more than a clock. Whatever goes out
 * carries an acknowledgement. */
static void tell(struct train_worker *w,
                 enum train_action_kind kind,
                 p2p_peer peer,
                 uint64_t clock,
                 uint64_t until)
{
    w->members[peer].ack_owed = false;
    act(w, &w->network,
        (struct train_action){
            .kind = kind, .peer = peer, .clock = clock, .until = until});
}

static bool is_other(const struct train_worker *w, p2p_peer p)
{
    return p != w->o.self && !w->members[p].bye;
}

int train_worker_create(struct train_worker **worker,
                        const struct train_worker_options *o,
                        struct err *e)
{
    struct train_worker *w;

    if (o->n_peers == 0 || o->n_peers > TRAIN_PEERS_MAX ||
        o->self >= o->n_peers || o->first_clock > o->delivery.last_clock ||
        o->staleness > TRAIN_STALENESS_MAX) {
        return err_set(
            e, ERR_INVALID, "peer %u of %u from clock %" PRIu64 " to %" PRIu64,
            o->self, o->n_peers, o->first_clock, o->delivery.last_clock);
    }
    w = calloc(1, sizeof *w);
    if (w != NULL) {
        w->members = calloc(o->n_peers, sizeof *w->members);
    }
    if (w != NULL) {
        w->spreads = calloc(o->n_peers, sizeof *w->spreads);
    }
    if (w == NULL || w->members == NULL || w->spreads == NULL) {
        train_worker_destroy(w);
        return err_set(e, ERR_NOMEM, "engine for %u peers", o->n_peers);
    }
    w->o = *o;
    w->o.applied = NULL;
    w->o.ahead = NULL;
    w->staleness = o->mode == TRAIN_ADAPTIVE ? o->staleness_min : o->staleness;
    w->clock = o->first_clock;
    for (p2p_peer p = 0; p < o->n_peers; p++) {
        struct member *m = &w->members[p];
        m->applied = o->applied != NULL ? o->applied[p] : o->first_clock;
        m->have = m->newest = m->applied;
        w->spreads[p] = &m->spread;
        if (o->ahead != NULL) {
            m->ahead = o->ahead[p]; /* Need not come again. */
        }
    }
    w->members[o->self].have = o->first_clock;
    w->released = w->members[o->self].applied;
    for (p2p_peer p = 0; p < o->n_peers; p++) {
        w->members[p].acked = w->released;
    }
    if (o->first_clock == o->delivery.last_clock) {
        w->state = ENDING;
    }
    *worker = w;
    return 0;
}

void train_worker_destroy(struct train_worker *w)
{
    if (w == NULL) {
        return;
    }
    free(w->members);
    free(w->arrivals);
    free(w->spreads);
    free(w->network.items);
    free(w->replica.items);
    free(w);
}

static bool in_order(const struct train_worker *w)
{
    return w->o.mode == TRAIN_BSP || w->o.mode == TRAIN_PIPELINE;
}

static void arrive(struct train_worker *w, p2p_peer peer, uint64_t clock)
{
    if (in_order(w)) {
        return; /* Ranks and clocks say the order. */
    }
    if (w->n_arrivals == w->arrivals_room) {
        size_t room = w->arrivals_room == 0 ? 64 : 2 * w->arrivals_room;
        void *p = realloc(w->arrivals, room * sizeof *w->arrivals);
        if (p == NULL) {
            w->out_of_memory = true;
            return;
        }
        w->arrivals = p;
        w->arrivals_room = room;
    }
    w->arrivals[w->n_arrivals++] = (struct arrival){peer, clock};
}

static void apply(struct train_worker *w, p2p_peer peer, uint64_t clock)
{
    struct member *m = &w->members[peer];

    assert(!in_order(w) || (clock == m->applied && clock < m->have));
    m->applied++;
    act(w, &w->replica,
        (struct train_action){
            .kind = TRAIN_ACTION_APPLY, .peer = peer, .clock = clock});
}

/* Everybody's batches below @limit, by clock and rank. */
static void apply_in_order(struct train_worker *w, uint64_t limit)
{
    uint64_t clock = limit;

    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (w->members[p].applied < clock) {
            clock = w->members[p].applied;
        }
    }
    for (; clock < limit; clock++) {
        for (p2p_peer p = 0; p < w->o.n_peers; p++) {
            if (w->members[p].applied == clock) {
                apply(w, p, clock);
            }
        }
    }
}

/* The batches of peers below this clock must be here for the gate to open. */
static uint64_t needed(const struct train_worker *w)
{
    uint64_t s = w->staleness;

    uint64_t limit = 0;

    if (w->clock + 1 >= w->o.delivery.last_clock) {
        return w->o.delivery.last_clock; /* The last state has everything. */
    }
    switch (w->o.mode) {
    case TRAIN_BSP:
        limit = w->clock + 1;
        break;
    case TRAIN_PIPELINE:
        limit = w->clock + 1 > s ? w->clock + 1 - s : 0;
        break;
    case TRAIN_SSP:
    case TRAIN_ADAPTIVE:
        limit = w->clock > s ? w->clock - s : 0;
        break;
    case TRAIN_ASP:
    case TRAIN_MODE_COUNT:
        break;
    }
    return train_delivery_complete(&w->o.delivery, limit);
}

/* @p keeps the gate closed: a batch of it is missing, or we may not run further
 * ahead of what it has acknowledged. */
static bool holds_up(const struct train_worker *w, p2p_peer p)
{
    const struct member *m = &w->members[p];
    uint64_t far =
        w->clock + 1 > TRAIN_WINDOW / 2 ? w->clock + 1 - TRAIN_WINDOW / 2 : 0;

    return m->have < needed(w) || (is_other(w, p) && m->acked < far);
}

/* The first peer that keeps the gate closed, or n_peers. */
static p2p_peer holdup(const struct train_worker *w)
{
    p2p_peer p = 0;

    while (p < w->o.n_peers && !holds_up(w, p)) {
        p++;
    }
    return p;
}

/* Let go of our batches that everybody has, ourselves included. */
static void release(struct train_worker *w)
{
    uint64_t least = w->members[w->o.self].applied;

    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (is_other(w, p) && w->members[p].acked < least) {
            least = w->members[p].acked;
        }
    }
    for (; w->released < least; w->released++) {
        act(w, &w->replica,
            (struct train_action){.kind = TRAIN_ACTION_RELEASE,
                                  .clock = w->released});
    }
}

static void try_close(struct train_worker *w)
{
    if (w->state != AT_GATE || holdup(w) != w->o.n_peers) {
        return;
    }
    if (in_order(w)) {
        apply_in_order(w, needed(w));
    } else {
        for (size_t i = 0; i < w->n_arrivals; i++) {
            apply(w, w->arrivals[i].peer, w->arrivals[i].clock);
        }
        w->n_arrivals = 0;
    }
    log_trace(w->o.log, "clock %" PRIu64 " closed", w->clock);
    act(w, &w->replica,
        (struct train_action){.kind = TRAIN_ACTION_CLOSE, .clock = w->clock});
    w->n_decided++;
    release(w);
    w->clock++;
    w->state = w->clock == w->o.delivery.last_clock ? ENDING : COMPUTING;
    train_spread_begin(&w->members[w->o.self].spread, w->now_ns);
}

static void end(struct train_worker *w)
{
    if (w->state != ENDED) {
        w->state = ENDED;
        act(w, &w->replica, (struct train_action){.kind = TRAIN_ACTION_END});
        w->n_decided++;
    }
}

static void try_end(struct train_worker *w)
{
    if (w->state != ENDING || !w->all_applied) {
        return;
    }
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (is_other(w, p) && !w->members[p].done) {
            return;
        }
    }
    log_debug(w->o.log, "all peers are done at clock %" PRIu64, w->clock);
    end(w);
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
        if (is_other(w, p) && p != peer) {
            tell(w, TRAIN_ACTION_STOP, p, w->clock, 0);
        }
    }
    end(w);
}

/* Send the batch of this clock to @p now, or with its group. */
static void deliver(struct train_worker *w, p2p_peer p)
{
    const struct train_delivery *d = &w->o.delivery;
    uint64_t first = w->clock, end = train_delivery_group_end(d, w->clock);
    bool eager = train_delivery_eager(d, w->o.self, p, w->clock);
    bool late = !eager;

    if (eager) {
        log_trace(w->o.log, "send clock %" PRIu64 " to peer %u", w->clock, p);
        tell(w, TRAIN_ACTION_SEND, p, w->clock, 0);
    }
    if (w->clock + 1 != end) {
        return;
    }
    while (first > w->o.first_clock &&
           train_delivery_group_end(d, first - 1) == end) {
        first--;
        late = late || !train_delivery_eager(d, w->o.self, p, first);
    }
    if (late) {
        log_trace(w->o.log, "send group to clock %" PRIu64 " to peer %u", end,
                  p);
        tell(w, TRAIN_ACTION_GROUP, p, first, end);
    }
}

static void choose_staleness(struct train_worker *w, uint64_t now_ns)
{
    train_spread_add(&w->members[w->o.self].spread, now_ns, 1);
    if (w->o.mode == TRAIN_ADAPTIVE) {
        w->staleness = train_spread_staleness(
            w->spreads, w->o.n_peers, w->o.staleness_min, w->o.staleness);
    }
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
    choose_staleness(w, ev->now_ns);
    arrive(w, w->o.self, w->clock);
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (is_other(w, p)) {
            deliver(w, p);
        }
        w->members[p].patient_ns = ev->now_ns;
        w->members[p].n_asked = 0;
    }
    w->state = AT_GATE;
    try_close(w);
    return 0;
}

/* Note that a batch came. False: it cannot be, or came before. */
static bool
receive(struct train_worker *w, p2p_peer peer, uint64_t clock, uint64_t now_ns)
{
    struct member *m = &w->members[peer];

    if (peer == w->o.self || clock >= w->o.delivery.last_clock ||
        !train_window_add(&m->ahead, &m->have, clock)) {
        return false;
    }
    arrive(w, peer, clock);
    if (clock >= m->newest) {
        train_spread_add(&m->spread, now_ns, clock + 1 - m->newest);
        m->newest = clock + 1;
    }
    return true;
}

static int on_batch(struct train_worker *w, const struct train_event *ev)
{
    struct member *m = &w->members[ev->peer];

    if (!m->ack_owed) {
        m->ack_owed = true;
        m->ack_owed_ns = ev->now_ns;
    }
    if (!receive(w, ev->peer, ev->clock, ev->now_ns)) {
        return ERR_INVALID;
    }
    m->patient_ns = ev->now_ns;
    m->n_asked = 0;
    log_trace(w->o.log, "batch of peer %u, clock %" PRIu64, ev->peer,
              ev->clock);
    try_close(w);
    return 0;
}

static void on_ack(struct train_worker *w, const struct train_event *ev)
{
    struct member *m = &w->members[ev->peer];

    if (ev->clock > m->acked && ev->clock <= w->members[w->o.self].have) {
        m->acked = ev->clock;
        try_close(w);
        release(w);
    }
}

static void on_want(struct train_worker *w, const struct train_event *ev)
{
    struct member *m = &w->members[ev->peer];
    uint64_t until = w->members[w->o.self].have;

    if (ev->until < until) {
        until = ev->until;
    }
    if (!m->ack_owed) {
        m->ack_owed = true; /* What is sent carries one; else it goes alone. */
        m->ack_owed_ns = ev->now_ns;
    }
    for (uint64_t c = ev->clock; c < until && c < ev->clock + ASK_MAX; c++) {
        log_trace(w->o.log, "peer %u wants clock %" PRIu64, ev->peer, c);
        tell(w, TRAIN_ACTION_SEND, ev->peer, c, 1);
    }
}

static struct digest *digest_slot(struct member *m, uint64_t clock)
{
    struct digest *oldest = &m->digests[0];

    for (size_t i = 0; i < DIGESTS_HELD; i++) {
        struct digest *d = &m->digests[i];
        if (d->here && d->clock == clock) {
            return d;
        }
        if (!d->here || (oldest->here && d->clock < oldest->clock)) {
            oldest = d;
        }
    }
    return oldest;
}

static void
compare_digests(struct train_worker *w, p2p_peer peer, uint64_t clock)
{
    const struct digest *ours = digest_slot(&w->members[w->o.self], clock);
    const struct digest *theirs = digest_slot(&w->members[peer], clock);
    char a[HASH_HEX_SIZE], b[HASH_HEX_SIZE];

    if (!ours->here || !theirs->here || ours->clock != clock ||
        theirs->clock != clock ||
        (ours->hash.high == theirs->hash.high &&
         ours->hash.low == theirs->hash.low)) {
        return;
    }
    hash_hex(ours->hash, a);
    hash_hex(theirs->hash, b);
    stop(w, ERR_DIVERGED, peer,
         "replicas differ at clock %" PRIu64
         ": the digest is %s at peer %u and %s at peer %u",
         clock, a, w->o.self, b, peer);
}

static void on_digest(struct train_worker *w, const struct train_event *ev)
{
    bool own = ev->peer == w->o.self;

    *digest_slot(&w->members[ev->peer], ev->clock) =
        (struct digest){.here = true, .clock = ev->clock, .hash = ev->digest};
    for (p2p_peer p = 0; p < w->o.n_peers && in_order(w); p++) {
        if (own && is_other(w, p)) {
            act(w, &w->network,
                (struct train_action){.kind = TRAIN_ACTION_DIGEST,
                                      .peer = p,
                                      .clock = ev->clock,
                                      .digest = ev->digest});
        }
        if (p != w->o.self && (own || p == ev->peer)) {
            compare_digests(w, p, ev->clock);
        }
    }
    if (!own || ev->clock != w->o.delivery.last_clock || w->state != ENDING) {
        return;
    }
    w->all_applied = true;
    w->done_said_ns = ev->now_ns;
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        if (is_other(w, p)) {
            tell(w, TRAIN_ACTION_DONE, p, w->clock, 0);
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
        tell(w, TRAIN_ACTION_DONE, ev->peer, w->clock, 0);
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
    stop(w, ERR_UNREACHABLE, ev->peer,
         "peer %u is gone since clock %" PRIu64 ": %s", ev->peer, m->have,
         left ? "it left" : ev->why);
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
        end(w);
    }
}

static uint64_t patience_ns(const struct train_worker *w,
                            const struct member *m)
{
    unsigned doublings =
        m->n_asked < RETRY_DOUBLINGS_MAX ? m->n_asked : RETRY_DOUBLINGS_MAX;

    return w->o.retry_ns << doublings;
}

/* There is something of @p that should be here: a batch, or an acknowledgement
 * that lets us go on. */
static bool lacks(const struct train_worker *w, p2p_peer p)
{
    const struct member *m = &w->members[p];

    return (w->state == AT_GATE && holds_up(w, p)) ||
           m->have <
               train_delivery_complete(&w->o.delivery, w->o.first_clock) ||
           train_delivery_due(&w->o.delivery, p, w->o.self, m->have, m->newest);
}

static void on_tick(struct train_worker *w, const struct train_event *ev)
{
    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        struct member *m = &w->members[p];
        if (!is_other(w, p)) {
            continue;
        }
        if (lacks(w, p) && ev->now_ns - m->patient_ns >= patience_ns(w, m)) {
            m->patient_ns = ev->now_ns;
            m->n_asked++;
            log_trace(w->o.log, "ask peer %u for clock %" PRIu64, p, m->have);
            tell(w, TRAIN_ACTION_ASK, p, m->have, m->have + ASK_MAX);
        }
        if (m->ack_owed && ev->now_ns - m->ack_owed_ns >= w->o.retry_ns / 2) {
            tell(w, TRAIN_ACTION_ACK, p, m->have, 0);
        }
        if (w->all_applied && !m->done &&
            ev->now_ns - w->done_said_ns >= w->o.retry_ns) {
            tell(w, TRAIN_ACTION_DONE, p, w->clock, 0);
        }
    }
    if (ev->now_ns - w->done_said_ns >= w->o.retry_ns) {
        w->done_said_ns = ev->now_ns;
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
        rc = on_batch(w, ev);
        break;
    case TRAIN_EVENT_ACK:
        on_ack(w, ev);
        break;
    case TRAIN_EVENT_WANT:
        on_want(w, ev);
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
        on_tick(w, ev);
        break;
    }
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

uint64_t train_worker_due_ns(const struct train_worker *w)
{
    uint64_t due = UINT64_MAX;

    for (p2p_peer p = 0; p < w->o.n_peers; p++) {
        const struct member *m = &w->members[p];
        if (!is_other(w, p)) {
            continue;
        }
        if (lacks(w, p) && m->patient_ns + patience_ns(w, m) < due) {
            due = m->patient_ns + patience_ns(w, m);
        }
        if (m->ack_owed && m->ack_owed_ns + w->o.retry_ns / 2 < due) {
            due = m->ack_owed_ns + w->o.retry_ns / 2;
        }
        if (w->all_applied && !m->done &&
            w->done_said_ns + w->o.retry_ns < due) {
            due = w->done_said_ns + w->o.retry_ns;
        }
    }
    return due;
}

int train_worker_outcome(const struct train_worker *w,
                         p2p_peer *peer,
                         const char **why)
{
    *peer = w->outcome_peer;
    *why = w->why;
    return w->outcome;
}
