/* Unit tests of models/forward.h. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"
#include "core/rng.h"
#include "models/forward.h"
#include "tests/support/test.h"

#define K       50
#define NNZ_MAX 20

static const char *const ISAS[] = {"scalar", "neon", "avx2", "avx512"};
#define N_ISAS (sizeof ISAS / sizeof *ISAS)

static const uint32_t WIDTHS[] = {1,   2,   15,  16,  17,  31,  33,  100,
                                  141, 192, 193, 240, 256, 257, 300, 700};
#define N_WIDTHS (sizeof WIDTHS / sizeof *WIDTHS)

static const char *isa_before;

static int remember_isa(void **state)
{
    (void)state;
    isa_before = isa_name(isa_get());
    return 0;
}

static int restore_isa(void **state)
{
    (void)state;
    return isa_force(isa_before, NULL);
}

static float *floats(size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);

    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        x[i] = NAN; /* What is not written is seen. */
    }
    return x;
}

/* Random rows for a random W; row 3 is empty. */
struct fixture {
    struct mat w;
    struct forward_block b;
    uint32_t idx[FORWARD_BLOCK][NNZ_MAX];
    float val[FORWARD_BLOCK][NNZ_MAX];
};

static void fixture_init(struct fixture *f, uint32_t J, bool bias)
{
    assert_int_equal(mat_init(&f->w, K, J, NULL), 0);
    for (size_t k = 0; k < K; k++) {
        for (size_t j = 0; j < J; j++) {
            mat_row(&f->w, k)[j] = rng_normal(J, 1, k << 32 | j);
        }
    }
    f->b = (struct forward_block){.w = &f->w,
                                  .n = 1 + J % FORWARD_BLOCK,
                                  .bias = bias ? mat_row(&f->w, K - 1) : NULL};
    f->b.x = floats(f->b.n * f->w.ld);
    for (uint32_t r = 0; r < f->b.n; r++) {
        uint32_t nnz = r == 3 ? 0 : 1 + (uint32_t)rng_below(J, 2, r, NNZ_MAX);
        for (uint32_t i = 0; i < nnz; i++) {
            f->idx[r][i] = (uint32_t)rng_below(J, r + 10, i, K / NNZ_MAX) +
                           i * (K / NNZ_MAX);
            f->val[r][i] = rng_normal(J, 3, (uint64_t)r << 32 | i);
        }
        f->b.rows[r] = (struct dataset_row){
            .nnz = nnz, .idx = f->idx[r], .val = f->val[r]};
    }
}

static void fixture_fini(struct fixture *f)
{
    free(f->b.x);
    mat_fini(&f->w);
}

static double logit_naive(const struct fixture *f, uint32_t r, size_t j)
{
    const struct dataset_row *row = &f->b.rows[r];
    double x = f->b.bias != NULL ? (double)f->b.bias[j] : 0;

    for (uint32_t i = 0; i < row->nnz; i++) {
        x += (double)row->val[i] * (double)mat_row(&f->w, row->idx[i])[j];
    }
    return x;
}

static void check_product(uint32_t J, bool bias)
{
    struct fixture f;

    fixture_init(&f, J, bias);
    forward_product(&f.b);
    for (uint32_t r = 0; r < f.b.n; r++) {
        const float *x = f.b.x + r * f.w.ld;
        for (size_t j = 0; j < J; j++) {
            double want = logit_naive(&f, r, j);
            assert_true(fabs((double)x[j] - want) <= 1e-5);
        }
        for (size_t j = J; j < f.w.ld; j++) {
            assert_true(x[j] == 0);
        }
    }
    fixture_fini(&f);
}

static void test_every_instruction_set_multiplies(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ISAS; i++) {
        if (isa_force(ISAS[i], NULL) != 0) {
            continue;
        }
        for (size_t t = 0; t < N_WIDTHS; t++) {
            check_product(WIDTHS[t], false);
            check_product(WIDTHS[t], true);
        }
    }
}

