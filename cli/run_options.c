#include "cli/run_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/say.h"
#include "core/clock.h"
#include "dataset/featurize.h"
#include "dataset/sharding.h"

#define N_FILES 3 /* The first options stand in front of all others. */

static struct {
    const char *data, *test, *labels;
    uint64_t batch, clocks, seed, features, bits;
    double epochs, lr, momentum, decay, eps;
    const char *optimizer, *sparsify, *consistency, *multicast, *repair;
    const char *select, *codec, *transfer, *shards;
    uint64_t feedback;
    bool feedback_given, sparsify_given;
    const char *transform, *normalize, *ngrams;
    uint64_t eval_every, digest_every, peer_timeout;
    bool bias, epochs_given, clocks_given;
    bool no_lowercase, ngrams_given, normalize_given;
} opts = {
    .batch = 64,
    .epochs = 1,
    .seed = 1,
    .momentum = 0.9,
    .eps = 1e-8,
    .optimizer = "auto",
    .sparsify = "0.03:unbiased",
    .consistency = "bsp",
    .multicast = "all",
    .repair = "lazy:4",
    .select = "none",
    .codec = "f32",
    .transfer = "sv",
    .shards = "interleaved",
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
     .help =
         "learning rate (default: rowgrad sqrt(classes)/6, adagrad 0.3,\n"
         "sgd 0.1, momentum 0.01; the last two want tuning). Where W moves in\n"
         "steps of far more than 8,000 samples (peers x batch x L of lazy:L),\n"
         "try less, by as much",
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
     .given = &opts.sparsify_given,
     .arg = "TAU",
     .help = "leave out entries of u below TAU; 0: keep all; TAU:unbiased:\n"
             "keep them by chance, as TAU"},
    {.name = "consistency",
     .kind = OPT_STRING,
     .value = &opts.consistency,
     .arg = "M",
     .help = "bsp, pipeline:S, ssp:S, asp or adaptive:LOW-HIGH, which is ssp "
             "with S\n"
             "chosen by how unequal clocks are"},
    {.name = "multicast",
     .kind = OPT_STRING,
     .value = &opts.multicast,
     .arg = "M",
     .help = "whom a peer sends to at once: all, random:Q, halton:Q or ring\n"
             "(Q peers, the next one always among them)"},
    {.name = "repair",
     .kind = OPT_STRING,
     .value = &opts.repair,
     .arg = "R",
     .help = "lazy:L: the others get what they were not sent every L clocks,\n"
             "in one message; none: they never get it, and whom it reaches\n"
             "counts it for more; sync:S: the same, and replicas are averaged\n"
             "every S clocks; rotate:S: the same, and replicas move to the\n"
             "next peer every S clocks (but for lazy: ssp, asp and adaptive\n"
             "only)"},
    {.name = "transfer",
     .kind = OPT_STRING,
     .value = &opts.transfer,
     .arg = "T",
     .help = "what travels: sv: the pairs; matrix-ps, matrix-allreduce: whole\n"
             "updates, to owners of rows or by a ring; powersgd:R: a sum of\n"
             "rank R; auto: sv or matrix-allreduce, whichever is fewer bytes"},
    {.name = "select",
     .kind = OPT_STRING,
     .value = &opts.select,
     .arg = "S",
     .help =
         "which pairs are sent: none: all; jcss:C, jcss-greedy:C: C of them, "
         "weighted; svd:C: the best C, dense; error:E: as few as leave a "
         "relative error of E; auto: what takes the least time of those that "
         "keep the model as good, by measurements"},
    {.name = "feedback",
     .kind = OPT_U64,
     .value = &opts.feedback,
     .given = &opts.feedback_given,
     .arg = "N",
     .help = "svd: carry the next N directions to the next clock (default: C)",
     .min = 0,
     .max = 4096},
    {.name = "codec",
     .kind = OPT_STRING,
     .value = &opts.codec,
     .arg = "C",
     .help =
         "values as f32, bf16 or f16, or as in u=bf16,v=f32; with ,shuffle\n"
         "bytes are parted for Snappy where it helps"},
    {.name = "shards",
     .kind = OPT_STRING,
     .value = &opts.shards,
     .arg = "S",
     .help =
         "which rows each peer trains on: interleaved: every P-th; "
         "contiguous:\n"
         "a stretch of the file; sorted: a stretch of the rows sorted by\n"
         "label, so that peers see different classes. The last two read the\n"
         "file twice"},
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
    {.name = "peer-timeout",
     .kind = OPT_SECONDS,
     .value = &opts.peer_timeout,
     .arg = "T",
     .help = "a peer that gives no sign for so long is lost",
     .min = 0.2,
     .max = 86400},
};
_Static_assert(sizeof OPTS / sizeof OPTS[0] == RUN_OPTIONS_N, "count them");

void run_options_join(struct opt *table,
                      const struct opt *own,
                      size_t n_own,
                      size_t n_lead)
{
    const size_t rest = RUN_OPTIONS_N - N_FILES;

    memcpy(table, OPTS, N_FILES * sizeof *table);
    table += N_FILES;
    memcpy(table, own, n_lead * sizeof *table);
    table += n_lead;
    memcpy(table, OPTS + N_FILES, rest * sizeof *table);
    memcpy(table + rest, own + n_lead, (n_own - n_lead) * sizeof *table);
}

int run_options_check(const struct opt_command *c, int n_words, char **words)
{
    if (n_words != 1 || model_find(words[0]) == NULL) {
        return say_usage(c, "which model? `lyre %s mlr ...`", c->name);
    }
    if (opts.data == NULL) {
        return say_usage(c, "--data is missing");
    }
    if (opts.epochs_given && opts.clocks_given) {
        return say_usage(c, "--epochs and --clocks exclude each other");
    }
    return -1;
}

