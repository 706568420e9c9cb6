/* Unit tests of sv/f16.h. */

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "sv/f16.h"
#include "tests/support/test.h"

/* What a codec of 16 bits is made of. */
struct kind {
    enum sv_value_codec codec;
    int mantissa;     /* Bits that are stored. */
    int exponent_min; /* Of the least normal. */
    int exponent_max; /* Of the greatest. */
};

static const struct kind KINDS[] = {{SV_VALUE_BF16, 7, -126, 127},
                                    {SV_VALUE_F16, 10, -14, 15}};

static uint32_t bits_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float from_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The value of a pattern, by the definition. */
static double value_naive(const struct kind *k, unsigned pattern)
{
    unsigned fraction = pattern & ((1u << k->mantissa) - 1);
    int exponent = (int)((pattern & 0x7fff) >> k->mantissa);
    double sign = (pattern & 0x8000) != 0 ? -1.0 : 1.0;

    if (exponent == 0) {
        return sign * ldexp(fraction, k->exponent_min - k->mantissa);
    }
    if (exponent > k->exponent_max - k->exponent_min + 1) {
        return fraction == 0 ? sign * (double)INFINITY : (double)NAN;
    }
    return sign * ldexp(1.0 + ldexp(fraction, -k->mantissa),
                        exponent - 1 + k->exponent_min);
}

/* The nearest value, ties to even: a multiple of the last place. */
static double round_naive(const struct kind *k, float x)
{
    int exponent = x == 0 ? k->exponent_min : ilogb((double)x);
    double unit, y;

    if (isnan(x) || isinf(x)) {
        return (double)x;
    }
    exponent = exponent < k->exponent_min ? k->exponent_min : exponent;
    unit = ldexp(1, exponent - k->mantissa);
    y = nearbyint((double)x / unit) * unit;
    return fabs(y) >= ldexp(1, k->exponent_max + 1)
               ? copysign((double)INFINITY, (double)x)
               : y;
}

static float get_one(enum sv_value_codec codec, unsigned pattern)
{
    uint8_t bytes[2] = {(uint8_t)pattern, (uint8_t)(pattern >> 8)};
    float x;

    sv_f16_get(codec, &x, bytes, 1);
    return x;
}

static unsigned put_one(enum sv_value_codec codec, float x)
{
    uint8_t bytes[2];

    sv_f16_put(codec, bytes, &x, 1);
    return bytes[0] | (unsigned)bytes[1] << 8;
}

static void assert_same(float x, double expected)
{
    if (isnan(expected)) {
        assert_true(isnan(x));
    } else {
        assert_int_equal(bits_of(x), bits_of((float)expected));
    }
}

static void test_all_patterns_have_their_values(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (unsigned pattern = 0; pattern < 65536; pattern++) {
            float x = get_one(KINDS[k].codec, pattern);
            assert_same(x, value_naive(&KINDS[k], pattern));
            assert_int_equal(bits_of(x) >> 31, pattern >> 15);
        }
    }
}

static void test_all_patterns_come_back(void **state)
{
    (void)state;
    for (unsigned pattern = 0; pattern < 65536; pattern++) {
        float x = get_one(SV_VALUE_F16, pattern);
        unsigned quiet = isnan(x) ? 0x200 : 0;
        assert_int_equal(put_one(SV_VALUE_F16, x), pattern | quiet);
        x = get_one(SV_VALUE_BF16, pattern);
        assert_int_equal(put_one(SV_VALUE_BF16, x), pattern);
    }
}

static void check_rounding(const struct kind *k, uint32_t bits)
{
    float x = from_bits(bits), y = x;
    double expected = round_naive(k, x);

    sv_f16_round(k->codec, &y, 1);
    assert_same(y, expected);
    assert_int_equal(bits_of(y) >> 31, bits >> 31);
    x = y;
    sv_f16_round(k->codec, &x, 1);
    assert_int_equal(bits_of(x), bits_of(y));
}

static void test_rounding_is_to_nearest_even(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (uint64_t i = 0; i < 300000; i++) {
            check_rounding(&KINDS[k], (uint32_t)rng_u64(1, RNG_TEST, i));
            /* The exponents of f16, which bits alone rarely hit. */
            check_rounding(&KINDS[k],
                           (uint32_t)rng_u64(2, RNG_TEST, i) % 0x16000000 +
                               0x32000000);
        }
    }
}

