/* lyre data: look into data sets, convert and divide them. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/cmd.h"
#include "cli/dispatch.h"
#include "cli/say.h"
#include "dataset/bin.h"
#include "dataset/dataset.h"
#include "dataset/detect.h"
#include "dataset/featurize.h"
#include "dataset/libsvm.h"
#include "dataset/read.h"
#include "dataset/split.h"

#define LABELS_SHOWN 20 /* Without --all. */

/* Of all four commands: one of them runs in a process. */
static struct {
    const char *labels, *out, *transform, *normalize, *ngrams;
    uint64_t threads, bits, n_features, seed;
    double test;
    bool all, json, no_lowercase;
} opts = {.transform = "none",
          .normalize = "none",
          .ngrams = "char:1-3",
          .bits = 15,
          .seed = 1,
          .test = 0.1};

#define THREADS                                                        \
    {                                                                  \
        "threads", OPT_U64, &opts.threads, "T",                        \
            "threads that parse (default: one for each CPU)", NULL, 1, \
            POOL_THREADS_MAX                                           \
    }
#define LABELS                                                          \
    {                                                                   \
        "labels", OPT_STRING, &opts.labels, "FILE",                     \
            "labels, where they have a file of their own (IDX, npy);\n" \
            "default: the file beside it that is named alike",          \
            NULL, 0, 0                                                  \
    }
#define NGRAMS                                                       \
    {                                                                \
        "ngrams", OPT_STRING, &opts.ngrams, "N",                     \
            "n-grams of text: char:1-3, word:1-2 or alike (default " \
            "char:1-3)",                                             \
            NULL, 0, 0                                               \
    }
#define BITS                                                            \
    {                                                                   \
        "bits", OPT_U64, &opts.bits, "B",                               \
            "n-grams are hashed to 2^B features (default 15)", NULL, 1, \
            FEATURIZE_BITS_MAX                                          \
    }
#define NO_LOWERCASE                                        \
    {                                                       \
        "no-lowercase", OPT_FLAG, &opts.no_lowercase, NULL, \
            "keep upper case in text", NULL, 0, 0           \
    }
#define NORMALIZE(DEFAULT)                                           \
    {                                                                \
        "normalize", OPT_STRING, &opts.normalize, "none|l2",         \
            "l2: rows of length 1 (default " DEFAULT ")", NULL, 0, 0 \
    }

