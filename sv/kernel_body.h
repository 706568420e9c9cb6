/* The text of the kernels, included once by each sv/kernel_<isa>.c, which
 * defines before:
 *
 *     KERNEL                  name of the table
 *     VEC, LANES              a vector of floats, and how many are in it
 *     v_load v_store v_set1 v_add v_mul v_div v_sqrt
 *     v_fma(a, b, c)          a * b + c, rounded once
 *     v_fma_some(a, b, c)     the same; c where b is NaN
 *     v_some(m, x, y)         x; y where m is NaN
 *     f_sqrt(x)               of one float
 *     TILE_ROWS               a tile is TILE_ROWS by 1, 2 or 3 TILE_STEP
 *     TILE_STEP               floats, a multiple of LANES
 *     ROW_BLOCKS              blocks of 16 floats that a row keeps in registers
 *
 * Loops over arrays of vectors have constant bounds, so that compilers keep the
 * arrays in registers.
 */

#ifndef SV_KERNEL_BODY_H_
#define SV_KERNEL_BODY_H_

#include <stdbool.h>

#include "sv/kernel.h"

#define BLOCK       16  /* Floats that rows are padded to. */
#define ROWS_AHEAD  128 /* Cache lines of W that are on their way. */
#define SCOUT_AHEAD 6   /* Entries of listed u. */
#define BLOCK_VECS  (BLOCK / LANES)
#define TILE_VECS   (TILE_STEP / LANES)
#define TILE_COLS   (3 * TILE_STEP)
#define AHEAD(B)    (ROWS_AHEAD / (B) > 16 ? 16 : ROWS_AHEAD / (B))
#define LEAF        static inline __attribute__((always_inline))

