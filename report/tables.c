#include "report/tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "report/text.h"

const char *const report_part_names[REPORT_PARTS] = {
    "computing", "selecting", "encoding", "waiting",
    "applying",  "logging",   "the rest"};

void report_parts(const struct report_peer *p, double seconds[REPORT_PARTS])
{
    static const size_t METRICS[REPORT_PARTS - 1] = {
        REPORT_METRIC(seconds_compute), REPORT_METRIC(seconds_select),
        REPORT_METRIC(seconds_encode),  REPORT_METRIC(seconds_wait),
        REPORT_METRIC(seconds_apply),   REPORT_METRIC(seconds_log)};
    double rest = report_peer_sum(p, REPORT_METRIC(seconds_clock));

    for (size_t i = 0; i < REPORT_PARTS - 1; i++) {
        seconds[i] = report_peer_sum(p, METRICS[i]);
        rest -= seconds[i];
    }
    seconds[REPORT_PARTS - 1] = rest > 0 ? rest : 0;
}

/* What the summary says of a run. NaN: unknown. */
struct result {
    uint64_t clocks; /* That all peers have. */
    double seconds, samples, loss;
    double test_loss, test_accuracy;
    int64_t test_clock; /* -1: never. */
    double peer_clocks; /* Measured, of all peers together. */
    double sent, encoded, error, staleness;
    double log_bytes;
    bool running;
};

static double loss_of(const struct report_peer *p)
{
    struct report_fading f = {0};
    double x = NAN;

    for (size_t c = 0; c < p->n; c++) {
        x = report_fade(&f, p->metrics[c].loss, p->metrics[c].samples);
    }
    return x;
}

static void add_peer(struct result *r, const struct report_peer *p, size_t *n)
{
    const int64_t tested = report_peer_last(p, REPORT_METRIC(test_accuracy));

    r->running = r->running || p->running;
    r->log_bytes += (double)p->bytes;
    r->clocks = p->n < r->clocks ? p->n : r->clocks;
    if (p->n == 0) {
        return;
    }
    (*n)++;
    r->seconds = fmax(r->seconds, p->seconds[p->n - 1]);
    r->samples += report_peer_sum(p, REPORT_METRIC(samples));
    r->loss += loss_of(p);
    for (size_t c = 0; c < p->n; c++) {
        r->peer_clocks += isnan(p->metrics[c].seconds_clock) ? 0 : 1;
    }
    r->sent += p->sent[p->n - 1];
    r->encoded += report_peer_sum(p, REPORT_METRIC(bytes_encoded));
    r->error += report_peer_sum(p, REPORT_METRIC(selection_error));
    r->staleness += report_peer_sum(p, REPORT_METRIC(staleness));
    if (tested > r->test_clock) {
        r->test_clock = tested;
        r->test_loss = p->metrics[tested].test_loss;
        r->test_accuracy = p->metrics[tested].test_accuracy;
    }
}

static struct result result_of(const struct report_run *run)
{
    struct result r = {.clocks = UINT64_MAX,
                       .test_loss = NAN,
                       .test_accuracy = NAN,
                       .test_clock = -1};
    size_t n = 0;

    for (size_t p = 0; p < run->n_peers; p++) {
        if (run->peers[p].problem[0] == '\0') {
            add_peer(&r, &run->peers[p], &n);
        }
    }
    r.clocks = r.clocks == UINT64_MAX ? 0 : r.clocks;
    r.loss = n == 0 ? NAN : r.loss / (double)n;
    return r;
}

enum row {
    ROW_STATE,
    ROW_CLOCKS,
    ROW_PEERS,
    ROW_TIME,
    ROW_SAMPLES,
    ROW_RATE,
    ROW_LOSS,
    ROW_TEST_LOSS,
    ROW_TEST_ACCURACY,
    ROW_TEST_CLOCK,
    ROW_SENT,
    ROW_ENCODED,
    ROW_ERROR,
    ROW_STALENESS,
    ROW_LOG,
    ROW_COUNT
};

