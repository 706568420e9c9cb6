/* A log that goes on from a clock of another one: they share what came before.
 *
 * Segments before the one that the clock ends in are hard links: they are never
 * written again. Snapshots and the last
 * segment, up to the clock, are copied, and a new segment begins behind it,
 * whose run record says what the job is from there on. Removing or compacting
 * either log leaves the other whole: a file goes with its last link. Whoever
 * goes on with a log within a segment that another log shares gets a copy of it
 * first (ckpt/writer.h). On file systems that do not link, and between two,
 * files are copied.
 *
 * All segments keep run and peer of the log that they come from, and so does
 * the new one. What a log is of is said by its last run record.
 */

#ifndef CKPT_BRANCH_H_
#define CKPT_BRANCH_H_

#include <stdint.h>

#include "ckpt/file.h"
#include "core/err.h"

struct ckpt_branch_report {
    uint64_t shared, copied; /* Bytes. */
};

/* Make the log @to, in an empty or missing directory, of the log @from up to
 * W_@clock and the description @run_json.
 *
 * Errors: ERR_BUSY (there is a log), ERR_NOT_FOUND (@from does not hold
 *         W_clock), ERR_CORRUPT, ERR_FULL, ERR_IO, ERR_NOMEM. What was made is
 *         no log then, or the caller removes it. */
int ckpt_branch(const char *from,
                const char *to,
                uint64_t clock,
                const char *run_json,
                struct ckpt_branch_report *report,
                struct err *e);

#endif /* CKPT_BRANCH_H_ */
