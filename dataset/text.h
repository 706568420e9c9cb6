/* Labelled text: "label TAB text" a line, made features of by a featurizer
 * (dataset/featurize.h). Text may hold further TABs. Empty lines are skipped.
 */

#ifndef DATASET_TEXT_H_
#define DATASET_TEXT_H_

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/input.h"

/* With a schema (o->schema) lines without TAB are text without a label. Without
 * one and without a featurizer, text gets DATASET_FEATURIZER_DEFAULT and l2.
 *
 * Errors: ERR_CORRUPT: no TAB, no label, not UTF-8, or the schema is not one of
 *         text. */
int dataset_text_read(struct dataset_build *b,
                      struct dataset_input *in,
                      size_t block_size,
                      struct err *e);

#endif /* DATASET_TEXT_H_ */
