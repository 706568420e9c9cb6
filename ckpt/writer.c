#include "ckpt/writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ckpt/segment.h"

#define GATHER_SIZE ((size_t)1 << 20)

int ckpt_writer_init(struct ckpt_writer *w, const char *run_json, struct err *e)
{
    w->fd = -1;
    buf_init(&w->gather);
    buf_init(&w->rows);
    buf_init(&w->small);
    w->indexing = false;
    w->run_json = strdup(run_json);
    return w->run_json == NULL ? err_set(e, ERR_NOMEM, "log writer") : 0;
}

void ckpt_writer_fini(struct ckpt_writer *w)
{
    if (w->fd >= 0) {
        w->fs->close(w->fs, w->fd);
    }
    if (w->index.db != NULL) {
        ckpt_index_close(&w->index);
    }
    buf_fini(&w->gather);
    buf_fini(&w->rows);
    buf_fini(&w->small);
    free(w->run_json);
    w->fd = -1;
}

static int segment_path(const struct ckpt_writer *w,
                        uint32_t number,
                        char path[CKPT_PATH_SIZE],
                        struct err *e)
{
    char name[CKPT_SEGMENT_NAME_SIZE];

    ckpt_segment_name(name, number);
    return ckpt_path(path, w->dir, name, e);
}

static int wrap_segment(struct err *e, int rc, uint32_t number)
{
    char name[CKPT_SEGMENT_NAME_SIZE];

    ckpt_segment_name(name, number);
    return err_wrap(e, rc, "%s", name);
}

static void stop_indexing(struct ckpt_writer *w, const struct err *why)
{
    log_warn(w->log, "log of peer %u: index is behind from now on: %s", w->peer,
             why->msg);
    w->indexing = false;
    buf_reset(&w->rows);
    buf_reset(&w->small);
}

/* Remember the row of a record. What its payload tells the index is kept apart,
 * because the record itself goes to the file and out of memory. */
static void push_row(struct ckpt_writer *w,
                     const struct sv_record *r,
                     const uint8_t *data,
                     uint64_t offset)
{
    struct ckpt_entry row = ckpt_entry_of(r, data, w->number, offset);

    if (!w->indexing) {
        return;
    }
    buf_put(&w->rows, &row, sizeof row);
    if (r->kind == SV_RECORD_STEP || r->kind == SV_RECORD_DIGEST) {
        buf_put(&w->small, data + SV_RECORD_SIZE, r->payload_size);
    }
    if (w->rows.failed || w->small.failed) {
        stop_indexing(w, &(struct err){"out of memory"});
    }
}

/* Header and run record of a new segment. */
static int make_head(const struct ckpt_writer *w,
                     uint32_t number,
                     struct buf *head,
                     struct err *e)
{
    struct ckpt_segment_header h = {.run = w->run,
                                    .peer = w->peer,
                                    .number = number,
                                    .first_clock = w->n_steps};
    struct sv_record r = {
        .kind = SV_RECORD_RUN, .origin = w->peer, .sequence = number};
    uint8_t *at = buf_add(head, CKPT_SEGMENT_HEADER_SIZE);

    if (at == NULL) {
        return err_set(e, ERR_NOMEM, "segment header");
    }
    ckpt_segment_write_header(at, &h);
    return sv_record_write(head, &r, w->run_json, strlen(w->run_json), e);
}

/* Write and sync the new file, and its name. */
static int make_file(struct ckpt_writer *w,
                     const char *path,
                     const struct buf *head,
                     int *fd,
                     struct err *e)
{
    char dir[CKPT_PATH_SIZE];
    int rc;

    *fd = w->fs->open(w->fs, path, O_RDWR | O_CREAT | O_TRUNC);
    if (*fd < 0) {
        return err_errno(e, "open");
    }
    rc = ckpt_file_write(w->fs, *fd, head->data, head->size, 0, e);
    if (rc == 0 && w->fs->sync(w->fs, *fd) != 0) {
        rc = err_errno(e, "sync");
    }
    if (rc == 0) {
        rc = ckpt_path(dir, w->dir, "segments", e);
    }
    if (rc == 0 && w->fs->sync_dir(w->fs, dir) != 0) {
        rc = err_errno(e, "sync of the directory");
    }
    if (rc != 0) {
        w->fs->close(w->fs, *fd);
        w->fs->unlink(w->fs, path);
    }
    return rc;
}

static void adopt(struct ckpt_writer *w,
                  int fd,
                  uint32_t number,
                  uint64_t first_clock,
                  uint64_t size)
{
    if (w->fd >= 0) {
        w->fs->close(w->fs, w->fd);
    }
    w->fd = fd;
    w->number = number;
    w->first_clock = first_clock;
    w->written = size;
    w->synced = size;
}

