#include "report/live.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/file.h"
#include "ckpt/index.h"
#include "ckpt/reader.h"
#include "train/replica.h"

void report_history_add(struct report_history *h, double x)
{
    if (h->stride == 0) {
        h->stride = 1;
    }
    if (++h->skipped < h->stride) {
        return;
    }
    h->skipped = 0;
    if (h->n == REPORT_LIVE_HISTORY) {
        /* The later one of two, as if the stride had always been this. */
        for (size_t i = 0; i < h->n / 2; i++) {
            h->value[i] = h->value[2 * i + 1];
        }
        h->n /= 2;
        h->stride *= 2;
        h->skipped = h->stride / 2;
        return;
    }
    h->value[h->n++] = x;
}

static double or_zero(double x)
{
    return isnan(x) ? 0 : x;
}

static void add_sums(struct report_sums *s, const struct ckpt_metrics *m)
{
    const double parts[REPORT_PARTS - 1] = {
        m->seconds_compute, m->seconds_select, m->seconds_encode,
        m->seconds_wait,    m->seconds_apply,  m->seconds_log};
    double rest = or_zero(m->seconds_clock);

    for (size_t i = 0; i < REPORT_PARTS - 1; i++) {
        s->parts[i] += or_zero(parts[i]);
        rest -= or_zero(parts[i]);
    }
    s->parts[REPORT_PARTS - 1] += rest > 0 ? rest : 0;
    s->clocks++;
    s->seconds += or_zero(m->seconds_clock);
    s->samples += or_zero(m->samples);
    s->sent += or_zero(m->bytes_sent);
    s->received += or_zero(m->bytes_received);
    s->staleness += or_zero(m->staleness);
}

static void take(struct report_live_peer *p, const struct ckpt_metrics *m)
{
    add_sums(&p->sums, m);
    if (!isnan(m->test_loss)) {
        p->test_loss = m->test_loss;
        p->test_accuracy = m->test_accuracy;
        p->test_clock = p->clocks;
    }
    p->last = *m;
    p->last.loss = report_fade(&p->fading_loss, m->loss, m->samples);
    p->last.accuracy =
        report_fade(&p->fading_accuracy, m->accuracy, m->samples);
    report_history_add(&p->loss, p->last.loss);
    report_history_add(&p->accuracy, p->last.accuracy);
    p->clocks++;
}

/* Forget everything: the log was cut. */
static void start_anew(struct report_live_peer *p)
{
    const struct report_live_peer empty = {.rank = p->rank,
                                           .dir = p->dir,
                                           .running = p->running,
                                           .test_loss = NAN,
                                           .test_accuracy = NAN};

    *p = empty;
}

static int say_job(struct report_live *l, const char *json, struct err *e)
{
    struct train_run run;
    int rc;

    train_run_init(&run);
    rc = train_run_from_json(&run, json, e);
    if (rc == 0) {
        l->known = true;
        l->clocks = run.clocks;
        l->n_peers_all = run.n_peers;
        train_mode_format(&run, l->mode);
        memcpy(l->model, run.model, sizeof l->model);
    }
    train_run_fini(&run);
    return rc;
}

struct rows {
    struct report_live_peer *peer;
    bool seen; /* The last clock that we know is still there. */
};

static int take_row(void *arg, uint64_t clock, const struct ckpt_metrics *m)
{
    struct rows *r = arg;

    r->seen = r->seen || clock + 1 == r->peer->clocks;
    if (clock >= r->peer->clocks) { /* A compacted log begins later than 0. */
        r->peer->clocks = clock;
        take(r->peer, m);
    }
    return 0;
}

/* Rows from the last known clock on: if it is not there, the log was cut. */
static int
read_rows(struct report_live_peer *p, struct ckpt_index *x, struct err *e)
{
    struct rows rows = {.peer = p};
    const uint64_t from = p->clocks == 0 ? 0 : p->clocks - 1;
    int rc = ckpt_index_each_metric(x, from, take_row, &rows, e);

    if (rc == 0 && from > 0 && !rows.seen) {
        start_anew(p);
        rc = ckpt_index_each_metric(x, 0, take_row, &rows, e);
    }
    return rc;
}

static int
from_index(struct report_live *l, struct report_live_peer *p, struct err *e)
{
    struct ckpt_index x;
    char *json = NULL;
    int rc = ckpt_index_open(&x, p->dir, false, e);

    if (rc != 0) {
        return rc;
    }
    if (!l->known) {
        rc = ckpt_index_get_json(&x, &json, e);
        rc = rc != 0 ? rc : say_job(l, json, e);
        free(json);
    }
    rc = rc != 0 ? rc : read_rows(p, &x, e);
    ckpt_index_close(&x);
    return rc;
}

