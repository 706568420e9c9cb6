/* What a clock costs by each way of sending: batches of a job, from its data or
 * from its log, are selected, encoded and applied here, each way in turn, and
 * train/cost.h says what that means for bytes, messages, flops and memory. No
 * network is used and no log written.
 */

#ifndef CLI_EXPLAIN_H_
#define CLI_EXPLAIN_H_

#include <stdbool.h>

#include "dataset/dataset.h"
#include "train/auto.h"
#include "train/cost.h"
#include "train/replica.h"

#define EXPLAIN_CLOCKS    4  /* That are looked at, at most. */
#define EXPLAIN_NAME_SIZE 96 /* Bytes of the name of a way. */

struct explain {
    struct train_replica *replica; /* Not owned. */
    size_t n_clocks;
    size_t n;                 /* Matrices. */
    struct sv_batch *batches; /* (n_clocks, n). Owned. */
    bool all_pairs; /* The batches are what was computed: neither selected nor
                     * rounded. */
    double samples; /* Of a minibatch, all peers alike. */
    double u_share; /* Of the entries of u that are kept. */
    double link;    /* Bytes per second, each direction. */
    double seconds_compute; /* Forward, loss, SVs; with selection, if the
                             * batches are selected. */
};

struct explain_way {
    char name[EXPLAIN_NAME_SIZE];
    bool matrix;        /* No pairs are sent. */
    double pairs;       /* Of a peer and clock. */
    double record_size; /* Bytes that are sent of them, to one peer. */
    double error;       /* Of the selection. NaN: nothing is left out. */
    char out[TRAIN_AUTO_OUT_SIZE]; /* Why it cannot stand for all pairs, by
                                    * train/auto.h; "": it can. */
    struct train_cost_traffic traffic;
    double flops;
    double memory_size;
    double seconds_select; /* And rounding. */
    double seconds_encode;
    double seconds_apply; /* Of all peers' batches, with decoding. */
    double seconds_link;
    double seconds; /* Of a clock: the sum, or the longer of work and link
                     * where the mode of the job hides one behind the other. */
};

/* Compute the batches of the first clocks from @data, the shard of peer 0.
 * The replica is at clock 0, and its run selects and encodes as it is told to
 * by the user: what is kept is what comes before. Errors: as
 * train_clock_compute(). @x needs fini in any case. */
int explain_from_data(struct explain *x,
                      struct train_replica *replica,
                      const struct dataset *data,
                      struct err *e);

/* Take the last batches of the log's own peer. Errors: ERR_NOT_FOUND (no clock
 * is there), and those of ckpt_reader_batch(). @x needs fini in any case. */
int explain_from_log(struct explain *x,
                     struct train_replica *replica,
                     struct err *e);
void explain_fini(struct explain *x);

/* Measure the way that @run's selection, codec, multicast and groups are. Only
 * those of the job itself make sense unless x->all_pairs. Errors: as
 * select_run(), sv_codec_encode(), sv_apply_ops(). */
int explain_sv(struct explain *x,
               const struct train_run *run,
               struct explain_way *way,
               struct err *e);

/* Set way->out from way->error, for the selection of @run. */
void explain_judge(const struct explain *x,
                   const struct train_run *run,
                   struct explain_way *way);

/* The same batches and work as in @sv, but delivered as @run says. */
void explain_delivered(const struct explain *x,
                       const struct explain_way *sv,
                       const struct train_run *run,
                       struct explain_way *way);

/* The dense gradient, by servers (@ring: by ring all-reduce). Errors: as
 * sv_apply_ops(). */
int explain_matrix(struct explain *x,
                   bool ring,
                   struct explain_way *way,
                   struct err *e);

/* Pairs up to which the job's batches cost fewer bytes than the matrix. */
double explain_break_even(const struct explain *x, double pair_size);

#endif /* CLI_EXPLAIN_H_ */
