#include "ckpt/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"

#define MAGIC        "LYRESEG1"
#define RECORD_MAGIC "LYR1"
#define CHECKSUM_END 56

void ckpt_segment_write_header(uint8_t to[CKPT_SEGMENT_HEADER_SIZE],
                               const struct ckpt_segment_header *h)
{
    memset(to, 0, CKPT_SEGMENT_HEADER_SIZE);
    memcpy(to, MAGIC, 8);
    le_put_u64(to + 8, h->run);
    le_put_u32(to + 16, h->peer);
    le_put_u32(to + 20, h->number);
    le_put_u64(to + 24, h->first_clock);
    le_put_u64(to + CHECKSUM_END, hash64(to, CHECKSUM_END));
}

int ckpt_segment_read_header(struct ckpt_segment_header *h,
                             const uint8_t *data,
                             size_t size,
                             struct err *e)
{
    if (size < CKPT_SEGMENT_HEADER_SIZE) {
        return err_set(e, ERR_AGAIN, "segment header: %zu bytes of it", size);
    }
    if (memcmp(data, MAGIC, 8) != 0) {
        return err_set(e, ERR_CORRUPT, "segment header: bad magic");
    }
    if (hash64(data, CHECKSUM_END) != le_u64(data + CHECKSUM_END)) {
        return err_set(e, ERR_CORRUPT, "segment header: bad checksum");
    }
    for (size_t i = 32; i < CHECKSUM_END; i++) {
        if (data[i] != 0) {
            return err_set(e, ERR_CORRUPT,
                           "segment header: reserved bytes are not zero");
        }
    }
    *h = (struct ckpt_segment_header){.run = le_u64(data + 8),
                                      .peer = le_u32(data + 16),
                                      .number = le_u32(data + 20),
                                      .first_clock = le_u64(data + 24)};
    return 0;
}

void ckpt_segment_name(char name[CKPT_SEGMENT_NAME_SIZE], uint32_t number)
{
    snprintf(name, CKPT_SEGMENT_NAME_SIZE, "segments/%08" PRIu32 ".seg",
             number);
}

bool ckpt_segment_find_record(const uint8_t *data,
                              size_t size,
                              size_t offset,
                              size_t *at)
{
    struct sv_record r;
    size_t record_size;

    while (offset < size) {
        const uint8_t *p = memmem(data + offset, size - offset, RECORD_MAGIC,
                                  sizeof RECORD_MAGIC - 1);
        if (p == NULL) {
            return false;
        }
        offset = (size_t)(p - data);
        if (sv_record_read(&r, p, size - offset, &record_size, NULL) == 0) {
            *at = offset;
            return true;
        }
        offset++;
    }
    return false;
}

int ckpt_segment_next(const uint8_t *data,
                      size_t size,
                      size_t offset,
                      struct sv_record *r,
                      size_t *record_size,
                      struct err *e)
{
    size_t at;
    int rc;

    if (offset == size) {
        return 0;
    }
    rc = sv_record_read(r, data + offset, size - offset, record_size, e);
    if (rc == 0) {
        return 1;
    }
    if (size - offset > (size_t)SV_RECORD_SIZE + SV_RECORD_PAYLOAD_MAX) {
        return err_wrap(e, ERR_CORRUPT, "offset %zu", offset);
    }
    if (ckpt_segment_find_record(data, size, offset + 1, &at)) {
        return err_wrap(e, ERR_CORRUPT,
                        "offset %zu (a valid record follows at %zu)", offset,
                        at);
    }
    return err_wrap(e, ERR_AGAIN, "offset %zu", offset);
}
