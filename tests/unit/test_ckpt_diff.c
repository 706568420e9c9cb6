/* Unit tests of ckpt/diff.h: what moved, and the shares of who moved it. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/diff.h"
#include "ckpt/replay.h"
#include "sv/state.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

#define N    14
#define FROM 5
#define TOP  4

struct fixture {
    char dir[LOGS_PATH_SIZE];
    struct logs_story story;
    struct ckpt_reader *reader;
    struct sv_state states[1];
};

static void begin(struct fixture *f, enum sv_rule rule)
{
    struct ckpt_log_options o;

    f->story =
        (struct logs_story){.seed = 9, .peers = 3, .matrices = 1, .rule = rule};
    logs_dir_make(f->dir);
    o = logs_options(f->dir);
    logs_write(&f->story, &o, N);
    assert_int_equal(ckpt_reader_open(&f->reader, f->dir, NULL), 0);
    assert_int_equal(
        sv_state_init(&f->states[0], rule, 0.5f, LOGS_K, LOGS_J, NULL), 0);
    assert_int_equal(ckpt_replay(f->reader, f->states, 1, 0, FROM, NULL, NULL),
                     0);
}

static void end(struct fixture *f)
{
    sv_state_fini(&f->states[0]);
    ckpt_reader_close(f->reader);
    logs_dir_remove(f->dir);
}

/* What each op did to every element, one op after another, along D. */
struct naive {
    double d[LOGS_K][LOGS_J];
    double by[4][LOGS_K][LOGS_J]; /* By peer; 3: other ops. */
};

static void naive_op(struct naive *x,
                     const struct logs_story *s,
                     struct sv_state *state,
                     uint64_t clock,
                     const struct ckpt_op *logged)
{
    bool apply = logged->kind == SV_OP_APPLY;
    struct sv_state *was;
    struct sv_batch b;
    struct sv_row_block rows;
    struct sv_op op = {
        .kind = logged->kind, .a = logged->a, .batch = &b, .rows = &rows};

    assert_int_equal(sv_states_copy(&was, state, 1, NULL), 0);
    if (apply) {
        logs_batch(s, logged->origin, logged->clock, 0, &b);
        sv_batch_scale(&b, logged->a);
    }
    logs_rows(s, clock, 0, logged->sequence, &rows);
    sv_apply_naive(state, &op, 1);
    sv_rows_fini(&rows);
    for (size_t k = 0; k < LOGS_K; k++) {
        for (size_t j = 0; j < LOGS_J; j++) {
            x->by[apply ? logged->origin : 3][k][j] +=
                (double)mat_row(&state->w, k)[j] -
                (double)mat_row(&was->w, k)[j];
        }
    }
    if (apply) {
        sv_batch_fini(&b);
    }
    sv_states_free(was, 1);
}

static void naive_run(struct naive *x, const struct fixture *f)
{
    struct sv_state *state;
    struct ckpt_step step;

    memset(x, 0, sizeof *x);
    assert_int_equal(sv_states_copy(&state, f->states, 1, NULL), 0);
    ckpt_step_init(&step);
    for (uint64_t c = FROM; c < N; c++) {
        logs_step(&f->story, c, &step);
        for (size_t i = 0; i < step.n_ops; i++) {
            naive_op(x, &f->story, state, c, &step.ops[i]);
        }
    }
    for (size_t k = 0; k < LOGS_K; k++) {
        for (size_t j = 0; j < LOGS_J; j++) {
            x->d[k][j] = (double)mat_row(&state->w, k)[j] -
                         (double)mat_row(&f->states[0].w, k)[j];
        }
    }
    ckpt_step_fini(&step);
    sv_states_free(state, 1);
}

/* Row @index, or column: its norm in D and the shares. */
static double
naive_line(const struct naive *x, bool row, size_t index, double shares[4])
{
    size_t n = row ? LOGS_J : LOGS_K;
    double square = 0;

    memset(shares, 0, 4 * sizeof *shares);
    for (size_t i = 0; i < n; i++) {
        size_t k = row ? index : i, j = row ? i : index;
        square += x->d[k][j] * x->d[k][j];
        for (size_t p = 0; p < 4; p++) {
            shares[p] += x->by[p][k][j] * x->d[k][j];
        }
    }
    for (size_t p = 0; p < 4; p++) {
        shares[p] /= square;
    }
    return sqrt(square);
}

static void check_lines(const struct naive *x,
                        bool row,
                        const struct ckpt_diff_line *lines,
                        size_t n,
                        const double *shares)
{
    size_t all = row ? LOGS_K : LOGS_J;
    double want[4];

    assert_int_equal(n, TOP);
    for (size_t i = 0; i < n; i++, shares += 4) {
        double moved = naive_line(x, row, lines[i].index, want);
        size_t n_greater = 0;
        assert_true(fabs(lines[i].moved - moved) < 1e-5);
        for (size_t p = 0; p < 4; p++) {
            assert_true(fabs(shares[p] - want[p]) < 1e-4);
        }
        for (size_t k = 0; k < all; k++) {
            n_greater += naive_line(x, row, k, want) > moved + 1e-5;
        }
        assert_true(n_greater <= i);
    }
}

static void test_rows_columns_and_shares_are_those_of_single_ops(void **state)
{
    static const enum sv_rule rules[] = {SV_PLAIN, SV_ROWGRAD, SV_ADAGRAD};

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct ckpt_diff_options o = {.from = FROM, .to = N, .top = TOP};
        static struct naive want;
        struct ckpt_diff d;
        struct fixture f;
        struct err e = {""};
        begin(&f, rules[i]);
        naive_run(&want, &f);
        if (ckpt_diff(&d, f.reader, f.states, 1, &o, &e) != 0) {
            fail_msg("%s", e.msg);
        }
        assert_int_equal(d.n_origins, 3);
        check_lines(&want, true, d.rows, d.n_top_rows, d.row_shares);
        check_lines(&want, false, d.columns, d.n_top_columns, d.column_shares);
        ckpt_diff_fini(&d);
        end(&f);
    }
}

/* All of them count, though W moves by M. */
static void test_shares_under_momentum_add_up_to_one(void **state)
{
    struct ckpt_diff_options o = {.from = FROM, .to = N, .top = TOP};
    struct ckpt_diff d;
    struct fixture f;

    (void)state;
    begin(&f, SV_MOMENTUM);
    assert_int_equal(ckpt_diff(&d, f.reader, f.states, 1, &o, NULL), 0);
    for (size_t i = 0; i < d.n_top_rows; i++) {
        double sum = 0;
        for (size_t p = 0; p < 4; p++) {
            sum += d.row_shares[i * 4 + p];
        }
        assert_true(fabs(sum - 1) < 1e-9);
    }
    ckpt_diff_fini(&d);
    end(&f);
}

static void test_nothing_moves_between_a_clock_and_itself(void **state)
{
    struct ckpt_diff_options o = {.from = FROM, .to = FROM, .top = TOP};
    struct ckpt_diff d;
    struct fixture f;

    (void)state;
    begin(&f, SV_ROWGRAD);
    assert_int_equal(ckpt_diff(&d, f.reader, f.states, 1, &o, NULL), 0);
    assert_true(d.moved == 0 && d.before > 0);
    assert_true(d.n_rows == 0 && d.n_top_rows == 0 && d.n_top_columns == 0);
    ckpt_diff_fini(&d);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_columns_and_shares_are_those_of_single_ops),
        cmocka_unit_test(test_shares_under_momentum_add_up_to_one),
        cmocka_unit_test(test_nothing_moves_between_a_clock_and_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
