/* Bytes of a file, whether it is compressed or not.
 *
 * What begins with the two bytes of gzip is decompressed; files of several
 * gzip members are one stream. Messages do not name the file: callers do.
 */

#ifndef DATASET_INPUT_H_
#define DATASET_INPUT_H_

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

#define INPUT_HEAD_SIZE ((size_t)65536) /* Bytes that can be looked at. */

struct dataset_input;

/* Errors: ERR_NOT_FOUND, ERR_IO, ERR_NOMEM; ERR_CORRUPT: bad gzip data. */
int dataset_input_open(struct dataset_input **in,
                       const char *path,
                       struct err *e);

/* Read @size bytes at @data, which outlive the input, as if they were a file.
 *
 * Errors: ERR_NOMEM; ERR_CORRUPT: bad gzip data. */
int dataset_input_open_memory(struct dataset_input **in,
                              const void *data,
                              size_t size,
                              struct err *e);

void dataset_input_close(struct dataset_input *in);

/* The first bytes, INPUT_HEAD_SIZE of them unless the file is shorter, without
 * taking them. A '\n' that is not of the file stands behind them. Valid until
 * the first read. */
const char *dataset_input_head(const struct dataset_input *in, size_t *size);

/* Fill @data, and write to @n how many bytes that were: less than @room only
 * at the end.
 *
 * Errors: ERR_IO, ERR_NOMEM; ERR_CORRUPT: bad gzip data. */
int dataset_input_read(struct dataset_input *in,
                       void *data,
                       size_t room,
                       size_t *n,
                       struct err *e);

/* Begin again at the first byte.
 *
 * Errors: ERR_IO  it is a pipe. */
int dataset_input_rewind(struct dataset_input *in, struct err *e);

bool dataset_input_is_gzip(const struct dataset_input *in);

/* The file descriptor, or -1 if the bytes are in memory; then @data and @size
 * say where. */
int dataset_input_fd(const struct dataset_input *in,
                     const void **data,
                     size_t *size);

#endif /* DATASET_INPUT_H_ */
