/* lyre train: train a model, here or with peers elsewhere. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/job.h"
#include "cli/run_options.h"
#include "cli/say.h"
#include "core/clock.h"

static struct {
    const char *run;
    uint64_t peers, threads, rank;
    const char *durability, *rendezvous, *provider, *until;
    bool rank_given, json, quiet, verbose;
    uint64_t segment_size, keep_clocks, log_limit;
} opts = {.peers = 1, .durability = "1s"};

#define UNTIL_EVERY 10 /* Clocks between evaluations with --until. */

#define N_LEAD 3 /* The first of these options stand in front. */

static const struct opt OPTS[] = {
    {.name = "run",
     .kind = OPT_STRING,
     .value = &opts.run,
     .arg = "DIR",
     .help = "a new directory for the logs"},
    {.name = "peers",
     .kind = OPT_U64,
     .value = &opts.peers,
     .arg = "N",
     .help = "how many peers; without --rank all are started here",
     .min = 1,
     .max = TRAIN_PEERS_MAX},
    {.name = "threads",
     .kind = OPT_U64,
     .value = &opts.threads,
     .arg = "T",
     .help = "threads of each peer (default: the CPUs, shared by local peers)",
     .min = 1,
     .max = POOL_THREADS_MAX},
    {.name = "until",
     .kind = OPT_STRING,
     .value = &opts.until,
     .arg = "TARGET",
     .help =
         "end as soon as --test has loss=X or less, or accuracy=X or more,\n"
         "looked at every --eval-every clocks (with this, every 10 unless\n"
         "said); at the latest where --epochs or --clocks say"},
    {.name = "durability",
     .kind = OPT_STRING,
     .value = &opts.durability,
     .arg = "D",
     .help =
         "when the log is synced to disk: every 1s (or another time), after\n"
         "every clock, or none: at the end"},
    {.name = "keep-clocks",
     .kind = OPT_U64,
     .value = &opts.keep_clocks,
     .arg = "N",
     .help =
         "compact the logs meanwhile: the last N clocks, and at most about\n"
         "twice as many, can be rebuilt (default: all)",
     .min = 1,
     .max = 9e15},
    {.name = "log-limit",
     .kind = OPT_SIZE,
     .value = &opts.log_limit,
     .arg = "SIZE",
     .help = "compact the log of a peer when it is larger than this",
     .min = 65536,
     .max = 1e15},
    {.name = "segment-size",
     .kind = OPT_SIZE,
     .value = &opts.segment_size,
     .arg = "SIZE",
     .help = "of the files that a log is made of, about (default: 64M; "
             "less\nwhere logs are compacted meanwhile)",
     .min = 4096,
     .max = 1e15},
    {.name = "rank",
     .kind = OPT_U64,
     .value = &opts.rank,
     .given = &opts.rank_given,
     .arg = "R",
     .help = "be this peer, from 0; the others are started elsewhere",
     .min = 0,
     .max = TRAIN_PEERS_MAX - 1},
    {.name = "rendezvous",
     .kind = OPT_STRING,
     .value = &opts.rendezvous,
     .arg = "URL",
     .help = "where the peers meet: tcp://host:port, where peer 0 listens, or\n"
             "file:///shared/dir"},
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

#define N_OPTS (sizeof OPTS / sizeof OPTS[0])

static struct opt table[RUN_OPTIONS_N + N_OPTS];

static const struct opt_command COMMAND = {
    .name = "train",
    .summary = "Train a model, here or with peers elsewhere.",
    .usage = "train mlr --data F [--test F] --run DIR [--peers N] [options]",
    .details =
        "mlr is softmax regression over any number of classes. Every peer keeps"
        " the whole\nmodel and a log of all updates in DIR/peer-R, from which "
        "any"
        " clock can be rebuilt\n(lyre replay), and training goes on after a "
        "crash"
        " (lyre resume).\n\n"
        "Exit status: 0 done, 2 wrong options, 3 a peer was lost, 4 a loss or"
        " update is not\nfinite, 5 replicas differ, 6 the log failed (disk "
        "full),"
        " 130 interrupted.",
    .examples =
        "lyre train mlr --data langid.train.tsv --test langid.test.tsv --run "
        "run"
        " --peers 4\n"
        "lyre train mlr --data train.svm.gz --normalize l2 --transform log1p"
        " --run run --epochs 3\n"
        "lyre train mlr --data train.bin --run run --peers 2 --rank 0"
        " --rendezvous tcp://node0:7070\n"
        "lyre train mlr --data train.svm --test test.svm --run run --epochs 20"
        " --until accuracy=0.44",
    .opts = table,
    .n_opts = sizeof table / sizeof table[0],
};

static int read_durability(struct train_run *r)
{
    struct opt opt = {.name = "durability",
                      .kind = OPT_SECONDS,
                      .value = &r->durability_ns,
                      .min = 0.001,
                      .max = 86400};
    struct opt_command command = {.opts = &opt, .n_opts = 1};
    char *argv[] = {NULL, (char *)"--durability", (char *)opts.durability};
    struct err e;
    int n_words;

    if (strcmp(opts.durability, "none") == 0) {
        r->durability = CKPT_DURABILITY_NONE;
    } else if (strcmp(opts.durability, "clock") == 0) {
        r->durability = CKPT_DURABILITY_CLOCK;
    } else if (opt_parse(&command, 3, argv, &n_words, &e) == 0) {
        r->durability = CKPT_DURABILITY_INTERVAL;
    } else {
        return say_usage(&COMMAND,
                         "--durability %s: none, clock, or a time such as 1s",
                         opts.durability);
    }
    return -1;
}

/* Segments go whole, so that they have to be small where few are kept. */
static uint64_t segment_size(void)
{
    uint64_t size = CKPT_SEGMENT_SIZE_DEFAULT;

    if (opts.segment_size != 0) {
        return opts.segment_size;
    }
    if (opts.keep_clocks != 0) {
        size = size / 8;
    }
    if (opts.log_limit != 0 && opts.log_limit / 8 < size) {
        size = opts.log_limit / 8;
    }
    return size == CKPT_SEGMENT_SIZE_DEFAULT ? 0 : size;
}

static int read_until(struct train_run *r)
{
    struct err e;

    if (opts.until == NULL) {
        return -1;
    }
    if (train_until_parse(&r->until, opts.until, &e) != 0) {
        return say_usage(&COMMAND, "--until %s", e.msg);
    }
    if (r->test == NULL) {
        return say_usage(&COMMAND, "--until needs --test");
    }
    r->eval_every = r->eval_every == 0 ? UNTIL_EVERY : r->eval_every;
    return -1;
}

/* What no single option is to blame for. */
static int check(int n_words, char **words)
{
    int status = run_options_check(&COMMAND, n_words, words);

    if (status >= 0) {
        return status;
    }
    if (opts.run == NULL) {
        return say_usage(&COMMAND, "--run is missing");
    }
    if (opts.rank_given && opts.rank >= opts.peers) {
        return say_usage(&COMMAND, "--rank %llu: ranks go from 0 to %llu",
                         (unsigned long long)opts.rank,
                         (unsigned long long)opts.peers - 1);
    }
    if (opts.rank_given && opts.peers > 1 && opts.rendezvous == NULL) {
        return say_usage(&COMMAND, "--rank needs --rendezvous");
    }
    if (!opts.rank_given && opts.rendezvous != NULL) {
        return say_usage(&COMMAND, "--rendezvous needs --rank");
    }
    return -1;
}

/* A run that is there is never written over. */
static int check_new(const struct job *job, struct err *e)
{
    uint32_t *peers;
    size_t n = 0;
    int rc = train_replica_peers(job->dir, &peers, &n, NULL);

    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (job->rank < 0 || peers[i] == (uint32_t)job->rank) {
            free(peers);
            return err_set(e, ERR_BUSY,
                           "%s holds a run already: go on with `lyre resume"
                           " %s`, or name another --run",
                           job->dir, job->dir);
        }
    }
    if (rc == 0) {
        free(peers);
    }
    return 0;
}

