#include "train/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "sv/rows.h"

#define PIECES_MAX ((size_t)1 << 24)

static uint32_t rows_of(const struct sv_state *s, size_t floats_max)
{
    size_t n = floats_max / sv_rows_width(s);

    n = n == 0 ? 1 : n;
    return (uint32_t)(n < s->w.K ? n : s->w.K);
}

static void cut(struct train_pieces *p,
                uint16_t matrix,
                const struct sv_state *s,
                size_t floats_max)
{
    uint32_t rows = rows_of(s, floats_max), number = 0;

    for (uint32_t k = 0; k < s->w.K; k += rows) {
        uint32_t left = (uint32_t)s->w.K - k;
        struct train_piece *piece = &p->at[p->n];
        *piece = (struct train_piece){.matrix = matrix,
                                      .number = number++,
                                      .first = k,
                                      .n = left < rows ? left : rows,
                                      .width = sv_rows_width(s)};
        p->floats[p->n++] = piece->n * piece->width;
    }
}

int train_pieces_init(struct train_pieces *p,
                      const struct sv_state *states,
                      size_t n_states,
                      size_t floats_max,
                      struct err *e)
{
    size_t n = 0;

    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < n_states; i++) {
        uint32_t rows = rows_of(&states[i], floats_max);
        n += (states[i].w.K + rows - 1) / rows;
        if (n > PIECES_MAX ||
            (uint64_t)rows * sv_rows_width(&states[i]) > SV_LEN_MAX / 4) {
            return err_set(e, ERR_INVALID,
                           "matrix %zu is too large to be exchanged", i);
        }
    }
    p->at = calloc(n, sizeof *p->at);
    p->floats = calloc(n, sizeof *p->floats);
    if (p->at == NULL || p->floats == NULL) {
        train_pieces_fini(p);
        return err_set(e, ERR_NOMEM, "%zu pieces", n);
    }
    for (size_t i = 0; i < n_states; i++) {
        cut(p, (uint16_t)i, &states[i], floats_max);
    }
    return 0;
}

void train_pieces_fini(struct train_pieces *p)
{
    free(p->at);
    free(p->floats);
    memset(p, 0, sizeof *p);
}
