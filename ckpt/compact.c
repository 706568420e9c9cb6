#include "ckpt/compact.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "ckpt/catalog.h"
#include "ckpt/segment.h"

static int write_snapshot(struct ckpt_reader *r,
                          uint64_t clock,
                          const struct sv_state *states,
                          size_t n_states,
                          const struct ckpt_compact_options *o,
                          struct ckpt_fs *fs,
                          struct err *e)
{
    struct ckpt_snapshot s = {
        .run = ckpt_reader_run(r), .peer = ckpt_reader_peer(r), .clock = clock};
    int rc = ckpt_reader_applied(r, clock, &s.applied, e);

    if (rc == 0) {
        rc = ckpt_snapshot_write(fs, o->dir, &s, states, n_states, e);
    }
    ckpt_snapshot_fini(&s);
    return rc;
}

static void keep(uint32_t *first, const struct ckpt_entry *entry)
{
    if (entry != NULL && entry->segment < *first) {
        *first = entry->segment;
    }
}

/* What the steps from @clock on apply. */
static int keep_named(const struct ckpt_catalog *c,
                      uint64_t clock,
                      uint32_t *first,
                      struct err *e)
{
    const struct ckpt_entry *entry;
    struct ckpt_step step;
    int rc = 0;

    ckpt_step_init(&step);
    for (; rc == 0 && (entry = ckpt_catalog_step(c, clock)) != NULL; clock++) {
        struct sv_record r;
        const uint8_t *data;
        rc = ckpt_catalog_read(c, entry, &r, &data, e);
        rc = rc != 0 ? rc : ckpt_step_read(&step, &r, data + SV_RECORD_SIZE, e);
        for (size_t i = 0; rc == 0 && i < step.n_ops; i++) {
            char name[CKPT_SOURCE_NAME_SIZE];
            if (ckpt_catalog_has_source(step.ops[i].kind)) {
                keep(first, ckpt_catalog_source(c, &step.ops[i], entry, name));
            }
        }
    }
    ckpt_step_fini(&step);
    return rc;
}

/* The first segment that stays. */
static int find_first(const struct ckpt_catalog *c,
                      uint64_t clock,
                      uint64_t own_from,
                      uint32_t *first,
                      struct err *e)
{
    *first = c->segments[c->n_valid - 1].number;
    if (clock > 0) {
        keep(first, ckpt_catalog_step(c, clock - 1));
    }
    for (int kind = 0; kind < SV_RECORD_KIND_END; kind++) {
        const struct ckpt_entries *list = &c->kinds[kind];
        for (size_t i = 0; i < list->n; i++) {
            const struct ckpt_entry *x = &list->at[i];
            bool own = kind == SV_RECORD_BATCH && x->origin == c->peer &&
                       x->clock >= own_from;
            if (kind != SV_RECORD_RUN && (x->clock >= clock || own)) {
                keep(first, x);
            }
        }
    }
    return keep_named(c, clock, first, e);
}

/* What replay from the snapshot on rests on is durable before the rest goes. */
static int sync_rest(const struct ckpt_catalog *c,
                     const struct ckpt_compact_options *o,
                     struct ckpt_fs *fs,
                     uint32_t first,
                     struct err *e)
{
    char name[CKPT_SEGMENT_NAME_SIZE], path[CKPT_PATH_SIZE];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < c->n_valid; i++) {
        int fd;
        if (c->segments[i].number < first) {
            continue;
        }
        ckpt_segment_name(name, c->segments[i].number);
        rc = ckpt_path(path, o->dir, name, e);
        if (rc != 0) {
            return rc;
        }
        fd = fs->open(fs, path, O_RDWR);
        if (fd < 0) {
            return err_wrap(e, err_errno(e, "open"), "%s", name);
        }
        if (fs->sync(fs, fd) != 0) {
            rc = err_wrap(e, err_errno(e, "sync"), "%s", name);
        }
        fs->close(fs, fd);
    }
    return rc;
}

