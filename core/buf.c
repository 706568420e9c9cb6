#include "core/buf.h"

#include <stdlib.h>

void buf_init(struct buf *b)
{
    memset(b, 0, sizeof *b);
}

void buf_fini(struct buf *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

void buf_reset(struct buf *b)
{
    b->size = 0;
    b->failed = false;
}

static bool buf_grow(struct buf *b, size_t size)
{
    size_t room = b->room < 64 ? 64 : b->room;
    uint8_t *data;

    if (b->failed || size > SIZE_MAX / 2 - b->size) {
        b->failed = true;
        return false;
    }
    while (room < b->size + size) {
        room *= 2;
    }
    data = realloc(b->data, room);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->room = room;
    return true;
}

void *buf_add(struct buf *b, size_t size)
{
    void *at;

    if (size > b->room - b->size && !buf_grow(b, size)) {
        return NULL;
    }
    at = b->data == NULL ? NULL : b->data + b->size;
    b->size += size;
    return at;
}

void buf_put(struct buf *b, const void *data, size_t size)
{
    void *at = buf_add(b, size);

    if (at != NULL && size > 0) {
        memcpy(at, data, size);
    }
}

void buf_put_varint(struct buf *b, uint64_t x)
{
    uint8_t bytes[10];
    size_t n = 0;

    while (x >= 0x80) {
        bytes[n++] = (uint8_t)(x | 0x80);
        x >>= 7;
    }
    bytes[n++] = (uint8_t)x;
    buf_put(b, bytes, n);
}

void buf_put_u32(struct buf *b, uint32_t x)
{
    uint8_t *at = buf_add(b, 4);

    if (at != NULL) {
        le_put_u32(at, x);
    }
}

void buf_put_u64(struct buf *b, uint64_t x)
{
    uint8_t *at = buf_add(b, 8);

    if (at != NULL) {
        le_put_u64(at, x);
    }
}

bool buf_get_varint(const uint8_t **p, const uint8_t *end, uint64_t *x)
{
    const uint8_t *q = *p;
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && q < end; shift += 7) {
        uint8_t byte = *q++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *p = q;
            *x = value;
            return true;
        }
    }
    return false;
}
