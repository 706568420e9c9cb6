/* Unit tests of core/buf.h. */

#include <string.h>

#include "core/buf.h"
#include "tests/support/test.h"

static void test_appending_keeps_what_was_there(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b);
    for (uint32_t i = 0; i < 1000; i++) {
        buf_put_u32(&b, i);
        buf_put_u64(&b, (uint64_t)i << 40);
    }
    buf_put(&b, NULL, 0);
    assert_false(b.failed);
    assert_int_equal(b.size, 12000);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(le_u32(b.data + 12 * i), i);
        assert_int_equal(le_u64(b.data + 12 * i + 4), (uint64_t)i << 40);
    }
    buf_reset(&b);
    assert_int_equal(b.size, 0);
    assert_true(b.room >= 12000);
    buf_fini(&b);
}

static void test_failure_sticks_until_reset(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b);
    buf_put_u32(&b, 1);
    assert_null(buf_add(&b, SIZE_MAX / 2));
    assert_true(b.failed);
    assert_null(buf_add(&b, SIZE_MAX));
    buf_put(&b,
            "more than fits into what was allocated before, and then some"
            "more than fits into what was allocated before, and then some",
            120);
    assert_true(b.failed);
    assert_int_equal(b.size, 4);
    buf_reset(&b);
    assert_false(b.failed);
    buf_put_u32(&b, 2);
    assert_int_equal(le_u32(b.data), 2);
    buf_fini(&b);
}

static void test_integers_are_little_endian(void **state)
{
    uint8_t x[8];

    (void)state;
    le_put_u64(x, 0x0807060504030201u);
    for (uint8_t i = 0; i < 8; i++) {
        assert_int_equal(x[i], i + 1);
    }
    assert_int_equal(le_u16(x), 0x0201);
    assert_int_equal(le_u32(x + 4), 0x08070605);
    le_put_f32(x, -1.5f);
    assert_int_equal(x[3], 0xbf);
    assert_true(le_f32(x) == -1.5f);
}

static void test_varints_come_back(void **state)
{
    struct buf b;
    const uint8_t *p;
    uint64_t got;

    (void)state;
    buf_init(&b);
    for (unsigned shift = 0; shift < 64; shift++) {
        buf_put_varint(&b, ((uint64_t)1 << shift) - 1);
        buf_put_varint(&b, (uint64_t)1 << shift);
    }
    buf_put_varint(&b, UINT64_MAX);
    p = b.data;
    for (unsigned shift = 0; shift < 64; shift++) {
        assert_true(buf_get_varint(&p, b.data + b.size, &got));
        assert_int_equal(got, ((uint64_t)1 << shift) - 1);
        assert_true(buf_get_varint(&p, b.data + b.size, &got));
        assert_int_equal(got, (uint64_t)1 << shift);
    }
    assert_true(buf_get_varint(&p, b.data + b.size, &got));
    assert_true(got == UINT64_MAX);
    assert_ptr_equal(p, b.data + b.size);
    assert_false(buf_get_varint(&p, b.data + b.size, &got));
    buf_fini(&b);
}

static void test_varints_that_do_not_end_are_refused(void **state)
{
    static const uint8_t LONG[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0x02, 0x00};
    const uint8_t *p = LONG;
    uint64_t got = 5;

    (void)state;
    assert_false(buf_get_varint(&p, LONG + sizeof LONG, &got)); /* 65 bits. */
    assert_false(buf_get_varint(&p, LONG + 3, &got));
    assert_false(buf_get_varint(&p, LONG, &got));
    assert_ptr_equal(p, LONG);
    assert_int_equal(got, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appending_keeps_what_was_there),
        cmocka_unit_test(test_failure_sticks_until_reset),
        cmocka_unit_test(test_integers_are_little_endian),
        cmocka_unit_test(test_varints_come_back),
        cmocka_unit_test(test_varints_that_do_not_end_are_refused),
    };
    return cmocka_run_group_tests_name("core_buf", tests, NULL, NULL);
}
