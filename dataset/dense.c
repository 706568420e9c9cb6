#include "dataset/dense.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/log.h"

#define LABEL_SIZE 24 /* Of a 64-bit number in text. */

static const size_t SIZES[] = {
    [DENSE_U8] = 1,  [DENSE_I8] = 1,  [DENSE_U16] = 2,
    [DENSE_I16] = 2, [DENSE_U32] = 4, [DENSE_I32] = 4,
    [DENSE_I64] = 8, [DENSE_F32] = 4, [DENSE_F64] = 8};

/* A row at a time of the data and of the labels. */
struct dense {
    struct dataset_build *b;
    struct dataset_input *in;
    struct dataset_array array;
    uint8_t *row;                    /* Bytes of a row. */
    struct dataset_input *labels_in; /* NULL: no labels. */
    struct dataset_array labels;
    char labels_path[PATH_MAX];
};

int dataset_dense_get(struct dataset_input *in,
                      void *to,
                      size_t size,
                      struct err *e)
{
    size_t n;
    int rc = dataset_input_read(in, to, size, &n, e);

    if (rc == 0 && n < size) {
        rc = err_set(e, ERR_CORRUPT, "the file ends %zu bytes too early",
                     size - n);
    }
    return rc;
}

static int check_end(struct dataset_input *in, struct err *e)
{
    char byte;
    size_t n;
    int rc = dataset_input_read(in, &byte, 1, &n, e);

    if (rc == 0 && n != 0) {
        rc = err_set(e, ERR_CORRUPT, "there are bytes behind the last row");
    }
    return rc;
}

