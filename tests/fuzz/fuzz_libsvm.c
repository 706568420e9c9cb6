/* LIBSVM and every other text of numbers, at block sizes that cut lines
 * anywhere: the result must not depend on them. The first byte of the input
 * chooses the name, shards, block size and what is done to values. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dataset/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_with(struct dataset *d,
                     const uint8_t *data,
                     size_t size,
                     uint8_t choice,
                     size_t block_size)
{
    static const char *const NAMES[] = {"a.svm", "a", "a.ldac", "a.svm.gz"};
    struct dataset_source from = {.path = NAMES[choice & 3],
                                  .data = data,
                                  .size = size,
                                  .block_size = block_size};
    struct dataset_options o = {
        .n_shards = 1 + (choice >> 2 & 1),
        .transform = (enum dataset_transform)((choice >> 3 & 3) % 3),
        .normalize = (enum dataset_normalize)(choice >> 5 & 1)};
    struct err e;

    return dataset_read_source(d, &from, &o, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dataset a, b;
    int rc;

    if (size < 2) {
        return 0;
    }
    rc = read_with(&a, data + 1, size - 1, data[0], 1 + data[1]);
    assert(read_with(&b, data + 1, size - 1, data[0], 4096) == rc);
    if (rc != 0) {
        return 0;
    }
    assert(a.fingerprint == b.fingerprint && a.n_rows == b.n_rows);
    assert(a.dense == b.dense);
    if (!a.dense && a.ptr[a.n_rows] > 0) {
        size_t n = a.ptr[a.n_rows];
        assert(memcmp(a.idx, b.idx, n * sizeof *a.idx) == 0);
        assert(memcmp(a.val, b.val, n * sizeof *a.val) == 0);
    }
    dataset_fini(&a);
    dataset_fini(&b);
    return 0;
}
