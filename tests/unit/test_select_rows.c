/* Unit tests of select/rows.h. */

#include <math.h>
#include <string.h>

#include "select/rows.h"
#include "tests/support/test.h"

#define LEN 600

/* Row r of part p has 1 + r + 10 p in every third column. */
static void fill(struct sv_batch *b, uint32_t part, uint32_t n, bool sparse)
{
    static uint32_t idx[LEN / 3];
    static float val[LEN / 3], all[LEN];
    const struct sv_vec one = {1, NULL, (const float[]){1}};
    struct err e;

    sv_batch_init(b, LEN, 1);
    sv_batch_reset(b, sparse, false);
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t i = 0; i < LEN / 3; i++) {
            idx[i] = 3 * i;
            val[i] = all[3 * i] = (float)(1 + r + 10 * part);
        }
        assert_int_equal(
            sv_batch_append(b, 2,
                            sparse ? (struct sv_vec){LEN / 3, idx, val}
                                   : (struct sv_vec){LEN, NULL, all},
                            one, r, &e),
            0);
    }
}

static double entry(uint32_t row, uint32_t column)
{
    double x = row < 3 ? 1 + row : 2 * (1 + (row - 3) + 10);

    return column % 3 == 0 ? x : 0;
}

struct fixture {
    struct sv_batch parts[2];
    struct select_rows rows;
};

static void set_up(struct fixture *f, bool first_sparse)
{
    memset(f, 0, sizeof *f);
    fill(&f->parts[0], 0, 3, first_sparse);
    fill(&f->parts[1], 1, 2, !first_sparse);
    select_rows_put(&f->rows, &f->parts[0].u, NULL);
    select_rows_put(&f->rows, &f->parts[1].u, f->parts[1].coef);
}

static void tear_down(struct fixture *f)
{
    sv_batch_fini(&f->parts[0]);
    sv_batch_fini(&f->parts[1]);
}

static void test_columns_are_those_of_both_parts(void **state)
{
    static const struct {
        uint32_t from, width;
    } SPANS[] = {{0, LEN}, {1, 1}, {298, 100}, {599, 1}};
    static double out[5 * LEN];
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        uint32_t from = SPANS[i % 4].from, width = SPANS[i % 4].width;
        set_up(&f, i < 4);
        assert_int_equal(f.rows.n, 5);
        assert_int_equal(f.rows.len, LEN);
        select_rows_columns(&f.rows, from, width, out);
        for (uint32_t r = 0; r < 5; r++) {
            for (uint32_t j = 0; j < width; j++) {
                assert_true(out[r * width + j] == entry(r, from + j));
            }
        }
        tear_down(&f);
    }
}

static void test_combinations_are_sums_of_rows(void **state)
{
    const double y[2 * 5] = {1, 0, 0, 0, -1, 0.5, 0, 2, 3, 0};
    struct fixture f;
    struct sv_batch out;
    struct err e;

    (void)state;
    set_up(&f, true);
    sv_batch_init(&out, LEN, 1);
    assert_int_equal(sv_vecs_resize(&out.u, 2, 0, &e), 0);
    assert_int_equal(select_rows_combine(&f.rows, y, NULL, &out.u, &e), 0);
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t j = 0; j < LEN; j++) {
            double want = 0;
            for (uint32_t r = 0; r < 5; r++) {
                want += y[i * 5 + r] * entry(r, j);
            }
            assert_true((double)out.u.val[i * out.u.ld + j] == want);
        }
        for (uint32_t j = LEN; j < out.u.ld; j++) {
            assert_true(out.u.val[i * out.u.ld + j] == 0);
        }
    }
    sv_batch_fini(&out);
    tear_down(&f);
}

static void test_sums_too_large_for_a_float_are_refused(void **state)
{
    const double y[5] = {1e300, 0, 0, 0, 0};
    struct fixture f;
    struct sv_batch out;
    struct err e;

    (void)state;
    set_up(&f, false);
    sv_batch_init(&out, LEN, 1);
    assert_int_equal(sv_vecs_resize(&out.u, 1, 0, &e), 0);
    assert_int_equal(select_rows_combine(&f.rows, y, NULL, &out.u, &e),
                     ERR_NOT_FINITE);
    sv_batch_fini(&out);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_those_of_both_parts),
        cmocka_unit_test(test_combinations_are_sums_of_rows),
        cmocka_unit_test(test_sums_too_large_for_a_float_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
