#include "sv/values.h"

#include <string.h>

#include "sv/bits.h"
#include "sv/shuffle.h"

/* Vectors in a row without a dictionary that pays, after which the others are
 * not tried. */
#define MISSES_MAX 4

#define SHUFFLE_BLOCK ((size_t)512) /* Values put together at a time. */

enum form { FORM_RAW = 0, FORM_DICT_EACH = 1, FORM_DICT_ONE = 2 };

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

/* Bits of a code into a dictionary of @d > 0 values. */
static unsigned code_width(uint32_t d, bool sparse)
{
    unsigned width = sv_bits_width(d - 1);

    return width == 0 && !sparse ? 1 : width;
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
        n_bits * d + (uint64_t)v.n * code_width(d, sparse) >= n_bits * v.n) {
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
            n_bits += (uint64_t)v.n * code_width(d, x->sparse);
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
                                      code_width(sizes[r], x->sparse);
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
            put_codes(&w, codes, nnz, code_width(sizes[r], x->sparse));
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
    unsigned width = code_width(d, false);
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
static enum form
choose(struct sv_values_scratch *s, const struct source *from, uint32_t *d)
{
    size_t n_entries = sv_vecs_entries(from->x);
    uint64_t raw_size = from->w * (uint64_t)n_entries;
    uint64_t each_size = make_each(s, from), one_size;

    if (each_size <= raw_size / 2) {
        return FORM_DICT_EACH;
    }
    *d = make_one(s, from);
    one_size =
        *d == 0
            ? UINT64_MAX
            : from->w * (uint64_t)*d +
                  sv_bits_bytes(n_entries * (uint64_t)code_width(*d, false));
    if (one_size < each_size && one_size < raw_size) {
        return FORM_DICT_ONE;
    }
    if (each_size < raw_size) {
        make_each(s, from); /* The other try has overwritten it. */
        return FORM_DICT_EACH;
    }
    return FORM_RAW;
}

struct sv_values_plain sv_values_put(struct buf *out,
                                     const struct sv_vecs *x,
                                     enum sv_value_codec codec,
                                     struct sv_values_scratch *s)
{
    struct source from = {.x = x, .codec = codec, .w = sv_f16_size(codec)};
    struct sv_values_plain none = {0};
    enum form form;
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
    if (form == FORM_RAW) {
        return put_raw(out, &from);
    }
    if (form == FORM_DICT_ONE) {
        put_one(out, &from, d, s);
    } else {
        put_each(out, x, s);
    }
    return none;
}

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
    width = code_width(d, false);
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
        *n_bits += d == 0 ? 0 : (uint64_t)nnz * code_width(d, x->sparse);
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
        if (d > 0 && get_codes(&in, dict, code_width(d, x->sparse),
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
    case FORM_RAW:
        return get_raw(p, end, x, format, e);
    case FORM_DICT_EACH:
        return get_each(p, end, x, format.codec, s, e);
    case FORM_DICT_ONE:
        return get_one(p, end, x, format.codec, e);
    default:
        return err_set(e, ERR_CORRUPT, "values: unknown form %u", (*p)[-1]);
    }
}
