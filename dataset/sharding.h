/* Which rows of a file belong to which shard.
 *
 * All kinds make shards of the same sizes: with n rows and P shards, shard p
 * has n / P of them, and one more if p < n mod P. They differ in which:
 *
 *     interleaved  row r belongs to shard r mod P
 *     contiguous   the rows in the order of the file, cut into P stretches
 *     sorted       the rows sorted by class (stable; those without a class
 *                  last), cut likewise: every peer sees a few classes only
 *
 * Within a shard rows stand in the order of the file, whatever the kind.
 */

#ifndef DATASET_SHARDING_H_
#define DATASET_SHARDING_H_

#include "dataset/dataset.h"

/* "interleaved", "contiguous", "sorted". Errors of parse: ERR_INVALID, the
 * message lists them. */
const char *dataset_sharding_name(enum dataset_sharding kind);
int dataset_sharding_parse(enum dataset_sharding *kind,
                           const char *text,
                           struct err *e);

/* How many of @n_rows rows are in the shards below @shard (up to @n_shards). */
uint32_t
dataset_sharding_first(uint32_t n_rows, uint32_t n_shards, uint32_t shard);

/* Write to @order (d->n_rows) the rows of the whole file @d by shard, ascending
 * within each. Only the labels of @d count.
 *
 * Errors: ERR_NOMEM.
 * Cost:   a pass over the labels; sorted: and n log n / P. */
int dataset_sharding_order(enum dataset_sharding kind,
                           const struct dataset *d,
                           uint32_t n_shards,
                           uint32_t *order,
                           struct err *e);

/* What dataset_read() knows of the file when it reads a shard that is not
 * interleaved. */
struct dataset_share {
    bool labels_only;     /* The first pass: labels of all rows, no values. */
    const uint32_t *rows; /* (n) The second: the rows of the shard, ascending.
                           */
    uint32_t n;
};

/* The index of @row in the share, or UINT32_MAX. Cost: log n. */
uint32_t dataset_share_index(const struct dataset_share *s, uint64_t row);

#endif /* DATASET_SHARDING_H_ */
