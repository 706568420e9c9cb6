/* lyre simulate: what a job would do on a network that is not here. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/job.h"
#include "cli/past.h"
#include "cli/run_options.h"
#include "cli/say.h"
#include "cli/simulated.h"
#include "core/clock.h"

#define POINTS                                                    \
    20 /* Lines of the table, unless --eval-every says otherwise. \
        */

static struct {
    uint64_t peers, threads;
    const char *link, *loss, *stragglers;
    uint64_t delay, retry, compute, apply;
    double speed, jitter;
    bool json, quiet, verbose;
} opts = {.peers = 16,
          .link = "1gbit",
          .loss = "0%",
          .stragglers = "0:1",
          .delay = CLOCK_MS / 5,
          .retry = 200 * CLOCK_MS,
          .speed = 1};

#define N_LEAD 2 /* The first of these options stand in front. */

static const struct opt OPTS[] = {
    {.name = "peers",
     .kind = OPT_U64,
     .value = &opts.peers,
     .arg = "P",
     .help = "how many peers",
     .min = 1,
     .max = TRAIN_PEERS_MAX},
    {.name = "threads",
     .kind = OPT_U64,
     .value = &opts.threads,
     .arg = "T",
     .help =
         "threads of this process (default: the CPUs), and so, where times\n"
         "are measured, of each peer",
     .min = 1,
     .max = POOL_THREADS_MAX},
    {.name = "link",
     .kind = OPT_STRING,
     .value = &opts.link,
     .arg = "RATE",
     .help = "of every peer's link, each way: 100mbit, 1gbit, ... or none: no\n"
             "limit"},
    {.name = "delay",
     .kind = OPT_SECONDS,
     .value = &opts.delay,
     .arg = "T",
     .help = "of every message, on top of what the links take",
     .min = 0,
     .max = 60},
    {.name = "loss",
     .kind = OPT_STRING,
     .value = &opts.loss,
     .arg = "SHARE",
     .help = "of the messages, in steps of 0.1%"},
    {.name = "retry",
     .kind = OPT_SECONDS,
     .value = &opts.retry,
     .arg = "T",
     .help = "a batch that did not come is asked for again after so long",
     .min = 0.0001,
     .max = 3600},
    {.name = "compute",
     .kind = OPT_SECONDS,
     .value = &opts.compute,
     .arg = "T",
     .help = "what a peer takes for the gradient of a clock (default: what it\n"
             "takes here)",
     .min = 1e-9,
     .max = 86400},
    {.name = "apply",
     .kind = OPT_SECONDS,
     .value = &opts.apply,
     .arg = "T",
     .help = "what a peer takes to apply a batch (default: what it takes here)",
     .min = 1e-9,
     .max = 86400},
    {.name = "speed",
     .kind = OPT_F64,
     .value = &opts.speed,
     .arg = "X",
     .help =
         "the peers' machines are X times as fast as this one, where times\n"
         "are measured here",
     .min = 1e-6,
     .max = 1e6},
    {.name = "jitter",
     .kind = OPT_F64,
     .value = &opts.jitter,
     .arg = "SHARE",
     .help = "times of gradients vary by this share, up and down",
     .min = 0,
     .max = 1},
    {.name = "stragglers",
     .kind = OPT_STRING,
     .value = &opts.stragglers,
     .arg = "SHARE:FACTOR",
     .help = "so many of the peers take so many times as long: 5%:3"},
    {.name = "json",
     .kind = OPT_FLAG,
     .value = &opts.json,
     .help = "one JSON object on standard output, with all points, instead of\n"
             "a table"},
    {.name = "quiet",
     .kind = OPT_FLAG,
     .value = &opts.quiet,
     .help = "no table, no summary"},
    {.name = "verbose",
     .kind = OPT_FLAG,
     .value = &opts.verbose,
     .help = "say more"},
};

#define N_OPTS (sizeof OPTS / sizeof OPTS[0])

static struct opt table[RUN_OPTIONS_N + N_OPTS];

static const struct opt_command COMMAND = {
    .name = "simulate",
    .summary = "Find out what a job would do on a network that is not here.",
    .usage = "simulate mlr --data F [--test F] --peers P [options]",
    .details =
        "All peers train in this process, with the engine, the models and the"
        " data of a real\nrun, over a simulated network and in virtual time."
        " Gradients are computed, time is\nmodelled: a peer takes --compute for"
        " the gradient of a clock and --apply for every\nbatch. Without those"
        " two they are measured here, and differ a little each time.\n\n"
        "A table says how the job stands every --eval-every clocks of peer 0 "
        "(default: 20\ntimes). accuracy is that of its replica; waiting is the"
        " share of all peers' time.\nNothing is written to disk.",
    .examples =
        "lyre simulate mlr --data langid.train.tsv --test langid.test.tsv"
        " --peers 256 --batch 32\n"
        "lyre simulate mlr --data train.svm --peers 64 --link 100mbit --delay"
        " 2ms --loss 0.1%\n"
        "lyre simulate mlr --data train.svm --peers 32 --consistency ssp:4"
        " --stragglers 5%:3",
    .opts = table,
    .n_opts = sizeof table / sizeof table[0],
};

