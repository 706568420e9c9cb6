/* Unit tests of ps/vclock.h. */

#include <string.h>

#include "core/rng.h"
#include "ps/vclock.h"
#include "tests/support/test.h"

static void test_pushes_in_order_move_next(void **state)
{
    struct ps_vclock c;

    (void)state;
    ps_vclock_init(&c);
    assert_int_equal(ps_vclock_next(&c, 3), 0);
    for (uint64_t t = 0; t < 10; t++) {
        assert_false(ps_vclock_has(&c, 3, t));
        assert_int_equal(ps_vclock_add(&c, 3, t, t), 0);
        assert_true(ps_vclock_has(&c, 3, t));
        assert_int_equal(ps_vclock_next(&c, 3), t + 1);
    }
    assert_false(ps_vclock_has(&c, 2, 0));
    assert_int_equal(c.origins[0].n_spans, 0);
    ps_vclock_fini(&c);
}

static void test_gaps_are_kept_until_they_are_filled(void **state)
{
    struct ps_vclock c;

    (void)state;
    ps_vclock_init(&c);
    assert_int_equal(ps_vclock_add(&c, 1, 5, 7), 0); /* 5 and 6 are empty. */
    assert_int_equal(ps_vclock_add(&c, 1, 2, 2), 0);
    assert_int_equal(ps_vclock_next(&c, 1), 0);
    assert_true(ps_vclock_has(&c, 1, 6));
    assert_false(ps_vclock_has(&c, 1, 3));
    assert_int_equal(ps_vclock_add(&c, 1, 0, 1), 0);
    assert_int_equal(ps_vclock_next(&c, 1), 3);
    assert_int_equal(ps_vclock_add(&c, 1, 3, 4), 0);
    assert_int_equal(ps_vclock_next(&c, 1), 8);
    assert_int_equal(c.origins[0].n_spans, 0);
    ps_vclock_fini(&c);
}

static void test_too_many_gaps_are_refused_and_change_nothing(void **state)
{
    struct ps_vclock c;

    (void)state;
    ps_vclock_init(&c);
    for (uint64_t i = 0; i < PS_VCLOCK_SPANS_MAX; i++) {
        assert_int_equal(ps_vclock_add(&c, 0, 2 * i + 1, 2 * i + 1), 0);
    }
    assert_int_equal(ps_vclock_add(&c, 0, 1001, 1001), ERR_FULL);
    assert_false(ps_vclock_has(&c, 0, 1001));
    /* One that joins two spans has room, and so has one at the bottom. */
    assert_int_equal(ps_vclock_add(&c, 0, 2, 2), 0);
    assert_int_equal(ps_vclock_add(&c, 0, 1001, 1001), 0);
    assert_int_equal(ps_vclock_add(&c, 0, 0, 0), 0);
    assert_int_equal(ps_vclock_next(&c, 0), 4);
    ps_vclock_fini(&c);
}

static void test_raising_passes_over_spans(void **state)
{
    struct ps_vclock c;

    (void)state;
    ps_vclock_init(&c);
    ps_vclock_add(&c, 0, 4, 4);
    ps_vclock_add(&c, 0, 9, 9);
    assert_int_equal(ps_vclock_raise(&c, 0, 3), 0);
    assert_int_equal(ps_vclock_next(&c, 0), 3);
    assert_int_equal(ps_vclock_raise(&c, 0, 4), 0);
    assert_int_equal(ps_vclock_next(&c, 0), 5);
    assert_int_equal(ps_vclock_raise(&c, 0, 2), 0);
    assert_int_equal(ps_vclock_next(&c, 0), 5);
    assert_int_equal(ps_vclock_raise(&c, 0, 100), 0);
    assert_int_equal(ps_vclock_next(&c, 0), 100);
    ps_vclock_fini(&c);
}

