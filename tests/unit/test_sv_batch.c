/* Unit tests of sv/batch.h. */

#include <math.h>
#include <string.h>

#include "core/mat.h"
#include "core/rng.h"
#include "sv/batch.h"
#include "tests/support/test.h"

#define J 5
#define K 21

/* A request for more memory than there is should fail, not end the test, when
 * an address sanitizer looks for this function. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static float number(uint32_t i)
{
    return rng_f32(1, rng_stream(RNG_TEST, 0, 0), i) - 0.5f;
}

/* Pair @i: its vectors depend on nothing else. */
static void append(struct sv_batch *b, uint32_t i)
{
    uint32_t u_idx[J], v_idx[K];
    float u_val[J], v_val[K];
    struct sv_vec u = {.nnz = J, .val = u_val}, v = {.nnz = K, .val = v_val};
    struct err e;

    for (uint32_t q = 0; q < J; q++) {
        u_val[q] = number(i * J + q);
        u_idx[q] = q;
    }
    for (uint32_t q = 0; q < K; q++) {
        v_val[q] = number(i * K + q);
        v_idx[q] = q;
    }
    if (b->u.sparse) {
        u.nnz = i % (J + 1);
        u.idx = u_idx;
    }
    if (b->v.sparse) {
        v.nnz = i % (K + 1);
        v.idx = v_idx;
    }
    assert_int_equal(sv_batch_append(b, number(i), u, v, i, &e), 0);
}

static void check_vec(const struct sv_vecs *x, uint32_t r, uint32_t i)
{
    struct sv_vec a = sv_vecs_get(x, r);

    assert_int_equal(a.nnz, x->sparse ? i % (x->len + 1) : x->len);
    assert_true((a.idx != NULL) == x->sparse || a.nnz == 0);
    for (uint32_t q = 0; q < a.nnz; q++) {
        assert_true(a.val[q] == number(i * x->len + q));
        assert_true(!x->sparse || a.idx[q] == q);
    }
    for (uint32_t q = x->len; q < x->ld && !x->sparse; q++) {
        assert_true(a.val[q] == 0 && !signbit(a.val[q]));
    }
}

/* Pair @r of the batch is pair @i. */
static void check_pair(const struct sv_batch *b, uint32_t r, uint32_t i)
{
    assert_true(b->coef[r] == number(i));
    assert_int_equal(b->sample[r], i);
    check_vec(&b->u, r, i);
    check_vec(&b->v, r, i);
}

static void test_what_was_appended_can_be_got(void **state)
{
    struct sv_batch b;

    (void)state;
    sv_batch_init(&b, J, K);
    for (unsigned form = 0; form < 8; form++) {
        sv_batch_reset(&b, form & 1, form & 2);
        for (uint32_t i = 0; i < 100; i++) {
            append(&b, i);
        }
        assert_int_equal(b.n, 100);
        assert_int_equal(b.u.n, 100);
        for (uint32_t i = 0; i < 100; i++) {
            check_pair(&b, i, i);
        }
    }
    sv_batch_fini(&b);
}

static void test_dense_vectors_start_on_cache_lines(void **state)
{
    struct sv_batch b;

    (void)state;
    sv_batch_init(&b, J, K);
    sv_batch_reset(&b, false, false);
    append(&b, 0);
    append(&b, 1);
    assert_int_equal(b.v.ld, mat_ld(K));
    assert_int_equal((uintptr_t)sv_vecs_get(&b.u, 1).val % 64, 0);
    assert_int_equal((uintptr_t)sv_vecs_get(&b.v, 1).val % 64, 0);
    sv_batch_fini(&b);
}

static void test_pieces_join_in_order(void **state)
{
    (void)state;
    for (unsigned form = 0; form < 4; form++) {
        struct sv_batch a, b, c;
        struct err e;
        sv_batch_init(&a, J, K);
        sv_batch_init(&b, J, K);
        sv_batch_init(&c, J, K);
        sv_batch_reset(&a, form & 1, form & 2);
        sv_batch_reset(&b, form & 1, form & 2);
        sv_batch_reset(&c, form & 1, form & 2);
        for (uint32_t i = 0; i < 30; i++) {
            append(i < 13 ? &a : &b, i);
        }
        assert_int_equal(sv_batch_concat(&a, &c, &e), 0);
        assert_int_equal(sv_batch_concat(&a, &b, &e), 0);
        assert_int_equal(a.n, 30);
        for (uint32_t i = 0; i < 30; i++) {
            check_pair(&a, i, i);
        }
        sv_batch_fini(&a);
        sv_batch_fini(&b);
        sv_batch_fini(&c);
    }
}