static const char *const ROWS[ROW_COUNT] = {
    "state",
    "clocks",
    "peers",
    "time, s",
    "samples",
    "samples per second",
    "training loss, nats (running mean)",
    "test loss, nats",
    "test accuracy",
    "tested behind clock",
    "bytes sent per peer and clock",
    "bytes encoded per peer and clock",
    "selection error (mean)",
    "staleness, clocks (mean)",
    "size of the logs"};

static void put_clocks(struct buf *out,
                       const struct report_run *run,
                       const struct result *r)
{
    report_text_value(out, (double)r->clocks);
    if (r->clocks != run->clocks && run->clocks != 0) {
        report_text(out, " of ");
        report_text_value(out, (double)run->clocks);
    }
}

static const char *state_of(const struct report_run *run,
                            const struct result *r)
{
    return r->running                ? "running"
           : r->clocks < run->clocks ? "stopped early"
                                     : "complete";
}

static void put_result(struct buf *out,
                       enum row row,
                       const struct report_run *run,
                       const struct result *r)
{
    const double values[ROW_COUNT] = {
        [ROW_PEERS] = (double)run->n_peers,
        [ROW_TIME] = r->seconds,
        [ROW_SAMPLES] = r->samples,
        [ROW_RATE] = r->seconds > 0 ? r->samples / r->seconds : NAN,
        [ROW_LOSS] = r->loss,
        [ROW_TEST_LOSS] = r->test_loss,
        [ROW_TEST_ACCURACY] = r->test_accuracy,
        [ROW_TEST_CLOCK] = r->test_clock < 0 ? NAN : (double)r->test_clock,
        [ROW_SENT] = r->sent / r->peer_clocks,
        [ROW_ENCODED] = r->encoded / r->peer_clocks,
        [ROW_ERROR] = r->error / r->peer_clocks,
        [ROW_STALENESS] = r->staleness / r->peer_clocks,
        [ROW_LOG] = r->log_bytes};

    if (row == ROW_STATE) {
        report_text(out, state_of(run, r));
    } else if (row == ROW_CLOCKS) {
        put_clocks(out, run, r);
    } else if (row == ROW_SENT || row == ROW_ENCODED || row == ROW_LOG) {
        report_text_bytes(out, values[row]);
    } else {
        report_text_value(out, values[row]);
    }
}

/* "<table><caption>", the names of the runs as its head. */
static void begin_columns(struct buf *out,
                          const char *id,
                          const char *caption,
                          const struct report_run *runs,
                          size_t n_runs)
{
    report_text_printf(out,
                       "<div class=\"scroll\"><table id=\"%s\">"
                       "<caption>%s</caption>\n"
                       "<thead><tr><th scope=\"col\"></th>",
                       id, caption);
    for (size_t i = 0; i < n_runs; i++) {
        report_text(out, "<th scope=\"col\">");
        report_text_html(out, runs[i].dir);
        report_text(out, "</th>");
    }
    report_text(out, "</tr></thead>\n<tbody>\n");
}

void report_table_summary(struct buf *out,
                          const struct report_run *runs,
                          size_t n_runs)
{
    begin_columns(out, "summary", "Results of each run", runs, n_runs);
    for (size_t row = 0; row < ROW_COUNT; row++) {
        report_text_printf(out, "<tr><th scope=\"row\">%s</th>", ROWS[row]);
        for (size_t i = 0; i < n_runs; i++) {
            const struct result r = result_of(&runs[i]);
            report_text(out, "<td>");
            put_result(out, (enum row)row, &runs[i], &r);
            report_text(out, "</td>");
        }
        report_text(out, "</tr>\n");
    }
    report_text(out, "</tbody></table></div>\n");
}

/* A setting as text; NULL is a setting that a run does not have. Owner: the
 * caller frees it. */
static char *setting_text(const json_t *v)
{
    if (v == NULL || json_is_null(v)) {
        return NULL;
    }
    if (json_is_string(v)) {
        return strdup(json_string_value(v));
    }
    return json_dumps(v,
                      JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(7));
}

