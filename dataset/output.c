#include "dataset/output.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE (1u << 18)

static bool is_gz(const char *path)
{
    size_t n = strlen(path);
    return n > 3 && strcmp(path + n - 3, ".gz") == 0;
}

int dataset_output_open(struct dataset_output *o,
                        const char *path,
                        struct err *e)
{
    memset(o, 0, sizeof *o);
    if (strlen(path) + sizeof ".part" > sizeof o->part) {
        return err_set(e, ERR_INVALID, "the name is too long");
    }
    snprintf(o->path, sizeof o->path, "%s", path);
    strcpy(o->part, path);
    strcat(o->part, ".part");
    errno = 0;
    o->file = gzopen(o->part, is_gz(path) ? "wbe6" : "wbeT");
    if (o->file == NULL) {
        return errno == 0 ? err_set(e, ERR_NOMEM, "open")
                          : err_errno(e, "open");
    }
    gzbuffer(o->file, BUFFER_SIZE);
    return 0;
}

static int fail(struct err *e, const char *call)
{
    return errno == 0 ? err_set(e, ERR_IO, "%s failed", call)
                      : err_errno(e, call);
}

int dataset_output_put(struct dataset_output *o,
                       const void *data,
                       size_t size,
                       struct err *e)
{
    const char *p = data;

    while (size > 0) {
        unsigned n = size < INT_MAX ? (unsigned)size : INT_MAX;
        errno = 0;
        if (gzwrite(o->file, p, n) != (int)n) {
            return fail(e, "write");
        }
        p += n;
        size -= n;
    }
    return 0;
}

int dataset_output_close(struct dataset_output *o, struct err *e)
{
    int z;

    errno = 0;
    z = gzclose(o->file);
    o->file = NULL;
    if (z != Z_OK || rename(o->part, o->path) != 0) {
        int rc = fail(e, z != Z_OK ? "write" : "rename");
        unlink(o->part);
        return rc;
    }
    return 0;
}

void dataset_output_abort(struct dataset_output *o)
{
    if (o->file != NULL) {
        gzclose(o->file);
        o->file = NULL;
        unlink(o->part);
    }
}
