/* Unit tests of sv/codec.h: floats of 16 bits, and shuffled ones. */

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/rng.h"
#include "sv/codec.h"
#include "tests/support/batches.h"
#include "tests/support/test.h"

enum { OPTIONS_COUNT = 3 * 3 * 2 };

static struct sv_codec_options options_get(int i)
{
    return (struct sv_codec_options){.u = (enum sv_value_codec)(i % 3),
                                     .v = (enum sv_value_codec)(i / 3 % 3),
                                     .shuffle = i >= 9};
}

/* Encode with memory of its own, so that no earlier try counts. */
static void encode(struct buf *out,
                   const struct sv_batch *b,
                   const struct sv_codec_options *o)
{
    struct sv_record r = {.clock = 3};
    struct sv_codec_scratch s;

    buf_reset(out);
    sv_codec_scratch_init(&s);
    s.options = *o;
    assert_int_equal(sv_codec_encode(out, &r, b, &s, NULL), 0);
    sv_codec_scratch_fini(&s);
}

static int decode(struct sv_batch *b, struct sv_record *r, const struct buf *in)
{
    struct sv_codec_scratch s;
    int rc;

    sv_codec_scratch_init(&s);
    rc = sv_codec_decode(b, r, in->data, in->size, &s, NULL);
    sv_codec_scratch_fini(&s);
    return rc;
}

/* The sender's batch and the receiver's have the same bits, and encoding either
 * again gives the same bytes. */
static void check_round(const struct shape *s,
                        const struct sv_codec_options *o,
                        unsigned *seen)
{
    struct sv_batch sent, got;
    struct buf out, again;
    struct sv_record r;

    buf_init(&out);
    buf_init(&again);
    batches_make(&sent, s);
    sv_batch_init(&got, s->J, s->K);
    encode(&out, &sent, o);
    assert_int_equal(decode(&got, &r, &out), 0);
    sv_codec_round(&sent, o);
    batches_assert_equal(&sent, &got);
    encode(&again, &sent, o);
    assert_int_equal(again.size, out.size);
    assert_memory_equal(again.data, out.data, out.size);
    sv_codec_round(&sent, o);
    batches_assert_equal(&got, &sent);
    *seen |= r.codec;
    buf_fini(&out);
    buf_fini(&again);
    sv_batch_fini(&sent);
    sv_batch_fini(&got);
}

static void test_sender_and_receiver_hold_the_same_bits(void **state)
{
    static const uint32_t sizes[][3] = {{0, 3, 5},     {1, 1, 1},
                                        {2, 16, 17},   {7, 5, 100},
                                        {33, 141, 90}, {40, 10, 784}};
    struct shape s = {.seed = 1};
    unsigned seen = 0;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int form = 0; form < 4 * VALUES_COUNT; form++) {
            s.n = sizes[i][0];
            s.J = sizes[i][1];
            s.K = sizes[i][2];
            s.u_sparse = form & 1;
            s.v_sparse = form & 2;
            s.values = (enum values)(form / 4);
            s.seed++;
            for (int o = 0; o < OPTIONS_COUNT; o++) {
                struct sv_codec_options options = options_get(o);
                check_round(&s, &options, &seen);
            }
        }
    }
    assert_int_equal(seen, SV_CODEC_KNOWN); /* All bits were tried. */
}

/* A batch of one dense pair with @x among its v. */
static uint16_t codec_with(float x, enum sv_value_codec codec, float *back)
{
    struct sv_codec_options o = {.u = codec, .v = codec};
    float u[3] = {1, 2, 3}, v[40] = {0};
    struct sv_batch b;
    struct sv_record r;
    struct buf out;

    v[33] = x;
    buf_init(&out);
    sv_batch_init(&b, 3, 40);
    sv_batch_reset(&b, false, false);
    assert_int_equal(sv_batch_append(&b, 1, (struct sv_vec){3, NULL, u},
                                     (struct sv_vec){40, NULL, v}, 0, NULL),
                     0);
    encode(&out, &b, &o);
    assert_int_equal(decode(&b, &r, &out), 0);
    *back = b.v.val[33];
    buf_fini(&out);
    sv_batch_fini(&b);
    return r.codec & (SV_CODEC_U_BF16 | SV_CODEC_U_F16 | SV_CODEC_V_BF16 |
                      SV_CODEC_V_F16);
}

static void test_a_side_that_is_too_large_gets_wider_floats(void **state)
{
    float back;

    (void)state;
    assert_int_equal(codec_with(-65519.996f, SV_VALUE_F16, &back),
                     SV_CODEC_U_F16 | SV_CODEC_V_F16);
    assert_true(back == -65504);
    assert_int_equal(codec_with(65520, SV_VALUE_F16, &back),
                     SV_CODEC_U_F16 | SV_CODEC_V_BF16);
    assert_true(back == 65536);
    assert_int_equal(codec_with(-0x1.fffffep+127f, SV_VALUE_F16, &back),
                     SV_CODEC_U_F16);
    assert_true(back == -0x1.fffffep+127f);
    assert_int_equal(codec_with(0x1.fefffep+127f, SV_VALUE_BF16, &back),
                     SV_CODEC_U_BF16 | SV_CODEC_V_BF16);
    assert_true(back == 0x1.fep+127f);
    assert_int_equal(codec_with(0x1.ffp+127f, SV_VALUE_BF16, &back),
                     SV_CODEC_U_BF16);
    assert_true(back == 0x1.ffp+127f);
}

