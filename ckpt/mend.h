/* Bringing a log to a definite end before it is gone on with: segments first,
 * the index behind them. */

#ifndef CKPT_MEND_H_
#define CKPT_MEND_H_

#include <stdbool.h>
#include <stdint.h>

#include "ckpt/catalog.h"
#include "ckpt/writer.h"
#include "core/err.h"

struct ckpt_mend {
    const struct ckpt_catalog *catalog;
    uint32_t segment; /* The last one to stay, */
    uint64_t end;     /* and where it ends. */
    bool anew;        /* The index has no rows that count. */
    bool synced;      /* All that stays is durable. */
};

/* Remove snapshots behind @clock: what leads there is cut. Errors: ERR_IO. */
int ckpt_mend_snapshots(const struct ckpt_mend *m,
                        struct ckpt_fs *fs,
                        const char *dir,
                        uint64_t clock,
                        struct err *e);

/* Set segment and end so that W_@clock is the last state that can be rebuilt.
 * Errors: ERR_NOT_FOUND (not that far), ERR_CORRUPT, ERR_NOMEM. */
int ckpt_mend_find_end(struct ckpt_mend *m, uint64_t clock, struct err *e);

/* Remove the segments behind the last one, the very last first: what a crash
 * leaves is a log that is longer. Errors: ERR_IO. */
int ckpt_mend_remove(const struct ckpt_mend *m,
                     struct ckpt_fs *fs,
                     const char *dir,
                     struct err *e);

/* Put to an open index what it lacks, in one transaction. Errors: ERR_FULL,
 * ERR_IO, ERR_CORRUPT. */
int ckpt_mend_fill_index(const struct ckpt_mend *m,
                         struct ckpt_index *x,
                         struct err *e);

/* Open the index of @w and bring it in line with the log: the rows of what was
 * cut would speak of what is written next. If that fails the index is removed,
 * with a warning. Errors: ERR_IO: it could not be removed. */
int ckpt_mend_index(const struct ckpt_mend *m,
                    struct ckpt_writer *w,
                    uint64_t clock,
                    struct err *e);

#endif /* CKPT_MEND_H_ */
