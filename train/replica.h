/* A model as it was at some clock, rebuilt from a peer's log. */

#ifndef TRAIN_REPLICA_H_
#define TRAIN_REPLICA_H_

#include "ckpt/reader.h"
#include "core/hash.h"
#include "models/model.h"
#include "sv/apply.h"
#include "train/run.h"

#define TRAIN_CLOCK_LAST UINT64_MAX

struct train_replica {
    struct train_run run;
    struct ckpt_reader *reader;
    const struct model_ops *ops;
    struct model *model;
    size_t n_states;         /* Matrices. */
    struct sv_state *states; /* (n_states). Owned. */
    const struct mat **mats; /* (n_states) of the states, for the model. */
    uint64_t clock;          /* The states are W_clock, */
    bool altered;            /* but something was left out. */
    struct pool *pool;       /* Not owned, may be NULL. */
};

/* Make the model that @run describes, with fresh states at clock 0. @run is
 * moved into the replica. Errors: ERR_INVALID, ERR_NOMEM. */
int train_replica_create(struct train_replica *r,
                         struct train_run *run,
                         struct pool *pool,
                         struct err *e);

/* Open the log of @peer (-1: the lowest there is) under the run directory @dir
 * and make the model; the states are at clock 0.
 *
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT, ERR_INVALID, ERR_IO, ERR_NOMEM. */
int train_replica_open(struct train_replica *r,
                       const char *dir,
                       int64_t peer,
                       struct pool *pool,
                       struct err *e);
void train_replica_close(struct train_replica *r);

/* The digests of its matrices to @all (n_states), and one of them all, which
 * peers exchange. */
struct hash128 train_replica_digest(const struct train_replica *r,
                                    struct hash128 *all);

/* Replay to W_@clock (TRAIN_CLOCK_LAST: as far as the log goes), from where the
 * states are, from the nearest snapshot before it or from the beginning.
 * @progress may be NULL; it is called with the clock reached, and nonzero
 * stops.
 *
 * Errors: ERR_NOT_FOUND (the log does not go that far), and those of
 *         ckpt_replay(). */
int train_replica_seek(struct train_replica *r,
                       uint64_t clock,
                       int (*progress)(void *arg, uint64_t clock),
                       void *arg,
                       struct err *e);

/* The same, with what @skip says left out (see ckpt/replay.h), which may be no
 * batch of a step before @from: snapshots up to there serve. The replica is
 * then of no clock that was: seek again to go back.
 *
 * Errors: as seek; ERR_NOT_FOUND too if the log was compacted behind @from. */
struct train_without {
    uint64_t from;
    bool (*skip)(void *arg, uint64_t clock, const struct ckpt_op *op);
    void *arg;
};
int train_replica_seek_without(struct train_replica *r,
                               uint64_t clock,
                               const struct train_without *without,
                               int (*progress)(void *arg, uint64_t clock),
                               void *arg,
                               struct err *e);

/* The peers that have a log under @dir, ascending. Owner: the caller frees
 * *peers. Errors: ERR_NOT_FOUND: none. ERR_IO, ERR_NOMEM. */
int train_replica_peers(const char *dir,
                        uint32_t **peers,
                        size_t *n_peers,
                        struct err *e);

#endif /* TRAIN_REPLICA_H_ */