/* The values halfway to the next pattern, and the floats beside them. */
static void test_ties_and_their_neighbours_round_as_they_must(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (unsigned pattern = 0; pattern < 65535; pattern++) {
            double a = value_naive(&KINDS[k], pattern);
            double b = value_naive(&KINDS[k], pattern + 1);
            uint32_t tie = bits_of((float)((a + b) / 2));
            if (isfinite(a) && isfinite(b)) {
                check_rounding(&KINDS[k], tie - ((tie & INT32_MAX) > 0));
                check_rounding(&KINDS[k], tie);
                check_rounding(&KINDS[k], tie + 1);
            }
        }
    }
}

static void test_no_nan_becomes_infinite(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < 23; i++) {
            float x = from_bits(0xff800000u | 1u << i);
            sv_f16_round(KINDS[k].codec, &x, 1);
            assert_true(isnan(x));
        }
    }
}

static void test_what_fits_is_known_to_the_last_bit(void **state)
{
    static const struct {
        enum sv_value_codec codec;
        uint32_t least; /* Bits of the least that does not fit. */
    } limits[] = {{SV_VALUE_F16, 0x477ff000}, {SV_VALUE_BF16, 0x7f7f8000}};
    float x[3000] = {0};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (size_t at = 0; at < 3000; at += 1 + at % 97) {
            x[at] = -from_bits(limits[k].least - 1);
            assert_true(sv_f16_fits(limits[k].codec, x, 3000));
            assert_true(isfinite(
                get_one(limits[k].codec, put_one(limits[k].codec, x[at]))));
            x[at] = -from_bits(limits[k].least);
            assert_false(sv_f16_fits(limits[k].codec, x, 3000));
            assert_true(sv_f16_fits(limits[k].codec, x, at));
            assert_true(isinf(
                get_one(limits[k].codec, put_one(limits[k].codec, x[at]))));
            x[at] = FLT_MAX;
            assert_false(sv_f16_fits(limits[k].codec, x, 3000));
            assert_true(sv_f16_fits(SV_VALUE_F32, x, 3000));
            x[at] = at % 2 == 0 ? -INFINITY : NAN; /* It is so already. */
            assert_true(sv_f16_fits(limits[k].codec, x, 3000));
        }
    }
}

/* Whatever a compiler does with the rest behind whole vectors. */
static void test_runs_of_any_length_are_like_single_values(void **state)
{
    float x[80], rounded[80], back[80];
    uint8_t bytes[4 * 80 + 2];

    (void)state;
    for (int c = SV_VALUE_F32; c < SV_VALUE_CODEC_COUNT; c++) {
        enum sv_value_codec codec = (enum sv_value_codec)c;
        for (uint32_t i = 0; i < 80; i++) {
            x[i] = from_bits((uint32_t)rng_u64((uint64_t)c, RNG_TEST, i));
        }
        for (size_t n = 0; n <= 80; n++) {
            memcpy(rounded, x, sizeof x);
            memset(bytes, 0xa5, sizeof bytes);
            memcpy(back, x, sizeof x);
            sv_f16_round(codec, rounded, n);
            sv_f16_put(codec, bytes + 1, x, n); /* On no boundary. */
            sv_f16_get(codec, back, bytes + 1, n);
            assert_memory_equal(back, rounded, sizeof back);
            assert_int_equal(bytes[1 + n * sv_f16_size(codec)], 0xa5);
            for (size_t i = 0; i < n && codec != SV_VALUE_F32; i++) {
                unsigned one = put_one(codec, x[i]);
                assert_int_equal(bytes[1 + 2 * i], one & 0xff);
                assert_int_equal(bytes[2 + 2 * i], one >> 8);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_patterns_have_their_values),
        cmocka_unit_test(test_all_patterns_come_back),
        cmocka_unit_test(test_rounding_is_to_nearest_even),
        cmocka_unit_test(test_ties_and_their_neighbours_round_as_they_must),
        cmocka_unit_test(test_no_nan_becomes_infinite),
        cmocka_unit_test(test_what_fits_is_known_to_the_last_bit),
        cmocka_unit_test(test_runs_of_any_length_are_like_single_values),
    };
    return cmocka_run_group_tests_name("f16", tests, NULL, NULL);
}
