#include "core/rng.h"

#include <assert.h>
#include <math.h>

#define PHILOX_M0     0xd2511f53u
#define PHILOX_M1     0xcd9e8d57u
#define PHILOX_W0     0x9e3779b9u
#define PHILOX_W1     0xbb67ae85u
#define PHILOX_ROUNDS 10

__extension__ typedef unsigned __int128 u128;

struct philox {
    uint32_t x[4];
};

static struct philox philox(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    struct philox c = {{(uint32_t)index, (uint32_t)(index >> 32),
                        (uint32_t)stream, (uint32_t)(stream >> 32)}};

    for (int r = 0; r < PHILOX_ROUNDS; r++) {
        uint64_t p0 = (uint64_t)PHILOX_M0 * c.x[0];
        uint64_t p1 = (uint64_t)PHILOX_M1 * c.x[2];
        c = (struct philox){{(uint32_t)(p1 >> 32) ^ c.x[1] ^ k0, (uint32_t)p1,
                             (uint32_t)(p0 >> 32) ^ c.x[3] ^ k1, (uint32_t)p0}};
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    return c;
}

uint64_t rng_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
    struct philox c = philox(seed, stream, index);
    return (uint64_t)c.x[1] << 32 | c.x[0];
}

/* Every part goes through the full generator, so that no two lists of numbers
 * meet in a stream but by chance (2^-64). */
uint64_t rng_stream(enum rng_purpose purpose, uint64_t a, uint64_t b)
{
    return rng_u64(rng_u64((uint64_t)purpose, 0, a), 1, b);
}

uint64_t rng_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n)
{
    assert(n > 0);
    return (uint64_t)(((u128)rng_u64(seed, stream, index) * n) >> 64);
}

float rng_f32(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (float)(rng_u64(seed, stream, index) >> 40) * 0x1p-24f;
}

float rng_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t x = rng_u64(seed, stream, index);
    double u1 = ((double)(uint32_t)(x >> 32) + 1.0) * 0x1p-32;
    double u2 = (double)(uint32_t)x * 0x1p-32;
    return (float)(sqrt(-2.0 * log(u1)) * cos(6.283185307179586 * u2));
}

/* The round function of the Feistel network: a short mix is enough to shuffle
 * samples, and ten Philox rounds would cost more than reading the sample. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t rng_permute(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i)
{
    uint64_t key = rng_u64(seed, stream, 0);
    unsigned half = 1;
    uint64_t mask;

    assert(i < n);
    while (half < 32 && (uint64_t)1 << (2 * half) < n) {
        half++;
    }
    mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t l = i >> half, r = i & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t f = mix(key ^ (r | round << 60)) & mask;
            uint64_t t = l ^ f;
            l = r;
            r = t;
        }
        i = l << half | r;
    } while (i >= n);
    return i;
}
