/* Rows from (row, column, value) entries in any order. */

#ifndef DATASET_COO_H_
#define DATASET_COO_H_

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "dataset/build.h"

/* Ids may begin at 0 or at 1, and which it is may be known at the end only. So
 * what would be an own entry either way is kept, and the rest left out then. */
struct dataset_coo {
    const char *row_name; /* "user", "document": for messages. */
    const char *col_name;
    struct buf entries;
    uint64_t n; /* Entries of the whole file. */
    uint64_t row_min, row_max, col_min, col_max;
};

void dataset_coo_init(struct dataset_coo *c,
                      const char *row_name,
                      const char *col_name);
void dataset_coo_fini(struct dataset_coo *c);

/* Append an entry of the file.
 *
 * Errors: ERR_CORRUPT: an id above 4294967294; ERR_NOMEM. */
int dataset_coo_add(struct dataset_coo *c,
                    const struct dataset_build *b,
                    uint64_t row,
                    uint64_t col,
                    float x,
                    struct err *e);

/* Make rows of the entries. The file has @n_rows rows and @n_cols columns whose
 * first ones are number @row_base and @col_base.
 *
 * Errors: ERR_CORRUPT: an entry is there twice, or there are far more rows than
 *         entries; ERR_NOMEM. */
struct dataset_coo_shape {
    uint64_t n_rows, n_cols;
    uint32_t row_base, col_base;
};
int dataset_coo_build(const struct dataset_coo *c,
                      const struct dataset_coo_shape *s,
                      struct dataset_build *b,
                      struct err *e);

#endif /* DATASET_COO_H_ */
