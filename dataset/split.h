/* Divide a file of lines into one for training and one for testing. */

#ifndef DATASET_SPLIT_H_
#define DATASET_SPLIT_H_

#include <limits.h>
#include <stdint.h>

#include "core/err.h"

struct dataset_split {
    double share; /* Of rows for testing, in (0, 1). */
    uint64_t seed;
    const char *prefix; /* Of the names of both files. */
    /* Written by dataset_split(): */
    uint64_t n_train, n_test;
    char train[PATH_MAX]; /* PREFIX.train.svm, as the input is called. */
    char test[PATH_MAX];  /* PREFIX.test.svm */
};

/* Copy every row of @path (LIBSVM, labelled text or LDA-C) as it is to one of
 * the files: share * n of them, chosen by the seed, but at least one, to test.
 * Comments go to both. Both are compressed if @path ends in ".gz".
 *
 * Errors: ERR_INVALID: another format, less than two rows, a bad share;
 *         ERR_CORRUPT, ERR_NOT_FOUND, ERR_FULL, ERR_IO, ERR_NOMEM.
 * Cost:   two passes over the file; memory is one line. */
int dataset_split(struct dataset_split *s, const char *path, struct err *e);

#endif /* DATASET_SPLIT_H_ */
