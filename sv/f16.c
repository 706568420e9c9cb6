#include "sv/f16.h"

#include <assert.h>
#include <string.h>

#define SIGN 0x80000000u
#define INF  0x7f800000u

/* f16: 2^-14, the least normal; 65520, halfway from the greatest to the next
 * one up; the bits of an exponent of f16 in an f32. */
#define F16_NORMAL   0x38800000u
#define F16_OVERFLOW 0x477ff000u
#define F16_BIAS     0x38000000u

#define BF16_OVERFLOW 0x7f7f8000u

static const char *const NAMES[] = {"f32", "bf16", "f16"};

const char *sv_f16_name(enum sv_value_codec codec)
{
    assert(codec < SV_VALUE_CODEC_COUNT);
    return NAMES[codec];
}

static inline uint32_t bits_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float from_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t load(const uint8_t *p)
{
    uint16_t h;

    memcpy(&h, p, sizeof h);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    h = __builtin_bswap16(h);
#endif
    return h;
}

static inline void store(uint8_t *p, uint32_t bits)
{
    uint16_t h = (uint16_t)bits;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    h = __builtin_bswap16(h);
#endif
    memcpy(p, &h, sizeof h);
}

/* @a if @is_a, else @b, without a branch: compilers would move what only one of
 * them needs behind it, and then not use vectors. */
static inline uint32_t choose(bool is_a, uint32_t a, uint32_t b)
{
    uint32_t mask = 0u - is_a;

    return (a & mask) | (b & ~mask);
}

/* A NaN whose payload is in the lower half only must not become infinite. */
static inline uint32_t to_bf16(uint32_t x)
{
    uint32_t rounded = (x + 0x7fff + (x >> 16 & 1)) >> 16;
    uint32_t nan = x >> 16 | ((x & 0xffff) != 0);

    return (x & ~SIGN) > INF ? nan : rounded;
}

static inline uint32_t from_bf16(uint32_t h)
{
    return h << 16;
}

/* Below the normal range the sum with 1/2, whose last bit is 2^-24, rounds as
 * wanted and leaves the multiple in the lower bits. NaNs become quiet, as they
 * do by the instruction of x86. */
static inline uint32_t to_f16(uint32_t x)
{
    uint32_t abs = x & ~SIGN, sign = (x & SIGN) >> 16;
    uint32_t normal = (abs + 0xfff + (abs >> 13 & 1) - F16_BIAS) >> 13;
    uint32_t small = bits_of(from_bits(abs) + 0.5f) - 0x3f000000u;
    uint32_t nan = 0x7e00 | (abs >> 13 & 0x1ff);
    uint32_t h = choose(abs < F16_NORMAL, small, normal);

    h = choose(abs >= F16_OVERFLOW, 0x7c00, h);
    return sign | choose(abs > INF, nan, h);
}

static inline uint32_t from_f16(uint32_t h)
{
    uint32_t m = h & 0x7fff, sign = (h & 0x8000) << 16;
    uint32_t normal = (m << 13) + F16_BIAS;
    uint32_t small = bits_of((float)(int32_t)m * 0x1p-24f);
    uint32_t infinite = m << 13 | INF | (uint32_t)(m > 0x7c00) << 22;
    uint32_t abs = choose(m < 0x400, small, normal);

    return sign | choose(m >= 0x7c00, infinite, abs);
}

bool sv_f16_fits(enum sv_value_codec codec, const float *x, size_t n)
{
    const int32_t least =
        (int32_t)(codec == SV_VALUE_F16 ? F16_OVERFLOW : BF16_OVERFLOW);

    if (codec == SV_VALUE_F32) {
        return true;
    }
    for (size_t i = 0; i < n; i += 1024) {
        size_t end = n - i < 1024 ? n : i + 1024;
        int32_t over = 0;
        for (size_t j = i; j < end; j++) {
            int32_t abs = (int32_t)(bits_of(x[j]) & ~SIGN);
            over |= (abs >= least) & (abs < (int32_t)INF);
        }
        if (over != 0) {
            return false;
        }
    }
    return true;
}

static void put_f32(uint8_t *restrict to, const float *restrict x, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (n > 0) {
        memcpy(to, x, n * sizeof *x);
    }
#else
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = __builtin_bswap32(bits_of(x[i]));
        memcpy(to + 4 * i, &bits, sizeof bits);
    }
#endif
}

static void get_f32(float *restrict x, const uint8_t *restrict p, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (n > 0) {
        memcpy(x, p, n * sizeof *x);
    }
#else
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, p + 4 * i, sizeof bits);
        x[i] = from_bits(__builtin_bswap32(bits));
    }
#endif
}

static void put_bf16(uint8_t *restrict to, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        store(to + 2 * i, to_bf16(bits_of(x[i])));
    }
}

static void get_bf16(float *restrict x, const uint8_t *restrict p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = from_bits(from_bf16(load(p + 2 * i)));
    }
}

static void put_f16(uint8_t *restrict to, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        store(to + 2 * i, to_f16(bits_of(x[i])));
    }
}

static void get_f16(float *restrict x, const uint8_t *restrict p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = from_bits(from_f16(load(p + 2 * i)));
    }
}

void sv_f16_put(enum sv_value_codec codec,
                uint8_t *to,
                const float *x,
                size_t n)
{
    if (codec == SV_VALUE_BF16) {
        put_bf16(to, x, n);
    } else if (codec == SV_VALUE_F16) {
        put_f16(to, x, n);
    } else {
        put_f32(to, x, n);
    }
}

void sv_f16_get(enum sv_value_codec codec, float *x, const uint8_t *p, size_t n)
{
    if (codec == SV_VALUE_BF16) {
        get_bf16(x, p, n);
    } else if (codec == SV_VALUE_F16) {
        get_f16(x, p, n);
    } else {
        get_f32(x, p, n);
    }
}

void sv_f16_round(enum sv_value_codec codec, float *x, size_t n)
{
    if (codec == SV_VALUE_BF16) {
        for (size_t i = 0; i < n; i++) {
            x[i] = from_bits(from_bf16(to_bf16(bits_of(x[i]))));
        }
    } else if (codec == SV_VALUE_F16) {
        for (size_t i = 0; i < n; i++) {
            x[i] = from_bits(from_f16(to_f16(bits_of(x[i]))));
        }
    }
}
