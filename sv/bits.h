/* Whole numbers of few bits, back to back.
 *
 * A bit stream is filled from the low bit of its first byte up; a number's low
 * bit comes first. It ends at a byte, filled up with zeros.
 *
 * A run of numbers is stored as
 *
 *     varint  base, the least of them (0 if there are none)
 *     u8      width, bits of the greatest less the base: 1..32
 *     -       bit stream: each number less the base
 *
 * Every number takes a bit at least, so what is claimed to be there is bounded
 * by the bytes that are.
 */

#ifndef SV_BITS_H_
#define SV_BITS_H_

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"

/* Bits that @x needs: 0 for 0. */
static inline unsigned sv_bits_width(uint32_t x)
{
    return x == 0 ? 0 : 32 - (unsigned)__builtin_clz(x);
}

static inline uint64_t sv_bits_bytes(uint64_t bits)
{
    return bits / 8 + (bits % 8 != 0);
}

/* Writes to memory that is large enough: sv_bits_bytes() of all widths. */
struct sv_bits_writer {
    uint8_t *p;
    uint64_t held; /* Bits that are not written yet, the first lowest. */
    unsigned n_held;
};

/* Append the low @width <= 32 bits of @x, the others of which are zero. */
static inline void
sv_bits_put(struct sv_bits_writer *w, uint32_t x, unsigned width)
{
    w->held |= (uint64_t)x << w->n_held;
    w->n_held += width;
    if (w->n_held >= 32) {
        le_put_u32(w->p, (uint32_t)w->held);
        w->p += 4;
        w->held >>= 32;
        w->n_held -= 32;
    }
}

static inline void sv_bits_flush(struct sv_bits_writer *w)
{
    for (; w->n_held > 0; w->n_held = w->n_held > 8 ? w->n_held - 8 : 0) {
        *w->p++ = (uint8_t)w->held;
        w->held >>= 8;
    }
}

/* The 57 or more bits from bit @at on; 8 bytes must be there. */
static inline uint64_t sv_bits_load(const uint8_t *p, uint64_t at)
{
    return le_u64(p + at / 8) >> at % 8;
}

/* Like sv_bits_load where fewer than 8 of @size bytes may be left: zeros stand
 * for what is not there. */
static inline uint64_t
sv_bits_load_end(const uint8_t *p, uint64_t size, uint64_t at)
{
    uint8_t bytes[8] = {0};

    if (at / 8 + 8 <= size) {
        return sv_bits_load(p, at);
    }
    if (at / 8 < size) {
        memcpy(bytes, p + at / 8, (size_t)(size - at / 8));
    }
    return le_u64(bytes) >> at % 8;
}

/* Read @n numbers of @width <= 32 bits from bit @at on, of a stream of @size
 * bytes that holds them all. */
void sv_bits_get(const uint8_t *p,
                 uint64_t size,
                 uint64_t at,
                 unsigned width,
                 uint32_t *x,
                 size_t n);

/* Append a run of @n numbers. Memory: out->failed. */
void sv_bits_put_run(struct buf *out, const uint32_t *x, size_t n);

/* Read a run of @n numbers from [*p, end) and move *p behind it. False, with
 * *p and @x undefined, if it is not there whole, or a number exceeds 32 bits.
 */
bool sv_bits_get_run(const uint8_t **p,
                     const uint8_t *end,
                     uint32_t *x,
                     size_t n);

#endif /* SV_BITS_H_ */
