/* Unit tests of dataset/number.h. The oracle is strtof(). */

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "dataset/number.h"
#include "tests/support/test.h"

static uint64_t draws;

static uint64_t draw(uint64_t n)
{
    return rng_below(3, rng_stream(RNG_TEST, 0, 0), draws++, n);
}

static void check(const char *text)
{
    const char *p = text;
    char *end;
    float want = strtof(text, &end), got = 0;

    assert_true(dataset_parse_f32(&p, &got));
    if (memcmp(&want, &got, sizeof want) != 0 || p != end) {
        fail_msg("%s: %.9g (%td bytes), expected %.9g (%td bytes)", text,
                 (double)got, p - text, (double)want, end - text);
    }
}

/* Random numbers of every kind that text may hold. */
static void random_decimal(char *to)
{
    static const char *const SIGNS[] = {"", "", "", "-", "+"};
    unsigned n_whole = (unsigned)draw(draw(8) == 0 ? 25 : 7);
    unsigned n_fraction = (unsigned)draw(draw(8) == 0 ? 40 : 9);

    to += sprintf(to, "%s", SIGNS[draw(5)]);
    if (n_whole + n_fraction == 0) {
        n_whole = 1;
    }
    for (unsigned i = 0; i < n_whole; i++) {
        *to++ = (char)('0' + draw(10));
    }
    if (n_fraction > 0 || draw(4) == 0) {
        *to++ = '.';
    }
    for (unsigned i = 0; i < n_fraction; i++) {
        *to++ = (char)('0' + draw(10));
    }
    if (draw(3) == 0) {
        to += sprintf(to, "%c%s%u", draw(2) == 0 ? 'e' : 'E', SIGNS[draw(5)],
                      (unsigned)draw(draw(4) == 0 ? 60 : 12));
    }
    strcpy(to, "\n");
}

static void test_random_decimals_are_rounded_like_strtof(void **state)
{
    char text[128];

    (void)state;
    for (int i = 0; i < 300000; i++) {
        random_decimal(text);
        check(text);
    }
}

/* Decimals next to the middle of two floats, where rounding twice goes wrong.
 */
static void test_halfway_cases_are_rounded_once(void **state)
{
    char text[128];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        float x =
            (float)(1 + draw(1 << 24)) * powf(2, (float)(int)draw(60) - 40);
        float y = nextafterf(x, INFINITY);
        double middle = ((double)x + (double)y) / 2;
        snprintf(text, sizeof text, "%.*g\n", 6 + (int)draw(14), middle);
        check(text);
    }
    check("1.00000005960464477539062\n");  /* Below the middle. */
    check("1.000000059604644775390625\n"); /* On it: to even. */
    check("1.00000005960464477539063\n");  /* Above. */
    check("16777217\n");
    check("16777217.0000000001\n");
}

static void test_every_float_comes_back_from_nine_digits(void **state)
{
    char text[64];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint32_t bits = (uint32_t)draw((uint64_t)1 << 32);
        const char *p = text;
        float x, y;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x)) {
            continue;
        }
        snprintf(text, sizeof text, "%.9g\n", (double)x);
        assert_true(dataset_parse_f32(&p, &y));
        assert_memory_equal(&x, &y, sizeof x);
    }
}

static void test_extremes_are_rounded_like_strtof(void **state)
{
    static const char *const TEXTS[] = {
        "0",
        "-0",
        "0.0e99999",
        "1e-45",
        "1e-46",
        "7e-46",
        "1e38",
        "3.4e38",
        "3.5e38",
        "1e39",
        "-1e999999",
        "1e-999999",
        "00001",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1ex",
        "1e5x",
        "12:3",
        "1.5.6",
        "0x10",
        "1e400000000000000000000",
        "340282356779733661637539395458142568447",
        "0.00000000000000000000000000000000000000000000140129846432481707"};
    char text[128];

    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        const char *p = text;
        float x;
        snprintf(text, sizeof text, "%s\n", TEXTS[i]);
        if (strcmp(TEXTS[i], "0x10") == 0) { /* strtof() reads 16. */
            assert_true(dataset_parse_f32(&p, &x));
            assert_int_equal(p - text, 1);
        } else {
            check(text);
        }
    }
}

static void test_what_is_no_decimal_is_refused(void **state)
{
    static const char *const TEXTS[] = {"\n",   "-\n",   "+.\n",  ".\n",
                                        "e5\n", "nan\n", "inf\n", "-inf\n",
                                        " 1\n", "--1\n", "abc\n"};
    float x = 7;

    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        const char *p = TEXTS[i];
        assert_false(dataset_parse_f32(&p, &x));
        assert_ptr_equal(p, TEXTS[i]);
    }
}

static void test_whole_numbers_saturate(void **state)
{
    const char *p = "9999999999999999999 ",
               *q = "18446744073709551616:", *r = "-1 ";
    uint64_t x;

    (void)state;
    assert_true(dataset_parse_u64(&p, &x));
    assert_true(x == 9999999999999999999u && *p == ' ');
    assert_true(dataset_parse_u64(&q, &x));
    assert_true(x == UINT64_MAX && *q == ':');
    assert_false(dataset_parse_u64(&r, &x));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_decimals_are_rounded_like_strtof),
        cmocka_unit_test(test_halfway_cases_are_rounded_once),
        cmocka_unit_test(test_every_float_comes_back_from_nine_digits),
        cmocka_unit_test(test_extremes_are_rounded_like_strtof),
        cmocka_unit_test(test_what_is_no_decimal_is_refused),
        cmocka_unit_test(test_whole_numbers_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
