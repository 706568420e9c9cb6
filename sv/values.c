#include "sv/values.h"

#include <string.h>

#include "sv/bits.h"

/* Vectors in a row without a dictionary that pays, after which the others are
 * not tried. */
#define MISSES_MAX 4

void sv_values_init(struct sv_values_scratch *s)
{
    memset(s, 0, sizeof *s);
}

void sv_values_fini(struct sv_values_scratch *s)
{
    buf_fini(&s->narrow);
    buf_fini(&s->sizes);
    buf_fini(&s->dicts);
    buf_fini(&s->codes);
}

/* What is to be written: values of @w bytes, which are @codec. */
struct source {
    const struct sv_vecs *x;
    enum sv_value_codec codec;
    size_t w;
    const uint8_t *narrow; /* (entries) as they are stored, if w is 2. */
};

/* The values of a vector. */
struct vals {
    const float *f32;
    const uint8_t *narrow; /* Instead, if they have 16 bits. */
    uint32_t n;
};

static struct vals vals_get(const struct source *from, uint32_t r)
{
    const struct sv_vecs *x = from->x;
    struct sv_vec v = sv_vecs_get(x, r);
    size_t first = x->sparse ? x->ptr[r] : (size_t)r * x->len;

    return (struct vals){.f32 = v.val,
                         .narrow =
                             from->w == 2 ? from->narrow + 2 * first : NULL,
                         .n = v.nnz};
}

/* Return the bytes written. */
static size_t put_vals(uint8_t *to, struct vals v)
{
    if (v.narrow == NULL) {
        sv_f16_put(SV_VALUE_F32, to, v.f32, v.n);
        return 4 * (size_t)v.n;
    }
    memcpy(to, v.narrow, 2 * (size_t)v.n);
    return 2 * (size_t)v.n;
}

static inline uint32_t vals_bits(struct vals v, size_t i)
{
    uint32_t bits;

    if (v.narrow != NULL) {
        return le_u16(v.narrow + 2 * i);
    }
    memcpy(&bits, &v.f32[i], sizeof bits);
    return bits;
}

static void dict_begin(struct sv_values_scratch *s)
{
    if (++s->stamp == 0) {
        memset(s->stamps, 0, sizeof s->stamps);
        s->stamp = 1;
    }
}

/* The slot of the value @bits, or the free one where it belongs. */
static inline uint32_t dict_slot(const struct sv_values_scratch *s,
                                 uint32_t bits)
{
    uint32_t slot = bits * UINT32_C(0x9e3779b1) >> 22;

    while (s->stamps[slot] == s->stamp && s->bits[slot] != bits) {
        slot = (slot + 1) % SV_DICT_SLOTS;
    }
    return slot;
}

static void dict_put(uint8_t *dict, size_t i, uint32_t bits, size_t w)
{
    if (w == 2) {
        le_put_u16(dict + 2 * i, (uint16_t)bits);
    } else {
        le_put_u32(dict + 4 * i, bits);
    }
}

/* Write codes of the values @v, adding new values behind the *d that @dict has.
 * False if there are more than @d_max of them. */
static bool dict_code(struct sv_values_scratch *s,
                      struct vals v,
                      uint8_t *codes,
                      uint8_t *dict,
                      uint32_t *d,
                      uint32_t d_max)
{
    uint32_t n_dict = *d;

    for (size_t i = 0; i < v.n; i++) {
        uint32_t bits = vals_bits(v, i), slot = dict_slot(s, bits);
        if (s->stamps[slot] != s->stamp) {
            if (n_dict == d_max) {
                return false;
            }
            s->stamps[slot] = s->stamp;
            s->bits[slot] = bits;
            s->code[slot] = (uint8_t)n_dict;
            dict_put(dict, n_dict++, bits, v.narrow == NULL ? 4 : 2);
        }
        codes[i] = s->code[slot];
    }
    *d = n_dict;
    return true;
}

