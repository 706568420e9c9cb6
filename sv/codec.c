#include "sv/codec.h"

#include <string.h>

#include <snappy-c.h>

#include "sv/bits.h"
#include "sv/gaps.h"

#define SAMPLE_PIECES     4
#define SAMPLE_PIECE_SIZE ((size_t)2048)
#define SNAPPY_SIZE_MIN   128 /* Payloads that are too small to gain. */
#define SNAPPY_SKIP_MAX   255

enum coef_form { COEF_EACH = 0, COEF_ONE = 1 };

void sv_codec_scratch_init(struct sv_codec_scratch *s)
{
    memset(s, 0, sizeof *s);
}

void sv_codec_scratch_fini(struct sv_codec_scratch *s)
{
    buf_fini(&s->raw);
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

static void
put_vecs(struct buf *out, const struct sv_vecs *x, struct sv_codec_scratch *s)
{
    if (x->sparse) {
        sv_gaps_put(out, x, &s->numbers);
    }
    sv_values_put(out, x, &s->values);
}

/* A few pieces of the payload, evenly spread, as one. */
static size_t take_sample(uint8_t *sample, const struct buf *raw)
{
    size_t step = (raw->size - SAMPLE_PIECE_SIZE) / (SAMPLE_PIECES - 1);

    for (size_t i = 0; i < SAMPLE_PIECES; i++) {
        memcpy(sample + i * SAMPLE_PIECE_SIZE, raw->data + i * step,
               SAMPLE_PIECE_SIZE);
    }
    return SAMPLE_PIECES * SAMPLE_PIECE_SIZE;
}

/* Compress to s->packed. False if it gains less than 5%. */
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
    return packed_size <= size - size / 20 &&
           size / SV_RECORD_EXPANSION_MAX <= packed_size;
}

static bool compress_payload(struct sv_codec_scratch *s)
{
    uint8_t sample[SAMPLE_PIECES * SAMPLE_PIECE_SIZE];
    bool gain;

    if (s->raw.size < SNAPPY_SIZE_MIN) {
        return false;
    }
    if (s->snappy_skip > 0) {
        s->snappy_skip--;
        return false;
    }
    gain = s->raw.size <= 2 * sizeof sample ||
           compress(s, sample, take_sample(sample, &s->raw));
    gain = gain && compress(s, s->raw.data, s->raw.size);
    if (gain) {
        s->snappy_misses = 0;
        return true;
    }
    s->snappy_misses += s->snappy_misses < 8;
    s->snappy_skip = (1u << s->snappy_misses) - 1;
    return false;
}

int sv_codec_encode(struct buf *out,
                    const struct sv_record *r,
                    const struct sv_batch *b,
                    struct sv_codec_scratch *s,
                    struct err *e)
{
    struct sv_record fields = *r;
    bool samples = has_samples(b), packed;

    buf_reset(&s->raw);
    if (b->n > 0) {
        put_coefs(&s->raw, b);
        if (samples) {
            sv_bits_put_run(&s->raw, b->sample, b->n);
        }
        put_vecs(&s->raw, &b->u, s);
        put_vecs(&s->raw, &b->v, s);
    }
    if (s->raw.failed) {
        return err_set(e, ERR_NOMEM, "encode %u pairs", b->n);
    }
    if (s->raw.size > SV_RECORD_PAYLOAD_MAX) {
        return err_set(e, ERR_INVALID, "record: payload of %zu bytes, limit %u",
                       s->raw.size, SV_RECORD_PAYLOAD_MAX);
    }
    packed = compress_payload(s);
    fields.kind = SV_RECORD_BATCH;
    fields.codec = (uint16_t)((b->u.sparse ? SV_CODEC_U_SPARSE : 0) |
                              (b->v.sparse ? SV_CODEC_V_SPARSE : 0) |
                              (samples ? SV_CODEC_SAMPLES : 0) |
                              (packed ? SV_CODEC_SNAPPY : 0));
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

static int get_vecs(const uint8_t **p,
                    const uint8_t *end,
                    struct sv_vecs *x,
                    uint32_t n,
                    struct sv_codec_scratch *s,
                    struct err *e)
{
    int rc;

    if (x->sparse) {
        rc = sv_gaps_get(p, end, x, n, &s->numbers, e);
    } else if ((uint64_t)n * x->len / 8 > (uint64_t)(end - *p)) {
        rc = short_of(e, "values");
    } else {
        rc = sv_vecs_resize(x, n, 0, e);
    }
    return rc != 0 ? rc : sv_values_get(p, end, x, &s->values, e);
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
    rc = get_vecs(p, end, &b->u, r->n, s, e);
    return rc != 0 ? rc : get_vecs(p, end, &b->v, r->n, s, e);
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
    if (r->kind != SV_RECORD_BATCH || r->J != b->u.len || r->K != b->v.len) {
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
