#include "cli/cmd_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ckpt/log.h"
#include "ckpt/verify.h"
#include "cli/cmd.h"
#include "cli/say.h"
#include "train/replica.h"

static struct {
    uint64_t peer;
    bool peer_given;
} opts;

static const struct opt OPTS[] = {
    {.name = "peer",
     .kind = OPT_U64,
     .value = &opts.peer,
     .given = &opts.peer_given,
     .arg = "P",
     .help = "only the log of this peer (default: all there are)",
     .min = 0,
     .max = UINT32_MAX},
};

static const struct opt_command VERIFY = {
    .name = "log verify",
    .summary = "Read every record of a run's logs and look for damage.",
    .usage = "log verify DIR [--peer P]",
    .details =
        "Checksums, the order of steps, the batches they name, snapshots and "
        "the index. "
        "Nothing is\nrepaired. The torn tail that a crash leaves is no damage: "
        "it is cut when training\ngoes on. Exit 1 if there is damage; lyre "
        "replay --verify compares what the log\nleads to.",
    .examples = "lyre log verify run\nlyre log verify run --peer 3",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

static const struct opt_command REINDEX = {
    .name = "log reindex",
    .summary = "Build the index of a run's logs anew from the segments.",
    .usage = "log reindex DIR [--peer P]",
    .details = "The segments are the truth: the old index is thrown away. "
               "Nobody may be training in\nthis run meanwhile.",
    .examples = "lyre log reindex run\nlyre log reindex run --peer 3",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

/* @arg points to the name of the log's directory. */
static void say_finding(void *arg, const char *finding)
{
    fprintf(stderr, "lyre: %s: %s\n", *(const char *const *)arg, finding);
}

static int verify(const char *dir, uint32_t peer, struct err *e)
{
    struct ckpt_verify_report r = {0};
    const int status = ckpt_verify(dir, &r, say_finding, &dir, e);

    if (status != 0) {
        return status;
    }
    printf("peer %u: %" PRIu64 " clocks, %" PRIu64 " records, %" PRIu64
           " bytes in %" PRIu64 " segment%s, ",
           peer, r.clocks, r.records, r.bytes, r.segments,
           r.segments == 1 ? "" : "s");
    if (r.first != 0) {
        printf("compacted to clock %" PRIu64 ", ", r.first);
    }
    if (r.snapshots != 0) {
        printf("%" PRIu64 " snapshot%s, ", r.snapshots,
               r.snapshots == 1 ? "" : "s");
    }
    if (r.torn != 0) {
        printf("%" PRIu64 " bytes torn off, ", r.torn);
    }
    if (r.behind != 0) {
        printf("%" PRIu64 " records not in the index, ", r.behind);
    }
    if (r.findings == 0) {
        puts("no damage");
        return 0;
    }
    printf("%" PRIu64 " finding%s\n", r.findings, r.findings == 1 ? "" : "s");
    return err_set(e, ERR_CORRUPT, "%s: the log is damaged", dir);
}

static int reindex(const char *dir, uint32_t peer, struct err *e)
{
    const int status = ckpt_log_reindex(dir, e);

    if (status == 0) {
        printf("peer %u: index built\n", peer);
    }
    return status;
}

/* Do it to every log that was asked for; a bad one does not hide the others.
 * Returns an enum cmd_exit. */
static int each_peer(const char *run_dir,
                     int (*fn)(const char *dir, uint32_t peer, struct err *e))
{
    uint32_t *peers;
    size_t n_peers, n_done = 0;
    struct err e;
    int worst = CMD_OK,
        status = train_replica_peers(run_dir, &peers, &n_peers, &e);

    if (status != 0) {
        return say_error(status, &e);
    }
    for (size_t i = 0; i < n_peers; i++) {
        if (opts.peer_given && peers[i] != opts.peer) {
            continue;
        }
        char *dir = train_peer_dir(run_dir, peers[i]);
        status = dir != NULL ? fn(dir, peers[i], &e)
                             : err_set(&e, ERR_NOMEM, "out of memory");
        free(dir);
        n_done++;
        if (status != 0) {
            worst = say_error(status, &e);
        }
    }
    free(peers);
    if (n_done == 0) {
        err_set(&e, ERR_NOT_FOUND, "%s has no log of peer %" PRIu64, run_dir,
                opts.peer);
        return say_error(ERR_NOT_FOUND, &e);
    }
    return worst;
}

static int check(const struct opt_command *c,
                 int argc,
                 char **argv,
                 int (*fn)(const char *dir, uint32_t peer, struct err *e))
{
    int n_words;
    const int status = say_parse(c, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(c, "one run directory is wanted, not %d", n_words);
    }
    return each_peer(argv[1], fn);
}

int cmd_log_verify(int argc, char **argv)
{
    return check(&VERIFY, argc, argv, verify);
}

int cmd_log_reindex(int argc, char **argv)
{
    return check(&REINDEX, argc, argv, reindex);
}
