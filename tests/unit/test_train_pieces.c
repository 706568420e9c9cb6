/* Unit tests of train/pieces.h. */

#include "core/rng.h"
#include "sv/rows.h"
#include "tests/support/test.h"
#include "train/pieces.h"

#define N 3

/* Every row of every matrix is in one piece, in order, and pieces are as large
 * as they may be, but for the last of a matrix. */
static void test_pieces_have_every_row_once(void **state)
{
    static const size_t FLOATS[] = {1, 9, 40, 41, 1000, TRAIN_PIECE_FLOATS};

    (void)state;
    for (unsigned rule = 0; rule < SV_RULE_COUNT; rule++) {
        struct sv_state s[N];
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(sv_state_init(&s[i], (enum sv_rule)rule, 1e-6f,
                                           1 + 37 * i, 4 + i, NULL),
                             0);
        }
        for (size_t f = 0; f < sizeof FLOATS / sizeof *FLOATS; f++) {
            struct train_pieces p;
            size_t k[N] = {0};
            uint32_t numbers[N] = {0};
            assert_int_equal(train_pieces_init(&p, s, N, FLOATS[f], NULL), 0);
            for (uint32_t i = 0; i < p.n; i++) {
                const struct train_piece *x = &p.at[i];
                assert_int_equal(x->first, k[x->matrix]);
                assert_int_equal(x->number, numbers[x->matrix]++);
                assert_int_equal(x->width, sv_rows_width(&s[x->matrix]));
                assert_int_equal(p.floats[i], x->n * x->width);
                assert_true(x->n == 1 || p.floats[i] <= FLOATS[f]);
                k[x->matrix] += x->n;
                assert_true(k[x->matrix] == s[x->matrix].w.K ||
                            p.floats[i] + x->width > FLOATS[f]);
            }
            for (size_t i = 0; i < N; i++) {
                assert_int_equal(k[i], s[i].w.K);
            }
            train_pieces_fini(&p);
        }
        for (size_t i = 0; i < N; i++) {
            sv_state_fini(&s[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_have_every_row_once),
    };
    return cmocka_run_group_tests_name("train/pieces", tests, NULL, NULL);
}
