#include "report/page.h"

#include <math.h>
#include <stdlib.h>

#include "report/assets.h"
#include "report/series.h"
#include "report/tables.h"
#include "report/text.h"

#define POINTS_ALL     120000 /* Of all lines together, about. */
#define POINTS_MAX     2000   /* Of a line. */
#define POINTS_MIN     200
#define LINES_SERIES   14   /* Lines of a series. */
#define BARS_MAX       32   /* More peers are shown as means of runs. */
#define TEST_ROWS_MAX  200  /* Of a series. */
#define CLOCK_ROWS_ALL 3000 /* Of all peers together, about. */
#define MARKERS        6    /* Shapes; there are 7 colours in page.css. */
#define COLOURS        7

struct page {
    struct buf *out;
    const struct report_run *runs;
    size_t n_runs;
    struct report_series *series;
    size_t n_series;
};

static size_t clamp(size_t x, size_t min, size_t max)
{
    return x < min ? min : x > max ? max : x;
}

static void put_title(struct page *p)
{
    report_text(p->out, "lyre report: ");
    for (size_t i = 0; i < p->n_runs; i++) {
        report_text(p->out, i == 0 ? "" : ", ");
        report_text_html(p->out, p->runs[i].dir);
    }
}

static void put_head(struct page *p)
{
    report_text(
        p->out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta "
        "charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
        "'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "img-src data:\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, "
        "initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n"
        "<meta name=\"generator\" content=\"lyre " LYRE_VERSION "\">\n<title>");
    put_title(p);
    report_text(p->out, "</title>\n<style>\n");
    report_text(p->out, report_page_css);
    report_text(p->out, "</style>\n</head>\n<body>\n<header>\n<h1>");
    put_title(p);
    report_text(p->out, "</h1>\n");
}

/* Logs that could not be read. */
static void put_problems(struct page *p)
{
    for (size_t i = 0; i < p->n_runs; i++) {
        for (size_t k = 0; k < p->runs[i].n_peers; k++) {
            const struct report_peer *peer = &p->runs[i].peers[k];
            if (peer->problem[0] != '\0') {
                report_text(p->out, "<p class=\"problem\">");
                report_text_html(p->out, p->runs[i].dir);
                report_text_printf(p->out,
                                   ", peer %u is left out: ", peer->rank);
                report_text_html(p->out, peer->problem);
                report_text(p->out, "</p>\n");
            }
        }
    }
}

/* The shape and colour of a series, as page.js has them. */
static void put_swatch(struct buf *out, size_t series)
{
    static const char *const SHAPES[MARKERS] = {
        "<circle cx=\"14\" cy=\"6\" r=\"4\"/>",
        "<rect x=\"10\" y=\"2\" width=\"8\" height=\"8\"/>",
        "<path d=\"M14 1l5 9h-10z\"/>",
        "<path d=\"M14 1l5 5l-5 5l-5-5z\"/>",
        "<path d=\"M10 2l8 8M18 2l-8 8\"/>",
        "<path d=\"M14 1v10M9 6h10M10.5 2.5l7 7M17.5 2.5l-7 7\"/>"};

    report_text_printf(out,
                       "<svg class=\"swatch c%zu\" width=\"28\" height=\"12\" "
                       "aria-hidden=\"true\"><path d=\"M0 6h28\"/>%s</svg>",
                       series % COLOURS, SHAPES[series % MARKERS]);
}

static void put_legend(struct page *p)
{
    report_text(p->out, "<ul class=\"legend\" aria-label=\"Series\">\n");
    for (size_t i = 0; i < p->n_series; i++) {
        struct buf name;
        buf_init(&name);
        report_series_name(&p->series[i], &name);
        buf_put(&name, "", 1);
        report_text(p->out, "<li>");
        put_swatch(p->out, i);
        report_text_html(p->out, name.failed ? "" : (const char *)name.data);
        report_text(p->out, "</li>\n");
        p->out->failed = p->out->failed || name.failed;
        buf_fini(&name);
    }
    report_text(p->out, "</ul>\n");
}

/* "a: 0.5, b: 0.25": the last values of a metric, for those who cannot see. */
static void put_last(struct page *p, size_t metric)
{
    for (size_t i = 0; i < p->n_series && i < REPORT_SERIES_PEERS_MAX; i++) {
        const struct report_series *s = &p->series[i];
        size_t c = s->n;
        while (c > 0 && isnan(report_series_value(s, metric, c - 1))) {
            c--;
        }
        report_text(p->out, i == 0 ? " At the end: " : ", ");
        if (s->peer != NULL) {
            report_text_printf(p->out, "peer %u ", s->peer->rank);
        } else {
            report_text_html(p->out, s->run->dir);
            report_text(p->out, " ");
        }
        report_text_value(p->out,
                          c == 0 ? NAN : report_series_value(s, metric, c - 1));
    }
    report_text(p->out, ".");
}

