/* Unit tests of cli/compare_mode.h. */

#include <stdio.h>
#include <string.h>

#include "cli/compare_mode.h"
#include "tests/support/test.h"

static struct compare_mode modes[COMPARE_MODES_MAX];
static size_t n_modes;

/* All options of a mode, parted by blanks. */
static const char *args_of(size_t mode)
{
    static char text[512];
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < modes[mode].n_args; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
                              i > 0 ? " " : "", modes[mode].args[i]);
    }
    return text;
}

static void parse(const char *text, unsigned n_peers)
{
    assert_int_equal(compare_modes_parse(modes, &n_modes, text, n_peers, NULL),
                     0);
}

static void test_a_mode_is_a_set_of_options(void **state)
{
    (void)state;
    parse("sv,sv+select+multicast,matrix-ps,powersgd:4+batch=8", 8);
    assert_int_equal(n_modes, 4);
    assert_string_equal(modes[1].name, "sv+select+multicast");
    assert_string_equal(args_of(0), "");
    assert_string_equal(args_of(1), "--select auto --multicast random:2");
    assert_string_equal(args_of(2), "--transfer matrix-ps");
    assert_string_equal(args_of(3), "--transfer powersgd:4 --batch 8");
}

static void test_a_value_takes_the_place_of_the_standard(void **state)
{
    (void)state;
    parse("sv+select=svd:8+codec=u=bf16,v=f32,sv+multicast", 3);
    assert_int_equal(n_modes, 2);
    assert_string_equal(args_of(0), "--select svd:8 --codec u=bf16,v=f32");
    assert_string_equal(args_of(1), "--multicast random:1");
}

static void test_what_is_no_mode_is_named(void **state)
{
    static const struct {
        const char *text, *said;
    } CASES[] = {
        {"", "\"\" is no mode"},
        {"vs", "\"vs\" is no mode"},
        {"svx", "\"svx\" is no mode"},
        {"powersgd", "\"powersgd\" is no mode"},
        {"powersgd:", "\"powersgd:\" is no mode"},
        {"sv,", "\"\" is no mode"},
        {"sv+sel=x", "+sel=x is none"},
        {"sv+repair", "+repair is none"},
        {"sv+select=", "+select= is none"},
        {"sv,matrix-ps,sv", "\"sv\" is there twice"},
        {"sv+codec=../x", "slash"},
        {"sv+lr=1+lr=1+lr=1+lr=1+lr=1+lr=1+lr=1+lr=1+lr=1+lr=1+lr=1+lr=1+lr=1",
         "too many parts"},
        {"sv+lr=00000000000000000000000000000000000000000000000000000000000000"
         "00000000000000000000000000000000000000000000",
         "too long"},
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        assert_int_equal(
            compare_modes_parse(modes, &n_modes, CASES[i].text, 4, &e),
            ERR_INVALID);
        assert_non_null(strstr(e.msg, CASES[i].said));
    }
}

static void test_there_are_so_many_modes_and_no_more(void **state)
{
    char text[1024] = "";
    size_t n = 0;
    struct err e;

    (void)state;
    for (int i = 0; i < COMPARE_MODES_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%ssv+batch=%d",
                              i > 0 ? "," : "", i + 1);
    }
    parse(text, 2);
    assert_int_equal(n_modes, COMPARE_MODES_MAX);
    strcat(text, ",sv");
    assert_int_equal(compare_modes_parse(modes, &n_modes, text, 2, &e),
                     ERR_INVALID);
    assert_string_equal(e.msg, "more than 32 modes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_mode_is_a_set_of_options),
        cmocka_unit_test(test_a_value_takes_the_place_of_the_standard),
        cmocka_unit_test(test_what_is_no_mode_is_named),
        cmocka_unit_test(test_there_are_so_many_modes_and_no_more),
    };

    return cmocka_run_group_tests_name("compare_mode", tests, NULL, NULL);
}
