#include "cli/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/local.h"
#include "cli/past.h"
#include "cli/say.h"
#include "cli/summary.h"
#include "core/clock.h"

#define LINE_NS_TERMINAL (200 * CLOCK_MS)
#define LINE_NS_FILE     (10 * CLOCK_S)

volatile sig_atomic_t job_interrupted;

static void on_signal(int sig)
{
    (void)sig;
    job_interrupted++;
}

void job_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Diagnostics of one peer, which says its rank. */
struct peer_log {
    struct log base; /* Must be first. */
    uint32_t rank;
};

static void peer_emit(struct log *l, enum log_level level, const char *msg)
{
    (void)level;
    fprintf(stderr, "lyre: peer %u: %s\n", ((struct peer_log *)l)->rank, msg);
}

static size_t threads_of(const struct job *job)
{
    size_t cpus = past_cpus();

    if (job->n_threads != 0) {
        return (size_t)job->n_threads;
    }
    if (job->rank < 0 && job->n_peers > 1) {
        cpus /= job->n_peers;
    }
    return cpus == 0 ? 1 : cpus;
}

/* A line of a peer's, where a line of progress may be. Of peers that run here
 * together one speaks for all. */
struct speaker {
    const struct job *job;
    uint32_t rank;
};

static void say_note(void *arg, const char *text)
{
    const struct speaker *s = arg;

    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    if (s->job->rank < 0 || s->job->n_peers == 1) {
        fprintf(stderr, "%s\n", text);
    } else {
        fprintf(stderr, "peer %u: %s\n", s->rank, text);
    }
}

void job_run_peer(struct job *job,
                  uint32_t rank,
                  const char *url,
                  const char *node,
                  void (*progress)(void *arg, const struct train_summary *s),
                  void *progress_arg,
                  struct job_report *report)
{
    struct peer_log log = {.base = {.emit = peer_emit,
                                    .level = job->verbose ? LOG_DEBUG
                                             : job->rank < 0 || job->quiet
                                                 ? LOG_WARN
                                                 : LOG_INFO},
                           .rank = rank};
    struct speaker speaker = {.job = job, .rank = rank};
    const bool speaks = !job->quiet && (job->rank >= 0 || rank == 0);
    struct train_peer_options o = {
        .dir = job->dir,
        .rank = rank,
        .resume = job->resume,
        .run = &job->run,
        .epochs = job->epochs,
        .clocks = job->clocks,
        .n_threads = threads_of(job),
        .rendezvous = job->n_peers == 1 ? NULL
                      : url != NULL     ? url
                                        : job->rendezvous,
        .provider = job->provider,
        .node = node,
        .interrupted = &job_interrupted,
        .note = speaks ? say_note : NULL,
        .note_arg = &speaker,
        .progress = progress,
        .progress_arg = progress_arg,
        .log = &log.base,
    };
    struct err e = {.msg = ""};

    memset(report, 0, sizeof *report);
    report->code = train_peer_run(&o, &report->summary, &e);
    report->final = true;
    snprintf(report->msg, sizeof report->msg, "%s", e.msg);
}

/* The progress line. */
struct display {
    const struct job *job;
    uint64_t last_ns;
    bool shown; /* There is a line on the terminal to wipe. */
};

static void
show(struct display *d, const struct job_report *reports, uint32_t n)
{
    bool terminal = isatty(STDERR_FILENO) != 0;
    uint64_t now = clock_ns();
    struct summary sum;
    char line[256];

    if (d->job->quiet ||
        now - d->last_ns < (terminal ? LINE_NS_TERMINAL : LINE_NS_FILE)) {
        return;
    }
    summary_of(&sum, reports, n);
    if (sum.clocks == 0 || sum.samples == 0) {
        return; /* Some are reading their data still. */
    }
    d->last_ns = now;
    d->shown = terminal;
    summary_line(&sum, line, sizeof line);
    fprintf(stderr, terminal ? "\r%s\033[K" : "%s\n", line);
}

static void show_all(void *arg, const struct job_report *reports, uint32_t n)
{
    show(arg, reports, n);
}

static void show_one(void *arg, const struct train_summary *s)
{
    struct job_report r;

    memset(&r, 0, sizeof r);
    r.summary = *s;
    show(arg, &r, 1);
}

static int exit_status(int code)
{
    switch (code) {
    case 0:
        return CMD_OK;
    case ERR_INVALID:
        return CMD_USAGE;
    case ERR_UNREACHABLE:
        return CMD_PEER_LOST;
    case ERR_NOT_FINITE:
        return CMD_NOT_FINITE;
    case ERR_DIVERGED:
        return CMD_DIVERGED;
    case ERR_FULL:
    case ERR_IO:
        return CMD_LOG_FAILED;
    case ERR_INTERRUPTED:
        return CMD_INTERRUPTED;
    default:
        return CMD_FAILED;
    }
}

