/* What a peer sends of what it computed: the selection of a clock, and what it
 * carries to the next one.
 *
 * What is carried under svd with feedback is part of what the next clock sends,
 * so it goes to the log: one SV_RECORD_CARRY for each matrix, of the clock that
 * will take it in, in front of the step that leads there.
 */

#ifndef TRAIN_CHOICE_H_
#define TRAIN_CHOICE_H_

#include "ckpt/reader.h"
#include "core/buf.h"
#include "core/pool.h"
#include "sv/codec.h"
#include "train/replica.h"

struct train_choice {
    const struct train_run *run; /* Not owned. */
    struct select_spec spec; /* The run's own; auto: see train_choice_set(). */
    uint32_t self;
    size_t n;                 /* Matrices; 0: everything is sent. */
    struct sv_batch *chosen;  /* (n). */
    struct sv_batch *carried; /* (n); NULL: nothing is carried. */
};

/* Under auto all pairs are sent until another way is set. Errors: ERR_NOMEM; @c
 * needs fini all the same. */
int train_choice_init(struct train_choice *c,
                      const struct train_replica *replica,
                      uint32_t self,
                      struct err *e);
void train_choice_fini(struct train_choice *c);

/* Go on by another way; the run's selection is auto. What svd carries is not
 * lost when it is left: the next clock sends all of it, with its own pairs. */
void train_choice_set(struct train_choice *c, const struct select_spec *spec);

/* Replace the pairs of matrix @i in @batch by those that are sent at @clock.
 * *relative_error is 0 where all are.
 *
 * Errors: ERR_NOMEM, ERR_NOT_FINITE, ERR_INVALID. */
int train_choice_make(struct train_choice *c,
                      size_t i,
                      uint64_t clock,
                      struct sv_batch *batch,
                      struct pool *pool,
                      double *relative_error,
                      struct err *e);

/* Append the records of what is carried to @clock, if anything is (under auto:
 * of matrices for which something is). Errors:
 * ERR_NOMEM, ERR_INVALID. */
int train_choice_write(struct train_choice *c,
                       uint64_t clock,
                       struct buf *out,
                       struct sv_codec_scratch *s,
                       struct err *e);

/* Take up what was carried to @clock by the log. Errors: ERR_NOT_FOUND (not
 * under auto: nothing was carried), ERR_CORRUPT, ERR_NOMEM. */
int train_choice_read(struct train_choice *c,
                      const struct ckpt_reader *log,
                      uint64_t clock,
                      struct sv_codec_scratch *s,
                      struct err *e);

#endif /* TRAIN_CHOICE_H_ */
