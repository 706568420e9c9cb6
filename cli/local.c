#include "cli/local.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"

/* How long peers that train have to notice that another ended: longer than any
 * sensible peer timeout. */
#define STOP_NS (120 * CLOCK_S)

struct child {
    pid_t pid;
    int fd;       /* Reports come from here; -1 when it has ended. */
    bool told;    /* To stop, since another peer ended too early. */
    size_t n_got; /* Bytes of the next report. */
    struct job_report next;
};

static void send_report(int fd, const struct job_report *r)
{
    const char *at = (const char *)r;
    size_t left = sizeof *r;

    while (left > 0) {
        ssize_t n = write(fd, at, left);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* The parent is gone; SIGTERM comes from that. */
        }
        at += n;
        left -= (size_t)n;
    }
}

static void send_progress(void *arg, const struct train_summary *s)
{
    struct job_report r;

    memset(&r, 0, sizeof r);
    r.summary = *s;
    send_report(*(int *)arg, &r);
}

/* A process of its own group: Ctrl-C goes to the parent, which passes it on
 * once. */
static void child_main(struct job *job,
                       uint32_t rank,
                       const char *url,
                       pid_t parent,
                       int fd)
{
    struct job_report r;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(1);
    }
    signal(SIGPIPE, SIG_IGN);
    job_run_peer(job, rank, url, "127.0.0.1", send_progress, &fd, &r);
    send_report(fd, &r);
    _exit(0);
}

static int start(struct job *job,
                 const char *url,
                 struct child *children,
                 uint32_t rank,
                 struct err *e)
{
    pid_t parent = getpid();
    int fds[2];

