/* Unit tests of ckpt/snapshot.h: which batches were applied. Files are tested
 * with ckpt/compact.h. */

#include <string.h>

#include "ckpt/snapshot.h"
#include "tests/support/test.h"

static void test_applied_batches_are_those_that_were_added(void **state)
{
    struct ckpt_applied_list list = {.at = NULL};

    (void)state;
    assert_int_equal(ckpt_applied_add(&list, 4, 0, NULL), 0);
    assert_int_equal(ckpt_applied_add(&list, 4, 2, NULL), 0);
    assert_int_equal(ckpt_applied_add(&list, 1, 5000, NULL), 0);
    assert_int_equal(ckpt_applied_add(&list, 4, 1, NULL), 0);
    assert_int_equal(list.n, 2);
    assert_true(list.at[0].origin == 4 && list.at[0].next == 3);
    for (uint64_t c = 0; c < 3; c++) {
        assert_true(ckpt_applied_has(&list.at[0], c));
    }
    assert_false(ckpt_applied_has(&list.at[0], 3));
    assert_true(ckpt_applied_has(&list.at[1], 5000));
    assert_false(ckpt_applied_has(&list.at[1], 4999));
    ckpt_applied_fini(&list);
}

static void test_bits_move_on_with_the_clocks(void **state)
{
    struct ckpt_applied_list list = {.at = NULL};
    const struct ckpt_applied *a;

    (void)state;
    for (uint64_t c = 0; c < 3000; c += 3) {
        assert_int_equal(ckpt_applied_add(&list, 0, c, NULL), 0);
    }
    a = &list.at[0];
    assert_true(a->next == 2998);
    for (uint64_t c = a->next - CKPT_APPLIED_BITS; c < a->next; c++) {
        assert_true(ckpt_applied_has(a, c) == (c % 3 == 0));
    }
    assert_int_equal(ckpt_applied_add(&list, 0, 5, NULL), 0); /* Too late. */
    assert_false(ckpt_applied_has(&list.at[0], 5));
    assert_int_equal(ckpt_applied_add(&list, 0, 2999 + 2000, NULL), 0);
    assert_false(ckpt_applied_has(&list.at[0], 4998));
    assert_true(ckpt_applied_has(&list.at[0], 4999));
    ckpt_applied_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_applied_batches_are_those_that_were_added),
        cmocka_unit_test(test_bits_move_on_with_the_clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
