#include "sv/record.h"

#include <string.h>

#include "core/hash.h"

#define MAGIC        "LYR1"
#define VERSION      1
#define CHECKSUM_END 56 /* Header bytes that the checksum covers. */

/* What the fields before the checksum say, whether or not it is sane. */
static void get_fields(struct sv_record *r, const uint8_t *p)
{
    *r = (struct sv_record){
        .kind = p[5],
        .codec = le_u16(p + 6),
        .view = le_u32(p + 8),
        .origin = le_u32(p + 12),
        .clock = le_u64(p + 16),
        .matrix = le_u16(p + 24),
        .sequence = le_u32(p + 28),
        .n = le_u32(p + 32),
        .J = le_u32(p + 36),
        .K = le_u32(p + 40),
        .rate = le_f32(p + 44),
        .payload_size = le_u32(p + 48),
        .payload_raw_size = le_u32(p + 52),
    };
}

static void put_fields(uint8_t *p, const struct sv_record *r)
{
    memcpy(p, MAGIC, 4);
    p[4] = VERSION;
    p[5] = r->kind;
    le_put_u16(p + 6, r->codec);
    le_put_u32(p + 8, r->view);
    le_put_u32(p + 12, r->origin);
    le_put_u64(p + 16, r->clock);
    le_put_u16(p + 24, r->matrix);
    le_put_u16(p + 26, 0);
    le_put_u32(p + 28, r->sequence);
    le_put_u32(p + 32, r->n);
    le_put_u32(p + 36, r->J);
    le_put_u32(p + 40, r->K);
    le_put_f32(p + 44, r->rate);
    le_put_u32(p + 48, r->payload_size);
    le_put_u32(p + 52, r->payload_raw_size);
}

/* Bits that exclude each other. */
static bool both(uint16_t codec, unsigned bits)
{
    return (codec & bits) == bits;
}

/* The fields of a batch: shape, and sizes that compression can lead to. */
static int check_batch(const struct sv_record *r, struct err *e)
{
    if ((r->codec & ~SV_CODEC_KNOWN) != 0) {
        return err_set(e, ERR_CORRUPT, "record: unknown codec 0x%x", r->codec);
    }
    if (both(r->codec, SV_CODEC_U_BF16 | SV_CODEC_U_F16) ||
        both(r->codec, SV_CODEC_V_BF16 | SV_CODEC_V_F16)) {
        return err_set(e, ERR_CORRUPT, "record: codec 0x%x with two floats",
                       r->codec);
    }
    if (r->n > SV_N_MAX) {
        return err_set(e, ERR_CORRUPT, "record: %u pairs", r->n);
    }
    if (r->J == 0 || r->J > SV_LEN_MAX || r->K == 0 || r->K > SV_LEN_MAX) {
        return err_set(e, ERR_CORRUPT, "record: shape %u x %u", r->K, r->J);
    }
    if ((r->codec & SV_CODEC_SNAPPY) == 0
            ? r->payload_raw_size != r->payload_size
            : r->payload_raw_size / SV_RECORD_EXPANSION_MAX > r->payload_size) {
        return err_set(e, ERR_CORRUPT, "record: %u bytes stored for %u",
                       r->payload_size, r->payload_raw_size);
    }
    return 0;
}

