/* Running the modes of `lyre compare`, one after another.
 *
 *     DIR/MODE/        the run directory
 *     DIR/MODE.json    what lyre train wrote to its standard output,
 *     DIR/MODE.log     and to its standard error; MODE.R.json and MODE.R.log
 *                      for peer R, where each is a process on a host
 *     DIR/report.html  the report of all runs
 */

#ifndef CLI_COMPARE_RUN_H_
#define CLI_COMPARE_RUN_H_

#include <stdint.h>

#include "cli/compare_mode.h"
#include "cli/compare_result.h"

struct compare_job {
    const char *model;
    const char *dir;
    uint32_t n_peers;
    char **settings; /* (n_settings) words for lyre train, the same for all
                      * modes. Owned by the caller. */
    size_t n_settings;
    const char *links;  /* Rate of a link for each peer. NULL: no such hosts. */
    uint64_t n_threads; /* Of a peer; 0: the CPUs, shared by all. */
    const char *until;  /* For --until, or NULL. */
    const char *clocks; /* For --clocks, or NULL. */
    size_t n_modes;
    struct compare_mode modes[COMPARE_MODES_MAX];
};

/* Train in each mode, then write the report. @results (n_modes) say what became
 * of each; after Ctrl-C those not begun have failed. Lines on stderr say how
 * far it is.
 *
 * Errors: ERR_BUSY (a run is there already), ERR_IO, ERR_NOMEM: nothing was
 *         begun. */
int compare_run(struct compare_job *job,
                struct compare_result *results,
                struct err *e);

#endif /* CLI_COMPARE_RUN_H_ */
