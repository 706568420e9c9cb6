#include "ckpt/branch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ckpt/catalog.h"
#include "ckpt/log.h"
#include "ckpt/mend.h"
#include "ckpt/segment.h"
#include "ckpt/writer.h"

#define SNAPSHOT_MATRICES_MAX 64

struct branch {
    const struct ckpt_catalog *catalog;
    const char *from, *to;
    struct ckpt_fs *fs;
    struct ckpt_branch_report *report;
};

/* The first @size bytes of a segment, durable. */
static int copy_segment(const struct branch *b,
                        const struct ckpt_segment *s,
                        uint64_t size,
                        struct err *e)
{
    char name[CKPT_SEGMENT_NAME_SIZE], path[CKPT_PATH_SIZE];
    int fd, rc;

    ckpt_segment_name(name, s->number);
    rc = ckpt_path(path, b->to, name, e);
    if (rc != 0) {
        return rc;
    }
    fd = b->fs->open(b->fs, path, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return err_wrap(e, err_errno(e, "open"), "%s", path);
    }
    rc = ckpt_file_write(b->fs, fd, s->data, size, 0, e);
    if (rc == 0 && b->fs->sync(b->fs, fd) != 0) {
        rc = err_errno(e, "sync");
    }
    b->fs->close(b->fs, fd);
    b->report->copied += rc == 0 ? size : 0;
    return rc == 0 ? 0 : err_wrap(e, rc, "%s", path);
}

static int share_segment(const struct branch *b,
                         const struct ckpt_segment *s,
                         struct err *e)
{
    char name[CKPT_SEGMENT_NAME_SIZE];
    char from[CKPT_PATH_SIZE], to[CKPT_PATH_SIZE];
    int rc;

    ckpt_segment_name(name, s->number);
    rc = ckpt_path(from, b->from, name, e);
    rc = rc != 0 ? rc : ckpt_path(to, b->to, name, e);
    if (rc != 0) {
        return rc;
    }
    if (s->size == s->file_size && link(from, to) == 0) {
        b->report->shared += s->size;
        return 0;
    }
    return copy_segment(b, s, s->size, e);
}

/* A snapshot is read and written anew: it is checked by that, and small beside
 * the segments that it stands in for. */
static int copy_snapshot(const struct branch *b,
                         const struct ckpt_snapshot *s,
                         struct err *e)
{
    struct sv_state states[SNAPSHOT_MATRICES_MAX];
    size_t n = 0;
    int rc = s->n > SNAPSHOT_MATRICES_MAX
                 ? err_set(e, ERR_CORRUPT, "snapshot of %zu matrices", s->n)
                 : 0;

    for (; rc == 0 && n < s->n; n++) {
        const struct ckpt_snapshot_matrix *m = &s->matrices[n];
        rc = sv_state_init(&states[n], m->rule, m->eps, m->K, m->J, e);
        if (rc != 0) {
            break;
        }
    }
    rc = rc != 0 ? rc : ckpt_snapshot_load(s, b->from, states, n, e);
    rc = rc != 0 ? rc : ckpt_snapshot_write(b->fs, b->to, s, states, n, e);
    while (n-- > 0) {
        b->report->copied += 4 * states[n].w.K * states[n].w.J;
        sv_state_fini(&states[n]);
    }
    return rc;
}

static int make_dirs(const struct branch *b, struct err *e)
{
    char path[CKPT_PATH_SIZE];
    int rc = ckpt_dir_make(b->fs, b->to, e);

    rc = rc != 0 ? rc : ckpt_path(path, b->to, "segments", e);
    return rc != 0 ? rc : ckpt_dir_make(b->fs, path, e);
}

/* The segment that says what the job is from here on. */
static int begin_segment(const struct branch *b,
                         uint32_t number,
                         uint64_t clock,
                         const char *run_json,
                         struct err *e)
{
    struct ckpt_writer w = {.fs = b->fs,
                            .dir = b->to,
                            .run = b->catalog->run,
                            .peer = b->catalog->peer,
                            .n_steps = clock};
    int rc = ckpt_writer_init(&w, run_json, e);

    rc = rc != 0 ? rc : ckpt_writer_begin(&w, number, e);
    ckpt_writer_fini(&w);
    return rc;
}

static int fill(const struct branch *b,
                uint64_t clock,
                const char *run_json,
                struct err *e)
{
    const struct ckpt_catalog *c = b->catalog;
    struct ckpt_mend m = {.catalog = c};
    uint64_t first, n;
    int rc = ckpt_catalog_count_clocks(c, &first, &n, e);

    rc = rc != 0 ? rc : ckpt_mend_find_end(&m, clock, e);
    rc = rc != 0 ? rc : make_dirs(b, e);
    for (size_t i = 0; rc == 0 && i < c->n_snapshots; i++) {
        if (c->snapshots[i].clock >= first && c->snapshots[i].clock <= clock) {
            rc = copy_snapshot(b, &c->snapshots[i], e);
        }
    }
    for (size_t i = 0; rc == 0 && i < c->n_valid; i++) {
        const struct ckpt_segment *s = &c->segments[i];
        if (s->number < m.segment) {
            rc = share_segment(b, s, e);
        } else if (s->number == m.segment) {
            rc = copy_segment(b, s, m.end, e);
        }
    }
    return rc != 0 ? rc : begin_segment(b, m.segment + 1, clock, run_json, e);
}

int ckpt_branch(const char *from,
                const char *to,
                uint64_t clock,
                const char *run_json,
                struct ckpt_branch_report *report,
                struct err *e)
{
    struct ckpt_catalog c, there;
    struct branch b = {.catalog = &c,
                       .from = from,
                       .to = to,
                       .fs = ckpt_fs_real(),
                       .report = report};
    int rc;

    memset(report, 0, sizeof *report);
    if (ckpt_catalog_map(&there, to, NULL) == 0) {
        ckpt_catalog_close(&there);
        return err_set(e, ERR_BUSY, "%s: a log is there already", to);
    }
    rc = ckpt_catalog_open(&c, from, true, e);
    if (rc == 0) {
        rc = fill(&b, clock, run_json, e);
        ckpt_catalog_close(&c);
    }
    rc = rc != 0 ? rc : ckpt_log_reindex(to, e);
    return rc == 0 ? 0 : err_wrap(e, rc, "branch of %s", from);
}