double run_options_epochs(void)
{
    return opts.epochs;
}

/* The index of @word in @words (NULL-terminated), or a message with all of
 * them. */
static int choice(const struct opt_command *c,
                  const char *option,
                  const char *word,
                  const char *const *words,
                  int *i)
{
    for (*i = 0; words[*i] != NULL; (*i)++) {
        if (strcmp(word, words[*i]) == 0) {
            return -1;
        }
    }
    {
        const char *near = opt_nearest(word, words);
        return say_usage(c, "--%s %s: no such choice%s%s%s", option, word,
                         near ? "; did you mean " : "", near ? near : "",
                         near ? "?" : "");
    }
}

static int read_sparsify(const struct opt_command *c, struct train_run *r)
{
    struct err e;

    return train_sparsify_parse(r, opts.sparsify, &e) == 0
               ? -1
               : say_usage(c, "--sparsify %s", e.msg);
}

static int read_schema(const struct opt_command *c, struct train_run *r)
{
    static const char *const TRANSFORMS[] = {"none", "binary", "log1p", NULL};
    static const char *const NORMALIZES[] = {"none", "l2", NULL};
    struct err e;
    int i, status = choice(c, "transform", opts.transform, TRANSFORMS, &i);

    r->schema.transform = (enum dataset_transform)i;
    if (status < 0) {
        status = choice(c, "normalize", opts.normalize, NORMALIZES, &i);
        r->schema.normalize = (enum dataset_normalize)i;
    }
    r->schema.n_features = (uint32_t)opts.features;
    if (status < 0 && opts.ngrams_given) {
        r->schema.featurizer.bits = (unsigned)opts.bits;
        r->schema.featurizer.lowercase = !opts.no_lowercase;
        if (dataset_featurizer_parse(&r->schema.featurizer, opts.ngrams, &e) !=
            0) {
            status = say_usage(c, "--ngrams %s", e.msg);
        } else if (!opts.normalize_given) {
            r->schema.normalize = DATASET_NORMALIZE_L2;
        }
    }
    return status;
}

static int read_rule(const struct opt_command *c, struct train_run *r)
{
    static const char *const NAMES[] = {
        [SV_PLAIN] = "sgd",       [SV_MOMENTUM] = "momentum",
        [SV_ROWGRAD] = "rowgrad", [SV_ADAGRAD] = "adagrad",
        [SV_RULE_COUNT] = "auto", NULL};
    int i, status = choice(c, "optimizer", opts.optimizer, NAMES, &i);

    r->rule = (enum sv_rule)i;
    return status;
}

static char *copy(const char *s)
{
    return s == NULL ? NULL : strdup(s);
}

static int read_choice(const struct opt_command *c, struct train_run *r)
{
    struct err e;

    if (select_spec_parse(&r->select, opts.select, &e) != 0) {
        return say_usage(c, "--select %s", e.msg);
    }
    if (opts.feedback_given && r->select.kind != SELECT_SVD) {
        return say_usage(c, "--feedback goes with --select svd:C");
    }
    if (r->select.kind == SELECT_SVD) {
        r->select.feedback =
            opts.feedback_given ? (uint32_t)opts.feedback : r->select.C;
    }
    if (sv_codec_options_parse(&r->codec, opts.codec, &e) != 0) {
        return say_usage(c, "--codec %s", e.msg);
    }
    return -1;
}

/* Whole matrices leave nothing to choose of how pairs travel. */
static int read_transfer(const struct opt_command *c, struct train_run *r)
{
    struct err e;
    const char *other = NULL;

    if (train_transfer_parse(&r->transfer, opts.transfer, &e) != 0) {
        return say_usage(c, "--transfer %s", e.msg);
    }
    if (r->transfer.kind == TRAIN_TRANSFER_SV) {
        return -1;
    }
    if (r->mode != TRAIN_BSP) {
        other = "--consistency bsp";
    } else if (r->select.kind != SELECT_NONE) {
        other = "--select none";
    } else if (strcmp(opts.codec, "f32") != 0) {
        other = "--codec f32";
    } else if (r->multicast.kind != P2P_MULTICAST_ALL) {
        other = "--multicast all";
    } else if (opts.sparsify_given && r->tau != 0) {
        other = "--sparsify 0";
    }
    return other == NULL ? -1
                         : say_usage(c, "--transfer %s goes with %s only",
                                     opts.transfer, other);
}

int run_options_read(const struct opt_command *c,
                     const char *model,
                     uint32_t n_peers,
                     struct train_run *r)
{
    struct err e;
    int status = read_rule(c, r);

    snprintf(r->model, sizeof r->model, "%s", model);
    r->bias = opts.bias;
    r->n_peers = n_peers;
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
    status = status >= 0 ? status : read_sparsify(c, r);
    status = status >= 0 ? status : read_schema(c, r);
    if (status < 0 && dataset_sharding_parse(&r->shards, opts.shards, &e)) {
        status = say_usage(c, "--shards %s", e.msg);
    }
    if (status < 0 && train_mode_parse(r, opts.consistency, &e) != 0) {
        status = say_usage(c, "--consistency %s", e.msg);
    }
    if (status < 0 && p2p_multicast_parse(&r->multicast, opts.multicast, &e)) {
        status = say_usage(c, "--multicast %s", e.msg);
    }
    status = status >= 0 ? status : read_choice(c, r);
    if (status < 0 && train_repair_parse(r, opts.repair, &e) != 0) {
        status = say_usage(c, "--repair %s", e.msg);
    }
    if (status < 0 && train_run_check(r, &e) != 0) {
        status = say_usage(c, "%s", e.msg);
    }
    return status >= 0 ? status : read_transfer(c, r);
}
