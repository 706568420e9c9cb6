/* Unit tests of core/rng.h. */

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/test.h"

#define N 20000

static uint64_t stream_of_test(void)
{
    return rng_stream(RNG_TEST, 3, 4);
}

static void test_values_are_those_of_the_paper(void **state)
{
    (void)state;
    /* Known answers of philox4x32-10 that the authors publish. */
    assert_true(rng_u64(0, 0, 0) == 0xe169c58d6627e8d5u);
    assert_true(rng_u64(UINT64_MAX, UINT64_MAX, UINT64_MAX) ==
                0x41c83b0e408f276du);
    assert_true(rng_u64(0x299f31d0a4093822u, 0x0370734413198a2eu,
                        0x85a308d3243f6a88u) == 0x94fdccebd16cfe09u);
}

static void test_seed_stream_and_index_all_matter(void **state)
{
    uint64_t x = rng_u64(1, 2, 3);

    (void)state;
    assert_true(x == rng_u64(1, 2, 3));
    assert_true(x != rng_u64(0, 2, 3));
    assert_true(x != rng_u64(1, 0, 3));
    assert_true(x != rng_u64(1, 2, 0));
    assert_true(x != rng_u64(1, 2, 3 + ((uint64_t)1 << 32)));
    assert_true(rng_stream(RNG_TEST, 1, 2) != rng_stream(RNG_TEST, 2, 1));
    assert_true(rng_stream(RNG_TEST, 1, 2) != rng_stream(RNG_SPLIT, 1, 2));
}

static void test_below_is_uniform(void **state)
{
    unsigned count[10] = {0};

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t x = rng_below(5, stream_of_test(), i, 10);
        assert_true(x < 10);
        count[x]++;
    }
    for (size_t i = 0; i < 10; i++) { /* Six standard deviations. */
        assert_in_range(count[i], N / 10 - 260, N / 10 + 260);
    }
    assert_int_equal(rng_below(5, 0, 0, 1), 0);
}

static void test_floats_are_in_their_interval(void **state)
{
    double sum = 0, normal = 0, squares = 0;

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        float x = rng_f32(5, stream_of_test(), i);
        float z = rng_normal(6, stream_of_test(), i);
        assert_true(x >= 0 && x < 1);
        assert_true(isfinite(z));
        sum += (double)x;
        normal += (double)z;
        squares += (double)z * (double)z;
    }
    assert_true(fabs(sum / N - 0.5) < 0.015);
    assert_true(fabs(normal / N) < 0.05);
    assert_true(fabs(squares / N - 1) < 0.07);
}

static void test_a_permutation_hits_each_place_once(void **state)
{
    static const uint64_t SIZES[] = {1, 2, 3, 4, 5, 16, 17, 1000, 4096, 5001};
    static char seen[5001];

    (void)state;
    for (size_t s = 0; s < sizeof SIZES / sizeof *SIZES; s++) {
        uint64_t n = SIZES[s];
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t to = rng_permute(9, s, n, i);
            assert_true(to < n);
            assert_int_equal(seen[to]++, 0);
        }
    }
}

static void test_permutations_differ_and_move_things(void **state)
{
    unsigned same = 0, fixed = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t a = rng_permute(9, 1, 1000, i);
        same += a == rng_permute(9, 2, 1000, i);
        fixed += a == i;
    }
    assert_true(same < 10);
    assert_true(fixed < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_those_of_the_paper),
        cmocka_unit_test(test_seed_stream_and_index_all_matter),
        cmocka_unit_test(test_below_is_uniform),
        cmocka_unit_test(test_floats_are_in_their_interval),
        cmocka_unit_test(test_a_permutation_hits_each_place_once),
        cmocka_unit_test(test_permutations_differ_and_move_things),
    };
    return cmocka_run_group_tests_name("core_rng", tests, NULL, NULL);
}
