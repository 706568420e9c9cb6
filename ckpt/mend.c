#include "ckpt/mend.h"

#include <string.h>

#include "ckpt/segment.h"
#include "core/log.h"

/* Digests of W_@clock stand behind the step that led to it. */
static void keep_digests(struct ckpt_mend *m, uint64_t clock)
{
    const struct ckpt_entries *list = &m->catalog->kinds[SV_RECORD_DIGEST];

    for (size_t i = 0; clock > 0 && i < list->n; i++) {
        const struct ckpt_entry *entry = &list->at[i];
        if (entry->clock == clock && entry->segment == m->segment &&
            entry->offset == m->end) {
            m->end += entry->size;
        }
    }
}

/* The run record of a segment, or NULL. */
static const struct ckpt_entry *run_of(const struct ckpt_catalog *c,
                                       uint32_t segment)
{
    const struct ckpt_entries *list = &c->kinds[SV_RECORD_RUN];

    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].segment == segment) {
            return &list->at[i];
        }
    }
    return NULL;
}

/* A segment behind the end that begins a branch there says what the log is of
 * from @clock on. */
static void keep_branch(struct ckpt_mend *m, uint64_t clock)
{
    const struct ckpt_catalog *c = m->catalog;
    size_t i = m->segment - c->segments[0].number + 1;
    const struct ckpt_entry *now, *next;
    const uint8_t *a, *b;

    if (i >= c->n_valid || c->segments[i].first_clock != clock) {
        return;
    }
    now = run_of(c, m->segment);
    next = run_of(c, m->segment + 1);
    if (now == NULL || next == NULL) {
        return;
    }
    a = c->segments[i - 1].data + now->offset + SV_RECORD_SIZE;
    b = c->segments[i].data + next->offset + SV_RECORD_SIZE;
    if (now->size != next->size ||
        memcmp(a, b, now->size - SV_RECORD_SIZE) != 0) {
        m->segment++;
        m->end = next->offset + next->size;
        keep_digests(m, clock);
    }
}

int ckpt_mend_find_end(struct ckpt_mend *m, uint64_t clock, struct err *e)
{
    const struct ckpt_catalog *c = m->catalog;
    const struct ckpt_entry *last;
    uint64_t first, clocks;
    int rc = ckpt_catalog_count_clocks(c, &first, &clocks, e);

    if (rc != 0) {
        return rc;
    }
    if (clock < first || clock > clocks) {
        return err_set(e, ERR_NOT_FOUND,
                       "clock %llu: the log has %llu to %llu of them whole",
                       (unsigned long long)clock, (unsigned long long)first,
                       (unsigned long long)clocks);
    }
    last = clock == 0 ? &c->kinds[SV_RECORD_RUN].at[0]
                      : ckpt_catalog_step(c, clock - 1);
    if (last == NULL) {
        return err_set(e, ERR_CORRUPT,
                       "the step that led to clock %llu is not there",
                       (unsigned long long)clock);
    }
    m->segment = last->segment;
    m->end = last->offset + last->size;
    keep_digests(m, clock);
    keep_branch(m, clock);
    return 0;
}

static int
fill_segments(struct ckpt_index *x, const struct ckpt_mend *m, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < m->catalog->n_valid; i++) {
        const struct ckpt_segment *s = &m->catalog->segments[i];
        uint64_t size = s->number == m->segment ? m->end : s->size;
        struct ckpt_segment_row row = {.number = s->number,
                                       .first_clock = s->first_clock,
                                       .indexed = size,
                                       .durable = size};
        if (s->number == m->segment && !m->synced) {
            row.durable = 0;
        }
        if (s->number <= m->segment) {
            rc = ckpt_index_put_segment(x, &row, e);
        }
    }
    return rc;
}

static int fill_records(struct ckpt_index *x,
                        const struct ckpt_mend *m,
                        const struct ckpt_entries *list,
                        struct err *e)
{
    const struct ckpt_catalog *c = m->catalog;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < list->n; i++) {
        const struct ckpt_entry *entry = &list->at[i];
        const struct ckpt_segment *s =
            &c->segments[entry->segment - c->segments[0].number];
        bool keep = entry->segment < m->segment ||
                    (entry->segment == m->segment && entry->offset < m->end);
        if (keep && (m->anew || entry->offset >= s->indexed)) {
            rc = ckpt_index_put(x, entry,
                                s->data + entry->offset + SV_RECORD_SIZE, e);
        }
    }
    return rc;
}

