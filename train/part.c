#include "train/part.h"

#include <string.h>

#include "core/buf.h"

size_t train_part_size(uint32_t n, uint32_t width, bool listed)
{
    return TRAIN_PART_HEAD_SIZE +
           (size_t)n * sizeof(float) * ((size_t)width + (listed ? 1 : 0));
}

uint8_t *train_part_begin(uint8_t *to, uint32_t n, uint32_t width, bool listed)
{
    le_put_u32(to, n);
    le_put_u32(to + 4, width);
    le_put_u32(to + 8, listed ? 1 : 0);
    return to + TRAIN_PART_HEAD_SIZE;
}

uint32_t train_part_row(const struct train_part *p, uint32_t i)
{
    return p->rows == NULL ? i : le_u32(p->rows + (size_t)i * 4);
}

int train_part_read(struct train_part *p,
                    struct train_reduce_part bytes,
                    struct err *e)
{
    bool listed;

    if (bytes.size < TRAIN_PART_HEAD_SIZE || le_u32(bytes.data + 8) > 1) {
        return err_set(e, ERR_CORRUPT, "rows of an update: bad head");
    }
    listed = le_u32(bytes.data + 8) == 1;
    *p = (struct train_part){.n = le_u32(bytes.data),
                             .width = le_u32(bytes.data + 4)};
    if ((p->n > 0 && p->width > bytes.size / sizeof(float) / p->n) ||
        bytes.size != train_part_size(p->n, p->width, listed)) {
        return err_set(e, ERR_CORRUPT,
                       "rows of an update: %u of %u floats in %zu bytes", p->n,
                       p->width, bytes.size);
    }
    p->values = bytes.data + TRAIN_PART_HEAD_SIZE;
    if (listed) {
        p->rows = p->values;
        p->values += (size_t)p->n * 4;
    }
    for (uint32_t i = 1; i < p->n && listed; i++) {
        if (train_part_row(p, i) <= train_part_row(p, i - 1)) {
            return err_set(e, ERR_CORRUPT, "rows of an update: row %u after %u",
                           train_part_row(p, i), train_part_row(p, i - 1));
        }
    }
    return 0;
}

/* x[i] = a[i] + b[i] of @n floats at any address. */
static void add(uint8_t *x, const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float y, z;
        memcpy(&y, a + 4 * i, 4);
        memcpy(&z, b + 4 * i, 4);
        y = y + z;
        memcpy(x + 4 * i, &y, 4);
    }
}

/* How many rows @a and @b have together. */
static uint32_t union_size(const struct train_part *a,
                           const struct train_part *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0, k = 0; i < a->n || k < b->n; n++) {
        uint32_t x = i < a->n ? train_part_row(a, i) : UINT32_MAX;
        uint32_t y = k < b->n ? train_part_row(b, k) : UINT32_MAX;
        i += x <= y && i < a->n;
        k += y <= x && k < b->n;
    }
    return n;
}

/* Write the rows of both: numbers to @rows, values to @values. */
static void merge(uint8_t *rows,
                  uint8_t *values,
                  const struct train_part *a,
                  const struct train_part *b)
{
    const size_t size = (size_t)a->width * sizeof(float);

    for (uint32_t i = 0, k = 0; i < a->n || k < b->n;) {
        uint32_t x = i < a->n ? train_part_row(a, i) : UINT32_MAX;
        uint32_t y = k < b->n ? train_part_row(b, k) : UINT32_MAX;
        const uint8_t *from_a = a->values + i * size;
        const uint8_t *from_b = b->values + k * size;
        bool has_a = i < a->n && x <= y, has_b = k < b->n && y <= x;
        if (has_a && has_b) {
            add(values, from_a, from_b, a->width);
        } else {
            memcpy(values, has_a ? from_a : from_b, size);
        }
        le_put_u32(rows, has_a ? x : y);
        rows += 4;
        values += size;
        i += has_a;
        k += has_b;
    }
}

int train_part_add(void *arg,
                   struct train_reduce_part a_bytes,
                   struct train_reduce_part b_bytes,
                   size_t head_size,
                   struct blob **sum,
                   struct err *e)
{
    struct train_part a, b;
    int rc = train_part_read(&a, a_bytes, e);
    bool listed;
    uint32_t n;
    uint8_t *to;

    (void)arg;
    rc = rc != 0 ? rc : train_part_read(&b, b_bytes, e);
    if (rc != 0) {
        return rc;
    }
    listed = a.rows != NULL || b.rows != NULL;
    if (a.width != b.width || (!listed && a.n != b.n)) {
        return err_set(e, ERR_CORRUPT,
                       "rows of an update: %u of %u floats and %u of %u", a.n,
                       a.width, b.n, b.width);
    }
    n = listed ? union_size(&a, &b) : a.n;
    *sum = blob_create(head_size + train_part_size(n, a.width, listed));
    if (*sum == NULL) {
        return err_set(e, ERR_NOMEM, "%u rows of an update", n);
    }
    to = train_part_begin((*sum)->data + head_size, n, a.width, listed);
    if (listed) {
        merge(to, to + (size_t)n * 4, &a, &b);
    } else {
        add(to, a.values, b.values, (size_t)n * a.width);
    }
    return 0;
}