LEAF float f_fma(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

LEAF void prefetch(const float *p)
{
    __builtin_prefetch(p, 1, 3);
}

LEAF void prefetch_row(const float *p, size_t n)
{
    for (size_t i = 0; i < n; i += BLOCK) {
        prefetch(p + i);
    }
}

/* --- Dense v: tiles of W held in registers over all pairs. */

/* @ahead is the tile that follows, or NULL. */
LEAF void tile(const struct sv_strip *t,
               const float *c,
               float *w,
               size_t ld,
               const float *ahead,
               const size_t steps)
{
    VEC acc[TILE_ROWS][3 * TILE_VECS];
    const size_t n_vecs = steps * TILE_VECS;
    const float *v = t->v;

    for (size_t i = 0; i < TILE_ROWS; i++) {
        for (size_t j = 0; j < n_vecs; j++) {
            acc[i][j] = v_load(w + i * ld + j * LANES);
        }
    }
    if (ahead != NULL) {
        for (size_t i = 0; i < TILE_ROWS; i++) {
            for (size_t j = 0; j < steps * TILE_STEP; j += BLOCK) {
                prefetch(ahead + i * ld + j);
            }
        }
    }
    for (size_t r = 0; r < t->n; r++) {
        VEC x[3 * TILE_VECS];
        for (size_t j = 0; j < n_vecs; j++) {
            x[j] = v_load(c + j * LANES);
        }
        for (size_t i = 0; i < TILE_ROWS; i++) {
            VEC a = v_set1(v[i]);
            for (size_t j = 0; j < n_vecs; j++) {
                acc[i][j] = v_fma(a, x[j], acc[i][j]);
            }
        }
        v += TILE_ROWS;
        c += steps * TILE_STEP;
    }
    for (size_t i = 0; i < TILE_ROWS; i++) {
        for (size_t j = 0; j < n_vecs; j++) {
            v_store(w + i * ld + j * LANES, acc[i][j]);
        }
    }
}

static void tile_narrow(const struct sv_strip *t,
                        const float *c,
                        float *w,
                        size_t ld,
                        size_t steps)
{
    if (steps == 3) {
        tile(t, c, w, ld, NULL, 3);
    } else if (steps == 2) {
        tile(t, c, w, ld, NULL, 2);
    } else {
        tile(t, c, w, ld, NULL, 1);
    }
}

/* The last rows of W: a tile of its own, of which only some rows count. */
static void
tile_low(const struct sv_strip *t, const float *c, float *w, size_t steps)
{
    float copy[TILE_ROWS * TILE_COLS] = {0};

    for (size_t i = 0; i < t->rows; i++) {
        __builtin_memcpy(copy + i * TILE_COLS, w + i * t->ld,
                         steps * TILE_STEP * sizeof *w);
    }
    tile_narrow(t, c, copy, TILE_COLS, steps);
    for (size_t i = 0; i < t->rows; i++) {
        __builtin_memcpy(w + i * t->ld, copy + i * TILE_COLS,
                         steps * TILE_STEP * sizeof *w);
    }
}

static void strip(const struct sv_strip *t)
{
    const float *c = t->c;
    float *w = t->w;
    size_t j = 0;

    if (t->rows == TILE_ROWS) {
        for (; j + TILE_COLS <= t->cols; j += TILE_COLS) {
            const float *ahead =
                j + 2 * TILE_COLS <= t->cols ? w + TILE_COLS : NULL;
            tile(t, c, w, t->ld, ahead, 3);
            c += t->n * TILE_COLS;
            w += TILE_COLS;
        }
        if (j < t->cols) {
            tile_narrow(t, c, w, t->ld, (t->cols - j) / TILE_STEP);
        }
        return;
    }
    for (; j < t->cols; j += TILE_COLS) {
        size_t left = (t->cols - j) / TILE_STEP;
        tile_low(t, c, w, left < 3 ? left : 3);
        c += t->n * TILE_COLS;
        w += TILE_COLS;
    }
}

/* --- Row by row. */

/* Columns [j, j + 16 blocks) of all rows. */
LEAF void fma_blocks(const struct sv_rows *t,
                     size_t j,
                     const size_t blocks,
                     const bool spread)
{
    const size_t n_vecs = blocks * BLOCK_VECS;
    uint32_t e = t->begin;

    for (size_t i = 0; i < t->n; i++) {
        VEC acc[ROW_BLOCKS * BLOCK_VECS];
        float *w = t->w + t->k[i] * t->ld + j;
        if (i + AHEAD(blocks) < t->n) {
            const float *next = t->w + t->k[i + AHEAD(blocks)] * t->ld + j;
            for (size_t q = 0; q < blocks; q++) {
                prefetch(next + q * BLOCK);
            }
        }
        for (size_t q = 0; q < n_vecs; q++) {
            acc[q] = v_load(w + q * LANES);
        }
        for (; e < t->end[i]; e++) {
            const struct sv_pair *p = &t->pairs[t->pair[e]];
            const float *u = p->u + j;
            VEC a = v_set1(t->v[e]), coef = v_set1(p->coef);
            for (size_t q = 0; q < n_vecs; q++) {
                VEC x = v_load(u + q * LANES);
                acc[q] = spread ? v_fma_some(a, x, acc[q])
                                : v_fma(a, v_mul(coef, x), acc[q]);
            }
        }
        for (size_t q = 0; q < n_vecs; q++) {
            v_store(w + q * LANES, acc[q]);
        }
    }
}

#define CASE(N)                      \
    case N:                          \
        fma_blocks(t, j, N, spread); \
        break

LEAF void fma_some_blocks(const struct sv_rows *t,
                          size_t j,
                          size_t blocks,
                          const bool spread)
{
    switch (blocks) {
        CASE(1);
#if ROW_BLOCKS >= 6
        CASE(2);
        CASE(3);
        CASE(4);
        CASE(5);
        CASE(6);
#endif
#if ROW_BLOCKS >= 16
        CASE(7);
        CASE(8);
        CASE(9);
        CASE(10);
        CASE(11);
        CASE(12);
        CASE(13);
        CASE(14);
        CASE(15);
        CASE(16);
#endif
    default:
        __builtin_unreachable();
    }
}

/* Pieces of about equal width: the last one should not be a sliver that costs a
 * walk over the entries like the others. */
LEAF void fma_pieces(const struct sv_rows *t, const bool spread)
{
    size_t blocks = t->ld / BLOCK;
    size_t pieces = (blocks + ROW_BLOCKS - 1) / ROW_BLOCKS;
    size_t j = 0;

    for (; pieces > 0; pieces--) {
        size_t some = (blocks + pieces - 1) / pieces;
        fma_some_blocks(t, j, some, spread);
        blocks -= some;
        j += some * BLOCK;
    }
}

/* A row at a time where it takes several pieces, so that W is read once. */
LEAF void fma_rows(const struct sv_rows *t, const bool spread)
{
    struct sv_rows one = *t;

    if (t->ld / BLOCK <= ROW_BLOCKS) {
        fma_pieces(t, spread);
        return;
    }
    one.n = 1;
    for (size_t i = 0; i < t->n; i++) {
        one.k = t->k + i;
        one.end = t->end + i;
        if (i + 1 < t->n) {
            prefetch_row(t->w + t->k[i + 1] * t->ld, t->ld);
        }
        fma_pieces(&one, spread);
        one.begin = t->end[i];
    }
}

static void rows_fma_dense(const struct sv_rows *t)
{
    fma_rows(t, false);
}

static void rows_fma_spread(const struct sv_rows *t)
{
    fma_rows(t, true);
}

/* A reader of entries that runs ahead and sends for the cache lines of W. */
struct scout {
    size_t i;   /* Row. */
    uint32_t e; /* Entry. */
};

/* The columns of one more entry. Rows of W that take listed entries are long,
 * and W is far larger than any cache: each column is a miss. */
LEAF void scout_step(const struct sv_rows *t, struct scout *s)
{
    const struct sv_pair *p;
    const float *w;

    while (s->i < t->n && s->e == t->end[s->i]) {
        s->i++;
    }
    if (s->i == t->n) {
        return;
    }
    p = &t->pairs[t->pair[s->e++]];
    w = t->w + t->k[s->i] * t->ld;
    for (size_t q = 0; q < p->nnz; q++) {
        prefetch(w + p->idx[q]);
    }
}

static void rows_fma_listed(const struct sv_rows *t)
{
    struct scout s = {.e = t->begin};
    uint32_t e = t->begin;

    for (size_t q = 0; q < SCOUT_AHEAD; q++) {
        scout_step(t, &s);
    }
    for (size_t i = 0; i < t->n; i++) {
        float *w = t->w + t->k[i] * t->ld;
        for (; e < t->end[i]; e++) {
            const struct sv_pair *p = &t->pairs[t->pair[e]];
            float a = t->v[e];
            scout_step(t, &s);
            for (size_t q = 0; q < p->nnz; q++) {
                uint32_t j = p->idx[q];
                w[j] = f_fma(a, p->coef * p->u[q], w[j]);
            }
        }
    }
}

/* One vector of W and H stays in registers over the entries: the roots and the
 * quotients take far longer than walking over them again. */
LEAF void adagrad_row(const struct sv_rows *t,
                      size_t i,
                      uint32_t begin,
                      const bool spread)
{
    float *row_w = t->w + t->k[i] * t->ld, *row_h = t->aux + t->k[i] * t->ld;
    VEC eps = v_set1(t->eps);

    for (size_t j = 0; j < t->ld; j += LANES) {
        VEC w = v_load(row_w + j), h = v_load(row_h + j);
        for (uint32_t e = begin; e < t->end[i]; e++) {
            const struct sv_pair *p = &t->pairs[t->pair[e]];
            VEC x = v_load(p->u + j), g, h1, w1;
            if (!spread) {
                x = v_mul(v_set1(p->coef), x);
            }
            g = v_mul(v_set1(t->v[e]), x);
            h1 = v_fma(g, g, h);
            w1 = v_add(
                w, v_div(v_mul(v_set1(p->rate), g), v_sqrt(v_add(h1, eps))));
            w = spread ? v_some(x, w1, w) : w1;
            h = spread ? v_some(x, h1, h) : h1;
        }
        v_store(row_w + j, w);
        v_store(row_h + j, h);
    }
}

LEAF void adagrad_rows(const struct sv_rows *t, const bool spread)
{
    uint32_t begin = t->begin;

    for (size_t i = 0; i < t->n; i++) {
        adagrad_row(t, i, begin, spread);
        begin = t->end[i];
    }
}

static void rows_adagrad_dense(const struct sv_rows *t)
{
    adagrad_rows(t, false);
}

static void rows_adagrad_spread(const struct sv_rows *t)
{
    adagrad_rows(t, true);
}

static void rows_adagrad_listed(const struct sv_rows *t)
{
    uint32_t e = t->begin;

    for (size_t i = 0; i < t->n; i++) {
        float *w = t->w + t->k[i] * t->ld, *h = t->aux + t->k[i] * t->ld;
        for (; e < t->end[i]; e++) {
            const struct sv_pair *p = &t->pairs[t->pair[e]];
            for (size_t q = 0; q < p->nnz; q++) {
                uint32_t j = p->idx[q];
                float g = t->v[e] * (p->coef * p->u[q]);
                h[j] = f_fma(g, g, h[j]);
                w[j] = w[j] + (p->rate * g) / f_sqrt(h[j] + t->eps);
            }
        }
    }
}

/* --- rowgrad. */

/* The records come in the order of pairs, so h of each row moves on in the
 * right order, and the pairs are read front to back. Roots and quotients wait
 * until they can be had for a vector of entries at once. */
static void sort_rowgrad(const struct sv_sort *t)
{
    size_t i = 0;
    VEC eps = v_set1(t->eps);

    for (size_t r = 0; r < t->n; r++) {
        struct sv_hit x = t->from[r];
        const struct sv_pair *p = &t->pairs[x.pair];
        float *h = t->h + x.place / BLOCK * t->h_step + x.place % BLOCK;
        uint32_t at = t->at[x.place]++;
        *h = f_fma(x.v * x.v, p->s, *h);
        t->sum[at] = *h;
        t->pair[at] = x.pair;
        t->v[at] = p->rate * x.v;
    }
    for (; i + LANES <= t->n; i += LANES) {
        VEC root = v_sqrt(v_add(v_load(t->sum + i), eps));
        v_store(t->v + i, v_div(v_load(t->v + i), root));
    }
    for (; i < t->n; i++) {
        t->v[i] = t->v[i] / f_sqrt(t->sum[i] + t->eps);
    }
}

static void block_rowgrad(float *v,
                          size_t n,
                          const struct sv_pair *pairs,
                          float *h,
                          float eps)
{
    for (size_t i = 0; i < BLOCK; i += LANES) {
        VEC sum = v_load(h + i);
        for (size_t r = 0; r < n; r++) {
            VEC x = v_load(v + r * BLOCK + i);
            sum = v_fma(v_mul(x, x), v_set1(pairs[r].s), sum);
            x = v_div(v_mul(v_set1(pairs[r].rate), x),
                      v_sqrt(v_add(sum, v_set1(eps))));
            v_store(v + r * BLOCK + i, x);
        }
        v_store(h + i, sum);
    }
}

static float sum_of_squares(const float *x, size_t n, float a)
{
    VEC acc[BLOCK_VECS];
    float lane[BLOCK];
    size_t i = 0;

    for (size_t b = 0; b < BLOCK_VECS; b++) {
        acc[b] = v_set1(0);
    }
    for (; i + BLOCK <= n; i += BLOCK) {
        for (size_t b = 0; b < BLOCK_VECS; b++) {
            VEC c = v_mul(v_set1(a), v_load(x + i + b * LANES));
            acc[b] = v_fma(c, c, acc[b]);
        }
    }
    for (size_t b = 0; b < BLOCK_VECS; b++) {
        v_store(lane + b * LANES, acc[b]);
    }
    for (; i < n; i++) {
        float c = a * x[i];
        lane[i % BLOCK] = f_fma(c, c, lane[i % BLOCK]);
    }
    for (size_t apart = BLOCK / 2; apart > 0; apart /= 2) {
        for (size_t b = 0; b < apart; b++) {
            lane[b] = lane[b] + lane[b + apart];
        }
    }
    return lane[0];
}

static void scale(float *y, const float *x, size_t n, float a)
{
    VEC s = v_set1(a);
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        v_store(y + i, v_mul(s, v_load(x + i)));
    }
    for (; i < n; i++) {
        y[i] = a * x[i];
    }
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        v_store(y + i, v_add(v_load(y + i), v_load(x + i)));
    }
}

const struct sv_kernel KERNEL = {
    .lanes = LANES,
    .mr = TILE_ROWS,
    .nr = TILE_COLS,
    .strip = strip,
    .rows_fma = {rows_fma_dense, rows_fma_spread, rows_fma_listed},
    .rows_adagrad = {rows_adagrad_dense, rows_adagrad_spread,
                     rows_adagrad_listed},
    .sort_rowgrad = sort_rowgrad,
    .block_rowgrad = block_rowgrad,
    .sum_of_squares = sum_of_squares,
    .scale = scale,
    .add = add,
};

#endif /* SV_KERNEL_BODY_H_ */
