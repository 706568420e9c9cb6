#include "report/series.h"

#include <math.h>
#include <stdlib.h>

#include "report/text.h"
#include "report/thin.h"

int report_series_make(struct report_series **series,
                       size_t *n_series,
                       const struct report_run *runs,
                       size_t n_runs,
                       struct err *e)
{
    const bool peers = n_runs == 1 && runs->n_peers <= REPORT_SERIES_PEERS_MAX;
    const size_t n = peers ? runs->n_peers : n_runs;
    struct report_series *s = calloc(n + 1, sizeof *s);

    if (s == NULL) {
        return err_set(e, ERR_NOMEM, "%zu series", n);
    }
    for (size_t i = 0; i < n; i++) {
        s[i].run = peers ? runs : &runs[i];
        s[i].peer = peers ? &runs->peers[i] : NULL;
        for (size_t p = 0; p < s[i].run->n_peers; p++) {
            const struct report_peer *peer = &s[i].run->peers[p];
            if ((s[i].peer == NULL || s[i].peer == peer) && peer->n > s[i].n) {
                s[i].n = peer->n;
            }
        }
    }
    *series = s;
    *n_series = n;
    return 0;
}

void report_series_name(const struct report_series *s, struct buf *out)
{
    if (s->peer != NULL) {
        report_text_printf(out, "peer %u", s->peer->rank);
    } else {
        report_text(out, s->run->dir);
    }
}

/* The mean over the peers of a series, NaN left out. */
static double mean(const struct report_series *s,
                   size_t clock,
                   double (*get)(const struct report_peer *, size_t, size_t),
                   size_t metric)
{
    double sum = 0;
    size_t n = 0;

    for (size_t p = 0; p < s->run->n_peers; p++) {
        const struct report_peer *peer = &s->run->peers[p];
        if ((s->peer != NULL && s->peer != peer) || clock >= peer->n) {
            continue;
        }
        const double x = get(peer, clock, metric);
        if (!isnan(x)) {
            sum += x;
            n++;
        }
    }
    return n == 0 ? NAN : sum / (double)n;
}

static double
get_seconds(const struct report_peer *p, size_t clock, size_t metric)
{
    (void)metric;
    return p->seconds[clock];
}

static double get_sent(const struct report_peer *p, size_t clock, size_t metric)
{
    (void)metric;
    return p->sent[clock];
}

static double
get_value(const struct report_peer *p, size_t clock, size_t metric)
{
    return report_metric(&p->metrics[clock], metric);
}

double report_series_seconds(const struct report_series *s, size_t clock)
{
    return mean(s, clock, get_seconds, 0);
}

double report_series_sent(const struct report_series *s, size_t clock)
{
    return mean(s, clock, get_sent, 0);
}

double
report_series_value(const struct report_series *s, size_t metric, size_t clock)
{
    return mean(s, clock, get_value, metric);
}

/* What is drawn. */
struct kind {
    const char *name;
    size_t metric;
    bool fading; /* The running mean of it. */
    bool seldom; /* Where there is none, there is no gap. */
};

static const struct kind KINDS[] = {
    {"loss", REPORT_METRIC(loss), false, false},
    {"loss_mean", REPORT_METRIC(loss), true, false},
    {"test_loss", REPORT_METRIC(test_loss), false, true},
    {"accuracy", REPORT_METRIC(accuracy), false, false},
    {"accuracy_mean", REPORT_METRIC(accuracy), true, false},
    {"test_accuracy", REPORT_METRIC(test_accuracy), false, true},
    {"bytes_sent", REPORT_METRIC(bytes_sent), false, false},
    {"bytes_sent_mean", REPORT_METRIC(bytes_sent), true, false},
    {"bytes_received_mean", REPORT_METRIC(bytes_received), true, false},
    {"selection_error", REPORT_METRIC(selection_error), false, false},
    {"selection_error_mean", REPORT_METRIC(selection_error), true, false},
    {"staleness", REPORT_METRIC(staleness), false, false},
    {"staleness_mean", REPORT_METRIC(staleness), true, false},
    {"staleness_bound", REPORT_METRIC(staleness_bound), false, false},
};

