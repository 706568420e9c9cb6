/* Unit tests of dataset/unicode.h. */

#include <string.h>

#include "dataset/unicode.h"
#include "tests/support/test.h"

static void test_every_code_point_comes_back(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        char text[UNICODE_BYTES_MAX];
        size_t n = unicode_encode(text, c);
        const char *p = text;
        uint32_t back;
        if (c >= 0xd800 && c < 0xe000) {
            assert_false(unicode_decode(&p, text + n, &back));
            assert_ptr_equal(p, text);
            continue;
        }
        assert_true(unicode_decode(&p, text + n, &back));
        assert_int_equal(back, c);
        assert_ptr_equal(p, text + n);
        for (size_t cut = 1; cut < n; cut++) {
            assert_false(unicode_is_utf8(text, cut));
        }
    }
}

static void test_what_is_not_utf8_is_refused(void **state)
{
    static const char *const BAD[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xff",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xc3(",
                                      "\xe2\x82(",
                                      "a\xfe"};

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_false(unicode_is_utf8(BAD[i], strlen(BAD[i])));
    }
    assert_true(unicode_is_utf8("", 0));
}

static void test_lower_case_is_that_of_unicode(void **state)
{
    static const uint32_t PAIRS[][2] = {
        {'A', 'a'},         {'Z', 'z'},          {'[', '['},
        {'a', 'a'},         {0xc4, 0xe4},        {0xd7, 0xd7},
        {0xdf, 0xdf},       {0x100, 0x101},      {0x101, 0x101},
        {0x130, 'i'},       {0x178, 0xff},       {0x391, 0x3b1},
        {0x410, 0x430},     {0x42f, 0x44f},      {0x531, 0x561},
        {0x10a0, 0x2d00},   {0x13a0, 0xab70},    {0x1e9e, 0xdf},
        {0x2126, 0x3c9},    {0x212a, 'k'},       {0x4e00, 0x4e00},
        {0xa640, 0xa641},   {0xff21, 0xff41},    {0x10400, 0x10428},
        {0x1e921, 0x1e943}, {0x10ffff, 0x10ffff}};
    unsigned n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
        assert_int_equal(unicode_lower(PAIRS[i][0]), PAIRS[i][1]);
    }
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        n += unicode_lower(c) != c;
        assert_int_equal(unicode_lower(unicode_lower(c)), unicode_lower(c));
    }
    assert_int_equal(n, 1433); /* Unicode 14 has so many. */
}

static void test_words_are_letters_and_digits(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x3100; c++) {
        assert_false(unicode_is_space(c) && unicode_is_word(c));
    }
    assert_true(unicode_is_word('a') && unicode_is_word('9'));
    assert_true(unicode_is_word(0xe9) && unicode_is_word(0x6cb3));
    assert_true(unicode_is_word(0xff21));
    assert_false(unicode_is_word(',') || unicode_is_word('_'));
    assert_false(unicode_is_word(0xab) || unicode_is_word(0x2014));
    assert_false(unicode_is_word(0x3002) || unicode_is_word(0xff0c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point_comes_back),
        cmocka_unit_test(test_what_is_not_utf8_is_refused),
        cmocka_unit_test(test_lower_case_is_that_of_unicode),
        cmocka_unit_test(test_words_are_letters_and_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
