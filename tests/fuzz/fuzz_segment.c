/* Segments from the disk: going through them, and reading the steps and digests
 * in them, ends without harm for any bytes. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/segment.h"
#include "ckpt/step.h"
#include "core/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Give every header that claims to be one sizes and a checksum that hold, as
 * long as they follow each other. */
static void seal(uint8_t *data, size_t size)
{
    size_t at = CKPT_SEGMENT_HEADER_SIZE;

    if (size >= at) {
        memcpy(data, "LYRESEG1", 8);
        memset(data + 32, 0, 24);
        le_put_u64(data + 56, hash64(data, 56));
    }
    while (size - at >= SV_RECORD_SIZE && size >= at &&
           memcmp(data + at, "LYR1", 4) == 0) {
        size_t payload = le_u32(data + at + 48) & 0x3ff;
        if (payload > size - at - SV_RECORD_SIZE) {
            payload = size - at - SV_RECORD_SIZE;
        }
        le_put_u32(data + at + 48, (uint32_t)payload);
        le_put_u32(data + at + 52, (uint32_t)payload);
        le_put_u64(
            data + at + 56,
            hash64_two(data + at, 56, data + at + SV_RECORD_SIZE, payload));
        at += SV_RECORD_SIZE + payload;
    }
}

static void read_payload(const struct sv_record *r, const uint8_t *payload)
{
    struct hash128 digest;
    struct ckpt_step step;

    ckpt_step_init(&step);
    (void)ckpt_step_read(&step, r, payload, NULL);
    (void)ckpt_digest_read(&digest, r, payload, NULL);
    ckpt_step_fini(&step);
}

static void go_through(const uint8_t *data, size_t size)
{
    struct ckpt_segment_header h;
    struct sv_record r;
    size_t record_size, found, at = CKPT_SEGMENT_HEADER_SIZE;
    struct err e;
    int rc = ckpt_segment_read_header(&h, data, size, &e);

    if (rc != 0) {
        return;
    }
    while ((rc = ckpt_segment_next(data, size, at, &r, &record_size, &e)) ==
           1) {
        assert(record_size >= SV_RECORD_SIZE && record_size <= size - at);
        read_payload(&r, data + at + SV_RECORD_SIZE);
        at += record_size;
    }
    assert(rc == 0 ? at == size : rc == ERR_AGAIN || rc == ERR_CORRUPT);
    assert((rc == ERR_CORRUPT) ==
           ckpt_segment_find_record(data, size, at, &found));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    memcpy(copy, data, size);
    go_through(copy, size);
    if (size >= CKPT_SEGMENT_HEADER_SIZE) {
        seal(copy, size);
        go_through(copy, size);
    }
    free(copy);
    return 0;
}
