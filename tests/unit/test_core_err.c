/* Unit tests of core/err.h. */

#include <errno.h>
#include <string.h>

#include "core/err.h"
#include "tests/support/test.h"

static void test_wrapping_puts_context_before_the_cause(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(err_set(&e, ERR_CORRUPT, "bad checksum at %d", 8192),
                     ERR_CORRUPT);
    assert_int_equal(err_wrap(&e, ERR_CORRUPT, "read segment %d", 7),
                     ERR_CORRUPT);
    assert_string_equal(e.msg, "read segment 7: bad checksum at 8192");
}

static void test_a_long_message_is_cut_not_overrun(void **state)
{
    struct {
        struct err e;
        char behind[4];
    } x = {.behind = "abc"};
    char text[2 * ERR_MSG_SIZE];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    err_set(&x.e, ERR_IO, "%s", text);
    assert_int_equal(strlen(x.e.msg), ERR_MSG_SIZE - 1);
    err_wrap(&x.e, ERR_IO, "open");
    assert_int_equal(strlen(x.e.msg), ERR_MSG_SIZE - 1);
    assert_memory_equal(x.e.msg, "open: xxx", 9);
    err_wrap(&x.e, ERR_IO, "%s", text);
    assert_int_equal(strlen(x.e.msg), ERR_MSG_SIZE - 1);
    assert_string_equal(x.behind, "abc");
}

static void test_nobody_needs_to_want_the_message(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_BUSY, "x"), ERR_BUSY);
    assert_int_equal(err_wrap(NULL, ERR_BUSY, "x"), ERR_BUSY);
    errno = EIO;
    assert_int_equal(err_errno(NULL, "read"), ERR_IO);
}

static void test_errno_becomes_what_the_caller_can_do(void **state)
{
    static const struct {
        int cause, code;
    } MAP[] = {{ENOSPC, ERR_FULL},
               {EDQUOT, ERR_FULL},
               {ENOMEM, ERR_NOMEM},
               {ENOENT, ERR_NOT_FOUND},
               {EACCES, ERR_IO}};
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof MAP / sizeof *MAP; i++) {
        errno = MAP[i].cause;
        assert_int_equal(err_errno(&e, "write"), MAP[i].code);
    }
    assert_string_equal(e.msg, "write: Permission denied");
}

static void test_every_code_has_words(void **state)
{
    (void)state;
#define X(NAME, VALUE, TEXT) assert_string_equal(err_str(NAME), TEXT);
    ERR_MAP(X)
#undef X
    assert_string_equal(err_str(0), "ok");
    assert_string_equal(err_str(-1000), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrapping_puts_context_before_the_cause),
        cmocka_unit_test(test_a_long_message_is_cut_not_overrun),
        cmocka_unit_test(test_nobody_needs_to_want_the_message),
        cmocka_unit_test(test_errno_becomes_what_the_caller_can_do),
        cmocka_unit_test(test_every_code_has_words),
    };
    return cmocka_run_group_tests_name("core_err", tests, NULL, NULL);
}
