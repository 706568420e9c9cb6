/* lyre branch: go on from a past clock with other settings. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/say.h"
#include "core/clock.h"
#include "train/branch.h"

static struct {
    const char *run, *data, *labels, *test;
    const char *sparsify, *consistency, *multicast, *repair, *select, *codec;
    uint64_t clock, clocks, batch, feedback, seed, digest_every, eval_every;
    uint64_t peer_timeout;
    double lr, decay, momentum;
    bool clock_given, feedback_given, seed_given, digest_given, eval_given;
    bool decay_given, momentum_given, timeout_given;
} opts;

static const struct opt OPTS[] = {
    {.name = "clock",
     .kind = OPT_U64,
     .value = &opts.clock,
     .given = &opts.clock_given,
     .arg = "C",
     .help = "go on from the parameters of this clock"},
    {.name = "run",
     .kind = OPT_STRING,
     .value = &opts.run,
     .arg = "NEW",
     .help = "a new directory for the branch"},
    {.name = "clocks",
     .kind = OPT_U64,
     .value = &opts.clocks,
     .arg = "N",
     .help = "end at this clock instead of where the run was to end",
     .min = 1,
     .max = 9e15},
    {.name = "data",
     .kind = OPT_STRING,
     .value = &opts.data,
     .arg = "FILE",
     .help = "train on this file, which has no other labels"},
    {.name = "labels",
     .kind = OPT_STRING,
     .value = &opts.labels,
     .arg = "FILE",
     .help = "its labels, where they have a file of their own (IDX, npy)"},
    {.name = "test",
     .kind = OPT_STRING,
     .value = &opts.test,
     .arg = "FILE",
     .help = "evaluate on this file"},
    {.name = "batch",
     .kind = OPT_U64,
     .value = &opts.batch,
     .arg = "B",
     .help = "samples of each peer in a clock",
     .min = 1,
     .max = 1 << 20},
    {.name = "lr",
     .kind = OPT_F64,
     .value = &opts.lr,
     .arg = "X",
     .help = "learning rate",
     .min = 1e-30,
     .max = 1e30},
    {.name = "momentum",
     .kind = OPT_F64,
     .value = &opts.momentum,
     .given = &opts.momentum_given,
     .arg = "X",
     .help = "share of the last step that goes into the next",
     .min = 0,
     .max = 1},
    {.name = "decay",
     .kind = OPT_F64,
     .value = &opts.decay,
     .given = &opts.decay_given,
     .arg = "X",
     .help = "weight decay",
     .min = 0,
     .max = 1e6},
    {.name = "sparsify",
     .kind = OPT_STRING,
     .value = &opts.sparsify,
     .arg = "TAU",
     .help = "entries of u below TAU: see lyre train"},
    {.name = "consistency",
     .kind = OPT_STRING,
     .value = &opts.consistency,
     .arg = "M",
     .help = "when the next clock may begin: see lyre train"},
    {.name = "multicast",
     .kind = OPT_STRING,
     .value = &opts.multicast,
     .arg = "M",
     .help = "whom a peer sends to at once: see lyre train"},
    {.name = "repair",
     .kind = OPT_STRING,
     .value = &opts.repair,
     .arg = "R",
     .help = "how the others get it: see lyre train"},
    {.name = "select",
     .kind = OPT_STRING,
     .value = &opts.select,
     .arg = "S",
     .help = "which pairs are sent: see lyre train"},
    {.name = "feedback",
     .kind = OPT_U64,
     .value = &opts.feedback,
     .given = &opts.feedback_given,
     .arg = "N",
     .help = "svd: carry the next N directions to the next clock",
     .min = 0,
     .max = 4096},
    {.name = "codec",
     .kind = OPT_STRING,
     .value = &opts.codec,
     .arg = "C",
     .help = "how values are sent: see lyre train"},
    {.name = "seed",
     .kind = OPT_U64,
     .value = &opts.seed,
     .given = &opts.seed_given,
     .arg = "S",
     .help = "all that is random is a function of it"},
    {.name = "digest-every",
     .kind = OPT_U64,
     .value = &opts.digest_every,
     .given = &opts.digest_given,
     .arg = "N",
     .help = "compare the replicas every N clocks; 0: at the end"},
    {.name = "eval-every",
     .kind = OPT_U64,
     .value = &opts.eval_every,
     .given = &opts.eval_given,
     .arg = "N",
     .help = "evaluate every N clocks; 0: at the end"},
    {.name = "peer-timeout",
     .kind = OPT_SECONDS,
     .value = &opts.peer_timeout,
     .given = &opts.timeout_given,
     .arg = "T",
     .help = "a peer that gives no sign for so long is lost",
     .min = 0.2,
     .max = 86400},
};

static const struct opt_command COMMAND = {
    .name = "branch",
    .summary = "Go on from a past clock of a run with other settings, as a run "
               "of its own.",
    .usage = "branch DIR --clock C --run NEW [settings]",
    .details =
        "The new run has the clocks of the old one up to C, and shares the "
        "files that hold\nthem: they are links, so that neither run loses "
        "anything when the other one is\ncompacted or removed. What is not "
        "given stays as it was. Model, optimizer, features\nand peers cannot "
        "be changed; consistency, multicast, repair and seed can be where all\n"
        "batches before the clock have been applied, as always under bsp. Then "
        "lyre resume NEW\ntrains. If the logs are on several machines, branch "
        "on each of them in the same way.",
    .examples = "lyre branch run --clock 300 --run slower --lr 0.5\n"
                "lyre branch run --clock 300 --run sent-less --select jcss:16 "
                "--codec bf16\n"
                "lyre resume slower",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

static int replace(char **text, const char *with, struct err *e)
{
    if (with == NULL) {
        return 0;
    }
    free(*text);
    *text = strdup(with);
    return *text != NULL ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

/* Other data: the same labels, and what is said of its rows. */
static int change_data(struct train_run *r, struct err *e)
{
    const struct dataset_options o = {.schema = &r->schema,
                                      .labels = opts.labels};
    struct dataset d;
    int rc = dataset_read(&d, opts.data, &o, e);

    if (rc != 0) {
        return rc;
    }
    if (d.n_unknown_labels != 0 || d.n_rows == 0) {
        rc = err_set(e, ERR_INVALID,
                     "--data %s: %" PRIu64 " of %u rows have labels that the "
                     "run does not know",
                     opts.data, d.n_unknown_labels, d.n_rows);
    }
    r->n_rows = d.n_rows_file;
    r->data_fingerprint = d.fingerprint;
    dataset_fini(&d);
    rc = rc != 0 ? rc : replace(&r->data, opts.data, e);
    return rc != 0 ? rc : replace(&r->labels, opts.labels, e);
}

