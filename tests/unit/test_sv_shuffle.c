/* Unit tests of sv/shuffle.h. */

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "sv/shuffle.h"
#include "tests/support/test.h"

enum { N_MAX = 100 };

static void test_planes_hold_the_bytes_of_a_kind(void **state)
{
    const uint8_t from[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const uint8_t by_4[] = {4, 8, 3, 7, 2, 6, 1, 5};
    const uint8_t by_2[] = {2, 4, 6, 8, 1, 3, 5, 7};
    uint8_t to[8];

    (void)state;
    sv_shuffle(to, from, 2, 4);
    assert_memory_equal(to, by_4, sizeof to);
    sv_shuffle(to, from, 4, 2);
    assert_memory_equal(to, by_2, sizeof to);
}

static void check_parts(const uint8_t *from, size_t n, size_t w)
{
    uint8_t planes[4 * N_MAX + 1], back[4 * N_MAX + 1];

    memset(planes, 0x5a, sizeof planes);
    sv_shuffle(planes, from, n, w);
    assert_int_equal(planes[n * w], 0x5a);
    for (size_t first = 0; first <= n; first++) {
        size_t m = n - first;
        memset(back, 0xa5, sizeof back);
        sv_shuffle_undo(back, planes + first, n, w, m);
        assert_memory_equal(back, from + first * w, m * w);
        assert_int_equal(back[m * w], 0xa5);
    }
}

static void test_any_part_of_any_length_comes_back(void **state)
{
    uint8_t from[4 * N_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof from; i++) {
        from[i] = (uint8_t)rng_u64(1, RNG_TEST, i);
    }
    for (size_t n = 0; n <= N_MAX; n++) {
        check_parts(from, n, 2);
        check_parts(from, n, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planes_hold_the_bytes_of_a_kind),
        cmocka_unit_test(test_any_part_of_any_length_comes_back),
    };
    return cmocka_run_group_tests_name("shuffle", tests, NULL, NULL);
}
