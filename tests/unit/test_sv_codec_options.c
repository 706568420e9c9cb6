/* Unit tests of sv/codec_options.h. */

#include <string.h>

#include "sv/codec_options.h"
#include "tests/support/test.h"

static void test_texts_mean_what_they_say(void **state)
{
    static const struct {
        const char *text;
        struct sv_codec_options o;
        const char *back;
    } cases[] = {
        {"f32", {SV_VALUE_F32, SV_VALUE_F32, false}, "f32"},
        {"bf16", {SV_VALUE_BF16, SV_VALUE_BF16, false}, "bf16"},
        {"f16", {SV_VALUE_F16, SV_VALUE_F16, false}, "f16"},
        {"u=bf16", {SV_VALUE_BF16, SV_VALUE_F32, false}, "u=bf16,v=f32"},
        {"v=f16", {SV_VALUE_F32, SV_VALUE_F16, false}, "u=f32,v=f16"},
        {"u=bf16,v=f32", {SV_VALUE_BF16, SV_VALUE_F32, false}, "u=bf16,v=f32"},
        {"u=f16,v=f16", {SV_VALUE_F16, SV_VALUE_F16, false}, "f16"},
        {"f16,u=bf16", {SV_VALUE_BF16, SV_VALUE_F16, false}, "u=bf16,v=f16"},
        {"shuffle", {SV_VALUE_F32, SV_VALUE_F32, true}, "f32,shuffle"},
        {"shuffle,bf16", {SV_VALUE_BF16, SV_VALUE_BF16, true}, "bf16,shuffle"},
        {"u=bf16,v=f16,shuffle",
         {SV_VALUE_BF16, SV_VALUE_F16, true},
         "u=bf16,v=f16,shuffle"},
    };
    char text[SV_CODEC_OPTIONS_SIZE];
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sv_codec_options o = {SV_VALUE_F16, SV_VALUE_F16, true}, again;
        assert_int_equal(sv_codec_options_parse(&o, cases[i].text, &e), 0);
        assert_int_equal(o.u, cases[i].o.u);
        assert_int_equal(o.v, cases[i].o.v);
        assert_int_equal(o.shuffle, cases[i].o.shuffle);
        assert_string_equal(sv_codec_options_format(&o, text), cases[i].back);
        assert_int_equal(sv_codec_options_parse(&again, text, &e), 0);
        assert_true(again.u == o.u && again.v == o.v &&
                    again.shuffle == o.shuffle);
    }
}

static void test_other_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "",     "f64",  "bf",       "bf16 ", "u=",        "v=f64", "w=f32", "=",
        "f32,", ",f32", "f32,,f16", "u",     "u=shuffle", "BF16",  "snappy"};
    struct sv_codec_options o = {SV_VALUE_BF16, SV_VALUE_F16, true};
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(sv_codec_options_parse(&o, texts[i], &e), ERR_INVALID);
        assert_true(o.u == SV_VALUE_BF16 && o.v == SV_VALUE_F16 && o.shuffle);
    }
    assert_int_equal(sv_codec_options_parse(&o, "f16,u=f8", &e), ERR_INVALID);
    assert_string_equal(e.msg, "no codec \"u=f8\": f32, bf16 or f16, for one "
                               "side u=bf16 or v=bf16, and shuffle, joined by "
                               "commas");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_mean_what_they_say),
        cmocka_unit_test(test_other_texts_are_refused),
    };
    return cmocka_run_group_tests_name("codec_options", tests, NULL, NULL);
}
