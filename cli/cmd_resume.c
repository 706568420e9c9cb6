/* lyre resume: go on with a run that was interrupted. */

#include <stdio.h>
#include <stdlib.h>

#include "cli/cmd.h"
#include "cli/job.h"
#include "cli/past.h"
#include "cli/say.h"

static struct {
    uint64_t threads, rank, clocks;
    bool rank_given;
    const char *rendezvous, *provider;
    bool json, quiet, verbose;
} opts;

static const struct opt OPTS[] = {
    {.name = "clocks",
     .kind = OPT_U64,
     .value = &opts.clocks,
     .arg = "N",
     .help = "end at this clock instead of where the run was to end",
     .min = 1,
     .max = 9e15},
    {.name = "threads",
     .kind = OPT_U64,
     .value = &opts.threads,
     .arg = "T",
     .help = "threads of each peer (default: the CPUs, shared by local peers)",
     .min = 1,
     .max = POOL_THREADS_MAX},
    {.name = "rank",
     .kind = OPT_U64,
     .value = &opts.rank,
     .given = &opts.rank_given,
     .arg = "R",
     .help = "be this peer only; the others are started elsewhere",
     .min = 0,
     .max = TRAIN_PEERS_MAX - 1},
    {.name = "rendezvous",
     .kind = OPT_STRING,
     .value = &opts.rendezvous,
     .arg = "URL",
     .help = "where the peers meet: tcp://host:port or file:///shared/dir"},
    {.name = "provider",
     .kind = OPT_STRING,
     .value = &opts.provider,
     .arg = "NAME",
     .help = "libfabric provider (default: chosen)"},
    {.name = "json",
     .kind = OPT_FLAG,
     .value = &opts.json,
     .help = "end with one JSON object on standard output"},
    {.name = "quiet",
     .kind = OPT_FLAG,
     .value = &opts.quiet,
     .help = "no progress, no summary"},
    {.name = "verbose",
     .kind = OPT_FLAG,
     .value = &opts.verbose,
     .help = "say more"},
};

static const struct opt_command COMMAND = {
    .name = "resume",
    .summary = "Go on with a run that was interrupted.",
    .usage = "resume DIR [--clocks N] [--threads T] [--rank R --rendezvous"
             " URL] [--json] [--quiet]",
    .details =
        "Every peer rebuilds its replica from its own log, and training goes on"
        " from the\nlast clock that all logs have. What single peers had beyond"
        " it is computed again.\nSettings are those of the run.",
    .examples = "lyre resume run\n"
                "lyre resume run --clocks 5000\n"
                "lyre resume run --rank 1 --rendezvous tcp://node0:7070",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

/* Which peers have a log here, and how many the run has. */
static int look(struct job *job, struct err *e)
{
    struct train_replica r;
    uint32_t *peers;
    size_t n;
    int rc = train_replica_peers(job->dir, &peers, &n, e);

    if (rc != 0) {
        return rc;
    }
    rc = train_replica_open(&r, job->dir, job->rank >= 0 ? job->rank : peers[0],
                            NULL, e);
    free(peers);
    if (rc != 0) {
        return rc;
    }
    job->n_peers = r.run.n_peers;
    train_replica_close(&r);
    if (job->rank < 0 && n != job->n_peers) {
        return err_set(e, ERR_NOT_FOUND,
                       "%s has the logs of %zu peers, the run has %u: give"
                       " --rank and --rendezvous to resume one peer here",
                       job->dir, n, job->n_peers);
    }
    if (job->rank >= (int64_t)job->n_peers) {
        return err_set(e, ERR_INVALID, "--rank %lld: the run has %u peers",
                       (long long)job->rank, job->n_peers);
    }
    if (job->rank >= 0 && job->n_peers > 1 && job->rendezvous == NULL) {
        return err_set(e, ERR_INVALID, "--rank needs --rendezvous");
    }
    return 0;
}

int cmd_resume(int argc, char **argv)
{
    static struct job job;
    struct err e;
    int n_words, rc, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(&COMMAND, "one run directory is wanted, not %d",
                         n_words);
    }
    job = (struct job){.dir = argv[1],
                       .resume = true,
                       .clocks = opts.clocks,
                       .rank = opts.rank_given ? (int64_t)opts.rank : -1,
                       .n_threads = opts.threads,
                       .rendezvous = opts.rendezvous,
                       .provider = opts.provider,
                       .json = opts.json,
                       .quiet = opts.quiet,
                       .verbose = opts.verbose};
    rc = look(&job, &e);
    return rc != 0 ? say_error(rc, &e) : job_run(&job);
}
