/* Labelled text: the features of every text ascend and are below K, and a
 * string by itself has the features that it has in a file. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/featurize.h"
#include "dataset/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dataset *d)
{
    for (uint32_t i = 0; i < d->n_rows; i++) {
        struct dataset_row row = dataset_row(d, i);
        for (uint32_t j = 0; j < row.nnz; j++) {
            assert(row.idx[j] < d->schema.n_features);
            assert(j == 0 || row.idx[j] > row.idx[j - 1]);
            assert(row.val[j] > 0);
        }
    }
}

static void
check_string(const struct dataset_schema *s, const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    struct dataset d;
    struct err e;

    if (text != NULL && dataset_from_text(&d, s, text, &e) == 0) {
        check(&d);
        dataset_fini(&d);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dataset_source from = {.path = "a.tsv", .block_size = 16};
    struct dataset_options o = {0};
    struct dataset d;
    struct err e;

    if (size < 3) {
        return 0;
    }
    o.featurizer = (struct dataset_featurizer){.words = data[0] & 1,
                                               .n_min = 1 + (data[0] >> 1 & 3),
                                               .n_max = 4 + (data[0] >> 3 & 7),
                                               .bits = 1 + data[1] % 20,
                                               .lowercase = data[0] >> 6 & 1};
    from.data = data + 2;
    from.size = size - 2;
    if (dataset_read_source(&d, &from, &o, &e) == 0) {
        if (d.schema.featurizer.n_max > 0) { /* Else it was something else. */
            check(&d);
            check_string(&d.schema, data + 2, size - 2);
        }
        dataset_fini(&d);
    }
    return 0;
}
