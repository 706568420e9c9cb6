/* Unit tests of cli/dispatch.h. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/dispatch.h"
#include "tests/support/test.h"

static int ran_argc;
static char **ran_argv;

static int remember(int argc, char **argv)
{
    ran_argc = argc;
    ran_argv = argv;
    return CMD_DIVERGED;
}

static const struct cmd COMMANDS[] = {
    {"verify", remember, "check all"},
    {"reindex", remember, "build the index"},
};

static const struct dispatch LOG = {.prefix = "lyre log",
                                    .summary = "Looks into logs.",
                                    .cmds = COMMANDS,
                                    .n_cmds = 2};

/* Run @f with stderr going to @text. */
static int with_stderr(int (*f)(void), char *text, size_t size)
{
    FILE *file = tmpfile();
    const int kept = dup(STDERR_FILENO);

    assert_non_null(file);
    fflush(stderr);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    const int status = f();
    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    assert_int_equal(close(kept), 0);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    return status;
}

static void test_the_rest_of_the_words_go_to_the_command(void **state)
{
    char a0[] = "log", a1[] = "reindex", a2[] = "run", *argv[] = {a0, a1, a2};

    (void)state;
    assert_int_equal(dispatch_run(&LOG, 3, argv), CMD_DIVERGED);
    assert_int_equal(ran_argc, 2);
    assert_ptr_equal(ran_argv, argv + 1);
}

static int run_slip(void)
{
    char a0[] = "log", a1[] = "reidnex", *argv[] = {a0, a1};

    return dispatch_run(&LOG, 2, argv);
}

static void test_a_slip_names_the_nearest(void **state)
{
    char text[256];

    (void)state;
    assert_int_equal(with_stderr(run_slip, text, sizeof text), CMD_USAGE);
    assert_string_equal(text, "lyre: unknown command 'reidnex'; did you mean "
                              "lyre log reindex?\n");
}

static int run_nonsense(void)
{
    char a0[] = "log", a1[] = "xyz", *argv[] = {a0, a1};

    return dispatch_run(&LOG, 2, argv);
}

static void test_nonsense_is_told_where_help_is(void **state)
{
    char text[256];

    (void)state;
    assert_int_equal(with_stderr(run_nonsense, text, sizeof text), CMD_USAGE);
    assert_string_equal(text, "lyre: unknown command 'xyz'; lyre log --help "
                              "lists those there are\n");
}

static int run_nothing(void)
{
    char a0[] = "log", *argv[] = {a0};

    return dispatch_run(&LOG, 1, argv);
}

static void test_nothing_at_all_is_wrong_and_gets_help(void **state)
{
    char text[1024];

    (void)state;
    assert_int_equal(with_stderr(run_nothing, text, sizeof text), CMD_USAGE);
    assert_non_null(strstr(text, "usage: lyre log <command>"));
    assert_non_null(strstr(text, "  verify     check all\n"));
    assert_non_null(strstr(text, "  reindex    build the index\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rest_of_the_words_go_to_the_command),
        cmocka_unit_test(test_a_slip_names_the_nearest),
        cmocka_unit_test(test_nonsense_is_told_where_help_is),
        cmocka_unit_test(test_nothing_at_all_is_wrong_and_gets_help),
    };
    return cmocka_run_group_tests_name("cli_dispatch", tests, NULL, NULL);
}
