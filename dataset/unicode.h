/* UTF-8 and lower case, the same on every machine whatever its locales. */

#ifndef DATASET_UNICODE_H_
#define DATASET_UNICODE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNICODE_BYTES_MAX 4 /* Of a code point in UTF-8. */

/* Decode the code point at [*p, end) and move *p behind it. Return false, and
 * leave *p alone, if the bytes are no UTF-8: cut short, overlong, a surrogate
 * or above U+10FFFF. *p < end. */
bool unicode_decode(const char **p, const char *end, uint32_t *c);

/* Write @c as UTF-8 to @to. Return the number of bytes. */
size_t unicode_encode(char to[UNICODE_BYTES_MAX], uint32_t c);

bool unicode_is_utf8(const char *p, size_t size);

/* The simple (one to one) lower case of @c.
 *
 * Source: UnicodeData.txt of Unicode 14, field 13. */
uint32_t unicode_lower(uint32_t c);

/* White space; and what words are made of: everything but white space,
 * controls and the punctuation and symbols of ASCII, Latin-1, U+2000..2BFF,
 * U+3000..303F and the full-width forms. */
bool unicode_is_space(uint32_t c);
bool unicode_is_word(uint32_t c);

#endif /* DATASET_UNICODE_H_ */
