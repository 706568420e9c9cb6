#include "dataset/idx.h"

#include <stdio.h>
#include <string.h>

#include "dataset/dense.h"

#define TYPE_U8  0x08
#define DIMS_MAX 8

static uint32_t be_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static int
read_header(struct dataset_input *in, struct dataset_array *a, struct err *e)
{
    uint8_t magic[4], dims[4 * DIMS_MAX];
    int rc = dataset_dense_get(in, magic, sizeof magic, e);

    if (rc != 0) {
        return rc;
    }
    if (magic[0] != 0 || magic[1] != 0 || magic[2] != TYPE_U8) {
        return err_set(e, ERR_CORRUPT,
                       "IDX type 0x%02x: only unsigned bytes (0x08) are read",
                       magic[2]);
    }
    if (magic[3] < 1 || magic[3] > DIMS_MAX) {
        return err_set(e, ERR_CORRUPT, "%u dimensions: 1 to %d can be had",
                       magic[3], DIMS_MAX);
    }
    rc = dataset_dense_get(in, dims, 4u * magic[3], e);
    if (rc != 0) {
        return rc;
    }
    *a = (struct dataset_array){.type = DENSE_U8,
                                .scale = 1.0f / 255,
                                .n_rows = be_u32(dims),
                                .n_columns = 1,
                                .n_dims = magic[3]};
    for (unsigned i = 1; i < a->n_dims; i++) {
        a->n_columns *= be_u32(dims + 4 * i);
        if (a->n_columns > DENSE_COLUMNS_MAX) {
            return err_set(e, ERR_CORRUPT, "more than %llu columns",
                           (unsigned long long)DENSE_COLUMNS_MAX);
        }
    }
    return 0;
}

/* train-images-idx3-ubyte.gz: train-labels-idx1-ubyte.gz, then without ".gz";
 * the other way round if the pictures are not compressed. */
static bool guess(const char *path, unsigned i, char *to, size_t room)
{
    const char *name = strrchr(path, '/');
    char *at;
    size_t n;

    name = name == NULL ? path : name + 1;
    at = strstr(name, "images");
    if (i > 1 || at == NULL || strlen(path) + 4 > room) {
        return false;
    }
    strcpy(to, path);
    at = to + (at - path);
    memcpy(at, "labels", 6);
    at = strstr(at, "idx");
    if (at != NULL && at[3] != '\0') {
        at[3] = '1';
    }
    n = strlen(to);
    if (i == 1 && n > 3 && strcmp(to + n - 3, ".gz") == 0) {
        to[n - 3] = '\0';
    } else if (i == 1) {
        strcpy(to + n, ".gz");
    }
    return true;
}

int dataset_idx_read(struct dataset_build *b,
                     struct dataset_input *in,
                     const char *path,
                     struct err *e)
{
    return dataset_dense_read(b, in, path, read_header, guess, e);
}
