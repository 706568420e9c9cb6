/* lyre compare: the same job in several modes, side by side. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/compare_result.h"
#include "cli/compare_run.h"
#include "cli/job.h"
#include "cli/run_options.h"
#include "cli/say.h"

static struct {
    const char *modes, *until, *dir, *links, *durability, *provider;
    uint64_t peers, threads;
    bool json;
} opts = {.modes = "sv,sv+select,sv+select+multicast",
          .dir = "compare",
          .peers = 2};

#define N_LEAD 6 /* The first of these options stand in front. */

static const struct opt OPTS[] = {
    {.name = "modes",
     .kind = OPT_STRING,
     .value = &opts.modes,
     .arg = "M,...",
     .help = "what to compare; the first is what others are measured by"},
    {.name = "until",
     .kind = OPT_STRING,
     .value = &opts.until,
     .arg = "TARGET",
     .help = "what each mode has to reach: loss=X, accuracy=X, or clocks=N"},
    {.name = "peers",
     .kind = OPT_U64,
     .value = &opts.peers,
     .arg = "N",
     .help = "how many peers, all started here",
     .min = 1,
     .max = TRAIN_PEERS_MAX},
    {.name = "dir",
     .kind = OPT_STRING,
     .value = &opts.dir,
     .arg = "DIR",
     .help = "where the runs go, DIR/MODE each, and report.html"},
    {.name = "json",
     .kind = OPT_FLAG,
     .value = &opts.json,
     .help = "one JSON object on standard output instead of the table"},
    {.name = "links",
     .kind = OPT_STRING,
     .value = &opts.links,
     .arg = "RATE",
     .help =
         "each peer is on a host of its own on this machine, with a link of\n"
         "RATE: 100mbit, 1gbit, or none: not slowed (needs root)"},
    {.name = "threads",
     .kind = OPT_U64,
     .value = &opts.threads,
     .arg = "T",
     .help = "threads of each peer (default: the CPUs, shared by the peers)",
     .min = 1,
     .max = POOL_THREADS_MAX},
    {.name = "durability",
     .kind = OPT_STRING,
     .value = &opts.durability,
     .arg = "D",
     .help = "as of lyre train"},
    {.name = "provider",
     .kind = OPT_STRING,
     .value = &opts.provider,
     .arg = "NAME",
     .help = "libfabric provider (default: chosen)"},
};

#define N_OPTS (sizeof OPTS / sizeof OPTS[0])

static struct opt table[RUN_OPTIONS_N + N_OPTS];

static const struct opt_command COMMAND = {
    .name = "compare",
    .summary = "The same job in several modes, side by side.",
    .usage = "compare mlr --data F --test F [--modes M,...] [--until TARGET]"
             " [options]",
    .details =
        "Each mode trains in fresh processes, one mode after another, with the"
        " same data,\nseed and settings: those given here, which are those of"
        " lyre train. A mode is\n\n"
        "  sv                  sufficient vectors, as the settings say\n"
        "  matrix-ps           whole gradients, by a parameter server\n"
        "  matrix-allreduce    whole gradients, summed on a ring\n"
        "  powersgd:R          gradients of rank R\n\n"
        "with any of +select[=S] (auto), +multicast[=M] (random:2),"
        " +codec[=C] (bf16),\n+consistency=M, +repair=R, +sparsify=TAU,"
        " +batch=B, +lr=X, +optimizer=O: options\nof lyre train, with what"
        " stands in brackets where no value is given.\n\n"
        "Times are those of training, without reading data and evaluating."
        " A mode that does\nnot reach the target ends where --epochs or"
        " --clocks say. One that fails does not\nstop the others. What lyre"
        " train said is in DIR/MODE.log, its results in\nDIR/MODE.json.\n\n"
        "With --links, bytes are also counted by the kernel, with all headers;"
        " a warning\nsays where that is more than 5% off.\n\n"
        "Exit status: 0 done, 1 a mode failed, 2 wrong options, 130"
        " interrupted.",
    .examples =
        "lyre compare mlr --data train.svm --test test.svm --peers 4"
        " --until loss=1.2 --epochs 20\n"
        "lyre compare mlr --data train.svm --links 100mbit --modes sv,matrix-ps"
        "\nlyre compare mlr --data train.svm --modes sv,sv+codec,matrix-ps"
        " --until clocks=500",
    .opts = table,
    .n_opts = sizeof table / sizeof table[0],
};

/* Options that lyre train gets from here, not from the command line. */
static const char *const TAKEN[] = {"modes", "until", "peers",
                                    "dir",   "links", "json"};

static const struct opt *find(const char *word)
{
    const size_t n = strcspn(word + 2, "=");

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strncmp(table[i].name, word + 2, n) == 0 &&
            table[i].name[n] == '\0') {
            return &table[i];
        }
    }
    return NULL;
}

