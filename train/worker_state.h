/* The inside of the engine, shared by the files that decide: train/worker.c
 * (events, ends and digests), train/worker_gate.c (when a clock closes, and
 * what is applied then) and train/worker_talk.c (what is sent, acknowledged and
 * asked for). */

#ifndef TRAIN_WORKER_STATE_H_
#define TRAIN_WORKER_STATE_H_

#include "train/timers.h"
#include "train/worker.h"

/* How many of our digests wait for others, and, on average, how many of each
 * peer for ours. */
#define DIGESTS_HELD 8

struct digest {
    p2p_peer peer;
    uint64_t clock;
    struct hash128 hash;
};

/* What we know of one peer. For ourselves, have is what we computed. */
struct member {
    uint64_t have;    /* Its batches below this clock are here, as far as they
                       * ever come; that of this clock is one that comes. */
    uint64_t newest;  /* It has computed all clocks below this, as we know. */
    uint64_t applied; /* In order: its batches below this clock were handed to
                       * apply. Else how many were. */
    uint64_t acked;   /* Our batches below this clock are there, likewise. */
    struct train_window ahead; /* Came, but are not below have. */
    uint64_t patient_ns;       /* Since when we wait for something of it. */
    unsigned n_asked;          /* How often we asked since the last one came. */
    bool ack_owed;
    uint64_t ack_owed_ns;    /* Since when, */
    uint64_t ack_owed_clock; /* and since which clock of ours. */
    unsigned n_owed;         /* Batches that came since. */
    bool done;
    bool bye;
    unsigned pace; /* As it said; 0: not yet. */
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
    uint64_t now_ns;            /* Of the event that is looked at. */
    uint32_t staleness;         /* That the gate demands now. */
    struct train_spread spread; /* adaptive: of our clocks, */
    struct train_bound bound;   /* and what follows for staleness. */
    uint64_t released;          /* Our batches below this clock are released. */
    bool all_applied;           /* W_last is there. */
    uint64_t end_clock; /* A peer has ended the job there. 0: none has. */
    uint64_t done_said_ns;
    struct member *members; /* (n_peers). */
    /* Of most events that concern one peer, nothing else need be looked at:
     * what follows is brought up to date by need. */
    struct train_timers due; /* By peer: not later than due_ns() of it, and of
                              * the first one just that. */
    p2p_peer *ticked;        /* (n_peers) Whom a TICK looks at. */
    p2p_peer n_let_go; /* Peers below do not keep the gate of clock closed, */
    p2p_peer n_freed;  /* have our batch of clock released, */
    p2p_peer n_done;   /* and are done, or gone. */
    struct digest own_digests[DIGESTS_HELD]; /* The last ones. */
    size_t n_own_digests;                    /* Ever. */
    struct digest *early; /* Digests of others that wait for ours. */
    size_t n_early, early_room;
    struct arrival *arrivals; /* ssp, asp: came and not yet applied. */
    size_t n_arrivals, arrivals_room;
    struct actions network, replica;
    size_t n_decided; /* CLOSEs and ENDs in replica. */
    bool out_of_memory;
    int outcome;
    p2p_peer outcome_peer;
    char why[ERR_MSG_SIZE];
};

static inline bool train_worker_is_other(const struct train_worker *w,
                                         p2p_peer p)
{
    return p != w->o.self && !w->members[p].bye;
}

static inline bool train_worker_in_order(const struct train_worker *w)
{
    return w->o.mode == TRAIN_BSP || w->o.mode == TRAIN_PIPELINE;
}

/* Append an action to w->network or w->replica. */
void train_worker_act(struct train_worker *w,
                      struct actions *a,
                      struct train_action x);

/* Tell @peer something that needs no more than a clock. Whatever goes out
 * carries an acknowledgement. */
void train_worker_tell(struct train_worker *w,
                       enum train_action_kind kind,
                       p2p_peer peer,
                       uint64_t clock,
                       uint64_t until);

/* A batch is here: unless ranks and clocks say the order, it is applied at the
 * next gate. */
void train_worker_arrive(struct train_worker *w, p2p_peer peer, uint64_t clock);

/* @p keeps the gate closed: a batch of it is missing, or we may not run further
 * ahead of what it has acknowledged. */
bool train_worker_holds_up(const struct train_worker *w, p2p_peer p);

/* Close the clock if the gate is open. */
void train_worker_try_close(struct train_worker *w);

/* Let go of our batches that everybody has, ourselves included. */
void train_worker_release(struct train_worker *w);

/* Send the batch of this clock to @p now, or with its group. */
void train_worker_deliver(struct train_worker *w, p2p_peer p);

/* There is something of @p that should be here: a batch, or an acknowledgement
 * that lets us go on. */
bool train_worker_lacks(const struct train_worker *w, p2p_peer p);

/* Begin to wait for what should be here of @peer, unless we did so @already. */
void train_worker_wait_for(struct train_worker *w, p2p_peer peer, bool already);

/* When time makes a difference for @p, as things are; UINT64_MAX: never. */
uint64_t train_worker_peer_due_ns(const struct train_worker *w, p2p_peer p);

/* The job is over: whatever the gates say now. */
void train_worker_end(struct train_worker *w);

/* Events. */
int train_worker_on_batch(struct train_worker *w, const struct train_event *ev);
void train_worker_on_ack(struct train_worker *w, const struct train_event *ev);
void train_worker_on_want(struct train_worker *w, const struct train_event *ev);
void train_worker_on_tick(struct train_worker *w, const struct train_event *ev);

#endif /* TRAIN_WORKER_STATE_H_ */
