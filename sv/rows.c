#include "sv/rows.h"

#include <stdlib.h>
#include <string.h>

#include "sv/f16.h"

#define FORM_F32 0

void sv_rows_init(struct sv_row_block *b)
{
    memset(b, 0, sizeof *b);
}

void sv_rows_fini(struct sv_row_block *b)
{
    free(b->values);
    memset(b, 0, sizeof *b);
}

int sv_rows_resize(struct sv_row_block *b,
                   uint32_t first,
                   uint32_t n,
                   uint32_t width,
                   struct err *e)
{
    size_t count = (size_t)n * width;

    if (count > b->room) {
        float *values = count > SIZE_MAX / sizeof *values
                            ? NULL
                            : realloc(b->values, count * sizeof *values);
        if (values == NULL) {
            return err_set(e, ERR_NOMEM, "%u rows of %u floats", n, width);
        }
        b->values = values;
        b->room = count;
    }
    b->first = first;
    b->n = n;
    b->width = width;
    return 0;
}

uint32_t sv_rows_width(const struct sv_state *s)
{
    size_t width = s->w.J * (s->aux.data == NULL ? 1 : 2);

    return (uint32_t)(width + (s->h == NULL ? 0 : 1));
}

bool sv_rows_fit(const struct sv_row_block *b, const struct sv_state *s)
{
    return b->width == sv_rows_width(s) && b->first <= s->w.K &&
           b->n <= s->w.K - b->first;
}

void sv_rows_copy(float *to,
                  const struct sv_state *s,
                  uint32_t first,
                  uint32_t n)
{
    const size_t J = s->w.J;

    for (size_t k = first; k < (size_t)first + n; k++) {
        memcpy(to, mat_row(&s->w, k), J * sizeof *to);
        to += J;
        if (s->aux.data != NULL) {
            memcpy(to, mat_row(&s->aux, k), J * sizeof *to);
            to += J;
        }
        if (s->h != NULL) {
            *to++ = s->h[k];
        }
    }
}

int sv_rows_encode(struct buf *out,
                   const struct sv_record *r,
                   const struct sv_row_block *b,
                   struct err *e)
{
    struct sv_record fields = *r;
    const size_t count = (size_t)b->n * b->width;
    uint8_t *payload;
    int rc;

    if (count > (SV_RECORD_PAYLOAD_MAX - SV_ROWS_HEAD_SIZE) / sizeof(float)) {
        return err_set(e, ERR_INVALID, "%u rows of %u floats are too many",
                       b->n, b->width);
    }
    payload = malloc(SV_ROWS_HEAD_SIZE + count * sizeof(float));
    if (payload == NULL) {
        return err_set(e, ERR_NOMEM, "record of %zu floats", count);
    }
    le_put_u32(payload, FORM_F32);
    le_put_u32(payload + 4, b->first);
    le_put_u32(payload + 8, b->n);
    le_put_u32(payload + 12, b->width);
    sv_f16_put(SV_VALUE_F32, payload + SV_ROWS_HEAD_SIZE, b->values, count);
    fields.kind = SV_RECORD_ROWS;
    rc = sv_record_write(out, &fields, payload,
                         SV_ROWS_HEAD_SIZE + count * sizeof(float), e);
    free(payload);
    return rc;
}

/* The head of the payload, against its size. */
static int check(const struct sv_record *r, const uint8_t *p, struct err *e)
{
    uint64_t first, n, width;

    if (r->kind != SV_RECORD_ROWS) {
        return err_set(e, ERR_CORRUPT, "rows: a record of kind %u", r->kind);
    }
    if (r->payload_size < SV_ROWS_HEAD_SIZE) {
        return err_set(e, ERR_CORRUPT, "rows: %u bytes", r->payload_size);
    }
    if (le_u32(p) != FORM_F32) {
        return err_set(e, ERR_CORRUPT, "rows: unknown form 0x%x", le_u32(p));
    }
    first = le_u32(p + 4);
    n = le_u32(p + 8);
    width = le_u32(p + 12);
    if (n == 0 || width == 0 || first + n > SV_LEN_MAX ||
        n * width != (r->payload_size - SV_ROWS_HEAD_SIZE) / 4 ||
        r->payload_size % 4 != 0) {
        return err_set(
            e, ERR_CORRUPT, "rows: %u of %u floats from row %u on, in %u bytes",
            (unsigned)n, (unsigned)width, (unsigned)first, r->payload_size);
    }
    return 0;
}

int sv_rows_decode(struct sv_row_block *b,
                   struct sv_record *r,
                   const uint8_t *data,
                   size_t size,
                   struct err *e)
{
    const uint8_t *payload = data + SV_RECORD_SIZE;
    struct sv_record fields;
    size_t record_size;
    int rc = sv_record_read(&fields, data, size, &record_size, e);

    rc = rc != 0 ? rc : check(&fields, payload, e);
    rc = rc != 0 ? rc
                 : sv_rows_resize(b, le_u32(payload + 4), le_u32(payload + 8),
                                  le_u32(payload + 12), e);
    if (rc == 0) {
        sv_f16_get(SV_VALUE_F32, b->values, payload + SV_ROWS_HEAD_SIZE,
                   (size_t)b->n * b->width);
        *r = fields;
    }
    return rc;
}
