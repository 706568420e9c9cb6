/* Matrices as .npy files, which numpy.load() reads.
 *
 *     offset  size  field
 *          0     6  "\x93NUMPY"
 *          6     2  version, 1 and 0
 *          8     2  bytes of the text that follows, little-endian
 *         10     -  "{'descr': '<f4', 'fortran_order': False, 'shape': (K, J),
 *                   }", spaces, and a newline, so that the elements begin at a
 *                   multiple of 64
 *          -  4KJ  elements, row by row, little-endian f32, no padding
 */

#ifndef CORE_NPY_H_
#define CORE_NPY_H_

#include <stdint.h>

#include "core/err.h"
#include "core/mat.h"

/* Rows of floats: a matrix, or a vector with J = 1. */
struct npy_rows {
    const float *data; /* (K, ld). */
    size_t K, J, ld;
};

static inline struct npy_rows npy_rows_of(const struct mat *m)
{
    return (struct npy_rows){
        .data = m->data, .K = m->K, .J = m->J, .ld = m->ld};
}

/* Bytes of the whole file. */
uint64_t npy_size(const struct npy_rows *x);

/* Hand the file to @put, piece by piece. Returns what @put returned if that was
 * not 0. */
int npy_put(const struct npy_rows *x,
            int (*put)(void *arg, const void *data, size_t size, struct err *e),
            void *arg,
            struct err *e);

/* Write @m to @path, whole or not at all: it is written to "@path.partial" and
 * renamed when it is on disk. A file that was there is replaced.
 *
 * Errors: ERR_FULL, ERR_IO, ERR_NOT_FOUND (no such directory), ERR_NOMEM.
 *         What was at @path stays. */
int npy_write(const char *path, const struct mat *m, struct err *e);

/* Read a file of (K, J) that npy_put() has made into rows that lie @ld floats
 * apart. Errors: ERR_CORRUPT: it is another file, or of another shape. */
int npy_get(float *to,
            size_t K,
            size_t J,
            size_t ld,
            const uint8_t *file,
            size_t size,
            struct err *e);

#endif /* CORE_NPY_H_ */
