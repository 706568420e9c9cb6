#include "sv/codec.h"

#include <string.h>

#include <snappy-c.h>

#include "sv/bits.h"
#include "sv/gaps.h"
#include "sv/shuffle.h"

#define SAMPLE_PIECES   4
#define SAMPLE_SIZE     ((size_t)8192)
#define PLANES_SIZE     ((size_t)32768) /* They gain by their length. */
#define SNAPPY_SIZE_MIN 128 /* Payloads that are too small to gain. */
#define SNAPPY_SKIP_MAX 255

enum coef_form { COEF_EACH = 0, COEF_ONE = 1 };

void sv_codec_scratch_init(struct sv_codec_scratch *s)
{
    memset(s, 0, sizeof *s);
}

void sv_codec_scratch_fini(struct sv_codec_scratch *s)
{
    buf_fini(&s->raw);
    buf_fini(&s->shuffled);
    buf_fini(&s->packed);
    buf_fini(&s->numbers);
    sv_values_fini(&s->values);
}

static void put_coefs(struct buf *out, const struct sv_batch *b)
{
    uint32_t n = 1;

    while (n < b->n && memcmp(&b->coef[n], &b->coef[0], sizeof(float)) == 0) {
        n++;
    }
    buf_put(out, &(uint8_t){n == b->n ? COEF_ONE : COEF_EACH}, 1);
    n = n == b->n ? 1 : b->n;
    for (uint32_t r = 0; r < n; r++) {
        uint8_t bytes[4];
        le_put_f32(bytes, b->coef[r]);
        buf_put(out, bytes, sizeof bytes);
    }
}

static bool has_samples(const struct sv_batch *b)
{
    for (uint32_t r = 0; r < b->n; r++) {
        if (b->sample[r] != SV_NO_SAMPLE) {
            return true;
        }
    }
    return false;
}

/* Floats at x->val that mean something, and zeros. */
static size_t n_floats(const struct sv_vecs *x)
{
    if (x->n == 0) {
        return 0;
    }
    return x->sparse ? x->ptr[x->n] : (size_t)x->n * x->ld;
}

/* The codec for values of @x that @wanted is too narrow for. */
static enum sv_value_codec widen(const struct sv_vecs *x,
                                 enum sv_value_codec wanted)
{
    size_t n = n_floats(x);

    if (wanted == SV_VALUE_F16 && !sv_f16_fits(SV_VALUE_F16, x->val, n)) {
        wanted = SV_VALUE_BF16;
    }
    if (wanted == SV_VALUE_BF16 && !sv_f16_fits(SV_VALUE_BF16, x->val, n)) {
        wanted = SV_VALUE_F32;
    }
    return wanted;
}

void sv_codec_round(struct sv_batch *b, const struct sv_codec_options *o)
{
    sv_f16_round(widen(&b->u, o->u), b->u.val, n_floats(&b->u));
    sv_f16_round(widen(&b->v, o->v), b->v.val, n_floats(&b->v));
}

static struct sv_values_plain put_vecs(const struct sv_vecs *x,
                                       enum sv_value_codec codec,
                                       struct sv_codec_scratch *s)
{
    if (x->sparse) {
        sv_gaps_put(&s->raw, x, &s->numbers);
    }
    return sv_values_put(&s->raw, x, codec, &s->values);
}

/* A few pieces of @size bytes at @data, evenly spread, as one of @most. They
 * begin at a multiple of @w. Return the size: less, if there is not more. */
static size_t take_sample(uint8_t *sample,
                          size_t most,
                          const uint8_t *data,
                          size_t size,
                          size_t w)
{
    size_t piece = most / SAMPLE_PIECES, step;

    if (size <= most) {
        memcpy(sample, data, size);
        return size;
    }
    step = (size - piece) / (SAMPLE_PIECES - 1);
    step -= step % w;
    for (size_t i = 0; i < SAMPLE_PIECES; i++) {
        memcpy(sample + i * piece, data + i * step, piece);
    }
    return most;
}

