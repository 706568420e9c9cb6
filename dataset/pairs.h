/* "index:value index:value ...", as it stands in LIBSVM and LDA-C lines. */

#ifndef DATASET_PAIRS_H_
#define DATASET_PAIRS_H_

#include <stdint.h>

#include "core/err.h"
#include "dataset/lines.h"

/* Where the pairs of a line are being read. */
struct dataset_pairs {
    const char *p;
    const char *end; /* Of the line. */
    unsigned base;   /* Of indices: 0 or 1. */
    uint64_t next;   /* The least index that may come, from 0. */
};

/* Parse the pairs up to the end or a comment, change them, and make a row of
 * them. Indices ascend, and are at most 4294967294 + base; values are decimal
 * and finite. Pairs that the schema lacks are counted and left out. Write to
 * @n how many there were.
 *
 * Errors: ERR_CORRUPT, ERR_NOMEM. */
int dataset_pairs_row(struct dataset_part *part,
                      struct dataset_pairs *c,
                      uint32_t label,
                      uint64_t *n,
                      struct err *e);

/* Note the last index of a line that another shard owns: enough to know how
 * many features there are. What is wrong is left to the owner. */
void dataset_pairs_skim(struct dataset_part *part,
                        const struct dataset_pairs *c);

/* The first byte at @p or behind that is no blank; *end is none. */
const char *dataset_skip_blanks(const char *p);

/* Where the word at @p ends. */
const char *dataset_skip_word(const char *p, const char *end);

#endif /* DATASET_PAIRS_H_ */
