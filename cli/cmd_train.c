/* lyre train: train a model, here or with peers elsewhere. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/job.h"
#include "cli/past.h"
#include "cli/say.h"
#include "core/clock.h"
#include "dataset/featurize.h"

static struct {
    const char *data, *test, *labels, *run;
    uint64_t peers, threads, batch, clocks, seed, features;
    double epochs, lr, momentum, decay, eps;
    const char *optimizer, *sparsify, *consistency, *durability;
    const char *transform, *normalize, *ngrams;
    uint64_t bits;
    uint64_t eval_every, digest_every, peer_timeout;
    bool bias, epochs_given, clocks_given, rank_given, json, quiet, verbose;
    bool no_lowercase, ngrams_given, normalize_given;
    uint64_t rank;
    const char *rendezvous, *provider;
} opts = {
    .peers = 1,
    .batch = 64,
    .epochs = 1,
    .seed = 1,
    .momentum = 0.9,
    .eps = 1e-8,
    .optimizer = "auto",
    .sparsify = "0.03:unbiased",
    .consistency = "bsp",
    .durability = "1s",
    .transform = "none",
    .normalize = "none",
    .ngrams = "char:1-3",
    .bits = 15,
    .digest_every = 100,
    .peer_timeout = 5 * CLOCK_S,
};

static const struct opt OPTS[] = {
    {.name = "data",
     .kind = OPT_STRING,
     .value = &opts.data,
     .arg = "FILE",
     .help = "what to train on: LIBSVM, label<TAB>text, IDX, npy, or what\n"
             "`lyre data convert` made; .gz too"},
    {.name = "test",
     .kind = OPT_STRING,
     .value = &opts.test,
     .arg = "FILE",
     .help = "what to evaluate on, at the end and every --eval-every clocks"},
    {.name = "labels",
     .kind = OPT_STRING,
     .value = &opts.labels,
     .arg = "FILE",
     .help = "labels, where they have a file of their own (IDX, npy)"},
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
    {.name = "batch",
     .kind = OPT_U64,
     .value = &opts.batch,
     .arg = "B",
     .help = "samples of each peer in a clock",
     .min = 1,
     .max = 1 << 20},
    {.name = "epochs",
     .kind = OPT_F64,
     .value = &opts.epochs,
     .given = &opts.epochs_given,
     .arg = "E",
     .help = "passes of all peers together over the data",
     .min = 1e-9,
     .max = 1e9},
    {.name = "clocks",
     .kind = OPT_U64,
     .value = &opts.clocks,
     .given = &opts.clocks_given,
     .arg = "N",
     .help = "end after so many clocks, instead of --epochs",
     .min = 1,
     .max = 9e15},
    {.name = "lr",
     .kind = OPT_F64,
     .value = &opts.lr,
     .arg = "X",
     .help = "learning rate (default: rowgrad sqrt(classes)/6, adagrad 0.3,\n"
             "sgd 0.1, momentum 0.01; the last two want tuning)",
     .min = 1e-30,
     .max = 1e30},
    {.name = "optimizer",
     .kind = OPT_STRING,
     .value = &opts.optimizer,
     .arg = "O",
     .help =
         "sgd, momentum, rowgrad (AdaGrad with a number per row), adagrad,\n"
         "or auto: rowgrad for sparse data, sgd for dense. sgd and momentum\n"
         "take the mean over a clock's samples, the others the sum"},
    {.name = "momentum",
     .kind = OPT_F64,
     .value = &opts.momentum,
     .arg = "X",
     .help = "share of the last step that goes into the next",
     .min = 0,
     .max = 1},
    {.name = "decay",
     .kind = OPT_F64,
     .value = &opts.decay,
     .arg = "X",
     .help = "weight decay: W is multiplied by 1 - lr X in every clock, which\n"
             "costs a pass over W",
     .min = 0,
     .max = 1e6},
    {.name = "sparsify",
     .kind = OPT_STRING,
     .value = &opts.sparsify,
     .arg = "TAU",
     .help = "leave out entries of u below TAU; 0: keep all; TAU:unbiased:\n"
             "keep them by chance, as TAU"},
    {.name = "consistency",
     .kind = OPT_STRING,
     .value = &opts.consistency,
     .arg = "M",
     .help = "bsp, pipeline:S, ssp:S or asp"},
    {.name = "seed",
     .kind = OPT_U64,
     .value = &opts.seed,
     .arg = "S",
     .help = "all that is random is a function of it"},
    {.name = "bias",
     .kind = OPT_FLAG,
     .value = &opts.bias,
     .help = "add a constant feature"},
    {.name = "transform",
     .kind = OPT_STRING,
     .value = &opts.transform,
     .arg = "T",
     .help = "of the values read: none, binary or log1p"},
    {.name = "normalize",
     .kind = OPT_STRING,
     .value = &opts.normalize,
     .given = &opts.normalize_given,
     .arg = "N",
     .help = "of the rows read: none or l2 (default for text: l2)"},
    {.name = "features",
     .kind = OPT_U64,
     .value = &opts.features,
     .arg = "K",
     .help = "at least so many features, where the data may not show all",
     .min = 0,
     .max = UINT32_MAX / 4},
    {.name = "ngrams",
     .kind = OPT_STRING,
     .value = &opts.ngrams,
     .given = &opts.ngrams_given,
     .arg = "G",
     .help = "features of text: char:1-3, word:1-2, ..."},
    {.name = "bits",
     .kind = OPT_U64,
     .value = &opts.bits,
     .arg = "N",
     .help = "text is hashed to 2^N features",
     .min = 1,
     .max = FEATURIZE_BITS_MAX},
    {.name = "no-lowercase",
     .kind = OPT_FLAG,
     .value = &opts.no_lowercase,
     .help = "upper case letters of text are others"},
    {.name = "eval-every",
     .kind = OPT_U64,
     .value = &opts.eval_every,
     .arg = "N",
     .help = "evaluate on --test every N clocks; 0: at the end"},
    {.name = "digest-every",
     .kind = OPT_U64,
     .value = &opts.digest_every,
     .arg = "N",
     .help = "compare the replicas every N clocks; 0: at the end"},
    {.name = "durability",
     .kind = OPT_STRING,
     .value = &opts.durability,
     .arg = "D",
     .help =
         "when the log is synced to disk: every 1s (or another time), after\n"
         "every clock, or none: at the end"},
    {.name = "peer-timeout",
     .kind = OPT_SECONDS,
     .value = &opts.peer_timeout,
     .arg = "T",
     .help = "a peer that gives no sign for so long is lost",
     .min = 0.2,
     .max = 86400},
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
        " --rendezvous tcp://node0:7070",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

/* The index of @word in @words (NULL-terminated), or a message with all of
 * them. */
