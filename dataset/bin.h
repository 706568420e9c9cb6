/* A data set as a file that is mapped, not parsed. Little-endian:
 *
 *     off size
 *       0    8  magic "lyredata"
 *       8    4  version, 1
 *      12    4  1: dense, 0: sparse
 *      16    8  rows n
 *      24    8  values m (dense: n K)
 *      32    8  fingerprint of the file it was made of
 *      40    8  size of this file
 *      48    4  features K
 *      52    4  classes
 *      56  120  five sections, each offset 8, size 8, XXH3-64 8:
 *                 schema  JSON (dataset/dataset.h)
 *                 ptr     (n + 1) u64, sparse only
 *                 idx     (m) u32, sparse only
 *                 val     (m) f32
 *                 label   (n) u32
 *     176    8  XXH3-64 of bytes 0 .. 175
 *
 * A file is valid iff
 *   - the checksums hold, and sizes are as above
 *   - sections begin at multiples of 64, behind the header and each other
 *   - the schema is one, of K features and as many classes
 *   - ptr begins with 0, does not descend and ends with m
 *   - idx are below K and ascend within a row; val are finite
 *   - label are below the number of classes, or DATASET_NO_LABEL.
 */

#ifndef DATASET_BIN_H_
#define DATASET_BIN_H_

#include "core/err.h"
#include "dataset/dataset.h"
#include "dataset/input.h"

#define BIN_MAGIC "lyredata"

/* Write @d, which is a whole file and not a shard. The file appears under its
 * name when it is complete.
 *
 * Errors: ERR_FULL, ERR_IO, ERR_NOMEM. */
int dataset_bin_write(const struct dataset *d, const char *path, struct err *e);

/* Read a file, all of it valid. One shard of one whose values are wanted as
 * they are is mapped; everything else is a copy. Where o->schema is NULL,
 * transform and normalize "none" mean: as the file has it.
 *
 * Errors: ERR_CORRUPT: not valid; compressed; or transformed or normalized in
 *         another way than wanted; ERR_IO, ERR_NOMEM. */
int dataset_bin_read(struct dataset *d,
                     struct dataset_input *in,
                     const struct dataset_options *o,
                     struct err *e);

#endif /* DATASET_BIN_H_ */
