/* lyre watch: a run in the terminal, as it goes on. */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/say.h"
#include "cli/watch_screen.h"
#include "core/clock.h"
#include "report/live.h"

#define WIDTH_DEFAULT  80
#define HEIGHT_DEFAULT 24
/* Nobody is seen to write, and nothing is new: the job has ended, or has not
 * begun. A job on another machine shows no lock, but news. */
#define PATIENCE_NS (5 * CLOCK_S)

/* The other screen of the terminal, without a cursor; and back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static struct {
    uint64_t interval_ns;
    bool once;
} opts = {.interval_ns = CLOCK_S};

static const struct opt OPTS[] = {
    {.name = "interval",
     .kind = OPT_SECONDS,
     .value = &opts.interval_ns,
     .arg = "T",
     .help = "how often to look (default 1s)",
     .min = 0.05,
     .max = 3600},
    {.name = "once",
     .kind = OPT_FLAG,
     .value = &opts.once,
     .help = "print what there is now, and end"},
};

static const struct opt_command COMMAND = {
    .name = "watch",
    .summary = "A run in the terminal, as it goes on.",
    .usage = "watch DIR [--interval T] [--once]",
    .details =
        "Loss and accuracy are running means over about fifty clocks of the "
        "first peer, with\ntheir history; rates, staleness and shares of time "
        "are those of the last few looks.\nEnds with the job; Ctrl-C ends it "
        "earlier, and the job does not notice. What the log\nhas committed is "
        "seen: with --durability 1s, that is a second old. If the output is\n"
        "no terminal, lines are written instead.",
    .examples = "lyre watch run\n"
                "lyre watch run --once\n"
                "lyre watch run --interval 10s >progress.txt",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

static volatile sig_atomic_t ended, stopped; /* By signals. */

static void on_signal(int sig)
{
    if (sig == SIGTSTP) {
        stopped = 1;
    } else if (sig != SIGWINCH) {
        ended = 1;
    }
}

static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};

/* Signals come only while we wait: none is missed between looking and waiting.
 */
static void catch_signals(bool terminal)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;

    sigemptyset(&action.sa_mask);
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof SIGNALS / sizeof SIGNALS[0]; i++) {
        if (SIGNALS[i] != SIGTSTP || terminal) {
            sigaction(SIGNALS[i], &action, NULL);
            sigaddset(&set, SIGNALS[i]);
        }
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void wait_for(uint64_t ns)
{
    const struct timespec ts = {.tv_sec = (time_t)(ns / CLOCK_S),
                                .tv_nsec = (long)(ns % CLOCK_S)};
    sigset_t none;

    sigemptyset(&none);
    (void)ppoll(NULL, 0, &ts, &none);
}

struct watch {
    struct report_live live;
    bool terminal;
    bool there; /* Something could be read once. */
    bool shown; /* In lines: the picture was printed. */
    uint64_t news_ns;
};

static bool is_utf8(void)
{
    static const char *const NAMES[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(NAMES[i]);
        if (value != NULL && value[0] != '\0') {
            return strcasestr(value, "utf-8") != NULL ||
                   strcasestr(value, "utf8") != NULL;
        }
    }
    return false;
}

static bool is_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

static struct watch_style style(const struct watch *w)
{
    const char *no_colour = getenv("NO_COLOR");
    struct watch_style s = {.width = WIDTH_DEFAULT, .utf8 = is_utf8()};
    struct winsize size;

    if (!w->terminal) {
        return s;
    }
    s.height = HEIGHT_DEFAULT;
    s.colour = no_colour == NULL || no_colour[0] == '\0';
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 &&
        size.ws_row > 0) {
        s.width = size.ws_col;
        s.height = size.ws_row;
    }
    return s;
}

/* Line over line, so that nothing flickers. A line is wiped before it is
 * written: behind one that is as wide as the screen, its last letter would go.
 */
