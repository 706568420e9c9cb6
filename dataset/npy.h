/* numpy's .npy: a row-major (n, K) array of '<f4' or '<f8'. Labels are an (n,)
 * array of integers: X.npy and X.labels.npy, or X_train.npy and y_train.npy.
 */

#ifndef DATASET_NPY_H_
#define DATASET_NPY_H_

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/input.h"

/* Errors: as dataset_dense_read(). */
int dataset_npy_read(struct dataset_build *b,
                     struct dataset_input *in,
                     const char *path,
                     struct err *e);

#endif /* DATASET_NPY_H_ */
