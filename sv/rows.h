/* A block of rows: neighbouring rows of a replica, or what is added to them, as
 * plain numbers.
 *
 * A row of a state is `width` floats, one behind the other, without padding:
 *
 *     W[k][0..J)   aux[k][0..J) if the rule has aux   h[k] if the rule has h
 *
 * A record SV_RECORD_ROWS holds one block. Its sequence tells apart those of
 * one clock, origin and matrix. Payload:
 *
 *     offset  size  field
 *          0     1  form of the numbers: 0, f32
 *          1     3  reserved, zero
 *          4     4  first row
 *          8     4  n, rows, from 1
 *         12     4  width, floats of a row, from 1
 *         16     -  (n, width) numbers
 *
 * It is valid iff the form is known, reserved bytes are zero, first + n is at
 * most SV_LEN_MAX, and the numbers are all that follows.
 */

#ifndef SV_ROWS_H_
#define SV_ROWS_H_

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "sv/apply.h"
#include "sv/record.h"

#define SV_ROWS_HEAD_SIZE 16 /* Bytes of the payload before the numbers. */

struct sv_row_block {
    uint32_t first; /* Row of the matrix. */
    uint32_t n;     /* Rows. */
    uint32_t width; /* Floats of a row. */
    float *values;  /* (n, width). Owned. */
    size_t room;    /* Floats allocated at values. */
};

/* An empty block. Owns no memory yet. */
void sv_rows_init(struct sv_row_block *b);
void sv_rows_fini(struct sv_row_block *b);

/* Make it @n rows from @first on; what they hold is then for the caller to
 * write. Keeps its memory. Errors: ERR_NOMEM. */
int sv_rows_resize(struct sv_row_block *b,
                   uint32_t first,
                   uint32_t n,
                   uint32_t width,
                   struct err *e);

/* Floats of a row of @s. */
uint32_t sv_rows_width(const struct sv_state *s);

/* Whether the rows of @b are rows of @s. */
bool sv_rows_fit(const struct sv_row_block *b, const struct sv_state *s);

/* Copy rows [first, first + n) of @s to @to, (n, width). */
void sv_rows_copy(float *to,
                  const struct sv_state *s,
                  uint32_t first,
                  uint32_t n);

/* Append the record of @b. @r gives view, origin, clock, matrix and sequence.
 * Errors: ERR_NOMEM, ERR_INVALID (too large). */
int sv_rows_encode(struct buf *out,
                   const struct sv_record *r,
                   const struct sv_row_block *b,
                   struct err *e);

/* Read the record at @data, of which @size bytes are there. @b is as it was if
 * it fails. Errors: those of sv_record_read(), ERR_CORRUPT (the payload is not
 * as above), ERR_NOMEM. */
int sv_rows_decode(struct sv_row_block *b,
                   struct sv_record *r,
                   const uint8_t *data,
                   size_t size,
                   struct err *e);

#endif /* SV_ROWS_H_ */
