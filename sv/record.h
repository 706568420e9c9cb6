/* Records: the unit of wire and log.
 *
 * A record is a header and a payload. The same bytes are sent, logged and
 * applied. Integers and floats are little-endian.
 *
 *     offset  size  field
 *          0     4  magic, "LYR1"
 *          4     1  version, 1
 *          5     1  kind, enum sv_record_kind
 *          6     2  codec, bits of enum sv_codec
 *          8     4  view
 *         12     4  origin, the peer that made it
 *         16     8  clock
 *         24     2  matrix, index of the parameter
 *         26     2  reserved, zero
 *         28     4  sequence, tells apart records of the same (clock, origin,
 *                   matrix)
 *         32     4  n, pairs
 *         36     4  J
 *         40     4  K
 *         44     4  rate, f32
 *         48     4  payload bytes as stored
 *         52     4  payload bytes before compression
 *         56     8  XXH3-64 of bytes 0..55 and the stored payload
 *         64     -  payload
 *
 * The layout of a batch's payload stands in sv/codec.h. Other kinds carry bytes
 * that this module does not look into; n, J, K and rate are zero there.
 *
 * A record is valid iff magic, version and reserved bytes are as above, kind
 * and codec are known, no side has two kinds of floats, payload bytes do not
 * exceed SV_RECORD_PAYLOAD_MAX, the two payload sizes are equal (compressed: a
 * ratio within SV_RECORD_EXPANSION_MAX), and the checksum matches. A batch has
 * n, J and K in the limits of sv/batch.h, other kinds zeros there.
 */

#ifndef SV_RECORD_H_
#define SV_RECORD_H_

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "sv/batch.h"

#define SV_RECORD_SIZE        64 /* Bytes of the header. */
#define SV_RECORD_PAYLOAD_MAX ((uint32_t)1 << 30)

/* No compressor we use makes more than this many bytes of one. */
#define SV_RECORD_EXPANSION_MAX 32

enum sv_record_kind {
    SV_RECORD_BATCH = 1, /* SV pairs. */
    SV_RECORD_RUN,       /* What the job is: JSON text. */
    SV_RECORD_STEP,      /* What a clock did to the replica: ckpt/step.h. */
    SV_RECORD_DIGEST,    /* Digest of a matrix at a clock. */
    SV_RECORD_METRIC,    /* Measurements: JSON text, after the fact. */
    SV_RECORD_CARRY,     /* SV pairs that a selection left for this clock: coded
                          * as a batch, and applied by nobody. */
    SV_RECORD_ROWS,      /* What is added to rows of a matrix: sv/rows.h. */
    SV_RECORD_KIND_END
};

enum sv_codec {
    SV_CODEC_U_SPARSE = 1 << 0,
    SV_CODEC_V_SPARSE = 1 << 1,
    SV_CODEC_SNAPPY = 1 << 2,
    SV_CODEC_SAMPLES = 1 << 3, /* Sample numbers are there. */
    SV_CODEC_U_BF16 = 1 << 4,
    SV_CODEC_U_F16 = 1 << 5,
    SV_CODEC_V_BF16 = 1 << 6,
    SV_CODEC_V_F16 = 1 << 7,
    SV_CODEC_SHUFFLE = 1 << 8, /* Of values without a dictionary. */
    SV_CODEC_KNOWN = (1 << 9) - 1
};

struct sv_record {
    uint8_t kind;
    uint16_t codec;
    uint32_t view;
    uint32_t origin;
    uint64_t clock;
    uint16_t matrix;
    uint32_t sequence;
    uint32_t n, J, K;
    float rate;
    uint32_t payload_size;     /* As stored. */
    uint32_t payload_raw_size; /* Before compression. */
};

/* Read and check a header and the checksum of the whole record at @data, of
 * which @size bytes are there. *record_size is set to header plus payload.
 *
 * Errors: ERR_AGAIN    @size is less than the record needs (a torn tail, if
 *                      this is the end of a log).
 *         ERR_CORRUPT  not a valid record. The message says which field. */
int sv_record_read(struct sv_record *r,
                   const uint8_t *data,
                   size_t size,
                   size_t *record_size,
                   struct err *e);

/* Read and check a header only; of the payload nothing needs to be there. The
 * checksum is not looked at. Errors: as sv_record_read. */
int sv_record_peek(struct sv_record *r,
                   const uint8_t *data,
                   size_t size,
                   struct err *e);

/* Append a record with an opaque payload. @r gives kind, view, origin, clock,
 * matrix and sequence; the rest is filled in. Errors: ERR_NOMEM, ERR_INVALID
 * (payload too large). */
int sv_record_write(struct buf *out,
                    const struct sv_record *r,
                    const void *payload,
                    size_t size,
                    struct err *e);

/* Append a record with all fields of @r as they are, and payload_size bytes at
 * @payload. For codecs. Errors: as sv_record_write. */
int sv_record_put(struct buf *out,
                  const struct sv_record *r,
                  const void *payload,
                  struct err *e);

#endif /* SV_RECORD_H_ */
