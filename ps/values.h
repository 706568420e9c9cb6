/* Values of some keys of a vector, and their bytes.
 *
 * Keys are numbered from 0 in the vector, or in the range of it, that the
 * values belong to. They are all of [first, first + n), or those of a list.
 *
 *     u8 form, then
 *     0 row    varint first, varint n, f32 (n)
 *     1 list   varint n, varint first key, n - 1 varints: each key less the
 *              one before less 1, f32 (n)
 *     2 known  u64 hash of the list of keys, varint n, f32 (n)
 *
 * Valid iff all of it is there, keys ascend and are below the length of the
 * range, and floats are finite. The form `known` stands for a list that the
 * receiver has got before and not forgotten (ps/keys.h).
 */

#ifndef PS_VALUES_H_
#define PS_VALUES_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "ps/keys.h"

struct ps_values {
    uint32_t first;  /* Of a row. */
    uint32_t n;      /* How many values. */
    uint32_t *index; /* (n) ascending, or NULL: a row. Owned. */
    float *val;      /* (n) Owned. */
};

/* A row of @n values, copied from @val. Errors: ERR_NOMEM. */
int ps_values_init(struct ps_values *v,
                   uint32_t first,
                   uint32_t n,
                   const float *val);
void ps_values_fini(struct ps_values *v);

/* The key of value @i. */
static inline uint32_t ps_values_key(const struct ps_values *v, uint32_t i)
{
    return v->index == NULL ? v->first + i : v->index[i];
}

/* Copy those of @from with keys in [@begin, @begin + @n), counted from @begin.
 * Errors: ERR_NOMEM. */
int ps_values_cut(struct ps_values *v,
                  const struct ps_values *from,
                  uint32_t begin,
                  uint32_t n);

/* How many have keys in [@begin, @begin + @n). */
uint32_t ps_values_count(const struct ps_values *v, uint32_t begin, uint32_t n);

/* All floats are finite. */
bool ps_values_finite(const struct ps_values *v);

/* Append the bytes: with the hash for the list of keys where @known. */
void ps_values_encode(const struct ps_values *v, bool known, struct buf *out);

/* What `known` says instead of the keys of @v, a list. */
uint64_t ps_values_hash(const struct ps_values *v);

/* Read values of a range of @length keys from [*p, end), and move *p behind
 * them. Lists go into @keys, and known ones come from there; NULL: none.
 *
 * Errors: ERR_CORRUPT     not valid. @v needs no ps_values_fini() then.
 *         ERR_NOT_FINITE  all else is in order.
 *         ERR_NOT_FOUND   the list of keys is not known.
 *         ERR_NOMEM */
int ps_values_decode(struct ps_values *v,
                     const uint8_t **p,
                     const uint8_t *end,
                     uint32_t length,
                     struct ps_keys *keys,
                     struct err *e);

#endif /* PS_VALUES_H_ */
