/* Unit tests of core/mat.h. */

#include "core/mat.h"
#include "tests/support/test.h"

static void test_rows_are_padded_aligned_and_zero(void **state)
{
    struct mat m;
    struct err e;

    (void)state;
    assert_int_equal(mat_init(&m, 7, 33, &e), 0);
    assert_int_equal(m.ld, 48);
    for (size_t k = 0; k < m.K; k++) {
        assert_int_equal((uintptr_t)mat_row(&m, k) % MAT_ALIGN_SIZE, 0);
        for (size_t j = 0; j < m.ld; j++) {
            assert_true(mat_row(&m, k)[j] == 0);
        }
    }
    mat_row(&m, 6)[47] = 1; /* The last byte is ours. */
    mat_fini(&m);
    assert_null(m.data);
    mat_fini(&m);
}

static void test_shapes_that_make_no_sense_are_refused(void **state)
{
    struct mat m;
    struct err e;

    (void)state;
    assert_int_equal(mat_init(&m, 0, 3, &e), ERR_INVALID);
    assert_string_equal(e.msg, "matrix of 0 x 3");
    assert_int_equal(mat_init(&m, 3, 0, &e), ERR_INVALID);
    assert_int_equal(mat_init(&m, SIZE_MAX / 8, 64, &e), ERR_INVALID);
    assert_int_equal(mat_init(&m, 1, SIZE_MAX, &e), ERR_INVALID);
}

static void test_a_matrix_that_does_not_fit_is_no_memory(void **state)
{
    struct mat m;
    struct err e;

    (void)state;
    assert_int_equal(mat_init(&m, (size_t)1 << 40, 1 << 16, &e), ERR_NOMEM);
    assert_null(m.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_padded_aligned_and_zero),
        cmocka_unit_test(test_shapes_that_make_no_sense_are_refused),
        cmocka_unit_test(test_a_matrix_that_does_not_fit_is_no_memory),
    };
    return cmocka_run_group_tests_name("core_mat", tests, NULL, NULL);
}
