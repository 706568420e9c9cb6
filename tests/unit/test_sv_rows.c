/* Unit tests of sv/rows.h. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/rng.h"
#include "sv/rows.h"
#include "tests/support/test.h"

static const struct sv_record KEY = {.view = 3,
                                     .origin = 7,
                                     .clock = 1000,
                                     .matrix = 2,
                                     .sequence = 41};

static float number(uint64_t i)
{
    return rng_f32(5, rng_stream(RNG_TEST, 0, 0), i) - 0.3f;
}

static void fill(struct sv_row_block *b, uint32_t first, uint32_t n, uint32_t w)
{
    sv_rows_init(b);
    assert_int_equal(sv_rows_resize(b, first, n, w, NULL), 0);
    for (uint32_t i = 0; i < n * w; i++) {
        b->values[i] = i % 7 == 0 ? -0.0f : number(i);
    }
}

static void test_a_block_comes_back_as_it_was(void **state)
{
    struct sv_row_block b, back;
    struct sv_record r;
    struct buf out;

    (void)state;
    buf_init(&out);
    sv_rows_init(&back);
    fill(&b, 12, 5, 9);
    buf_put(&out, "x", 1); /* The record may lie anywhere. */
    assert_int_equal(sv_rows_encode(&out, &KEY, &b, NULL), 0);
    assert_int_equal(out.size, 1 + SV_RECORD_SIZE + 16 + 5 * 9 * 4);
    assert_int_equal(
        sv_rows_decode(&back, &r, out.data + 1, out.size - 1, NULL), 0);
    assert_int_equal(r.kind, SV_RECORD_ROWS);
    assert_int_equal(r.origin, 7);
    assert_int_equal(r.clock, 1000);
    assert_int_equal(r.matrix, 2);
    assert_int_equal(r.sequence, 41);
    assert_int_equal(back.first, 12);
    assert_int_equal(back.n, 5);
    assert_int_equal(back.width, 9);
    assert_memory_equal(back.values, b.values, 5 * 9 * sizeof(float));
    sv_rows_fini(&b);
    sv_rows_fini(&back);
    buf_fini(&out);
}

/* Put the right checksum, so that what is wrong is the payload. */
static void seal(struct buf *b)
{
    le_put_u64(b->data + 56, hash64_two(b->data, 56, b->data + SV_RECORD_SIZE,
                                        b->size - SV_RECORD_SIZE));
}

static void expect_corrupt(size_t offset, uint32_t value, const char *why)
{
    struct sv_row_block b, back;
    struct sv_record r;
    struct buf out;
    struct err e;

    buf_init(&out);
    sv_rows_init(&back);
    fill(&b, 1, 2, 3);
    assert_int_equal(sv_rows_encode(&out, &KEY, &b, NULL), 0);
    le_put_u32(out.data + SV_RECORD_SIZE + offset, value);
    seal(&out);
    assert_int_equal(sv_rows_decode(&back, &r, out.data, out.size, &e),
                     ERR_CORRUPT);
    assert_string_equal(e.msg, why);
    assert_null(back.values);
    sv_rows_fini(&b);
    buf_fini(&out);
}

static void test_a_payload_that_is_not_a_block_is_refused(void **state)
{
    (void)state;
    expect_corrupt(0, 1, "rows: unknown form 0x1");
    expect_corrupt(0, 0x100, "rows: unknown form 0x100");
    expect_corrupt(4, 1u << 30,
                   "rows: 2 of 3 floats from row 1073741824 on, in 40 bytes");
    expect_corrupt(8, 0, "rows: 0 of 3 floats from row 1 on, in 40 bytes");
    expect_corrupt(8, 3, "rows: 3 of 3 floats from row 1 on, in 40 bytes");
    expect_corrupt(12, 0, "rows: 2 of 0 floats from row 1 on, in 40 bytes");
    expect_corrupt(12, UINT32_MAX,
                   "rows: 2 of 4294967295 floats from row 1 on, in 40 bytes");
}

static void test_any_changed_or_missing_byte_is_noticed(void **state)
{
    struct sv_row_block b, back;
    struct sv_record r;
    struct buf out;

    (void)state;
    buf_init(&out);
    sv_rows_init(&back);
    fill(&b, 0, 3, 5);
    assert_int_equal(sv_rows_encode(&out, &KEY, &b, NULL), 0);
    for (size_t i = 0; i < out.size; i++) {
        assert_int_equal(sv_rows_decode(&back, &r, out.data, i, NULL),
                         ERR_AGAIN);
        out.data[i] ^= 4;
        assert_true(sv_rows_decode(&back, &r, out.data, out.size, NULL) < 0);
        out.data[i] ^= 4;
    }
    assert_null(back.values);
    sv_rows_fini(&b);
    buf_fini(&out);
}

