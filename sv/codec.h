/* Encoding of batches as records.
 *
 * Payload of SV_RECORD_BATCH, before compression:
 *
 *     coef     u8 form, then f32 (n) if it is 0, one f32 for all pairs if 1
 *     samples  if SV_CODEC_SAMPLES: a run (n)
 *     U        vectors (n, J), sparse if SV_CODEC_U_SPARSE
 *     V        vectors (n, K), sparse if SV_CODEC_V_SPARSE
 *
 * A batch without pairs has no payload. Vectors are
 *
 *     indices  sparse only: as in sv/gaps.h
 *     values   as in sv/values.h
 *
 * Runs and bit streams are those of sv/bits.h. Nothing is left over. With
 * SV_CODEC_SNAPPY all of it is one Snappy block.
 *
 * Every pair and every entry takes a bit at least, so what a payload claims to
 * hold is bounded by its size before anything is allocated.
 *
 * Decoding gives back exactly the floats that were encoded. Further codecs take
 * further bits: of narrower floats or of other orders of bytes for the values
 * of a side, say.
 */

#ifndef SV_CODEC_H_
#define SV_CODEC_H_

#include "core/buf.h"
#include "core/err.h"
#include "sv/record.h"
#include "sv/values.h"

/* Memory that encoding and decoding reuse. */
struct sv_codec_scratch {
    struct buf raw;         /* Payload before compression. */
    struct buf packed;      /* Payload after it. */
    struct buf numbers;     /* Widths of gaps. */
    unsigned snappy_misses; /* Samples in a row that did not compress. */
    unsigned snappy_skip;   /* Records to go without trying again. */
    struct sv_values_scratch values;
};
void sv_codec_scratch_init(struct sv_codec_scratch *s);
void sv_codec_scratch_fini(struct sv_codec_scratch *s);

/* Append the record of @b to @out. @r gives view, origin, clock, matrix and
 * sequence. The payload is compressed with Snappy where a sample of it shows a
 * gain of at least 5%; after misses in a row it is tried ever more rarely.
 *
 * Errors: ERR_NOMEM; ERR_INVALID: the payload is over SV_RECORD_PAYLOAD_MAX. */
int sv_codec_encode(struct buf *out,
                    const struct sv_record *r,
                    const struct sv_batch *b,
                    struct sv_codec_scratch *s,
                    struct err *e);

/* Read the record at @data into @b (initialized; J and K must be those of @b).
 * Every size is checked before anything is allocated: memory is bounded by a
 * small multiple of the payload before compression (itself at most
 * SV_RECORD_EXPANSION_MAX times @size), or by n J and n K floats for dense
 * vectors, of which the payload holds at least a bit each.
 *
 * Errors: ERR_AGAIN, ERR_CORRUPT (as sv_record_read; also wrong shape, index
 *         out of range or not ascending, bytes left over), ERR_NOMEM. The
 *         content of @b is undefined then. */
int sv_codec_decode(struct sv_batch *b,
                    struct sv_record *r,
                    const uint8_t *data,
                    size_t size,
                    struct sv_codec_scratch *s,
                    struct err *e);

#endif /* SV_CODEC_H_ */
