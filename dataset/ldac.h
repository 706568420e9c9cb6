/* LDA-C text: one document a line, "n index:count index:count ...", with n
 * pairs and ascending indices from 0. No labels.
 */

#ifndef DATASET_LDAC_H_
#define DATASET_LDAC_H_

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/input.h"

/* Errors: ERR_CORRUPT ("line 3: 7 pairs announced, 6 found"), ERR_IO,
 *         ERR_NOMEM. */
int dataset_ldac_read(struct dataset_build *b,
                      struct dataset_input *in,
                      size_t block_size,
                      struct err *e);

#endif /* DATASET_LDAC_H_ */