static int
choice(const char *option, const char *word, const char *const *words, int *i)
{
    for (*i = 0; words[*i] != NULL; (*i)++) {
        if (strcmp(word, words[*i]) == 0) {
            return -1;
        }
    }
    {
        const char *near = opt_nearest(word, words);
        return say_usage(&COMMAND, "--%s %s: no such choice%s%s%s", option,
                         word, near ? "; did you mean " : "", near ? near : "",
                         near ? "?" : "");
    }
}

static int read_sparsify(struct train_run *r)
{
    char *end;

    r->tau = strtof(opts.sparsify, &end);
    r->unbiased = strcmp(end, ":unbiased") == 0;
    if (end == opts.sparsify || !(r->tau >= 0 && r->tau <= 1) ||
        (*end != '\0' && !r->unbiased)) {
        return say_usage(&COMMAND,
                         "--sparsify %s: a number from 0 to 1 is wanted, or"
                         " one with :unbiased",
                         opts.sparsify);
    }
    return -1;
}

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

static int read_schema(struct train_run *r)
{
    static const char *const TRANSFORMS[] = {"none", "binary", "log1p", NULL};
    static const char *const NORMALIZES[] = {"none", "l2", NULL};
    struct err e;
    int i, status = choice("transform", opts.transform, TRANSFORMS, &i);

    r->schema.transform = (enum dataset_transform)i;
    if (status < 0) {
        status = choice("normalize", opts.normalize, NORMALIZES, &i);
        r->schema.normalize = (enum dataset_normalize)i;
    }
    r->schema.n_features = (uint32_t)opts.features;
    if (status < 0 && opts.ngrams_given) {
        r->schema.featurizer.bits = (unsigned)opts.bits;
        r->schema.featurizer.lowercase = !opts.no_lowercase;
        if (dataset_featurizer_parse(&r->schema.featurizer, opts.ngrams, &e) !=
            0) {
            status = say_usage(&COMMAND, "--ngrams %s", e.msg);
        } else if (!opts.normalize_given) {
            r->schema.normalize = DATASET_NORMALIZE_L2;
        }
    }
    return status;
}

