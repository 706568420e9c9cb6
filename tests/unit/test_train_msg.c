/* Unit tests of train/msg.h. */

#include <string.h>

#include "core/buf.h"
#include "sv/codec.h"
#include "tests/support/test.h"
#include "train/msg.h"

static struct blob *round_trip(enum train_msg_type type,
                               const struct train_msg *in,
                               struct train_msg *out)
{
    struct blob *b = train_msg_encode(type, in);

    assert_non_null(b);
    assert_int_equal(train_msg_decode(out, (uint8_t)type, b, 0, 1, NULL), 0);
    return b;
}

static void test_want_digest_and_stop_come_back(void **state)
{
    struct train_msg in = {.clock = 1ull << 40,
                           .until = 77,
                           .origin = 1000,
                           .digest = {.high = 1, .low = UINT64_MAX},
                           .reason = ERR_NOT_FINITE,
                           .why = "loss is nan"},
                     out;

    (void)state;
    blob_unref(round_trip(TRAIN_MSG_WANT, &in, &out));
    assert_true(out.clock == in.clock && out.until == 77);
    assert_int_equal(out.origin, 1000);
    blob_unref(round_trip(TRAIN_MSG_DIGEST, &in, &out));
    assert_true(out.digest.high == 1 && out.digest.low == UINT64_MAX);
    blob_unref(round_trip(TRAIN_MSG_STOP, &in, &out));
    assert_int_equal(out.reason, ERR_NOT_FINITE);
    assert_string_equal(out.why, "loss is nan");
}

static void test_control_characters_do_not_reach_a_terminal(void **state)
{
    struct train_msg in = {.reason = ERR_IO, .why = "a\033[2Jb\n"}, out;

    (void)state;
    blob_unref(round_trip(TRAIN_MSG_STOP, &in, &out));
    assert_string_equal(out.why, "a [2Jb ");
}

static void test_bodies_of_the_wrong_size_are_refused(void **state)
{
    const enum train_msg_type types[] = {TRAIN_MSG_BATCH, TRAIN_MSG_WANT,
                                         TRAIN_MSG_DIGEST, TRAIN_MSG_STOP};
    struct train_msg m;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t size = 0; size < 12; size++) {
            uint8_t zeros[12] = {0};
            struct blob *b = blob_copy(zeros, size);
            assert_int_equal(
                train_msg_decode(&m, (uint8_t)types[i], b, 0, 1, NULL),
                ERR_CORRUPT);
            blob_unref(b);
        }
        assert_int_equal(
            train_msg_decode(&m, (uint8_t)types[i], NULL, 0, 1, NULL),
            ERR_CORRUPT);
    }
    assert_int_equal(train_msg_decode(&m, 200, NULL, 0, 1, NULL), ERR_CORRUPT);
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_ACK, NULL, 0, 1, NULL), 0);
}

/* The records of one clock, one for each of two matrices. */
static struct blob *
make_batch(uint32_t origin, uint64_t clock0, uint64_t clock1)
{
    struct sv_codec_scratch scratch;
    struct sv_batch b;
    struct buf bytes;
    struct blob *blob;

    sv_batch_init(&b, 3, 2);
    sv_codec_scratch_init(&scratch);
    buf_init(&bytes);
    sv_batch_reset(&b, false, false);
    for (uint16_t i = 0; i < 2; i++) {
        struct sv_record r = {.kind = SV_RECORD_BATCH,
                              .origin = origin,
                              .clock = i == 0 ? clock0 : clock1,
                              .matrix = i};
        assert_int_equal(sv_codec_encode(&bytes, &r, &b, &scratch, NULL), 0);
    }
    blob = blob_copy(bytes.data, bytes.size);
    buf_fini(&bytes);
    sv_codec_scratch_fini(&scratch);
    sv_batch_fini(&b);
    return blob;
}

static void test_a_batch_holds_one_record_for_each_matrix(void **state)
{
    struct train_msg m;
    struct blob *good = make_batch(4, 9, 9), *mixed = make_batch(4, 9, 10);

    (void)state;
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_BATCH, good, 4, 2, NULL),
                     0);
    assert_int_equal(m.clock, 9);
    /* Of another peer, too many, too few, of two clocks, damaged. */
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_BATCH, good, 5, 2, NULL),
                     ERR_CORRUPT);
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_BATCH, good, 4, 1, NULL),
                     ERR_CORRUPT);
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_BATCH, good, 4, 3, NULL),
                     ERR_CORRUPT);
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_BATCH, mixed, 4, 2, NULL),
                     ERR_CORRUPT);
    /* Held: the records say whose they are, and never the sender's. */
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_HELD, good, 5, 2, NULL), 0);
    assert_int_equal(m.origin, 4);
    assert_int_equal(m.clock, 9);
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_HELD, good, 4, 2, NULL),
                     ERR_CORRUPT);
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_HELD, mixed, 5, 2, NULL),
                     ERR_CORRUPT);
    good->data[good->size / 2] ^= 4;
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_HELD, good, 5, 2, NULL),
                     ERR_CORRUPT);
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_BATCH, good, 4, 2, NULL),
                     ERR_CORRUPT);
    blob_unref(good);
    blob_unref(mixed);
}

/* Two clocks of one matrix in a message come out one by one. */
static void test_a_group_is_taken_apart_by_clocks(void **state)
{
    struct sv_codec_scratch scratch;
    struct sv_batch b;
    struct train_msg m;
    struct buf bytes;
    struct blob *good, *turned;
    size_t at = 0, size, sizes[2], first;
    uint64_t clock;

    (void)state;
    sv_batch_init(&b, 3, 2);
    sv_codec_scratch_init(&scratch);
    buf_init(&bytes);
    sv_batch_reset(&b, false, false);
    for (uint64_t c = 7; c <= 9; c += 2) {
        struct sv_record r = {.kind = SV_RECORD_BATCH, .origin = 4, .clock = c};
        assert_int_equal(sv_codec_encode(&bytes, &r, &b, &scratch, NULL), 0);
        sizes[c == 9] = bytes.size;
    }
    first = sizes[0];
    good = blob_copy(bytes.data, bytes.size);
    turned = blob_create(bytes.size);
    memcpy(turned->data, bytes.data + first, bytes.size - first);
    memcpy(turned->data + bytes.size - first, bytes.data, first);
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_BATCH, good, 4, 1, NULL),
                     0);
    assert_int_equal(m.clock, 7);
    assert_true(train_msg_next_clock(good, 1, &at, &size, &clock));
    assert_true(clock == 7 && size == first && at == first);
    assert_true(train_msg_next_clock(good, 1, &at, &size, &clock));
    assert_true(clock == 9 && at == bytes.size);
    assert_false(train_msg_next_clock(good, 1, &at, &size, &clock));
    assert_int_equal(train_msg_decode(&m, TRAIN_MSG_BATCH, turned, 4, 1, NULL),
                     ERR_CORRUPT);
    blob_unref(good);
    blob_unref(turned);
    buf_fini(&bytes);
    sv_codec_scratch_fini(&scratch);
    sv_batch_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_want_digest_and_stop_come_back),
        cmocka_unit_test(test_control_characters_do_not_reach_a_terminal),
        cmocka_unit_test(test_bodies_of_the_wrong_size_are_refused),
        cmocka_unit_test(test_a_batch_holds_one_record_for_each_matrix),
        cmocka_unit_test(test_a_group_is_taken_apart_by_clocks),
    };
    return cmocka_run_group_tests_name("train_msg", tests, NULL, NULL);
}