/* Of several reasons the one that caused the others: peers that stop make their
 * peers lose them. */
static int worst(const struct job_report *reports, uint32_t n)
{
    static const int ORDER[] = {ERR_INTERRUPTED, ERR_NOT_FINITE, ERR_DIVERGED,
                                ERR_FULL,        ERR_IO,         ERR_CORRUPT,
                                ERR_NOMEM,       ERR_INVALID,    ERR_BUSY,
                                ERR_NOT_FOUND,   ERR_UNREACHABLE};

    for (size_t i = 0; i < sizeof ORDER / sizeof ORDER[0]; i++) {
        for (uint32_t p = 0; p < n; p++) {
            if (reports[p].code == ORDER[i]) {
                return ORDER[i];
            }
        }
    }
    for (uint32_t p = 0; p < n; p++) {
        if (reports[p].code != 0) {
            return reports[p].code;
        }
    }
    return 0;
}

static void say_reasons(const struct job *job,
                        const struct job_report *reports,
                        uint32_t n,
                        uint32_t first_rank)
{
    bool alike = n > 1;

    for (uint32_t p = 1; p < n; p++) {
        alike = alike && strcmp(reports[p].msg, reports[0].msg) == 0;
    }
    for (uint32_t p = 0; p < n; p++) {
        if (reports[p].code == 0 || (alike && p > 0)) {
            continue;
        }
        if (alike || job->n_peers == 1) {
            fprintf(stderr, "lyre: %s\n", reports[p].msg);
        } else {
            fprintf(stderr, "lyre: peer %u: %s\n", first_rank + p,
                    reports[p].msg);
        }
    }
}

static void advise(const struct job *job, int code, const struct summary *sum)
{
    bool began = sum->samples > 0 || job->resume;
    char where[256] = "";

    if (job->rank >= 0 && job->n_peers > 1) {
        snprintf(where, sizeof where, " --rank %lld --rendezvous %s",
                 (long long)job->rank, job->rendezvous);
    }
    if (!began) {
        return;
    }
    if (code == ERR_NOT_FINITE) {
        fprintf(stderr,
                "lyre: try a smaller --lr in a new run; `lyre replay %s --clock"
                " C --out W.npy` gives the model of any clock before\n",
                job->dir);
    } else if (code == ERR_INTERRUPTED || code == ERR_UNREACHABLE) {
        fprintf(stderr, "lyre: the log is safe; go on with: lyre resume %s%s\n",
                job->dir, where);
    } else if (code == ERR_FULL || code == ERR_IO) {
        fprintf(stderr,
                "lyre: everything up to the last durable clock is there; once"
                " there is room: lyre resume %s%s\n",
                job->dir, where);
    } else if (code == ERR_DIVERGED) {
        fprintf(stderr,
                "lyre: see which peer is right with: lyre replay %s --verify"
                " --peer P\n",
                job->dir);
    }
}

static int finish(struct job *job,
                  struct display *d,
                  const struct job_report *reports,
                  uint32_t n)
{
    uint32_t first_rank = job->rank < 0 ? 0 : (uint32_t)job->rank;
    int code = worst(reports, n);
    struct summary sum;

    if (d->shown) {
        fputs("\r\033[K", stderr);
    }
    summary_of(&sum, reports, n);
    if (code != 0) {
        say_reasons(job, reports, n, first_rank);
        advise(job, code, &sum);
    }
    if (job->json) {
        summary_json(&sum, reports, n, first_rank, stdout);
    } else if (!job->quiet && sum.clocks > 0) {
        summary_print(&sum, reports, n, stdout);
    }
    return exit_status(code);
}

int job_run(struct job *job)
{
    struct display d = {.job = job, .last_ns = clock_ns()};
    uint32_t n = job->rank < 0 ? job->n_peers : 1;
    struct job_report *reports = calloc(n, sizeof *reports);
    struct err e;
    int rc = 0, status;

    if (reports == NULL) {
        fprintf(stderr, "lyre: out of memory\n");
        return CMD_FAILED;
    }
    job_catch_signals();
    if (!job->resume && mkdir(job->dir, 0777) != 0 && errno != EEXIST) {
        rc = err_wrap(&e, err_errno(&e, "mkdir"), "%s", job->dir);
    } else if (job->rank < 0) {
        rc = local_run(job, reports, show_all, &d, &e);
    } else {
        job_run_peer(job, (uint32_t)job->rank, NULL, NULL, show_one, &d,
                     reports);
    }
    status = rc != 0 ? say_error(rc, &e) : finish(job, &d, reports, n);
    free(reports);
    return status;
}
