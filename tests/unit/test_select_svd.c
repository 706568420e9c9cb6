/* Unit tests of select/svd.h: against singular values and vectors of the update
 * itself, by Jacobi rotations. */

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "select/svd.h"
#include "tests/support/test.h"

#define J     9
#define K     13
#define N_MAX 40
#define JK    (J * K)

static uint64_t at;

static float number(void)
{
    return rng_f32(7, rng_stream(RNG_TEST, 0, 0), at++) - 0.4f;
}

/* An update: row j is what it does to output j. */
typedef double update[J][K];

static void update_of(const struct sv_batch *b, update w)
{
    for (uint32_t r = 0; r < b->n; r++) {
        struct sv_vec u = sv_vecs_get(&b->u, r), v = sv_vecs_get(&b->v, r);
        for (uint32_t i = 0; i < u.nnz; i++) {
            uint32_t j = u.idx == NULL ? i : u.idx[i];
            for (uint32_t q = 0; q < v.nnz; q++) {
                uint32_t k = v.idx == NULL ? q : v.idx[q];
                w[j][k] +=
                    (double)b->coef[r] * (double)u.val[i] * (double)v.val[q];
            }
        }
    }
}

static double norm(update w)
{
    double sum = 0;

    for (size_t j = 0; j < J; j++) {
        for (size_t k = 0; k < K; k++) {
            sum += w[j][k] * w[j][k];
        }
    }
    return sqrt(sum);
}

static double distance(update a, update b)
{
    update d;

    for (size_t j = 0; j < J; j++) {
        for (size_t k = 0; k < K; k++) {
            d[j][k] = a[j][k] - b[j][k];
        }
    }
    return norm(d);
}

/* Rotate rows @a and @b of @w, and of what @w is told in, until they are
 * orthogonal. */
static void rotate(update w, double q[J][J], size_t a, size_t b)
{
    double aa = 0, bb = 0, ab = 0, t, c, s;

    for (size_t k = 0; k < K; k++) {
        aa += w[a][k] * w[a][k];
        bb += w[b][k] * w[b][k];
        ab += w[a][k] * w[b][k];
    }
    if (fabs(ab) < 1e-300) {
        return;
    }
    t = (bb - aa) / (2 * ab);
    t = (t < 0 ? -1 : 1) / (fabs(t) + sqrt(1 + t * t));
    c = 1 / sqrt(1 + t * t);
    s = c * t;
    for (size_t k = 0; k < K; k++) {
        double x = w[a][k], y = w[b][k];
        w[a][k] = c * x - s * y;
        w[b][k] = s * x + c * y;
    }
    for (size_t j = 0; j < J; j++) {
        double x = q[a][j], y = q[b][j];
        q[a][j] = c * x - s * y;
        q[b][j] = s * x + c * y;
    }
}

/* Replace @w by its best part of rank @C. Return the norm of the rest. */
static double truncate_naive(update w, uint32_t C)
{
    double q[J][J] = {{0}}, size[J], left = 0;
    update best = {{0}};

    for (size_t j = 0; j < J; j++) {
        q[j][j] = 1;
    }
    for (int sweep = 0; sweep < 30; sweep++) {
        for (size_t a = 0; a < J; a++) {
            for (size_t b = a + 1; b < J; b++) {
                rotate(w, q, a, b);
            }
        }
    }
    for (size_t a = 0; a < J; a++) {
        size[a] = 0;
        for (size_t k = 0; k < K; k++) {
            size[a] += w[a][k] * w[a][k];
        }
    }
    for (size_t a = 0; a < J; a++) {
        uint32_t larger = 0;
        for (size_t b = 0; b < J; b++) {
            larger += size[b] > size[a] || (size[b] == size[a] && b < a);
        }
        left += larger >= C ? size[a] : 0;
        for (size_t j = 0; j < J && larger < C; j++) {
            for (size_t k = 0; k < K; k++) {
                best[j][k] += q[a][j] * w[a][k];
            }
        }
    }
    memcpy(w, best, sizeof best);
    return sqrt(left);
}

static void fill(struct sv_batch *b, uint32_t n, bool u_sparse, bool v_sparse)
{
    static const uint32_t ALL[K] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct err e;

    sv_batch_init(b, J, K);
    sv_batch_reset(b, u_sparse, v_sparse);
    b->rate = 0.125f;
    for (uint32_t r = 0; r < n; r++) {
        float u[J], v[K];
        for (size_t j = 0; j < J; j++) {
            u[j] = number();
        }
        for (size_t k = 0; k < K; k++) {
            v[k] = k % 3 == r % 3 ? number() : 0;
        }
        assert_int_equal(
            sv_batch_append(
                b, 3 * number(), (struct sv_vec){J, u_sparse ? ALL : NULL, u},
                (struct sv_vec){K, v_sparse ? ALL : NULL, v}, r, &e),
            0);
    }
}

