/* The compute thread: clock after clock, from a replica at W_first to W_last.
 *
 *     sample -> gradient -> encode -> log, hub -> gate -> apply -> step record
 *
 * What happens between peers is behind the hub, what happens on disk is behind
 * the log.
 */

#ifndef TRAIN_LOOP_H_
#define TRAIN_LOOP_H_

#include <signal.h>

#include "ckpt/log.h"
#include "core/log.h"
#include "dataset/dataset.h"
#include "train/hub.h"
#include "train/mix.h"
#include "train/replica.h"

/* What a peer has to tell about its training so far. Sums are of this process:
 * what came before a resume is not in them. */
struct train_summary {
    uint64_t clock;       /* W_clock is there. */
    uint64_t first_clock; /* Where this process began. */
    enum sv_rule rule;
    struct train_transfer_spec transfer;
    float lr;
    uint64_t clocks; /* Of the whole job. */
    double epoch;
    double loss;          /* Mean over the last minibatches, nats. */
    double test_loss;     /* NaN: never evaluated. */
    double test_accuracy; /* NaN: never evaluated. */
    uint64_t test_clock;  /* When that was. */
    uint64_t samples;
    uint64_t pairs;         /* Sent. */
    double selection_error; /* Of the last clock. */
    uint64_t log_bytes;
    uint64_t encoded_bytes;   /* Own records. */
    uint64_t u_entries;       /* Entries of u that were sent, */
    uint64_t u_entries_dense; /* and that dense u would have had. */
    struct p2p_stats stats;   /* Of the network, all peers together. */
    double seconds_train;     /* From the first clock to the last. */
    double seconds_cpu;       /* CPU time of the process meanwhile. */
    double seconds_compute;   /* Without selecting. */
    double seconds_select;
    double seconds_encode;
    double seconds_wait;
    double seconds_apply;
    double seconds_log;
    double seconds_eval;
    uint64_t rss_max_bytes; /* Of the process, ever. */
    struct hash128 digest;  /* Of the first matrix at clock. */
    bool has_digest;
    struct train_until until; /* The target of the job, and whether it is */
    bool reached;             /* reached, at clock. */
};

struct train_loop_options {
    struct train_replica *replica; /* At W_first. */
    const struct dataset *data;    /* The own shard. */
    const struct dataset *test;    /* NULL: this peer does not evaluate. */
    struct train_hub *hub;
    struct train_mix *mix; /* Of the replica. */
    struct ckpt_log *log;
    uint32_t self;
    uint64_t last_clock;
    /* For --select auto: what train_auto_options has. */
    double link, latency;
    struct p2p_stats before; /* Of the transport, when that was measured. */
    /* A line that the user should see. May be NULL. */
    void (*note)(void *arg, const char *text);
    void *note_arg;
    const volatile sig_atomic_t *interrupted; /* May be NULL. */
    /* Called now and then, by the compute thread. May be NULL. */
    void (*progress)(void *arg, const struct train_summary *s);
    void *progress_arg;
};

/* Train. @s is filled in whatever happens.
 *
 * Errors: ERR_UNREACHABLE (a peer is gone), ERR_INTERRUPTED, ERR_NOT_FINITE,
 *         ERR_DIVERGED, ERR_FULL and ERR_IO (the log), ERR_CORRUPT (a batch),
 *         ERR_NOMEM. Up to s->clock everything is in the log. */
int train_loop_run(const struct train_loop_options *o,
                   struct train_summary *s,
                   struct err *e);

#endif /* TRAIN_LOOP_H_ */