/* Compress to s->packed. False if it does not work out. */
static bool compress(struct sv_codec_scratch *s, const void *data, size_t size)
{
    size_t packed_size = snappy_max_compressed_length(size);

    buf_reset(&s->packed);
    if (buf_add(&s->packed, packed_size) == NULL ||
        snappy_compress(data, size, (char *)s->packed.data, &packed_size) !=
            SNAPPY_OK) {
        return false;
    }
    s->packed.size = packed_size;
    return packed_size < size && size / SV_RECORD_EXPANSION_MAX <= packed_size;
}

/* Like compress(), and false if it gains less than 5%. */
static bool
compress_much(struct sv_codec_scratch *s, const void *data, size_t size)
{
    return compress(s, data, size) && s->packed.size <= size - size / 20;
}

/* How many of the @size bytes at @data Snappy would save, by a sample; if @w >
 * 1 of their planes. */
static size_t
estimate(struct sv_codec_scratch *s, const uint8_t *data, size_t size, size_t w)
{
    uint8_t sample[PLANES_SIZE], planes[PLANES_SIZE];
    size_t n =
        take_sample(sample, w > 1 ? PLANES_SIZE : SAMPLE_SIZE, data, size, w);

    if (w > 1) {
        sv_shuffle(planes, sample, n / w, w);
    }
    if (n < SNAPPY_SIZE_MIN || !compress(s, w > 1 ? planes : sample, n)) {
        return 0;
    }
    return (size_t)((uint64_t)size * (n - s->packed.size) / n);
}

/* Does it save 5% to shuffle the values that stand alone, and more than not to
 * do so? */
static bool shuffle_pays(struct sv_codec_scratch *s,
                         const struct sv_values_plain values[2])
{
    size_t saved = 0;

    for (int i = 0; i < 2; i++) {
        if (values[i].n > 0) {
            saved += estimate(s, s->raw.data + values[i].at,
                              values[i].n * values[i].w, values[i].w);
        }
    }
    return saved >= s->raw.size / 20 && saved > 0 &&
           saved > estimate(s, s->raw.data, s->raw.size, 1);
}

/* Make s->shuffled of s->raw. */
static bool shuffle(struct sv_codec_scratch *s,
                    const struct sv_values_plain values[2])
{
    size_t done = 0;

    buf_reset(&s->shuffled);
    if (buf_add(&s->shuffled, s->raw.size) == NULL) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        const struct sv_values_plain *x = &values[i];
        if (x->n > 0) {
            memcpy(s->shuffled.data + done, s->raw.data + done, x->at - done);
            sv_shuffle(s->shuffled.data + x->at, s->raw.data + x->at, x->n,
                       x->w);
            done = x->at + x->n * x->w;
        }
    }
    memcpy(s->shuffled.data + done, s->raw.data + done, s->raw.size - done);
    return true;
}

/* Compress the payload to s->packed if that gains. Return the bits of the codec
 * that say how. */
static unsigned pack(struct sv_codec_scratch *s,
                     const struct sv_values_plain values[2])
{
    const struct buf *raw = &s->raw;

    if (s->options.shuffle && shuffle_pays(s, values) && shuffle(s, values) &&
        compress_much(s, s->shuffled.data, raw->size)) {
        return SV_CODEC_SNAPPY | SV_CODEC_SHUFFLE;
    }
    if (raw->size > 2 * SAMPLE_SIZE &&
        estimate(s, raw->data, raw->size, 1) < raw->size / 20) {
        return 0;
    }
    return compress_much(s, raw->data, raw->size) ? SV_CODEC_SNAPPY : 0;
}

static unsigned pack_if_worth_trying(struct sv_codec_scratch *s,
                                     const struct sv_values_plain values[2])
{
    unsigned bits;

    if (s->raw.size < SNAPPY_SIZE_MIN) {
        return 0;
    }
    if (s->snappy_skip > 0) {
        s->snappy_skip--;
        return 0;
    }
    bits = pack(s, values);
    if (bits != 0) {
        s->snappy_misses = 0;
    } else {
        s->snappy_misses += s->snappy_misses < 8;
        s->snappy_skip = (1u << s->snappy_misses) - 1;
    }
    return bits;
}

