/* Where the compute thread and the network thread of a peer meet: the engine,
 * behind a lock, with the batches that it speaks of.
 *
 * The network thread drives the mesh and reports what it brings; the compute
 * thread hands in its own batches and waits at the gate. With one peer there is
 * no network thread, and the engine opens the gate at once.
 */

#ifndef TRAIN_HUB_H_
#define TRAIN_HUB_H_

#include <signal.h>

#include "core/blob.h"
#include "core/log.h"
#include "p2p/mesh.h"
#include "train/exchange.h"
#include "train/reduce.h"
#include "train/worker.h"

struct train_hub;

struct train_hub_options {
    struct train_worker_options worker;
    size_t n_matrices;
    struct p2p_transport *transport; /* Connected; NULL iff n_peers is 1. */
    uint64_t peer_timeout_ns;
    size_t held_bytes_max; /* Of batches of others that are kept for peers that
                            * miss them: see train/held.h. */
    /* What peers sum: kind, most, add. NULL: nothing. */
    const struct train_reduce_options *reduce;
    /* An own batch from before this process, for peers that ask, and for
     * pipelines that have not applied it yet. *blob is a new reference. */
    int (*load)(void *arg, uint64_t clock, struct blob **blob, struct err *e);
    void *load_arg;
    const volatile sig_atomic_t *interrupted; /* Nonzero: stop. May be NULL. */
    /* For simulation: what time it is, in place of clock_ns(). There is no
     * network thread then; train_hub_turn() does its work. NULL: real time. */
    uint64_t (*now)(void *arg);
    void *now_arg;
    /* Rounds, if its kind is not NONE: the hub fills in self, peers, clocks,
     * patience and log. There are none with one peer. */
    struct train_exchange_options exchange;
    struct log *log; /* Used by both threads. */
};

/* One batch to apply, in order. */
struct train_hub_item {
    p2p_peer peer;
    uint64_t clock;
    struct blob *blob; /* Its records. One reference. */
    float factor;      /* How many times it counts: sv_batch_scale(). */
};

/* Start the network thread. Errors: ERR_NOMEM, ERR_INVALID. */
int train_hub_create(struct train_hub **h,
                     const struct train_hub_options *o,
                     struct err *e);

/* Say goodbye if all is done, end the thread, release everything. */
void train_hub_destroy(struct train_hub *h);

/* The own batch of the engine's clock is computed. Owner: the hub takes its own
 * reference. Errors: ERR_NOMEM. */
int train_hub_own(struct train_hub *h, uint64_t clock, struct blob *batch);

/* Wait until the clock is closed. @items (owned by the hub, valid until the
 * next call; the caller unrefs the blobs) are what leads to the next clock.
 *
 * Errors: ERR_CLOSED  the job is over, see train_hub_outcome(): no items.
 *         others      a batch from before could not be loaded. */
int train_hub_gate(struct train_hub *h,
                   struct train_hub_item **items,
                   size_t *n_items,
                   struct err *e);

/* The same without waiting. Errors: as above, and ERR_AGAIN: not closed yet. */
int train_hub_try_gate(struct train_hub *h,
                       struct train_hub_item **items,
                       size_t *n_items,
                       struct err *e);

/* The own part of @piece, whose round begins at @clock, the one after the gate
 * that was passed last (or the first). Owner: the hub takes its own reference.
 * Errors: ERR_NOMEM. */
int train_hub_part(struct train_hub *h,
                   uint32_t piece,
                   uint64_t clock,
                   struct blob *body);

/* The results that came through the gate that was passed last: return how many.
 * @results are owned by the hub, valid until the next gate; the caller unrefs
 * their blobs. */
size_t train_hub_results(struct train_hub *h,
                         struct train_exchange_result **results);

/* One turn of the network thread: send, receive, look at deadlines. Returns for
 * how long nothing needs to be done unless something arrives; 0: turn again. */
uint64_t train_hub_turn(struct train_hub *h);

/* The digest of W_@clock is known. Call it for the last clock in any case. */
void train_hub_digest(struct train_hub *h,
                      uint64_t clock,
                      struct hash128 digest);

/* Sums over all peers: train_reduce_open(), train_reduce_begin(). */
int train_hub_reduce_open(struct train_hub *h,
                          uint64_t round,
                          uint32_t n_pieces,
                          struct err *e);
int train_hub_reduce_begin(struct train_hub *h,
                           uint32_t piece,
                           struct blob *part,
                           struct err *e);

/* Wait for the next sum of the round: train_reduce_take().
 *
 * Errors: ERR_NOT_FOUND  all have been taken.
 *         ERR_CLOSED     the job is over, see train_hub_outcome(). */
int train_hub_reduce_take(struct train_hub *h,
                          uint32_t *piece,
                          struct blob **sum,
                          struct err *e);

/* Nothing is left to compute: wait until all peers are done, or a stop. */
void train_hub_wait_end(struct train_hub *h);

/* This peer has to stop. Tells the others. */
void train_hub_stop(struct train_hub *h, int reason, const char *why);

/* train_worker_staleness(). */
uint32_t train_hub_staleness(struct train_hub *h);

/* Nothing more is to be done here: see train_hub_outcome(). */
bool train_hub_ended(struct train_hub *h);

/* 0: all is well so far. Else why the job stops. @why (ERR_MSG_SIZE). */
int train_hub_outcome(struct train_hub *h, p2p_peer *peer, char *why);

/* Sums over all peers. */
struct p2p_stats train_hub_stats(struct train_hub *h);

#endif /* TRAIN_HUB_H_ */