static void check_grouping(uint32_t J)
{
    struct fixture f;
    float *all, *one;
    struct dataset_row rows[FORWARD_BLOCK];
    uint32_t n;
    size_t L;

    fixture_init(&f, J, false);
    L = f.w.ld;
    all = f.b.x;
    n = f.b.n;
    one = floats(n * L);
    memcpy(rows, f.b.rows, sizeof rows);
    forward_product(&f.b);
    f.b.n = 1;
    for (uint32_t r = 0; r < n; r++) {
        f.b.rows[0] = rows[r];
        f.b.x = one + r * L;
        forward_product(&f.b);
    }
    assert_memory_equal(all, one, n * L * sizeof *all);
    f.b.x = all;
    free(one);
    fixture_fini(&f);
}

static void test_grouping_of_rows_does_not_change_a_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ISAS; i++) {
        for (size_t t = 0; isa_force(ISAS[i], NULL) == 0 && t < N_WIDTHS; t++) {
            check_grouping(WIDTHS[t]);
        }
    }
}

#define DENSE_K    300
#define DENSE_ROWS 131 /* More than a call packs at a time, and a rest. */

/* Random rows for the first @v_len rows of a random W; @x is what must come
 * out. */
struct dense {
    struct mat w;
    struct forward_dense d;
    float *v, *want;
};

static void dense_init(struct dense *f, uint32_t n, uint32_t v_len, uint32_t J)
{
    assert_int_equal(mat_init(&f->w, DENSE_K, J, NULL), 0);
    for (size_t i = 0; i < DENSE_K * f->w.ld; i++) {
        f->w.data[i] = i % f->w.ld < J ? rng_normal(J, 20, i) : 0;
    }
    f->v = floats((size_t)n * DENSE_K);
    for (size_t i = 0; i < (size_t)n * DENSE_K; i++) {
        f->v[i] = rng_normal(J, 21, i);
    }
    f->d = (struct forward_dense){.w = &f->w,
                                  .n = n,
                                  .v = f->v,
                                  .v_ld = DENSE_K,
                                  .v_len = v_len,
                                  .bias = n % 2 ? mat_row(&f->w, DENSE_K - 1)
                                                : NULL,
                                  .cols = f->w.ld,
                                  .x = floats(n * f->w.ld)};
    f->want = floats(n * f->w.ld);
    for (size_t i = 0; i < n * f->w.ld; i++) {
        size_t j = i % f->w.ld;
        float x = f->d.bias != NULL ? f->d.bias[j] : 0;
        for (size_t k = 0; k < v_len; k++) {
            x = fmaf(f->v[i / f->w.ld * DENSE_K + k], mat_row(&f->w, k)[j], x);
        }
        f->want[i] = x;
    }
}

static void dense_fini(struct dense *f)
{
    free(f->d.x);
    free(f->v);
    free(f->want);
    mat_fini(&f->w);
}

/* In one call, and in pieces of 32 columns. */
static void check_dense(uint32_t n, uint32_t v_len, uint32_t J)
{
    struct dense f;
    size_t ld, size;

    dense_init(&f, n, v_len, J);
    ld = f.w.ld;
    size = n * ld * sizeof *f.want;
    for (size_t i = 0; i < N_ISAS; i++) {
        if (isa_force(ISAS[i], NULL) != 0) {
            continue;
        }
        memset(f.d.x, 0xff, size);
        f.d.col = 0;
        f.d.cols = ld;
        forward_dense(&f.d);
        assert_memory_equal(f.d.x, f.want, size);
        memset(f.d.x, 0xff, size);
        for (; f.d.col < ld; f.d.col += 32) {
            f.d.cols = ld - f.d.col < 32 ? ld - f.d.col : 32;
            forward_dense(&f.d);
        }
        assert_memory_equal(f.d.x, f.want, size);
    }
    dense_fini(&f);
}

static void test_dense_rows_have_the_bits_of_plain_loops(void **state)
{
    static const uint32_t ROWS[] = {1, 3, 8, 33, DENSE_ROWS};
    static const uint32_t LENS[] = {1, 127, 128, 129, DENSE_K};
    static const uint32_t COLS[] = {1, 10, 16, 47, 49, 96, 141};

    (void)state;
    for (size_t n = 0; n < sizeof ROWS / sizeof *ROWS; n++) {
        for (size_t k = 0; k < sizeof LENS / sizeof *LENS; k++) {
            for (size_t j = 0; j < sizeof COLS / sizeof *COLS; j++) {
                check_dense(ROWS[n], LENS[k], COLS[j]);
            }
        }
    }
}

