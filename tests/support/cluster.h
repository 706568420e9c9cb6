/* A cluster of real engines, hubs and meshes on a simulated network, in virtual
 * time and in one thread.
 *
 * Every node trains a small matrix: its batch of a clock is a function of its
 * rank, the clock and its replica, so replicas that once differ go on to
 * differ. What engines say when they compute and close a clock is recorded with
 * its virtual time and rank, and a test may be the story that it expects to
 * read:
 *
 *     [  10] 1 > clock 0 closed
 */

#ifndef TESTS_SUPPORT_CLUSTER_H_
#define TESTS_SUPPORT_CLUSTER_H_

#include <stdbool.h>

#include "core/clock.h"
#include "core/log.h"
#include "p2p/sim.h"
#include "sv/apply.h"
#include "train/hub.h"
#include "train/pieces.h"

#define CLUSTER_NODES_MAX 16
#define CLUSTER_J         7
#define CLUSTER_K         5

struct cluster_options {
    struct p2p_sim_options net;
    enum train_mode mode;
    uint32_t staleness;
    uint64_t clocks;
    enum p2p_multicast_kind multicast; /* With fan_out and lazy: how batches */
    uint32_t fan_out;                  /* travel; all zero: to all at once. */
    uint32_t lazy;
    enum train_repair repair;
    uint32_t mix_clocks;                    /* S of sync:S and rotate:S. */
    uint64_t compute_ns[CLUSTER_NODES_MAX]; /* Per clock; 0: 10 ms. */
    uint64_t digest_every;
    uint64_t timeout_ns; /* 0: an hour. */
    uint64_t retry_ns;   /* 0: 100 ms. */
};

struct cluster;

struct cluster_node {
    struct log log; /* Must be first. */
    struct cluster *cluster;
    p2p_peer rank;
    struct train_hub *hub;
    struct sv_state state;
    uint64_t clock; /* Computing it, or at its gate. */
    bool at_gate;
    bool ended;
    bool frozen;       /* Does nothing, as if it were stopped. */
    uint64_t ready_ns; /* When computing is over. */
    uint64_t *applied; /* (clocks) how many batches each closing applied. */
    bool *has;         /* (n, clocks) whose batch of which clock was applied. */
    uint64_t n_applied[CLUSTER_NODES_MAX]; /* By origin. */
    uint64_t
        n_batch_msgs;    /* It said that it sent so many batches and groups. */
    uint64_t n_eager;    /* At once, of these. */
    uint64_t n_results;  /* Of rounds in which replicas are mixed. */
    uint64_t n_asked;    /* And asked so often. */
    uint64_t behind_max; /* Own clock minus the slowest peer's, ever. */
};

struct cluster {
    struct cluster_options o;
    struct p2p_sim *net;
    uint32_t n;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    struct sv_apply *apply;
    struct train_pieces pieces; /* Of two rows. */
    bool telling;               /* Record the story. */
    char story[1 << 15];        /* What happened and was not yet expected. */
    size_t story_size;
};

void cluster_set_up(struct cluster *c, const struct cluster_options *o);
void cluster_tear_down(struct cluster *c);

/* Go on until @until_ns of virtual time, or until all nodes have ended. */
void cluster_run(struct cluster *c, uint64_t until_ns);

bool cluster_ended(const struct cluster *c);

/* Fail the test unless the story since the last call is @expected. */
void cluster_expect(struct cluster *c, const char *expected);

/* Whether node @p has applied the batch of @q of @clock. */
bool cluster_has(const struct cluster *c,
                 p2p_peer p,
                 p2p_peer q,
                 uint64_t clock);

/* Whether the replicas of two nodes have the same bits. */
bool cluster_equal(const struct cluster *c, p2p_peer a, p2p_peer b);

#endif /* TESTS_SUPPORT_CLUSTER_H_ */
