#include "select/gram.h"

#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Columns are dealt to tasks in pieces: few, as each has its own sum, but long
 * enough for BLAS to pack. Both are constants so that threads do not matter. */
#define PIECES_MAX    8
#define PIECE_COLUMNS 1024
#define CHUNK         256 /* Columns turned to double at once. */
#define BAND          32  /* Rows of G that a task sums. */

/* Sparse vectors with more than 1 in FULL entries are multiplied as dense: that
 * is where both cost the same. */
#define FULL 6

/* Squared norms that float can have with all their digits. */
#define FLOAT_MIN 1e-28
#define FLOAT_MAX 1e38

static int no_memory(uint32_t n, struct err *e)
{
    return err_set(e, ERR_NOMEM, "inner products of %u vectors", n);
}

static size_t square(uint32_t n)
{
    return (size_t)n * n;
}

/* By the Cauchy-Schwarz inequality, the diagonal tells. */
static int check(const double *g, uint32_t n, struct err *e)
{
    for (uint32_t r = 0; r < n; r++) {
        if (!isfinite(g[(size_t)r * n + r])) {
            return err_set(e, ERR_NOT_FINITE,
                           "vector %u of %u: its squared norm is not finite", r,
                           n);
        }
    }
    return 0;
}

/* --- Pieces of columns, for dense vectors. */

struct pieces {
    const struct sv_vecs *x;     /* In float, or */
    const struct select_rows *r; /* in double. */
    const float *scale;          /* In float. */
    uint32_t n, len, n_pieces;
    float *sum32;  /* (pieces, n, n). */
    double *norm2; /* (n) in float: without scales. */
    double *sum64; /* (pieces, n, n). */
    double *chunk; /* (threads, n, CHUNK), in double. */
    double *g;
};

static void pieces_init(struct pieces *p, uint32_t n, uint32_t len)
{
    uint32_t wanted = len / PIECE_COLUMNS;

    p->n = n;
    p->len = len;
    p->n_pieces = wanted < 1 ? 1 : wanted > PIECES_MAX ? PIECES_MAX : wanted;
}

/* Where piece @index begins, on a cache line. */
static uint32_t piece_from(const struct pieces *p, size_t index)
{
    if (index == p->n_pieces) {
        return p->len;
    }
    return (uint32_t)((uint64_t)p->len * index / p->n_pieces / 16 * 16);
}

static void piece32(void *arg, size_t index, size_t thread)
{
    const struct pieces *p = arg;
    uint32_t from = piece_from(p, index);

    (void)thread;
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)p->n,
                (int)(piece_from(p, index + 1) - from), 1, p->x->val + from,
                (int)p->x->ld, 0, p->sum32 + index * square(p->n), (int)p->n);
}

static void fold32(void *arg, size_t index, size_t thread)
{
    const struct pieces *p = arg;
    const uint32_t n = p->n;

    (void)thread;
    for (uint32_t r = (uint32_t)index * BAND; r < n && r / BAND == index; r++) {
        double a = p->scale == NULL ? 1 : (double)p->scale[r], sum = 0;
        for (uint32_t s = 0; s <= r; s++) {
            const float *from = p->sum32 + (size_t)r * n + s;
            sum = 0;
            for (uint32_t i = 0; i < p->n_pieces; i++) {
                sum += (double)from[i * square(n)];
            }
            p->g[(size_t)r * n + s] =
                a * (p->scale == NULL ? 1 : (double)p->scale[s]) * sum;
        }
        p->norm2[r] = sum;
    }
}

static void piece64(void *arg, size_t index, size_t thread)
{
    const struct pieces *p = arg;
    double *chunk = p->chunk + thread * p->n * CHUNK;
    double *sum = p->sum64 + index * square(p->n);
    uint32_t to = piece_from(p, index + 1);

    memset(sum, 0, square(p->n) * sizeof *sum);
    for (uint32_t from = piece_from(p, index); from < to; from += CHUNK) {
        uint32_t width = to - from < CHUNK ? to - from : CHUNK;
        select_rows_columns(p->r, from, width, chunk);
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)p->n,
                    (int)width, 1, chunk, (int)width, 1, sum, (int)p->n);
    }
}

static void mirror(double *g, uint32_t n)
{
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t s = 0; s < r; s++) {
            g[(size_t)s * n + r] = g[(size_t)r * n + s];
        }
    }
}

/* Whether float has done for @x what double would. */
static bool fits_float(const struct sv_vecs *x, const double *norm2)
{
    for (uint32_t r = 0; r < x->n; r++) {
        struct sv_vec v = sv_vecs_get(x, r);
        uint32_t i = 0;
        if (norm2[r] >= FLOAT_MIN && norm2[r] <= FLOAT_MAX) {
            continue;
        }
        while (i < v.nnz && v.val[i] == 0) {
            i++;
        }
        if (i < v.nnz) {
            return false;
        }
    }
    return true;
}

static int gram_dense(const struct sv_vecs *x,
                      const float *scale,
                      struct pool *pool,
                      double *g,
                      struct err *e)
{
    struct pieces p = {.x = x, .scale = scale, .g = g};
    struct select_rows rows = {0};
    bool fits;

    pieces_init(&p, x->n, x->len);
    p.sum32 = malloc(p.n_pieces * square(p.n) * sizeof *p.sum32);
    p.norm2 = malloc(p.n * sizeof *p.norm2);
    if (p.sum32 == NULL || p.norm2 == NULL) {
        free(p.sum32);
        free(p.norm2);
        return no_memory(p.n, e);
    }
    pool_run(pool, p.n_pieces, piece32, &p);
    pool_run(pool, (p.n + BAND - 1) / BAND, fold32, &p);
    fits = fits_float(x, p.norm2);
    free(p.sum32);
    free(p.norm2);
    if (!fits) {
        select_rows_put(&rows, x, scale);
        return select_gram_exact(&rows, pool, g, e);
    }
    mirror(g, p.n);
    return check(g, p.n, e);
}

