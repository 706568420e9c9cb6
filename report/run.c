#include "report/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/file.h"
#include "ckpt/index.h"
#include "ckpt/reader.h"
#include "train/replica.h"

#define FADING_CLOCKS 50 /* As train/loop.c shows the loss. */

/* The clock that a row of the index is of, if its step is not in the log any
 * more. */
struct rows {
    struct ckpt_metrics *metrics;
    uint64_t first;
};

static int take_row(void *arg, uint64_t clock, const struct ckpt_metrics *m)
{
    const struct rows *r = arg;

    if (clock >= r->first) {
        return 1;
    }
    r->metrics[clock] = *m;
    return 0;
}

/* What the log was compacted of: measurements stay in the index. If that was
 * lost, too, they are missing. */
static void read_old(struct report_peer *p, const char *dir, uint64_t first)
{
    struct rows rows = {.metrics = p->metrics, .first = first};
    struct ckpt_index x;

    for (; p->n < first; p->n++) {
#define X(NAME, TEXT) p->metrics[p->n].NAME = NAN;
        CKPT_METRIC_MAP(X)
#undef X
    }
    if (first > 0 && ckpt_index_open(&x, dir, false, NULL) == 0) {
        (void)ckpt_index_each_metric(&x, 0, take_row, &rows, NULL);
        ckpt_index_close(&x);
    }
}

/* Room for all clocks, and the metrics themselves. */
static int read_metrics(struct report_peer *p,
                        const char *dir,
                        struct ckpt_reader *reader,
                        struct err *e)
{
    struct ckpt_step step;
    int rc = 0;

    const size_t n = (size_t)ckpt_reader_clocks(reader);
    p->metrics = calloc(n + 1, sizeof *p->metrics);
    p->seconds = calloc(n + 1, sizeof *p->seconds);
    p->sent = calloc(n + 1, sizeof *p->sent);
    if (p->metrics == NULL || p->seconds == NULL || p->sent == NULL) {
        return err_set(e, ERR_NOMEM, "metrics of %zu clocks", n);
    }
    read_old(p, dir, ckpt_reader_first(reader));
    ckpt_step_init(&step);
    for (; p->n < n; p->n++) {
        rc = ckpt_reader_step(reader, p->n, &step, e);
        if (rc != 0) {
            break;
        }
        p->metrics[p->n] = step.metrics;
    }
    ckpt_step_fini(&step);
    return rc;
}

static double or_zero(double x)
{
    return isnan(x) ? 0 : x;
}

static void add_up(struct report_peer *p)
{
    double seconds = 0, sent = 0;

    for (size_t c = 0; c < p->n; c++) {
        seconds += or_zero(p->metrics[c].seconds_clock);
        sent += or_zero(p->metrics[c].bytes_sent);
        p->seconds[c] = seconds;
        p->sent[c] = sent;
    }
}

/* The log of a peer; its description to @r if there is none yet. */
static int load_peer(struct report_run *r, struct report_peer *p, struct err *e)
{
    char *dir = train_peer_dir(r->dir, p->rank);
    struct ckpt_reader *reader = NULL;
    int rc = dir == NULL ? err_set(e, ERR_NOMEM, "path of a peer") : 0;

    if (rc == 0) {
        p->running = ckpt_dir_is_locked(dir);
        rc = ckpt_reader_open(&reader, dir, e);
    }
    if (rc == 0) {
        p->bytes = ckpt_reader_bytes(reader);
        rc = read_metrics(p, dir, reader, e);
    }
    if (rc == 0 && r->json == NULL) {
        r->json = strdup(ckpt_reader_run_json(reader));
        rc = r->json == NULL ? err_set(e, ERR_NOMEM, "description") : 0;
    }
    add_up(p);
    ckpt_reader_close(reader);
    free(dir);
    return rc;
}

static int read_run(struct report_run *r, struct err *e)
{
    struct train_run run;

    train_run_init(&run);
    const int rc = train_run_from_json(&run, r->json, e);
    r->clocks = run.clocks;
    train_run_fini(&run);
    return rc;
}

static int load(struct report_run *r, struct err *e)
{
    uint32_t *ranks = NULL;
    int rc = train_replica_peers(r->dir, &ranks, &r->n_peers, e);

    if (rc != 0) {
        return rc;
    }
    r->peers = calloc(r->n_peers, sizeof *r->peers);
    if (r->peers == NULL) {
        r->n_peers = 0;
        free(ranks);
        return err_set(e, ERR_NOMEM, "list of peers");
    }
    for (size_t i = 0; i < r->n_peers; i++) {
        struct report_peer *p = &r->peers[i];
        struct err why = {""};
        p->rank = ranks[i];
        int bad = load_peer(r, p, &why);
        if (bad != 0) {
            memcpy(p->problem, why.msg, sizeof p->problem);
            rc = rc == 0 ? bad : rc;
        }
        if (bad != 0 && e != NULL) {
            *e = why;
        }
    }
    free(ranks);
    return r->json == NULL ? rc : read_run(r, e);
}

int report_run_load(struct report_run *r, const char *dir, struct err *e)
{
    int rc;

    memset(r, 0, sizeof *r);
    r->dir = strdup(dir);
    rc = r->dir == NULL ? err_set(e, ERR_NOMEM, "%s", dir) : load(r, e);
    if (rc != 0) {
        report_run_fini(r);
    }
    return rc;
}

void report_run_fini(struct report_run *r)
{
    for (size_t i = 0; i < r->n_peers; i++) {
        free(r->peers[i].metrics);
        free(r->peers[i].seconds);
        free(r->peers[i].sent);
    }
    free(r->peers);
    free(r->dir);
    free(r->json);
    memset(r, 0, sizeof *r);
}

double report_peer_sum(const struct report_peer *p, size_t metric)
{
    double sum = 0;

    for (size_t c = 0; c < p->n; c++) {
        sum += or_zero(report_metric(&p->metrics[c], metric));
    }
    return sum;
}

int64_t report_peer_last(const struct report_peer *p, size_t metric)
{
    int64_t c = (int64_t)p->n - 1;

    while (c >= 0 && isnan(report_metric(&p->metrics[c], metric))) {
        c--;
    }
    return c;
}

double report_fade(struct report_fading *f, double x, double weight)
{
    if (!isnan(x) && weight > 0) {
        f->sum = f->sum * (1 - 1.0 / FADING_CLOCKS) + x * weight;
        f->weight = f->weight * (1 - 1.0 / FADING_CLOCKS) + weight;
    }
    return f->weight > 0 ? f->sum / f->weight : NAN;
}
