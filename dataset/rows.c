#include "dataset/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX ((size_t)UINT32_MAX - 1)

void dataset_rows_fini(struct dataset_rows *r)
{
    free(r->ptr);
    free(r->idx);
    free(r->val);
    free(r->label);
    memset(r, 0, sizeof *r);
}

void dataset_rows_reset(struct dataset_rows *r)
{
    r->n = 0;
    r->n_values = 0;
}

/* Grow *array to @room elements of @size bytes. */
static int grow(void *array, size_t room, size_t size, struct err *e)
{
    void **a = array;
    void *p = room > SIZE_MAX / size ? NULL : realloc(*a, room * size);

    if (p == NULL) {
        return err_set(e, ERR_NOMEM, "%zu values of %zu bytes", room, size);
    }
    *a = p;
    return 0;
}

/* A third more at a time: realloc moves pages, not bytes, and what is not yet
 * written costs no memory. */
static size_t more(size_t room, size_t need)
{
    size_t want = room + room / 3 + 16;
    return want < need ? need : want;
}

int dataset_rows_reserve(struct dataset_rows *r, size_t n, struct err *e)
{
    size_t room;
    int rc;

    if (r->val != NULL && n <= r->room_values - r->n_values) {
        return 0;
    }
    room = more(r->room_values, r->n_values + n);
    rc = grow(&r->val, room, sizeof *r->val, e);
    if (rc == 0 && !r->dense) {
        rc = grow(&r->idx, room, sizeof *r->idx, e);
    }
    if (rc == 0) {
        r->room_values = room;
    }
    return rc;
}

static int reserve_rows(struct dataset_rows *r, size_t n, struct err *e)
{
    size_t room;
    int rc;

    if (r->n + n > ROWS_MAX) {
        return err_set(e, ERR_FULL, "more than %zu rows", ROWS_MAX);
    }
    if (r->n + n <= r->room_rows) {
        return 0;
    }
    room = more(r->room_rows, r->n + n);
    rc = grow(&r->label, room, sizeof *r->label, e);
    if (rc == 0 && !r->dense) {
        rc = grow(&r->ptr, room + 1, sizeof *r->ptr, e);
    }
    if (rc == 0) {
        r->room_rows = room;
    }
    return rc;
}

int dataset_rows_end(struct dataset_rows *r,
                     size_t n,
                     uint32_t label,
                     struct err *e)
{
    int rc = reserve_rows(r, 1, e);

    if (rc != 0) {
        return rc;
    }
    r->n_values += n;
    r->label[r->n++] = label;
    if (!r->dense) {
        r->ptr[0] = 0;
        r->ptr[r->n] = r->n_values;
    }
    return 0;
}

int dataset_rows_append(struct dataset_rows *r,
                        const struct dataset_rows *from,
                        struct err *e)
{
    int rc;

    if (from->n == 0) {
        return 0;
    }
    rc = reserve_rows(r, from->n, e);
    if (rc == 0) {
        rc = dataset_rows_reserve(r, from->n_values, e);
    }
    if (rc != 0) {
        return rc;
    }
    memcpy(r->label + r->n, from->label, from->n * sizeof *r->label);
    if (from->n_values > 0) {
        memcpy(r->val + r->n_values, from->val,
               from->n_values * sizeof *r->val);
    }
    if (!r->dense) {
        r->ptr[0] = 0;
        for (uint32_t i = 1; i <= from->n; i++) {
            r->ptr[r->n + i] = r->n_values + from->ptr[i];
        }
        if (from->n_values > 0) {
            memcpy(r->idx + r->n_values, from->idx,
                   from->n_values * sizeof *r->idx);
        }
    }
    r->n += from->n;
    r->n_values += from->n_values;
    return 0;
}

static void make_binary(float *val, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        val[i] = val[i] != 0.0f ? 1.0f : 0.0f;
    }
}

static int take_log(const uint32_t *idx, float *val, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (val[i] < 0.0f) {
            size_t k = idx != NULL ? idx[i] : i;
            return err_set(
                e, ERR_CORRUPT,
                "index %zu: log1p of %g: values must not be negative", k + 1,
                (double)val[i]);
        }
        val[i] = log1pf(val[i]);
    }
    return 0;
}

static void make_unit(float *val, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += (double)val[i] * (double)val[i];
    }
    if (sum > 0) {
        double scale = 1 / sqrt(sum);
        for (size_t i = 0; i < n; i++) {
            val[i] = (float)((double)val[i] * scale);
        }
    }
}

int dataset_row_change(const struct dataset_schema *s,
                       const uint32_t *idx,
                       float *val,
                       size_t n,
                       struct err *e)
{
    int rc = 0;

    if (s->transform == DATASET_TRANSFORM_BINARY) {
        make_binary(val, n);
    } else if (s->transform == DATASET_TRANSFORM_LOG1P) {
        rc = take_log(idx, val, n, e);
    }
    if (rc == 0 && s->normalize == DATASET_NORMALIZE_L2) {
        make_unit(val, n);
    }
    return rc;
}