static int remove_segments(const struct ckpt_catalog *c,
                           const struct ckpt_compact_options *o,
                           struct ckpt_fs *fs,
                           uint32_t first,
                           struct ckpt_compact_report *report,
                           struct err *e)
{
    char name[CKPT_SEGMENT_NAME_SIZE], path[CKPT_PATH_SIZE];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < c->n_valid; i++) {
        const struct ckpt_segment *s = &c->segments[i];
        if (s->number >= first) {
            break;
        }
        ckpt_segment_name(name, s->number);
        rc = ckpt_path(path, o->dir, name, e);
        if (rc == 0 && fs->unlink(fs, path) != 0) {
            rc = err_wrap(e, err_errno(e, "unlink"), "%s", name);
        }
        if (rc == 0) {
            report->segments++;
            report->bytes += s->file_size;
        }
    }
    if (rc == 0 && report->segments > 0) {
        rc = ckpt_path(path, o->dir, "segments", e);
        if (rc == 0 && fs->sync_dir(fs, path) != 0) {
            rc = err_wrap(e, err_errno(e, "sync"), "%s", path);
        }
    }
    return rc;
}

/* The index lags behind at worst: what it says of segments that went is not
 * looked at. */
static void mend_index(const struct ckpt_compact_options *o, uint32_t first)
{
    struct ckpt_catalog c;
    struct ckpt_index x;

    if (!o->index || ckpt_catalog_map(&c, o->dir, NULL) != 0) {
        return;
    }
    if (ckpt_index_open(&x, o->dir, true, NULL) == 0) {
        (void)ckpt_index_forget(&x, first, NULL);
        (void)ckpt_index_set_snapshots(&x, c.snapshots, c.n_snapshots, NULL);
        ckpt_index_close(&x);
    }
    ckpt_catalog_close(&c);
}

static int drop(const struct ckpt_catalog *c,
                uint64_t clock,
                const struct ckpt_compact_options *o,
                struct ckpt_fs *fs,
                struct ckpt_compact_report *report,
                struct err *e)
{
    uint32_t first;
    int rc = find_first(c, clock, o->own_from, &first, e);

    rc = rc != 0 ? rc : sync_rest(c, o, fs, first, e);
    rc = rc != 0 ? rc : remove_segments(c, o, fs, first, report, e);
    for (size_t i = 0; rc == 0 && i < c->n_snapshots; i++) {
        if (c->snapshots[i].clock < clock) {
            rc = ckpt_snapshot_remove(fs, o->dir, c->snapshots[i].clock, e);
        }
    }
    if (rc == 0) {
        rc = ckpt_snapshot_clean(fs, o->dir, e);
    }
    mend_index(o, first);
    return rc;
}

int ckpt_compact(struct ckpt_reader *r,
                 uint64_t clock,
                 const struct sv_state *states,
                 size_t n_states,
                 const struct ckpt_compact_options *o,
                 struct ckpt_compact_report *report,
                 struct err *e)
{
    struct ckpt_fs *fs = o->fs == NULL ? ckpt_fs_real() : o->fs;
    struct ckpt_catalog c;
    int rc;

    memset(report, 0, sizeof *report);
    if (clock == 0 || clock < ckpt_reader_first(r) ||
        clock > ckpt_reader_clocks(r)) {
        return err_set(e, ERR_NOT_FOUND,
                       "compact to clock %" PRIu64 ": the log has %" PRIu64
                       " to %" PRIu64,
                       clock, ckpt_reader_first(r), ckpt_reader_clocks(r));
    }
    rc = write_snapshot(r, clock, states, n_states, o, fs, e);
    rc = rc != 0 ? rc : ckpt_catalog_open(&c, o->dir, true, e);
    if (rc == 0) {
        rc = drop(&c, clock, o, fs, report, e);
        ckpt_catalog_close(&c);
    }
    return rc == 0 ? 0 : err_wrap(e, rc, "compact %s", o->dir);
}
