/* The float values of n vectors as bytes: of 32 bits, bit for bit, or rounded
 * to 16 as sv/f16.h says. A float below is one of the codec's size.
 *
 * Values of one vector are often few different ones: counts over a norm, grey
 * levels, plus and minus tau. Those are stored once, in a dictionary, and each
 * value is a code of 0 to 8 bits. Which form is the smallest is tried, not
 * guessed from the data set.
 *
 *     u8  form
 *         0  float (entries), the values of all vectors, back to back; if the
 *            record is shuffled, as the planes of sv/shuffle.h
 *         1  a dictionary for each vector:
 *            run   d (n): different values of a vector, up to 256; 0: the
 *                  vector has no dictionary
 *            float for each vector its d values, or all its values if d is 0
 *            bits  for each vector with a dictionary its codes
 *         2  one dictionary for all:
 *            u16   d: 1..256
 *            float (d)
 *            bits  (entries) codes
 *
 * Runs and bit streams are those of sv/bits.h. A code takes as many bits as
 * d - 1 needs; dense vectors and form 2 spend one at least, so that every entry
 * of a dense vector is paid for by a bit. (Those of sparse vectors are by their
 * indices.)
 */

#ifndef SV_VALUES_H_
#define SV_VALUES_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "sv/batch.h"
#include "sv/bits.h"
#include "sv/f16.h"

#define SV_DICT_MAX   256 /* Values in a dictionary. */
#define SV_DICT_SLOTS 1024

enum sv_values_form {
    SV_VALUES_PLAIN = 0,
    SV_VALUES_DICT_EACH = 1,
    SV_VALUES_DICT_ONE = 2
};

/* Bits of a code into a dictionary of @d > 0 values. */
static inline unsigned sv_values_code_width(uint32_t d, bool sparse)
{
    unsigned width = sv_bits_width(d - 1);

    return width == 0 && !sparse ? 1 : width;
}

/* Memory that encoding and decoding reuse. */
struct sv_values_scratch {
    struct buf narrow; /* The values of 16 bits as they are stored. */
    struct buf sizes;  /* u32 (n): d. */
    struct buf dicts;  /* Floats: dictionaries, and values without one. */
    struct buf codes;  /* u8 (entries). */
    /* Hash table of the dictionary in the making: a slot counts iff its stamp
     * is the current one. */
    uint32_t stamp;
    uint32_t stamps[SV_DICT_SLOTS];
    uint32_t bits[SV_DICT_SLOTS]; /* Of the value as it is stored. */
    uint8_t code[SV_DICT_SLOTS];
};

void sv_values_init(struct sv_values_scratch *s);
void sv_values_fini(struct sv_values_scratch *s);

/* Floats that stand alone, back to back, in what was appended. */
struct sv_values_plain {
    size_t at; /* Where in the buffer. */
    size_t n;  /* 0: there are dictionaries. */
    size_t w;  /* Bytes of each. */
};

/* Append the values of @x, which fit @codec. Memory: out->failed, for the
 * scratch too. */
struct sv_values_plain sv_values_put(struct buf *out,
                                     const struct sv_vecs *x,
                                     enum sv_value_codec codec,
                                     struct sv_values_scratch *s);

struct sv_values_format {
    enum sv_value_codec codec;
    bool shuffled;
};

/* Read values from [*p, end) into @x, the sizes of which are set and within
 * what the bytes can hold (dense: 8 entries a byte), and move *p behind them.
 *
 * Errors: ERR_CORRUPT, ERR_NOMEM. */
int sv_values_get(const uint8_t **p,
                  const uint8_t *end,
                  struct sv_vecs *x,
                  struct sv_values_format format,
                  struct sv_values_scratch *s,
                  struct err *e);

#endif /* SV_VALUES_H_ */