/* The index of @word in @words (NULL-terminated), or -1. */
static int choose(const char *word, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(word, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

/* The options that reading has in common. Returns -1 to go on. */
static int read_options(const struct opt_command *c, struct dataset_options *o)
{
    static const char *const TRANSFORMS[] = {"none", "binary", "log1p", NULL};
    static const char *const NORMALIZES[] = {"none", "l2", NULL};
    int transform = choose(opts.transform, TRANSFORMS);
    int normalize = choose(opts.normalize, NORMALIZES);
    struct err e;

    if (transform < 0) {
        return say_usage(c, "--transform %s: none, binary or log1p",
                         opts.transform);
    }
    if (normalize < 0) {
        return say_usage(c, "--normalize %s: none or l2", opts.normalize);
    }
    *o = (struct dataset_options){
        .transform = (enum dataset_transform)transform,
        .normalize = (enum dataset_normalize)normalize,
        .n_features = (uint32_t)opts.n_features,
        .labels = opts.labels,
        .featurizer = {.bits = (unsigned)opts.bits,
                       .lowercase = !opts.no_lowercase}};
    if (dataset_featurizer_parse(&o->featurizer, opts.ngrams, &e) != 0 ||
        dataset_featurizer_check(&o->featurizer, &e) != 0) {
        return say_usage(c, "%s", e.msg);
    }
    return -1;
}

/* Read the whole of @path on all threads. */
static int read_all(struct dataset *d,
                    const char *path,
                    struct dataset_options *o,
                    struct err *e)
{
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t n =
        opts.threads > 0 ? opts.threads : (uint64_t)(n_cpus > 0 ? n_cpus : 1);
    struct log log = say_log(LOG_WARN);
    int rc;

    n = n < POOL_THREADS_MAX ? n : POOL_THREADS_MAX;
    rc = pool_create(&o->pool, n, e);
    if (rc != 0) {
        return rc;
    }
    o->log = &log;
    rc = dataset_read(d, path, o, e);
    pool_destroy(o->pool);
    return rc;
}

/* Say which file has been written, and what is in it. */
static void print_written(const char *path, const struct dataset *d)
{
    printf("%s: %" PRIu32 " rows, %" PRIu32 " features, %" PRIu32 " classes\n",
           path, d->n_rows, d->schema.n_features, d->schema.n_classes);
}

static const struct opt INFO_OPTS[] = {
    LABELS,
    {"all", OPT_FLAG, &opts.all, NULL, "show all labels, not the 20 commonest",
     NULL, 0, 0},
    {"json", OPT_FLAG, &opts.json, NULL, "print one JSON object", NULL, 0, 0},
    THREADS,
};

static const struct opt_command INFO = {
    .name = "data info",
    .summary = "What is in a data set.",
    .usage = "data info FILE [--all] [--json]",
    .details = "Reads LIBSVM text, labelled text (label TAB text), IDX, npy, "
               "LDA-C, UCI bag of\nwords, \"user item rating\" triples, each "
               "also as .gz, and what lyre data convert\nmade. Text is looked "
               "at as features: hashed n-grams of 1 to 3 characters.",
    .examples = "lyre data info train.svm.gz\n"
                "lyre data info langid.train.tsv --all\n"
                "lyre data info train-images-idx3-ubyte.gz --json",
    .opts = INFO_OPTS,
    .n_opts = sizeof INFO_OPTS / sizeof INFO_OPTS[0],
};

struct count {
    const char *name;
    uint64_t n;
};

struct info {
    const char *format;
    uint64_t n_nonzeros, row_min, row_max, n_unlabelled;
    uint32_t n_classes;
    struct count *counts; /* (n_classes) the commonest first. */
};

static uint64_t count_nonzeros(const struct dataset *d, uint32_t i)
{
    struct dataset_row row = dataset_row(d, i);
    uint64_t n = 0;

    for (uint32_t j = 0; j < row.nnz; j++) {
        n += row.val[j] != 0;
    }
    return n;
}

static int by_count(const void *a, const void *b)
{
    const struct count *x = a, *y = b;

    if (x->n != y->n) {
        return x->n > y->n ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static int collect(const struct dataset *d, struct info *x, struct err *e)
{
    x->n_classes = d->schema.n_classes;
    x->counts = calloc((size_t)x->n_classes + 1, sizeof *x->counts);
    if (x->counts == NULL) {
        return err_set(e, ERR_NOMEM, "%u classes", x->n_classes);
    }
    for (uint32_t i = 0; i < x->n_classes; i++) {
        x->counts[i].name = d->schema.classes[i];
    }
    x->row_min = UINT64_MAX;
    for (uint32_t i = 0; i < d->n_rows; i++) {
        uint64_t n = count_nonzeros(d, i);
        x->n_nonzeros += n;
        x->row_min = n < x->row_min ? n : x->row_min;
        x->row_max = n > x->row_max ? n : x->row_max;
        if (d->label[i] == DATASET_NO_LABEL) {
            x->n_unlabelled++;
        } else {
            x->counts[d->label[i]].n++;
        }
    }
    qsort(x->counts, x->n_classes, sizeof *x->counts, by_count);
    return 0;
}

static double density(const struct dataset *d, const struct info *x)
{
    return (double)x->n_nonzeros /
           ((double)d->n_rows * (double)d->schema.n_features);
}

static void print_featurizer(const struct dataset_schema *s)
{
    const struct dataset_featurizer *f = &s->featurizer;

    if (f->n_max > 0) {
        printf("features from  %s:%u-%u, %u bits%s\n",
               f->words ? "word" : "char", f->n_min, f->n_max, f->bits,
               f->lowercase ? ", lower case" : "");
    }
}

static void print_labels(const struct dataset *d, const struct info *x)
{
    uint32_t n =
        opts.all || x->n_classes <= LABELS_SHOWN ? x->n_classes : LABELS_SHOWN;

    for (uint32_t i = 0; i < n; i++) {
        printf("  %-24s %10" PRIu64 "  %5.2f%%\n", x->counts[i].name,
               x->counts[i].n,
               100 * (double)x->counts[i].n / (double)d->n_rows);
    }
    if (n < x->n_classes) {
        printf("  and %u more (--all shows them)\n", x->n_classes - n);
    }
    if (x->n_unlabelled > 0) {
        printf("  %-24s %10" PRIu64 "\n", "(no label)", x->n_unlabelled);
    }
}

static void
print_info(const char *path, const struct dataset *d, const struct info *x)
{
    printf("file           %s\n", path);
    printf("format         %s\n", x->format);
    print_featurizer(&d->schema);
    printf("rows           %" PRIu32 "\n", d->n_rows);
    printf("features       %" PRIu32 "\n", d->schema.n_features);
    printf("nonzeros       %" PRIu64 "\n", x->n_nonzeros);
    printf("density        %.4g%%\n", 100 * density(d, x));
    printf("nonzeros a row %" PRIu64 " to %" PRIu64 ", mean %.1f\n", x->row_min,
           x->row_max, (double)x->n_nonzeros / (double)d->n_rows);
    printf("fingerprint    %016" PRIx64 "\n", d->fingerprint);
    printf("classes        %" PRIu32 "\n", x->n_classes);
    print_labels(d, x);
}

static int
print_info_json(const char *path, const struct dataset *d, const struct info *x)
{
    json_t *labels = json_object();
    char fingerprint[17];
    json_t *j;

    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, d->fingerprint);
    for (uint32_t i = 0; i < x->n_classes; i++) {
        json_object_set_new(labels, x->counts[i].name,
                            json_integer((json_int_t)x->counts[i].n));
    }
    j = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:f, s:I, s:s, "
                  "s:I, s:o}",
                  "file", path, "format", x->format, "rows",
                  (json_int_t)d->n_rows, "classes", (json_int_t)x->n_classes,
                  "features", (json_int_t)d->schema.n_features, "nonzeros",
                  (json_int_t)x->n_nonzeros, "density", density(d, x),
                  "nonzeros_min", (json_int_t)x->row_min, "nonzeros_mean",
                  (double)x->n_nonzeros / (double)d->n_rows, "nonzeros_max",
                  (json_int_t)x->row_max, "fingerprint", fingerprint,
                  "unlabelled", (json_int_t)x->n_unlabelled, "labels", labels);
    if (j == NULL) {
        fprintf(stderr, "lyre: out of memory\n");
        return CMD_FAILED;
    }
    json_dumpf(j, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(j);
    return CMD_OK;
}

/* The one word of a command. */
static int one_word(const struct opt_command *c, int n_words, char **argv)
{
    if (n_words == 1) {
        return -1;
    }
    return n_words == 0 ? say_usage(c, "which file?")
                        : say_usage(c, "one file, not also %s", argv[2]);
}

static int run_info(int argc, char **argv)
{
    struct dataset_options o;
    enum dataset_format format;
    struct info x = {0};
    struct dataset d;
    struct err e;
    int n_words, rc, status = say_parse(&INFO, argc, argv, &n_words);

    if (status < 0) {
        status = one_word(&INFO, n_words, argv);
    }
    if (status < 0) {
        status = read_options(&INFO, &o);
    }
    if (status >= 0) {
        return status;
    }
    rc = dataset_format_of(argv[1], &format, &e);
    if (rc == 0) {
        rc = read_all(&d, argv[1], &o, &e);
    }
    if (rc != 0) {
        return say_error(rc, &e);
    }
    x.format = dataset_format_name(format);
    rc = collect(&d, &x, &e);
    if (rc != 0) {
        status = say_error(rc, &e);
    } else if (opts.json) {
        status = print_info_json(argv[1], &d, &x);
    } else {
        print_info(argv[1], &d, &x);
        status = CMD_OK;
    }
    free(x.counts);
    dataset_fini(&d);
    return status;
}

static const struct opt CONVERT_OPTS[] = {
    {"out", OPT_STRING, &opts.out, "FILE", "where to write", NULL, 0, 0},
    {"transform", OPT_STRING, &opts.transform, "none|binary|log1p",
     "what is done to values (default none)", NULL, 0, 0},
    NORMALIZE("none; text: l2"),
    {"features", OPT_U64, &opts.n_features, "K",
     "at least so many features, if the file shows less", NULL, 1, UINT32_MAX},
    LABELS,
    NGRAMS,
    BITS,
    NO_LOWERCASE,
    THREADS,
};

static const struct opt_command CONVERT = {
    .name = "data convert",
    .summary = "Write a data set as a file that is mapped, not parsed.",
    .usage = "data convert FILE --out F.bin [--transform T] [--normalize N]",
    .details = "Training and evaluation read the file like the original, but "
               "at once, and\nseveral peers on one machine share its memory. "
               "Transformed or normalized values\nare stored as they are; "
               "without, this can still be chosen in training.",
    .examples = "lyre data convert train.svm.gz --out train.bin\n"
                "lyre data convert train.svm.gz --out train.bin "
                "--transform log1p --normalize l2\n"
                "lyre data convert train-images-idx3-ubyte.gz --out train.bin",
    .opts = CONVERT_OPTS,
    .n_opts = sizeof CONVERT_OPTS / sizeof CONVERT_OPTS[0],
};

/* What --out needs. */
static int check_out(const struct opt_command *c, const char *what)
{
    return opts.out == NULL || *opts.out == '\0'
               ? say_usage(c, "--out %s is missing", what)
               : -1;
}

/* Read @path and write it as @write does. */
static int
rewrite(const char *path,
        struct dataset_options *o,
        int (*write)(const struct dataset *d, const char *out, struct err *e))
{
    struct dataset d;
    struct err e;
    int rc = read_all(&d, path, o, &e);

    if (rc == 0) {
        rc = write(&d, opts.out, &e);
        if (rc == 0) {
            print_written(opts.out, &d);
        }
        dataset_fini(&d);
    }
    return rc == 0 ? CMD_OK : say_error(rc, &e);
}

/* Text is normalized unless the user says something. */
static int run_convert(int argc, char **argv)
{
    struct dataset_options o;
    enum dataset_format format;
    struct err e;
    int n_words, rc, status;

    opts.normalize = NULL;
    status = say_parse(&CONVERT, argc, argv, &n_words);
    if (status < 0) {
        status = one_word(&CONVERT, n_words, argv);
    }
    if (status < 0) {
        status = check_out(&CONVERT, "F.bin");
    }
    if (status >= 0) {
        return status;
    }
    rc = dataset_format_of(argv[1], &format, &e);
    if (rc != 0) {
        return say_error(rc, &e);
    }
    if (opts.normalize == NULL) {
        opts.normalize = format == DATASET_TEXT ? "l2" : "none";
    }
    status = read_options(&CONVERT, &o);
    return status >= 0 ? status : rewrite(argv[1], &o, dataset_bin_write);
}

static const struct opt FEATURIZE_OPTS[] = {
    {"out", OPT_STRING, &opts.out, "FILE",
     "where to write: binary if it ends in .bin, else LIBSVM text (.gz too)",
     NULL, 0, 0},
    NGRAMS,
    BITS,
    NO_LOWERCASE,
    NORMALIZE("l2"),
    THREADS,
};

static const struct opt_command FEATURIZE = {
    .name = "data featurize",
    .summary = "Make features of labelled text.",
    .usage = "data featurize IN.tsv --out F.svm|F.bin [--ngrams N] [--bits B]",
    .details =
        "A line of the input is a label, a TAB and text. Features are counts "
        "of hashed\nn-grams: of characters, with ^ before and $ behind the "
        "text, or of words. The\nfirst line of the output says how they were "
        "made, so that lyre predict --text\ndoes the same; training applies "
        "the normalization it names.",
    .examples =
        "lyre data featurize langid.train.tsv --out langid.train.svm\n"
        "lyre data featurize mails.tsv --out mails.bin --ngrams word:1-2 "
        "--bits 18",
    .opts = FEATURIZE_OPTS,
    .n_opts = sizeof FEATURIZE_OPTS / sizeof FEATURIZE_OPTS[0],
};

static bool is_bin(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".bin") == 0;
}

/* LIBSVM text holds the counts, and the name of the normalization that a
 * reader is to apply. */
static int write_counts(const struct dataset *d, const char *out, struct err *e)
{
    struct dataset named = *d;

    if (strcmp(opts.normalize, "l2") == 0) {
        named.schema.normalize = DATASET_NORMALIZE_L2;
    }
    return dataset_libsvm_write(&named, out, e);
}

static int run_featurize(int argc, char **argv)
{
    struct dataset_options o;
    enum dataset_format format;
    struct err e;
    int n_words, rc, status;

    opts.normalize = "l2";
    status = say_parse(&FEATURIZE, argc, argv, &n_words);
    if (status < 0) {
        status = one_word(&FEATURIZE, n_words, argv);
    }
    if (status < 0) {
        status = check_out(&FEATURIZE, "F.svm or F.bin");
    }
    if (status < 0) {
        status = read_options(&FEATURIZE, &o);
    }
    if (status >= 0) {
        return status;
    }
    rc = dataset_format_of(argv[1], &format, &e);
    if (rc == 0 && format != DATASET_TEXT) {
        rc = err_set(&e, ERR_CORRUPT,
                     "featurize %s: this is %s, expected label TAB text",
                     argv[1], dataset_format_name(format));
    }
    if (rc != 0) {
        return say_error(rc, &e);
    }
    if (is_bin(opts.out)) {
        return rewrite(argv[1], &o, dataset_bin_write);
    }
    o.normalize = DATASET_NORMALIZE_NONE;
    return rewrite(argv[1], &o, write_counts);
}

static const struct opt SPLIT_OPTS[] = {
    {"test", OPT_F64, &opts.test, "SHARE",
     "share of the rows that are for testing (default 0.1)", NULL, 1e-9,
     1 - 1e-9},
    {"seed", OPT_U64, &opts.seed, "S", "which rows: a number (default 1)", NULL,
     0, 0},
    {"out", OPT_STRING, &opts.out, "PREFIX",
     "what the names of both files begin with", NULL, 0, 0},
};

static const struct opt_command SPLIT = {
    .name = "data split",
    .summary = "Divide a data set into one for training and one for testing.",
    .usage = "data split FILE --out PREFIX [--test 0.1] [--seed S]",
    .details = "Writes PREFIX.train.* and PREFIX.test.* in the format of the "
               "input, which is\nLIBSVM, labelled text or LDA-C, also as .gz. "
               "Rows are chosen at random and kept\nas they are, in their "
               "order; the same seed chooses the same rows.",
    .examples = "lyre data split langid.tsv --out langid\n"
                "lyre data split all.svm.gz --test 0.2 --seed 7 --out part",
    .opts = SPLIT_OPTS,
    .n_opts = sizeof SPLIT_OPTS / sizeof SPLIT_OPTS[0],
};

static int run_split(int argc, char **argv)
{
    struct dataset_split s;
    struct err e;
    int n_words, rc, status = say_parse(&SPLIT, argc, argv, &n_words);

    if (status < 0) {
        status = one_word(&SPLIT, n_words, argv);
    }
    if (status < 0) {
        status = check_out(&SPLIT, "PREFIX");
    }
    if (status >= 0) {
        return status;
    }
    s = (struct dataset_split){
        .share = opts.test, .seed = opts.seed, .prefix = opts.out};
    rc = dataset_split(&s, argv[1], &e);
    if (rc != 0) {
        return say_error(rc, &e);
    }
    printf("%s: %" PRIu64 " rows\n%s: %" PRIu64 " rows\n", s.train, s.n_train,
           s.test, s.n_test);
    return CMD_OK;
}

static const struct cmd COMMANDS[] = {
    {"info", run_info, "what is in a data set"},
    {"convert", run_convert, "write it as a file that is mapped, not parsed"},
    {"featurize", run_featurize, "make features of labelled text"},
    {"split", run_split, "divide it for training and testing"},
};

static const struct dispatch DATA = {
    .prefix = "lyre data",
    .summary = "Looks into data sets, converts and divides them.",
    .cmds = COMMANDS,
    .n_cmds = sizeof COMMANDS / sizeof COMMANDS[0],
};

int cmd_data(int argc, char **argv)
{
    return dispatch_run(&DATA, argc, argv);
}
