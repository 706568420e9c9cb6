#include <string.h>

#include "sv/bits.h"
#include "sv/shuffle.h"
#include "sv/values.h"

#define SHUFFLE_BLOCK ((size_t)512) /* Values put together at a time. */

/* A bit stream that is being read: @size bytes at @p, bit @at is next. */
struct stream {
    const uint8_t *p;
    uint64_t size;
    uint64_t at;
};

/* Values of the next @n codes of @width <= 8 bits. @dict has 256 places. Return
 * the greatest code. */
static uint32_t get_codes(struct stream *in,
                          const float *dict,
                          unsigned width,
                          float *val,
                          size_t n)
{
    uint32_t codes[64], most = 0;

    if (width == 0) {
        for (size_t i = 0; i < n; i++) {
            val[i] = dict[0];
        }
        return 0;
    }
    for (size_t i = 0; i < n; i += 64) {
        size_t m = n - i < 64 ? n - i : 64;
        sv_bits_get(in->p, in->size, in->at, width, codes, m);
        in->at += m * width;
        for (size_t j = 0; j < m; j++) {
            most = codes[j] > most ? codes[j] : most;
            val[i + j] = dict[codes[j]];
        }
    }
    return most;
}

static float *vals_at(const struct sv_vecs *x, uint32_t r)
{
    return x->val + (x->sparse ? x->ptr[r] : (size_t)r * x->ld);
}

static uint32_t nnz_at(const struct sv_vecs *x, uint32_t r)
{
    return x->sparse ? x->ptr[r + 1] - x->ptr[r] : x->len;
}

static int short_of(struct err *e)
{
    return err_set(e, ERR_CORRUPT, "values: not all there");
}

/* Read @n values, the bytes of the first of which are at @planes and every
 * @step bytes behind. */
static void get_shuffled(enum sv_value_codec codec,
                         float *val,
                         const uint8_t *planes,
                         size_t step,
                         size_t n)
{
    uint8_t bytes[4 * SHUFFLE_BLOCK];

    for (size_t i = 0; i < n; i += SHUFFLE_BLOCK) {
        size_t m = n - i < SHUFFLE_BLOCK ? n - i : SHUFFLE_BLOCK;
        sv_shuffle_undo(bytes, planes + i, step, sv_f16_size(codec), m);
        sv_f16_get(codec, val + i, bytes, m);
    }
}

static int get_raw(const uint8_t **p,
                   const uint8_t *end,
                   struct sv_vecs *x,
                   struct sv_values_format format,
                   struct err *e)
{
    size_t n_entries = sv_vecs_entries(x), w = sv_f16_size(format.codec);
    size_t at = 0;

    if (n_entries > (size_t)(end - *p) / w) {
        return short_of(e);
    }
    for (uint32_t r = 0; r < x->n; r++) {
        uint32_t nnz = nnz_at(x, r);
        if (format.shuffled) {
            get_shuffled(format.codec, vals_at(x, r), *p + at, n_entries, nnz);
        } else {
            sv_f16_get(format.codec, vals_at(x, r), *p + w * at, nnz);
        }
        at += nnz;
    }
    *p += w * n_entries;
    return 0;
}

static int get_one(const uint8_t **p,
                   const uint8_t *end,
                   struct sv_vecs *x,
                   enum sv_value_codec codec,
                   struct err *e)
{
    struct stream in = {0};
    float dict[SV_DICT_MAX] = {0};
    size_t w = sv_f16_size(codec);
    uint32_t d, most = 0;
    unsigned width;