static int
check_fields(const struct sv_record *r, const uint8_t *p, struct err *e)
{
    if (memcmp(p, MAGIC, 4) != 0) {
        return err_set(e, ERR_CORRUPT, "record: bad magic");
    }
    if (p[4] != VERSION) {
        return err_set(e, ERR_CORRUPT, "record: unknown version %u", p[4]);
    }
    if (r->kind == 0 || r->kind >= SV_RECORD_KIND_END) {
        return err_set(e, ERR_CORRUPT, "record: unknown kind %u", r->kind);
    }
    if (le_u16(p + 26) != 0) {
        return err_set(e, ERR_CORRUPT, "record: reserved bytes are not zero");
    }
    if (r->payload_size > SV_RECORD_PAYLOAD_MAX ||
        r->payload_raw_size > SV_RECORD_PAYLOAD_MAX) {
        return err_set(e, ERR_CORRUPT, "record: payload of %u bytes",
                       r->payload_size > r->payload_raw_size
                           ? r->payload_size
                           : r->payload_raw_size);
    }
    if (r->kind == SV_RECORD_BATCH || r->kind == SV_RECORD_CARRY) {
        return check_batch(r, e);
    }
    if (r->codec != 0 || r->n != 0 || r->J != 0 || r->K != 0 ||
        le_u32(p + 44) != 0 || r->payload_raw_size != r->payload_size) {
        return err_set(e, ERR_CORRUPT, "record: kind %u with fields of a batch",
                       r->kind);
    }
    return 0;
}

int sv_record_peek(struct sv_record *r,
                   const uint8_t *data,
                   size_t size,
                   struct err *e)
{
    struct sv_record fields;
    int rc;

    if (size < SV_RECORD_SIZE) {
        return err_set(e, ERR_AGAIN, "record: %zu bytes of its header", size);
    }
    get_fields(&fields, data);
    rc = check_fields(&fields, data, e);
    if (rc == 0) {
        *r = fields;
    }
    return rc;
}

int sv_record_read(struct sv_record *r,
                   const uint8_t *data,
                   size_t size,
                   size_t *record_size,
                   struct err *e)
{
    struct sv_record fields;
    int rc = sv_record_peek(&fields, data, size, e);

    if (rc != 0) {
        return rc;
    }
    if (fields.payload_size > size - SV_RECORD_SIZE) {
        return err_set(e, ERR_AGAIN, "record: %zu of %u payload bytes",
                       size - SV_RECORD_SIZE, fields.payload_size);
    }
    if (hash64_two(data, CHECKSUM_END, data + SV_RECORD_SIZE,
                   fields.payload_size) != le_u64(data + CHECKSUM_END)) {
        return err_set(e, ERR_CORRUPT, "record: bad checksum");
    }
    *r = fields;
    *record_size = SV_RECORD_SIZE + (size_t)fields.payload_size;
    return 0;
}

int sv_record_put(struct buf *out,
                  const struct sv_record *r,
                  const void *payload,
                  struct err *e)
{
    uint8_t *at;

    if (r->payload_size > SV_RECORD_PAYLOAD_MAX ||
        r->payload_raw_size > SV_RECORD_PAYLOAD_MAX) {
        return err_set(e, ERR_INVALID, "record: payload of %u bytes, limit %u",
                       r->payload_raw_size, SV_RECORD_PAYLOAD_MAX);
    }
    at = buf_add(out, SV_RECORD_SIZE + (size_t)r->payload_size);
    if (at == NULL) {
        return err_set(e, ERR_NOMEM, "record of %u bytes", r->payload_size);
    }
    put_fields(at, r);
    if (r->payload_size > 0) {
        memcpy(at + SV_RECORD_SIZE, payload, r->payload_size);
    }
    le_put_u64(
        at + CHECKSUM_END,
        hash64_two(at, CHECKSUM_END, at + SV_RECORD_SIZE, r->payload_size));
    return 0;
}

int sv_record_write(struct buf *out,
                    const struct sv_record *r,
                    const void *payload,
                    size_t size,
                    struct err *e)
{
    struct sv_record fields = {
        .kind = r->kind,
        .view = r->view,
        .origin = r->origin,
        .clock = r->clock,
        .matrix = r->matrix,
        .sequence = r->sequence,
        .payload_size = (uint32_t)size,
        .payload_raw_size = (uint32_t)size,
    };

    if (size > SV_RECORD_PAYLOAD_MAX) {
        return err_set(e, ERR_INVALID, "record: payload of %zu bytes, limit %u",
                       size, SV_RECORD_PAYLOAD_MAX);
    }
    return sv_record_put(out, &fields, payload, e);
}