static void
put_setting(struct buf *out, const char *key, json_t *const *of, size_t n_runs)
{
    bool differs = false;

    for (size_t i = 1; i < n_runs; i++) {
        const json_t *a = json_object_get(of[0], key);
        const json_t *b = json_object_get(of[i], key);
        differs = differs || (a != b && !json_equal(a, b));
    }
    report_text(out, differs ? "<tr class=\"differs\"><th scope=\"row\">"
                             : "<tr><th scope=\"row\">");
    report_text_html(out, key);
    report_text(out,
                differs ? " <span title=\"differs\">≠</span></th>" : "</th>");
    for (size_t i = 0; i < n_runs; i++) {
        char *text = setting_text(json_object_get(of[i], key));
        report_text(out, "<td>");
        report_text_html(out, text == NULL ? "-" : text);
        report_text(out, "</td>");
        free(text);
    }
    report_text(out, "</tr>\n");
}

/* Every key that any run has, once. */
static void put_settings(struct buf *out, json_t *const *of, size_t n_runs)
{
    for (size_t i = 0; i < n_runs; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(of[i], key, value)
        {
            bool seen = false;
            for (size_t k = 0; k < i; k++) {
                seen = seen || json_object_get(of[k], key) != NULL;
            }
            if (!seen) {
                put_setting(out, key, of, n_runs);
            }
        }
    }
}

/* What is nested one deep (training) comes up, and the schema, which may have a
 * thousand labels, is left out. */
static json_t *flatten(const char *text)
{
    json_t *root = json_loads(text, 0, NULL), *flat = json_object();
    json_t *value;
    const char *key;

    json_object_update(flat, json_object_get(root, "training"));
    json_object_foreach(root, key, value)
    {
        if (!json_is_object(value)) {
            json_object_set(flat, key, value);
        }
    }
    json_decref(root);
    return flat;
}

int report_table_settings(struct buf *out,
                          const struct report_run *runs,
                          size_t n_runs,
                          struct err *e)
{
    json_t **flat = calloc(n_runs + 1, sizeof *flat);
    int rc = 0;

    if (flat == NULL) {
        return err_set(e, ERR_NOMEM, "settings of %zu runs", n_runs);
    }
    for (size_t i = 0; rc == 0 && i < n_runs; i++) {
        flat[i] = flatten(runs[i].json);
        rc = flat[i] == NULL ? err_set(e, ERR_NOMEM, "settings") : 0;
    }
    if (rc == 0) {
        begin_columns(out, "settings",
                      n_runs > 1 ? "Settings of each run; ≠ marks what differs"
                                 : "Settings of the run",
                      runs, n_runs);
        put_settings(out, flat, n_runs);
        report_text(out, "</tbody></table></div>\n");
    }
    for (size_t i = 0; i < n_runs; i++) {
        json_decref(flat[i]);
    }
    free(flat);
    return rc;
}

/* Heads of the columns, each with what it means. */
static void head(struct buf *out, const char *name, const char *title)
{
    report_text_printf(out, "<th scope=\"col\"%s%s%s>%s</th>",
                       title == NULL ? "" : " title=\"",
                       title == NULL ? "" : title, title == NULL ? "" : "\"",
                       name);
}

static void row_head(struct buf *out, const char *run, uint32_t rank)
{
    report_text(out, "<tr><th scope=\"row\">");
    report_text_html(out, run);
    report_text_printf(out, "</th><td>%u</td>", rank);
}

static void cell(struct buf *out, double x)
{
    report_text_printf(out, isfinite(x) ? "<td>%.9g</td>" : "<td>-</td>", x);
}

void report_table_peers(struct buf *out,
                        const struct report_run *runs,
                        size_t n_runs)
{
    report_text(out, "<div class=\"scroll\"><table id=\"peers\"><caption>Sums "
                     "over all clocks of each peer; times in seconds"
                     "</caption>\n<thead><tr>");
    head(out, "run", NULL);
    head(out, "peer", NULL);
    head(out, "clocks", NULL);
    head(out, "time", NULL);
    for (size_t i = 0; i < REPORT_PARTS; i++) {
        head(out, report_part_names[i], NULL);
    }
    head(out, "bytes sent", NULL);
    head(out, "bytes received", NULL);
    head(out, "bytes of log", NULL);
    report_text(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n_runs; i++) {
        for (size_t p = 0; p < runs[i].n_peers; p++) {
            const struct report_peer *peer = &runs[i].peers[p];
            double parts[REPORT_PARTS];
            row_head(out, runs[i].dir, peer->rank);
            cell(out, (double)peer->n);
            cell(out, peer->n == 0 ? 0 : peer->seconds[peer->n - 1]);
            report_parts(peer, parts);
            for (size_t k = 0; k < REPORT_PARTS; k++) {
                cell(out, parts[k]);
            }
            cell(out, peer->n == 0 ? 0 : peer->sent[peer->n - 1]);
            cell(out, report_peer_sum(peer, REPORT_METRIC(bytes_received)));
            cell(out, (double)peer->bytes);
            report_text(out, "</tr>\n");
        }
    }
    report_text(out, "</tbody></table></div>\n");
}

