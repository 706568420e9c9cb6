/* Unit tests of ps/table.h. */

#include <string.h>

#include "ps/table.h"
#include "tests/support/test.h"

static void test_every_key_is_in_the_one_range_that_says_so(void **state)
{
    const struct ps_param params[] = {{.n = 10, .range_keys = 4},
                                      {.n = 1},
                                      {.n = 8, .range_keys = 4},
                                      {.n = 5, .range_keys = 100}};
    const uint32_t keys[] = {10, 1, 8, 5};
    struct ps_table t;
    uint32_t range = 0;

    (void)state;
    assert_int_equal(ps_table_init(&t, params, 4, NULL), 0);
    assert_int_equal(t.n_ranges, 3 + 1 + 2 + 1);
    for (uint32_t p = 0; p < 4; p++) {
        uint32_t next = 0;
        while (next < keys[p]) {
            struct ps_piece piece = ps_table_piece(&t, range);
            assert_int_equal(piece.param, p);
            assert_int_equal(piece.first, next);
            for (uint32_t k = 0; k < piece.n; k++) {
                assert_int_equal(ps_table_range(&t, p, next + k), range);
            }
            assert_true(ps_table_ring_key(&t, range) ==
                        ((uint64_t)p << 32 | next));
            next += piece.n;
            range++;
        }
        assert_int_equal(next, keys[p]);
    }
    assert_int_equal(range, t.n_ranges);
    ps_table_fini(&t);
}

static void test_the_largest_vectors_do_not_overflow(void **state)
{
    const struct ps_param params[] = {{.n = UINT32_MAX, .range_keys = 65536}};
    struct ps_table t;
    struct ps_piece last;

    (void)state;
    assert_int_equal(ps_table_init(&t, params, 1, NULL), 0);
    assert_int_equal(t.n_ranges, 65536);
    last = ps_table_piece(&t, 65535);
    assert_int_equal(last.n, 65535);
    assert_true(last.first + (last.n - 1) == UINT32_MAX - 1);
    ps_table_fini(&t);
}

static void test_what_cannot_be_is_refused_with_its_number(void **state)
{
    const struct ps_param bad[][2] = {
        {{.n = 1}, {.n = 0}},
        {{.n = 1}, {.n = UINT32_MAX}},
        {{.n = 1}, {.n = 1, .aggregate_first = true}},
        {{.n = UINT32_MAX, .range_keys = 1},
         {.n = UINT32_MAX, .range_keys = 1}}};
    const char *const said[] = {"has no keys", "at most 4194304",
                                "aggregated by rank", "too many ranges"};
    struct ps_table t;
    struct err e;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ps_table_init(&t, bad[i], 2, &e), ERR_INVALID);
        assert_non_null(strstr(e.msg, said[i]));
    }
    assert_int_equal(ps_table_init(&t, bad[0], 0, &e), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_is_in_the_one_range_that_says_so),
        cmocka_unit_test(test_the_largest_vectors_do_not_overflow),
        cmocka_unit_test(test_what_cannot_be_is_refused_with_its_number),
    };
    return cmocka_run_group_tests_name("ps_table", tests, NULL, NULL);
}