/* Against a table of bits, whatever the order in which times come. */
static void test_any_order_gives_what_a_table_gives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        uint64_t stream = rng_stream(RNG_TEST, seed, 0);
        bool table[100] = {false};
        struct ps_vclock c;
        uint64_t next = 0;
        ps_vclock_init(&c);
        for (uint64_t i = 0; i < 100; i++) {
            uint64_t t = rng_permute(seed, stream, 100, i);
            for (uint64_t u = 0; u < 100; u++) {
                assert_int_equal(ps_vclock_has(&c, 0, u), table[u]);
            }
            assert_int_equal(ps_vclock_add(&c, 0, t, t), 0);
            table[t] = true;
            while (next < 100 && table[next]) {
                next++;
            }
            assert_int_equal(ps_vclock_next(&c, 0), next);
        }
        ps_vclock_fini(&c);
    }
}

static void make_some(struct ps_vclock *c)
{
    ps_vclock_init(c);
    ps_vclock_add(c, 9, 0, 1ull << 40);
    ps_vclock_add(c, 2, 3, 5);
    ps_vclock_add(c, 2, 7, 7);
    ps_vclock_raise(c, 5, 0);
}

static void test_what_is_encoded_comes_back(void **state)
{
    struct ps_vclock c, d, f;
    struct buf b, again;
    const uint8_t *p;

    (void)state;
    make_some(&c);
    buf_init(&b);
    buf_init(&again);
    ps_vclock_init(&d);
    ps_vclock_init(&f);
    ps_vclock_encode(&c, &b);
    p = b.data;
    assert_int_equal(ps_vclock_decode(&d, &p, b.data + b.size, NULL), 0);
    assert_ptr_equal(p, b.data + b.size);
    assert_int_equal(ps_vclock_copy(&f, &d), 0);
    ps_vclock_encode(&f, &again);
    assert_int_equal(again.size, b.size);
    assert_memory_equal(again.data, b.data, b.size);
    ps_vclock_fini(&c);
    ps_vclock_fini(&d);
    ps_vclock_fini(&f);
    buf_fini(&b);
    buf_fini(&again);
}

static void test_what_is_cut_or_out_of_order_is_refused(void **state)
{
    const uint8_t bad[][8] = {
        {2, 5, 0, 0, 5, 0, 0},    /* An origin twice. */
        {1, 0, 0, 1, 0, 1},       /* A span that touches next. */
        {1, 0, 0, 1, 1, 0},       /* A span of nothing. */
        {1, 0, 0, 65},            /* Too many spans. */
        {1, 0x80, 0x08, 0, 0},    /* Origin 1024. */
        {0x81, 0x08, 0, 0, 0, 0}, /* 1025 origins. */
    };
    struct ps_vclock c, d;
    struct buf b;

    (void)state;
    make_some(&c);
    buf_init(&b);
    ps_vclock_encode(&c, &b);
    ps_vclock_init(&d);
    for (size_t size = 0; size < b.size; size++) {
        const uint8_t *p = b.data;
        assert_int_equal(ps_vclock_decode(&d, &p, b.data + size, NULL),
                         ERR_CORRUPT);
        assert_int_equal(d.n_origins, 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const uint8_t *p = bad[i];
        assert_int_equal(ps_vclock_decode(&d, &p, bad[i] + 8, NULL),
                         ERR_CORRUPT);
    }
    ps_vclock_fini(&c);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pushes_in_order_move_next),
        cmocka_unit_test(test_gaps_are_kept_until_they_are_filled),
        cmocka_unit_test(test_too_many_gaps_are_refused_and_change_nothing),
        cmocka_unit_test(test_raising_passes_over_spans),
        cmocka_unit_test(test_any_order_gives_what_a_table_gives),
        cmocka_unit_test(test_what_is_encoded_comes_back),
        cmocka_unit_test(test_what_is_cut_or_out_of_order_is_refused),
    };
    return cmocka_run_group_tests_name("ps_vclock", tests, NULL, NULL);
}
