#include "cli/say.h"

#include <inttypes.h>
#include <stdarg.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "core/clock.h"

#define PROGRESS_AFTER_NS CLOCK_S
#define PROGRESS_EVERY_NS (200 * CLOCK_MS)

int say_parse(const struct opt_command *c, int argc, char **argv, int *n_words)
{
    struct err e;
    const int status = opt_parse(c, argc, argv, n_words, &e);

    if (status < 0) {
        return say_usage(c, "%s", e.msg);
    }
    return status > 0 ? CMD_OK : -1;
}

int say_usage(const struct opt_command *c, const char *fmt, ...)
{
    char msg[ERR_MSG_SIZE];
    va_list args;

    va_start(args, fmt);
    vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    fprintf(stderr, "lyre: %s\nusage: lyre %s\n", msg, c->usage);
    return CMD_USAGE;
}

int say_error(int code, const struct err *e)
{
    fprintf(stderr, "lyre: %s\n", e->msg);
    switch (code) {
    case ERR_INVALID:
        return CMD_USAGE;
    case ERR_DIVERGED:
        return CMD_DIVERGED;
    case ERR_NOT_FINITE:
        return CMD_NOT_FINITE;
    case ERR_INTERRUPTED:
        return CMD_INTERRUPTED;
    default:
        return CMD_FAILED;
    }
}

static void emit(struct log *l, enum log_level level, const char *msg)
{
    (void)l;
    (void)level;
    fprintf(stderr, "lyre: %s\n", msg); /* One call: stdio locks the stream. */
}

struct log say_log(enum log_level level)
{
    return (struct log){.emit = emit, .level = level};
}

int say_progress(void *arg, uint64_t done)
{
    struct say_progress *p = arg;
    const uint64_t now = clock_ns();

    if (p->begun_ns == 0) {
        p->begun_ns = now;
    }
    if (now - p->begun_ns < PROGRESS_AFTER_NS ||
        now - p->said_ns < PROGRESS_EVERY_NS || !isatty(STDERR_FILENO)) {
        return 0;
    }
    p->said_ns = now;
    fprintf(stderr, "\r%s %" PRIu64 " of %" PRIu64 "\033[K", p->what, done,
            p->all);
    return 0;
}

void say_progress_end(struct say_progress *p)
{
    if (p->said_ns != 0) {
        fputs("\r\033[K", stderr);
    }
}
