/* Unit tests of select/gram.h. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "select/gram.h"
#include "tests/support/test.h"

#define N_MAX 70

static uint64_t at;

static uint64_t draw(void)
{
    return rng_u64(3, rng_stream(RNG_TEST, 0, 0), at++);
}

static float number(void)
{
    return rng_f32(3, rng_stream(RNG_TEST, 1, 0), at++) - 0.5f;
}

/* @n pairs of u (len) with about @share per cent of entries, both as dense and
 * as sparse vectors. */
static void fill(struct sv_batch *dense,
                 struct sv_batch *sparse,
                 uint32_t n,
                 uint32_t len,
                 uint32_t share)
{
    uint32_t *idx = malloc(len * sizeof *idx);
    float *val = malloc(len * sizeof *val), *all = malloc(len * sizeof *all);
    const float one = 1;
    const uint32_t zero = 0;
    struct err e;

    assert_true(idx != NULL && val != NULL && all != NULL);
    sv_batch_init(dense, len, 1);
    sv_batch_init(sparse, len, 1);
    sv_batch_reset(dense, false, false);
    sv_batch_reset(sparse, true, true);
    for (uint32_t r = 0; r < n; r++) {
        uint32_t nnz = 0;
        memset(all, 0, len * sizeof *all);
        for (uint32_t j = 0; j < len; j++) {
            if (draw() % 100 < share) {
                idx[nnz] = j;
                all[j] = val[nnz++] = number();
            }
        }
        assert_int_equal(sv_batch_append(dense, 1,
                                         (struct sv_vec){len, NULL, all},
                                         (struct sv_vec){1, NULL, &one}, r, &e),
                         0);
        assert_int_equal(
            sv_batch_append(sparse, 1, (struct sv_vec){nnz, idx, val},
                            (struct sv_vec){1, &zero, &one}, r, &e),
            0);
    }
    free(idx);
    free(val);
    free(all);
}

static void
gram_naive(const struct sv_vecs *x, const float *scale, double *g, double *norm)
{
    for (uint32_t r = 0; r < x->n; r++) {
        for (uint32_t s = 0; s < x->n; s++) {
            const float *a = x->val + (size_t)r * x->ld;
            const float *b = x->val + (size_t)s * x->ld;
            double sum = 0;
            for (uint32_t j = 0; j < x->len; j++) {
                sum += (double)a[j] * (double)b[j];
            }
            g[r * x->n + s] =
                scale == NULL ? sum : sum * (double)scale[r] * (double)scale[s];
        }
    }
    for (uint32_t r = 0; r < x->n; r++) {
        norm[r] = sqrt(g[r * x->n + r]);
    }
}

static void expect(const double *g,
                   const double *want,
                   const double *norm,
                   uint32_t n,
                   double noise)
{
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t s = 0; s < n; s++) {
            double off = fabs(g[r * n + s] - want[r * n + s]);
            if (off > noise * norm[r] * norm[s]) {
                fail_msg("(%u, %u) is %g, not %g", r, s, g[r * n + s],
                         want[r * n + s]);
            }
        }
    }
}

static void try_shape(uint32_t n, uint32_t len, uint32_t share, bool scaled)
{
    static double g[N_MAX * N_MAX], want[N_MAX * N_MAX], norm[N_MAX];
    float scale[N_MAX];
    struct sv_batch dense, sparse;
    struct select_rows rows = {0};
    struct err e;

    for (uint32_t r = 0; r < n; r++) {
        scale[r] = r % 7 == 3 ? 0.0f : number() * 10;
    }
    fill(&dense, &sparse, n, len, share);
    gram_naive(&dense.u, scaled ? scale : NULL, want, norm);
    assert_int_equal(select_gram(&dense.u, scaled ? scale : NULL, NULL, g, &e),
                     0);
    expect(g, want, norm, n, SELECT_GRAM_NOISE);
    assert_int_equal(select_gram(&sparse.u, scaled ? scale : NULL, NULL, g, &e),
                     0);
    expect(g, want, norm, n, 1e-13);
    select_rows_put(&rows, &sparse.u, scaled ? scale : NULL);
    assert_int_equal(select_gram_exact(&rows, NULL, g, &e), 0);
    expect(g, want, norm, n, 1e-13);
    sv_batch_fini(&dense);
    sv_batch_fini(&sparse);
}

