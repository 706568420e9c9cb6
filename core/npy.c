#include "core/npy.h"

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

static size_t header(uint8_t out[FIXED_SIZE + TEXT_MAX], size_t K, size_t J)
{
    char text[TEXT_MAX];
    const int n = snprintf(text, sizeof text,
                           "{'descr': '<f4', 'fortran_order': False, "
                           "'shape': (%zu, %zu), }",
                           K, J);
    const size_t size = (FIXED_SIZE + (size_t)n + 1 + HEADER_ALIGN - 1) /
                        HEADER_ALIGN * HEADER_ALIGN;

    memcpy(out, "\x93NUMPY\x01\x00", 8);
    le_put_u16(out + 8, (uint16_t)(size - FIXED_SIZE));
    memset(out + FIXED_SIZE, ' ', size - FIXED_SIZE);
    memcpy(out + FIXED_SIZE, text, (size_t)n);
    out[size - 1] = '\n';
    return size;
}

uint64_t npy_size(const struct npy_rows *x)
{
    uint8_t head[FIXED_SIZE + TEXT_MAX];

    return header(head, x->K, x->J) + (uint64_t)4 * x->K * x->J;
}

int npy_put(const struct npy_rows *x,
            int (*put)(void *arg, const void *data, size_t size, struct err *e),
            void *arg,
            struct err *e)
{
    uint8_t head[FIXED_SIZE + TEXT_MAX], piece[4 * PIECE];
    size_t n = 0;
    int rc = put(arg, head, header(head, x->K, x->J), e);

    for (size_t k = 0; k < x->K && rc == 0; k++) {
        for (size_t j = 0; j < x->J && rc == 0; j++) {
            le_put_f32(piece + 4 * n++, x->data[k * x->ld + j]);
            if (n == PIECE) {
                rc = put(arg, piece, sizeof piece, e);
                n = 0;
            }
        }
    }
    return rc == 0 && n > 0 ? put(arg, piece, 4 * n, e) : rc;
}

static int put_file(void *arg, const void *data, size_t size, struct err *e)
{
    return fwrite(data, 1, size, arg) == size ? 0 : err_errno(e, "write");
}

int npy_write(const char *path, const struct mat *m, struct err *e)
{
    const size_t size = strlen(path) + sizeof ".partial";
    const struct npy_rows rows = npy_rows_of(m);
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
    status = npy_put(&rows, put_file, f, e);
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

int npy_get(float *to,
            size_t K,
            size_t J,
            size_t ld,
            const uint8_t *file,
            size_t size,
            struct err *e)
{
    uint8_t head[FIXED_SIZE + TEXT_MAX];
    const size_t head_size = header(head, K, J);

    if (size < head_size || memcmp(file, head, head_size) != 0 ||
        (size - head_size) / 4 / J != K || size - head_size != 4 * K * J) {
        return err_set(e, ERR_CORRUPT,
                       "not a .npy file of %zu x %zu floats, as it was written",
                       K, J);
    }
    file += head_size;
    for (size_t k = 0; k < K; k++) {
        for (size_t j = 0; j < J; j++) {
            to[k * ld + j] = le_f32(file + 4 * (k * J + j));
        }
    }
    return 0;
}