static size_t
encoded_size(const struct shape *s, struct sv_codec_options o, uint16_t *codec)
{
    struct sv_batch b;
    struct sv_record r;
    struct buf out;
    size_t size;

    buf_init(&out);
    batches_make(&b, s);
    encode(&out, &b, &o);
    assert_int_equal(sv_record_peek(&r, out.data, out.size, NULL), 0);
    *codec = r.codec;
    size = out.size;
    buf_fini(&out);
    sv_batch_fini(&b);
    return size;
}

static void test_16_bits_take_half_of_the_bytes(void **state)
{
    struct sv_codec_options f32 = {0};
    struct shape s = {.n = 16, .J = 300, .K = 500, .seed = 3};
    uint16_t codec;
    size_t full = encoded_size(&s, f32, &codec);

    (void)state;
    for (int c = SV_VALUE_BF16; c <= SV_VALUE_F16; c++) {
        struct sv_codec_options o = {(enum sv_value_codec)c,
                                     (enum sv_value_codec)c, false};
        size_t half = encoded_size(&s, o, &codec);
        assert_true(half < full / 2 + 100 && half > full / 2 - 100);
    }
}

static void test_shuffling_is_used_where_it_gains(void **state)
{
    struct sv_codec_options o = {SV_VALUE_F32, SV_VALUE_F32, true}, plain = {0};
    struct shape s = {.n = 16, .J = 300, .K = 500, .seed = 3};
    uint16_t codec;
    size_t size;

    (void)state;
    for (int c = SV_VALUE_F32; c <= SV_VALUE_BF16; c++) {
        o.u = o.v = plain.u = plain.v = (enum sv_value_codec)c;
        s.values = RANDOM; /* Exponents are alike. */
        size = encoded_size(&s, plain, &codec);
        assert_int_equal(codec & (SV_CODEC_SNAPPY | SV_CODEC_SHUFFLE), 0);
        assert_true(encoded_size(&s, o, &codec) < size - size / 20);
        assert_true((codec & SV_CODEC_SHUFFLE) && (codec & SV_CODEC_SNAPPY));
        s.values = WIDE; /* Exponents are noise. */
        size = encoded_size(&s, plain, &codec);
        assert_int_equal(encoded_size(&s, o, &codec), size);
        assert_int_equal(codec & (SV_CODEC_SNAPPY | SV_CODEC_SHUFFLE), 0);
        s.values = ONE; /* Nothing stands alone. */
        size = encoded_size(&s, plain, &codec);
        assert_int_equal(encoded_size(&s, o, &codec), size);
        assert_int_equal(codec & SV_CODEC_SHUFFLE, 0);
    }
}

/* Larger than what is sampled: the sample decides. */
static void test_a_sample_of_a_large_batch_decides(void **state)
{
    struct sv_codec_options o = {SV_VALUE_BF16, SV_VALUE_BF16, true};
    struct shape s = {.n = 60, .J = 300, .K = 900, .seed = 3};
    unsigned seen = 0;
    uint16_t codec;

    (void)state;
    encoded_size(&s, o, &codec);
    assert_true((codec & SV_CODEC_SHUFFLE) && (codec & SV_CODEC_SNAPPY));
    check_round(&s, &o, &seen);
    s.values = WIDE;
    encoded_size(&s, o, &codec);
    assert_int_equal(codec & (SV_CODEC_SNAPPY | SV_CODEC_SHUFFLE), 0);
    check_round(&s, &o, &seen);
}

/* Put the right checksum on a record that was tampered with. */
static void seal(struct buf *b)
{
    le_put_u64(b->data + 56, hash64_two(b->data, 56, b->data + SV_RECORD_SIZE,
                                        b->size - SV_RECORD_SIZE));
}

/* Behind a checksum that holds, other bytes may be another valid batch, but
 * never more than that: the sanitizers see to it. */
static void check_tampered(const struct shape *s, int options)
{
    struct sv_codec_options o = options_get(options);
    struct sv_batch b, back;
    struct sv_record r;
    struct buf out;

    buf_init(&out);
    batches_make(&b, s);
    sv_batch_init(&back, s->J, s->K);
    encode(&out, &b, &o);
    for (size_t at = 0; at < out.size; at++) {
        uint8_t saved = out.data[at];
        for (int i = 0; i < 10; i++) {
            int rc;
            out.data[at] = (uint8_t)(i < 8 ? saved ^ 1 << i : i * 85);
            seal(&out);
            rc = decode(&back, &r, &out);
            assert_true(rc == 0 || rc == ERR_CORRUPT || rc == ERR_AGAIN);
        }
        out.data[at] = saved;
        seal(&out);
    }
    assert_int_equal(decode(&back, &r, &out), 0);
    buf_fini(&out);
    sv_batch_fini(&b);
    sv_batch_fini(&back);
}

