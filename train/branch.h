/* Going on from a past clock of a run with other settings, as a run of its own.
 */

#ifndef TRAIN_BRANCH_H_
#define TRAIN_BRANCH_H_

#include <stdint.h>

#include "ckpt/branch.h"
#include "train/run.h"

struct train_branch_options {
    const char *from; /* The run directory, */
    const char *to;   /* and that of the new run: there is none yet. */
    uint64_t clock;
    /* Change the settings of the new run: all peers' alike. Errors: as it says.
     */
    int (*change)(void *arg, struct train_run *run, struct err *e);
    void *arg;
};

/* Make a branch of each log under @from. Model, optimizer, peers and features
 * stay what they were; consistency, multicast and repair do unless all batches
 * before the clock are in W, and none that is later.
 *
 * The new run is another function from the clock on, so its fingerprint is
 * another one: settings of the new run, the clock, and the old run's number.
 *
 * Errors: ERR_BUSY (@to is there), ERR_INVALID (what cannot be changed),
 *         ERR_NOT_FOUND (a log does not hold W_clock), ERR_CORRUPT, ERR_FULL,
 *         ERR_IO, ERR_NOMEM; @to is then not there. */
int train_branch(const struct train_branch_options *o,
                 struct ckpt_branch_report *report,
                 struct err *e);

#endif /* TRAIN_BRANCH_H_ */
