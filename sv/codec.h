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
 *     values   as in sv/values.h: f32, or with the codec's bits of the side
 *              bf16 or f16; if SV_CODEC_SHUFFLE, those without a dictionary
 *              stand as the planes of sv/shuffle.h
 *
 * Runs and bit streams are those of sv/bits.h. Nothing is left over. With
 * SV_CODEC_SNAPPY all of it is one Snappy block.
 *
 * Every pair and every entry takes a bit at least, so what a payload claims to
 * hold is bounded by its size before anything is allocated.
 *
 * With f32 on both sides decoding gives back exactly the floats that were
 * encoded. With 16 bits it gives back what sv_codec_round() makes of them,
 * which is what the sender must apply to stay equal to those who receive it.
 * Coefs and rates are always f32.
 *
 * A side with a finite value that is too large for f16 is bf16 in that record,
 * one that is too large for bf16 is f32: nothing becomes infinite on its way.
 */

#ifndef SV_CODEC_H_
#define SV_CODEC_H_

#include "core/buf.h"
#include "core/err.h"
#include "sv/codec_options.h"
#include "sv/record.h"
#include "sv/values.h"

/* Options of encoding, and memory that encoding and decoding reuse. */
struct sv_codec_scratch {
    struct sv_codec_options options; /* For encoding: f32, unless set. */
    bool plain;          /* Encode without compression: for what is not sent. */
    struct buf raw;      /* Payload before compression. */
    struct buf shuffled; /* Payload with shuffled values. */
    struct buf packed;   /* Payload after compression. */
    struct buf numbers;  /* Widths of gaps. */
    unsigned snappy_misses; /* Samples in a row that did not compress. */
    unsigned snappy_skip;   /* Records to go without trying again. */
    struct sv_values_scratch values;
};
void sv_codec_scratch_init(struct sv_codec_scratch *s);
void sv_codec_scratch_fini(struct sv_codec_scratch *s);

/* Append the record of @b to @out. @r gives view, origin, clock, matrix and
 * sequence. The payload is compressed with Snappy where a sample of it shows a
 * gain of at least 5%; after misses in a row it is tried ever more rarely. With
 * options.shuffle the same is asked of shuffled values, and the better is
 * taken.
 *
 * Errors: ERR_NOMEM; ERR_INVALID: the payload is over SV_RECORD_PAYLOAD_MAX. */
int sv_codec_encode(struct buf *out,
                    const struct sv_record *r,
                    const struct sv_batch *b,
                    struct sv_codec_scratch *s,
                    struct err *e);

/* Change the values of @b to what decoding gives after encoding with these
 * options. Rounding what is round changes nothing, and the record of the
 * rounded batch has the same bytes as that of @b. */
void sv_codec_round(struct sv_batch *b, const struct sv_codec_options *o);

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
