#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "train/worker_state.h"

void train_worker_arrive(struct train_worker *w, p2p_peer peer, uint64_t clock)
{
    if (train_worker_in_order(w)) {
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

    assert(!train_worker_in_order(w) ||
           (clock == m->applied && clock < m->have));
    m->applied++;
    train_worker_act(w, &w->replica,
                     (struct train_action){.kind = TRAIN_ACTION_APPLY,
                                           .peer = peer,
                                           .clock = clock});
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
        limit = w->clock + 1 > TRAIN_WINDOW / 2
                    ? w->clock + 1 - TRAIN_WINDOW / 2
                    : 0;
        break;
    }
    return train_delivery_complete(&w->o.delivery, limit);
}

bool train_worker_holds_up(const struct train_worker *w, p2p_peer p)
{
    const struct member *m = &w->members[p];
    uint64_t far =
        w->clock + 1 > TRAIN_WINDOW / 2 ? w->clock + 1 - TRAIN_WINDOW / 2 : 0;

    return m->have < needed(w) ||
           (train_worker_is_other(w, p) && m->acked < far);
}

/* Whether any peer keeps the gate closed. Who does not, will not before the
 * next clock. */
static bool is_held_up(struct train_worker *w)
{
    while (w->n_let_go < w->o.n_peers &&
           !train_worker_holds_up(w, w->n_let_go)) {
        w->n_let_go++;
    }
    return w->n_let_go < w->o.n_peers;
}

/* Whether all others have our batch of clock released. */
static bool is_free(struct train_worker *w)
{
    while (w->n_freed < w->o.n_peers &&
           !(train_worker_is_other(w, w->n_freed) &&
             w->members[w->n_freed].acked <= w->released)) {
        w->n_freed++;
    }
    return w->n_freed == w->o.n_peers;
}

void train_worker_release(struct train_worker *w)
{
    while (w->released < w->members[w->o.self].applied && is_free(w)) {
        train_worker_act(w, &w->replica,
                         (struct train_action){.kind = TRAIN_ACTION_RELEASE,
                                               .clock = w->released});
        w->released++;
        w->n_freed = 0;
    }
}

void train_worker_try_close(struct train_worker *w)
{
    if (w->state != AT_GATE || is_held_up(w)) {
        return;
    }
    if (train_worker_in_order(w)) {
        apply_in_order(w, needed(w));
    } else {
        for (size_t i = 0; i < w->n_arrivals; i++) {
            apply(w, w->arrivals[i].peer, w->arrivals[i].clock);
        }
        w->n_arrivals = 0;
    }
    log_trace(w->o.log, "clock %" PRIu64 " closed", w->clock);
    train_worker_act(
        w, &w->replica,
        (struct train_action){.kind = TRAIN_ACTION_CLOSE, .clock = w->clock});
    w->n_decided++;
    train_worker_release(w);
    w->clock++;
    w->state = w->clock == w->o.delivery.last_clock ? ENDING : COMPUTING;
    if (w->clock == w->end_clock) {
        train_worker_end(w);
    }
    train_spread_begin(&w->spread, w->now_ns);
}