/* A share as "0.05" or "5%", from 0 to 1. *end is what follows. */
static bool read_share(const char *text, double *share, const char **end)
{
    char *stop;

    *share = strtod(text, &stop);
    if (stop == text) {
        return false;
    }
    if (*stop == '%') {
        *share /= 100;
        stop++;
    }
    *end = stop;
    return *share >= 0 && *share <= 1;
}

static int read_loss(struct train_simulate_options *o)
{
    const char *end;
    double share;

    if (!read_share(opts.loss, &share, &end) || *end != '\0' || share >= 1 ||
        fabs(share * 1000 - round(share * 1000)) > 1e-6) {
        return say_usage(&COMMAND,
                         "--loss %s: a share of the messages in steps of 0.1%%"
                         " is wanted, such as 0.5%%",
                         opts.loss);
    }
    o->loss_permille = (uint32_t)lround(share * 1000);
    return -1;
}

static int read_stragglers(struct train_simulate_options *o)
{
    const char *end;
    char *stop;

    if (read_share(opts.stragglers, &o->straggler_share, &end) && *end == ':') {
        o->straggler_factor = strtod(end + 1, &stop);
        if (stop != end + 1 && *stop == '\0' && o->straggler_factor > 0 &&
            o->straggler_factor <= 1e6) {
            return -1;
        }
    }
    return say_usage(&COMMAND,
                     "--stragglers %s: a share of the peers and a factor are"
                     " wanted, such as 5%%:3",
                     opts.stragglers);
}

static int read_link(struct train_simulate_options *o)
{
    static const struct {
        const char *name;
        double bits;
    } UNITS[] = {{"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {"tbit", 1e12}};
    char *unit;
    double x = strtod(opts.link, &unit);

    if (strcmp(opts.link, "none") == 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        double bytes_per_s = x * UNITS[i].bits / 8;
        if (unit != opts.link && strcmp(unit, UNITS[i].name) == 0 &&
            bytes_per_s >= 1 && bytes_per_s <= 1e15) {
            o->link_bytes_per_s = (uint64_t)bytes_per_s;
            return -1;
        }
    }
    return say_usage(&COMMAND,
                     "--link %s: a rate is wanted, such as 100mbit or 1gbit, or"
                     " none",
                     opts.link);
}

static int read_all(struct train_simulate_options *o, int n_words, char **words)
{
    int status = run_options_check(&COMMAND, n_words, words);

    status = status >= 0 ? status
                         : run_options_read(&COMMAND, words[0],
                                            (uint32_t)opts.peers, o->run);
    if (status < 0 && o->run->select.kind == SELECT_AUTO) {
        status = say_usage(&COMMAND,
                           "--select auto measures links and cores, and here "
                           "they are not real: name a way, or see what "
                           "`lyre explain` says of them");
    }
    if (status < 0 && o->run->transfer.kind != TRAIN_TRANSFER_SV) {
        status = say_usage(&COMMAND, "--transfer: this simulates sv only");
    }
    status = status >= 0 ? status : read_link(o);
    status = status >= 0 ? status : read_loss(o);
    return status >= 0 ? status : read_stragglers(o);
}

static int simulate(struct train_simulate_options *o)
{
    struct simulated s = {.o = o,
                          .quiet = opts.quiet,
                          .json = opts.json,
                          .link = opts.link,
                          .stragglers = opts.stragglers};
    struct train_simulate_result result;
    struct err e;
    int rc, status = CMD_OK;

    o->begin = simulated_begin;
    o->point = simulated_point;
    o->arg = &s;
    job_catch_signals();
    rc = train_simulate(o, &result, &e);
    if (rc != 0) {
        status = say_error(rc, &e);
    } else if (simulated_end(&s, &result) != 0) {
        status = CMD_FAILED;
    }
    if (rc == ERR_UNREACHABLE) {
        fputs("lyre: the links are busy for so long; allow it with a longer"
              " --peer-timeout\n",
              stderr);
        status = CMD_PEER_LOST;
    }
    simulated_fini(&s);
    return status;
}

int cmd_simulate(int argc, char **argv)
{
    struct log log = say_log(LOG_WARN);
    struct train_run run;
    struct train_simulate_options o = {.run = &run,
                                       .interrupted = &job_interrupted,
                                       .n_points = POINTS,
                                       .log = &log};
    int n_words, status;

    run_options_join(table, OPTS, N_OPTS, N_LEAD);
    status = say_parse(&COMMAND, argc, argv, &n_words);
    if (status >= 0) {
        return status;
    }
    log = say_log(opts.verbose ? LOG_DEBUG : LOG_WARN);
    train_run_init(&run);
    status = read_all(&o, n_words, argv + 1);
    if (status < 0) {
        o.epochs = run_options_epochs();
        o.n_threads = opts.threads != 0 ? (size_t)opts.threads : past_cpus();
        o.delay_ns = opts.delay;
        o.retry_ns = opts.retry;
        o.compute_ns = opts.compute;
        o.apply_ns = opts.apply;
        o.speed = opts.speed;
        o.jitter = opts.jitter;
        status = simulate(&o);
    }
    train_run_fini(&run);
    return status;
}
