/* A file that appears under its name only when it is complete. Compressed if
 * the name ends in ".gz". Messages do not name the file: callers do. */

#ifndef DATASET_OUTPUT_H_
#define DATASET_OUTPUT_H_

#include <limits.h>
#include <stddef.h>
#include <zlib.h>

#include "core/err.h"

struct dataset_output {
    gzFile file; /* NULL: not open. */
    char path[PATH_MAX];
    char part[PATH_MAX]; /* Its name until it is complete. */
};

/* Errors: ERR_INVALID: the name is too long; ERR_NOT_FOUND: no such directory;
 *         ERR_FULL, ERR_IO, ERR_NOMEM. @o needs no abort then. */
int dataset_output_open(struct dataset_output *o,
                        const char *path,
                        struct err *e);

/* Append bytes. Errors: ERR_FULL, ERR_IO. */
int dataset_output_put(struct dataset_output *o,
                       const void *data,
                       size_t size,
                       struct err *e);

/* Complete the file. After an error nothing is left of it.
 *
 * Errors: ERR_FULL, ERR_IO. */
int dataset_output_close(struct dataset_output *o, struct err *e);

/* Give the file up, if it is open. */
void dataset_output_abort(struct dataset_output *o);

#endif /* DATASET_OUTPUT_H_ */
