#include "sv/bits.h"

void sv_bits_get(const uint8_t *p,
                 uint64_t size,
                 uint64_t at,
                 unsigned width,
                 uint32_t *x,
                 size_t n)
{
    uint64_t mask = ((uint64_t)1 << width) - 1;
    size_t i = 0;

    if (width <= 14) {
        for (; n - i >= 4 && at / 8 + 8 <= size; i += 4, at += 4 * width) {
            uint64_t bits = sv_bits_load(p, at);
            x[i] = (uint32_t)(bits & mask);
            x[i + 1] = (uint32_t)(bits >> width & mask);
            x[i + 2] = (uint32_t)(bits >> 2 * width & mask);
            x[i + 3] = (uint32_t)(bits >> 3 * width & mask);
        }
    }
    for (; i < n && at / 8 + 8 <= size; i++, at += width) {
        x[i] = (uint32_t)(sv_bits_load(p, at) & mask);
    }
    for (; i < n; i++, at += width) {
        x[i] = (uint32_t)(sv_bits_load_end(p, size, at) & mask);
    }
}

void sv_bits_put_run(struct buf *out, const uint32_t *x, size_t n)
{
    uint32_t least = n == 0 ? 0 : x[0], most = least;
    struct sv_bits_writer w = {0};
    unsigned width;

    for (size_t i = 0; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    width = most == least ? 1 : sv_bits_width(most - least);
    buf_put_varint(out, least);
    buf_put(out, &(uint8_t){(uint8_t)width}, 1);
    w.p = buf_add(out, (size_t)sv_bits_bytes((uint64_t)n * width));
    if (w.p == NULL) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        sv_bits_put(&w, x[i] - least, width);
    }
    sv_bits_flush(&w);
}

bool sv_bits_get_run(const uint8_t **p,
                     const uint8_t *end,
                     uint32_t *x,
                     size_t n)
{
    uint64_t base, size;
    uint32_t most = 0;
    unsigned width;

    if (!buf_get_varint(p, end, &base) || *p == end || base > UINT32_MAX) {
        return false;
    }
    width = *(*p)++;
    size = sv_bits_bytes((uint64_t)n * width);
    if (width == 0 || width > 32 || size > (uint64_t)(end - *p)) {
        return false;
    }
    sv_bits_get(*p, size, 0, width, x, n);
    for (size_t i = 0; i < n; i++) {
        most = x[i] > most ? x[i] : most;
        x[i] += (uint32_t)base;
    }
    *p += size;
    return most <= UINT32_MAX - base;
}