static void select_some(const struct sv_batch *in,
                        uint32_t C,
                        uint32_t feedback,
                        struct sv_batch *carried,
                        struct sv_batch *out,
                        double *error)
{
    struct select_svd_job job = {.in = in, .C = C, .feedback = feedback};
    struct err e;

    if (select_svd(&job, carried, out, error, &e) != 0) {
        fail_msg("%s", e.msg);
    }
}

static void expect_best(uint32_t n, uint32_t C, bool u_sparse, bool v_sparse)
{
    struct sv_batch in, out;
    update want = {{0}}, got = {{0}};
    double error, left, all;

    fill(&in, n, u_sparse, v_sparse);
    sv_batch_init(&out, J, K);
    update_of(&in, want);
    all = norm(want);
    left = truncate_naive(want, C);
    select_some(&in, C, 0, NULL, &out, &error);
    update_of(&out, got);
    assert_true(out.n <= C && !out.u.sparse && !out.v.sparse);
    assert_true(out.rate == in.rate);
    assert_true(distance(want, got) < 1e-5 * all);
    assert_true(fabs(error - left / all) < 1e-6);
    sv_batch_fini(&in);
    sv_batch_fini(&out);
}

static void test_what_is_sent_is_the_best_of_its_rank(void **state)
{
    (void)state;
    for (uint32_t C = 1; C <= 12; C++) {
        expect_best(N_MAX, C, false, false);
        expect_best(6, C, true, true);
        expect_best(N_MAX, C, false, true);
        expect_best(1, C, true, false);
    }
}

static void test_vectors_are_units_and_coefs_fall(void **state)
{
    struct sv_batch in, out;
    double error;

    (void)state;
    fill(&in, N_MAX, false, false);
    sv_batch_init(&out, J, K);
    select_some(&in, 6, 0, NULL, &out, &error);
    assert_int_equal(out.n, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_true(out.sample[i] == SV_NO_SAMPLE);
        assert_true(i == 0 || out.coef[i] <= out.coef[i - 1]);
        for (uint32_t l = 0; l < 6; l++) {
            double sum = 0, want = i == l ? 1 : 0;
            for (uint32_t k = 0; k < K; k++) {
                sum += (double)out.v.val[i * out.v.ld + k] *
                       (double)out.v.val[l * out.v.ld + k];
            }
            assert_true(fabs(sum - want) < 1e-5);
        }
    }
    sv_batch_fini(&in);
    sv_batch_fini(&out);
}

/* Over a few clocks nothing is lost: what came in is what went out and what is
 * still carried. */
static void test_sent_and_carried_are_all_that_came(void **state)
{
    struct sv_batch in, out, carried;
    update came = {{0}}, went = {{0}}, both;
    double error;

    (void)state;
    sv_batch_init(&out, J, K);
    sv_batch_init(&carried, J, K);
    for (uint32_t c = 0; c < 20; c++) {
        fill(&in, 20, c % 2 == 0, c % 3 == 0);
        update_of(&in, came);
        select_some(&in, 3, J - 3, &carried, &out, &error);
        assert_int_equal(out.n, 3);
        assert_int_equal(carried.n, J - 3);
        assert_true(error > 0 && error < 1);
        update_of(&out, went);
        memcpy(both, went, sizeof both);
        update_of(&carried, both);
        assert_true(distance(both, came) < 1e-5 * norm(came));
        sv_batch_fini(&in);
    }
    sv_batch_fini(&out);
    sv_batch_fini(&carried);
}

/* With room for fewer directions, the carried are the next best ones. */
static void test_the_next_directions_are_carried(void **state)
{
    struct sv_batch in, out, carried;
    update want = {{0}}, got = {{0}};
    double error;

    (void)state;
    fill(&in, 20, false, false);
    sv_batch_init(&out, J, K);
    sv_batch_init(&carried, J, K);
    select_some(&in, 2, 3, &carried, &out, &error);
    assert_int_equal(carried.n, 3);
    update_of(&in, want);
    truncate_naive(want, 5);
    update_of(&out, got);
    update_of(&carried, got);
    assert_true(distance(want, got) < 1e-5 * norm(want));
    select_some(&in, 2, 0, &carried, &out, &error);
    assert_int_equal(carried.n, 0);
    sv_batch_fini(&in);
    sv_batch_fini(&out);
    sv_batch_fini(&carried);
}

