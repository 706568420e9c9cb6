/* Dense rows times W: GEMM with the tiles of the apply.
 *
 * Why not a BLAS: OpenBLAS knows machines by name, and falls back to kernels of
 * twenty years ago on those that are younger than it is. The tiles want rows
 * and columns packed; what is packed of W is used for many rows before the next
 * part comes, so W is read once for each ROWS of them.
 */

#include <assert.h>
#include <string.h>

#include "models/forward.h"
#include "sv/kernel.h"

#define ROWS 128 /* Rows that go past a part of W. */
#define DEPTH                                                                \
    128           /* Rows of W in a part: it stays in the first-level cache. \
                   */
#define NR_MAX 48 /* Columns in a part. */

/* What a call packs: 88 KB on the stack. */
struct packed {
    _Alignas(64) float v[ROWS * DEPTH]; /* Panels (depth, mr). */
    _Alignas(64) float w[DEPTH * NR_MAX];
};

/* A block of rows and of rows of W. */
struct piece {
    uint32_t row, n;
    uint32_t k, depth;
};

/* Rows behind the last one of a panel are zeros. */
static void pack_v(const struct forward_dense *d,
                   const struct piece *p,
                   size_t mr,
                   float *panel)
{
    for (uint32_t i = 0; i < p->n; i += (uint32_t)mr) {
        const size_t n = p->n - i < mr ? p->n - i : mr;
        if (n < mr) {
            memset(panel, 0, p->depth * mr * sizeof *panel);
        }
        for (size_t r = 0; r < n; r++) {
            const float *v = d->v + (p->row + i + r) * d->v_ld + p->k;
            for (size_t k = 0; k < p->depth; k++) {
                panel[k * mr + r] = v[k];
            }
        }
        panel += p->depth * mr;
    }
}

/* Columns [j, j + width) of all rows of @p. */
static void columns(const struct forward_dense *d,
                    const struct piece *p,
                    size_t j,
                    size_t width,
                    struct packed *packed)
{
    const struct sv_kernel *kernel = sv_kernel_get();
    const size_t ld = d->w->ld;
    struct sv_strip t = {.n = p->depth,
                         .v = packed->v,
                         .c = packed->w,
                         .w = d->x + p->row * ld + j,
                         .ld = ld,
                         .cols = width};

    for (size_t k = 0; k < p->depth; k++) {
        memcpy(packed->w + k * width, mat_row(d->w, p->k + k) + j,
               width * sizeof *packed->w);
    }
    for (size_t i = 0; i < p->n; i += kernel->mr) {
        t.rows = p->n - i < kernel->mr ? p->n - i : kernel->mr;
        kernel->strip(&t);
        t.v += p->depth * kernel->mr;
        t.w += kernel->mr * ld;
    }
}

static void begin(const struct forward_dense *d)
{
    for (uint32_t i = 0; i < d->n; i++) {
        float *x = d->x + i * d->w->ld + d->col;
        if (d->bias != NULL) {
            memcpy(x, d->bias + d->col, d->cols * sizeof *x);
        } else {
            memset(x, 0, d->cols * sizeof *x);
        }
    }
}

void forward_dense(const struct forward_dense *d)
{
    const struct sv_kernel *kernel = sv_kernel_get();
    const size_t end = d->col + d->cols;
    struct packed packed;
    struct piece p;

    assert(d->col % 16 == 0 && d->cols % 16 == 0 && end <= d->w->ld);
    assert(kernel->nr <= NR_MAX && ROWS % kernel->mr == 0);
    begin(d);
    for (p.row = 0; p.row < d->n; p.row += ROWS) {
        p.n = d->n - p.row < ROWS ? d->n - p.row : ROWS;
        for (p.k = 0; p.k < d->v_len; p.k += DEPTH) {
            p.depth = d->v_len - p.k < DEPTH ? d->v_len - p.k : DEPTH;
            pack_v(d, &p, kernel->mr, packed.v);
            for (size_t j = d->col; j < end; j += kernel->nr) {
                columns(d, &p, j, end - j < kernel->nr ? end - j : kernel->nr,
                        &packed);
            }
        }
    }
}
