/* A growing byte buffer, and little-endian integers in byte arrays.
 *
 * Appending does not return an error. The first failure sticks, and the caller
 * looks at buf->failed once, when it has written everything.
 */

#ifndef CORE_BUF_H_
#define CORE_BUF_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    uint8_t *data; /* Owned. */
    size_t size;   /* Bytes written. */
    size_t room;   /* Bytes allocated. */
    bool failed;   /* There was no memory: the content is not complete. */
};

void buf_init(struct buf *b);
void buf_fini(struct buf *b);

/* Empty the buffer and keep its memory. */
void buf_reset(struct buf *b);

/* Append @size bytes that the caller will write. Return where, or NULL (and
 * failed is set). Valid until the next append. */
void *buf_add(struct buf *b, size_t size);

/* Append a copy. */
void buf_put(struct buf *b, const void *data, size_t size);

/* Append an unsigned LEB128 integer. 1 to 10 bytes. */
void buf_put_varint(struct buf *b, uint64_t x);

/* Append little-endian integers. */
void buf_put_u32(struct buf *b, uint32_t x);
void buf_put_u64(struct buf *b, uint64_t x);

/* Read an unsigned LEB128 integer from [*p, end) and move *p behind it. Return
 * false, and leave *p alone, if it does not end before @end, or not in 64
 * bits. */
bool buf_get_varint(const uint8_t **p, const uint8_t *end, uint64_t *x);

static inline uint16_t le_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t le_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static inline uint64_t le_u64(const uint8_t *p)
{
    return (uint64_t)le_u32(p) | (uint64_t)le_u32(p + 4) << 32;
}

static inline float le_f32(const uint8_t *p)
{
    uint32_t bits = le_u32(p);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline void le_put_u16(uint8_t *p, uint16_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

static inline void le_put_u32(uint8_t *p, uint32_t x)
{
    le_put_u16(p, (uint16_t)x);
    le_put_u16(p + 2, (uint16_t)(x >> 16));
}

static inline void le_put_u64(uint8_t *p, uint64_t x)
{
    le_put_u32(p, (uint32_t)x);
    le_put_u32(p + 4, (uint32_t)(x >> 32));
}

static inline void le_put_f32(uint8_t *p, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    le_put_u32(p, bits);
}

#endif /* CORE_BUF_H_ */