static void test_carried_pairs_go_out_without_new_ones(void **state)
{
    struct sv_batch in, out, carried;
    update want = {{0}}, got = {{0}};
    double error;

    (void)state;
    fill(&in, 20, false, false);
    sv_batch_init(&out, J, K);
    sv_batch_init(&carried, J, K);
    select_some(&in, 2, 3, &carried, &out, &error);
    update_of(&carried, want);
    sv_batch_reset(&in, true, false);
    select_some(&in, 3, 3, &carried, &out, &error);
    update_of(&out, got);
    assert_true(distance(want, got) < 1e-5 * norm(want));
    assert_true(error < 1e-6);
    assert_int_equal(carried.n, 0);
    sv_batch_fini(&in);
    sv_batch_fini(&out);
    sv_batch_fini(&carried);
}

static void test_zeros_and_duplicates_make_fewer_pairs(void **state)
{
    struct sv_batch in, out;
    update want = {{0}}, got = {{0}};
    double error;

    (void)state;
    fill(&in, 6, false, false);
    memcpy(in.u.val + in.u.ld, in.u.val, J * sizeof(float));
    memcpy(in.v.val + in.v.ld, in.v.val, K * sizeof(float));
    memset(in.u.val + 2 * in.u.ld, 0, J * sizeof(float));
    in.coef[3] = 0;
    sv_batch_init(&out, J, K);
    select_some(&in, 6, 0, NULL, &out, &error);
    assert_int_equal(out.n, 3);
    update_of(&in, want);
    update_of(&out, got);
    assert_true(distance(want, got) < 1e-5 * norm(want));
    sv_batch_fini(&in);
    sv_batch_fini(&out);
}

static void test_no_update_makes_no_pairs(void **state)
{
    struct sv_batch in, out, carried;
    double error;

    (void)state;
    fill(&in, 5, false, true);
    sv_batch_init(&out, J, K);
    sv_batch_init(&carried, J, K);
    memset(in.coef, 0, 5 * sizeof *in.coef);
    select_some(&in, 4, 4, &carried, &out, &error);
    assert_int_equal(out.n, 0);
    assert_int_equal(carried.n, 0);
    assert_true(error == 0);
    sv_batch_reset(&in, false, false);
    select_some(&in, 4, 4, &carried, &out, &error);
    assert_int_equal(out.n, 0);
    assert_true(error == 0);
    sv_batch_fini(&in);
    sv_batch_fini(&out);
    sv_batch_fini(&carried);
}

/* Sizes that a Gram matrix in float would lose. */
static void test_pairs_of_all_sizes_count(void **state)
{
    static const float SIZES[] = {1, 1e-3f, 1e6f, 1e-7f, 30};
    struct sv_batch in, out;
    update want = {{0}}, got = {{0}};
    double error;

    (void)state;
    fill(&in, 5, false, false);
    for (uint32_t r = 0; r < 5; r++) {
        for (uint32_t j = 0; j < J; j++) {
            in.u.val[r * in.u.ld + j] *= SIZES[r];
        }
        for (uint32_t k = 0; k < K; k++) {
            in.v.val[r * in.v.ld + k] /= SIZES[r];
        }
    }
    sv_batch_init(&out, J, K);
    select_some(&in, 5, 0, NULL, &out, &error);
    update_of(&in, want);
    update_of(&out, got);
    assert_true(distance(want, got) < 1e-5 * norm(want));
    sv_batch_fini(&in);
    sv_batch_fini(&out);
}

static void test_what_is_carried_survives_a_failure(void **state)
{
    struct sv_batch in, out, carried;
    struct select_svd_job job = {.in = &in, .C = 2, .feedback = 2};
    update before = {{0}}, after = {{0}};
    struct err e;
    double error;

    (void)state;
    fill(&in, 5, false, false);
    sv_batch_init(&out, J, K);
    sv_batch_init(&carried, J, K);
    select_some(&in, 2, 2, &carried, &out, &error);
    update_of(&carried, before);
    in.v.val[3] = INFINITY;
    assert_int_equal(select_svd(&job, &carried, &out, &error, &e),
                     ERR_NOT_FINITE);
    update_of(&carried, after);
    assert_memory_equal(before, after, sizeof before);
    sv_batch_fini(&in);
    sv_batch_fini(&out);
    sv_batch_fini(&carried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sent_is_the_best_of_its_rank),
        cmocka_unit_test(test_vectors_are_units_and_coefs_fall),
        cmocka_unit_test(test_sent_and_carried_are_all_that_came),
        cmocka_unit_test(test_the_next_directions_are_carried),
        cmocka_unit_test(test_carried_pairs_go_out_without_new_ones),
        cmocka_unit_test(test_zeros_and_duplicates_make_fewer_pairs),
        cmocka_unit_test(test_no_update_makes_no_pairs),
        cmocka_unit_test(test_pairs_of_all_sizes_count),
        cmocka_unit_test(test_what_is_carried_survives_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
