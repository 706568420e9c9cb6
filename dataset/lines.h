/* Text files, line by line, on all threads of a pool.
 *
 * The file is cut into blocks at line ends. While the pool parses the blocks of
 * one window, one of its threads reads (and decompresses) the next window, and
 * counts its rows: so every line knows its number, and every row its shard,
 * before it is parsed. Parts are put together in the order of the file; of
 * several errors the one in the first line is reported. So the result depends
 * neither on the threads nor on the size of the blocks.
 */

#ifndef DATASET_LINES_H_
#define DATASET_LINES_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "dataset/build.h"
#include "dataset/input.h"
#include "dataset/names.h"
#include "dataset/rows.h"

#define LINES_BLOCK_SIZE ((size_t)1 << 20) /* Bytes of text in a task. */

/* What has been made of a block of lines. */
struct dataset_part {
    const struct dataset_build *build; /* Read only. */
    struct dataset_rows rows;          /* Own ones. */
    struct dataset_names labels;       /* Of all rows of the block. */
    uint32_t n_features;               /* Largest index of all rows, from 1. */
    uint64_t n_unknown_features;
    struct buf scratch; /* For the parser. */
};

struct dataset_line {
    const char *p;
    const char *end; /* Where "\n" or "\r\n" stands. */
    bool own;        /* Its row belongs to the shard. Else it ends with
                      * dataset_part_skip(). */
};

/* How lines become rows. */
struct dataset_line_format {
    bool comments;   /* Lines that begin with '#' are no rows. */
    unsigned growth; /* Bytes of a row per byte of its line, about; from 1. So
                      * much smaller are the blocks that are in memory. */

    /* Put a line's label into part->labels, its last index into n_features,
     * and, if it is an own one, its row into part->rows.
     *
     * Thread: on any, with a part of its own.
     * Errors: ERR_CORRUPT with what was expected; the caller adds the line. */
    int (*parse)(struct dataset_part *part,
                 const struct dataset_line *line,
                 struct err *e);
};

/* Read all lines of @in into @b. @block_size is LINES_BLOCK_SIZE but in tests.
 *
 * Errors: ERR_CORRUPT ("line 812: ..."), ERR_IO, ERR_NOMEM. */
int dataset_lines_read(struct dataset_build *b,
                       struct dataset_input *in,
                       const struct dataset_line_format *f,
                       size_t block_size,
                       struct err *e);

/* End a line that is not an own one: keep its label if labels are all that is
 * wanted. Errors: ERR_NOMEM, ERR_FULL. */
int dataset_part_skip(struct dataset_part *part, uint32_t label, struct err *e);

/* Put a label into part->labels: "+1" is the same as "1".
 *
 * Errors: ERR_CORRUPT: not UTF-8; ERR_NOMEM. */
int dataset_part_label(struct dataset_part *part,
                       const char *name,
                       size_t size,
                       uint32_t *id,
                       struct err *e);

#define QUOTE_SIZE 48

/* The beginning of (@size) bytes at @p for a message: '"abc"', with '?' for
 * what cannot be printed and ".." for what is left out. */
const char *dataset_quote(char to[QUOTE_SIZE], const char *p, size_t size);

#endif /* DATASET_LINES_H_ */
