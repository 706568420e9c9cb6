/* dataset_read() for bytes that need not be in a file. */

#ifndef DATASET_READ_H_
#define DATASET_READ_H_

#include "core/err.h"
#include "dataset/dataset.h"
#include "dataset/detect.h"
#include "dataset/input.h"

/* Where bytes come from. */
struct dataset_source {
    const char *path; /* A file, or a name for messages and for guessing. */
    const void *data; /* Not NULL: its content; the file is not opened. */
    size_t size;
    size_t block_size; /* Of text in a task; 0: LINES_BLOCK_SIZE. */
};

/* Read @from. Errors: as dataset_read(). */
int dataset_read_source(struct dataset *d,
                        const struct dataset_source *from,
                        const struct dataset_options *o,
                        struct err *e);

/* Find out which format a file has.
 *
 * Errors: ERR_NOT_FOUND, ERR_IO, ERR_NOMEM; ERR_CORRUPT: bad gzip data. */
int dataset_format_of(const char *path, enum dataset_format *f, struct err *e);

#endif /* DATASET_READ_H_ */
