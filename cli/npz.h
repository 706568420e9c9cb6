/* Several arrays in one file, as numpy.load() reads them: an uncompressed zip
 * archive of .npy files.
 *
 * Each entry is a local header, its name ("W.npy") and the file; at the end
 * stands a directory of them. Sizes and offsets are 32 bits.
 *
 * Source: APPNOTE.TXT of PKWARE, 4.3.
 */

#ifndef CLI_NPZ_H_
#define CLI_NPZ_H_

#include "core/err.h"
#include "core/npy.h"

#define NPZ_NAME_SIZE 64

struct npz_array {
    char name[NPZ_NAME_SIZE]; /* As numpy knows it: without ".npy". */
    struct npy_rows rows;
};

/* Write @arrays (n) to @path, whole or not at all: to "@path.partial", which is
 * renamed when it is on disk. A file that was there is replaced.
 *
 * Errors: ERR_INVALID  the file would have 4 GiB or more; ERR_FULL, ERR_IO,
 *         ERR_NOT_FOUND (no such directory), ERR_NOMEM. What was at @path
 *         stays. */
int npz_write(const char *path,
              const struct npz_array *arrays,
              size_t n,
              struct err *e);

#endif /* CLI_NPZ_H_ */
