/* A data set under construction: what all readers do alike.
 *
 *     dataset_build_init(&b, options, e);
 *     ... a reader fills rows, labels, n_features, n_rows_file, sum ...
 *     dataset_build_finish(&b, d, e);
 *     dataset_build_fini(&b);
 *
 * Labels of the rows are ids in b.labels, which holds the labels of the whole
 * file; finish makes class ids of them.
 */

#ifndef DATASET_BUILD_H_
#define DATASET_BUILD_H_

#include "core/err.h"
#include "dataset/dataset.h"
#include "dataset/names.h"
#include "dataset/rows.h"
#include "dataset/sharding.h"

struct dataset_build {
    const struct dataset_options *o;
    uint32_t shard, n_shards;
    const struct dataset_share *share; /* NULL: interleaved. */
    struct dataset_schema change; /* Transform and normalize that hold, and the
                                   * featurizer of text; no classes. */
    uint32_t n_known;    /* Entries of this index and more are left out. */
    uint32_t n_features; /* Largest index anywhere, from 1. */
    uint64_t n_rows_file;
    uint64_t sum; /* Of dataset_row_hash() over all rows of the file. */
    uint64_t n_unknown_features;
    bool labelled;
    struct dataset_names labels;
    struct dataset_rows rows;
};

void dataset_build_init(struct dataset_build *b,
                        const struct dataset_options *o);
void dataset_build_fini(struct dataset_build *b);

/* Only labels are wanted: every row is kept, without values. */
static inline bool dataset_build_skims(const struct dataset_build *b)
{
    return b->share != NULL && b->share->labels_only;
}

/* The index in the shard of row @row of the file, or UINT32_MAX: it belongs to
 * another one, or only its label is wanted. */
static inline uint32_t dataset_build_index(const struct dataset_build *b,
                                           uint64_t row)
{
    if (b->share != NULL) {
        return b->share->labels_only ? UINT32_MAX
                                     : dataset_share_index(b->share, row);
    }
    return row % b->n_shards == b->shard ? (uint32_t)(row / b->n_shards)
                                         : UINT32_MAX;
}

static inline bool dataset_build_owns(const struct dataset_build *b,
                                      uint64_t row)
{
    return dataset_build_index(b, row) != UINT32_MAX;
}

/* What row number @row of the file, (@size) bytes at @data, adds to the sum. A
 * sum does not depend on the order, so that threads can share the rows. */
uint64_t dataset_row_hash(uint64_t row, const void *data, size_t size);

/* Hand the rows over to @d, which is all zero.
 *
 * Errors: ERR_NOMEM; ERR_CORRUPT: no rows, or no features. */
int dataset_build_finish(struct dataset_build *b,
                         struct dataset *d,
                         struct err *e);

#endif /* DATASET_BUILD_H_ */
