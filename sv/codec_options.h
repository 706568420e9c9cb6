/* How a sender encodes values: what --codec says.
 *
 *     text   word [, word ...], the later one wins
 *     word   f32 | bf16 | f16   floats of u and v
 *            u=FLOAT, v=FLOAT   floats of one side
 *            shuffle            try to part the bytes of values before Snappy
 *
 * Nobody needs it to decode: every record says what is in it.
 */

#ifndef SV_CODEC_OPTIONS_H_
#define SV_CODEC_OPTIONS_H_

#include <stdbool.h>

#include "core/err.h"
#include "sv/f16.h"

struct sv_codec_options {
    enum sv_value_codec u, v; /* Zero: f32. */
    bool shuffle;
};

#define SV_CODEC_OPTIONS_SIZE 32 /* Bytes of the longest text, and more. */

/* Errors: ERR_INVALID, and the message names what there is; @o is unchanged. */
int sv_codec_options_parse(struct sv_codec_options *o,
                           const char *text,
                           struct err *e);

/* Write the shortest text that parses to @o. Return @text. */
const char *sv_codec_options_format(const struct sv_codec_options *o,
                                    char text[SV_CODEC_OPTIONS_SIZE]);

#endif /* SV_CODEC_OPTIONS_H_ */