int ckpt_mend_fill_index(const struct ckpt_mend *m,
                         struct ckpt_index *x,
                         struct err *e)
{
    int rc = ckpt_index_begin(x, e);

    if (rc != 0) {
        return rc;
    }
    rc = fill_segments(x, m, e);
    for (int kind = 0; rc == 0 && kind < SV_RECORD_KIND_END; kind++) {
        rc = fill_records(x, m, &m->catalog->kinds[kind], e);
    }
    if (rc == 0) {
        rc = ckpt_index_commit(x, e);
    }
    if (rc != 0) {
        ckpt_index_rollback(x);
    }
    return rc;
}

/* How many snapshots are not behind @clock: they stand by clock. */
static size_t snapshots_until(const struct ckpt_catalog *c, uint64_t clock)
{
    size_t n = 0;

    while (n < c->n_snapshots && c->snapshots[n].clock <= clock) {
        n++;
    }
    return n;
}

int ckpt_mend_index(const struct ckpt_mend *m,
                    struct ckpt_writer *w,
                    uint64_t clock,
                    struct err *e)
{
    struct err why = {""};
    int rc = 0;

    if (m->anew) {
        log_warn(w->log, "log of peer %u: index is made anew: %s", w->peer,
                 m->catalog->index_err.msg);
        rc = ckpt_index_remove(w->dir, e);
        if (rc != 0) {
            return rc;
        }
    }
    ckpt_writer_open_index(w);
    if (w->indexing) {
        rc = ckpt_index_cut(&w->index, m->segment, m->end, clock, &why);
        if (rc == 0) {
            rc = ckpt_index_forget(&w->index, m->catalog->segments[0].number,
                                   &why);
        }
        if (rc == 0) {
            rc = ckpt_index_set_snapshots(&w->index, m->catalog->snapshots,
                                          snapshots_until(m->catalog, clock),
                                          &why);
        }
        if (rc == 0) {
            rc = ckpt_mend_fill_index(m, &w->index, &why);
        }
        if (rc == 0) {
            return 0;
        }
        log_warn(w->log, "log of peer %u: no index: %s", w->peer, why.msg);
        w->indexing = false;
        ckpt_index_close(&w->index);
    }
    return ckpt_index_remove(w->dir, e);
}

int ckpt_mend_snapshots(const struct ckpt_mend *m,
                        struct ckpt_fs *fs,
                        const char *dir,
                        uint64_t clock,
                        struct err *e)
{
    const struct ckpt_catalog *c = m->catalog;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < c->n_snapshots; i++) {
        if (c->snapshots[i].clock > clock) {
            rc = ckpt_snapshot_remove(fs, dir, c->snapshots[i].clock, e);
        }
    }
    return rc;
}

int ckpt_mend_remove(const struct ckpt_mend *m,
                     struct ckpt_fs *fs,
                     const char *dir,
                     struct err *e)
{
    const struct ckpt_catalog *c = m->catalog;
    char name[CKPT_SEGMENT_NAME_SIZE], path[CKPT_PATH_SIZE];
    bool removed = false;
    int rc = 0;

    for (size_t i = c->n_segments;
         i-- > 0 && c->segments[i].number > m->segment;) {
        ckpt_segment_name(name, c->segments[i].number);
        rc = ckpt_path(path, dir, name, e);
        if (rc != 0) {
            return rc;
        }
        if (fs->unlink(fs, path) != 0) {
            return err_wrap(e, err_errno(e, "unlink"), "%s", name);
        }
        removed = true;
    }
    if (removed) {
        rc = ckpt_path(path, dir, "segments", e);
        if (rc == 0 && fs->sync_dir(fs, path) != 0) {
            rc = err_wrap(e, err_errno(e, "sync"), "%s", path);
        }
    }
    return rc;
}
