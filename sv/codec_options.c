#include "sv/codec_options.h"

#include <stdio.h>
#include <string.h>

static bool is_word(const char *word, size_t size, const char *name)
{
    return strlen(name) == size && memcmp(word, name, size) == 0;
}

static bool parse_float(const char *word, size_t size, enum sv_value_codec *to)
{
    for (int c = SV_VALUE_F32; c < SV_VALUE_CODEC_COUNT; c++) {
        if (is_word(word, size, sv_f16_name((enum sv_value_codec)c))) {
            *to = (enum sv_value_codec)c;
            return true;
        }
    }
    return false;
}

static bool
parse_word(struct sv_codec_options *o, const char *word, size_t size)
{
    if (is_word(word, size, "shuffle")) {
        o->shuffle = true;
        return true;
    }
    if (size > 2 && memcmp(word, "u=", 2) == 0) {
        return parse_float(word + 2, size - 2, &o->u);
    }
    if (size > 2 && memcmp(word, "v=", 2) == 0) {
        return parse_float(word + 2, size - 2, &o->v);
    }
    if (!parse_float(word, size, &o->u)) {
        return false;
    }
    o->v = o->u;
    return true;
}

int sv_codec_options_parse(struct sv_codec_options *o,
                           const char *text,
                           struct err *e)
{
    struct sv_codec_options options = {0};
    const char *word = text;

    for (;;) {
        size_t size = strcspn(word, ",");
        if (!parse_word(&options, word, size)) {
            return err_set(e, ERR_INVALID,
                           "no codec \"%.*s\": f32, bf16 or f16, for one side "
                           "u=bf16 or v=bf16, and shuffle, joined by commas",
                           size < 32 ? (int)size : 32, word);
        }
        if (word[size] == '\0') {
            break;
        }
        word += size + 1;
    }
    *o = options;
    return 0;
}

const char *sv_codec_options_format(const struct sv_codec_options *o,
                                    char text[SV_CODEC_OPTIONS_SIZE])
{
    const char *u = sv_f16_name(o->u), *v = sv_f16_name(o->v);
    const char *shuffle = o->shuffle ? ",shuffle" : "";

    if (o->u == o->v) {
        snprintf(text, SV_CODEC_OPTIONS_SIZE, "%s%s", u, shuffle);
    } else {
        snprintf(text, SV_CODEC_OPTIONS_SIZE, "u=%s,v=%s%s", u, v, shuffle);
    }
    return text;
}
