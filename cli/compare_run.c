#include "cli/compare_run.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/job.h"
#include "cli/netlab.h"
#include "cli/past.h"

#define WORDS_MAX 32   /* That every command line has, beside settings. */
#define PORT      7070 /* Where peers on hosts meet, in the first mode. */

struct compare {
    const struct compare_job *job;
    char *program;
    struct netlab lab; /* If the job has links. */
};

/* The words of a command; those that must be made are owned. */
struct words {
    char **at; /* NULL-terminated. */
    size_t n, room;
    char *owned[8];
    size_t n_owned;
    bool failed;
};

static void words_init(struct words *w, size_t room)
{
    *w = (struct words){.room = room + 1};
    w->at = calloc(w->room, sizeof *w->at);
    w->failed = w->at == NULL;
}

static void words_fini(struct words *w)
{
    for (size_t i = 0; i < w->n_owned; i++) {
        free(w->owned[i]);
    }
    free(w->at);
}

/* Words are not written to, whatever execv() says. */
static void put(struct words *w, const char *word)
{
    w->failed = w->failed || w->n + 1 >= w->room;
    if (!w->failed) {
        w->at[w->n++] = (char *)(uintptr_t)word;
    }
}

static void put_text(struct words *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A word of our own making. */
static void put_text(struct words *w, const char *fmt, ...)
{
    const size_t room = sizeof w->owned / sizeof w->owned[0];
    va_list args;
    char *text;

    va_start(args, fmt);
    if (w->n_owned == room || vasprintf(&text, fmt, args) < 0) {
        w->failed = true;
    } else {
        w->owned[w->n_owned++] = text;
        put(w, text);
    }
    va_end(args);
}

static int path_of(char **path,
                   const char *dir,
                   const char *name,
                   const char *end,
                   struct err *e)
{
    return asprintf(path, "%s/%s%s", dir, name, end) >= 0
               ? 0
               : err_set(e, ERR_NOMEM, "path");
}

/* What is there is never written over. */
static int prepare(const struct compare_job *job, struct err *e)
{
    if (mkdir(job->dir, 0777) != 0 && errno != EEXIST) {
        return err_wrap(e, err_errno(e, "mkdir"), "%s", job->dir);
    }
    for (size_t i = 0; i < job->n_modes; i++) {
        char *path;
        int rc = path_of(&path, job->dir, job->modes[i].name, "", e);
        if (rc == 0 && access(path, F_OK) == 0) {
            rc = err_set(e, ERR_BUSY,
                         "%s is there already: remove it, or name another"
                         " --dir",
                         path);
        }
        if (rc != 0) {
            return rc;
        }
        free(path);
    }
    return 0;
}

/* Be peer @rank, on its host. */
static void
put_rank(struct words *w, const struct compare *c, size_t mode, uint32_t rank)
{
    const struct compare_job *job = c->job;
    const size_t cpus = past_cpus() / job->n_peers;

    put(w, "--rank");
    put_text(w, "%u", rank);
    put(w, "--rendezvous");
    put_text(w, "tcp://%s:%zu", c->lab.address, PORT + mode);
    if (job->n_threads == 0) {
        put(w, "--threads");
        put_text(w, "%zu", cpus == 0 ? 1 : cpus);
    }
}

/* lyre train, as this mode wants it: peer @rank on its host, or all peers. */
static void train_words(struct words *w,
                        const struct compare *c,
                        size_t mode,
                        uint32_t rank)
{
    const struct compare_job *job = c->job;
    const struct compare_mode *m = &job->modes[mode];

    words_init(w, WORDS_MAX + job->n_settings + m->n_args);
    if (job->links != NULL) {
        put(w, c->lab.script);
        put(w, "--lab");
        put(w, c->lab.name);
        put(w, "exec");
        put_text(w, "%u", rank);
    }
    put(w, c->program);
    put(w, "train");
    put(w, job->model);
    for (size_t i = 0; i < job->n_settings; i++) {
        put(w, job->settings[i]);
    }
    if (job->until != NULL) {
        put(w, "--until");
        put(w, job->until);
    }
    if (job->clocks != NULL) {
        put(w, "--clocks");
        put(w, job->clocks);
    }
    put(w, "--peers");
    put_text(w, "%u", job->n_peers);
    put(w, "--json");
    put(w, "--run");
    put_text(w, "%s/%s", job->dir, m->name);
    if (job->links != NULL && job->n_peers > 1) {
        put_rank(w, c, mode, rank);
    }
    for (size_t i = 0; i < m->n_args; i++) {
        put(w, m->args[i]);
    }
}

/* The whole file. Owner: the caller frees *text. */
static int read_text(const char *path, char **text, struct err *e)
{
    FILE *f = fopen(path, "re");
    size_t room = 0;

    *text = NULL;
    if (f == NULL || getdelim(text, &room, '\0', f) < 0) {
        free(*text);
        *text = NULL;
    }
    if (f != NULL) {
        fclose(f);
    }
    return *text != NULL ? 0 : err_set(e, ERR_CORRUPT, "it wrote no result");
}

/* What the process @child has left. */
static int take_result(struct compare_result *r,
                       const struct child *child,
                       const char *out,
                       const char *log,
                       struct err *e)
{
    char *text;
    int rc;

    if (child->status != 0) {
        child_reason(child, log, "lyre: ", e->msg);
        return ERR_IO;
    }
    rc = read_text(out, &text, e);
    rc = rc != 0 ? rc : compare_result_add(r, text, e);
    free(text);
    return rc;
}

/* What a process writes. */
struct files {
    char *out, *log;
};

static int name_files(struct files *f,
                      const struct compare *c,
                      size_t mode,
                      uint32_t rank,
                      struct err *e)
{
    const struct compare_job *job = c->job;
    char out[32] = ".json", log[32] = ".log";
    int rc;

    if (job->links != NULL) {
        snprintf(out, sizeof out, ".%u.json", rank);
        snprintf(log, sizeof log, ".%u.log", rank);
    }
    rc = path_of(&f->out, job->dir, job->modes[mode].name, out, e);
    return rc != 0 ? rc
                   : path_of(&f->log, job->dir, job->modes[mode].name, log, e);
}

static int start(const struct compare *c,
                 size_t mode,
                 uint32_t rank,
                 const struct files *f,
                 struct child *child,
                 struct err *e)
{
    struct words w;
    int rc;

    train_words(&w, c, mode, rank);
    rc = w.failed ? err_set(e, ERR_NOMEM, "command line")
                  : child_start(child, w.at, f->out, f->log, e);
    words_fini(&w);
    return rc;
}

/* Train in a mode, by @n processes. If one cannot be started, those that were
 * cannot meet, and are told to end. */
static int run_processes(const struct compare *c,
                         size_t mode,
                         uint32_t n,
                         struct compare_result *r,
                         struct err *e)
{
    struct files *files = calloc(n, sizeof *files);
    struct child *children = calloc(n, sizeof *children);
    uint32_t started = 0;
    int rc = files == NULL || children == NULL
                 ? err_set(e, ERR_NOMEM, "%u processes", n)
                 : 0;

    while (rc == 0 && started < n) {
        rc = name_files(&files[started], c, mode, started, e);
        rc = rc != 0 ? rc
                     : start(c, mode, started, &files[started],
                             &children[started], e);
        started++;
    }
    if (started > 0) {
        child_wait_all(children, started);
    }
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = take_result(r, &children[i], files[i].out, files[i].log, e);
    }
    for (uint32_t i = 0; files != NULL && i < n; i++) {
        free(files[i].out);
        free(files[i].log);
    }
    free(files);
    free(children);
    compare_result_finish(r);
    return rc;
}

