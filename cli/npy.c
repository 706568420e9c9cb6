#include "cli/npy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"

#define HEADER_ALIGN 64
#define FIXED_SIZE   10   /* Magic, version, length. */
#define PIECE        4096 /* Floats converted at once. */
#define TEXT_MAX     118  /* 128 - FIXED_SIZE: enough for any K and J. */

static size_t header(uint8_t out[FIXED_SIZE + TEXT_MAX], const struct mat *m)
{
    char text[TEXT_MAX];
    const int n = snprintf(text, sizeof text,
                           "{'descr': '<f4', 'fortran_order': False, "
                           "'shape': (%zu, %zu), }",
                           m->K, m->J);
    const size_t size = (FIXED_SIZE + (size_t)n + 1 + HEADER_ALIGN - 1) /
                        HEADER_ALIGN * HEADER_ALIGN;

    memcpy(out, "\x93NUMPY\x01\x00", 8);
    le_put_u16(out + 8, (uint16_t)(size - FIXED_SIZE));
    memset(out + FIXED_SIZE, ' ', size - FIXED_SIZE);
    memcpy(out + FIXED_SIZE, text, (size_t)n);
    out[size - 1] = '\n';
    return size;
}

static int put_row(FILE *f, const float *row, size_t J, struct err *e)
{
    uint8_t piece[4 * PIECE];

    for (size_t from = 0; from < J; from += PIECE) {
        const size_t n = J - from < PIECE ? J - from : PIECE;
        for (size_t j = 0; j < n; j++) {
            le_put_f32(piece + 4 * j, row[from + j]);
        }
        if (fwrite(piece, 4, n, f) != n) {
            return err_errno(e, "write");
        }
    }
    return 0;
}

static int put_all(FILE *f, const struct mat *m, struct err *e)
{
    uint8_t head[FIXED_SIZE + TEXT_MAX];
    const size_t size = header(head, m);
    int status = 0;

    if (fwrite(head, 1, size, f) != size) {
        return err_errno(e, "write");
    }
    for (size_t k = 0; k < m->K && status == 0; k++) {
        status = put_row(f, mat_row(m, k), m->J, e);
    }
    return status;
}

int npy_write(const char *path, const struct mat *m, struct err *e)
{
    const size_t size = strlen(path) + sizeof ".partial";
    char *partial = malloc(size);
    FILE *f = NULL;
    int status;

    if (partial == NULL) {
        return err_set(e, ERR_NOMEM, "write %s: out of memory", path);
    }
    snprintf(partial, size, "%s.partial", path);
    f = fopen(partial, "wb");
    if (f == NULL) {
        status = err_errno(e, "create");
        goto free_partial;
    }
    status = put_all(f, m, e);
    if (status == 0 && (fflush(f) != 0 || fsync(fileno(f)) != 0)) {
        status = err_errno(e, "sync");
    }
    if (fclose(f) != 0 && status == 0) {
        status = err_errno(e, "close");
    }
    if (status == 0 && rename(partial, path) != 0) {
        status = err_errno(e, "rename");
    }
    if (status != 0) {
        unlink(partial);
    }
free_partial:
    if (status != 0) {
        err_wrap(e, status, "write %s", path);
    }
    free(partial);
    return status;
}
