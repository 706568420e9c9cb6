/* Text to features: hashed n-grams, counted.
 *
 * Characters: the text in lower case (if wanted) between the marks '^' and
 * '$'; every run of n_min .. n_max code points is an n-gram.
 * Words: the longest runs of word characters (dataset/unicode.h), in lower
 * case; every run of n_min .. n_max words is an n-gram, joined by spaces.
 *
 *     feature of an n-gram = lowest `bits` bits of XXH3-64 of its UTF-8
 *     value of a feature   = how many n-grams of the text have it
 *
 * Files that `lyre data featurize` makes begin with one line that says how:
 *
 *     # lyre featurizer char:1-3 bits 15 lowercase yes normalize l2
 */

#ifndef DATASET_FEATURIZE_H_
#define DATASET_FEATURIZE_H_

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/dataset.h"
#include "dataset/lines.h"

#define FEATURIZE_N_MAX     16u /* Longest n-gram. */
#define FEATURIZE_BITS_MAX  30u
#define FEATURIZE_LINE_SIZE 96

/* Characters 1-3, 15 bits, lower case: what text gets without options. */
extern const struct dataset_featurizer DATASET_FEATURIZER_DEFAULT;

/* Parse "char:1-3", "word:1-2" or "word:1" into @f (words, n_min, n_max).
 *
 * Errors: ERR_INVALID. */
int dataset_featurizer_parse(struct dataset_featurizer *f,
                             const char *ngrams,
                             struct err *e);

/* Errors: ERR_INVALID: n-grams or bits out of bounds. */
int dataset_featurizer_check(const struct dataset_featurizer *f, struct err *e);

/* The same, and that a schema has as many features as its featurizer makes. */
int dataset_featurizer_check_schema(const struct dataset_schema *s,
                                    struct err *e);

bool dataset_featurizer_same(const struct dataset_featurizer *a,
                             const struct dataset_featurizer *b);

/* The first line of a file of features, with its '\n'. */
void dataset_featurizer_line(const struct dataset_schema *s,
                             char line[FEATURIZE_LINE_SIZE]);

/* If the file that begins with @head says how its features were made, let @b
 * remember it.
 *
 * Errors: ERR_CORRUPT  another way than the schema's, or a line that cannot be
 *                      understood. */
int dataset_featurizer_adopt(struct dataset_build *b,
                             const char *head,
                             size_t size,
                             struct err *e);

/* Append the features of (@size) bytes at @text to part->rows, transformed and
 * normalized as part->build says.
 *
 * Errors: ERR_CORRUPT: not UTF-8; ERR_NOMEM. */
int dataset_featurize(struct dataset_part *part,
                      const char *text,
                      size_t size,
                      uint32_t label,
                      struct err *e);

/* One string as a data set of one row for @schema, whose featurizer is set.
 *
 * Owner:  dataset_fini(d) frees it.
 * Errors: ERR_INVALID: the schema has no featurizer; ERR_CORRUPT: not UTF-8;
 *         ERR_NOMEM. */
int dataset_from_text(struct dataset *d,
                      const struct dataset_schema *schema,
                      const char *text,
                      struct err *e);

#endif /* DATASET_FEATURIZE_H_ */