static void test_exp_is_exp(void **state)
{
    (void)state;
    for (int i = 0; i <= 79000; i++) {
        float x = -1e-3f * (float)i;
        double want = exp((double)x);
        assert_true(fabs((double)forward_exp(x) - want) <= 4e-7 * want);
    }
    assert_true(forward_exp(-81) == 0);
    assert_true(forward_exp(-INFINITY) == 0);
    assert_true(isnan(forward_exp(NAN)));
}

static void check_softmax(uint32_t J, float spread)
{
    float *x = floats(mat_ld(J));
    double *want = calloc(J, sizeof *want), sum = 0, max = -1e30;
    float top, got;

    assert_non_null(want);
    for (uint32_t j = 0; j < J; j++) {
        x[j] = spread * rng_normal(J, 5, j);
        max = fmax(max, (double)x[j]);
    }
    for (uint32_t j = 0; j < J; j++) {
        want[j] = exp((double)x[j] - max);
        sum += want[j];
    }
    top = forward_max(x, J);
    assert_true((double)top == max);
    assert_true(x[forward_find(x, J, top)] == top);
    got = forward_softmax(x, J, top);
    assert_true(fabs((double)got - sum) <= 1e-5 * sum);
    for (uint32_t j = 0; j < J; j++) {
        double p = want[j] / sum;
        assert_true(fabs((double)x[j] - p) <= 8e-6 * p + 1e-34);
    }
    for (size_t j = J; j < mat_ld(J); j++) {
        assert_true(x[j] == 0);
    }
    free(want);
    free(x);
}

static void test_every_instruction_set_makes_probabilities(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ISAS; i++) {
        for (size_t t = 0; isa_force(ISAS[i], NULL) == 0 && t < N_WIDTHS; t++) {
            check_softmax(WIDTHS[t], 0.01f);
            check_softmax(WIDTHS[t], 3);
            check_softmax(WIDTHS[t], 60);
        }
    }
}

static float softmax_with(uint32_t J, uint32_t at, float bad)
{
    float *x = floats(mat_ld(J)), sum;

    for (uint32_t j = 0; j < J; j++) {
        x[j] = j == at ? bad : 1;
    }
    sum = forward_softmax(x, J, forward_max(x, J));
    free(x);
    return sum;
}

static void test_what_is_not_finite_shows_in_the_sum(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ISAS; i++) {
        for (uint32_t at = 0; isa_force(ISAS[i], NULL) == 0 && at < 37; at++) {
            assert_true(isnan(softmax_with(37, at, NAN)));
            assert_true(isnan(softmax_with(37, at, INFINITY)));
            assert_true(softmax_with(37, at, -INFINITY) == 36);
            assert_true(softmax_with(37, at, 0) > 36);
        }
    }
}

static void test_the_first_of_equals_is_found(void **state)
{
    float x[100] = {0};
    (void)state;

    x[37] = 2;
    x[38] = 2;
    x[99] = 2;
    assert_int_equal(forward_find(x, 100, 2), 37);
    assert_int_equal(forward_find(x, 37, 2), 37);
    assert_int_equal(forward_find(x + 39, 61, 2), 60);
    assert_int_equal(forward_find(x, 100, 0), 0);
    assert_int_equal(forward_find(x, 0, 0), 0);
    assert_int_equal(forward_find(x, 100, NAN), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_instruction_set_multiplies),
        cmocka_unit_test(test_grouping_of_rows_does_not_change_a_bit),
        cmocka_unit_test(test_dense_rows_have_the_bits_of_plain_loops),
        cmocka_unit_test(test_exp_is_exp),
        cmocka_unit_test(test_every_instruction_set_makes_probabilities),
        cmocka_unit_test(test_what_is_not_finite_shows_in_the_sum),
        cmocka_unit_test(test_the_first_of_equals_is_found),
    };
    return cmocka_run_group_tests(tests, remember_isa, restore_isa);
}