static const uint16_t U_BITS[] = {0, SV_CODEC_U_BF16, SV_CODEC_U_F16};
static const uint16_t V_BITS[] = {0, SV_CODEC_V_BF16, SV_CODEC_V_F16};

/* Make the payload in s->raw, and say where values stand alone in it. Return
 * the bits of the codec. */
static unsigned put_payload(const struct sv_batch *b,
                            struct sv_codec_scratch *s,
                            struct sv_values_plain values[2])
{
    enum sv_value_codec u = widen(&b->u, s->options.u);
    enum sv_value_codec v = widen(&b->v, s->options.v);
    bool samples = has_samples(b);

    buf_reset(&s->raw);
    if (b->n > 0) {
        put_coefs(&s->raw, b);
        if (samples) {
            sv_bits_put_run(&s->raw, b->sample, b->n);
        }
        values[0] = put_vecs(&b->u, u, s);
        values[1] = put_vecs(&b->v, v, s);
    }
    return (b->u.sparse ? SV_CODEC_U_SPARSE : 0u) |
           (b->v.sparse ? SV_CODEC_V_SPARSE : 0u) |
           (samples ? SV_CODEC_SAMPLES : 0u) | U_BITS[u] | V_BITS[v];
}

int sv_codec_encode(struct buf *out,
                    const struct sv_record *r,
                    const struct sv_batch *b,
                    struct sv_codec_scratch *s,
                    struct err *e)
{
    struct sv_values_plain values[2] = {{0}, {0}};
    struct sv_record fields = *r;
    unsigned bits = put_payload(b, s, values), packed;

    if (s->raw.failed) {
        return err_set(e, ERR_NOMEM, "encode %u pairs", b->n);
    }
    if (s->raw.size > SV_RECORD_PAYLOAD_MAX) {
        return err_set(e, ERR_INVALID, "record: payload of %zu bytes, limit %u",
                       s->raw.size, SV_RECORD_PAYLOAD_MAX);
    }
    packed = s->plain ? 0 : pack_if_worth_trying(s, values);
    fields.kind =
        r->kind == SV_RECORD_CARRY ? SV_RECORD_CARRY : SV_RECORD_BATCH;
    fields.codec = (uint16_t)(bits | packed);
    fields.n = b->n;
    fields.J = b->u.len;
    fields.K = b->v.len;
    fields.rate = b->rate;
    fields.payload_raw_size = (uint32_t)s->raw.size;
    fields.payload_size = (uint32_t)(packed ? s->packed.size : s->raw.size);
    return sv_record_put(out, &fields, packed ? s->packed.data : s->raw.data,
                         e);
}

static int short_of(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "batch: %s are not all there", what);
}

/* Decompress, if need be: set [*p, *end) to the payload. */
static int open_payload(const struct sv_record *r,
                        const uint8_t **p,
                        const uint8_t **end,
                        struct sv_codec_scratch *s,
                        struct err *e)
{
    size_t raw_size = 0;

    *end = *p + r->payload_size;
    if ((r->codec & SV_CODEC_SNAPPY) == 0) {
        return 0;
    }
    if (snappy_uncompressed_length((const char *)*p, r->payload_size,
                                   &raw_size) != SNAPPY_OK ||
        raw_size != r->payload_raw_size) {
        return err_set(e, ERR_CORRUPT, "batch: bad length of a snappy block");
    }
    buf_reset(&s->raw);
    if (buf_add(&s->raw, raw_size + 1) == NULL) {
        return err_set(e, ERR_NOMEM, "payload of %zu bytes", raw_size);
    }
    if (snappy_uncompress((const char *)*p, r->payload_size,
                          (char *)s->raw.data, &raw_size) != SNAPPY_OK ||
        raw_size != r->payload_raw_size) {
        return err_set(e, ERR_CORRUPT, "batch: bad snappy block");
    }
    *p = s->raw.data;
    *end = *p + raw_size;
    return 0;
}

static int get_coefs(const uint8_t **p,
                     const uint8_t *end,
                     struct sv_batch *b,
                     struct err *e)
{
    size_t step, n;

