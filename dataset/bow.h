/* UCI bag of words ("docword" files):
 *
 *     D              documents
 *     W              words of the vocabulary
 *     NNZ            lines that follow
 *     doc word count with ids from 1, in any order
 *
 * A row is a document. No labels.
 */

#ifndef DATASET_BOW_H_
#define DATASET_BOW_H_

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/input.h"

/* Errors: ERR_CORRUPT: a line is wrong, an id is not 1 .. D or W, or the number
 *         of lines is not NNZ; ERR_IO, ERR_NOMEM. */
int dataset_bow_read(struct dataset_build *b,
                     struct dataset_input *in,
                     struct err *e);

#endif /* DATASET_BOW_H_ */
