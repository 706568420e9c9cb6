#include "ckpt/reader.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/catalog.h"
#include "ckpt/segment.h"

struct ckpt_reader {
    struct ckpt_catalog catalog;
    char *dir;
    uint64_t first, clocks;
};

int ckpt_reader_open(struct ckpt_reader **r, const char *dir, struct err *e)
{
    struct ckpt_reader *x = calloc(1, sizeof *x);
    int rc;

    if (x == NULL) {
        return err_set(e, ERR_NOMEM, "open log %s", dir);
    }
    rc = ckpt_catalog_open(&x->catalog, dir, true, e);
    if (rc == 0) {
        x->dir = strdup(dir);
        rc = x->dir == NULL ? err_set(e, ERR_NOMEM, "path")
                            : ckpt_catalog_count_clocks(&x->catalog, &x->first,
                                                        &x->clocks, e);
    }
    if (rc != 0) {
        ckpt_reader_close(x);
        return err_wrap(e, rc, "open log %s", dir);
    }
    *r = x;
    return 0;
}

void ckpt_reader_close(struct ckpt_reader *r)
{
    if (r != NULL) {
        ckpt_catalog_close(&r->catalog);
        free(r->dir);
        free(r);
    }
}

uint64_t ckpt_reader_run(const struct ckpt_reader *r)
{
    return r->catalog.run;
}

uint32_t ckpt_reader_peer(const struct ckpt_reader *r)
{
    return r->catalog.peer;
}

const char *ckpt_reader_run_json(const struct ckpt_reader *r)
{
    return r->catalog.run_json;
}

uint64_t ckpt_reader_clocks(const struct ckpt_reader *r)
{
    return r->clocks;
}

uint64_t ckpt_reader_first(const struct ckpt_reader *r)
{
    return r->first;
}

const struct ckpt_snapshot *ckpt_reader_snapshot(const struct ckpt_reader *r,
                                                 uint64_t clock)
{
    return ckpt_catalog_snapshot(&r->catalog, r->first, clock);
}

int ckpt_reader_load(const struct ckpt_reader *r,
                     const struct ckpt_snapshot *s,
                     struct sv_state *states,
                     size_t n_states,
                     struct err *e)
{
    return ckpt_snapshot_load(s, r->dir, states, n_states, e);
}

static int copy_applied(struct ckpt_applied_list *list,
                        const struct ckpt_snapshot *s,
                        struct err *e)
{
    memset(list, 0, sizeof *list);
    if (s == NULL || s->applied.n == 0) {
        return 0;
    }
    list->at = malloc(s->applied.n * sizeof *list->at);
    if (list->at == NULL) {
        return err_set(e, ERR_NOMEM, "batches of %zu peers", s->applied.n);
    }
    list->n = s->applied.n;
    memcpy(list->at, s->applied.at, list->n * sizeof *list->at);
    return 0;
}

int ckpt_reader_applied(struct ckpt_reader *r,
                        uint64_t clock,
                        struct ckpt_applied_list *list,
                        struct err *e)
{
    const struct ckpt_snapshot *s = ckpt_reader_snapshot(r, clock);
    uint64_t from = s == NULL ? r->first : s->clock;
    struct ckpt_step step;
    int rc = copy_applied(list, s, e);

    ckpt_step_init(&step);
    for (uint64_t c = from; rc == 0 && c < clock; c++) {
        rc = ckpt_reader_step(r, c, &step, e);
        for (size_t i = 0; rc == 0 && i < step.n_ops; i++) {
            const struct ckpt_op *op = &step.ops[i];
            if (op->kind == SV_OP_APPLY && op->matrix == 0) {
                rc = ckpt_applied_add(list, op->origin, op->clock, e);
            }
        }
    }
    ckpt_step_fini(&step);
    if (rc != 0) {
        ckpt_applied_fini(list);
    }
    return rc;
}

int ckpt_reader_step(struct ckpt_reader *r,
                     uint64_t clock,
                     struct ckpt_step *step,
                     struct err *e)
{
    const struct ckpt_entry *entry;
    const uint8_t *data;
    struct sv_record fields;
    size_t size;
    int rc;

    if (clock >= r->clocks) {
        return err_set(e, ERR_NOT_FOUND,
                       "clock %" PRIu64 ": the log has %" PRIu64, clock,
                       r->clocks);
    }
    if (clock < r->first) {
        return err_set(e, ERR_NOT_FOUND,
                       "clock %" PRIu64 ": the log was compacted, it begins at "
                       "clock %" PRIu64,
                       clock, r->first);
    }
    entry = ckpt_catalog_step(&r->catalog, clock);
    rc = ckpt_catalog_read(&r->catalog, entry, &fields, &data, e);
    if (rc == 0) {
        rc = sv_record_read(&fields, data, entry->size, &size, e);
    }
    if (rc == 0) {
        rc = ckpt_step_read(step, &fields, data + SV_RECORD_SIZE, e);
    }
    return rc == 0 ? 0 : err_wrap(e, rc, "step of clock %" PRIu64, clock);
}