static void test_every_form_has_the_inner_products_of_the_naive_loop(void **s)
{
    (void)s;
    try_shape(1, 1, 100, false);
    try_shape(5, 3, 40, true);
    try_shape(31, 100, 3, false);
    try_shape(33, 2100, 1, true);
    try_shape(64, 5000, 30, true);
    try_shape(N_MAX, 17, 100, false);
    try_shape(N_MAX, 3000, 6, true);
}

static void test_bits_do_not_depend_on_threads(void **s)
{
    static const uint32_t SHARES[] = {2, 60};
    static double one[N_MAX * N_MAX], three[N_MAX * N_MAX];
    struct sv_batch dense, sparse;
    struct pool *pool;
    struct err e;

    (void)s;
    assert_int_equal(pool_create(&pool, 3, &e), 0);
    for (size_t i = 0; i < 2; i++) {
        const struct sv_vecs *forms[2] = {&dense.u, &sparse.u};
        fill(&dense, &sparse, N_MAX, 4000, SHARES[i]);
        for (size_t f = 0; f < 2; f++) {
            assert_int_equal(select_gram(forms[f], NULL, NULL, one, &e), 0);
            assert_int_equal(select_gram(forms[f], NULL, pool, three, &e), 0);
            assert_memory_equal(one, three, sizeof one);
        }
        sv_batch_fini(&dense);
        sv_batch_fini(&sparse);
    }
    pool_destroy(pool);
}

static void test_no_vectors_have_no_inner_products(void **s)
{
    struct sv_batch b;
    struct select_rows rows = {0};
    struct err e;

    (void)s;
    sv_batch_init(&b, 7, 9);
    assert_int_equal(select_gram(&b.u, NULL, NULL, NULL, &e), 0);
    sv_batch_reset(&b, true, true);
    assert_int_equal(select_gram(&b.u, NULL, NULL, NULL, &e), 0);
    select_rows_put(&rows, &b.u, NULL);
    assert_int_equal(select_gram_exact(&rows, NULL, NULL, &e), 0);
    sv_batch_fini(&b);
}

static void test_empty_sparse_vectors_are_zero(void **s)
{
    double g[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct sv_batch dense, sparse;
    struct err e;

    (void)s;
    fill(&dense, &sparse, 3, 40, 0);
    assert_int_equal(select_gram(&sparse.u, NULL, NULL, g, &e), 0);
    for (size_t i = 0; i < 9; i++) {
        assert_true(g[i] == 0);
    }
    sv_batch_fini(&dense);
    sv_batch_fini(&sparse);
}

static void test_what_is_not_finite_is_named(void **s)
{
    double g[25];
    struct sv_batch dense, sparse;
    struct err e;

    (void)s;
    fill(&dense, &sparse, 5, 40, 5);
    dense.u.val[3 * dense.u.ld + 7] = NAN;
    assert_int_equal(select_gram(&dense.u, NULL, NULL, g, &e), ERR_NOT_FINITE);
    assert_non_null(strstr(e.msg, "vector 3 of 5"));
    sv_batch_fini(&dense);
    sv_batch_fini(&sparse);
}

static void test_sizes_that_float_cannot_square_are_not_lost(void **s)
{
    static const float SIZES[] = {1e-30f, 1e-21f, 1, 1e25f, 0};
    static double g[25], want[25], norm[5];
    struct sv_batch dense, sparse;
    struct err e;

    (void)s;
    fill(&dense, &sparse, 5, 40, 50);
    for (uint32_t r = 0; r < 5; r++) {
        for (uint32_t j = 0; j < 40; j++) {
            dense.u.val[r * dense.u.ld + j] *= SIZES[r];
        }
    }
    gram_naive(&dense.u, SIZES, want, norm);
    assert_int_equal(select_gram(&dense.u, SIZES, NULL, g, &e), 0);
    expect(g, want, norm, 5, 1e-13);
    assert_true(g[0] > 0);
    sv_batch_fini(&dense);
    sv_batch_fini(&sparse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_every_form_has_the_inner_products_of_the_naive_loop),
        cmocka_unit_test(test_bits_do_not_depend_on_threads),
        cmocka_unit_test(test_no_vectors_have_no_inner_products),
        cmocka_unit_test(test_empty_sparse_vectors_are_zero),
        cmocka_unit_test(test_what_is_not_finite_is_named),
        cmocka_unit_test(test_sizes_that_float_cannot_square_are_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
