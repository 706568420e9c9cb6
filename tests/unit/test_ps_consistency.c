/* Unit tests of ps/consistency.h. */

#include "ps/consistency.h"
#include "tests/support/test.h"

static void test_names_come_back_as_they_were(void **state)
{
    const char *const names[] = {"sequential", "eventual", "bounded:0",
                                 "bounded:1000000"};
    const enum ps_consistency_kind kinds[] = {PS_SEQUENTIAL, PS_EVENTUAL,
                                              PS_BOUNDED, PS_BOUNDED};
    struct ps_consistency c;
    char text[PS_CONSISTENCY_TEXT_SIZE];

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ps_consistency_parse(&c, names[i], NULL), 0);
        assert_int_equal(c.kind, kinds[i]);
        assert_int_equal(c.delay, i == 3 ? 1000000 : 0);
        ps_consistency_format(&c, text);
        assert_string_equal(text, names[i]);
    }
}

static void test_other_names_are_refused_with_what_there_is(void **state)
{
    const char *const bad[] = {
        "",           "bounded",         "bounded:",
        "bounded:-1", "bounded: 1",      "bounded:1x",
        "Eventual",   "bounded:1000001", "bounded:99999999999999999999999"};
    struct ps_consistency c = {.kind = PS_EVENTUAL, .delay = 77};
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ps_consistency_parse(&c, bad[i], &e), ERR_INVALID);
        assert_true(c.kind == PS_EVENTUAL && c.delay == 77);
    }
    ps_consistency_parse(&c, "strong", &e);
    assert_string_equal(e.msg, "consistency 'strong': must be sequential, "
                               "eventual, or bounded:D with D up to 1000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_come_back_as_they_were),
        cmocka_unit_test(test_other_names_are_refused_with_what_there_is),
    };
    return cmocka_run_group_tests_name("ps_consistency", tests, NULL, NULL);
}
