/* A replica, cut into pieces: neighbouring rows of a matrix, with all that its
 * rule keeps beside them. They are what train/exchange.h moves. */

#ifndef TRAIN_PIECES_H_
#define TRAIN_PIECES_H_

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "sv/apply.h"

#define TRAIN_PIECE_FLOATS ((size_t)1 << 18) /* About; 1 MiB. */

struct train_piece {
    uint16_t matrix;
    uint32_t number; /* Of the pieces of that matrix. */
    uint32_t first;  /* Row. */
    uint32_t n;      /* Rows, from 1. */
    uint32_t width;  /* Floats of a row: sv_rows_width(). */
};

struct train_pieces {
    uint32_t n;
    struct train_piece *at; /* (n) by matrix and row. Owned. */
    uint32_t *floats;       /* (n) of each. Owned. */
};

/* Cut @states into pieces of at most @floats_max numbers, but a row at least.
 * Errors: ERR_NOMEM; ERR_INVALID (too many pieces, or rows too long). */
int train_pieces_init(struct train_pieces *p,
                      const struct sv_state *states,
                      size_t n_states,
                      size_t floats_max,
                      struct err *e);
void train_pieces_fini(struct train_pieces *p);

#endif /* TRAIN_PIECES_H_ */
