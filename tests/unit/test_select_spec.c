/* Unit tests of select/spec.h. */

#include <string.h>

#include "select/spec.h"
#include "tests/support/test.h"

static struct select_spec parse(const char *text)
{
    struct select_spec s = {.kind = SELECT_AUTO};
    struct err e;

    if (select_spec_parse(&s, text, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    return s;
}

static void test_text_becomes_numbers(void **state)
{
    (void)state;
    assert_int_equal(parse("none").kind, SELECT_NONE);
    assert_int_equal(parse("auto").kind, SELECT_AUTO);
    assert_int_equal(parse("jcss:32").kind, SELECT_JCSS);
    assert_int_equal(parse("jcss:32").C, 32);
    assert_int_equal(parse("jcss-greedy:1").kind, SELECT_JCSS_GREEDY);
    assert_int_equal(parse("jcss-greedy:1").C, 1);
    assert_int_equal(parse("svd:16777216").kind, SELECT_SVD);
    assert_int_equal(parse("svd:16777216").C, 16777216);
    assert_int_equal(parse("error:.25").kind, SELECT_ERROR);
    assert_true(parse("error:.25").error == 0.25);
    assert_true(parse("error:1e-2").error == 0.01);
}

static void test_numbers_become_the_text_they_were(void **state)
{
    static const char *const TEXTS[] = {"none",          "auto",  "jcss:32",
                                        "jcss-greedy:7", "svd:8", "error:0.25"};
    char text[SELECT_SPEC_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct select_spec s = parse(TEXTS[i]);
        select_spec_format(&s, text);
        assert_string_equal(text, TEXTS[i]);
    }
}

static void test_wrong_text_is_told_what_there_is(void **state)
{
    static const struct {
        const char *text;
        const char *said;
    } WRONG[] = {
        {"", "there are none, jcss:C"},
        {"jcs:4", "there are none, jcss:C"},
        {"jcss", "there are none, jcss:C"},
        {"none:3", "there are none, jcss:C"},
        {"JCSS:3", "there are none, jcss:C"},
        {"jcss:", "1 to 16777216"},
        {"jcss:0", "1 to 16777216"},
        {"jcss:-4", "1 to 16777216"},
        {"jcss:4x", "1 to 16777216"},
        {"svd:16777217", "1 to 16777216"},
        {"svd:99999999999999999999", "1 to 16777216"},
        {"error:0", "below 1"},
        {"error:1", "below 1"},
        {"error:nan", "below 1"},
        {"error:-.1", "below 1"},
        {"error:.5%", "below 1"},
        {"error:", "below 1"},
        {"error:.", "below 1"},
        {"error:0.0001", "0.001"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct select_spec s = {.kind = SELECT_SVD, .C = 77};
        struct err e = {""};
        assert_int_equal(select_spec_parse(&s, WRONG[i].text, &e), ERR_INVALID);
        if (strstr(e.msg, WRONG[i].said) == NULL) {
            fail_msg("'%s': %s", WRONG[i].text, e.msg);
        }
        assert_int_equal(s.C, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_becomes_numbers),
        cmocka_unit_test(test_numbers_become_the_text_they_were),
        cmocka_unit_test(test_wrong_text_is_told_what_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