static void put_frame(const struct buf *b)
{
    const char *p = (const char *)b->data, *end = p + b->size;

    fputs("\033[H", stdout);
    while (p < end) {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        fputs("\033[2K", stdout);
        fwrite(p, 1, (size_t)(line - p), stdout);
        fputs(line + 1 < end ? "\n" : "", stdout);
        p = line + 1;
    }
    fputs("\033[J", stdout);
}

static void put_picture(const struct watch *w, bool frame)
{
    struct watch_style s = style(w);
    struct buf b;

    buf_init(&b);
    s.height = frame ? s.height : 0;
    watch_screen(&b, &w->live, &s);
    if (frame) {
        put_frame(&b);
    } else {
        fwrite(b.data, 1, b.size, stdout);
    }
    fflush(stdout);
    buf_fini(&b);
}

static void put_line(const struct watch *w)
{
    struct buf b;

    buf_init(&b);
    watch_line(&b, &w->live);
    printf("%.*s\n", (int)b.size, (const char *)b.data);
    fflush(stdout);
    buf_fini(&b);
}

static void show(struct watch *w, bool news)
{
    if (w->terminal) {
        put_picture(w, true);
    } else if (!w->shown && w->there) {
        put_picture(w, false);
        w->shown = true;
    } else if (news) {
        put_line(w);
    }
}

/* Let Ctrl-Z stop us, with the terminal as it was. */
static void stop(const struct watch *w)
{
    stopped = 0;
    if (w->terminal) {
        fputs(LEAVE, stdout);
        fflush(stdout);
    }
    raise(SIGSTOP);
    if (w->terminal) {
        fputs(ENTER, stdout);
    }
}

/* Look, and say whether there is more to come: 1, 0, or an error. */
static int look(struct watch *w, struct err *e)
{
    const uint64_t now = clock_ns();
    bool news = false;
    const int rc = report_live_update(&w->live, &news, e);

    if (news || w->news_ns == 0) {
        w->news_ns = now;
    }
    w->there = w->there || rc == 0;
    const bool patient =
        report_live_running(&w->live) || now - w->news_ns < PATIENCE_NS;
    if (rc != 0 && (opts.once || !patient || rc == ERR_NOMEM)) {
        return rc;
    }
    if (!opts.once) {
        show(w, news);
    }
    return !opts.once && patient && !report_live_complete(&w->live);
}

static int watch(struct watch *w, struct err *e)
{
    int more;

    w->terminal = is_terminal() && !opts.once;
    if (!opts.once) {
        catch_signals(w->terminal);
    }
    if (w->terminal) {
        fputs(ENTER, stdout);
        fflush(stdout);
    }
    while ((more = look(w, e)) > 0 && ended == 0 && !ferror(stdout)) {
        wait_for(opts.interval_ns);
        if (stopped != 0) {
            stop(w);
        }
    }
    if (w->terminal) {
        fputs(LEAVE, stdout);
    }
    w->terminal = is_terminal(); /* For colours and width. */
    if (more >= 0 && (opts.once || w->terminal)) {
        put_picture(w, false);
    }
    return more < 0 ? more : 0;
}

/* What a user may want to know who saw a job end. */
static void advise(const struct report_live *l)
{
    if (l->known && !report_live_running(l) &&
        report_live_clocks(l) < l->clocks) {
        fprintf(stderr,
                "lyre: the job stopped early; go on with: lyre resume %s\n",
                l->dir);
    }
}

int cmd_watch(int argc, char **argv)
{
    struct watch w = {.shown = false};
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(&COMMAND, "one run directory is wanted, not %d",
                         n_words);
    }
    status = report_live_init(&w.live, argv[1], &e);
    if (status == 0) {
        status = watch(&w, &e);
    }
    if (status == 0) {
        advise(&w.live);
    }
    report_live_fini(&w.live);
    return status == 0 ? CMD_OK : say_error(status, &e);
}
