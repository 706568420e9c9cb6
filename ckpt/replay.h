/* Rebuilding a replica from its log, exactly. */

#ifndef CKPT_REPLAY_H_
#define CKPT_REPLAY_H_

#include "ckpt/reader.h"
#include "core/pool.h"
#include "sv/apply.h"

struct ckpt_replay_options {
    struct pool *pool; /* May be NULL. */
    size_t memory_max; /* Bytes of decoded batches at once, about; a clock that
                        * needs more gets it. 0: a default. */
    /* Called after every pass with the clock reached, if not NULL. Nonzero ends
     * the replay with ERR_INTERRUPTED. */
    int (*progress)(void *arg, uint64_t clock);
    void *progress_arg;
    /* What is true is left out. NULL: nothing is. The states are then not what
     * training had. */
    bool (*skip)(void *arg, uint64_t clock, const struct ckpt_op *op);
    void *skip_arg;
    /* Called before (@done false) and after every op that is carried out, if
     * not NULL: ops then go one by one, which costs a pass over W for each.
     * @batch is what is applied, NULL for ops that apply none. */
    void (*watch)(void *arg,
                  uint64_t clock,
                  const struct ckpt_op *op,
                  const struct sv_batch *batch,
                  bool done);
    void *watch_arg;
};

/* Bring @states (n_states, by matrix) from W_@from to W_@to: many clocks per
 * pass over W. The states hold W_@from: zeros or the model's initial values at
 * clock 0. @o may be NULL.
 *
 * Errors: ERR_NOT_FOUND (the log does not go that far, or a record is missing:
 *         which), ERR_CORRUPT (file and offset), ERR_NOMEM, ERR_INTERRUPTED.
 *         The states are between @from and @to then. */
int ckpt_replay(struct ckpt_reader *r,
                struct sv_state *states,
                size_t n_states,
                uint64_t from,
                uint64_t to,
                const struct ckpt_replay_options *o,
                struct err *e);

#endif /* CKPT_REPLAY_H_ */
