#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/job.h"
#include "core/clock.h"

#define LOOK_MS     20 /* How often it is looked whether one has ended. */
#define PATIENCE_NS (15 * CLOCK_S) /* For those whose companion has failed. */

int child_program(char **path, struct err *e)
{
    *path = realpath("/proc/self/exe", NULL);
    return *path != NULL ? 0 : err_errno(e, "find this program");
}

static int open_anew(const char *path, struct err *e)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    return fd >= 0 ? fd : err_wrap(e, err_errno(e, "open"), "%s", path);
}

static void become(char *const *argv, int out, int log, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0) {
        _exit(1);
    }
    execv(argv[0], argv);
    fprintf(stderr, "lyre: start %s: %s\n", argv[0], strerror(errno));
    _exit(1);
}

int child_start(struct child *c,
                char *const *argv,
                const char *out,
                const char *log,
                struct err *e)
{
    const pid_t parent = getpid();
    const int out_fd = open_anew(out, e);
    const int log_fd = out_fd < 0 ? -1 : open_anew(log, e);
    int rc = out_fd < 0 ? out_fd : log_fd < 0 ? log_fd : 0;

    *c = (struct child){.heard = job_interrupted, .status = 1};
    if (rc == 0) {
        fflush(NULL);
        c->pid = fork();
        if (c->pid == 0) {
            become(argv, out_fd, log_fd, parent);
        }
        rc = c->pid < 0 ? err_errno(e, "fork") : 0;
        c->pid = c->pid < 0 ? 0 : c->pid;
    }
    if (out_fd >= 0) {
        close(out_fd);
    }
    if (log_fd >= 0) {
        close(log_fd);
    }
    return rc;
}

bool child_ended(struct child *c)
{
    int status;

    if (c->pid == 0) {
        return true;
    }
    if (waitpid(c->pid, &status, WNOHANG) != c->pid) {
        return false;
    }
    c->pid = 0;
    c->status =
        WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

static bool all_ended(struct child *children, size_t n)
{
    bool ended = true;

    for (size_t i = 0; i < n; i++) {
        ended = child_ended(&children[i]) && ended;
    }
    return ended;
}

static void signal_all(const struct child *children, size_t n, int sig)
{
    for (size_t i = 0; i < n; i++) {
        if (children[i].pid != 0) {
            kill(children[i].pid, sig);
        }
    }
}

static bool any_failed(const struct child *children, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (children[i].pid == 0 && children[i].status != 0) {
            return true;
        }
    }
    return false;
}

void child_wait_all(struct child *children, size_t n)
{
    int passed_on = children[0].heard;
    uint64_t failed_ns = 0;

    while (!all_ended(children, n)) {
        if (job_interrupted > passed_on) {
            signal_all(children, n,
                       passed_on == children[0].heard ? SIGINT : SIGKILL);
            passed_on = job_interrupted;
        }
        if (failed_ns == 0 && any_failed(children, n)) {
            failed_ns = clock_ns();
        }
        if (failed_ns != 0 && clock_ns() - failed_ns > PATIENCE_NS) {
            signal_all(children, n, SIGTERM);
            failed_ns = clock_ns();
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

void child_reason(const struct child *c,
                  const char *log,
                  const char *sign,
                  char *why)
{
    FILE *f = fopen(log, "re");
    char *line = NULL;
    size_t room = 0;

    if (c->status > 128) {
        snprintf(why, ERR_MSG_SIZE, "ended by signal %d (%s)", c->status - 128,
                 strsignal(c->status - 128));
    } else {
        snprintf(why, ERR_MSG_SIZE, "it ended with status %d", c->status);
    }
    while (f != NULL && getline(&line, &room, f) > 0) {
        if (strncmp(line, sign, strlen(sign)) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(why, ERR_MSG_SIZE, "%s", line + strlen(sign));
            break;
        }
    }
    free(line);
    if (f != NULL) {
        fclose(f);
    }
}