/* A line before thinning. */
struct line {
    size_t n;
    size_t *clock; /* (n). */
    double *value; /* (n). */
    size_t *keep;  /* (points_max). */
};

/* Loss and accuracy are means over samples, the rest are of the clock. */
static double weight(const struct report_series *s, size_t metric, size_t clock)
{
    if (metric != REPORT_METRIC(loss) && metric != REPORT_METRIC(accuracy)) {
        return 1;
    }
    const double n = report_series_value(s, REPORT_METRIC(samples), clock);
    return isnan(n) ? 1 : n;
}

/* Collect the values; false: there is none to draw. */
static bool
collect(struct line *l, const struct report_series *s, const struct kind *k)
{
    struct report_fading fading = {0};
    bool any = false;

    l->n = 0;
    for (size_t c = 0; c < s->n; c++) {
        double x = report_series_value(s, k->metric, c);
        const bool missing = isnan(x);
        if (k->fading && !missing) {
            x = report_fade(&fading, x, weight(s, k->metric, c));
        }
        if (missing && k->seldom) {
            continue;
        }
        any = any || isfinite(x);
        l->clock[l->n] = c;
        l->value[l->n++] = x;
    }
    return any;
}

static void put_axis(struct buf *out,
                     const char *name,
                     const struct report_series *s,
                     double (*get)(const struct report_series *, size_t),
                     const struct line *l,
                     size_t kept)
{
    report_text_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < kept; i++) {
        report_text(out, i == 0 ? "" : ",");
        report_text_number(out, get(s, l->clock[l->keep[i]]));
    }
    report_text(out, "]");
}

static double get_clock(const struct report_series *s, size_t clock)
{
    (void)s;
    return (double)clock;
}

static void put_line(struct buf *out,
                     const struct report_series *s,
                     const struct line *l,
                     size_t kept)
{
    put_axis(out, "clock", s, get_clock, l, kept);
    put_axis(out, "seconds", s, report_series_seconds, l, kept);
    put_axis(out, "bytes", s, report_series_sent, l, kept);
    report_text(out, ",\"value\":[");
    for (size_t i = 0; i < kept; i++) {
        report_text(out, i == 0 ? "" : ",");
        report_text_number(out, l->value[l->keep[i]]);
    }
    report_text(out, "]}");
}

static int line_init(struct line *l, size_t n, size_t points_max, struct err *e)
{
    l->clock = calloc(n + 1, sizeof *l->clock);
    l->value = calloc(n + 1, sizeof *l->value);
    l->keep = calloc(points_max, sizeof *l->keep);
    return l->clock == NULL || l->value == NULL || l->keep == NULL
               ? err_set(e, ERR_NOMEM, "lines of %zu clocks", n)
               : 0;
}

static void line_fini(struct line *l)
{
    free(l->clock);
    free(l->value);
    free(l->keep);
}

int report_series_lines(struct buf *out,
                        const struct report_series *series,
                        size_t n_series,
                        size_t points_max,
                        struct err *e)
{
    bool first = true;
    int rc = 0;

    report_text(out, "[");
    for (size_t i = 0; rc == 0 && i < n_series; i++) {
        struct line l = {0};
        rc = line_init(&l, series[i].n, points_max, e);
        for (size_t k = 0; rc == 0 && k < sizeof KINDS / sizeof KINDS[0]; k++) {
            if (!collect(&l, &series[i], &KINDS[k])) {
                continue;
            }
            const size_t kept = report_thin(l.value, l.n, points_max, l.keep);
            report_text_printf(out, "%s\n{\"series\":%zu,\"metric\":\"%s\"",
                               first ? "" : ",", i, KINDS[k].name);
            put_line(out, &series[i], &l, kept);
            first = false;
        }
        line_fini(&l);
    }
    report_text(out, "]");
    return rc;
}
