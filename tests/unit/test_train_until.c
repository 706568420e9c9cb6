#include "tests/support/test.h"

#include <math.h>
#include <string.h>

#include "train/until.h"

static void a_target_is_written_as_it_is_read(void **state)
{
    static const char *const TEXTS[] = {"loss=1.5", "accuracy=0.44",
                                        "accuracy=1", "loss=1e-05"};
    char text[TRAIN_UNTIL_SIZE];
    struct train_until u;

    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        assert_int_equal(train_until_parse(&u, TEXTS[i], NULL), 0);
        train_until_format(&u, text);
        assert_string_equal(text, TEXTS[i]);
    }
}

static void a_number_that_needs_all_digits_keeps_them(void **state)
{
    const struct train_until u = {.kind = TRAIN_UNTIL_LOSS, .value = 1.0 / 3};
    char text[TRAIN_UNTIL_SIZE];
    struct train_until again;

    (void)state;
    train_until_format(&u, text);
    assert_int_equal(train_until_parse(&again, text, NULL), 0);
    assert_true(again.value == u.value);
}

static void what_cannot_be_reached_is_no_target(void **state)
{
    static const char *const TEXTS[] = {
        "",           "loss",       "loss=",      "loss=0",
        "loss=-1",    "loss=nan",   "loss=inf",   "loss=1x",
        "accuracy=0", "accuracy=2", "accuracy=x", "speed=3"};
    struct train_until u = {.kind = TRAIN_UNTIL_COUNT};
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        assert_int_equal(train_until_parse(&u, TEXTS[i], &e), ERR_INVALID);
        assert_non_null(strstr(e.msg, "accuracy=X"));
        assert_int_equal(u.kind, TRAIN_UNTIL_COUNT);
    }
}

static void a_loss_is_reached_from_above_an_accuracy_from_below(void **state)
{
    const struct train_until loss = {TRAIN_UNTIL_LOSS, 1.5};
    const struct train_until accuracy = {TRAIN_UNTIL_ACCURACY, 0.5};
    const struct train_until none = {TRAIN_UNTIL_CLOCKS, 0};

    (void)state;
    assert_true(train_until_reached(&loss, 1.5, 0));
    assert_false(train_until_reached(&loss, 1.51, 1));
    assert_true(train_until_reached(&accuracy, 9, 0.5));
    assert_false(train_until_reached(&accuracy, 0, 0.49));
    assert_false(train_until_reached(&loss, NAN, NAN));
    assert_false(train_until_reached(&accuracy, NAN, NAN));
    assert_false(train_until_reached(&none, 0, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_written_as_it_is_read),
        cmocka_unit_test(a_number_that_needs_all_digits_keeps_them),
        cmocka_unit_test(what_cannot_be_reached_is_no_target),
        cmocka_unit_test(a_loss_is_reached_from_above_an_accuracy_from_below),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