static bool is_taken(const struct opt *o)
{
    for (size_t i = 0; i < sizeof TAKEN / sizeof TAKEN[0]; i++) {
        if (strcmp(o->name, TAKEN[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The settings among @words (n), which were parsed: what lyre train gets. */
static void pass_on(struct compare_job *job, char **words, int n)
{
    for (int i = 1; i < n && strcmp(words[i], "--") != 0; i++) {
        const struct opt *o =
            strncmp(words[i], "--", 2) == 0 ? find(words[i]) : NULL;
        if (o == NULL) {
            continue;
        }
        const bool two = o->kind != OPT_FLAG && strchr(words[i], '=') == NULL;
        for (int k = i; k <= i + two && !is_taken(o); k++) {
            job->settings[job->n_settings++] = words[k];
        }
        i += two;
    }
}

/* "clocks=N" is --clocks N, all others are --until. */
static int read_until(struct compare_job *job, const struct train_run *run)
{
    struct train_until target;
    struct err e;
    char *end;

    if (opts.until == NULL) {
        return -1;
    }
    if (strncmp(opts.until, "clocks=", 7) == 0) {
        const uint64_t n = strtoull(opts.until + 7, &end, 10);
        if (opts.until[7] < '1' || opts.until[7] > '9' || *end != '\0' ||
            n > (uint64_t)9e15) {
            return say_usage(&COMMAND, "--until %s: how many clocks?",
                             opts.until);
        }
        job->clocks = opts.until + 7;
        return -1;
    }
    if (train_until_parse(&target, opts.until, &e) != 0) {
        return say_usage(&COMMAND, "--until %s, or clocks=N", e.msg);
    }
    if (run->test == NULL) {
        return say_usage(&COMMAND, "--until %s needs --test", opts.until);
    }
    job->until = opts.until;
    return -1;
}

/* Look at all settings before anything is begun. */
static int check(struct compare_job *job, int n_words, char **words)
{
    struct train_run run;
    struct err e;
    int status = run_options_check(&COMMAND, n_words, words);

    if (status >= 0) {
        return status;
    }
    train_run_init(&run);
    status = run_options_read(&COMMAND, words[0], (uint32_t)opts.peers, &run);
    status = status >= 0 ? status : read_until(job, &run);
    train_run_fini(&run);
    if (status < 0 && compare_modes_parse(job->modes, &job->n_modes, opts.modes,
                                          (unsigned)opts.peers, &e) != 0) {
        status = say_usage(&COMMAND, "--modes: %s", e.msg);
    }
    if (status < 0 && opts.links != NULL && geteuid() != 0) {
        status = say_usage(&COMMAND, "--links needs root, to make hosts");
    }
    return status;
}

static int run_all(struct compare_job *job)
{
    struct compare_result *results = calloc(job->n_modes, sizeof *results);
    struct err e;
    bool failed = false;
    int rc = results == NULL ? err_set(&e, ERR_NOMEM, "results")
                             : compare_run(job, results, &e);

    if (rc != 0) {
        free(results);
        return say_error(rc, &e);
    }
    for (size_t i = 0; i < job->n_modes; i++) {
        failed = failed || results[i].failed;
    }
    if (opts.json) {
        json_t *o = compare_table_json(results, job->n_modes);
        (void)json_dumpf(o, stdout, JSON_REAL_PRECISION(9));
        puts("");
        json_decref(o);
    } else {
        compare_table_print(results, job->n_modes, stdout);
    }
    free(results);
    return job_interrupted != 0 ? CMD_INTERRUPTED
           : failed             ? CMD_FAILED
                                : CMD_OK;
}

int cmd_compare(int argc, char **argv)
{
    static struct compare_job job;
    char **words = malloc((size_t)argc * sizeof *words);
    int n_words, status;

    job.settings = calloc((size_t)argc, sizeof *job.settings);
    if (words == NULL || job.settings == NULL) {
        free(words);
        fprintf(stderr, "lyre: out of memory\n");
        return CMD_FAILED;
    }
    memcpy(words, argv, (size_t)argc * sizeof *words); /* Parsing moves them. */
    run_options_join(table, OPTS, N_OPTS, N_LEAD);
    status = say_parse(&COMMAND, argc, argv, &n_words);
    status = status >= 0 ? status : check(&job, n_words, argv + 1);
    if (status < 0) {
        job.model = argv[1];
        job.dir = opts.dir;
        job.links = opts.links;
        job.n_threads = opts.threads;
        job.n_peers = (uint32_t)opts.peers;
        pass_on(&job, words, argc);
        status = run_all(&job);
    }
    free(job.settings);
    free(words);
    return status;
}
