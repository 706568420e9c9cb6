/* Running a job from the command line: one peer of it, or all of them as local
 * processes. Shared by train and resume. */

#ifndef CLI_JOB_H_
#define CLI_JOB_H_

#include <signal.h>

#include "core/err.h"
#include "train/peer.h"

struct job {
    const char *dir; /* The run directory. */
    bool resume;
    struct train_run run; /* New: the settings. Resume: unused. */
    double epochs;
    uint64_t clocks; /* Resume: end there, if not 0. */
    uint32_t n_peers;
    int64_t rank;       /* -1: start all peers here. */
    uint64_t n_threads; /* Per peer, 0: the CPUs, shared by the local peers. */
    const char *rendezvous;
    const char *provider;
    bool json;
    bool quiet;
    bool verbose;
};

/* Set by the first SIGINT or SIGTERM after job_catch_signals(). */
extern volatile sig_atomic_t job_interrupted;
void job_catch_signals(void);

/* What became of a peer. Passed through pipes, so it has no pointers. */
struct job_report {
    bool final; /* Else it is progress. */
    int code;   /* Final: 0 or a code of core/err.h. */
    struct train_summary summary;
    char msg[ERR_MSG_SIZE]; /* Final: the message of code. */
};

/* Run peer @rank in this process. @url overrides job->rendezvous, @node the
 * address to bind, where not NULL. */
void job_run_peer(struct job *job,
                  uint32_t rank,
                  const char *url,
                  const char *node,
                  void (*progress)(void *arg, const struct train_summary *s),
                  void *progress_arg,
                  struct job_report *report);

/* Run the job, with progress, a summary and advice. Returns an enum
 * cmd_exit. */
int job_run(struct job *job);

#endif /* CLI_JOB_H_ */
