/* What a clock does to a replica, without threads, network or log: from W_c to
 * the records of the own batches, and from the batches of all to W_{c+1}.
 *
 * The loop of real training drives it, and so does whatever else plays peers.
 */

#ifndef TRAIN_CLOCK_H_
#define TRAIN_CLOCK_H_

#include "ckpt/step.h"
#include "core/blob.h"
#include "dataset/dataset.h"
#include "dataset/sampler.h"
#include "sv/codec.h"
#include "train/choice.h"
#include "train/hub.h"
#include "train/replica.h"

/* What came of a minibatch. */
struct train_clock_work {
    struct model_loss loss;
    uint64_t n_pairs;       /* That are sent. */
    double selection_error; /* The largest of all matrices. */
    double seconds_select;  /* Choosing which pairs are sent. */
    uint64_t n_u;           /* Entries of u that are sent, */
    uint64_t n_u_dense;     /* and that dense u would have. */
};

/* Memory that clocks reuse. Those that one thread drives, of one model, may
 * share it. */
struct train_clock_tools {
    size_t n_scratch;                 /* Threads. */
    size_t n;                         /* Matrices. */
    struct sv_codec_scratch *scratch; /* (n_scratch). */
    struct buf bytes;                 /* Encoding. */
    struct sv_batch *came;            /* (came_room, n) decoded batches. */
    size_t came_room;                 /* Clocks' worth of batches. */
    struct sv_op *ops;                /* (ops_room). */
    size_t ops_room;
    struct sv_apply *apply;
};

/* Errors: ERR_NOMEM; @t needs fini all the same. */
int train_clock_tools_init(struct train_clock_tools *t,
                           const struct train_replica *replica,
                           struct err *e);
void train_clock_tools_fini(struct train_clock_tools *t);

struct train_clock {
    struct train_replica *replica; /* Not owned. */
    const struct dataset *data;    /* The own shard. Not owned. */
    uint32_t self;
    size_t n; /* Matrices. */
    struct dataset_sampler sampler;
    uint32_t *rows;       /* (batch) rows of the minibatch. */
    struct sv_batch *own; /* (n) what this clock sends. */
    struct train_choice choice;
    struct train_clock_tools *tools; /* Not owned. */
};

/* Errors: ERR_NOMEM; @c needs fini all the same. */
int train_clock_init(struct train_clock *c,
                     struct train_replica *replica,
                     const struct dataset *data,
                     uint32_t self,
                     struct train_clock_tools *tools,
                     struct err *e);
void train_clock_fini(struct train_clock *c);

/* Turn the minibatch of @clock into all its SV pairs, in c->own. Errors: as
 * train_clock_compute(). */
int train_clock_gradient(struct train_clock *c,
                         uint64_t clock,
                         struct model_loss *loss,
                         struct err *e);

/* Turn the minibatch of @clock into the SV pairs that are sent, which stay in
 * c->own until the next call, with the very values that decoding gives. Errors:
 * ERR_NOT_FINITE (the message names the row), ERR_NOMEM, ERR_INVALID. */
int train_clock_compute(struct train_clock *c,
                        uint64_t clock,
                        struct train_clock_work *work,
                        struct err *e);

/* The records of c->own, as they are sent and logged. *blob is a new reference.
 * Errors: ERR_NOMEM, ERR_INVALID (too large). */
int train_clock_encode(struct train_clock *c,
                       uint64_t clock,
                       struct blob **blob,
                       struct err *e);

/* The same of batches without pairs. */
int train_clock_encode_nothing(struct train_clock *c,
                               uint64_t clock,
                               struct blob **blob,
                               struct err *e);

/* Apply @items in order, the own batch of step->clock among them from c->own,
 * with what the optimizer does around them. The ops go to @step.
 *
 * Errors: ERR_CORRUPT, ERR_NOT_FINITE (a batch: the message names it),
 *         ERR_NOMEM. */
int train_clock_apply(struct train_clock *c,
                      const struct train_hub_item *items,
                      size_t n_items,
                      struct ckpt_step *step,
                      struct err *e);

#endif /* TRAIN_CLOCK_H_ */
