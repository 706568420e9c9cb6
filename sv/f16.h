/* Floats as bytes: of 32 bits, or rounded to 16.
 *
 *     f32   as it is: 24 bits of precision
 *     bf16  the upper half of an f32: the range of f32, 8 bits of precision
 *     f16   IEEE-754 binary16: 11 bits of precision from 2^-14 to 65504; below,
 *           multiples of 2^-24, and what is less than half of that becomes zero
 *
 * All are stored little-endian. Rounding is to nearest, ties to even; denormals
 * are kept, and so are the signs of zeros. Infinities stay, NaNs stay NaN. A
 * finite value may only be put where it fits: see sv_f16_fits(). What was read
 * is put again as the same value, so rounding twice is rounding once.
 *
 * The loops have no branch and no call, which is all that a compiler wants to
 * make them run a vector at a time; the bits are the same everywhere.
 *
 * Source: IEEE 754-2019, 3.4 and 4.3.1.
 */

#ifndef SV_F16_H_
#define SV_F16_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sv_value_codec {
    SV_VALUE_F32,
    SV_VALUE_BF16,
    SV_VALUE_F16,
    SV_VALUE_CODEC_COUNT
};

/* "f32", "bf16", "f16". */
const char *sv_f16_name(enum sv_value_codec codec);

/* Bytes of a value. */
static inline size_t sv_f16_size(enum sv_value_codec codec)
{
    return codec == SV_VALUE_F32 ? 4 : 2;
}

/* Does no finite value of @x become infinite when it is rounded to @codec?
 * Finite are less than 65520 for f16, and for bf16 less than 2^128 - 2^119. */
bool sv_f16_fits(enum sv_value_codec codec, const float *x, size_t n);

/* Write @n values to @to, of n sv_f16_size() bytes, and read them from there.
 *
 * Alias: none. */
void sv_f16_put(enum sv_value_codec codec,
                uint8_t *to,
                const float *x,
                size_t n);
void sv_f16_get(enum sv_value_codec codec,
                float *x,
                const uint8_t *p,
                size_t n);

/* Round in place: to what sv_f16_get() makes of what sv_f16_put() makes. */
void sv_f16_round(enum sv_value_codec codec, float *x, size_t n);

#endif /* SV_F16_H_ */
