#include "sv/shuffle.h"

#include <assert.h>

static void part_2(uint8_t *restrict to, const uint8_t *restrict from, size_t n)
{
    uint8_t *restrict low = to + n;

    for (size_t i = 0; i < n; i++) {
        low[i] = from[2 * i];
        to[i] = from[2 * i + 1];
    }
}

static void part_4(uint8_t *restrict to, const uint8_t *restrict from, size_t n)
{
    uint8_t *restrict to_2 = to + n, *restrict to_1 = to_2 + n;
    uint8_t *restrict to_0 = to_1 + n;

    for (size_t i = 0; i < n; i++) {
        to_0[i] = from[4 * i];
        to_1[i] = from[4 * i + 1];
        to_2[i] = from[4 * i + 2];
        to[i] = from[4 * i + 3];
    }
}

void sv_shuffle(uint8_t *to, const uint8_t *from, size_t n, size_t w)
{
    assert(w == 2 || w == 4);
    if (w == 2) {
        part_2(to, from, n);
    } else {
        part_4(to, from, n);
    }
}

static void
join_2(uint8_t *restrict to, const uint8_t *restrict planes, size_t n, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        to[2 * i] = planes[n + i];
        to[2 * i + 1] = planes[i];
    }
}

static void
join_4(uint8_t *restrict to, const uint8_t *restrict planes, size_t n, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        to[4 * i] = planes[3 * n + i];
        to[4 * i + 1] = planes[2 * n + i];
        to[4 * i + 2] = planes[n + i];
        to[4 * i + 3] = planes[i];
    }
}

void sv_shuffle_undo(uint8_t *to,
                     const uint8_t *planes,
                     size_t n,
                     size_t w,
                     size_t m)
{
    assert(w == 2 || w == 4);
    if (w == 2) {
        join_2(to, planes, n, m);
    } else {
        join_4(to, planes, n, m);
    }
}