    if (pipe(fds) != 0) {
        return err_errno(e, "pipe");
    }
    fflush(NULL);
    children[rank].pid = fork();
    if (children[rank].pid < 0) {
        int rc = err_errno(e, "fork");
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    if (children[rank].pid == 0) {
        for (uint32_t p = 0; p < rank; p++) {
            close(children[p].fd);
        }
        close(fds[0]);
        child_main(job, rank, url, parent, fds[1]);
    }
    close(fds[1]);
    children[rank].fd = fds[0];
    return 0;
}

static void signal_all(const struct child *children, uint32_t n, int sig)
{
    for (uint32_t p = 0; p < n; p++) {
        if (children[p].fd >= 0 && children[p].pid > 0) {
            kill(children[p].pid, sig);
        }
    }
}

/* The child has closed its end: see how it ended. */
static void reap(struct child *c, struct job_report *r)
{
    int status = 0;

    close(c->fd);
    c->fd = -1;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (r->final) {
        return;
    }
    r->final = true;
    r->code = ERR_UNREACHABLE;
    if (WIFSIGNALED(status)) {
        snprintf(r->msg, sizeof r->msg, "ended by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        snprintf(r->msg, sizeof r->msg, "ended without a word");
    }
}

static void receive(struct child *c, struct job_report *r)
{
    ssize_t n =
        read(c->fd, (char *)&c->next + c->n_got, sizeof c->next - c->n_got);

    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (n <= 0) {
        reap(c, r);
        return;
    }
    c->n_got += (size_t)n;
    if (c->n_got == sizeof c->next) {
        *r = c->next;
        c->n_got = 0;
    }
}

/* When a peer has ended before its time, those who wait for it at the meeting
 * place would wait for long, and those who train find out by themselves: give
 * them time to. */
static void stop_the_waiting(struct child *children,
                             const struct job_report *reports,
                             uint32_t n,
                             bool patient)
{
    for (uint32_t p = 0; p < n; p++) {
        bool trains = reports[p].summary.clocks > 0;
        if (children[p].fd >= 0 && !reports[p].final && !children[p].told &&
            !(trains && patient)) {
            children[p].told = true;
            kill(children[p].pid, SIGTERM);
        }
    }
}

/* The first peer that ended before its time, or n. */
static uint32_t first_failed(const struct job_report *reports, uint32_t n)
{
    uint32_t p = 0;

    while (p < n && !(reports[p].final && reports[p].code != 0)) {
        p++;
    }
    return p;
}

/* A peer that was told to stop was not interrupted by the user, unless all
 * were.
 */
static void explain(const struct child *children,
                    struct job_report *reports,
                    uint32_t n,
                    uint32_t failed)
{
    for (uint32_t p = 0; p < n && failed < n && job_interrupted == 0; p++) {
        if (children[p].told && reports[p].code == ERR_INTERRUPTED) {
            reports[p].code = ERR_UNREACHABLE;
            snprintf(reports[p].msg, sizeof reports[p].msg,
                     "peer %u is gone before training began", failed);
        }
    }
}

static void watch(struct child *children,
                  uint32_t n,
                  struct job_report *reports,
                  void (*progress)(void *arg,
                                   const struct job_report *reports,
                                   uint32_t n_peers),
                  void *arg)
{
    struct pollfd fds[TRAIN_PEERS_MAX];
    int interrupts = 0;
    uint32_t n_open = n, failed = n;
    uint64_t failed_ns = 0;

    while (n_open > 0) {
        n_open = 0;
        for (uint32_t p = 0; p < n; p++) {
            fds[p] = (struct pollfd){.fd = children[p].fd, .events = POLLIN};
            n_open += children[p].fd >= 0;
        }
        if (n_open > 0) {
            (void)poll(fds, n, 200);
        }
        if (job_interrupted > interrupts) {
            interrupts = job_interrupted;
            signal_all(children, n, interrupts == 1 ? SIGINT : SIGKILL);
        }
        for (uint32_t p = 0; p < n; p++) {
            if (children[p].fd >= 0 && fds[p].revents != 0) {
                receive(&children[p], &reports[p]);
            }
        }
        if (failed == n && (failed = first_failed(reports, n)) < n) {
            failed_ns = clock_ns();
        }
        if (failed < n) {
            stop_the_waiting(children, reports, n,
                             clock_ns() - failed_ns < STOP_NS);
        }
        progress(arg, reports, n);
    }
    explain(children, reports, n, failed);
}

/* A directory that only these processes use, inside the run directory. */
static int
make_meeting_place(const char *dir, char **place, char **url, struct err *e)
{
    char *real;

    real = realpath(dir, NULL);
    if (real == NULL) {
        return err_wrap(e, err_errno(e, "realpath"), "%s", dir);
    }
    if (asprintf(place, "%s/meet-XXXXXX", real) < 0) {
        *place = NULL;
    }
    free(real);
    if (*place == NULL || mkdtemp(*place) == NULL) {
        int rc = *place == NULL ? err_set(e, ERR_NOMEM, "path")
                                : err_errno(e, "make a directory");
        free(*place);
        *place = NULL;
        return err_wrap(e, rc, "%s", dir);
    }
    if (asprintf(url, "file://%s", *place) < 0) {
        *url = NULL;
        return err_set(e, ERR_NOMEM, "path");
    }
    return 0;
}

/* What the rendezvous left there, and the directory itself. */
static void remove_meeting_place(const char *place)
{
    char *path = NULL;
    struct dirent *entry;
    DIR *d = opendir(place);

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.' &&
            asprintf(&path, "%s/%s", place, entry->d_name) >= 0) {
            unlink(path);
            free(path);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    rmdir(place);
}

int local_run(struct job *job,
              struct job_report *reports,
              void (*progress)(void *arg,
                               const struct job_report *reports,
                               uint32_t n_peers),
              void *arg,
              struct err *e)
{
    struct child *children = calloc(job->n_peers, sizeof *children);
    char *place = NULL, *url = NULL;
    uint32_t n = 0;
    int rc =
        children == NULL ? err_set(e, ERR_NOMEM, "%u peers", job->n_peers) : 0;

    memset(reports, 0, job->n_peers * sizeof *reports);
    rc = rc != 0 ? rc : make_meeting_place(job->dir, &place, &url, e);
    for (; rc == 0 && n < job->n_peers; n++) {
        rc = start(job, url, children, n, e);
    }
    if (rc != 0 && n > 0) {
        signal_all(children, n - 1, SIGKILL);
    }
    watch(children, rc == 0 ? n : n > 0 ? n - 1 : 0, reports, progress, arg);
    if (place != NULL) {
        remove_meeting_place(place);
    }
    free(place);
    free(url);
    free(children);
    return rc;
}
