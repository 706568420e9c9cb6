/* Unit tests of ckpt/step.h and ckpt/segment.h: formats in memory. */

#include <math.h>
#include <string.h>

#include "ckpt/segment.h"
#include "ckpt/step.h"
#include "tests/support/test.h"

static void example(struct ckpt_step *s)
{
    static const struct ckpt_op ops[] = {
        {.kind = SV_OP_SCALE, .matrix = 3, .a = 0.5f},
        {.kind = SV_OP_APPLY,
         .matrix = 300,
         .a = 2.25f,
         .origin = 7,
         .clock = 1u << 30},
        {.kind = SV_OP_SCALE_AUX, .a = -0.0f},
        {.kind = SV_OP_ADD_AUX, .matrix = UINT16_MAX},
        {.kind = SV_OP_MIX, .matrix = 1, .sequence = UINT32_MAX},
        {.kind = SV_OP_APPLY,
         .a = 1,
         .origin = UINT32_MAX,
         .clock = UINT64_MAX}};

    ckpt_step_init(s);
    ckpt_step_reset(s, 41);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        assert_int_equal(ckpt_step_add(s, &ops[i], NULL), 0);
    }
    s->metrics.loss = 2.5;
    s->metrics.test_accuracy = 0.46;
}

/* Write the example; its record has a payload of *size bytes. */
static const uint8_t *
write_example(struct ckpt_step *s, struct buf *b, struct sv_record *r)
{
    size_t size;

    example(s);
    buf_init(b);
    assert_int_equal(ckpt_step_write(b, 2, 9, s, NULL), 0);
    assert_int_equal(sv_record_read(r, b->data, b->size, &size, NULL), 0);
    assert_int_equal(r->kind, SV_RECORD_STEP);
    assert_int_equal(r->view, 2);
    assert_int_equal(r->origin, 9);
    assert_true(r->clock == 41);
    return b->data + SV_RECORD_SIZE;
}

static void test_a_step_reads_as_it_was_written(void **state)
{
    struct ckpt_step s, back;
    const uint8_t *payload;
    struct sv_record r;
    struct buf b;

    (void)state;
    payload = write_example(&s, &b, &r);
    ckpt_step_init(&back);
    assert_int_equal(ckpt_step_read(&back, &r, payload, NULL), 0);
    assert_true(back.clock == 41);
    assert_int_equal(back.n_ops, s.n_ops);
    for (size_t i = 0; i < s.n_ops; i++) {
        assert_int_equal(back.ops[i].kind, s.ops[i].kind);
        assert_int_equal(back.ops[i].matrix, s.ops[i].matrix);
        assert_int_equal(back.ops[i].origin, s.ops[i].origin);
        assert_true(back.ops[i].clock == s.ops[i].clock);
        assert_int_equal(back.ops[i].sequence, s.ops[i].sequence);
        assert_memory_equal(&back.ops[i].a, &s.ops[i].a, sizeof(float));
    }
    assert_true(back.metrics.loss == 2.5);
    assert_true(back.metrics.test_accuracy == 0.46);
    assert_true(isnan(back.metrics.epoch));
    ckpt_step_fini(&back);
    ckpt_step_fini(&s);
    buf_fini(&b);
}

static void
test_a_factor_stands_in_the_record_only_where_it_counts(void **state)
{
    const float factors[] = {1, 2, INFINITY, NAN};
    size_t sizes[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct ckpt_op op = {.kind = SV_OP_APPLY, .a = factors[i]};
        struct ckpt_step s, back;
        struct sv_record r;
        struct buf b;
        size_t size;
        buf_init(&b);
        ckpt_step_init(&s);
        ckpt_step_init(&back);
        assert_int_equal(ckpt_step_add(&s, &op, NULL), 0);
        assert_int_equal(ckpt_step_write(&b, 0, 0, &s, NULL), 0);
        assert_int_equal(sv_record_read(&r, b.data, b.size, &size, NULL), 0);
        assert_int_equal(
            ckpt_step_read(&back, &r, b.data + SV_RECORD_SIZE, NULL),
            i < 2 ? 0 : ERR_CORRUPT);
        sizes[i] = r.payload_size;
        assert_true(i >= 2 || back.ops[0].a == factors[i]);
        ckpt_step_fini(&back);
        ckpt_step_fini(&s);
        buf_fini(&b);
    }
    assert_int_equal(sizes[1], sizes[0] + 4);
}

