/* All shards of a data set in one process: the rows are put in the order of
 * their shards, once, and every shard is a view of its stretch.
 *
 * A view is what dataset_read() gives for that shard, row for row.
 */

#ifndef DATASET_SHARDS_H_
#define DATASET_SHARDS_H_

#include "dataset/dataset.h"

struct dataset_shards {
    struct dataset all;   /* Rows by shard. Owned. */
    uint32_t n;           /* Shards. */
    uint32_t *order;      /* (all.n_rows) Which row of the file each is. */
    struct dataset *view; /* (n) They own nothing: no dataset_fini(). */
};

/* Part @all, which was read as one shard, into @n of some kind. It is moved, on
 * errors too.
 *
 * Errors: ERR_NOMEM.
 * Cost:   one pass; for its time the rows are in memory twice. */
int dataset_shards_init(struct dataset_shards *s,
                        struct dataset *all,
                        enum dataset_sharding kind,
                        uint32_t n,
                        struct err *e);
void dataset_shards_fini(struct dataset_shards *s);

#endif /* DATASET_SHARDS_H_ */