static void test_no_byte_can_be_changed_to_harm(void **state)
{
    static const enum values values[] = {RANDOM, FEW, FEW_IN_ALL};
    struct shape s = {.n = 3, .J = 5, .K = 40, .seed = 8};

    (void)state;
    for (int form = 0; form < 12; form++) {
        s.u_sparse = form & 1;
        s.v_sparse = form & 2;
        s.values = values[form / 4];
        s.seed++;
        for (int o = 1; o < OPTIONS_COUNT; o++) {
            check_tampered(&s, o);
        }
    }
}

/* All 2^16 codecs for bytes that were made for another: known ones decode or do
 * not, others are refused. */
static void test_the_codec_of_another_record_is_no_harm(void **state)
{
    struct shape s = {.n = 9, .J = 5, .K = 40, .seed = 9};
    struct sv_codec_options o = {SV_VALUE_BF16, SV_VALUE_F16, false};
    struct sv_batch b, back;
    struct sv_record r;
    struct buf out;

    (void)state;
    buf_init(&out);
    batches_make(&b, &s);
    sv_batch_init(&back, s.J, s.K);
    encode(&out, &b, &o);
    for (unsigned codec = 0; codec < 1u << 16; codec++) {
        bool two_u = codec & SV_CODEC_U_BF16 && codec & SV_CODEC_U_F16;
        bool two_v = codec & SV_CODEC_V_BF16 && codec & SV_CODEC_V_F16;
        struct err e;
        int rc;
        le_put_u16(out.data + 6, (uint16_t)codec);
        seal(&out);
        rc = decode(&back, &r, &out);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        if (codec > SV_CODEC_KNOWN || two_u || two_v) {
            assert_int_equal(sv_record_peek(&r, out.data, out.size, &e),
                             ERR_CORRUPT);
            assert_non_null(
                strstr(e.msg, codec > SV_CODEC_KNOWN ? "unknown" : "two"));
        }
    }
    buf_fini(&out);
    sv_batch_fini(&b);
    sv_batch_fini(&back);
}

/* A record from before there were other floats than f32. */
static void test_records_of_old_are_read(void **state)
{
    static const uint8_t old[] = {
        0x4c, 0x59, 0x52, 0x31, 0x01, 0x01, 0x0a, 0x00, 0x01, 0x00, 0x00, 0x00,
        0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
        0x03, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3f,
        0x40, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x19, 0x1e, 0x26, 0x77,
        0x35, 0xfa, 0x77, 0x25, 0x00, 0x00, 0x00, 0x00, 0x3f, 0x00, 0x00, 0xc0,
        0x3f, 0x87, 0xd9, 0xf4, 0xaa, 0x04, 0x1f, 0x00, 0x00, 0x00, 0x80, 0x8f,
        0xff, 0x23, 0x37, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x80, 0x3e, 0x00,
        0x00, 0x00, 0x3f, 0xab, 0xaa, 0xaa, 0x3e, 0x02, 0x00, 0x02, 0x03, 0x02,
        0x01, 0x00, 0x00, 0x02, 0x02, 0x04, 0x02, 0x01, 0x00, 0x02, 0x02, 0x9a,
        0x99, 0x19, 0x3f, 0xcd, 0xcc, 0xcc, 0x3e, 0x02};
    struct shape s = {
        .n = 2, .J = 3, .K = 9, .v_sparse = true, .values = FEW, .seed = 5};
    struct sv_batch b, back;
    struct sv_record r;
    struct buf in;

    (void)state;
    buf_init(&in);
    buf_put(&in, old, sizeof old);
    batches_make(&b, &s);
    sv_batch_init(&back, s.J, s.K);
    assert_int_equal(decode(&back, &r, &in), 0);
    batches_assert_equal(&b, &back);
    buf_fini(&in);
    sv_batch_fini(&b);
    sv_batch_fini(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sender_and_receiver_hold_the_same_bits),
        cmocka_unit_test(test_a_side_that_is_too_large_gets_wider_floats),
        cmocka_unit_test(test_16_bits_take_half_of_the_bytes),
        cmocka_unit_test(test_shuffling_is_used_where_it_gains),
        cmocka_unit_test(test_a_sample_of_a_large_batch_decides),
        cmocka_unit_test(test_no_byte_can_be_changed_to_harm),
        cmocka_unit_test(test_the_codec_of_another_record_is_no_harm),
        cmocka_unit_test(test_records_of_old_are_read),
    };
    return cmocka_run_group_tests_name("codec_lossy", tests, NULL, NULL);
}