/* The dictionary of one vector: its size, or 0 if values alone are smaller. */
static uint32_t dict_vector(struct sv_values_scratch *s,
                            struct vals v,
                            bool sparse,
                            uint8_t *codes,
                            uint8_t *dict)
{
    const uint64_t n_bits = v.narrow == NULL ? 32 : 16;
    uint32_t d_max = v.n - v.n / 8, d = 0;

    if (v.n == 0) {
        return 0;
    }
    d_max = d_max < SV_DICT_MAX ? d_max : SV_DICT_MAX;
    dict_begin(s);
    if (!dict_code(s, v, codes, dict, &d, d_max) ||
        n_bits * d + (uint64_t)v.n * sv_values_code_width(d, sparse) >=
            n_bits * v.n) {
        return 0;
    }
    return d;
}

/* Make a dictionary for each vector where it pays. Return the bytes that the
 * values take so. */
static uint64_t make_each(struct sv_values_scratch *s,
                          const struct source *from)
{
    const struct sv_vecs *x = from->x;
    uint32_t *sizes = (uint32_t *)(void *)s->sizes.data;
    uint8_t *dict = s->dicts.data, *codes = s->codes.data;
    uint64_t n_bits = 0;
    unsigned misses = 0;

    for (uint32_t r = 0; r < x->n; r++) {
        struct vals v = vals_get(from, r);
        uint32_t d = 0;
        if (misses < MISSES_MAX) {
            d = dict_vector(s, v, x->sparse, codes, dict);
            misses = d > 0 || v.n == 0 ? 0 : misses + 1;
        }
        sizes[r] = d;
        if (d == 0) {
            dict += put_vals(dict, v);
        } else {
            dict += from->w * d;
            n_bits += (uint64_t)v.n * sv_values_code_width(d, x->sparse);
            codes += v.n;
        }
    }
    s->dicts.size = (size_t)(dict - s->dicts.data);
    return s->dicts.size + sv_bits_bytes(n_bits);
}

/* Make one dictionary for all vectors. Return its size, 0 if there are more
 * values than it can hold. */
static uint32_t make_one(struct sv_values_scratch *s, const struct source *from)
{
    uint8_t *codes = s->codes.data;
    uint32_t d = 0;

    dict_begin(s);
    for (uint32_t r = 0; r < from->x->n; r++) {
        struct vals v = vals_get(from, r);
        if (!dict_code(s, v, codes, s->dicts.data, &d, SV_DICT_MAX)) {
            return 0;
        }
        codes += v.n;
    }
    return d;
}

static void put_codes(struct sv_bits_writer *w,
                      const uint8_t *codes,
                      size_t n,
                      unsigned width)
{
    for (size_t i = 0; i < n; i++) {
        sv_bits_put(w, codes[i], width);
    }
}

static void put_each(struct buf *out,
                     const struct sv_vecs *x,
                     const struct sv_values_scratch *s)
{
    const uint32_t *sizes = (const uint32_t *)(const void *)s->sizes.data;
    const uint8_t *codes = s->codes.data;
    struct sv_bits_writer w = {0};
    uint64_t n_bits = 0;

    for (uint32_t r = 0; r < x->n; r++) {
        n_bits += sizes[r] == 0 ? 0
                                : (uint64_t)sv_vecs_get(x, r).nnz *
                                      sv_values_code_width(sizes[r], x->sparse);
    }
    sv_bits_put_run(out, sizes, x->n);
    buf_put(out, s->dicts.data, s->dicts.size);
    w.p = buf_add(out, (size_t)sv_bits_bytes(n_bits));
    if (w.p == NULL) {
        return;
    }
    for (uint32_t r = 0; r < x->n; r++) {
        uint32_t nnz = sv_vecs_get(x, r).nnz;
        if (sizes[r] > 0) {
            put_codes(&w, codes, nnz,
                      sv_values_code_width(sizes[r], x->sparse));
            codes += nnz;
        }
    }
    sv_bits_flush(&w);
}

