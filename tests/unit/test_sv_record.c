/* Unit tests of sv/record.h. */

#include <string.h>

#include "sv/record.h"
#include "tests/support/test.h"

static struct sv_record example(void)
{
    return (struct sv_record){.kind = SV_RECORD_STEP,
                              .view = 3,
                              .origin = 0x01020304,
                              .clock = 0x1122334455667788,
                              .matrix = 513,
                              .sequence = 9};
}

static void test_a_record_reads_as_it_was_written(void **state)
{
    struct sv_record r = example(), back;
    struct buf b;
    struct err e;
    size_t size;

    (void)state;
    buf_init(&b);
    assert_int_equal(sv_record_write(&b, &r, "payload", 7, &e), 0);
    assert_int_equal(b.size, SV_RECORD_SIZE + 7);
    assert_int_equal(sv_record_read(&back, b.data, b.size, &size, &e), 0);
    assert_int_equal(size, b.size);
    assert_int_equal(back.kind, SV_RECORD_STEP);
    assert_int_equal(back.codec, 0);
    assert_int_equal(back.view, 3);
    assert_int_equal(back.origin, 0x01020304);
    assert_true(back.clock == 0x1122334455667788);
    assert_int_equal(back.matrix, 513);
    assert_int_equal(back.sequence, 9);
    assert_int_equal(back.payload_size, 7);
    assert_memory_equal(b.data + SV_RECORD_SIZE, "payload", 7);
    buf_fini(&b);
}

static void test_fields_stand_where_the_table_says(void **state)
{
    static const uint8_t head[56] = {
        'L',  'Y',  'R',  '1',  1,    SV_RECORD_STEP,
        0,    0,    3,    0,    0,    0,
        0x04, 0x03, 0x02, 0x01, 0x88, 0x77,
        0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
        1,    2,    0,    0,    9,    0,
        0,    0,    0,    0,    0,    0,
        0,    0,    0,    0,    0,    0,
        0,    0,    0,    0,    0,    0,
        7,    0,    0,    0,    7,    0,
        0,    0};
    struct sv_record r = example();
    struct buf b;

    (void)state;
    buf_init(&b);
    assert_int_equal(sv_record_write(&b, &r, "payload", 7, NULL), 0);
    assert_memory_equal(b.data, head, sizeof head);
    buf_fini(&b);
}

static void test_a_record_cut_anywhere_says_again(void **state)
{
    struct sv_record r = example();
    struct buf b;
    size_t size;

    (void)state;
    buf_init(&b);
    assert_int_equal(sv_record_write(&b, &r, "payload", 7, NULL), 0);
    for (size_t n = 0; n < b.size; n++) {
        assert_int_equal(sv_record_read(&r, b.data, n, &size, NULL), ERR_AGAIN);
    }
    buf_fini(&b);
}

/* A flip in the payload size can make the record longer than what is there. */
static void test_no_flipped_bit_goes_unnoticed(void **state)
{
    struct sv_record r = example();
    struct buf b;
    size_t size;

    (void)state;
    buf_init(&b);
    assert_int_equal(sv_record_write(&b, &r, "payload", 7, NULL), 0);
    for (size_t bit = 0; bit < 8 * b.size; bit++) {
        int rc;
        b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        rc = sv_record_read(&r, b.data, b.size, &size, NULL);
        b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit / 8 >= 48 && bit / 8 < 52) {
            assert_true(rc == ERR_AGAIN || rc == ERR_CORRUPT);
        } else {
            assert_int_equal(rc, ERR_CORRUPT);
        }
    }
    buf_fini(&b);
}

static void test_messages_name_the_field(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *msg;
    } cases[] = {
        {0, 'X', "record: bad magic"},
        {4, 2, "record: unknown version 2"},
        {5, 0, "record: unknown kind 0"},
        {5, 99, "record: unknown kind 99"},
        {26, 1, "record: reserved bytes are not zero"},
        {32, 1, "record: kind 3 with fields of a batch"},
        {51, 0x70, "record: payload of 1879048199 bytes"},
        {56, 0, "record: bad checksum"},
        {64, 0, "record: bad checksum"},
    };
    struct sv_record r = example();
    struct buf b;
    struct err e;
    size_t size;

    (void)state;
    buf_init(&b);
    assert_int_equal(sv_record_write(&b, &r, "payload", 7, &e), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t saved = b.data[cases[i].at];
        b.data[cases[i].at] =
            (uint8_t)(cases[i].at == 56 ? saved + 1 : cases[i].value);
        assert_int_equal(sv_record_read(&r, b.data, b.size, &size, &e),
                         ERR_CORRUPT);
        assert_string_equal(e.msg, cases[i].msg);
        b.data[cases[i].at] = saved;
    }
    buf_fini(&b);
}

static void test_too_large_a_payload_is_refused(void **state)
{
    struct sv_record r = example();
    struct buf b;
    struct err e;

    (void)state;
    buf_init(&b);
    assert_int_equal(
        sv_record_write(&b, &r, "", (size_t)SV_RECORD_PAYLOAD_MAX + 1, &e),
        ERR_INVALID);
    assert_int_equal(b.size, 0);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_reads_as_it_was_written),
        cmocka_unit_test(test_fields_stand_where_the_table_says),
        cmocka_unit_test(test_a_record_cut_anywhere_says_again),
        cmocka_unit_test(test_no_flipped_bit_goes_unnoticed),
        cmocka_unit_test(test_messages_name_the_field),
        cmocka_unit_test(test_too_large_a_payload_is_refused),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
