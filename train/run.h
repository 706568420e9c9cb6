/* What a job is: everything that training is a function of, and how it is run.
 *
 * It stands as JSON in the RUN record of every peer's log, so that resume,
 * eval, predict and replay need nothing but the run directory:
 *
 *     DIR/peer-R/    the log of peer R: see ckpt/log.h
 */

#ifndef TRAIN_RUN_H_
#define TRAIN_RUN_H_

#include <stdbool.h>
#include <stdint.h>

#include "ckpt/log.h"
#include "core/err.h"
#include "dataset/dataset.h"
#include "models/model.h"
#include "p2p/multicast.h"
#include "select/spec.h"
#include "sv/apply.h"
#include "sv/codec_options.h"
#include "train/delivery.h"
#include "train/transfer_spec.h"
#include "train/until.h"

#define TRAIN_PEERS_MAX     1024   /* Peers of a job. */
#define TRAIN_STALENESS_MAX 64     /* Clocks, of pipeline:S and ssp:S. */
#define TRAIN_LAZY_MAX      64     /* Clocks, of lazy:L. */
#define TRAIN_MIX_MAX       100000 /* Clocks, of sync:S and rotate:S. */
#define TRAIN_REPAIR_SIZE   24     /* Bytes of a formatted kind of repair. */

/* When clock c + 1 may begin, and what is applied before it does. */
enum train_mode {
    TRAIN_BSP,      /* All batches of clock c are here; those, in rank order. */
    TRAIN_PIPELINE, /* All of clock c - s; exactly those, in rank order. */
    TRAIN_SSP,      /* All of clock c - s - 1; whatever arrived, as it came. */
    TRAIN_ASP,      /* Always, but see train/worker.h; whatever arrived, as it
                     * came. */
    TRAIN_ADAPTIVE, /* As ssp, with s chosen between bounds: train/spread.h. */
    TRAIN_MODE_COUNT
};

struct train_run {
    /* What training is a function of. */
    uint64_t run;   /* The job's random number. */
    char model[32]; /* Name of the model. */
    bool bias;      /* A constant feature. */
    uint32_t n_peers;
    uint64_t seed;
    uint32_t batch;    /* Samples per peer and clock. */
    uint64_t clocks;   /* Of the whole job. */
    enum sv_rule rule; /* SV_RULE_COUNT: see train_run_default(). */
    float lr;          /* 0: see train_run_default(). */
    float eps;         /* rowgrad, adagrad. */
    float momentum;    /* momentum: M is multiplied by it every clock. */
    float decay;       /* W is multiplied by 1 - lr decay every clock. */
    struct select_spec select;     /* Which pairs are sent. */
    struct sv_codec_options codec; /* How their values are. */
    float tau;                     /* Sparsification of u, 0: none. */
    bool unbiased;
    enum train_mode mode;
    uint32_t staleness;             /* pipeline, ssp: s. adaptive: at most. */
    uint32_t staleness_min;         /* adaptive: at least. */
    struct p2p_multicast multicast; /* Kind and fan-out only: see
                                     * train_run_delivery(). */
    enum train_repair repair;       /* See train/delivery.h. */
    uint32_t repair_clocks;         /* L or S, from 1; 0 of none. */
    enum dataset_sharding shards;   /* Which rows a peer trains on. */
    struct train_transfer_spec transfer; /* auto: until complete. */
    uint64_t digest_every;               /* Clocks, 0: at the end only. */
    uint64_t eval_every;                 /* Clocks, 0: at the end only. */
    uint64_t n_rows;                     /* Of the training file. */
    uint64_t data_fingerprint;           /* Of the training file. */
    uint64_t branch;       /* Not 0: it goes on from another run's past, */
    uint64_t branch_clock; /* W of this clock: see train/branch.h. */
    struct dataset_schema schema;

    /* How it is run; resume may change it. */
    char *data;   /* Path of the training file. Owned. */
    char *test;   /* Path of the test file, or NULL. Owned. */
    char *labels; /* Path of the labels, or NULL. Owned. */
    enum ckpt_durability durability;
    uint64_t durability_ns;
    uint64_t peer_timeout_ns;
    uint64_t segment_size; /* Bytes of the log's segments, 0: the default. */
    uint64_t keep_clocks;  /* Compact while training, 0: never: keep so many. */
    uint64_t log_limit;    /* Bytes of a peer's log, 0: none. */
    struct train_until until; /* Where it ends before the last clock. */
};

void train_run_init(struct train_run *r);
void train_run_fini(struct train_run *r);

/* Choose what the user left open: the rule by the form of the data, the
 * learning rate by the rule. Values are those of docs/measurements.md. */
void train_run_default(struct train_run *r, bool dense_data);

/* How a new job wants its training data read: all of them, without a pool. */
struct dataset_options train_run_data_options(const struct train_run *r);

/* Add what the training data (a shard will do) say of a new job: schema, rows,
 * what train_run_default() chooses, what travels if that is auto, and, if
 * clocks is 0, as many as @epochs make. Errors: ERR_NOMEM. */
int train_run_complete(struct train_run *r,
                       const struct dataset *data,
                       double epochs,
                       struct err *e);

/* Errors: ERR_NOMEM. The text is malloc()ed. */
int train_run_to_json(const struct train_run *r, char **text, struct err *e);

/* @r is initialized. Errors: ERR_CORRUPT (the message names the key),
 * ERR_NOMEM. */
int train_run_from_json(struct train_run *r, const char *text, struct err *e);

/* A number that two peers share iff their training is the same function: hash
 * of all but run, data paths, and how it is run. */
uint64_t train_run_fingerprint(const struct train_run *r);

/* "bsp", "pipeline:4", ... Errors of parse: ERR_INVALID, the message lists what
 * there is. */
void train_mode_format(const struct train_run *r, char text[32]);
int train_mode_parse(struct train_run *r, const char *text, struct err *e);

/* "0.03", "0.03:unbiased". Errors: ERR_INVALID. */
int train_sparsify_parse(struct train_run *r, const char *text, struct err *e);

/* "lazy:L", "none", "sync:S", "rotate:S". Errors of parse: ERR_INVALID, the
 * message lists what there is. */
void train_repair_format(const struct train_run *r,
                         char text[TRAIN_REPAIR_SIZE]);
int train_repair_parse(struct train_run *r, const char *text, struct err *e);

/* Whether the settings of a run go together, which each of them alone does not
 * show. Errors: ERR_INVALID, the message names the alternatives. */
int train_run_check(const struct train_run *r, struct err *e);

/* What batches travel by, in a job that ends at @last_clock. */
struct train_delivery train_run_delivery(const struct train_run *r,
                                         uint64_t last_clock);

/* How many clocks before one that all logs have reached a batch may be of that
 * some peer still lacks: so long a peer keeps its own. */
uint64_t train_run_memory(const struct train_run *r);

/* "DIR/peer-R". Owner: the caller frees it. NULL: no memory. */
char *train_peer_dir(const char *dir, uint32_t peer);

/* Epochs of the whole data set that @clock clocks of all peers make. */
double train_run_epochs(const struct train_run *r, uint64_t clock);

#endif /* TRAIN_RUN_H_ */
