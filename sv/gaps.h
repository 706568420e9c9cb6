/* The ascending indices of n sparse vectors as bytes.
 *
 *     counts     run (n): entries of each vector
 *     wide       run (n): bits of the widest gap in a vector, 1..32
 *     less       run (n): how many bits less the narrow ones have, 0..wide; 0:
 *                all gaps of the vector have the wide bits
 *     selectors  bit stream: for each vector whose less is not 0, a bit for
 * each entry, 1 if its gap has the wide bits gaps       bit stream: each index
 * less the one before and less 1 (the first: as it is)
 *
 * Runs and bit streams are those of sv/bits.h. Two widths take less than the
 * delta-varint of whole bytes for hashed, frequent-first and dense features
 * alike, and there is no branch in reading them. The second one is used where
 * it saves an eighth: it takes time to find.
 *
 * Every entry takes a bit at least.
 */

#ifndef SV_GAPS_H_
#define SV_GAPS_H_

#include "core/buf.h"
#include "core/err.h"
#include "sv/batch.h"

/* Append counts and indices of @x. @scratch is overwritten. Memory:
 * out->failed. */
void sv_gaps_put(struct buf *out, const struct sv_vecs *x, struct buf *scratch);

/* Read the indices of @n vectors from [*p, end) and move *p behind them. @x,
 * sparse, gets its size, ptr and idx; val has room, and no content.
 *
 * Errors: ERR_CORRUPT (nothing is allocated that the bytes do not pay for: at
 *         most 8 entries a byte), ERR_NOMEM. */
int sv_gaps_get(const uint8_t **p,
                const uint8_t *end,
                struct sv_vecs *x,
                uint32_t n,
                struct buf *scratch,
                struct err *e);

#endif /* SV_GAPS_H_ */