static int change_sending(struct train_run *r, struct err *e)
{
    int rc = 0;

    if (opts.sparsify != NULL) {
        rc = train_sparsify_parse(r, opts.sparsify, e);
    }
    if (rc == 0 && opts.consistency != NULL) {
        rc = train_mode_parse(r, opts.consistency, e);
    }
    if (rc == 0 && opts.multicast != NULL) {
        rc = p2p_multicast_parse(&r->multicast, opts.multicast, e);
    }
    if (rc == 0 && opts.repair != NULL) {
        rc = train_repair_parse(r, opts.repair, e);
    }
    if (rc == 0 && opts.select != NULL) {
        rc = select_spec_parse(&r->select, opts.select, e);
        r->select.feedback =
            rc == 0 && r->select.kind == SELECT_SVD ? r->select.C : 0;
    }
    if (rc == 0 && r->select.kind == SELECT_AUTO) {
        rc = err_set(e, ERR_INVALID, "--select auto: name a way");
    }
    if (rc == 0 && opts.feedback_given) {
        r->select.feedback = (uint32_t)opts.feedback;
    }
    if (rc == 0 && opts.codec != NULL) {
        rc = sv_codec_options_parse(&r->codec, opts.codec, e);
    }
    return rc;
}

/* What is not a number is NaN where 0 means something. */
static int change(void *arg, struct train_run *r, struct err *e)
{
    int rc = opts.data != NULL ? change_data(r, e) : 0;

    (void)arg;
    rc = rc != 0 ? rc : replace(&r->test, opts.test, e);
    r->clocks = opts.clocks != 0 ? opts.clocks : r->clocks;
    r->batch = opts.batch != 0 ? (uint32_t)opts.batch : r->batch;
    r->lr = opts.lr != 0 ? (float)opts.lr : r->lr;
    r->momentum = opts.momentum_given ? (float)opts.momentum : r->momentum;
    r->decay = opts.decay_given ? (float)opts.decay : r->decay;
    r->seed = opts.seed_given ? opts.seed : r->seed;
    r->digest_every = opts.digest_given ? opts.digest_every : r->digest_every;
    r->eval_every = opts.eval_given ? opts.eval_every : r->eval_every;
    r->peer_timeout_ns =
        opts.timeout_given ? opts.peer_timeout : r->peer_timeout_ns;
    return rc != 0 ? rc : change_sending(r, e);
}

int cmd_branch(int argc, char **argv)
{
    struct ckpt_branch_report report;
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(&COMMAND, "one run directory is wanted, not %d",
                         n_words);
    }
    if (!opts.clock_given || opts.run == NULL) {
        return say_usage(&COMMAND, "--%s is missing",
                         opts.clock_given ? "run" : "clock");
    }
    const struct train_branch_options o = {
        .from = argv[1], .to = opts.run, .clock = opts.clock, .change = change};
    status = train_branch(&o, &report, &e);
    if (status != 0) {
        return say_error(status, &e);
    }
    printf("%s: clocks 0 to %" PRIu64 " of %s, %.1f MB shared, %.1f MB "
           "copied; go on with: lyre resume %s\n",
           opts.run, opts.clock, argv[1], (double)report.shared / 1e6,
           (double)report.copied / 1e6, opts.run);
    return CMD_OK;
}