static double load_f64(const uint8_t *p)
{
    uint64_t bits = le_u64(p);
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static int64_t load_i64(const struct dataset_array *a, const uint8_t *p)
{
    switch (a->type) {
    case DENSE_U8:
        return p[0];
    case DENSE_I8:
        return (int8_t)p[0];
    case DENSE_U16:
        return le_u16(p);
    case DENSE_I16:
        return (int16_t)le_u16(p);
    case DENSE_U32:
        return le_u32(p);
    case DENSE_I32:
        return (int32_t)le_u32(p);
    default:
        return (int64_t)le_u64(p);
    }
}

static float load_f32(const struct dataset_array *a, const uint8_t *p)
{
    switch (a->type) {
    case DENSE_F32:
        return le_f32(p);
    case DENSE_F64:
        return (float)load_f64(p);
    default:
        return (float)load_i64(a, p);
    }
}

static int read_label(struct dense *s, uint64_t r, uint32_t *id, struct err *e)
{
    uint8_t bytes[8];
    char name[LABEL_SIZE];
    int rc;

    *id = DATASET_NO_LABEL;
    if (s->labels_in == NULL) {
        return 0;
    }
    rc = dataset_dense_get(s->labels_in, bytes, SIZES[s->labels.type], e);
    if (rc != 0) {
        return err_wrap(e, rc, "labels %s", s->labels_path);
    }
    snprintf(name, sizeof name, "%lld", (long long)load_i64(&s->labels, bytes));
    s->b->sum += dataset_row_hash(~r, name, strlen(name));
    rc = dataset_names_add(&s->b->labels, name, strlen(name), id);
    return rc == 0 ? 0 : err_set(e, rc, "%u labels", s->b->labels.n);
}

static int end_row(struct dense *s, uint32_t label, struct err *e)
{
    struct dataset_rows *r = &s->b->rows;
    size_t K = s->array.n_columns, size = SIZES[s->array.type];
    int rc = dataset_rows_reserve(r, K, e);
    float *x;

    if (rc != 0) {
        return rc;
    }
    x = r->val + r->n_values;
    for (size_t k = 0; k < K; k++) {
        x[k] = load_f32(&s->array, s->row + k * size) * s->array.scale;
        if (!isfinite(x[k])) {
            return err_set(e, ERR_CORRUPT, "column %zu: value is not finite",
                           k + 1);
        }
    }
    rc = dataset_row_change(&s->b->change, NULL, x, K, e);
    return rc != 0 ? rc : dataset_rows_end(r, K, label, e);
}

static int read_row(struct dense *s, uint64_t r, struct err *e)
{
    size_t size = s->array.n_columns * SIZES[s->array.type];
    uint32_t label;
    int rc = dataset_dense_get(s->in, s->row, size, e);

    if (rc == 0) {
        rc = read_label(s, r, &label, e);
    }
    if (rc == 0) {
        s->b->sum += dataset_row_hash(r, s->row, size);
        if (dataset_build_skims(s->b)) {
            rc = dataset_rows_end(&s->b->rows, 0, label, e);
        } else if (dataset_build_owns(s->b, r)) {
            rc = end_row(s, label, e);
        }
    }
    return rc == 0
               ? 0
               : err_wrap(e, rc, "row %llu of %llu", (unsigned long long)r + 1,
                          (unsigned long long)s->array.n_rows);
}

static int read_rows(struct dense *s, struct err *e)
{
    int rc = 0;

    s->b->rows.dense = true;
    s->b->n_features = (uint32_t)s->array.n_columns;
    s->row = malloc(s->array.n_columns * SIZES[s->array.type]);
    if (s->row == NULL) {
        return err_set(e, ERR_NOMEM, "%llu columns",
                       (unsigned long long)s->array.n_columns);
    }
    for (uint64_t r = 0; r < s->array.n_rows && rc == 0; r++) {
        rc = read_row(s, r, e);
        s->b->n_rows_file++;
    }
    if (rc == 0) {
        rc = check_end(s->in, e);
    }
    if (rc == 0 && s->labels_in != NULL) {
        rc = check_end(s->labels_in, e);
    }
    return rc;
}

static int check_labels(const struct dense *s, struct err *e)
{
    const struct dataset_array *a = &s->labels;

    if (a->n_dims != 1 || a->type == DENSE_F32 || a->type == DENSE_F64) {
        return err_set(e, ERR_CORRUPT,
                       "expected whole numbers in one dimension");
    }
    if (a->n_rows != s->array.n_rows) {
        return err_set(e, ERR_CORRUPT, "%llu labels for %llu rows",
                       (unsigned long long)a->n_rows,
                       (unsigned long long)s->array.n_rows);
    }
    return 0;
}

/* The name of the labels: what the user said, a guess that exists, or "". */
static void
find_labels(struct dense *s, const char *path, dataset_guess_fn guess)
{
    char *to = s->labels_path;

    if (s->b->o->labels != NULL) {
        snprintf(to, PATH_MAX, "%s", s->b->o->labels);
        return;
    }
    for (unsigned i = 0; guess(path, i, to, PATH_MAX); i++) {
        if (access(to, R_OK) == 0) {
            return;
        }
    }
    *to = '\0';
}

static int open_labels(struct dense *s,
                       const char *path,
                       dataset_array_fn read_header,
                       dataset_guess_fn guess,
                       struct err *e)
{
    int rc;

    find_labels(s, path, guess);
    if (s->labels_path[0] == '\0') {
        log_info(s->b->o->log, "%s: no file with labels beside it", path);
        return 0;
    }
    s->b->labelled = true;
    rc = dataset_input_open(&s->labels_in, s->labels_path, e);
    if (rc == 0) {
        rc = read_header(s->labels_in, &s->labels, e);
    }
    if (rc == 0) {
        rc = check_labels(s, e);
    }
    return rc == 0 ? 0 : err_wrap(e, rc, "labels %s", s->labels_path);
}

static int check_rows(const struct dense *s, struct err *e)
{
    const struct dataset_array *a = &s->array;

    if (a->n_dims < 2) {
        return err_set(e, ERR_CORRUPT,
                       "%u dimension: rows need two (are these labels?)",
                       a->n_dims);
    }
    if (a->n_columns == 0 || a->n_columns > DENSE_COLUMNS_MAX) {
        return err_set(e, ERR_CORRUPT, "%llu columns: 1 to %llu can be had",
                       (unsigned long long)a->n_columns,
                       (unsigned long long)DENSE_COLUMNS_MAX);
    }
    return 0;
}

int dataset_dense_read(struct dataset_build *b,
                       struct dataset_input *in,
                       const char *path,
                       dataset_array_fn read_header,
                       dataset_guess_fn guess,
                       struct err *e)
{
    struct dense s = {.b = b, .in = in};
    int rc = read_header(in, &s.array, e);

    if (rc == 0) {
        rc = check_rows(&s, e);
    }
    if (rc == 0) {
        rc = open_labels(&s, path, read_header, guess, e);
    }
    if (rc == 0) {
        rc = read_rows(&s, e);
    }
    free(s.row);
    dataset_input_close(s.labels_in);
    return rc;
}
