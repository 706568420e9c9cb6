/* Unit tests of cli/say.h. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/say.h"
#include "tests/support/test.h"

static uint64_t batch;
static const struct opt OPTS[] = {{.name = "batch",
                                   .kind = OPT_U64,
                                   .value = &batch,
                                   .arg = "B",
                                   .help = "samples"}};
static const struct opt_command COMMAND = {.name = "train",
                                           .summary = "Train.",
                                           .usage = "train --batch B",
                                           .opts = OPTS,
                                           .n_opts = 1};

struct capture {
    FILE *file;
    int kept;
};

/* From here on, stderr goes to a file. */
static void capture_begin(struct capture *c)
{
    c->file = tmpfile();
    c->kept = dup(STDERR_FILENO);
    assert_non_null(c->file);
    fflush(stderr);
    assert_true(dup2(fileno(c->file), STDERR_FILENO) >= 0);
}

/* Up to here: it was @want. */
static void capture_end(struct capture *c, const char *want)
{
    char text[1024];

    fflush(stderr);
    assert_true(dup2(c->kept, STDERR_FILENO) >= 0);
    assert_int_equal(close(c->kept), 0);
    rewind(c->file);
    text[fread(text, 1, sizeof text - 1, c->file)] = '\0';
    assert_int_equal(fclose(c->file), 0);
    assert_string_equal(text, want);
}

static void test_errors_are_said_and_have_a_status(void **state)
{
    static const struct {
        int code, status;
    } cases[] = {
        {ERR_DIVERGED, CMD_DIVERGED},       {ERR_NOT_FINITE, CMD_NOT_FINITE},
        {ERR_INTERRUPTED, CMD_INTERRUPTED}, {ERR_INVALID, CMD_USAGE},
        {ERR_CORRUPT, CMD_FAILED},          {ERR_IO, CMD_FAILED}};
    const struct err e = {.msg = "read a: no such file"};
    struct capture c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        capture_begin(&c);
        const int status = say_error(cases[i].code, &e);
        capture_end(&c, "lyre: read a: no such file\n");
        assert_int_equal(status, cases[i].status);
    }
}

static void test_wrong_options_are_said_with_the_usage(void **state)
{
    char a0[] = "train", a1[] = "--bacth", *argv[] = {a0, a1};
    struct capture c;
    int n;

    (void)state;
    capture_begin(&c);
    const int status = say_parse(&COMMAND, 2, argv, &n);
    capture_end(&c, "lyre: unknown option --bacth; did you mean --batch?\n"
                    "usage: lyre train --batch B\n");
    assert_int_equal(status, CMD_USAGE);
}

static void test_right_options_go_on(void **state)
{
    char a0[] = "train", a1[] = "--batch=7", *argv[] = {a0, a1};
    struct capture c;
    int n;

    (void)state;
    capture_begin(&c);
    const int status = say_parse(&COMMAND, 2, argv, &n);
    capture_end(&c, "");
    assert_int_equal(status, -1);
    assert_int_equal(n, 0);
    assert_int_equal(batch, 7);
}

static void test_the_log_keeps_to_its_level(void **state)
{
    struct log log = say_log(LOG_WARN);
    struct capture c;

    (void)state;
    capture_begin(&c);
    log_info(&log, "joined");
    log_warn(&log, "peer %d lost", 3);
    capture_end(&c, "lyre: peer 3 lost\n");
}

/* stderr is a file here. */
static void test_progress_is_for_terminals(void **state)
{
    struct say_progress p = {.what = "clock", .all = 10, .begun_ns = 1};
    struct capture c;

    (void)state;
    capture_begin(&c);
    assert_int_equal(say_progress(&p, 5), 0);
    say_progress_end(&p);
    capture_end(&c, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_are_said_and_have_a_status),
        cmocka_unit_test(test_wrong_options_are_said_with_the_usage),
        cmocka_unit_test(test_right_options_go_on),
        cmocka_unit_test(test_the_log_keeps_to_its_level),
        cmocka_unit_test(test_progress_is_for_terminals),
    };
    return cmocka_run_group_tests_name("cli_say", tests, NULL, NULL);
}
