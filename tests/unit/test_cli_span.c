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

static void test_batches_are_of_a_peer_of_clocks_or_of_both(void **state)
{
    struct span_batches b;

    (void)state;
    assert_int_equal(span_batches_parse(&b, "peer=2", NULL), 0);
    assert_true(b.peer == 2 && b.clocks.first == 0 &&
                b.clocks.last == UINT64_MAX);
    assert_int_equal(span_batches_parse(&b, "clock=3..9", NULL), 0);
    assert_true(b.peer == -1 && b.clocks.first == 3 && b.clocks.last == 9);
    assert_int_equal(span_batches_parse(&b, "clock=3,peer=0", NULL), 0);
    assert_true(b.peer == 0 && b.clocks.first == 3 && b.clocks.last == 3);
}

static void test_what_names_no_batches_is_refused(void **state)
{
    static const char *const bad[] = {
        "",        ",",        "2",       "peer=",   "peer=x",
        "peer=2,", "peer=2,,", "clock=",  "clock=x", "peer=1,peer=2",
        "pear=2",  "peer=2 ",  "peer=-1", "peer=1x", "clock=1..2..3"};
    struct span_batches b;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (span_batches_parse(&b, bad[i], &e) != ERR_INVALID) {
            fail_msg("\"%s\" passes", bad[i]);
        }
        assert_non_null(strstr(e.msg, "is wanted"));
    }
}

static void test_a_list_has_the_batches_it_names(void **state)
{
    const struct opt_list texts = {.n = 2,
                                   .item = {"peer=2,clock=5..7", "clock=9"}};
    struct ckpt_op op = {.kind = SV_OP_APPLY, .origin = 2, .clock = 6};
    static struct span_list list;

    (void)state;
    assert_int_equal(span_list_parse(&list, &texts, NULL), 0);
    assert_true(span_list_first(&list) == 5);
    assert_true(span_list_has(&list, 0, &op));
    op.origin = 1;
    assert_false(span_list_has(&list, 0, &op));
    op.clock = 9;
    assert_true(span_list_has(&list, 0, &op));
    op.kind = SV_OP_SCALE;
    assert_false(span_list_has(&list, 0, &op));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_span_is_one_clock_or_two),
        cmocka_unit_test(test_what_is_no_span_is_refused),
        cmocka_unit_test(test_batches_are_of_a_peer_of_clocks_or_of_both),
        cmocka_unit_test(test_what_names_no_batches_is_refused),
        cmocka_unit_test(test_a_list_has_the_batches_it_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
