#include "cli/watch_screen.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dataset/unicode.h"
#include "report/text.h"

#define LABEL_WIDTH 20 /* Of what stands before a sparkline. */
#define HEAD_LINES  9  /* All lines but those of peers. */
#define FIXED_WIDTH 63 /* Of a peer's line without its bar. */
#define BAR_MIN     10

/* In the order of report_part_names. */
static const char LETTERS[REPORT_PARTS + 1] = "CSEWAL.";
static const char *const COLOURS[REPORT_PARTS] = {
    "\033[30;44m", "\033[30;41m", "\033[30;42m", "\033[30;45m",
    "\033[30;43m", "\033[30;46m", "\033[2m"};
#define PLAIN "\033[0m"
#define BOLD  "\033[1m"

void watch_bar(const double *parts, size_t n, size_t width, size_t *cells)
{
    double sum = 0, upto = 0;
    size_t done = 0;

    for (size_t i = 0; i < n; i++) {
        sum += parts[i];
    }
    for (size_t i = 0; i < n; i++) {
        upto += parts[i];
        const size_t end =
            sum > 0 ? (size_t)floor(upto / sum * (double)width + 0.5) : 0;
        cells[i] = end > done ? end - done : 0;
        done += cells[i];
    }
}

static void put_spark(struct buf *out, double share, bool utf8)
{
    static const char *const BLOCKS[] = {"▁", "▂", "▃", "▄",
                                         "▅", "▆", "▇", "█"};
    static const char ASCII[] = "_.-~=+*#";
    size_t level = (size_t)(share * 8);

    level = level > 7 ? 7 : level;
    if (utf8) {
        report_text(out, BLOCKS[level]);
    } else {
        buf_put(out, &ASCII[level], 1);
    }
}