    if (end - *p < 2) {
        return short_of(e);
    }
    d = le_u16(*p);
    *p += 2;
    if (d == 0 || d > SV_DICT_MAX) {
        return err_set(e, ERR_CORRUPT, "values: dictionary of %u", d);
    }
    width = sv_values_code_width(d, false);
    in.size = sv_bits_bytes(sv_vecs_entries(x) * (uint64_t)width);
    if ((uint64_t)(end - *p) < w * d + in.size) {
        return short_of(e);
    }
    sv_f16_get(codec, dict, *p, d);
    in.p = *p + w * d;
    for (uint32_t r = 0; r < x->n; r++) {
        uint32_t code =
            get_codes(&in, dict, width, vals_at(x, r), nnz_at(x, r));
        most = code > most ? code : most;
    }
    *p = in.p + in.size;
    return most < d ? 0 : err_set(e, ERR_CORRUPT, "values: code %u", most);
}

/* Check the sizes of dictionaries, and set where their codes begin: *n_floats
 * behind the start of the floats. */
static int check_each(const struct sv_vecs *x,
                      const uint32_t *sizes,
                      uint64_t *n_floats,
                      uint64_t *n_bits,
                      struct err *e)
{
    *n_floats = 0;
    *n_bits = 0;
    for (uint32_t r = 0; r < x->n; r++) {
        uint32_t d = sizes[r], nnz = nnz_at(x, r);
        if (d > SV_DICT_MAX) {
            return err_set(e, ERR_CORRUPT, "values: dictionary of %u", d);
        }
        *n_floats += d == 0 ? nnz : d;
        *n_bits +=
            d == 0 ? 0 : (uint64_t)nnz * sv_values_code_width(d, x->sparse);
    }
    return 0;
}

static int get_each(const uint8_t **p,
                    const uint8_t *end,
                    struct sv_vecs *x,
                    enum sv_value_codec codec,
                    struct sv_values_scratch *s,
                    struct err *e)
{
    uint32_t *sizes;
    uint64_t n_floats, n_bits;
    const uint8_t *floats;
    struct stream in = {0};
    float dict[SV_DICT_MAX] = {0};
    size_t w = sv_f16_size(codec);
    int rc;

    buf_reset(&s->sizes);
    sizes = buf_add(&s->sizes, x->n * sizeof *sizes);
    if (x->n > 0 && sizes == NULL) {
        return err_set(e, ERR_NOMEM, "sizes of %u dictionaries", x->n);
    }
    if (!sv_bits_get_run(p, end, sizes, x->n)) {
        return short_of(e);
    }
    rc = check_each(x, sizes, &n_floats, &n_bits, e);
    if (rc != 0) {
        return rc;
    }
    in.size = sv_bits_bytes(n_bits);
    if ((uint64_t)(end - *p) < w * n_floats + in.size) {
        return short_of(e);
    }
    floats = *p;
    in.p = *p + w * n_floats;
    for (uint32_t r = 0; r < x->n; r++) {
        uint32_t d = sizes[r], nnz = nnz_at(x, r);
        sv_f16_get(codec, d == 0 ? vals_at(x, r) : dict, floats,
                   d == 0 ? nnz : d);
        floats += w * (d == 0 ? nnz : d);
        if (d > 0 && get_codes(&in, dict, sv_values_code_width(d, x->sparse),
                               vals_at(x, r), nnz) >= d) {
            return err_set(e, ERR_CORRUPT, "values: code out of range");
        }
    }
    *p = in.p + in.size;
    return 0;
}

int sv_values_get(const uint8_t **p,
                  const uint8_t *end,
                  struct sv_vecs *x,
                  struct sv_values_format format,
                  struct sv_values_scratch *s,
                  struct err *e)
{
    if (*p == end) {
        return short_of(e);
    }
    switch (*(*p)++) {
    case SV_VALUES_PLAIN:
        return get_raw(p, end, x, format, e);
    case SV_VALUES_DICT_EACH:
        return get_each(p, end, x, format.codec, s, e);
    case SV_VALUES_DICT_ONE:
        return get_one(p, end, x, format.codec, e);
    default:
        return err_set(e, ERR_CORRUPT, "values: unknown form %u", (*p)[-1]);
    }
}