static int read_entry(const struct ckpt_reader *r,
                      const struct ckpt_entry *entry,
                      const char *name,
                      const uint8_t **data,
                      size_t *size,
                      struct err *e)
{
    struct sv_record fields;
    int rc;

    if (entry == NULL) {
        return err_set(e, ERR_NOT_FOUND, "%s is not in the log", name);
    }
    rc = ckpt_catalog_read(&r->catalog, entry, &fields, data, e);
    if (rc == 0) {
        *size = (size_t)entry->size;
    }
    return rc;
}

int ckpt_reader_batch(const struct ckpt_reader *r,
                      uint32_t origin,
                      uint64_t clock,
                      uint16_t matrix,
                      const uint8_t **data,
                      size_t *size,
                      struct err *e)
{
    struct ckpt_op op = {.kind = SV_OP_APPLY,
                         .origin = origin,
                         .clock = clock,
                         .matrix = matrix};
    char name[CKPT_SOURCE_NAME_SIZE];
    const struct ckpt_entry *entry =
        ckpt_catalog_source(&r->catalog, &op, NULL, name);

    return read_entry(r, entry, name, data, size, e);
}

int ckpt_reader_op(const struct ckpt_reader *r,
                   uint64_t clock,
                   const struct ckpt_op *op,
                   const uint8_t **data,
                   size_t *size,
                   struct err *e)
{
    const struct ckpt_entry *entry, *step;
    char name[CKPT_SOURCE_NAME_SIZE];

    assert(clock >= r->first && clock < r->clocks);
    step = ckpt_catalog_step(&r->catalog, clock);
    entry = ckpt_catalog_source(&r->catalog, op, step, name);
    return read_entry(r, entry, name, data, size, e);
}

int ckpt_reader_wrap(const struct ckpt_reader *r,
                     const uint8_t *data,
                     int rc,
                     struct err *e)
{
    const struct ckpt_catalog *c = &r->catalog;
    char name[CKPT_SEGMENT_NAME_SIZE];

    rc = rc == ERR_AGAIN ? ERR_CORRUPT : rc;
    for (size_t i = 0; i < c->n_valid; i++) {
        const struct ckpt_segment *s = &c->segments[i];
        if (data >= s->data && data < s->data + s->size) {
            ckpt_segment_name(name, s->number);
            return err_wrap(e, rc, "%s: offset %td", name, data - s->data);
        }
    }
    return rc;
}

int ckpt_reader_each(const struct ckpt_reader *r,
                     enum sv_record_kind kind,
                     int (*fn)(void *arg, const struct ckpt_record_info *info),
                     void *arg,
                     struct err *e)
{
    const struct ckpt_entries *list = &r->catalog.kinds[kind];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < list->n; i++) {
        struct ckpt_record_info info = {.segment = list->at[i].segment,
                                        .offset = list->at[i].offset,
                                        .size = list->at[i].size};
        const uint8_t *data;
        rc = ckpt_catalog_read(&r->catalog, &list->at[i], &info.record, &data,
                               e);
        if (rc == 0) {
            info.payload = data + SV_RECORD_SIZE;
            rc = fn(arg, &info);
        }
    }
    return rc;
}

uint64_t ckpt_reader_count(const struct ckpt_reader *r,
                           enum sv_record_kind kind)
{
    return r->catalog.kinds[kind].n;
}

size_t ckpt_reader_segments(const struct ckpt_reader *r)
{
    return r->catalog.n_valid;
}

uint64_t ckpt_reader_bytes(const struct ckpt_reader *r)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < r->catalog.n_valid; i++) {
        bytes += r->catalog.segments[i].size;
    }
    return bytes;
}

bool ckpt_reader_digest(const struct ckpt_reader *r,
                        uint64_t clock,
                        uint16_t matrix,
                        struct hash128 *digest)
{
    const struct ckpt_entry *entry = ckpt_catalog_find(
        &r->catalog, SV_RECORD_DIGEST, clock, r->catalog.peer, matrix, NULL);
    const uint8_t *data;
    struct sv_record fields;
    size_t size;

    return entry != NULL &&
           ckpt_catalog_read(&r->catalog, entry, &fields, &data, NULL) == 0 &&
           sv_record_read(&fields, data, (size_t)entry->size, &size, NULL) ==
               0 &&
           ckpt_digest_read(digest, &fields, data + SV_RECORD_SIZE, NULL) == 0;
}

bool ckpt_reader_next_digest(const struct ckpt_reader *r,
                             uint64_t clock,
                             uint64_t *at)
{
    const struct ckpt_entries *list = &r->catalog.kinds[SV_RECORD_DIGEST];
    size_t low = 0, high = list->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (list->at[mid].clock < clock) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == list->n) {
        return false;
    }
    *at = list->at[low].clock;
    return true;
}