int ckpt_writer_begin(struct ckpt_writer *w, uint32_t number, struct err *e)
{
    char path[CKPT_PATH_SIZE];
    struct sv_record r;
    struct buf head;
    int fd, rc;

    buf_init(&head);
    rc = segment_path(w, number, path, e);
    if (rc == 0) {
        rc = make_head(w, number, &head, e);
    }
    if (rc == 0) {
        rc = make_file(w, path, &head, &fd, e);
    }
    if (rc == 0) {
        const uint8_t *data = head.data + CKPT_SEGMENT_HEADER_SIZE;
        adopt(w, fd, number, w->n_steps, head.size);
        w->bytes += head.size;
        rc = sv_record_peek(&r, data, SV_RECORD_SIZE, e);
        assert(rc == 0);
        push_row(w, &r, data, CKPT_SEGMENT_HEADER_SIZE);
    }
    buf_fini(&head);
    return rc == 0 ? 0 : wrap_segment(e, rc, number);
}

/* Copy a file that has other names, too, up to @size. */
static int own_file(struct ckpt_writer *w,
                    const char *path,
                    const struct ckpt_segment *s,
                    uint64_t size,
                    struct err *e)
{
    char copy[CKPT_PATH_SIZE + 8], dir[CKPT_PATH_SIZE];
    struct stat st;
    int fd, rc;

    if (stat(path, &st) != 0 || st.st_nlink < 2) {
        return 0;
    }
    snprintf(copy, sizeof copy, "%s.own", path);
    fd = w->fs->open(w->fs, copy, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return err_errno(e, "open a copy");
    }
    rc = ckpt_file_write(w->fs, fd, s->data, size, 0, e);
    if (rc == 0 && w->fs->sync(w->fs, fd) != 0) {
        rc = err_errno(e, "sync");
    }
    w->fs->close(w->fs, fd);
    if (rc == 0 && w->fs->rename(w->fs, copy, path) != 0) {
        rc = err_errno(e, "rename");
    }
    if (rc != 0) {
        w->fs->unlink(w->fs, copy);
        return rc;
    }
    rc = ckpt_path(dir, w->dir, "segments", e);
    return rc == 0 && w->fs->sync_dir(w->fs, dir) != 0
               ? err_errno(e, "sync of the directory")
               : rc;
}

int ckpt_writer_resume(struct ckpt_writer *w,
                       const struct ckpt_segment *s,
                       uint64_t size,
                       struct err *e)
{
    char path[CKPT_PATH_SIZE];
    int fd, rc = segment_path(w, s->number, path, e);

    if (rc != 0) {
        return rc;
    }
    rc = own_file(w, path, s, size, e);
    if (rc != 0) {
        return wrap_segment(e, rc, s->number);
    }
    fd = w->fs->open(w->fs, path, O_RDWR);
    if (fd < 0) {
        return wrap_segment(e, err_errno(e, "open"), s->number);
    }
    if (w->fs->truncate(w->fs, fd, size) != 0) {
        rc = err_errno(e, "truncate");
    } else if (w->fs->sync(w->fs, fd) != 0) {
        rc = err_errno(e, "sync");
    }
    if (rc != 0) {
        w->fs->close(w->fs, fd);
        return wrap_segment(e, rc, s->number);
    }
    adopt(w, fd, s->number, s->first_clock, size);
    return 0;
}

void ckpt_writer_open_index(struct ckpt_writer *w)
{
    struct err why;
    int rc = ckpt_index_open(&w->index, w->dir, true, &why);

    if (rc == 0) {
        rc = ckpt_index_put_run(&w->index, w->run, w->peer, w->run_json, &why);
    }
    w->indexing = rc == 0;
    if (rc != 0) {
        stop_indexing(w, &why);
    }
}

/* Write whole records behind what is there. A failure leaves a torn tail
 * behind @written. */
static int
write_out(struct ckpt_writer *w, const void *data, size_t size, struct err *e)
{
    int rc = ckpt_file_write(w->fs, w->fd, data, size, w->written, e);

    if (rc != 0) {
        return wrap_segment(e, rc, w->number);
    }
    w->written += size;
    w->bytes += size;
    return 0;
}

int ckpt_writer_flush(struct ckpt_writer *w, struct err *e)
{
    int rc = 0;

    if (w->gather.size > 0) {
        rc = write_out(w, w->gather.data, w->gather.size, e);
    }
    if (rc == 0) {
        buf_reset(&w->gather);
        w->n_written = w->n_steps;
    }
    return rc;
}

int ckpt_writer_sync(struct ckpt_writer *w, struct err *e)
{
    int rc = ckpt_writer_flush(w, e);

    if (rc != 0 || w->synced == w->written) {
        return rc;
    }
    if (w->fs->sync(w->fs, w->fd) != 0) {
        w->sync_failed = true;
        return wrap_segment(e, err_errno(e, "sync"), w->number);
    }
    w->synced = w->written;
    w->n_synced = w->n_written;
    return 0;
}

