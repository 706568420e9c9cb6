/* Dense rows of fixed size, with labels in a file of their own: what IDX and
 * npy have in common. */

#ifndef DATASET_DENSE_H_
#define DATASET_DENSE_H_

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/input.h"

#define DENSE_COLUMNS_MAX ((uint64_t)1 << 26)

enum dataset_type { /* Little-endian. */
                    DENSE_U8,
                    DENSE_I8,
                    DENSE_U16,
                    DENSE_I16,
                    DENSE_U32,
                    DENSE_I32,
                    DENSE_I64,
                    DENSE_F32,
                    DENSE_F64
};

/* The elements of an array in a file. */
struct dataset_array {
    enum dataset_type type;
    float scale;        /* Elements are multiplied by it. */
    uint64_t n_rows;    /* Length of the first dimension. */
    uint64_t n_columns; /* Product of the others; 1 if there are none. */
    unsigned n_dims;
};

/* Read the header of a file, up to the first element. */
typedef int (*dataset_array_fn)(struct dataset_input *in,
                                struct dataset_array *a,
                                struct err *e);

/* Where labels may lie, if the user does not say: a name made of @path, number
 * @i. False if there are no more. @room bytes at @to. */
typedef bool (*dataset_guess_fn)(const char *path,
                                 unsigned i,
                                 char *to,
                                 size_t room);

/* Read rows from @in and labels from b->o->labels, or from the first guess that
 * exists. Without, rows have no labels. @path is the name of @in.
 *
 * Errors: ERR_CORRUPT: not what the header says, a value is not finite, or the
 *         labels do not fit; ERR_NOT_FOUND, ERR_IO, ERR_NOMEM. */
int dataset_dense_read(struct dataset_build *b,
                       struct dataset_input *in,
                       const char *path,
                       dataset_array_fn read_header,
                       dataset_guess_fn guess,
                       struct err *e);

/* Read exactly @size bytes.
 *
 * Errors: ERR_CORRUPT: the file ends before; ERR_IO, ERR_NOMEM. */
int dataset_dense_get(struct dataset_input *in,
                      void *to,
                      size_t size,
                      struct err *e);

#endif /* DATASET_DENSE_H_ */
