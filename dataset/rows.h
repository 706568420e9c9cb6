/* Rows under construction: growing CSR, or dense. */

#ifndef DATASET_ROWS_H_
#define DATASET_ROWS_H_

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "dataset/dataset.h"

/* All zero is empty. */
struct dataset_rows {
    uint32_t n;      /* Rows complete. */
    size_t n_values; /* Values complete or begun. */
    uint64_t *ptr;   /* (n + 1), or NULL while n is 0 and when dense. */
    uint32_t *idx;   /* (n_values), or NULL when dense. */
    float *val;      /* (n_values) */
    uint32_t *label; /* (n) */
    size_t room_rows;
    size_t room_values;
    bool dense;
};

void dataset_rows_fini(struct dataset_rows *r);

/* Forget the rows, keep the memory. */
void dataset_rows_reset(struct dataset_rows *r);

/* Make room for @n more values behind n_values. The caller writes them there,
 * and says how many by dataset_rows_end(). The arrays are there afterwards,
 * even for n = 0.
 *
 * Errors: ERR_NOMEM. */
int dataset_rows_reserve(struct dataset_rows *r, size_t n, struct err *e);

/* Complete a row of the @n values that stand behind n_values.
 *
 * Errors: ERR_NOMEM; ERR_FULL: more rows than a shard can have. */
int dataset_rows_end(struct dataset_rows *r,
                     size_t n,
                     uint32_t label,
                     struct err *e);

/* Append all rows of @from. Errors: as above. */
int dataset_rows_append(struct dataset_rows *r,
                        const struct dataset_rows *from,
                        struct err *e);

/* Transform and normalize a row of @n values in place. Rows are changed by this
 * function alone, whatever they are read from.
 *
 * Errors: ERR_CORRUPT  the logarithm of something negative; the message gives
 *                      the index from @idx (NULL: dense), from 1. */
int dataset_row_change(const struct dataset_schema *s,
                       const uint32_t *idx,
                       float *val,
                       size_t n,
                       struct err *e);

#endif /* DATASET_ROWS_H_ */
