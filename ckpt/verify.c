#include "ckpt/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/catalog.h"
#include "ckpt/segment.h"

struct verify {
    struct ckpt_catalog catalog;
    struct ckpt_verify_report *report;
    void (*fn)(void *arg, const char *finding);
    void *arg;
    struct ckpt_step step;
    uint64_t n_rows; /* Of the index. */
};

static void found(struct verify *v, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void found(struct verify *v, const char *fmt, ...)
{
    char text[ERR_MSG_SIZE];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    v->report->findings++;
    if (v->fn != NULL) {
        v->fn(v->arg, text);
    }
}

/* All valid records of a segment, with what is between them as findings. */
static int
check_segment(struct verify *v, struct ckpt_segment *s, struct err *e)
{
    char name[CKPT_SEGMENT_NAME_SIZE];
    struct err why;
    struct sv_record r;
    size_t size, at = CKPT_SEGMENT_HEADER_SIZE;

    ckpt_segment_name(name, s->number);
    while (at < s->file_size) {
        int rc =
            sv_record_read(&r, s->data + at, s->file_size - at, &size, &why);
        if (rc == 0) {
            struct ckpt_entry entry =
                ckpt_entry_of(&r, s->data + at, s->number, at);
            rc = ckpt_catalog_add(&v->catalog, &entry, e);
            if (rc != 0) {
                return rc;
            }
            v->report->records++;
            at += size;
            s->size = at;
        } else if (ckpt_segment_find_record(s->data, s->file_size, at + 1,
                                            &size)) {
            found(v, "%s: offset %zu: %s (valid again at %zu)", name, at,
                  why.msg, size);
            at = size;
        } else {
            break;
        }
    }
    if (at < s->file_size &&
        s != &v->catalog.segments[v->catalog.n_valid - 1]) {
        found(v, "%s: offset %zu: %s (up to the end)", name, at, why.msg);
    } else {
        v->report->torn += s->file_size - at;
    }
    v->report->bytes += at;
    return 0;
}

static int
check_step(struct verify *v, const struct ckpt_entry *entry, struct err *e)
{
    const struct ckpt_catalog *c = &v->catalog;
    struct sv_record r;
    const uint8_t *data;
    struct err why;
    int rc = ckpt_catalog_read(c, entry, &r, &data, &why);

    if (rc == 0) {
        rc = ckpt_step_read(&v->step, &r, data + SV_RECORD_SIZE, &why);
    }
    if (rc == ERR_NOMEM) {
        return err_set(e, rc, "%s", why.msg);
    }
    if (rc != 0) {
        found(v, "segments/%08u.seg: offset %" PRIu64 ": %s", entry->segment,
              entry->offset, why.msg);
        return 0;
    }
    for (size_t i = 0; i < v->step.n_ops; i++) {
        const struct ckpt_op *op = &v->step.ops[i];
        char name[CKPT_SOURCE_NAME_SIZE];
        if (entry->clock >= v->report->first &&
            ckpt_catalog_has_source(op->kind) &&
            ckpt_catalog_source(c, op, entry, name) == NULL) {
            found(v,
                  "step of clock %" PRIu64
                  " applies the %s, which is not there",
                  entry->clock, name);
        }
    }
    return 0;
}

static int check_steps(struct verify *v, struct err *e)
{
    const struct ckpt_entries *steps = &v->catalog.kinds[SV_RECORD_STEP];
    uint64_t next = 0;
    int rc = 0;

    if (v->catalog.segments[0].number > 0 && steps->n > 0) {
        next = steps->at[0].clock; /* Those before were compacted away. */
    }
    for (size_t i = 0; rc == 0 && i < steps->n; i++) {
        const struct ckpt_entry *entry = &steps->at[i];
        if (entry->clock != next) {
            found(v, "step of clock %" PRIu64 " where %" PRIu64 " belongs",
                  entry->clock, next);
        }
        if (i > 0 && !ckpt_entry_before(&steps->at[i - 1], entry)) {
            found(v, "step of clock %" PRIu64 " stands before that of %" PRIu64,
                  entry->clock, steps->at[i - 1].clock);
        }
        next = entry->clock + 1;
        rc = check_step(v, entry, e);
    }
    return rc;
}

static int check_row(void *arg, const struct ckpt_entry *row)
{
    struct verify *v = arg;

    if (row->segment < v->catalog.segments[0].number) {
        return 0; /* It went, and its rows go when the log is written next. */
    }
    v->n_rows++;
    if (ckpt_catalog_same(&v->catalog, row) == NULL) {
        found(v,
              "index.db: record of kind %u, clock %" PRIu64
              ", peer %u, matrix %u is not at offset %" PRIu64 " of segment %u",
              row->kind, row->clock, row->origin, row->matrix, row->offset,
              row->segment);
    }
    return 0;
}

static bool digest_is(const struct verify *v,
                      const struct ckpt_entry *entry,
                      struct hash128 want)
{
    struct hash128 digest = {0};
    const uint8_t *data;
    struct sv_record r;

    return ckpt_catalog_read(&v->catalog, entry, &r, &data, NULL) == 0 &&
           ckpt_digest_read(&digest, &r, data + SV_RECORD_SIZE, NULL) == 0 &&
           digest.high == want.high && digest.low == want.low;
}

static int check_digest(void *arg, const struct ckpt_digest_row *row)
{
    struct verify *v = arg;
    const struct ckpt_entry *entry =
        ckpt_catalog_find(&v->catalog, SV_RECORD_DIGEST, row->clock,
                          v->catalog.peer, row->matrix, NULL);

    if (entry == NULL && row->clock <= v->report->first) {
        return 0; /* It went with its segment. */
    }
    if (entry == NULL || !digest_is(v, entry, row->digest)) {
        found(v,
              "index.db: digest of clock %" PRIu64
              ", matrix %u is not that of the log",
              row->clock, row->matrix);
    }
    return 0;
}

static const struct ckpt_snapshot *find_snapshot(const struct ckpt_catalog *c,
                                                 uint64_t clock)
{
    for (size_t i = 0; i < c->n_snapshots; i++) {
        if (c->snapshots[i].clock == clock) {
            return &c->snapshots[i];
        }
    }
    return NULL;
}

/* One that was removed may still have its row. */
static int check_snapshot_row(void *arg, const struct ckpt_snapshot_row *row)
{
    struct verify *v = arg;
    const struct ckpt_snapshot *s = find_snapshot(&v->catalog, row->clock);

    if (s != NULL && (row->matrix >= s->n ||
                      s->matrices[row->matrix].w.high != row->digest.high ||
                      s->matrices[row->matrix].w.low != row->digest.low)) {
        found(v,
              "index.db: snapshot of clock %" PRIu64
              ", matrix %u is not what is there",
              row->clock, row->matrix);
    }
    return 0;
}

static int check_snapshot(struct verify *v,
                          const struct ckpt_snapshot *s,
                          const char *dir,
                          struct err *e)
{
    struct sv_state *states = calloc(s->n + 1, sizeof *states);
    size_t n = 0;
    struct err why;
    int rc = states == NULL ? err_set(e, ERR_NOMEM, "snapshot") : 0;

    for (; rc == 0 && n < s->n; n++) {
        const struct ckpt_snapshot_matrix *m = &s->matrices[n];
        const struct ckpt_entry *entry;
        rc = sv_state_init(&states[n], m->rule, m->eps, m->K, m->J, e);
        entry = ckpt_catalog_find(&v->catalog, SV_RECORD_DIGEST, s->clock,
                                  s->peer, (uint16_t)n, NULL);
        if (entry != NULL && !digest_is(v, entry, m->w)) {
            found(v,
                  "snapshots/clock-%" PRIu64
                  ": matrix %zu is not what training had at that clock",
                  s->clock, n);
        }
    }
    if (rc == 0) {
        int bad = ckpt_snapshot_load(s, dir, states, s->n, &why);
        if (bad != 0) {
            found(v, "%s", why.msg);
        } else {
            v->report->snapshots++;
        }
    }
    for (size_t i = 0; states != NULL && i < n; i++) {
        sv_state_fini(&states[i]);
    }
    free(states);
    return rc;
}

static int check_snapshots(struct verify *v, const char *dir, struct err *e)
{
    const struct ckpt_catalog *c = &v->catalog;
    int rc = 0;

    if (c->snapshot_rc != 0) {
        found(v, "%s", c->snapshot_err.msg);
    }
    for (size_t i = 0; rc == 0 && i < c->n_snapshots; i++) {
        rc = check_snapshot(v, &c->snapshots[i], dir, e);
    }
    return rc;
}

/* An index that is missing, or behind, is no damage. */
static void check_index(struct verify *v, const char *dir)
{
    struct ckpt_index x;
    struct err why;
    int rc = ckpt_index_open(&x, dir, false, &why);

    if (rc == 0) {
        rc = ckpt_index_begin(&x, &why);
        if (rc == 0) {
            rc = ckpt_index_each_record(&x, check_row, v, &why);
        }
        if (rc == 0) {
            rc = ckpt_index_each_digest(&x, check_digest, v, &why);
        }
        if (rc == 0) {
            rc = ckpt_index_each_snapshot(&x, check_snapshot_row, v, &why);
        }
        ckpt_index_close(&x);
    }
    if (rc != 0 && rc != ERR_NOT_FOUND) {
        found(v, "index.db: %s", why.msg);
    }
    if (v->n_rows < v->report->records) {
        v->report->behind = v->report->records - v->n_rows;
    }
}

static int check_all(struct verify *v, const char *dir, struct err *e)
{
    struct ckpt_catalog *c = &v->catalog;
    int rc = 0;

    v->report->segments = c->n_valid;
    for (size_t i = 0; rc == 0 && i < c->n_valid; i++) {
        rc = check_segment(v, &c->segments[i], e);
    }
    for (size_t i = c->n_valid; i < c->n_segments; i++) {
        v->report->torn += c->segments[i].file_size;
    }
    ckpt_catalog_sort(c);
    if (rc == 0) {
        struct err why;
        rc = ckpt_catalog_count_clocks(c, &v->report->first, &v->report->clocks,
                                       &why);
        if (rc == ERR_CORRUPT) { /* Of a step: a finding that comes below. */
            if (c->segments[0].number > 0) {
                found(v, "%s", why.msg);
            }
            rc = 0;
        } else if (rc != 0) {
            err_set(e, rc, "%s", why.msg);
        }
    }
    if (rc == 0) {
        rc = check_steps(v, e);
    }
    if (rc == 0) {
        rc = check_snapshots(v, dir, e);
    }
    if (rc == 0) {
        check_index(v, dir);
    }
    return rc;
}

int ckpt_verify(const char *dir,
                struct ckpt_verify_report *report,
                void (*fn)(void *arg, const char *finding),
                void *arg,
                struct err *e)
{
    struct verify v = {.report = report, .fn = fn, .arg = arg};
    int rc;

    memset(report, 0, sizeof *report);
    ckpt_step_init(&v.step);
    rc = ckpt_catalog_map(&v.catalog, dir, e);
    if (rc == 0) {
        rc = check_all(&v, dir, e);
        ckpt_catalog_close(&v.catalog);
    }
    ckpt_step_fini(&v.step);
    return rc == 0 ? 0 : err_wrap(e, rc, "verify %s", dir);
}