static int run_mode(const struct compare *c,
                    size_t mode,
                    struct compare_result *r,
                    struct err *e)
{
    double before = 0, after = 0;
    int rc;

    r->link_bytes = NAN;
    if (c->job->links == NULL) {
        return run_processes(c, mode, 1, r, e);
    }
    rc = netlab_sent(&c->lab, &before, e);
    rc = rc != 0 ? rc : run_processes(c, mode, c->job->n_peers, r, e);
    rc = rc != 0 ? rc : netlab_sent(&c->lab, &after, e);
    r->link_bytes = after - before;
    return rc;
}

static void
say(const struct compare_job *job, size_t i, const struct compare_result *r)
{
    fprintf(stderr, "[%zu/%zu] %s: ", i + 1, job->n_modes, job->modes[i].name);
    if (r->failed) {
        fprintf(stderr, "failed: %s\n", r->why);
    } else {
        fprintf(stderr, "%llu clocks in %.2f s%s\n",
                (unsigned long long)r->clocks, r->seconds,
                !r->has_target ? ""
                : r->reached   ? ", target reached"
                               : ", target not reached");
    }
}

/* lyre report of those that did not fail. That it could not be made is said,
 * and no reason to fail. */
static void write_report(const struct compare *c,
                         const struct compare_result *results)
{
    const struct compare_job *job = c->job;
    char *out = NULL, *log = NULL, why[ERR_MSG_SIZE];
    struct words w;
    struct child child = {.status = 1};
    struct err e = {.msg = "out of memory"};
    size_t n = 0;
    char **paths = calloc(job->n_modes, sizeof *paths);

    words_init(&w, WORDS_MAX + job->n_modes);
    put(&w, c->program);
    put(&w, "report");
    for (size_t i = 0; paths != NULL && i < job->n_modes; i++) {
        if (!results[i].failed &&
            path_of(&paths[n], job->dir, results[i].name, "", NULL) == 0) {
            put(&w, paths[n++]);
        }
    }
    put(&w, "--out");
    put_text(&w, "%s/report.html", job->dir);
    if (n > 0 && !w.failed &&
        path_of(&out, job->dir, "report", ".out", &e) == 0 &&
        path_of(&log, job->dir, "report", ".log", &e) == 0 &&
        child_start(&child, w.at, out, log, &e) == 0) {
        child_wait_all(&child, 1);
        child_reason(&child, log, "lyre: ", why);
        if (child.status == 0) {
            fprintf(stderr, "report: %s/report.html\n", job->dir);
            unlink(out);
            unlink(log);
        } else {
            fprintf(stderr, "lyre: no report: %s\n", why);
        }
    }
    for (size_t i = 0; i < n; i++) {
        free(paths[i]);
    }
    free(paths);
    words_fini(&w);
    free(out);
    free(log);
}

int compare_run(struct compare_job *job,
                struct compare_result *results,
                struct err *e)
{
    struct compare c = {.job = job};
    int rc = prepare(job, e);

    rc = rc != 0 ? rc : child_program(&c.program, e);
    if (rc != 0) {
        return rc;
    }
    job_catch_signals();
    if (job->links != NULL) {
        rc = netlab_open(&c.lab, c.program, job->dir, job->n_peers, job->links,
                         e);
    }
    for (size_t i = 0; rc == 0 && i < job->n_modes; i++) {
        struct compare_result *r = &results[i];
        struct err why = {.msg = "not begun"};
        r->name = job->modes[i].name;
        r->failed = job_interrupted != 0 || run_mode(&c, i, r, &why) != 0;
        snprintf(r->why, sizeof r->why, "%s", why.msg);
        say(job, i, r);
    }
    netlab_close(&c.lab);
    if (rc == 0 && job_interrupted == 0) {
        write_report(&c, results);
    }
    free(c.program);
    return rc;
}
