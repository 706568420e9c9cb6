/* Byte shuffle: the bytes of many values, each kind together.
 *
 *     n values of w bytes   ->   w planes of n bytes
 *     byte p of value i     ->   byte i of plane w - 1 - p
 *
 * Signs and exponents of neighbours are alike, the low bits of a mantissa are
 * noise: apart, a compressor that looks for repeated bytes finds some. Those of
 * the signs come first, as noise before them makes Snappy look less closely.
 */

#ifndef SV_SHUFFLE_H_
#define SV_SHUFFLE_H_

#include <stddef.h>
#include <stdint.h>

/* Write the planes of the @n values of @w = 2 or 4 bytes at @from to @to.
 * Alias: none. */
void sv_shuffle(uint8_t *to, const uint8_t *from, size_t n, size_t w);

/* Write @m values of @w bytes to @to, the bytes of the first of which stand at
 * @planes and every @n bytes behind. Alias: none. */
void sv_shuffle_undo(uint8_t *to,
                     const uint8_t *planes,
                     size_t n,
                     size_t w,
                     size_t m);

#endif /* SV_SHUFFLE_H_ */
