#include "cli/cmd_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cmd.h"
#include "cli/past.h"
#include "cli/say.h"
#include "train/compact.h"

static struct {
    uint64_t keep, peer, threads;
    bool keep_given, peer_given;
} opts;

static const struct opt OPTS[] = {
    {.name = "keep",
     .kind = OPT_U64,
     .value = &opts.keep,
     .given = &opts.keep_given,
     .arg = "N",
     .help = "the last N clocks that all logs here have can still be rebuilt"},
    {.name = "peer",
     .kind = OPT_U64,
     .value = &opts.peer,
     .given = &opts.peer_given,
     .arg = "P",
     .help = "only the log of this peer (default: all there are)",
     .min = 0,
     .max = UINT32_MAX},
    {.name = "threads",
     .kind = OPT_U64,
     .value = &opts.threads,
     .arg = "T",
     .help = "threads (default: one for each CPU)",
     .min = 1,
     .max = POOL_THREADS_MAX},
};

static const struct opt_command COMMAND = {
    .name = "log compact",
    .summary = "Replace the old part of a run's logs by a snapshot.",
    .usage = "log compact DIR --keep N [--peer P]",
    .details =
        "The log is replayed to the clock from which on it is kept, what comes "
        "out is\nwritten beside it, and segments of which nothing is needed "
        "any "
        "more are removed.\nClocks from there on are rebuilt to the same bits "
        "as "
        "before; earlier ones are gone\nfor good. Nothing is lost if this is "
        "interrupted, or if the disk is full. Segments go\nwhole, so more than "
        "N "
        "clocks may stay on disk. If peers have their logs elsewhere, "
        "keep\nmore "
        "clocks than they may lag behind: training goes on from the last clock "
        "that all\nlogs have.",
    .examples = "lyre log compact run --keep 1000\n"
                "lyre log compact run --keep 0 --peer 3",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

static int compact_one(const char *dir,
                       uint32_t peer,
                       uint64_t clock,
                       struct pool *pool,
                       struct err *e)
{
    struct say_progress progress = {.what = "replayed clock", .all = clock};
    const struct train_compact_options o = {.dir = dir,
                                            .peer = peer,
                                            .clock = clock,
                                            .pool = pool,
                                            .progress = say_progress,
                                            .progress_arg = &progress};
    struct ckpt_compact_report report;
    const int status = train_compact(&o, &report, e);

    say_progress_end(&progress);
    if (status == 0) {
        printf("peer %u: snapshot of clock %" PRIu64 ", %" PRIu64
               " segment%s removed, %.1f MB\n",
               peer, clock, report.segments, report.segments == 1 ? "" : "s",
               (double)report.bytes / 1e6);
    }
    return status;
}

static int compact_all(const char *dir, uint64_t clock, struct err *e)
{
    struct pool *pool;
    uint32_t *peers;
    size_t n_peers, n_done = 0;
    int status = train_replica_peers(dir, &peers, &n_peers, e);

    if (status != 0) {
        return status;
    }
    status = past_pool(&pool, opts.threads, e);
    if (status != 0) {
        goto free_peers;
    }
    for (size_t i = 0; status == 0 && i < n_peers; i++) {
        if (!opts.peer_given || peers[i] == opts.peer) {
            status = compact_one(dir, peers[i], clock, pool, e);
            n_done++;
        }
    }
    if (status == 0 && n_done == 0) {
        status = err_set(e, ERR_NOT_FOUND, "%s has no log of peer %" PRIu64,
                         dir, opts.peer);
    }
    pool_destroy(pool);
free_peers:
    free(peers);
    return status;
}

int cmd_log_compact(int argc, char **argv)
{
    uint64_t first, n;
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(&COMMAND, "one run directory is wanted, not %d",
                         n_words);
    }
    if (!opts.keep_given) {
        return say_usage(&COMMAND, "--keep is missing");
    }
    status = train_compact_range(argv[1], &first, &n, &e);
    if (status == 0 && (opts.keep >= n || n - opts.keep <= first)) {
        printf("nothing to do: the logs have W of clocks %" PRIu64
               " to %" PRIu64 "\n",
               first, n);
        return CMD_OK;
    }
    if (status == 0) {
        status = compact_all(argv[1], n - opts.keep, &e);
    }
    return status == 0 ? CMD_OK : say_error(status, &e);
}