static void test_a_step_cut_anywhere_is_corrupt(void **state)
{
    struct ckpt_step s, back;
    const uint8_t *payload;
    struct sv_record r;
    struct buf b;
    uint32_t size;

    (void)state;
    payload = write_example(&s, &b, &r);
    ckpt_step_init(&back);
    size = r.payload_size;
    for (r.payload_size = 0; r.payload_size < size; r.payload_size++) {
        assert_int_equal(ckpt_step_read(&back, &r, payload, NULL), ERR_CORRUPT);
    }
    buf_put(&b, "x", 1);
    r.payload_size = size + 1;
    assert_int_equal(ckpt_step_read(&back, &r, b.data + SV_RECORD_SIZE, NULL),
                     ERR_CORRUPT);
    ckpt_step_fini(&back);
    ckpt_step_fini(&s);
    buf_fini(&b);
}

static void test_metrics_of_older_and_newer_writers_are_read(void **state)
{
    struct sv_record r = {.kind = SV_RECORD_STEP, .clock = 1};
    double one = 1;
    uint64_t bits;
    struct ckpt_step s;
    struct buf b;

    (void)state;
    memcpy(&bits, &one, sizeof bits);
    ckpt_step_init(&s);
    for (size_t n = 0; n < CKPT_METRICS_COUNT + 3; n++) {
        buf_init(&b);
        buf_put_varint(&b, 0);
        buf_put_varint(&b, n);
        for (size_t i = 0; i < n; i++) {
            buf_put_u64(&b, bits);
        }
        r.payload_size = (uint32_t)b.size;
        assert_int_equal(ckpt_step_read(&s, &r, b.data, NULL), 0);
        assert_int_equal(isnan(s.metrics.epoch), n == 0);
        assert_int_equal(isnan(s.metrics.selection), n < CKPT_METRICS_COUNT);
        buf_fini(&b);
    }
    ckpt_step_fini(&s);
}

static void test_a_digest_reads_as_it_was_written(void **state)
{
    struct hash128 digest = {.high = 1, .low = UINT64_MAX}, back;
    struct sv_record r;
    struct buf b;
    size_t size;

    (void)state;
    buf_init(&b);
    assert_int_equal(ckpt_digest_write(&b, 1, 2, 3, 4, digest), 0);
    assert_int_equal(sv_record_read(&r, b.data, b.size, &size, NULL), 0);
    assert_int_equal(r.matrix, 4);
    assert_true(r.clock == 3);
    assert_int_equal(ckpt_digest_read(&back, &r, b.data + SV_RECORD_SIZE, NULL),
                     0);
    assert_true(back.high == 1 && back.low == UINT64_MAX);
    r.payload_size--;
    assert_int_equal(ckpt_digest_read(&back, &r, b.data + SV_RECORD_SIZE, NULL),
                     ERR_CORRUPT);
    buf_fini(&b);
}

static void test_a_segment_header_holds_every_bit(void **state)
{
    struct ckpt_segment_header h = {
        .run = 1, .peer = 2, .number = 3, .first_clock = 4};
    uint8_t data[CKPT_SEGMENT_HEADER_SIZE];

    (void)state;
    ckpt_segment_write_header(data, &h);
    memset(&h, 0, sizeof h);
    assert_int_equal(ckpt_segment_read_header(&h, data, sizeof data, NULL), 0);
    assert_true(h.run == 1 && h.peer == 2 && h.number == 3 &&
                h.first_clock == 4);
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(ckpt_segment_read_header(&h, data, sizeof data, NULL),
                         ERR_CORRUPT);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(ckpt_segment_read_header(&h, data, 63, NULL), ERR_AGAIN);
}

static void test_segments_have_names_that_sort(void **state)
{
    char name[CKPT_SEGMENT_NAME_SIZE];

    (void)state;
    ckpt_segment_name(name, 12);
    assert_string_equal(name, "segments/00000012.seg");
    ckpt_segment_name(name, UINT32_MAX);
    assert_string_equal(name, "segments/4294967295.seg");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_step_reads_as_it_was_written),
        cmocka_unit_test(
            test_a_factor_stands_in_the_record_only_where_it_counts),
        cmocka_unit_test(test_a_step_cut_anywhere_is_corrupt),
        cmocka_unit_test(test_metrics_of_older_and_newer_writers_are_read),
        cmocka_unit_test(test_a_digest_reads_as_it_was_written),
        cmocka_unit_test(test_a_segment_header_holds_every_bit),
        cmocka_unit_test(test_segments_have_names_that_sort),
    };
    return cmocka_run_group_tests_name("step", tests, NULL, NULL);
}
