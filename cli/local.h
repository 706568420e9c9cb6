/* All peers of a job as processes on this machine. */

#ifndef CLI_LOCAL_H_
#define CLI_LOCAL_H_

#include "cli/job.h"

/* Start job->n_peers processes and wait for all of them. @reports (n_peers) get
 * what each said last; a peer that was killed gets ERR_UNREACHABLE and a
 * message that names the signal. Ctrl-C is passed on to all.
 *
 * Errors: ERR_IO, ERR_NOMEM: they could not be started. */
int local_run(struct job *job,
              struct job_report *reports,
              void (*progress)(void *arg,
                               const struct job_report *reports,
                               uint32_t n_peers),
              void *arg,
              struct err *e);

#endif /* CLI_LOCAL_H_ */
