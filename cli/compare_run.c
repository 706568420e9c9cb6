#include "cli/compare_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/job.h"

#define WORDS_MAX 16 /* That every command line has, beside settings. */

struct compare {
    const struct compare_job *job;
    char *program;
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

/* "DIR/NAME<end>", and put it. NULL: no memory. */
static char *
put_path(struct words *w, const char *dir, const char *name, const char *end)
{
    char *path;

    if (w->failed || w->n_owned == sizeof w->owned / sizeof w->owned[0] ||
        asprintf(&path, "%s/%s%s", dir, name, end) < 0) {
        w->failed = true;
        return NULL;
    }
    w->owned[w->n_owned++] = path;
    put(w, path);
    return path;
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

/* lyre train, as this mode wants it. */
static void train_words(struct words *w,
                        const struct compare *c,
                        const struct compare_mode *m)
{
    const struct compare_job *job = c->job;
    static char peers[16];

    words_init(w, WORDS_MAX + job->n_settings + m->n_args);
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
    snprintf(peers, sizeof peers, "%u", job->n_peers);
    put(w, "--peers");
    put(w, peers);
    put(w, "--json");
    put(w, "--run");
    (void)put_path(w, job->dir, m->name, "");
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
        child_reason(child, log, e->msg);
        return ERR_IO;
    }
    rc = read_text(out, &text, e);
    rc = rc != 0 ? rc : compare_result_add(r, text, e);
    free(text);
    return rc;
}

static int run_mode(const struct compare *c,
                    const struct compare_mode *m,
                    struct compare_result *r,
                    struct err *e)
{
    char *out = NULL, *log = NULL;
    struct words w;
    struct child child;
    int rc = path_of(&out, c->job->dir, m->name, ".json", e);

    rc = rc != 0 ? rc : path_of(&log, c->job->dir, m->name, ".log", e);
    train_words(&w, c, m);
    if (rc == 0 && w.failed) {
        rc = err_set(e, ERR_NOMEM, "command line");
    }
    rc = rc != 0 ? rc : child_start(&child, w.at, out, log, e);
    if (rc == 0) {
        child_wait_all(&child, 1);
        rc = take_result(r, &child, out, log, e);
    }
    compare_result_finish(r);
    words_fini(&w);
    free(out);
    free(log);
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
    (void)put_path(&w, job->dir, "report.html", "");
    if (n > 0 && !w.failed &&
        path_of(&out, job->dir, "report", ".out", &e) == 0 &&
        path_of(&log, job->dir, "report", ".log", &e) == 0 &&
        child_start(&child, w.at, out, log, &e) == 0) {
        child_wait_all(&child, 1);
        child_reason(&child, log, why);
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
    for (size_t i = 0; i < job->n_modes; i++) {
        struct compare_result *r = &results[i];
        struct err why = {.msg = "not begun"};
        r->name = job->modes[i].name;
        r->failed =
            job_interrupted != 0 || run_mode(&c, &job->modes[i], r, &why) != 0;
        snprintf(r->why, sizeof r->why, "%s", why.msg);
        say(job, i, r);
    }
    if (job_interrupted == 0) {
        write_report(&c, results);
    }
    free(c.program);
    return 0;
}