int cmd_train(int argc, char **argv)
{
    static struct job job;
    struct err e;
    int n_words, status;

    run_options_join(table, OPTS, N_OPTS, N_LEAD);
    status = say_parse(&COMMAND, argc, argv, &n_words);
    status = status >= 0 ? status : check(n_words, argv + 1);
    if (status >= 0) {
        return status;
    }
    job = (struct job){.dir = opts.run,
                       .epochs = run_options_epochs(),
                       .n_peers = (uint32_t)opts.peers,
                       .rank = opts.rank_given ? (int64_t)opts.rank : -1,
                       .n_threads = opts.threads,
                       .rendezvous = opts.rendezvous,
                       .provider = opts.provider,
                       .json = opts.json,
                       .quiet = opts.quiet,
                       .verbose = opts.verbose};
    train_run_init(&job.run);
    status = run_options_read(&COMMAND, argv[1], job.n_peers, &job.run);
    status = status >= 0 ? status : read_durability(&job.run);
    status = status >= 0 ? status : read_until(&job.run);
    job.run.keep_clocks = opts.keep_clocks;
    job.run.log_limit = opts.log_limit;
    job.run.segment_size = segment_size();
    if (status < 0) {
        status =
            check_new(&job, &e) != 0 ? say_error(ERR_BUSY, &e) : job_run(&job);
    }
    train_run_fini(&job.run);
    return status;
}
