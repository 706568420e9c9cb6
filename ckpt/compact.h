/* Letting the old part of a log go: a snapshot stands in for it.
 *
 * A log that is compacted to a clock has a snapshot there and no other before.
 * It keeps whole segments: all from the first one on that holds
 *
 *     the step that led to the clock, and all that belongs to later ones
 *     a batch that a step from the clock on applies
 *     an own batch that another peer may still lack (own_from)
 *
 * First the snapshot is durable, then segments go, the oldest first: a log that
 * was interrupted between is longer than it would be, and nothing else. When
 * anything fails nothing more is removed.
 */

#ifndef CKPT_COMPACT_H_
#define CKPT_COMPACT_H_

#include <stdbool.h>
#include <stdint.h>

#include "ckpt/file.h"
#include "ckpt/reader.h"
#include "core/err.h"
#include "sv/apply.h"

struct ckpt_compact_options {
    const char *dir;    /* Of the log. */
    uint64_t own_from;  /* Own batches of clocks from here on stay. */
    bool index;         /* Nobody else writes to the index: keep it in line. */
    struct ckpt_fs *fs; /* NULL: the real files. */
};

struct ckpt_compact_report {
    uint64_t segments, bytes; /* That went. */
};

/* Compact to @clock, where @states (n_states) are, rebuilt through @r. The
 * caller keeps others from writing there, or is beside the one who does: then
 * all that @clock rests on is durable.
 *
 * Errors: ERR_NOT_FOUND (the log does not hold W_clock), ERR_CORRUPT, ERR_FULL,
 *         ERR_IO, ERR_NOMEM. Replay leads to the same bits as before. */
int ckpt_compact(struct ckpt_reader *r,
                 uint64_t clock,
                 const struct sv_state *states,
                 size_t n_states,
                 const struct ckpt_compact_options *o,
                 struct ckpt_compact_report *report,
                 struct err *e);

#endif /* CKPT_COMPACT_H_ */