int select_gram_exact(const struct select_rows *r,
                      struct pool *pool,
                      double *g,
                      struct err *e)
{
    struct pieces p = {.r = r, .g = g};
    size_t threads = pool_threads(pool);

    if (r->n == 0) {
        return 0;
    }
    pieces_init(&p, r->n, r->len);
    p.sum64 = malloc(p.n_pieces * square(p.n) * sizeof *p.sum64);
    p.chunk = malloc(threads * p.n * CHUNK * sizeof *p.chunk);
    if (p.sum64 == NULL || p.chunk == NULL) {
        free(p.sum64);
        free(p.chunk);
        return no_memory(p.n, e);
    }
    pool_run(pool, p.n_pieces, piece64, &p);
    memcpy(g, p.sum64, square(p.n) * sizeof *g);
    for (uint32_t i = 1; i < p.n_pieces; i++) {
        cblas_daxpy((int)square(p.n), 1, p.sum64 + i * square(p.n), 1, g, 1);
    }
    free(p.sum64);
    free(p.chunk);
    mirror(g, p.n);
    return check(g, p.n, e);
}

/* --- Columns, for sparse vectors. */

#define RADIX_BITS 11
#define RADIX      (1u << RADIX_BITS)

struct entry {
    uint32_t column;
    uint32_t row;
    float val;
};

struct columns {
    struct entry *entries; /* (n_entries) by column, then row. */
    size_t n_entries;
    const float *scale;
    double *g;
    uint32_t n;
};

/* One pass of a stable sort by digit. */
static void
sort_digit(const struct entry *from, struct entry *to, size_t n, uint32_t shift)
{
    size_t at[RADIX] = {0}, sum = 0;

    for (size_t i = 0; i < n; i++) {
        at[from[i].column >> shift & (RADIX - 1)]++;
    }
    for (uint32_t d = 0; d < RADIX; d++) {
        size_t count = at[d];
        at[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++) {
        to[at[from[i].column >> shift & (RADIX - 1)]++] = from[i];
    }
}

/* Entries of @x by column, in memory of twice as many at @room. Sorting them
 * costs less than a table of all columns where vectors are long. */
static struct entry *transpose(const struct sv_vecs *x, struct entry *room)
{
    size_t n = sv_vecs_entries(x), at = 0;
    struct entry *from = room, *to = room + n;

    for (uint32_t r = 0; r < x->n; r++) {
        for (uint32_t i = x->ptr[r]; i < x->ptr[r + 1]; i++) {
            from[at++] = (struct entry){x->idx[i], r, x->val[i]};
        }
    }
    for (uint32_t shift = 0; shift < 32 && (x->len - 1) >> shift != 0;
         shift += RADIX_BITS) {
        struct entry *swap = from;
        sort_digit(from, to, n, shift);
        from = to;
        to = swap;
    }
    return from;
}

/* Rows of G from @lo below @hi, of one column with entries [begin, end). */
static void column_add(const struct columns *c,
                       const struct entry *begin,
                       const struct entry *end,
                       uint32_t lo,
                       uint32_t hi)
{
    for (const struct entry *a = begin; a < end && a->row < hi; a++) {
        double *g = c->g + (size_t)a->row * c->n;
        if (a->row < lo) {
            continue;
        }
        for (const struct entry *b = begin; b <= a; b++) {
            g[b->row] += (double)a->val * (double)b->val;
        }
    }
}

static void band_task(void *arg, size_t index, size_t thread)
{
    const struct columns *c = arg;
    const struct entry *a = c->entries, *end = a + c->n_entries;
    uint32_t lo = (uint32_t)index * BAND;
    uint32_t hi = c->n - lo < BAND ? c->n : lo + BAND;

    (void)thread;
    memset(c->g + (size_t)lo * c->n, 0,
           (size_t)(hi - lo) * c->n * sizeof *c->g);
    while (a < end) {
        const struct entry *next = a;
        while (next < end && next->column == a->column) {
            next++;
        }
        column_add(c, a, next, lo, hi);
        a = next;
    }
    for (uint32_t r = lo; c->scale != NULL && r < hi; r++) {
        for (uint32_t s = 0; s <= r; s++) {
            c->g[(size_t)r * c->n + s] *=
                (double)c->scale[r] * (double)c->scale[s];
        }
    }
}

static int gram_sparse(const struct sv_vecs *x,
                       const float *scale,
                       struct pool *pool,
                       double *g,
                       struct err *e)
{
    struct columns c = {.scale = scale, .g = g, .n = x->n};
    struct entry *room;

    c.n_entries = sv_vecs_entries(x);
    room = malloc((2 * c.n_entries + 1) * sizeof *room);
    if (room == NULL) {
        return no_memory(c.n, e);
    }
    c.entries = transpose(x, room);
    pool_run(pool, (c.n + BAND - 1) / BAND, band_task, &c);
    free(room);
    mirror(g, c.n);
    return check(g, c.n, e);
}

int select_gram(const struct sv_vecs *x,
                const float *scale,
                struct pool *pool,
                double *g,
                struct err *e)
{
    struct select_rows rows = {0};

    if (x->n == 0) {
        return 0;
    }
    if (!x->sparse) {
        return gram_dense(x, scale, pool, g, e);
    }
    if (sv_vecs_entries(x) < (size_t)x->n * x->len / FULL) {
        return gram_sparse(x, scale, pool, g, e);
    }
    select_rows_put(&rows, x, scale);
    return select_gram_exact(&rows, pool, g, e);
}
