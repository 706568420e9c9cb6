#include <inttypes.h>
#include <stdlib.h>

#include "train/worker_state.h"

/* A peer is asked for at most so many batches at once. */
#define ASK_MAX 64

/* So often the origin is asked in vain before others are. */
#define ASK_ORIGIN 2

/* Patience doubles so many times while asking brings nothing. */
#define RETRY_DOUBLINGS_MAX 5

/* An acknowledgement goes alone when so many batches, or own clocks, have come
 * since the last: whoever sends to us, but is seldom sent anything, may not run
 * far ahead of it. */
#define ACK_BATCHES (TRAIN_WINDOW / 8)
#define ACK_CLOCKS  (TRAIN_WINDOW / 8)

/* Send what @p was not sent at once of the group that this clock ends. */
static void deliver_group(struct train_worker *w, p2p_peer p, uint64_t end)
{
    const struct train_delivery *d = &w->o.delivery;
    uint64_t first = w->clock;
    bool late = !train_delivery_eager(d, w->o.self, p, first);

    while (first > w->o.first_clock &&
           train_delivery_group_end(d, first - 1) == end) {
        first--;
        late = late || !train_delivery_eager(d, w->o.self, p, first);
    }
    if (late) {
        log_trace(w->o.log, "send group to clock %" PRIu64 " to peer %u", end,
                  p);
        train_worker_tell(w, TRAIN_ACTION_GROUP, p, first, end);
    }
}

void train_worker_deliver(struct train_worker *w, p2p_peer p)
{
    const struct train_delivery *d = &w->o.delivery;
    const struct member *m = &w->members[p];
    uint64_t end = train_delivery_group_end(d, w->clock);

    if (train_delivery_eager(d, w->o.self, p, w->clock)) {
        log_trace(w->o.log, "send clock %" PRIu64 " to peer %u", w->clock, p);
        train_worker_tell(w, TRAIN_ACTION_SEND, p, w->clock, 0);
    }
    if (w->clock + 1 == end && !train_delivery_leaves_out(d)) {
        deliver_group(w, p, end);
    }
    if (m->ack_owed && w->clock >= m->ack_owed_clock + ACK_CLOCKS) {
        train_worker_tell(w, TRAIN_ACTION_ACK, p, m->have, 0);
    }
}

void train_worker_wait_for(struct train_worker *w, p2p_peer peer, bool already)
{
    if (!already) {
        w->members[peer].patient_ns = w->now_ns;
        w->members[peer].n_asked = 0;
    }
}

/* Something came that @peer wants to hear of. What is sent to it carries an
 * acknowledgement; else that goes alone, in a while. */
static void owe(struct train_worker *w, p2p_peer peer)
{
    struct member *m = &w->members[peer];

    if (!m->ack_owed) {
        m->ack_owed = true;
        m->ack_owed_ns = w->now_ns;
        m->ack_owed_clock = w->clock;
        m->n_owed = 0;
    }
}

/* Note that a batch came. False: it cannot be, or came before. */
static bool receive(struct train_worker *w, p2p_peer peer, uint64_t clock)
{
    struct member *m = &w->members[peer];

    if (peer == w->o.self || clock >= w->o.delivery.last_clock ||
        !train_delivery_note(&w->o.delivery, peer, w->o.self, &m->ahead,
                             &m->have, clock)) {
        return false;
    }
    train_worker_arrive(w, peer, clock);
    if (clock >= m->newest) {
        m->newest = clock + 1;
    }
    return true;
}

int train_worker_on_batch(struct train_worker *w, const struct train_event *ev)
{
    struct member *m = &w->members[ev->peer];
    bool lacked = train_worker_lacks(w, ev->peer);
    uint64_t have = m->have;

    owe(w, ev->peer);
    if (!receive(w, ev->peer, ev->clock)) {
        return ERR_INVALID;
    }
    train_worker_wait_for(w, ev->peer, lacked && m->have == have);
    log_trace(w->o.log, "batch of peer %u, clock %" PRIu64, ev->peer,
              ev->clock);
    if (++m->n_owed >= ACK_BATCHES) {
        train_worker_tell(w, TRAIN_ACTION_ACK, ev->peer, m->have, 0);
    }
    train_worker_try_close(w);
    return 0;
}

/* What never comes to a peer counts as there, at both ends: it may say so of
 * clocks that we have not computed. */
void train_worker_on_ack(struct train_worker *w, const struct train_event *ev)
{
    const struct train_delivery *d = &w->o.delivery;
    struct member *m = &w->members[ev->peer];
    p2p_peer self = w->o.self;
    uint64_t have = w->members[self].have;

    m->pace = ev->pace != 0 ? ev->pace : m->pace;
    if (ev->clock <= m->acked ||
        (ev->clock > have &&
         ev->clock > train_delivery_next(d, self, ev->peer, have))) {
        return;
    }
    m->acked = train_delivery_next(d, self, ev->peer, ev->clock);
    train_worker_try_close(w);
    train_worker_release(w);
}

