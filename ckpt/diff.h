/* What changed between two clocks of a replica: rows and columns of W that
 * moved most, and whose batches moved them.
 *
 *     D = W_to - W_from      moved, of a row or column: its norm in D
 *
 * D is the sum of what each op did, so the share of a peer in a row k,
 *
 *     sum over its batches of (what the batch did to row k) . D[k] / |D[k]|^2
 *
 * says how much of the way it is: shares of a row or column add up to 1, and
 * one below 0 pulled the other way. Ops that apply no batch (weight decay) are
 * together one more share. Under momentum W moves by what batches left in M:
 * there a batch counts as what it did to M, scaled so that shares add up to 1,
 * which is approximate.
 */

#ifndef CKPT_DIFF_H_
#define CKPT_DIFF_H_

#include <stddef.h>
#include <stdint.h>

#include "ckpt/reader.h"
#include "core/pool.h"
#include "sv/apply.h"

struct ckpt_diff_options {
    uint64_t from, to; /* from <= to. */
    size_t matrix;
    size_t top;        /* Rows, and columns, to find. */
    struct pool *pool; /* May be NULL. */
};

/* A row or a column. */
struct ckpt_diff_line {
    uint32_t index;
    double moved;
};

struct ckpt_diff {
    double moved, before;                  /* Norms of D and of W_from. */
    uint64_t n_rows;                       /* Rows that have changed at all. */
    struct ckpt_diff_line *rows, *columns; /* Greatest first. Owned. */
    size_t n_top_rows, n_top_columns;      /* At most top; none that is 0. */
    uint32_t *origins;                     /* (n_origins) ascending. Owned. */
    size_t n_origins;
    double *row_shares, *column_shares; /* (n_top, n_origins + 1); the last is
                                         * that of other ops. Owned. */
};

/* @states (n_states) are at W_from, and at W_to afterwards.
 *
 * Owner:  on success ckpt_diff_fini() is needed.
 * Errors: as ckpt_replay().
 * Cost:   two replays, the second one op by op; a copy of the states and one
 *         of W. */
int ckpt_diff(struct ckpt_diff *d,
              struct ckpt_reader *r,
              struct sv_state *states,
              size_t n_states,
              const struct ckpt_diff_options *o,
              struct err *e);
void ckpt_diff_fini(struct ckpt_diff *d);

#endif /* CKPT_DIFF_H_ */
