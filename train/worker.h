/* The decisions of one peer, and nothing else.
 *
 * The engine does no I/O, reads no clock and owns no thread. Whoever drives it
 * reports what happened as a struct train_event; what is to be done comes back
 * as a list of struct train_action:
 *
 *     event -> train_worker_step() -> actions
 *
 * train/loop.c drives it with libfabric and a real clock, tests/support drives
 * a whole cluster of them in virtual time.
 *
 * What it decides: when the gate of a clock opens and what is applied then (see
 * enum train_mode), which batches to send, to ask for again and to send again,
 * what to acknowledge, whether digests agree, when to stop and when all is
 * done.
 *
 * In bsp and pipeline, batches are applied by clock and rank. Where a schedule
 * lets some come late (train/delivery.h), a clock counts as here when all of
 * its group can be: replicas have equal bits at equal clocks all the same, and
 * are up to L clocks behind. In ssp, adaptive and asp whatever came is applied
 * at the next gate, and only the bound of ssp waits for whole groups.
 *
 * Where a schedule leaves some out for good (train/delivery.h: repair none),
 * whatever is said here of all batches of a peer means those that reach us. The
 * bound of ssp then holds from neighbour to neighbour: p + 1 gets every batch
 * of p, so that no two peers are further apart than P - 1 times the bound. In
 * bsp and pipeline it cannot be.
 *
 * What does not come in time is asked for again: twice from its origin, then in
 * turn from a peer that must have it (train_delivery_holder()) and from its
 * origin. What was applied is held for that for a while: train/held.h.
 *
 * A peer may end the job at its clock, before the last, by a STOP for
 * ERR_CLOSED: in bsp and pipeline, peers that are behind go on to that clock
 * (all it takes was sent before), others end where they are.
 *
 * A peer keeps its own batches until all others have them, and does not run
 * further ahead of the slowest acknowledgement than TRAIN_WINDOW / 2 clocks, in
 * any mode: that bounds the memory of all. Nor does it run further ahead than
 * that of what came of the slowest, in asp either: at the last gate it waits
 * for all, and must be able to hold what comes until then.
 */

#ifndef TRAIN_WORKER_H_
#define TRAIN_WORKER_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/hash.h"
#include "core/log.h"
#include "p2p/transport.h"
#include "train/delivery.h"
#include "train/run.h"
#include "train/spread.h"
#include "train/window.h"

struct train_worker_options {
    p2p_peer self;
    uint32_t n_peers;
    enum train_mode mode;
    uint32_t staleness;
    uint32_t staleness_min;         /* adaptive. */
    struct train_delivery delivery; /* Its last_clock is where the job ends. */
    uint64_t first_clock;    /* Where this process begins: W_first is ready. */
    const uint64_t *applied; /* (n_peers) batches of p with clock < applied[p]
                              * are in W_first. NULL: first_clock for all. */
    const struct train_window *ahead; /* (n_peers) those at or above applied[p]
                                       * that are in W_first too. NULL: none. */
    uint64_t retry_ns; /* Patience before a batch is asked for again. */
    struct log *log;
};

enum train_event_kind {
    TRAIN_EVENT_OWN = 1, /* The batches of the clock are computed. */
    TRAIN_EVENT_BATCH,   /* A batch of peer, of clock, has arrived. */
    TRAIN_EVENT_ACK,     /* peer has our batches with clock < clock, but for
                          * those that never come to it. */
    TRAIN_EVENT_WANT,    /* peer asks for the batches of origin, ourselves or
                          * another, of [clock, until). */
    TRAIN_EVENT_DIGEST,  /* Digest of peer (or our own) at clock. Our own of
                          * last_clock also says that all is applied. */
    TRAIN_EVENT_DONE,    /* peer has all batches of everybody. */
    TRAIN_EVENT_BYE,     /* peer has left in good order. */
    TRAIN_EVENT_LOST,    /* peer is gone. */
    TRAIN_EVENT_STOP,    /* peer (or we ourselves) had to stop, for reason. */
    TRAIN_EVENT_TICK     /* Time has passed. */
};

