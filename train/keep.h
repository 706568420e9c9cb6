/* Compacting the log of a peer while it trains, by a thread of its own that
 * replays it: training never waits for that, and shares no memory with it but
 * what the log says of itself.
 *
 * Work begins when twice as many clocks are there as are to be kept, or when
 * the log is larger than it may be, and only at a clock that all peers have had
 * durable for some time: a resume begins at the last clock that all logs have.
 * The thread runs when processors have nothing better to do.
 */

#ifndef TRAIN_KEEP_H_
#define TRAIN_KEEP_H_

#include <stdint.h>

#include "ckpt/log.h"
#include "core/log.h"
#include "train/run.h"

/* Where to compact to, from what is known: 0: not now. A pure function. */
struct train_keep_state {
    uint64_t first;   /* The log begins here, */
    uint64_t durable; /* its clocks are durable up to here, */
    uint64_t safe;    /* and those of all peers up to here. */
    uint64_t bytes;   /* Of its segments. */
    uint64_t tried;   /* Where it was compacted to last. */
};
uint64_t train_keep_target(const struct train_run *run,
                           const struct train_keep_state *s);

struct train_keep;

/* Begin, if @run asks for it: else *k is NULL, which stop takes. All pointers
 * live until then. Errors: ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int train_keep_start(struct train_keep **k,
                     const char *dir,
                     uint32_t rank,
                     const struct train_run *run,
                     struct ckpt_log *ckpt,
                     struct log *log,
                     struct err *e);

/* What is being done is given up: nothing is lost. */
void train_keep_stop(struct train_keep *k);

#endif /* TRAIN_KEEP_H_ */
