/* Unit tests of cli/span.h. */

#include <string.h>

#include "cli/span.h"
#include "tests/support/test.h"

static void test_a_span_is_one_clock_or_two(void **state)
{
    struct span s;

    (void)state;
    assert_int_equal(span_parse(&s, "310..320", NULL), 0);
    assert_true(s.first == 310 && s.last == 320);
    assert_int_equal(span_parse(&s, "7", NULL), 0);
    assert_true(s.first == 7 && s.last == 7);
    assert_int_equal(span_parse(&s, "5..5", NULL), 0);
    assert_true(s.first == 5 && s.last == 5);
}

static void test_what_is_no_span_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "..",
                                      "1..",
                                      "..2",
                                      "3..2",
                                      "1.2",
                                      "1...2",
                                      "x",
                                      "1..x",
                                      "-1",
                                      " 1",
                                      "1 ",
                                      "99999999999999999999",
                                      "1..99999999999999999999"};
    struct span s = {1, 2};
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (span_parse(&s, bad[i], &e) != ERR_INVALID) {
            fail_msg("\"%s\" passes", bad[i]);
        }
        assert_non_null(strstr(e.msg, "as in 310..320"));
        assert_true(s.first == 1 && s.last == 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_span_is_one_clock_or_two),
        cmocka_unit_test(test_what_is_no_span_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