struct train_event {
    enum train_event_kind kind;
    uint64_t now_ns;
    p2p_peer peer;
    uint64_t clock;
    uint64_t until;        /* WANT. */
    p2p_peer origin;       /* WANT. */
    unsigned pace;         /* ACK: of peer's clocks; 0: it does not say. */
    struct hash128 digest; /* DIGEST. */
    int reason;            /* STOP, LOST: a code of core/err.h. */
    const char *why;       /* STOP, LOST: in words. */
};

enum train_action_kind {
    TRAIN_ACTION_SEND = 1, /* Send our batch of clock to peer; until is 1 if it
                            * asked for it. */
    TRAIN_ACTION_GROUP,    /* Send peer those batches of ours of [clock, until)
                            * that it was not sent at once, in one message. */
    TRAIN_ACTION_HELD,     /* Send peer, who asked for it, the batch of origin
                            * of clock, if it is still held. */
    TRAIN_ACTION_ASK,      /* Ask peer for the batches of origin, itself or
                            * another, of [clock, until). */
    TRAIN_ACTION_ACK,      /* Tell peer what we have of it. */
    TRAIN_ACTION_DIGEST,   /* Send our digest of clock to peer. */
    TRAIN_ACTION_DONE,     /* Tell peer that we have everything. */
    TRAIN_ACTION_APPLY,    /* Part of closing a clock: apply the batch of peer,
                            * of clock. */
    TRAIN_ACTION_CLOSE,    /* Behind the APPLYs: clock is closed, W_{clock+1}
                            * is there once they are carried out. */
    TRAIN_ACTION_RELEASE,  /* Our batch of clock is not needed any more. */
    TRAIN_ACTION_STOP,     /* Tell peer why we stop. */
    TRAIN_ACTION_END       /* Nothing more to do: see train_worker_outcome(). */
};

struct train_action {
    enum train_action_kind kind;
    p2p_peer peer;
    uint64_t clock;
    uint64_t until;
    p2p_peer origin; /* HELD, ASK. */
    struct hash128 digest;
};

struct train_worker;

/* Errors: ERR_NOMEM, ERR_INVALID. */
int train_worker_create(struct train_worker **w,
                        const struct train_worker_options *o,
                        struct err *e);
void train_worker_destroy(struct train_worker *w);

/* Advance the state. Actions collect behind one another until they are taken.
 *
 * Errors: ERR_NOMEM    no room for an action: the peer must stop.
 *         ERR_INVALID  BATCH only: it came twice, or is from a clock that
 * cannot be: drop it. Nothing changed. */
int train_worker_step(struct train_worker *w, const struct train_event *event);

/* Take the next action that is for the network (SEND, GROUP, HELD, ASK, ACK,
 * DIGEST, DONE, STOP) or for the replica (the others), in the order they arose.
 */
bool train_worker_next_network(struct train_worker *w, struct train_action *a);
bool train_worker_next_replica(struct train_worker *w, struct train_action *a);

/* The clock that is being computed or waits at its gate. */
uint64_t train_worker_clock(const struct train_worker *w);

/* How far behind the slowest may be for the gate to open: as given, or, in
 * adaptive, as chosen last. */
uint32_t train_worker_staleness(const struct train_worker *w);

/* In adaptive, how long our clocks take: what acks carry, too. Else 0. */
unsigned train_worker_pace(const struct train_worker *w);

/* All batches of @peer below this clock are here, as far as they ever come (see
 * train_delivery_next()): what acks carry. */
uint64_t train_worker_have(const struct train_worker *w, p2p_peer peer);

/* A CLOSE or END waits to be taken. */
bool train_worker_gate_open(const struct train_worker *w);

/* END was decided: the job is done, or must stop. */
bool train_worker_ended(const struct train_worker *w);

/* When the next TICK makes a difference. UINT64_MAX: never. */
uint64_t train_worker_due_ns(const struct train_worker *w);

/* 0 while all is well and when all is done; else the first reason to stop, with
 * the story in *why (lives as long as the worker) and who it was about. */
int train_worker_outcome(const struct train_worker *w,
                         p2p_peer *peer,
                         const char **why);

#endif /* TRAIN_WORKER_H_ */