void watch_spark(struct buf *out,
                 const struct report_history *h,
                 size_t width,
                 bool utf8)
{
    double least = INFINITY, greatest = -INFINITY;
    const size_t n = h->n < width ? h->n : width;

    for (size_t i = 0; i < h->n; i++) {
        least = fmin(least, h->value[i]);
        greatest = fmax(greatest, h->value[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const double x = h->value[(i + 1) * h->n / n - 1];
        if (!isfinite(x)) {
            report_text(out, " ");
        } else {
            put_spark(out,
                      greatest > least ? (x - least) / (greatest - least) : 0,
                      utf8);
        }
    }
}

/* How many columns the text from @at on takes; escape sequences take none. */
static size_t columns(const struct buf *b, size_t at)
{
    const char *p = (const char *)b->data + at;
    const char *end = (const char *)b->data + b->size;
    size_t n = 0;

    while (p < end) {
        uint32_t c;
        if (*p == '\033') {
            while (p < end && *p != 'm') {
                p++;
            }
            p += p < end;
        } else {
            p += unicode_decode(&p, end, &c) ? 0 : 1;
            n++;
        }
    }
    return n;
}

/* Cut what is too wide, and end the line. @line began at @at. */
static void end_line(struct buf *out, size_t at, const struct watch_style *s)
{
    while (!out->failed && columns(out, at) > s->width) {
        out->size--;
        while (out->size > at && (out->data[out->size] & 0xc0) == 0x80) {
            out->size--;
        }
    }
    if (s->colour) {
        report_text(out, PLAIN);
    }
    report_text(out, "\n");
}

static const char *state_of(const struct report_live *l)
{
    return report_live_running(l)    ? "running"
           : report_live_complete(l) ? "complete"
                                     : "not running";
}

/* A directory name, without what a terminal would take for a command. */
static void put_name(struct buf *out, const char *name)
{
    const char *end = name + strlen(name);

    while (name < end) {
        const char *from = name;
        uint32_t c;
        if (!unicode_decode(&name, end, &c)) {
            name++;
            c = 0;
        }
        if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            report_text(out, "?");
        } else {
            buf_put(out, from, (size_t)(name - from));
        }
    }
}

/* Of all peers: samples a second, and the longest time. */
struct totals {
    double rate, seconds, clock_rate, epoch;
    double sent, received; /* A second, of all peers. */
    double wait;           /* Share. */
};

static double over(double x, double by)
{
    return by > 0 ? x / by : 0;
}

static struct totals totals_of(const struct report_live *l)
{
    struct totals t = {.clock_rate = INFINITY, .epoch = NAN};

    for (size_t i = 0; i < l->n_peers; i++) {
        const struct report_live_peer *p = l->peers[i];
        const struct report_sums r = report_live_recent(p);
        t.rate += over(r.samples, r.seconds);
        t.sent += over(r.sent, r.seconds);
        t.received += over(r.received, r.seconds);
        t.wait += over(r.parts[3], r.seconds) / (double)l->n_peers;
        t.clock_rate = fmin(t.clock_rate, over(r.clocks, r.seconds));
        t.seconds = fmax(t.seconds, p->sums.seconds);
        t.epoch = isnan(t.epoch) ? p->last.epoch : t.epoch;
    }
    return t;
}

static void put_time(struct buf *out, double seconds)
{
    const uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 0;

    if (seconds < 10) {
        report_text_printf(out, "%.1f s", seconds);
    } else if (s < 60) {
        report_text_printf(out, "%" PRIu64 " s", s);
    } else if (s < 3600) {
        report_text_printf(out, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
    } else {
        report_text_printf(out, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
                           s / 3600, s / 60 % 60, s % 60);
    }
}

/* The state stands first: names may be too long for a line. */
static void put_title(struct buf *out,
                      const struct report_live *l,
                      const struct watch_style *s)
{
    const uint64_t clock = report_live_clocks(l);
    const struct totals t = totals_of(l);
    const size_t at = out->size;

    report_text(out, s->colour ? BOLD : "");
    report_text(out, state_of(l));
    if (report_live_running(l) && clock < l->clocks && t.clock_rate > 0) {
        report_text(out, ", ");
        put_time(out, (double)(l->clocks - clock) / t.clock_rate);
        report_text(out, " left");
    }
    report_text(out, s->colour ? PLAIN ": " : ": ");
    put_name(out, l->dir);
    if (l->known) {
        report_text_printf(out, " (%s, %u peers, %s)", l->model, l->n_peers_all,
                           l->mode);
    }
    end_line(out, at, s);
}

static void put_progress(struct buf *out,
                         const struct report_live *l,
                         const struct watch_style *s)
{
    const struct totals t = totals_of(l);
    const uint64_t clock = report_live_clocks(l);
    const size_t at = out->size;

    report_text(out, "clock ");
    report_text_value(out, (double)clock);
    if (l->known && clock <= l->clocks) {
        report_text(out, " of ");
        report_text_value(out, (double)l->clocks);
        report_text_printf(out, " (%.0f%%)",
                           100 * over((double)clock, (double)l->clocks));
    }
    if (!isnan(t.epoch)) {
        report_text_printf(out, "  epoch %.2f", t.epoch);
    }
    report_text(out, "  ");
    put_time(out, t.seconds);
    report_text(out, "  ");
    report_text_value(out, round(t.rate));
    report_text(out, " samples/s");
    end_line(out, at, s);
}

static void put_history(struct buf *out,
                        const char *name,
                        double x,
                        const struct report_history *h,
                        const struct watch_style *s)
{
    const size_t at = out->size;
    char text[32];

    snprintf(text, sizeof text, isnan(x) ? "-" : "%.4f", x);
    report_text_printf(out, "%-9s %8s  ", name, text);
    if (s->width > LABEL_WIDTH) {
        watch_spark(out, h, s->width - LABEL_WIDTH, s->utf8);
    }
    end_line(out, at, s);
}

/* The last evaluation of any peer. */
static const struct report_live_peer *tested(const struct report_live *l)
{
    const struct report_live_peer *best = NULL;

    for (size_t i = 0; i < l->n_peers; i++) {
        const struct report_live_peer *p = l->peers[i];
        if (!isnan(p->test_loss) &&
            (best == NULL || p->test_clock > best->test_clock)) {
            best = p;
        }
    }
    return best;
}

static void put_test(struct buf *out,
                     const struct report_live *l,
                     const struct watch_style *s)
{
    const struct report_live_peer *p = tested(l);
    const size_t at = out->size;

    if (p == NULL) {
        report_text(out, "test             -");
    } else {
        report_text_printf(out,
                           "test        loss %.4f, accuracy %.4f behind clock ",
                           p->test_loss, p->test_accuracy);
        report_text_value(out, (double)p->test_clock);
    }
    end_line(out, at, s);
}

/* A cell of the table, to the right. */
static void put_right(struct buf *out,
                      size_t width,
                      void (*put)(struct buf *, double),
                      double x)
{
    struct buf b;

    buf_init(&b);
    put(&b, x);
    report_text_printf(out, "%*s%.*s",
                       b.size < width ? (int)(width - b.size) : 1, "",
                       (int)b.size, b.data == NULL ? "" : (char *)b.data);
    buf_fini(&b);
}

static void put_parts(struct buf *out,
                      const double *parts,
                      size_t width,
                      const struct watch_style *s)
{
    size_t cells[REPORT_PARTS];

    watch_bar(parts, REPORT_PARTS, width, cells);
    for (size_t k = 0; k < REPORT_PARTS; k++) {
        report_text(out, s->colour && cells[k] > 0 ? COLOURS[k] : "");
        for (size_t i = 0; i < cells[k]; i++) {
            buf_put(out, &LETTERS[k], 1);
        }
        report_text(out, s->colour && cells[k] > 0 ? PLAIN : "");
    }
}

static void put_peer(struct buf *out,
                     const struct report_live_peer *p,
                     const struct watch_style *s)
{
    const struct report_sums r = report_live_recent(p);
    const size_t at = out->size;
    char text[64];

    report_text_printf(out, "%5u", p->rank);
    put_right(out, 11, report_text_value, (double)p->clocks);
    snprintf(text, sizeof text, isnan(p->last.loss) ? "-" : "%.4f",
             p->last.loss);
    report_text_printf(out, "%8s", text);
    put_right(out, 11, report_text_value, round(over(r.samples, r.seconds)));
    put_right(out, 9, report_text_bytes, over(r.sent, r.seconds));
    put_right(out, 9, report_text_bytes, over(r.received, r.seconds));
    snprintf(text, sizeof text, "%.1f", over(r.staleness, r.clocks));
    report_text_printf(out, "%7s  ", text);
    put_parts(
        out, r.parts,
        s->width > FIXED_WIDTH + BAR_MIN ? s->width - FIXED_WIDTH : BAR_MIN, s);
    end_line(out, at, s);
}

static void put_peers(struct buf *out,
                      const struct report_live *l,
                      const struct watch_style *s)
{
    size_t room = l->n_peers, at = out->size;

    report_text_printf(out, "%5s%11s%8s%11s%9s%9s%7s  %s", "peer", "clock",
                       "loss", "samples/s", "sent/s", "recv/s", "stale",
                       "time");
    end_line(out, at, s);
    if (s->height != 0) {
        room = s->height > HEAD_LINES ? s->height - HEAD_LINES : 0;
        room = room < l->n_peers && room > 0 ? room - 1 : room;
    }
    for (size_t i = 0; i < l->n_peers && i < room; i++) {
        put_peer(out, l->peers[i], s);
    }
    if (room < l->n_peers) {
        at = out->size;
        report_text_printf(out, "      and %zu more peers", l->n_peers - room);
        end_line(out, at, s);
    }
}

static void put_key(struct buf *out, const struct watch_style *s)
{
    static const char *const NAMES[REPORT_PARTS] = {
        "computing", "selecting", "encoding", "waiting",
        "applying",  "logging",   "rest"};
    const size_t at = out->size;

    for (size_t k = 0; k < REPORT_PARTS; k++) {
        report_text(out, k == 0 ? "" : " ");
        report_text(out, s->colour ? COLOURS[k] : "");
        buf_put(out, &LETTERS[k], 1);
        report_text(out, s->colour ? PLAIN : "");
        report_text_printf(out, " %s", NAMES[k]);
    }
    end_line(out, at, s);
}

/* Take away what is below the last line that there is. */
static void cut_height(struct buf *out, size_t begin, size_t height)
{
    size_t lines = 0;

    for (size_t i = begin; height != 0 && i < out->size; i++) {
        lines += out->data[i] == '\n';
        if (lines == height) {
            out->size = i + 1;
        }
    }
}

void watch_screen(struct buf *out,
                  const struct report_live *l,
                  const struct watch_style *s)
{
    static const struct report_history NONE;
    const struct report_live_peer *p = l->n_peers == 0 ? NULL : l->peers[0];
    const size_t begin = out->size;

    put_title(out, l, s);
    put_progress(out, l, s);
    report_text(out, "\n");
    put_history(out, "loss", p == NULL ? NAN : p->last.loss,
                p == NULL ? &NONE : &p->loss, s);
    put_history(out, "accuracy", p == NULL ? NAN : p->last.accuracy,
                p == NULL ? &NONE : &p->accuracy, s);
    put_test(out, l, s);
    report_text(out, "\n");
    put_peers(out, l, s);
    put_key(out, s);
    cut_height(out, begin, s->height);
}

void watch_line(struct buf *out, const struct report_live *l)
{
    const struct totals t = totals_of(l);
    const struct report_live_peer *p = l->n_peers == 0 ? NULL : l->peers[0];
    const struct report_live_peer *test = tested(l);

    report_text_printf(out, "clock %" PRIu64, report_live_clocks(l));
    if (l->known) {
        report_text_printf(out, "/%" PRIu64, l->clocks);
    }
    if (p != NULL && p->clocks > 0) {
        report_text_printf(out, "  epoch %.2f  loss %.4f  accuracy %.4f",
                           t.epoch, p->last.loss, p->last.accuracy);
    }
    report_text_printf(out, "  %.0f samples/s  sent ", t.rate);
    report_text_bytes(out, t.sent);
    report_text(out, "/s  received ");
    report_text_bytes(out, t.received);
    report_text_printf(out, "/s  waiting %.0f%%", 100 * t.wait);
    if (test != NULL) {
        report_text_printf(out, "  test accuracy %.4f", test->test_accuracy);
    }
    report_text_printf(out, "  %s", state_of(l));
}
