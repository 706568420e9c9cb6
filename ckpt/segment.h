/* Segments in memory: the header, and going through the records.
 *
 *     offset  size  field
 *          0     8  magic, "LYRESEG1"
 *          8     8  run, the job's random number
 *         16     4  peer
 *         20     4  number of the segment, from 0
 *         24     8  clock of the first step record in it, or of the next one
 *         32    24  reserved, zero
 *         56     8  XXH3-64 of bytes 0..55
 *
 * then records (sv/record.h), back to back, up to the end of the file or to a
 * torn write. The first one is the SV_RECORD_RUN, whose sequence is the number
 * of the segment.
 */

#ifndef CKPT_SEGMENT_H_
#define CKPT_SEGMENT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "sv/record.h"

#define CKPT_SEGMENT_HEADER_SIZE 64
#define CKPT_SEGMENT_NAME_SIZE   32 /* Of "segments/00000000.seg". */

struct ckpt_segment_header {
    uint64_t run;
    uint32_t peer;
    uint32_t number;
    uint64_t first_clock;
};

void ckpt_segment_write_header(uint8_t to[CKPT_SEGMENT_HEADER_SIZE],
                               const struct ckpt_segment_header *h);

/* Errors: ERR_CORRUPT  not a valid header; ERR_AGAIN  less than a header. */
int ckpt_segment_read_header(struct ckpt_segment_header *h,
                             const uint8_t *data,
                             size_t size,
                             struct err *e);

/* "segments/00000000.seg", relative to the log's directory. */
void ckpt_segment_name(char name[CKPT_SEGMENT_NAME_SIZE], uint32_t number);

/* Read the record at @offset of a segment of @size bytes: 1, or 0 at the end.
 *
 * Errors: ERR_AGAIN    what is left may be a torn write: it holds no valid
 *                      record, and is no longer than a record may be.
 *         ERR_CORRUPT  damage. */
int ckpt_segment_next(const uint8_t *data,
                      size_t size,
                      size_t offset,
                      struct sv_record *r,
                      size_t *record_size,
                      struct err *e);

/* Is there a valid record that begins in [@offset, @size)? *@at is where. */
bool ckpt_segment_find_record(const uint8_t *data,
                              size_t size,
                              size_t offset,
                              size_t *at);

#endif /* CKPT_SEGMENT_H_ */