static int
from_log(struct report_live *l, struct report_live_peer *p, struct err *e)
{
    struct ckpt_reader *r = NULL;
    struct ckpt_step step;
    int rc = ckpt_reader_open(&r, p->dir, e);

    if (rc != 0) {
        return rc;
    }
    ckpt_step_init(&step);
    rc = l->known ? 0 : say_job(l, ckpt_reader_run_json(r), e);
    if (rc == 0 && ckpt_reader_clocks(r) < p->clocks) {
        start_anew(p);
    }
    if (p->clocks < ckpt_reader_first(r)) {
        p->clocks = ckpt_reader_first(r);
    }
    while (rc == 0 && p->clocks < ckpt_reader_clocks(r)) {
        rc = ckpt_reader_step(r, p->clocks, &step, e);
        if (rc == 0) {
            take(p, &step.metrics);
        }
    }
    ckpt_step_fini(&step);
    ckpt_reader_close(r);
    return rc;
}

static void mark(struct report_live_peer *p, const struct report_sums *before)
{
    if (p->n_marks == REPORT_LIVE_MARKS) {
        memmove(p->marks, p->marks + 1,
                (REPORT_LIVE_MARKS - 1) * sizeof p->marks[0]);
        p->n_marks--;
    }
    p->marks[p->n_marks++] = *before;
}

static int update(struct report_live *l,
                  struct report_live_peer *p,
                  bool *news,
                  struct err *e)
{
    const struct report_sums before = p->sums;
    const uint64_t clocks = p->clocks;
    const bool running = p->running;
    int rc;

    /* Asked first: what a peer wrote before it ended is read after. */
    p->running = ckpt_dir_is_locked(p->dir);
    rc = from_index(l, p, e);
    if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT || rc == ERR_IO) {
        rc = from_log(l, p, e);
    }
    if (p->clocks > clocks) {
        mark(p, &before);
    }
    *news = *news || p->clocks != clocks || p->running != running;
    return rc == ERR_BUSY ? 0 : rc;
}

/* Add the peers of @ranks that are new. Both ascend. */
static int
add_peers(struct report_live *l, const uint32_t *ranks, size_t n, struct err *e)
{
    void *room = realloc(l->peers, (l->n_peers + n) * sizeof *l->peers);

    if (room == NULL) {
        return err_set(e, ERR_NOMEM, "%zu peers", n);
    }
    l->peers = room;
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < l->n_peers && l->peers[at]->rank < ranks[i]) {
            at++;
        }
        if (at < l->n_peers && l->peers[at]->rank == ranks[i]) {
            continue;
        }
        struct report_live_peer *p = calloc(1, sizeof *p);
        char *dir = train_peer_dir(l->dir, ranks[i]);
        if (p == NULL || dir == NULL) {
            free(p);
            free(dir);
            return err_set(e, ERR_NOMEM, "peer %u", ranks[i]);
        }
        p->rank = ranks[i];
        p->dir = dir;
        start_anew(p);
        memmove(&l->peers[at + 1], &l->peers[at],
                (l->n_peers - at) * sizeof *l->peers);
        l->peers[at] = p;
        l->n_peers++;
    }
    return 0;
}

int report_live_init(struct report_live *l, const char *dir, struct err *e)
{
    memset(l, 0, sizeof *l);
    l->dir = strdup(dir);
    return l->dir == NULL ? err_set(e, ERR_NOMEM, "%s", dir) : 0;
}

void report_live_fini(struct report_live *l)
{
    for (size_t i = 0; i < l->n_peers; i++) {
        free(l->peers[i]->dir);
        free(l->peers[i]);
    }
    free(l->peers);
    free(l->dir);
    memset(l, 0, sizeof *l);
}

int report_live_update(struct report_live *l, bool *news, struct err *e)
{
    uint32_t *ranks = NULL;
    size_t n = 0;
    bool any = false;
    int rc = train_replica_peers(l->dir, &ranks, &n, e);

    *news = false;
    rc = rc != 0 ? rc : add_peers(l, ranks, n, e);
    free(ranks);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < l->n_peers; i++) {
        const int bad = update(l, l->peers[i], news, e);
        any = any || bad == 0;
        rc = bad != 0 ? bad : rc;
    }
    return any ? 0 : rc;
}

struct report_sums report_live_recent(const struct report_live_peer *p)
{
    struct report_sums s = p->sums;

    if (p->n_marks == 0) {
        return s;
    }
    const struct report_sums *from = &p->marks[0];
    s.clocks -= from->clocks;
    s.seconds -= from->seconds;
    s.samples -= from->samples;
    s.sent -= from->sent;
    s.received -= from->received;
    s.staleness -= from->staleness;
    for (size_t i = 0; i < REPORT_PARTS; i++) {
        s.parts[i] -= from->parts[i];
    }
    return s;
}

uint64_t report_live_clocks(const struct report_live *l)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < l->n_peers; i++) {
        least = l->peers[i]->clocks < least ? l->peers[i]->clocks : least;
    }
    return l->n_peers == 0 ? 0 : least;
}

bool report_live_running(const struct report_live *l)
{
    bool any = false;

    for (size_t i = 0; i < l->n_peers; i++) {
        any = any || l->peers[i]->running;
    }
    return any;
}

bool report_live_complete(const struct report_live *l)
{
    return l->known && report_live_clocks(l) >= l->clocks &&
           !report_live_running(l);
}
