/* LIBSVM text: one row a line.
 *
 *     # a comment
 *     label index:value index:value ... # another
 *
 * A line is valid iff
 *   - its label is a word of UTF-8 without ':' behind digits (a number, a name)
 *   - indices are 1 .. 4294967295 and ascend
 *   - values are decimal numbers that are finite as floats.
 * Words are separated by blanks or tabs. Lines end in LF or CRLF, the last one
 * also at the end of the file. Empty lines are skipped.
 *
 * If the first line is "# lyre featurizer ..." (dataset/featurize.h), the rows
 * are text that `lyre data featurize` made features of.
 */

#ifndef DATASET_LIBSVM_H_
#define DATASET_LIBSVM_H_

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/dataset.h"
#include "dataset/input.h"

/* Of rows that belong to other shards only the label and the last index are
 * read: their owner finds what else is wrong with them.
 *
 * Errors: ERR_CORRUPT ("line 812: index 40 after 57, indices must ascend"). */
int dataset_libsvm_read(struct dataset_build *b,
                        struct dataset_input *in,
                        size_t block_size,
                        struct err *e);

/* Write @d, which is sparse, as such a file: values with as many digits as it
 * takes to read the same floats, and the featurizer line if there is a
 * featurizer. Compressed if @path ends in ".gz".
 *
 * Errors: ERR_INVALID: dense, or a class that cannot be a label (it is empty or
 *         holds a blank); ERR_FULL, ERR_IO, ERR_NOMEM. */
int dataset_libsvm_write(const struct dataset *d,
                         const char *path,
                         struct err *e);

#endif /* DATASET_LIBSVM_H_ */
