/* Unit tests of ps/msg.h. */

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "ps/msg.h"
#include "tests/support/test.h"

static struct buf scratch;

static int decode(struct ps_msg *m, const struct blob *b)
{
    return ps_msg_decode(m, b->data, b->size, 100, &scratch, NULL);
}

static struct ps_msg some(const uint8_t *payload, size_t size)
{
    return (struct ps_msg){.kind = PS_MSG_ENTRY,
                           .entry = PS_ENTRY_PUSH,
                           .view = 7,
                           .range = 99,
                           .origin = 3,
                           .task = 1ull << 50,
                           .seq = 12,
                           .from = 5,
                           .time = 1ull << 60,
                           .first = 9,
                           .count = UINT32_MAX,
                           .code = ERR_NOT_FINITE,
                           .payload = payload,
                           .payload_size = size};
}

static void assert_same(const struct ps_msg *a, const struct ps_msg *b)
{
    assert_true(a->kind == b->kind && a->entry == b->entry);
    assert_true(a->view == b->view && a->range == b->range);
    assert_true(a->origin == b->origin && a->task == b->task);
    assert_true(a->seq == b->seq && a->from == b->from && a->time == b->time);
    assert_true(a->first == b->first && a->count == b->count);
    assert_int_equal(a->code, b->code);
    assert_int_equal(a->payload_size, b->payload_size);
    if (a->payload_size > 0) {
        assert_memory_equal(a->payload, b->payload, a->payload_size);
    }
}

static void test_messages_come_back_compressed_or_not(void **state)
{
    static uint8_t zeros[5000], noise[5000];
    const uint8_t *const payloads[] = {zeros, noise};

    (void)state;
    for (uint64_t i = 0; i < sizeof noise; i++) {
        noise[i] = (uint8_t)rng_u64(1, 1, i);
    }
    for (int i = 0; i < 8; i++) {
        struct ps_msg in = some(i & 4 ? NULL : payloads[i & 1],
                                i & 4 ? 0 : sizeof noise),
                      out;
        struct blob *b = ps_msg_encode(&in, (i & 2) != 0);
        bool small = b->size < PS_MSG_HEADER_SIZE + in.payload_size;
        assert_true(small == (i == 2));
        assert_int_equal(decode(&out, b), 0);
        assert_same(&in, &out);
        blob_unref(b);
    }
}

static void test_what_is_cut_or_lengthened_is_refused(void **state)
{
    static uint8_t text[3000];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)(i % 7 + i % 5);
    }
    for (int compress = 0; compress < 2; compress++) {
        struct ps_msg in = some(text, sizeof text), out;
        struct blob *b = ps_msg_encode(&in, compress);
        struct blob *longer = blob_create(b->size + 1);
        memcpy(longer->data, b->data, b->size);
        longer->data[b->size] = 0;
        assert_int_equal(decode(&out, longer), ERR_CORRUPT);
        while (b->size-- > 0) {
            assert_int_equal(decode(&out, b), ERR_CORRUPT);
        }
        blob_unref(b);
        blob_unref(longer);
    }
}

/* Each byte of the header that has rules. */
static void test_headers_that_break_a_rule_are_refused(void **state)
{
    const struct {
        size_t at;
        uint8_t byte;
    } BAD[] = {
        {0, 0},           {0, PS_MSG_KINDS},
        {0, PS_MSG_PUSH}, {1, 2},
        {2, 0},           {2, PS_ENTRY_AGGREGATE + 1},
        {3, 1},           {8, 100},
        {13, 4},          {39, 0x20} /* from > time. */,
        {60, 1},
    };
    struct ps_msg in = some((const uint8_t *)"abc", 3), out;
    struct blob *b = ps_msg_encode(&in, false);

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        uint8_t was = b->data[BAD[i].at];
        b->data[BAD[i].at] = BAD[i].byte;
        assert_int_equal(decode(&out, b), ERR_CORRUPT);
        b->data[BAD[i].at] = was;
        assert_int_equal(decode(&out, b), 0);
    }
    blob_unref(b);
}

/* A few bytes must not claim the memory of many. */
static void test_a_small_message_cannot_claim_much_memory(void **state)
{
    struct ps_msg in = some(NULL, 0), out;
    struct blob *b = ps_msg_encode(&in, false);
    struct blob *bomb = blob_create(PS_MSG_HEADER_SIZE + 4);

    (void)state;
    memcpy(bomb->data, b->data, b->size);
    bomb->data[1] = 1;
    le_put_u32(bomb->data + 60, 1u << 27);
    memcpy(bomb->data + b->size, "\x80\x80\x80\x40", 4); /* Of 2^27 bytes. */
    buf_fini(&scratch);
    assert_int_equal(decode(&out, bomb), ERR_CORRUPT);
    assert_int_equal(scratch.room, 0);
    blob_unref(b);
    blob_unref(bomb);
}

static int free_scratch(void **state)
{
    (void)state;
    buf_fini(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_come_back_compressed_or_not),
        cmocka_unit_test(test_what_is_cut_or_lengthened_is_refused),
        cmocka_unit_test(test_headers_that_break_a_rule_are_refused),
        cmocka_unit_test(test_a_small_message_cannot_claim_much_memory),
    };
    return cmocka_run_group_tests_name("ps_msg", tests, NULL, free_scratch);
}