static void put_test(struct buf *out, const struct report_series *s, size_t c)
{
    report_text(out, "<tr><th scope=\"row\">");
    if (s->peer != NULL) {
        report_text_printf(out, "peer %u", s->peer->rank);
    } else {
        report_text_html(out, s->run->dir);
    }
    report_text(out, "</th>");
    cell(out, (double)c);
    cell(out, report_series_seconds(s, c));
    cell(out, report_series_sent(s, c));
    cell(out, report_series_value(s, REPORT_METRIC(test_loss), c));
    cell(out, report_series_value(s, REPORT_METRIC(test_accuracy), c));
    report_text(out, "</tr>\n");
}

/* Of @n things, is number @i one of at most @max evenly spread ones, the first
 * and the last among them? */
static bool is_chosen(size_t i, size_t n, size_t max)
{
    if (n <= max || i + 1 == n) {
        return true;
    }
    /* The first of each of max - 1 parts. */
    return i == 0 || i * (max - 1) / n != (i - 1) * (max - 1) / n;
}

int report_table_tests(struct buf *out,
                       const struct report_series *series,
                       size_t n_series,
                       size_t rows_max,
                       struct err *e)
{
    report_text(out, "<div class=\"scroll\"><table id=\"tests\"><caption>"
                     "Evaluations on the test set</caption>\n<thead><tr>");
    head(out, "series", NULL);
    head(out, "clock", "evaluated behind this clock");
    head(out, "seconds", "since the beginning");
    head(out, "bytes sent", "by a peer, since the beginning");
    head(out, "test loss", NULL);
    head(out, "test accuracy", NULL);
    report_text(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n_series; i++) {
        const struct report_series *s = &series[i];
        size_t *at = calloc(s->n + 1, sizeof *at), n = 0;
        if (at == NULL) {
            return err_set(e, ERR_NOMEM, "evaluations");
        }
        for (size_t c = 0; c < s->n; c++) {
            if (!isnan(report_series_value(s, REPORT_METRIC(test_loss), c))) {
                at[n++] = c;
            }
        }
        for (size_t k = 0; k < n; k++) {
            if (is_chosen(k, n, rows_max)) {
                put_test(out, s, at[k]);
            }
        }
        free(at);
    }
    report_text(out, "</tbody></table></div>\n");
    return 0;
}

void report_table_clocks(struct buf *out,
                         const struct report_run *runs,
                         size_t n_runs,
                         size_t rows_max)
{
    report_text(out, "<div class=\"scroll\"><table id=\"clocks\"><caption>What "
                     "was measured in some of the clocks, the first and the "
                     "last among them</caption>\n<thead><tr>");
    head(out, "run", NULL);
    head(out, "peer", NULL);
    head(out, "clock", NULL);
#define X(NAME, TEXT) head(out, #NAME, TEXT);
    CKPT_METRIC_MAP(X)
#undef X
    report_text(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n_runs; i++) {
        for (size_t p = 0; p < runs[i].n_peers; p++) {
            const struct report_peer *peer = &runs[i].peers[p];
            for (size_t c = 0; c < peer->n; c++) {
                if (!is_chosen(c, peer->n, rows_max)) {
                    continue;
                }
                row_head(out, runs[i].dir, peer->rank);
                cell(out, (double)c);
                for (size_t k = 0; k < CKPT_METRICS_COUNT; k++) {
                    cell(out, report_metric(&peer->metrics[c], k));
                }
                report_text(out, "</tr>\n");
            }
        }
    }
    report_text(out, "</tbody></table></div>\n");
}
