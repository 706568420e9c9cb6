/* A whole job in one process and in virtual time.
 *
 * Every peer has its engine, hub, mesh and shard, as in training; its gradients
 * are computed for real, from its replica as it would be then. What is modelled
 * is the network (p2p/sim.h) and time: a gradient takes compute_ns, a batch
 * apply_ns to apply, and the network side of a peer works meanwhile, as the
 * network thread does.
 *
 * So what is computed is what training computes: under bsp and pipeline the
 * very bits, whatever the network; in other modes what that order of arrivals
 * leads to. Given compute_ns and apply_ns, all of it is a function of the
 * settings.
 *
 * Stragglers are spread evenly over the ranks; peer 0 is one only if all are.
 * Peers greet one another before the time that is reported begins.
 */

#ifndef TRAIN_SIMULATE_H_
#define TRAIN_SIMULATE_H_

#include <signal.h>

#include "core/hash.h"
#include "core/log.h"
#include "train/run.h"

/* How the job stood when peer 0 had a clock applied, or at the end. */
struct train_simulate_point {
    uint64_t clock;     /* Of peer 0, */
    uint64_t clock_min; /* and of the slowest. */
    double epoch;       /* Of peer 0's clock. */
    double seconds;     /* Virtual. */
    double loss; /* Of the minibatches of all peers since the last point. */
    double test_loss, test_accuracy; /* Of peer 0's replica. NaN: no test. */
    uint64_t bytes_sent, msgs_sent;  /* By all peers until now. */
    uint32_t staleness; /* That peer 0's gate allows: adaptive chooses it. */
    double waiting; /* Share of the peers' time at closed gates, until now. */
};

struct train_simulate_result {
    struct train_simulate_point last; /* When all peers had everything. */
    uint64_t samples;
    uint64_t bytes_encoded; /* What peers computed, once. */
    uint64_t u_entries, u_entries_dense;
    uint64_t compute_ns, apply_ns; /* Given or measured. */
    uint32_t n_stragglers;
    double seconds_computing; /* Virtual, means over the peers, */
    double seconds_applying, seconds_waiting;
    double seconds_waiting_stragglers; /* and over the stragglers. NaN: none. */
    uint32_t n_states;                 /* Different replicas at the end. */
    struct hash128 digest;             /* Of peer 0's first matrix. */
    uint64_t n_events;                 /* Messages delivered. */
    double seconds_real;               /* Of this process. */
};

struct train_simulate_options {
    struct train_run *run;     /* As train_peer_options.run. Moved. */
    double epochs;             /* If run->clocks is 0. */
    size_t n_threads;          /* For computing. */
    uint64_t link_bytes_per_s; /* Of every peer, each way. 0: no limit. */
    uint64_t delay_ns;         /* One way. */
    uint32_t loss_permille;    /* Messages lost. */
    uint64_t retry_ns;         /* Patience before a batch is asked for again. */
    uint64_t compute_ns; /* Of a peer for a clock's gradient. 0: measure. */
    uint64_t apply_ns;   /* Of a peer for a batch. 0: measure. */
    double speed;        /* What was measured is divided by it. */
    double jitter; /* Times of gradients vary by this share, up and down. */
    double straggler_share;  /* Of the peers, rounded up. */
    double straggler_factor; /* Their times are so many times as long. */
    uint64_t n_points;       /* About so many, if run->eval_every is 0. */
    const volatile sig_atomic_t *interrupted; /* May be NULL. */
    /* Called when data and times are known, and at every point. */
    void (*begin)(void *arg,
                  const struct train_run *run,
                  const struct train_simulate_result *r);
    void (*point)(void *arg, const struct train_simulate_point *p);
    void *arg;
    struct log *log;
};

/* @result is zeros where the job did not get to it.
 *
 * Errors: ERR_INVALID (options, data), ERR_NOT_FINITE, ERR_DIVERGED,
 *         ERR_UNREACHABLE (a peer was silent for longer than the peer timeout:
 *         the network is that slow), ERR_INTERRUPTED, ERR_NOMEM, and those of
 *         dataset_read().
 * Cost:   memory is that of the different replicas there are at one time; the
 *         time is that of all peers' gradients and of every different gate. */
int train_simulate(const struct train_simulate_options *o,
                   struct train_simulate_result *result,
                   struct err *e);

#endif /* TRAIN_SIMULATE_H_ */
