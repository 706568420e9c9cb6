/* Encoding of batches as records.
 *
 * Payload of SV_RECORD_BATCH, before compression:
 *
 *     coef     f32 (n), or, when all are equal, see below
 *     samples  if SV_CODEC_SAMPLES: n varints, zigzag differences
 *     U        (n, J)
 *     V        (n, K)
 *
 * (The owner of this file completes this table: exact layout of coefs, dense
 * and sparse vectors, with streams of one kind of number kept together.)
 *
 * Decoding gives back exactly the floats that were encoded.
 */

#ifndef SV_CODEC_H_
#define SV_CODEC_H_

#include "core/buf.h"
#include "core/err.h"
#include "sv/record.h"

/* Memory that encoding and decoding reuse. */
struct sv_codec_scratch {
    struct buf raw;         /* Payload before compression. */
    struct buf packed;      /* Payload after it. */
    unsigned snappy_misses; /* Samples in a row that did not compress. */
};
void sv_codec_scratch_init(struct sv_codec_scratch *s);
void sv_codec_scratch_fini(struct sv_codec_scratch *s);

/* Append the record of @b to @out. @r gives view, origin, clock, matrix and
 * sequence. The payload is compressed with Snappy where a sample of it shows a
 * gain of at least 5%.
 *
 * Errors: ERR_NOMEM; ERR_INVALID: the payload is over SV_RECORD_PAYLOAD_MAX. */
int sv_codec_encode(struct buf *out,
                    const struct sv_record *r,
                    const struct sv_batch *b,
                    struct sv_codec_scratch *s,
                    struct err *e);

/* Read the record at @data into @b (initialized; J and K must be those of @b).
 * Every size is checked before anything is allocated: memory is bounded by a
 * small multiple of @size, or by n J and n K floats for dense vectors, which a
 * valid dense record must contain anyway.
 *
 * Errors: ERR_AGAIN, ERR_CORRUPT (as sv_record_read; also wrong shape, index
 *         out of range or not ascending, bytes left over), ERR_NOMEM. */
int sv_codec_decode(struct sv_batch *b,
                    struct sv_record *r,
                    const uint8_t *data,
                    size_t size,
                    struct sv_codec_scratch *s,
                    struct err *e);

#endif /* SV_CODEC_H_ */