struct chart {
    const char *id;
    const char *caption;
    size_t metric; /* Whose last values are told. */
};

static void put_chart(struct page *p, const struct chart *c)
{
    report_text_printf(p->out,
                       "<figure><figcaption>%s</figcaption><div class=\"plot\">"
                       "<canvas id=\"%s\" role=\"img\" aria-label=\"%s.",
                       c->caption, c->id, c->caption);
    put_last(p, c->metric);
    report_text(p->out, "\"></canvas></div></figure>\n");
}

static void
put_charts(struct page *p, const struct chart *charts, size_t n_charts)
{
    report_text(p->out, "<div class=\"charts\">\n");
    for (size_t i = 0; i < n_charts; i++) {
        put_chart(p, &charts[i]);
    }
    report_text(p->out, "</div>\n</section>\n");
}

static void begin_section(struct page *p, const char *id, const char *title)
{
    report_text_printf(p->out,
                       "<section aria-labelledby=\"%s-title\">"
                       "<h2 id=\"%s-title\">%s</h2>\n",
                       id, id, title);
}

static void put_learning(struct page *p)
{
    static const struct chart LOSS[] = {
        {"loss-clock", "Loss against clocks", REPORT_METRIC(loss)},
        {"loss-seconds", "Loss against time", REPORT_METRIC(loss)},
        {"loss-bytes", "Loss against bytes sent by a peer",
         REPORT_METRIC(loss)}};
    static const struct chart ACCURACY[] = {
        {"accuracy-clock", "Accuracy against clocks",
         REPORT_METRIC(test_accuracy)},
        {"accuracy-seconds", "Accuracy against time",
         REPORT_METRIC(test_accuracy)},
        {"accuracy-bytes", "Accuracy against bytes sent by a peer",
         REPORT_METRIC(test_accuracy)}};

    report_text(p->out,
                "<div class=\"key\">\n<p>Lines are running means over about 50 "
                "clocks of training; dashed lines are evaluations on the test "
                "set.</p>\n");
    put_legend(p);
    report_text(p->out, "<p class=\"screen\"><label><input type=\"checkbox\" "
                        "id=\"each\"> show every clock, not only the mean"
                        "</label></p>\n</div>\n");
    begin_section(p, "loss", "Loss");
    put_charts(p, LOSS, 3);
    begin_section(p, "accuracy", "Accuracy");
    put_charts(p, ACCURACY, 3);
}

static void put_costs(struct page *p)
{
    static const struct chart TIME[] = {
        {"time", "Where the time went", REPORT_METRIC(seconds_clock)}};
    static const struct chart REST[] = {
        {"bytes", "Bytes of a clock: sent, and received (dotted)",
         REPORT_METRIC(bytes_sent)},
        {"error", "Relative error of selection",
         REPORT_METRIC(selection_error)},
        {"staleness", "Staleness, and its bound (dotted), in clocks",
         REPORT_METRIC(staleness)}};

    begin_section(p, "time", "Time");
    put_charts(p, TIME, 1);
    begin_section(p, "costs", "Bytes, error, staleness");
    put_charts(p, REST, 3);
}

static size_t n_peers(const struct page *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_runs; i++) {
        n += p->runs[i].n_peers;
    }
    return n;
}

static int put_numbers(struct page *p, struct err *e)
{
    const size_t rows = CLOCK_ROWS_ALL / (n_peers(p) + 1);
    int rc;

    begin_section(p, "numbers", "Numbers");
    report_text(p->out, "<details><summary>Sums of each peer</summary>\n");
    report_table_peers(p->out, p->runs, p->n_runs);
    report_text(p->out,
                "</details>\n<details><summary>Evaluations</summary>\n");
    rc = report_table_tests(p->out, p->series, p->n_series, TEST_ROWS_MAX, e);
    report_text(p->out, "</details>\n<details><summary>Clocks</summary>\n");
    report_table_clocks(p->out, p->runs, p->n_runs, clamp(rows, 3, 100));
    report_text(p->out, "</details>\n</section>\n");
    return rc;
}

static void put_seconds(struct buf *out, const double seconds[REPORT_PARTS])
{
    report_text(out, ",\"seconds\":[");
    for (size_t k = 0; k < REPORT_PARTS; k++) {
        report_text(out, k == 0 ? "" : ",");
        report_text_number(out, seconds[k]);
    }
    report_text(out, "]}");
}