static void test_a_record_of_another_kind_is_no_block(void **state)
{
    struct sv_record r = KEY;
    struct sv_row_block back;
    struct buf out;
    struct err e;

    (void)state;
    buf_init(&out);
    sv_rows_init(&back);
    r.kind = SV_RECORD_STEP;
    assert_int_equal(sv_record_write(&out, &r, "0123456789abcdef0123", 20, &e),
                     0);
    assert_int_equal(sv_rows_decode(&back, &r, out.data, out.size, &e),
                     ERR_CORRUPT);
    assert_string_equal(e.msg, "rows: a record of kind 3");
    out.data[5] = SV_RECORD_ROWS;
    out.size = SV_RECORD_SIZE + 12; /* Not even a head. */
    le_put_u32(out.data + 48, 12);
    le_put_u32(out.data + 52, 12);
    seal(&out);
    assert_int_equal(sv_rows_decode(&back, &r, out.data, out.size, &e),
                     ERR_CORRUPT);
    assert_string_equal(e.msg, "rows: 12 bytes");
    buf_fini(&out);
}

/* Add the difference of another's rows to a copy: W, aux and h are the other's,
 * as far as rounding lets them. */
static void
test_rows_are_those_of_a_state_with_all_that_its_rule_has(void **state)
{
    static const uint32_t WIDTHS[SV_RULE_COUNT] = {19, 38, 20, 38};

    (void)state;
    for (unsigned rule = 0; rule < SV_RULE_COUNT; rule++) {
        struct sv_state s;
        struct sv_row_block b;
        struct sv_op op = {.kind = SV_OP_MIX, .rows = &b};
        struct sv_apply *x = sv_apply_create();
        float read[6 * 38];
        assert_int_equal(
            sv_state_init(&s, (enum sv_rule)rule, 1e-6f, 6, 19, NULL), 0);
        assert_int_equal(sv_rows_width(&s), WIDTHS[rule]);
        fill(&b, 2, 3, WIDTHS[rule]);
        for (uint32_t i = 0; i < 3 * b.width; i++) {
            b.values[i] = fabsf(b.values[i]);
        }
        assert_true(sv_rows_fit(&b, &s));
        assert_int_equal(sv_apply_ops(x, &s, &op, 1, NULL, NULL), 0);
        sv_rows_copy(read, &s, 0, 6);
        assert_memory_equal(read + 2 * b.width, b.values,
                            3 * b.width * sizeof *read);
        for (uint32_t i = 0; i < b.width; i++) {
            assert_true(read[i] == 0 && read[5 * b.width + i] == 0);
        }
        b.first = 4;
        assert_false(sv_rows_fit(&b, &s));
        b.first = 2;
        b.width++;
        assert_false(sv_rows_fit(&b, &s));
        sv_apply_destroy(x);
        sv_rows_fini(&b);
        sv_state_fini(&s);
    }
}

/* Parts p are what h was, results r are not below 0, and h has grown since: h +
 * (r - p) is not below 0, however it is rounded. */
static void test_h_is_never_below_zero_after_a_difference_is_added(void **state)
{
    const uint64_t stream = rng_stream(RNG_TEST, 9, 0);

    (void)state;
    for (uint64_t i = 0; i < 300000; i += 3) {
        int scale = (int)rng_below(3, stream, i, 60) - 30;
        float part = ldexpf(rng_f32(1, stream, i), scale);
        float result = ldexpf(rng_f32(1, stream, i + 1),
                              (int)rng_below(4, stream, i, 60) - 40);
        float grown =
            i % 2 == 0 ? 0 : ldexpf(rng_f32(1, stream, i + 2), scale - 24);
        struct sv_state s;
        struct sv_row_block b;
        struct sv_op op = {.kind = SV_OP_MIX, .rows = &b};
        if (i % 9 == 0) {
            result = 0;
        }
        sv_rows_init(&b);
        assert_int_equal(sv_rows_resize(&b, 0, 1, 2, NULL), 0);
        assert_int_equal(sv_state_init(&s, SV_ROWGRAD, 1e-6f, 1, 1, NULL), 0);
        s.h[0] = part + grown;
        b.values[0] = 0;
        b.values[1] = result - part;
        sv_apply_naive(&s, &op, 1);
        assert_true(s.h[0] >= 0);
        sv_rows_fini(&b);
        sv_state_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_block_comes_back_as_it_was),
        cmocka_unit_test(test_a_payload_that_is_not_a_block_is_refused),
        cmocka_unit_test(test_any_changed_or_missing_byte_is_noticed),
        cmocka_unit_test(test_a_record_of_another_kind_is_no_block),
        cmocka_unit_test(
            test_rows_are_those_of_a_state_with_all_that_its_rule_has),
        cmocka_unit_test(
            test_h_is_never_below_zero_after_a_difference_is_added),
    };
    return cmocka_run_group_tests_name("sv/rows", tests, NULL, NULL);
}