static int read_rule(struct train_run *r)
{
    static const char *const NAMES[] = {
        [SV_PLAIN] = "sgd",       [SV_MOMENTUM] = "momentum",
        [SV_ROWGRAD] = "rowgrad", [SV_ADAGRAD] = "adagrad",
        [SV_RULE_COUNT] = "auto", NULL};
    int i, status = choice("optimizer", opts.optimizer, NAMES, &i);

    r->rule = (enum sv_rule)i;
    return status;
}

static char *copy(const char *s)
{
    return s == NULL ? NULL : strdup(s);
}

static int read_run(struct train_run *r, const char *model)
{
    struct err e;
    int status = read_rule(r);

    snprintf(r->model, sizeof r->model, "%s", model);
    r->bias = opts.bias;
    r->n_peers = (uint32_t)opts.peers;
    r->seed = opts.seed;
    r->batch = (uint32_t)opts.batch;
    r->clocks = opts.clocks;
    r->lr = (float)opts.lr;
    r->eps = (float)opts.eps;
    r->momentum = (float)opts.momentum;
    r->decay = (float)opts.decay;
    r->digest_every = opts.digest_every;
    r->eval_every = opts.eval_every;
    r->peer_timeout_ns = opts.peer_timeout;
    r->data = copy(opts.data);
    r->test = copy(opts.test);
    r->labels = copy(opts.labels);
    status = status >= 0 ? status : read_sparsify(r);
    status = status >= 0 ? status : read_durability(r);
    status = status >= 0 ? status : read_schema(r);
    if (status < 0 && train_mode_parse(r, opts.consistency, &e) != 0) {
        status = say_usage(&COMMAND, "--consistency %s", e.msg);
    }
    return status;
}

/* What no single option is to blame for. */
static int check(int n_words, char **words)
{
    if (n_words != 1 || model_find(words[0]) == NULL) {
        return say_usage(&COMMAND, "which model? `lyre train mlr ...`");
    }
    if (opts.data == NULL || opts.run == NULL) {
        return say_usage(&COMMAND, "--%s is missing",
                         opts.data == NULL ? "data" : "run");
    }
    if (opts.epochs_given && opts.clocks_given) {
        return say_usage(&COMMAND, "--epochs and --clocks exclude each other");
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
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    status = status >= 0 ? status : check(n_words, argv + 1);
    if (status >= 0) {
        return status;
    }
    job = (struct job){.dir = opts.run,
                       .epochs = opts.epochs,
                       .n_peers = (uint32_t)opts.peers,
                       .rank = opts.rank_given ? (int64_t)opts.rank : -1,
                       .n_threads = opts.threads,
                       .rendezvous = opts.rendezvous,
                       .provider = opts.provider,
                       .json = opts.json,
                       .quiet = opts.quiet,
                       .verbose = opts.verbose};
    train_run_init(&job.run);
    status = read_run(&job.run, argv[1]);
    if (status < 0) {
        status =
            check_new(&job, &e) != 0 ? say_error(ERR_BUSY, &e) : job_run(&job);
    }
    train_run_fini(&job.run);
    return status;
}
