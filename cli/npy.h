/* Writing matrices as .npy files, which numpy.load() reads.
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

#ifndef CLI_NPY_H_
#define CLI_NPY_H_

#include "core/err.h"
#include "core/mat.h"

/* Write @m to @path, whole or not at all: it is written to "@path.partial" and
 * renamed when it is on disk. A file that was there is replaced.
 *
 * Errors: ERR_FULL, ERR_IO, ERR_NOT_FOUND (no such directory), ERR_NOMEM.
 *         What was at @path stays. */
int npy_write(const char *path, const struct mat *m, struct err *e);

#endif /* CLI_NPY_H_ */
