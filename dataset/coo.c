#include "dataset/coo.h"

#include <stdlib.h>
#include <string.h>

#define ID_MAX ((uint64_t)UINT32_MAX - 1)

/* More empty rows than this are a mistake, and would cost memory. */
#define ROWS_FREE      ((uint64_t)1 << 20)
#define ROWS_PER_ENTRY ((uint64_t)1024)

struct entry {
    uint32_t row; /* As in the file; of the shard once they are sorted. */
    uint32_t col;
    float x;
};

void dataset_coo_init(struct dataset_coo *c,
                      const char *row_name,
                      const char *col_name)
{
    memset(c, 0, sizeof *c);
    c->row_name = row_name;
    c->col_name = col_name;
    c->row_min = c->col_min = UINT64_MAX;
}

void dataset_coo_fini(struct dataset_coo *c)
{
    buf_fini(&c->entries);
}

static void widen(uint64_t x, uint64_t *min, uint64_t *max)
{
    *min = x < *min ? x : *min;
    *max = x > *max ? x : *max;
}

int dataset_coo_add(struct dataset_coo *c,
                    const struct dataset_build *b,
                    uint64_t row,
                    uint64_t col,
                    float x,
                    struct err *e)
{
    struct entry entry = {(uint32_t)row, (uint32_t)col, x};

    if (row > ID_MAX || col > ID_MAX) {
        return err_set(e, ERR_CORRUPT, "%s %llu is above %llu",
                       row > ID_MAX ? c->row_name : c->col_name,
                       (unsigned long long)(row > ID_MAX ? row : col),
                       (unsigned long long)ID_MAX);
    }
    widen(row, &c->row_min, &c->row_max);
    widen(col, &c->col_min, &c->col_max);
    c->n++;
    if (dataset_build_owns(b, row) ||
        (row > 0 && dataset_build_owns(b, row - 1))) {
        buf_put(&c->entries, &entry, sizeof entry);
    }
    return c->entries.failed
               ? err_set(e, ERR_NOMEM, "%llu entries", (unsigned long long)c->n)
               : 0;
}

/* Entries sorted by row, and where each row begins. */
struct sorted {
    struct entry *entries;
    uint64_t *ptr; /* (n_rows + 1) */
    uint32_t n_rows;
};

/* The row of the shard that an entry belongs to, or UINT32_MAX. */
static uint32_t
own_row(const struct dataset_build *b, const struct entry *x, uint32_t base)
{
    return x->row < base ? UINT32_MAX : dataset_build_index(b, x->row - base);
}

static int by_col(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->col < y->col ? -1 : x->col > y->col;
}

/* Counting sort by row, then each row by column. */
static void sort(const struct dataset_coo *c,
                 const struct dataset_build *b,
                 uint32_t base,
                 struct sorted *s)
{
    const struct entry *x = (const void *)c->entries.data;
    size_t n = c->entries.size / sizeof *x;
    uint32_t row;

    for (size_t i = 0; i < n; i++) {
        row = own_row(b, &x[i], base);
        s->ptr[row == UINT32_MAX ? s->n_rows : row]++;
    }
    for (uint32_t r = 1; r < s->n_rows; r++) {
        s->ptr[r] += s->ptr[r - 1];
    }
    s->ptr[s->n_rows] = s->n_rows == 0 ? 0 : s->ptr[s->n_rows - 1];
    for (size_t i = n; i-- > 0;) {
        row = own_row(b, &x[i], base);
        if (row != UINT32_MAX) {
            s->entries[--s->ptr[row]] = x[i];
        }
    }
    for (uint32_t r = 0; r < s->n_rows; r++) {
        qsort(s->entries + s->ptr[r], s->ptr[r + 1] - s->ptr[r],
              sizeof *s->entries, by_col);
    }
}

static int end_row(const struct dataset_coo *c,
                   struct dataset_build *b,
                   const struct entry *x,
                   size_t n,
                   uint32_t col_base,
                   struct err *e)
{
    struct dataset_rows *r = &b->rows;
    int rc = dataset_rows_reserve(r, n, e);
    size_t kept = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        if (i > 0 && x[i].col == x[i - 1].col) {
            return err_set(e, ERR_CORRUPT, "%s %u: %s %u is there twice",
                           c->row_name, x[i].row, c->col_name, x[i].col);
        }
        if (x[i].col - col_base < b->n_known) {
            r->idx[r->n_values + kept] = x[i].col - col_base;
            r->val[r->n_values + kept++] = x[i].x;
        } else {
            b->n_unknown_features++;
        }
    }
    if (rc == 0) {
        rc = dataset_row_change(&b->change, r->idx + r->n_values,
                                r->val + r->n_values, kept, e);
        if (rc != 0) {
            return err_wrap(e, rc, "%s %u", c->row_name, x[0].row);
        }
    }
    return rc != 0 ? rc : dataset_rows_end(r, kept, DATASET_NO_LABEL, e);
}

static int check_shape(const struct dataset_coo *c,
                       const struct dataset_coo_shape *s,
                       struct err *e)
{
    if (s->n_rows > ROWS_FREE && s->n_rows / ROWS_PER_ENTRY > c->n) {
        return err_set(e, ERR_CORRUPT,
                       "%s %llu, but there are only %llu entries", c->row_name,
                       (unsigned long long)(s->n_rows - 1 + s->row_base),
                       (unsigned long long)c->n);
    }
    return 0;
}

/* Labels are all that is wanted, and there are none. */
static int
skim(struct dataset_build *b, const struct dataset_coo_shape *s, struct err *e)
{
    int rc = 0;

    for (uint64_t r = 0; r < s->n_rows && rc == 0; r++) {
        rc = dataset_rows_end(&b->rows, 0, DATASET_NO_LABEL, e);
    }
    return rc;
}

static uint32_t count_own(const struct dataset_build *b, uint64_t n_rows)
{
    if (b->share != NULL) {
        return b->share->n;
    }
    return n_rows <= b->shard
               ? 0
               : (uint32_t)((n_rows - b->shard - 1) / b->n_shards + 1);
}

int dataset_coo_build(const struct dataset_coo *c,
                      const struct dataset_coo_shape *s,
                      struct dataset_build *b,
                      struct err *e)
{
    struct sorted t = {0};
    int rc = check_shape(c, s, e);

    if (rc != 0) {
        return rc;
    }
    b->n_rows_file = s->n_rows;
    b->n_features = (uint32_t)s->n_cols;
    if (dataset_build_skims(b)) {
        return skim(b, s, e);
    }
    t.n_rows = count_own(b, s->n_rows);
    t.entries = malloc(c->entries.size + 1);
    t.ptr = calloc((size_t)t.n_rows + 1, sizeof *t.ptr);
    if (t.entries == NULL || t.ptr == NULL) {
        rc = err_set(e, ERR_NOMEM, "%llu entries", (unsigned long long)c->n);
    } else {
        sort(c, b, s->row_base, &t);
    }
    for (uint32_t r = 0; r < t.n_rows && rc == 0; r++) {
        rc = end_row(c, b, t.entries + t.ptr[r], t.ptr[r + 1] - t.ptr[r],
                     s->col_base, e);
    }
    free(t.entries);
    free(t.ptr);
    return rc;
}
