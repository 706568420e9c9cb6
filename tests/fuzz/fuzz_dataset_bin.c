/* The formats of bytes: the mapped binary (its checksums are made right first,
 * or nothing would get past them), IDX, npy and gzip. */

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/hash.h"
#include "dataset/bin.h"
#include "dataset/read.h"

#define HEADER_SIZE 184

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t *p, size_t size)
{
    if (size < HEADER_SIZE || memcmp(p, BIN_MAGIC, 8) != 0) {
        return;
    }
    le_put_u64(p + 40, size);
    for (size_t i = 0; i < 5; i++) {
        uint8_t *s = p + 56 + 24 * i;
        uint64_t at = le_u64(s), n = le_u64(s + 8);
        if (at <= size && n <= size - at) {
            le_put_u64(s + 16, hash64(p + at, n));
        }
    }
    le_put_u64(p + 176, hash64(p, 176));
}

/* What is read obeys the contract of struct dataset. */
static void check(const struct dataset *d)
{
    for (uint32_t i = 0; i < d->n_rows; i++) {
        struct dataset_row row = dataset_row(d, i);
        assert(d->label[i] == DATASET_NO_LABEL ||
               d->label[i] < d->schema.n_classes);
        for (uint32_t j = 0; j < row.nnz; j++) {
            assert(isfinite(row.val[j]));
            assert(row.idx == NULL || row.idx[j] < d->schema.n_features);
            assert(row.idx == NULL || j == 0 || row.idx[j] > row.idx[j - 1]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dataset_source from = {.path = "a", .size = size};
    struct dataset_options o = {.n_shards = 1 + size % 2};
    struct dataset d;
    struct err e;
    uint8_t *copy = malloc(size + 1);

    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    seal(copy, size);
    from.data = copy;
    if (dataset_read_source(&d, &from, &o, &e) == 0) {
        check(&d);
        dataset_fini(&d);
    }
    free(copy);
    return 0;
}