static void put_one(struct buf *out,
                    const struct source *from,
                    uint32_t d,
                    const struct sv_values_scratch *s)
{
    size_t n_entries = sv_vecs_entries(from->x);
    unsigned width = sv_values_code_width(d, false);
    struct sv_bits_writer w = {0};
    uint8_t size[2];

    le_put_u16(size, (uint16_t)d);
    buf_put(out, size, sizeof size);
    buf_put(out, s->dicts.data, d * from->w);
    w.p = buf_add(out, (size_t)sv_bits_bytes((uint64_t)n_entries * width));
    if (w.p != NULL) {
        put_codes(&w, s->codes.data, n_entries, width);
        sv_bits_flush(&w);
    }
}

static struct sv_values_plain put_raw(struct buf *out,
                                      const struct source *from)
{
    struct sv_values_plain plain = {
        .at = out->size, .n = sv_vecs_entries(from->x), .w = from->w};
    uint8_t *at = buf_add(out, from->w * plain.n);

    for (uint32_t r = 0; at != NULL && r < from->x->n; r++) {
        at += put_vals(at, vals_get(from, r));
    }
    return plain;
}

/* Round the values of @from->x to 16 bits. */
static void make_narrow(struct sv_values_scratch *s, struct source *from)
{
    uint8_t *at = s->narrow.data;

    from->narrow = at;
    for (uint32_t r = 0; r < from->x->n; r++) {
        struct sv_vec v = sv_vecs_get(from->x, r);
        sv_f16_put(from->codec, at, v.val, v.nnz);
        at += 2 * (size_t)v.nnz;
    }
}

static bool make_room(struct sv_values_scratch *s,
                      const struct source *from,
                      size_t n_entries)
{
    buf_reset(&s->narrow);
    buf_reset(&s->sizes);
    buf_reset(&s->dicts);
    buf_reset(&s->codes);
    buf_add(&s->narrow, from->w == 2 ? 2 * n_entries + 1 : 1);
    buf_add(&s->sizes, from->x->n * sizeof(uint32_t));
    buf_add(&s->dicts, from->w * (n_entries + SV_DICT_MAX));
    buf_add(&s->codes, n_entries);
    return !s->narrow.failed && !s->sizes.failed && !s->dicts.failed &&
           !s->codes.failed;
}

/* The form that takes the fewest bytes, with what it is made of in @s. *d is
 * the size of the one dictionary. */
static enum sv_values_form
choose(struct sv_values_scratch *s, const struct source *from, uint32_t *d)
{
    size_t n_entries = sv_vecs_entries(from->x);
    uint64_t raw_size = from->w * (uint64_t)n_entries;
    uint64_t each_size = make_each(s, from), one_size;

    if (each_size <= raw_size / 2) {
        return SV_VALUES_DICT_EACH;
    }
    *d = make_one(s, from);
    one_size =
        *d == 0 ? UINT64_MAX
                : from->w * (uint64_t)*d +
                      sv_bits_bytes(n_entries *
                                    (uint64_t)sv_values_code_width(*d, false));
    if (one_size < each_size && one_size < raw_size) {
        return SV_VALUES_DICT_ONE;
    }
    if (each_size < raw_size) {
        make_each(s, from); /* The other try has overwritten it. */
        return SV_VALUES_DICT_EACH;
    }
    return SV_VALUES_PLAIN;
}

struct sv_values_plain sv_values_put(struct buf *out,
                                     const struct sv_vecs *x,
                                     enum sv_value_codec codec,
                                     struct sv_values_scratch *s)
{
    struct source from = {.x = x, .codec = codec, .w = sv_f16_size(codec)};
    struct sv_values_plain none = {0};
    enum sv_values_form form;
    uint32_t d = 0;

    if (!make_room(s, &from, sv_vecs_entries(x))) {
        out->failed = true;
        return none;
    }
    if (from.w == 2) {
        make_narrow(s, &from);
    }
    form = choose(s, &from, &d);
    buf_put(out, &(uint8_t){(uint8_t)form}, 1);
    if (form == SV_VALUES_PLAIN) {
        return put_raw(out, &from);
    }
    if (form == SV_VALUES_DICT_ONE) {
        put_one(out, &from, d, s);
    } else {
        put_each(out, x, s);
    }
    return none;
}
