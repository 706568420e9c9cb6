/* Unit tests of ps/values.h. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ps/values.h"
#include "tests/support/test.h"

static struct ps_values list(uint32_t n, const uint32_t *index, const float *x)
{
    struct ps_values v;

    assert_int_equal(ps_values_init(&v, 0, n, x), 0);
    v.index = malloc(n * sizeof *index);
    memcpy(v.index, index, n * sizeof *index);
    return v;
}

static int decode(struct ps_values *v,
                  const struct buf *b,
                  uint32_t length,
                  struct ps_keys *keys)
{
    const uint8_t *p = b->data;
    int rc = ps_values_decode(v, &p, b->data + b->size, length, keys, NULL);

    assert_true(rc != 0 || p == b->data + b->size);
    return rc;
}

static void assert_same(const struct ps_values *a, const struct ps_values *b)
{
    assert_int_equal(a->n, b->n);
    for (uint32_t i = 0; i < a->n; i++) {
        assert_int_equal(ps_values_key(a, i), ps_values_key(b, i));
        assert_memory_equal(&a->val[i], &b->val[i], sizeof(float));
    }
}

static const float X[] = {1.5f, -0.0f, 1e-40f, 3};
static const uint32_t GAPS[] = {2, 3, 300, 70000};
static const uint32_t ROW[] = {7, 8, 9, 10};

static void test_rows_and_lists_come_back_with_the_same_bits(void **state)
{
    struct ps_values v[4], w;

    (void)state;
    ps_values_init(&v[0], 5, 4, X);
    ps_values_init(&v[1], 0, 0, X);
    v[2] = list(4, GAPS, X);
    v[3] = list(4, ROW, X);
    for (int i = 0; i < 4; i++) {
        struct buf b;
        buf_init(&b);
        ps_values_encode(&v[i], false, &b);
        assert_int_equal(decode(&w, &b, 70001, NULL), 0);
        assert_same(&v[i], &w);
        assert_true((w.index == NULL) == (i != 2)); /* ROW has no gaps. */
        ps_values_fini(&w);
        ps_values_fini(&v[i]);
        buf_fini(&b);
    }
}

static void test_known_keys_come_from_what_was_sent_before(void **state)
{
    struct ps_keys *keys = malloc(sizeof *keys);
    struct ps_values v = list(4, GAPS, X), w;
    struct buf whole, known;

    (void)state;
    ps_keys_init(keys);
    buf_init(&whole);
    buf_init(&known);
    ps_values_encode(&v, false, &whole);
    ps_values_encode(&v, true, &known);
    assert_int_equal(decode(&w, &known, 70001, keys), ERR_NOT_FOUND);
    assert_int_equal(decode(&w, &known, 70001, NULL), ERR_NOT_FOUND);
    assert_int_equal(decode(&w, &whole, 70001, keys), 0);
    ps_values_fini(&w);
    assert_int_equal(decode(&w, &known, 70001, keys), 0);
    assert_same(&v, &w);
    ps_values_fini(&w);
    /* A shorter range, though the list is known. */
    assert_int_equal(decode(&w, &known, 70000, keys), ERR_NOT_FOUND);
    ps_values_fini(&v);
    buf_fini(&whole);
    buf_fini(&known);
    ps_keys_fini(keys);
    free(keys);
}

static void test_every_cut_of_the_bytes_is_refused(void **state)
{
    struct ps_values v[2], w;

    (void)state;
    ps_values_init(&v[0], 5, 4, X);
    v[1] = list(4, GAPS, X);
    for (int i = 0; i < 2; i++) {
        struct buf b;
        buf_init(&b);
        ps_values_encode(&v[i], false, &b);
        for (size_t size = b.size; size-- > 0;) {
            b.size = size;
            assert_int_equal(decode(&w, &b, 70001, NULL), ERR_CORRUPT);
        }
        buf_fini(&b);
        ps_values_fini(&v[i]);
    }
}

static void
test_keys_outside_and_numbers_that_are_none_are_refused(void **state)
{
    const float nan[] = {1, NAN, 1, 1};
    struct ps_values v, w;
    struct buf b;

    (void)state;
    buf_init(&b);
    ps_values_init(&v, 5, 4, X);
    ps_values_encode(&v, false, &b);
    assert_int_equal(decode(&w, &b, 9, NULL), 0);
    ps_values_fini(&w);
    assert_int_equal(decode(&w, &b, 8, NULL), ERR_CORRUPT);
    assert_int_equal(decode(&w, &b, 4, NULL), ERR_CORRUPT);
    ps_values_fini(&v);
    v = list(4, GAPS, X);
    buf_reset(&b);
    ps_values_encode(&v, false, &b);
    assert_int_equal(decode(&w, &b, 70000, NULL), ERR_CORRUPT);
    ps_values_fini(&v);
    ps_values_init(&v, 0, 4, nan);
    buf_reset(&b);
    ps_values_encode(&v, false, &b);
    assert_int_equal(decode(&w, &b, 70000, NULL), ERR_NOT_FINITE);
    ps_values_fini(&v);
    buf_fini(&b);
}

static void test_a_cut_counts_keys_from_its_begin(void **state)
{
    struct ps_values v, w;

    (void)state;
    v = list(4, GAPS, X);
    assert_int_equal(ps_values_cut(&w, &v, 3, 300), 0);
    assert_int_equal(w.n, 2);
    assert_true(w.index[0] == 0 && w.index[1] == 297 && w.val[1] == 1e-40f);
    ps_values_fini(&w);
    assert_int_equal(ps_values_cut(&w, &v, 4, 296), 0);
    assert_int_equal(w.n, 0);
    ps_values_fini(&w);
    ps_values_fini(&v);
    ps_values_init(&v, 5, 4, X);
    assert_int_equal(ps_values_cut(&w, &v, 4, 3), 0);
    assert_true(w.first == 1 && w.n == 2 && w.val[0] == 1.5f);
    ps_values_fini(&w);
    assert_int_equal(ps_values_cut(&w, &v, 7, UINT32_MAX), 0);
    assert_true(w.first == 0 && w.n == 2 && w.val[1] == 3);
    ps_values_fini(&w);
    ps_values_fini(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_lists_come_back_with_the_same_bits),
        cmocka_unit_test(test_known_keys_come_from_what_was_sent_before),
        cmocka_unit_test(test_every_cut_of_the_bytes_is_refused),
        cmocka_unit_test(
            test_keys_outside_and_numbers_that_are_none_are_refused),
        cmocka_unit_test(test_a_cut_counts_keys_from_its_begin),
    };
    return cmocka_run_group_tests_name("ps_values", tests, NULL, NULL);
}
