/* One peer of a job, from its data to its summary. */

#ifndef TRAIN_PEER_H_
#define TRAIN_PEER_H_

#include <signal.h>

#include "core/log.h"
#include "train/loop.h"
#include "train/run.h"
#include "train/worker.h"

struct train_peer_options {
    const char *dir; /* The run directory. */
    uint32_t rank;
    bool resume;
    /* A new job: what it is, but for what the data says (schema, rows) and, if
     * clocks is 0, for clocks: then it is what epochs make. Moved. Resume: not
     * used. */
    struct train_run *run;
    double epochs;
    uint64_t clocks;        /* Resume: end there instead, if not 0, whatever
                             * target the run has. */
    size_t n_threads;       /* For computing, the compute thread included. */
    const char *rendezvous; /* URL; NULL iff there is one peer. */
    const char *provider;   /* NULL: choose. */
    const char *node;       /* Local address to bind, NULL: by rendezvous. */
    const volatile sig_atomic_t *interrupted;
    void (*note)(void *arg, const char *text); /* As in train_loop_options. */
    void *note_arg;
    void (*progress)(void *arg, const struct train_summary *s);
    void *progress_arg;
    struct log *log;
};

/* Read the data, meet the others, and train (or go on from the last clock that
 * all logs have). @s is zeros if training did not begin.
 *
 * Errors: those of train_loop_run(), and ERR_INVALID (options, data or settings
 *         that differ between peers), ERR_BUSY (a log is there, or in use),
 *         ERR_NOT_FOUND (no data; nothing to resume). */
int train_peer_run(const struct train_peer_options *o,
                   struct train_summary *s,
                   struct err *e);

/* The settings of a job as the engine of peer @rank gets them: from clock 0 to
 * the last, without a log. */
struct train_worker_options
train_peer_worker_options(const struct train_run *run, uint32_t rank);

#endif /* TRAIN_PEER_H_ */