/* Only what is for the one who asks; the driver knows what is still held. */
void train_worker_on_want(struct train_worker *w, const struct train_event *ev)
{
    const struct train_delivery *d = &w->o.delivery;
    const bool own = ev->origin == w->o.self;
    uint64_t c = ev->clock, until = own ? w->members[w->o.self].have
                                        : w->o.delivery.last_clock;

    if (ev->until < until) {
        until = ev->until;
    }
    if (until > c && until - c > ASK_MAX) {
        until = c + ASK_MAX;
    }
    owe(w, ev->peer);
    for (c = train_delivery_next(d, ev->origin, ev->peer, c); c < until;
         c = train_delivery_next(d, ev->origin, ev->peer, c + 1)) {
        log_trace(w->o.log, "peer %u wants clock %" PRIu64 " of peer %u",
                  ev->peer, c, ev->origin);
        if (own) {
            train_worker_tell(w, TRAIN_ACTION_SEND, ev->peer, c, 1);
        } else {
            train_worker_act(w, &w->network,
                             (struct train_action){.kind = TRAIN_ACTION_HELD,
                                                   .peer = ev->peer,
                                                   .origin = ev->origin,
                                                   .clock = c,
                                                   .until = 1});
        }
    }
}

static uint64_t patience_ns(const struct train_worker *w,
                            const struct member *m)
{
    unsigned doublings =
        m->n_asked < RETRY_DOUBLINGS_MAX ? m->n_asked : RETRY_DOUBLINGS_MAX;

    return w->o.retry_ns << doublings;
}

bool train_worker_lacks(const struct train_worker *w, p2p_peer p)
{
    const struct member *m = &w->members[p];

    return (w->state == AT_GATE && train_worker_holds_up(w, p)) ||
           m->have <
               train_delivery_complete(&w->o.delivery, w->o.first_clock) ||
           train_delivery_due(&w->o.delivery, p, w->o.self, m->have, m->newest);
}

/* Ask for what is missing of @p: it itself, or, when it was asked in vain, in
 * every second turn somebody who must have it. */
static void ask(struct train_worker *w, p2p_peer p)
{
    struct member *m = &w->members[p];
    p2p_peer whom = p;

    if (m->n_asked >= ASK_ORIGIN && (m->n_asked - ASK_ORIGIN) % 2 == 0) {
        whom = train_delivery_holder(&w->o.delivery, p, w->o.self, m->have,
                                     (m->n_asked - ASK_ORIGIN) / 2);
        whom = w->members[whom].bye ? p : whom;
    }
    m->patient_ns = w->now_ns;
    m->n_asked++;
    log_trace(w->o.log, "ask peer %u for clock %" PRIu64 " of peer %u", whom,
              m->have, p);
    w->members[whom].ack_owed = false;
    train_worker_act(w, &w->network,
                     (struct train_action){.kind = TRAIN_ACTION_ASK,
                                           .peer = whom,
                                           .origin = p,
                                           .clock = m->have,
                                           .until = m->have + ASK_MAX});
}

static void tick_peer(struct train_worker *w, p2p_peer p, uint64_t now_ns)
{
    struct member *m = &w->members[p];

    if (!train_worker_is_other(w, p)) {
        return;
    }
    if (train_worker_lacks(w, p) &&
        now_ns - m->patient_ns >= patience_ns(w, m)) {
        ask(w, p);
    }
    if (m->ack_owed && now_ns - m->ack_owed_ns >= w->o.retry_ns / 2) {
        train_worker_tell(w, TRAIN_ACTION_ACK, p, m->have, 0);
    }
    if (w->all_applied && !m->done &&
        now_ns - w->done_said_ns >= w->o.retry_ns) {
        train_worker_tell(w, TRAIN_ACTION_DONE, p, w->clock, 0);
    }
}

static int by_rank(const void *a, const void *b)
{
    p2p_peer x = *(const p2p_peer *)a, y = *(const p2p_peer *)b;

    return x < y ? -1 : x > y;
}

/* Those whose time has come, by rank. */
void train_worker_on_tick(struct train_worker *w, const struct train_event *ev)
{
    size_t n = 0;
    p2p_peer p;

    while (p = train_timers_next(&w->due), w->due.due_ns[p] <= ev->now_ns) {
        train_timers_set(&w->due, p, UINT64_MAX);
        w->ticked[n++] = p;
    }
    qsort(w->ticked, n, sizeof *w->ticked, by_rank);
    for (size_t i = 0; i < n; i++) {
        tick_peer(w, w->ticked[i], ev->now_ns);
    }
    if (ev->now_ns - w->done_said_ns >= w->o.retry_ns) {
        w->done_said_ns = ev->now_ns;
    }
    for (size_t i = 0; i < n; i++) {
        p = w->ticked[i];
        train_timers_set(&w->due, p, train_worker_peer_due_ns(w, p));
    }
}

uint64_t train_worker_peer_due_ns(const struct train_worker *w, p2p_peer p)
{
    const struct member *m = &w->members[p];
    uint64_t due = UINT64_MAX;

    if (!train_worker_is_other(w, p)) {
        return due;
    }
    if (train_worker_lacks(w, p)) {
        due = m->patient_ns + patience_ns(w, m);
    }
    if (m->ack_owed && m->ack_owed_ns + w->o.retry_ns / 2 < due) {
        due = m->ack_owed_ns + w->o.retry_ns / 2;
    }
    if (w->all_applied && !m->done && w->done_said_ns + w->o.retry_ns < due) {
        due = w->done_said_ns + w->o.retry_ns;
    }
    return due;
}
