/* IDX, the format of MNIST, big-endian:
 *
 *     0  2  zero
 *     2  1  type: 0x08, unsigned bytes
 *     3  1  number of dimensions D, 1 to 8
 *     4  4D dimensions
 *        .. the bytes
 *
 * A row is what the first dimension counts, e.g. a picture; bytes become
 * numbers in [0, 1]. Labels are an IDX file of one dimension, by habit named
 * train-labels-idx1-ubyte beside train-images-idx3-ubyte.
 */

#ifndef DATASET_IDX_H_
#define DATASET_IDX_H_

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/input.h"

/* Errors: as dataset_dense_read(). */
int dataset_idx_read(struct dataset_build *b,
                     struct dataset_input *in,
                     const char *path,
                     struct err *e);

#endif /* DATASET_IDX_H_ */
