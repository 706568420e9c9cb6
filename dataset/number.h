/* Numbers in text, faster than strtof() and rounded like it.
 *
 * Text must end in a byte that is no part of a number: lines end in '\n'.
 */

#ifndef DATASET_NUMBER_H_
#define DATASET_NUMBER_H_

#include <stdbool.h>
#include <stdint.h>

/* Parse the decimal number at *p, e.g. "3", "-.5", "1.25e-3", to the nearest
 * float, and move *p behind it. Return false, and leave *p alone, if there is
 * none: "nan", "inf" and hexadecimal are none. *x is infinite if the number is
 * too big for a float.
 *
 * Cost: a few nanoseconds for up to 15 digits and small exponents. */
bool dataset_parse_f32(const char **p, float *x);

/* Parse the digits at *p and move *p behind them. Return false, and leave *p
 * alone, if there are none. Numbers above UINT64_MAX become UINT64_MAX. */
bool dataset_parse_u64(const char **p, uint64_t *x);

#endif /* DATASET_NUMBER_H_ */
