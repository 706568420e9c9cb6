/* Ratings, "user item rating" a line: two whole numbers and a number, between
 * blanks or tabs, in any order. A row is a user, a column an item; ids begin at
 * 0, or at 1 if no 0 occurs. No labels. Comments as in LIBSVM.
 */

#ifndef DATASET_TRIPLES_H_
#define DATASET_TRIPLES_H_

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/coo.h"
#include "dataset/input.h"
#include "dataset/liner.h"

/* Errors: ERR_CORRUPT ("line 7: expected user item rating, found "3 x 1""),
 *         ERR_IO, ERR_NOMEM. */
int dataset_triples_read(struct dataset_build *b,
                         struct dataset_input *in,
                         struct err *e);

/* Read lines of three numbers up to the end of the file.
 *
 * Errors: as above. */
int dataset_triples_collect(struct dataset_liner *l,
                            struct dataset_build *b,
                            struct dataset_coo *c,
                            struct err *e);

#endif /* DATASET_TRIPLES_H_ */
