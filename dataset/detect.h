/* Which format a file has, by its first bytes. */

#ifndef DATASET_DETECT_H_
#define DATASET_DETECT_H_

#include <stddef.h>

enum dataset_format {
    DATASET_LIBSVM,
    DATASET_TEXT,
    DATASET_LDAC,
    DATASET_BOW,
    DATASET_TRIPLES,
    DATASET_IDX,
    DATASET_NPY,
    DATASET_BIN
};

/* Binary formats are known by their magic numbers. Text is known by what all
 * lines have in common that end within the (@size) bytes at @head, comments
 * and empty ones left aside; the first rule that fits holds:
 *
 *   LIBSVM        a name in ".svm"
 *   bag of words  three lines of one number, then lines of three
 *   triples       lines of three numbers
 *   LDA-C         a name in ".ldac", or "n i:x ..." with n always the number of
 *                 pairs, and an index 0 somewhere
 *   LIBSVM        words, all but the first of them "i:x": all lines, or half
 *   text          the rest
 *
 * head[size] is readable and '\n', as that of dataset_input_head() is. @name
 * may be NULL; ".gz" at its end does not count. */
enum dataset_format
dataset_detect(const char *name, const char *head, size_t size);

const char *dataset_format_name(enum dataset_format f);

#endif /* DATASET_DETECT_H_ */
