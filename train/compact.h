/* Letting the old part of a peer's log go: replay to a clock, leave a snapshot
 * there, and remove segments that nobody needs any more. */

#ifndef TRAIN_COMPACT_H_
#define TRAIN_COMPACT_H_

#include <stdbool.h>
#include <stdint.h>

#include "ckpt/compact.h"
#include "core/pool.h"

struct train_compact_options {
    const char *dir; /* The run directory. */
    uint32_t peer;
    uint64_t clock;    /* Compact to here. */
    bool beside;       /* A writer goes on meanwhile, and knows of it; else the
                        * log is locked. */
    struct pool *pool; /* May be NULL. */
    int (*progress)(void *arg, uint64_t clock); /* As of replay. May be NULL. */
    void *progress_arg;
};

/* Errors: ERR_BUSY (another process writes there), ERR_NOT_FOUND (the log does
 *         not hold W_clock), ERR_CORRUPT, ERR_FULL, ERR_IO, ERR_NOMEM,
 *         ERR_INTERRUPTED: nothing is lost. */
int train_compact(const struct train_compact_options *o,
                  struct ckpt_compact_report *report,
                  struct err *e);

/* The clocks that all logs under @dir can give back: *first to *n; and how many
 * logs there are. Errors: as train_replica_open(). */
int train_compact_range(const char *dir,
                        uint64_t *first,
                        uint64_t *n,
                        struct err *e);

#endif /* TRAIN_COMPACT_H_ */