static int roll(struct ckpt_writer *w, struct err *e)
{
    int rc = ckpt_writer_sync(w, e);

    if (rc != 0) {
        return rc;
    }
    ckpt_writer_put_index(w);
    return ckpt_writer_begin(w, w->number + 1, e);
}

/* Does the segment hold anything but its run record? */
static bool begun(const struct ckpt_writer *w)
{
    return w->written + w->gather.size >
           CKPT_SEGMENT_HEADER_SIZE + SV_RECORD_SIZE + strlen(w->run_json);
}

static int append_one(struct ckpt_writer *w,
                      const struct sv_record *r,
                      const uint8_t *data,
                      struct err *e)
{
    size_t size = SV_RECORD_SIZE + (size_t)r->payload_size;
    int rc = 0;

    if (w->written + w->gather.size + size > w->segment_size_max && begun(w) &&
        r->kind != SV_RECORD_DIGEST) { /* It stays behind its step. */
        rc = roll(w, e);
    }
    if (rc == 0 && w->gather.size + size > GATHER_SIZE) {
        rc = ckpt_writer_flush(w, e);
    }
    if (rc != 0) {
        return rc;
    }
    push_row(w, r, data, w->written + w->gather.size);
    if (size >= GATHER_SIZE) {
        rc = write_out(w, data, size, e);
    } else {
        buf_put(&w->gather, data, size);
        rc = w->gather.failed ? err_set(e, ERR_NOMEM, "log of %zu bytes", size)
                              : 0;
    }
    if (rc == 0 && r->kind == SV_RECORD_STEP) {
        w->n_steps++;
    }
    if (rc == 0 && w->gather.size == 0) {
        w->n_written = w->n_steps;
    }
    return rc;
}

int ckpt_writer_append(struct ckpt_writer *w,
                       const uint8_t *data,
                       size_t size,
                       bool *has_step,
                       struct err *e)
{
    while (size > 0) {
        struct sv_record r;
        int rc = sv_record_peek(&r, data, size, e);
        if (rc == 0 && r.payload_size > size - SV_RECORD_SIZE) {
            rc = err_set(e, ERR_CORRUPT, "record of %u bytes cut at %zu",
                         r.payload_size, size);
        }
        if (rc == 0) {
            rc = append_one(w, &r, data, e);
        }
        if (rc != 0) {
            return rc;
        }
        *has_step = *has_step || r.kind == SV_RECORD_STEP;
        data += SV_RECORD_SIZE + (size_t)r.payload_size;
        size -= SV_RECORD_SIZE + (size_t)r.payload_size;
    }
    return 0;
}

size_t ckpt_writer_n_rows(const struct ckpt_writer *w)
{
    return w->rows.size / sizeof(struct ckpt_entry);
}

/* Rows of records that are in the file. After an error others wait, too. */
static int put_rows(struct ckpt_writer *w, struct err *e)
{
    const struct ckpt_entry *rows =
        (const struct ckpt_entry *)(const void *)w->rows.data;
    const uint8_t *payload = w->small.data;
    struct ckpt_segment_row segment = {.number = w->number,
                                       .first_clock = w->first_clock,
                                       .indexed = w->written,
                                       .durable = w->synced};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ckpt_writer_n_rows(w); i++) {
        if (rows[i].offset + rows[i].size <= w->written) {
            rc = ckpt_index_put(&w->index, &rows[i], payload, e);
        }
        if (rows[i].kind == SV_RECORD_STEP ||
            rows[i].kind == SV_RECORD_DIGEST) {
            payload += rows[i].size - SV_RECORD_SIZE;
        }
    }
    return rc != 0 ? rc : ckpt_index_put_segment(&w->index, &segment, e);
}

void ckpt_writer_put_index(struct ckpt_writer *w)
{
    struct err why;
    int rc;

    if (!w->indexing) {
        return;
    }
    rc = ckpt_index_begin(&w->index, &why);
    if (rc == 0) {
        rc = put_rows(w, &why);
        if (rc == 0) {
            rc = ckpt_index_commit(&w->index, &why);
        }
        if (rc != 0) {
            ckpt_index_rollback(&w->index);
        }
    }
    if (rc != 0) {
        stop_indexing(w, &why);
    }
    buf_reset(&w->rows);
    buf_reset(&w->small);
}

/* A sync that failed says nothing of what it left in the file, and the next one
 * may well succeed without having written it: only what was synced before
 * counts. A write that failed leaves what was written before it. */
void ckpt_writer_salvage(struct ckpt_writer *w)
{
    struct ckpt_fs *fs = w->fs;

    buf_reset(&w->gather);
    if (w->fd < 0) {
        return;
    }
    if (!w->sync_failed && fs->truncate(fs, w->fd, w->written) == 0 &&
        fs->sync(fs, w->fd) == 0) {
        w->synced = w->written;
        w->n_synced = w->n_written;
    } else if (fs->truncate(fs, w->fd, w->synced) == 0) {
        w->written = w->synced;
        fs->sync(fs, w->fd);
    }
    ckpt_writer_put_index(w);
}