static void test_reset_keeps_memory(void **state)
{
    struct sv_batch b;
    const float *val;

    (void)state;
    sv_batch_init(&b, J, K);
    sv_batch_reset(&b, true, true);
    for (uint32_t i = 0; i < 50; i++) {
        append(&b, i);
    }
    val = b.v.val;
    sv_batch_reset(&b, true, true);
    assert_int_equal(b.n, 0);
    assert_int_equal(sv_vecs_entries(&b.v), 0);
    for (uint32_t i = 0; i < 50; i++) {
        append(&b, i);
    }
    assert_ptr_equal(b.v.val, val);
    sv_batch_fini(&b);
}

static void test_resize_clears_dense_vectors(void **state)
{
    struct sv_batch b;
    struct err e;

    (void)state;
    sv_batch_init(&b, J, K);
    sv_batch_reset(&b, false, true);
    append(&b, 4);
    assert_int_equal(sv_batch_resize(&b, 3, &e), 0);
    assert_int_equal(sv_vecs_resize(&b.u, 3, 0, &e), 0);
    assert_int_equal(sv_vecs_resize(&b.v, 3, 7, &e), 0);
    assert_int_equal(b.sample[2], SV_NO_SAMPLE);
    assert_int_equal(b.v.ptr[0], 0);
    assert_int_equal(b.v.ptr[3], 7);
    assert_int_equal(sv_vecs_entries(&b.v), 7);
    assert_int_equal(sv_vecs_entries(&b.u), 3 * J);
    for (size_t i = 0; i < 3 * b.u.ld; i++) {
        assert_true(b.u.val[i] == 0);
    }
    sv_batch_fini(&b);
}

static void test_too_much_is_refused_and_changes_nothing(void **state)
{
    struct sv_batch b, huge;
    struct err e;

    (void)state;
    sv_batch_init(&b, J, K);
    sv_batch_reset(&b, true, true);
    append(&b, 3);
    assert_int_equal(sv_batch_resize(&b, SV_N_MAX + 1, &e), ERR_FULL);
    assert_int_equal(sv_vecs_resize(&b.v, 1, (size_t)UINT32_MAX + 1, &e),
                     ERR_FULL);
    assert_string_equal(e.msg, "batch of 4294967296 entries: 2^32 - 1 fit");
    sv_batch_fini(&b);

    sv_batch_init(&huge, SV_LEN_MAX, K);
    sv_batch_reset(&huge, false, true);
    assert_int_equal(sv_vecs_resize(&huge.u, SV_N_MAX, 0, &e), ERR_NOMEM);
    assert_int_equal(huge.u.n, 0);
    sv_batch_fini(&huge);
}

static void test_scaling_rounds_each_coef_once(void **state)
{
    struct sv_batch b, before;

    (void)state;
    sv_batch_init(&b, J, K);
    sv_batch_init(&before, J, K);
    sv_batch_reset(&b, false, true);
    sv_batch_reset(&before, false, true);
    for (uint32_t i = 1; i < 20; i++) {
        append(&b, i);
        append(&before, i);
    }
    sv_batch_scale(&b, 1.7f);
    for (uint32_t r = 0; r < b.n; r++) {
        double exact = (double)before.coef[r] * (double)1.7f;
        assert_true(b.coef[r] == (float)exact);
        assert_memory_equal(sv_vecs_get(&b.u, r).val,
                            sv_vecs_get(&before.u, r).val, J * sizeof(float));
    }
    sv_batch_fini(&b);
    sv_batch_fini(&before);
}

static void test_the_first_pair_that_is_not_finite_is_found(void **state)
{
    static const float BAD[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    for (unsigned form = 0; form < 4; form++) {
        for (unsigned bad = 0; bad < 9; bad++) {
            struct sv_batch b;
            float *at;
            sv_batch_init(&b, J, K);
            sv_batch_reset(&b, form & 1, form & 2);
            for (uint32_t i = 1; i < 20; i++) {
                append(&b, i);
            }
            assert_int_equal(sv_batch_find_not_finite(&b), b.n);
            at = bad / 3 == 0   ? &b.coef[9]
                 : bad / 3 == 1 ? (float *)sv_vecs_get(&b.u, 9).val + 2
                                : (float *)sv_vecs_get(&b.v, 9).val + 5;
            *at = BAD[bad % 3];
            assert_int_equal(sv_batch_find_not_finite(&b), 9);
            sv_batch_fini(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_appended_can_be_got),
        cmocka_unit_test(test_dense_vectors_start_on_cache_lines),
        cmocka_unit_test(test_pieces_join_in_order),
        cmocka_unit_test(test_reset_keeps_memory),
        cmocka_unit_test(test_resize_clears_dense_vectors),
        cmocka_unit_test(test_too_much_is_refused_and_changes_nothing),
        cmocka_unit_test(test_scaling_rounds_each_coef_once),
        cmocka_unit_test(test_the_first_pair_that_is_not_finite_is_found),
    };
    return cmocka_run_group_tests_name("sv_batch", tests, NULL, NULL);
}
