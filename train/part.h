/* Rows of a dense update on their way: what is summed over peers piece by piece
 * (train/reduce.h).
 *
 *     offset  size  field
 *          0     4  n, rows
 *          4     4  width, floats of a row
 *          8     4  1: the rows are listed; 0: they are all rows of the piece
 *         12    4n  listed: their numbers in the piece, ascending
 *          -     -  (n, width) f32
 *
 * The sum of two parts that have all rows has all rows; otherwise it lists
 * those that one of them has. An element is one f32 addition, or what the one
 * part has. Little-endian.
 */

#ifndef TRAIN_PART_H_
#define TRAIN_PART_H_

#include "train/reduce.h"

#define TRAIN_PART_HEAD_SIZE 12

/* A part that has been checked. */
struct train_part {
    uint32_t n, width;
    const uint8_t *rows;   /* (n) u32, or NULL: all. */
    const uint8_t *values; /* (n, width) f32. */
};

/* Bytes of a part. */
size_t train_part_size(uint32_t n, uint32_t width, bool listed);

/* Write the head of a part of that size to @to. Returns where its rows (if
 * listed) and then its values go. */
uint8_t *train_part_begin(uint8_t *to, uint32_t n, uint32_t width, bool listed);

/* Errors: ERR_CORRUPT. */
int train_part_read(struct train_part *p,
                    struct train_reduce_part bytes,
                    struct err *e);

/* The number of row @i of @p. */
uint32_t train_part_row(const struct train_part *p, uint32_t i);

/* For train_reduce_options.add; @arg is not used. */
int train_part_add(void *arg,
                   struct train_reduce_part a,
                   struct train_reduce_part b,
                   size_t head_size,
                   struct blob **sum,
                   struct err *e);

#endif /* TRAIN_PART_H_ */