    if (*p == end || **p > COEF_ONE) {
        return err_set(e, ERR_CORRUPT, "batch: bad form of coefs");
    }
    step = *(*p)++ == COEF_ONE ? 0 : 4;
    n = step == 0 ? 1 : b->n;
    if ((size_t)(end - *p) / 4 < n) {
        return short_of(e, "coefs");
    }
    for (uint32_t r = 0; r < b->n; r++) {
        b->coef[r] = le_f32(*p + r * step);
    }
    *p += 4 * n;
    return 0;
}

/* The form of the values of a side, of the bits that it has. */
static struct sv_values_format
format_of(uint16_t codec, unsigned bf16, unsigned f16)
{
    return (struct sv_values_format){
        .codec = (codec & bf16) != 0  ? SV_VALUE_BF16
                 : (codec & f16) != 0 ? SV_VALUE_F16
                                      : SV_VALUE_F32,
        .shuffled = (codec & SV_CODEC_SHUFFLE) != 0,
    };
}

/* Give @x its size, and its indices if it is sparse. */
static int get_indices(const uint8_t **p,
                       const uint8_t *end,
                       struct sv_vecs *x,
                       uint32_t n,
                       struct sv_codec_scratch *s,
                       struct err *e)
{
    if (x->sparse) {
        return sv_gaps_get(p, end, x, n, &s->numbers, e);
    }
    if ((uint64_t)n * x->len / 8 > (uint64_t)(end - *p)) {
        return short_of(e, "values");
    }
    return sv_vecs_resize(x, n, 0, e);
}

static int get_payload(const uint8_t **p,
                       const uint8_t *end,
                       struct sv_batch *b,
                       const struct sv_record *r,
                       struct sv_codec_scratch *s,
                       struct err *e)
{
    int rc;

    if (r->n / 8 > (size_t)(end - *p)) {
        return short_of(e, "pairs");
    }
    rc = sv_batch_resize(b, r->n, e);
    if (rc != 0 || r->n == 0) {
        return rc;
    }
    rc = get_coefs(p, end, b, e);
    if (rc != 0) {
        return rc;
    }
    if ((r->codec & SV_CODEC_SAMPLES) == 0) {
        memset(b->sample, 0xff, r->n * sizeof *b->sample);
    } else if (!sv_bits_get_run(p, end, b->sample, r->n)) {
        return short_of(e, "samples");
    }
    rc = get_indices(p, end, &b->u, r->n, s, e);
    if (rc == 0) {
        rc = sv_values_get(p, end, &b->u,
                           format_of(r->codec, SV_CODEC_U_BF16, SV_CODEC_U_F16),
                           &s->values, e);
    }
    if (rc == 0) {
        rc = get_indices(p, end, &b->v, r->n, s, e);
    }
    if (rc == 0) {
        rc = sv_values_get(p, end, &b->v,
                           format_of(r->codec, SV_CODEC_V_BF16, SV_CODEC_V_F16),
                           &s->values, e);
    }
    return rc;
}

int sv_codec_decode(struct sv_batch *b,
                    struct sv_record *r,
                    const uint8_t *data,
                    size_t size,
                    struct sv_codec_scratch *s,
                    struct err *e)
{
    const uint8_t *p = data + SV_RECORD_SIZE, *end;
    size_t record_size;
    int rc = sv_record_read(r, data, size, &record_size, e);

    if (rc != 0) {
        return rc;
    }
    if ((r->kind != SV_RECORD_BATCH && r->kind != SV_RECORD_CARRY) ||
        r->J != b->u.len || r->K != b->v.len) {
        return err_set(e, ERR_CORRUPT,
                       "batch: kind %u, shape %u x %u where %u x %u belongs",
                       r->kind, r->K, r->J, b->v.len, b->u.len);
    }
    rc = open_payload(r, &p, &end, s, e);
    if (rc != 0) {
        return rc;
    }
    sv_batch_reset(b, (r->codec & SV_CODEC_U_SPARSE) != 0,
                   (r->codec & SV_CODEC_V_SPARSE) != 0);
    b->rate = r->rate;
    rc = get_payload(&p, end, b, r, s, e);
    if (rc == 0 && p != end) {
        rc = err_set(e, ERR_CORRUPT, "batch: %td bytes left over", end - p);
    }
    return rc;
}