/* "run, peer 1" with its seconds; or of a whole run, the mean of its peers. */
static void put_bar(struct page *p,
                    const struct report_run *run,
                    const struct report_peer *peer)
{
    double sum[REPORT_PARTS] = {0};
    size_t n = 0;
    struct buf name;

    for (size_t i = 0; i < run->n_peers; i++) {
        double parts[REPORT_PARTS];
        if (peer != NULL && peer != &run->peers[i]) {
            continue;
        }
        report_parts(&run->peers[i], parts);
        for (size_t k = 0; k < REPORT_PARTS; k++) {
            sum[k] += parts[k];
        }
        n++;
    }
    for (size_t k = 0; k < REPORT_PARTS; k++) {
        sum[k] /= (double)(n == 0 ? 1 : n);
    }
    buf_init(&name);
    if (peer == NULL || p->n_runs > 1) {
        report_text(&name, run->dir);
        report_text(&name, peer == NULL ? "" : ", ");
    }
    if (peer != NULL) {
        report_text_printf(&name, "peer %u", peer->rank);
    }
    buf_put(&name, "", 1);
    report_text(p->out, "\n{\"name\":");
    report_text_json(p->out, name.failed ? "" : (const char *)name.data);
    put_seconds(p->out, sum);
    p->out->failed = p->out->failed || name.failed;
    buf_fini(&name);
}

static void put_bars(struct page *p)
{
    const bool each = n_peers(p) <= BARS_MAX;
    bool first = true;

    report_text(p->out, "\"parts\":[");
    for (size_t k = 0; k < REPORT_PARTS; k++) {
        report_text(p->out, k == 0 ? "" : ",");
        report_text_json(p->out, report_part_names[k]);
    }
    report_text(p->out, "],\"bars\":[");
    for (size_t i = 0; i < p->n_runs; i++) {
        const struct report_run *run = &p->runs[i];
        for (size_t k = 0; k < (each ? run->n_peers : 1); k++) {
            report_text(p->out, first ? "" : ",");
            put_bar(p, run, each ? &run->peers[k] : NULL);
            first = false;
        }
    }
    report_text(p->out, "],\n");
}

static int put_data(struct page *p, struct err *e)
{
    const size_t points = clamp(POINTS_ALL / ((p->n_series + 1) * LINES_SERIES),
                                POINTS_MIN, POINTS_MAX);
    int rc;

    report_text(p->out, "<script type=\"application/json\" id=\"data\">{\n");
    report_text(p->out, "\"series\":[");
    for (size_t i = 0; i < p->n_series; i++) {
        struct buf name;
        buf_init(&name);
        report_series_name(&p->series[i], &name);
        buf_put(&name, "", 1);
        report_text(p->out, i == 0 ? "{\"name\":" : ",{\"name\":");
        report_text_json(p->out, name.failed ? "" : (const char *)name.data);
        report_text(p->out, "}");
        p->out->failed = p->out->failed || name.failed;
        buf_fini(&name);
    }
    report_text(p->out, "],\n");
    put_bars(p);
    report_text(p->out, "\"lines\":");
    rc = report_series_lines(p->out, p->series, p->n_series, points, e);
    report_text(p->out, "}\n</script>\n");
    return rc;
}

static int put_page(struct page *p, struct err *e)
{
    int rc;

    put_head(p);
    put_problems(p);
    report_text(p->out, "</header>\n<main>\n");
    begin_section(p, "summary", "Summary");
    report_table_summary(p->out, p->runs, p->n_runs);
    report_text(p->out,
                "</section>\n<noscript><p class=\"problem\">Charts need "
                "JavaScript; the tables have the numbers.</p>"
                "</noscript>\n<p id=\"errors\" class=\"problem\" "
                "role=\"alert\" hidden></p>\n");
    put_learning(p);
    put_costs(p);
    begin_section(p, "settings", "Settings");
    rc = report_table_settings(p->out, p->runs, p->n_runs, e);
    report_text(p->out, "</section>\n");
    rc = rc != 0 ? rc : put_numbers(p, e);
    report_text(p->out, "</main>\n<footer><p>Made by lyre " LYRE_VERSION
                        ". Charts are drawn by Chart.js, which is in this file "
                        "with its licence notice.</p></footer>\n");
    rc = rc != 0 ? rc : put_data(p, e);
    report_text(p->out, "<script>\n");
    report_text(p->out, report_chart_js);
    report_text(p->out, "\n</script>\n<script>\n");
    report_text(p->out, report_page_js);
    report_text(p->out, "</script>\n</body>\n</html>\n");
    return rc;
}

int report_page(struct buf *out,
                const struct report_run *runs,
                size_t n_runs,
                struct err *e)
{
    struct page p = {.out = out, .runs = runs, .n_runs = n_runs};
    int rc = report_series_make(&p.series, &p.n_series, runs, n_runs, e);

    rc = rc != 0 ? rc : put_page(&p, e);
    free(p.series);
    if (rc == 0 && out->failed) {
        rc = err_set(e, ERR_NOMEM, "page of %zu bytes", out->size);
    }
    return rc;
}
