#include "ckpt/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
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
        if (ckpt_catalog_has_source(op->kind) &&
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

static int check_digest(void *arg, const struct ckpt_digest_row *row)
{
    struct verify *v = arg;
    const struct ckpt_entry *entry =
        ckpt_catalog_find(&v->catalog, SV_RECORD_DIGEST, row->clock,
                          v->catalog.peer, row->matrix, NULL);
    struct hash128 digest = {0};
    const uint8_t *data;
    struct sv_record r;

    if (entry == NULL ||
        ckpt_catalog_read(&v->catalog, entry, &r, &data, NULL) != 0 ||
        ckpt_digest_read(&digest, &r, data + SV_RECORD_SIZE, NULL) != 0 ||
        digest.high != row->digest.high || digest.low != row->digest.low) {
        found(v,
              "index.db: digest of clock %" PRIu64
              ", matrix %u is not that of the log",
              row->clock, row->matrix);
    }
    return 0;
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
        rc = check_steps(v, e);
    }
    if (rc == 0) {
        rc = ckpt_catalog_count_clocks(c, &v->report->clocks, e);
        rc = rc == ERR_CORRUPT ? 0 : rc; /* A finding already. */
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
