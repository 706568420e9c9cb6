#include "dataset/input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define RAW_SIZE   ((size_t)131072)
#define GZIP_WBITS (15 + 16) /* The largest window; gzip, nothing else. */

struct dataset_input {
    int fd;              /* -1: the bytes are in memory. */
    const uint8_t *data; /* In memory. */
    size_t size;
    size_t at; /* How far memory has been read. */
    bool gzip;
    bool inflating; /* z is initialised. */
    bool in_member; /* Between the first and the last byte of a member. */
    bool ended;
    z_stream z;
    uint8_t *raw; /* (RAW_SIZE) What z reads. */
    char *head;   /* (INPUT_HEAD_SIZE + 1) */
    size_t head_size;
    size_t head_at;
};

static int read_fd(int fd, uint8_t *to, size_t room, size_t *n, struct err *e)
{
    size_t done = 0;

    while (done < room) {
        ssize_t got = read(fd, to + done, room - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return err_errno(e, "read");
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *n = done;
    return 0;
}

static int read_raw(struct dataset_input *in,
                    void *to,
                    size_t room,
                    size_t *n,
                    struct err *e)
{
    if (in->fd >= 0) {
        return read_fd(in->fd, to, room, n, e);
    }
    *n = in->size - in->at < room ? in->size - in->at : room;
    if (*n > 0) {
        memcpy(to, in->data + in->at, *n);
    }
    in->at += *n;
    return 0;
}

/* Make z.next_in hold something, or set ended. */
static int refill(struct dataset_input *in, struct err *e)
{
    size_t n = 0;
    int rc;

    if (in->z.avail_in > 0) {
        return 0;
    }
    rc = read_raw(in, in->raw, RAW_SIZE, &n, e);
    if (rc != 0) {
        return rc;
    }
    in->z.next_in = in->raw;
    in->z.avail_in = (uInt)n;
    in->ended = n == 0;
    if (in->ended && in->in_member) {
        return err_set(e, ERR_CORRUPT, "gzip data ends too early");
    }
    return 0;
}

static int inflate_some(struct dataset_input *in, struct err *e)
{
    int z;

    if (!in->in_member) {
        inflateReset(&in->z);
        in->in_member = true;
    }
    z = inflate(&in->z, Z_NO_FLUSH);
    if (z == Z_STREAM_END) {
        in->in_member = false;
        return 0;
    }
    if (z == Z_MEM_ERROR) {
        return err_set(e, ERR_NOMEM, "decompress");
    }
    if (z != Z_OK && z != Z_BUF_ERROR) {
        return err_set(e, ERR_CORRUPT, "bad gzip data: %s",
                       in->z.msg != NULL ? in->z.msg : "unexpected");
    }
    return 0;
}

static int read_gzip(struct dataset_input *in,
                     uint8_t *to,
                     size_t room,
                     size_t *n,
                     struct err *e)
{
    size_t done = 0;
    int rc;

    while (done < room) {
        size_t want = room - done < INT_MAX ? room - done : INT_MAX;
        rc = refill(in, e);
        if (rc != 0) {
            return rc;
        }
        if (in->ended) {
            break;
        }
        in->z.next_out = to + done;
        in->z.avail_out = (uInt)want;
        rc = inflate_some(in, e);
        if (rc != 0) {
            return rc;
        }
        done += want - in->z.avail_out;
    }
    *n = done;
    return 0;
}

static int read_source(struct dataset_input *in,
                       void *to,
                       size_t room,
                       size_t *n,
                       struct err *e)
{
    return in->gzip ? read_gzip(in, to, room, n, e)
                    : read_raw(in, to, room, n, e);
}

static int start_gzip(struct dataset_input *in, struct err *e)
{
    in->raw = malloc(RAW_SIZE);
    if (in->raw == NULL || inflateInit2(&in->z, GZIP_WBITS) != Z_OK) {
        return err_set(e, ERR_NOMEM, "decompress");
    }
    in->inflating = true;
    in->gzip = true;
    memcpy(in->raw, in->head, in->head_size);
    in->z.next_in = in->raw;
    in->z.avail_in = (uInt)in->head_size;
    return read_gzip(in, (uint8_t *)in->head, INPUT_HEAD_SIZE, &in->head_size,
                     e);
}

static int start(struct dataset_input *in, struct err *e)
{
    int rc;

    static_assert(INPUT_HEAD_SIZE <= RAW_SIZE, "the head is read again");
    in->head = malloc(INPUT_HEAD_SIZE + 1);
    if (in->head == NULL) {
        return err_set(e, ERR_NOMEM, "%zu bytes", INPUT_HEAD_SIZE);
    }
    rc = read_raw(in, in->head, INPUT_HEAD_SIZE, &in->head_size, e);
    if (rc != 0) {
        return rc;
    }
    if (in->head_size >= 2 && memcmp(in->head, "\x1f\x8b", 2) == 0) {
        return start_gzip(in, e);
    }
    return 0;
}

static int
open_any(struct dataset_input **in, struct dataset_input from, struct err *e)
{
    struct dataset_input *x = malloc(sizeof *x);
    int rc;

    if (x == NULL) {
        if (from.fd >= 0) {
            close(from.fd);
        }
        return err_set(e, ERR_NOMEM, "%zu bytes", sizeof *x);
    }
    *x = from;
    rc = start(x, e);
    if (rc != 0) {
        dataset_input_close(x);
        return rc;
    }
    x->head[x->head_size] = '\n';
    *in = x;
    return 0;
}

int dataset_input_open(struct dataset_input **in,
                       const char *path,
                       struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return err_errno(e, "open");
    }
    return open_any(in, (struct dataset_input){.fd = fd}, e);
}

int dataset_input_open_memory(struct dataset_input **in,
                              const void *data,
                              size_t size,
                              struct err *e)
{
    return open_any(
        in, (struct dataset_input){.fd = -1, .data = data, .size = size}, e);
}

void dataset_input_close(struct dataset_input *in)
{
    if (in == NULL) {
        return;
    }
    if (in->inflating) {
        inflateEnd(&in->z);
    }
    if (in->fd >= 0) {
        close(in->fd);
    }
    free(in->raw);
    free(in->head);
    free(in);
}

const char *dataset_input_head(const struct dataset_input *in, size_t *size)
{
    assert(in->head_at == 0);
    *size = in->head_size;
    return in->head;
}

int dataset_input_read(struct dataset_input *in,
                       void *data,
                       size_t room,
                       size_t *n,
                       struct err *e)
{
    size_t left = in->head_size - in->head_at;
    size_t first = left < room ? left : room;
    int rc;

    memcpy(data, in->head + in->head_at, first);
    in->head_at += first;
    *n = first;
    if (first == room) {
        return 0;
    }
    rc = read_source(in, (char *)data + first, room - first, n, e);
    if (rc != 0) {
        return rc;
    }
    *n += first;
    return 0;
}

int dataset_input_rewind(struct dataset_input *in, struct err *e)
{
    if (in->fd >= 0 && lseek(in->fd, 0, SEEK_SET) != 0) {
        return err_errno(e, "begin again");
    }
    in->at = 0;
    in->head_size = in->head_at = 0;
    in->z.avail_in = 0;
    in->in_member = in->ended = false;
    return 0;
}

bool dataset_input_is_gzip(const struct dataset_input *in)
{
    return in->gzip;
}

int dataset_input_fd(const struct dataset_input *in,
                     const void **data,
                     size_t *size)
{
    *data = in->data;
    *size = in->size;
    return in->fd;
}
