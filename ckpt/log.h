/* The SV log: everything that a peer applied, written by a thread of its own.
 *
 * FILES
 *
 * One directory per peer:
 *
 *     lock                 held (flock) by whoever may write
 *     segments/00000000.seg  records, back to back, behind a segment header
 *     index.db             SQLite: where which record is, metrics, digests
 *
 * Their formats stand in ckpt/segment.h, sv/record.h and ckpt/index.h.
 *
 * The first record of every segment is the SV_RECORD_RUN. Order of records: the
 * own batch of a clock when it is computed, the batches of others when they are
 * applied, the step behind what it names. So a log that is cut behind any step
 * is the log of a peer that stopped there.
 *
 * DURABILITY
 *
 * Group commit: the segment is synced, then one transaction brings the index up
 * to date. The segments are the truth, the index may lag behind them and is
 * brought up to date when the log is opened.
 *
 * RECOVERY
 *
 * Opening for writing cuts the last segment behind its last valid record, if
 * what follows is a torn write: the rest of the file is no longer than one
 * record may be and holds no valid record, or the index says that it was never
 * synced. (Zeros are torn, too.) Segments behind it that hold nothing valid go,
 * too: a crash came while they were begun. Damage anywhere else is an error
 * that names file and offset, and nothing is cut.
 *
 * An index that lags is brought up to date; one that is missing, cannot be read
 * or contradicts its segments is made anew. If it cannot be written while the
 * log is, the log goes on without it, with a warning.
 *
 * ERRORS
 *
 * After the first error (disk full, input/output error) nothing is written any
 * more. Closing then cuts the log behind the last record that is known to be
 * whole, so that it can be gone on with once there is room.
 */

#ifndef CKPT_LOG_H_
#define CKPT_LOG_H_

#include <stdint.h>

#include "ckpt/file.h"
#include "core/blob.h"
#include "core/err.h"
#include "core/log.h"

#define CKPT_SEGMENT_SIZE_DEFAULT ((uint64_t)64 << 20)
#define CKPT_INTERVAL_NS_DEFAULT  ((uint64_t)1000000000)
#define CKPT_QUEUE_SIZE           ((size_t)64 << 20) /* Bytes that may wait. */

enum ckpt_durability {
    CKPT_DURABILITY_NONE,    /* Never synced but at the end. */
    CKPT_DURABILITY_CLOCK,   /* Synced after every step record. */
    CKPT_DURABILITY_INTERVAL /* Synced when interval_ns have passed. */
};

struct ckpt_log_options {
    const char *dir; /* The peer's directory. Made if it is not there. */
    uint64_t run;    /* The job's number. */
    uint32_t peer;
    const char *run_json; /* Payload of SV_RECORD_RUN. NULL when reopening. */
    enum ckpt_durability durability;
    uint64_t interval_ns;      /* 0: the default. */
    uint64_t segment_size_max; /* 0: the default. */
    struct log *log;           /* May be NULL. Thread-safe. */
    struct ckpt_fs *fs;        /* NULL: the real files. */
};

struct ckpt_log;

/* Begin a new log in an empty or missing directory. Its first segment is
 * durable when this returns.
 *
 * Errors: ERR_BUSY     another process writes there, or a log is there already.
 *         ERR_FULL, ERR_IO, ERR_NOMEM. */
int ckpt_log_create(struct ckpt_log **log,
                    const struct ckpt_log_options *o,
                    struct err *e);

/* Go on with a log, from W_@clock: everything behind the step record of clock
 * @clock - 1 is cut off, for good, but for digests of W_@clock that directly
 * follow it; at clock 0 everything but the run record is.
 * @clock is at most ckpt_reader_clocks(). run and peer must be those of the
 * log.
 *
 * Errors: ERR_INVALID (the log is of another run or peer), ERR_BUSY,
 * ERR_CORRUPT, ERR_NOT_FOUND (no log, or not that far), ERR_FULL, ERR_IO,
 * ERR_NOMEM. */
int ckpt_log_reopen(struct ckpt_log **log,
                    const struct ckpt_log_options *o,
                    uint64_t clock,
                    struct err *e);

/* Hand over one or more whole records, to be written as they are. Waits while
 * CKPT_QUEUE_SIZE bytes are queued.
 *
 * Owner:  the log takes its own reference.
 * Thread: one caller at a time.
 * Errors: the first error of the log thread, again and again: ERR_FULL (disk
 *         full), ERR_IO. Nothing is written any more after it. */
int ckpt_log_put(struct ckpt_log *log, struct blob *records, struct err *e);

/* Wait until all that was put is durable. Errors: as put. */
int ckpt_log_sync(struct ckpt_log *log, struct err *e);

/* Segments went, and snapshots came, beside the log thread: it brings the index
 * in line when it puts rows next. Any thread. */
void ckpt_log_forget(struct ckpt_log *log);

/* How many step records are durable: W of this clock survives anything. */
uint64_t ckpt_log_durable_clock(const struct ckpt_log *log);

/* 0, or the code of the log thread's first error. Any thread. */
int ckpt_log_failed(const struct ckpt_log *log);

uint64_t ckpt_log_bytes(const struct ckpt_log *log); /* Written so far. */

/* Sync, end the thread and close. Errors: as put; all is released anyway. */
int ckpt_log_close(struct ckpt_log *log, struct err *e);

/* Make index.db anew from the segments. Nobody may be writing there.
 * Errors: as reopen. The old index is gone then. */
int ckpt_log_reindex(const char *dir, struct err *e);

#endif /* CKPT_LOG_H_ */
