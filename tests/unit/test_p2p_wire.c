/* Unit tests of p2p/wire.h and p2p/assembly.h. */

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/rng.h"
#include "p2p/assembly.h"
#include "p2p/wire.h"
#include "tests/support/test.h"

static const struct wire_filter FILTER = {.session = 77,
                                          .self = 2,
                                          .n_peers = 4};

/* A packet of a message of @total bytes, with the chunk at @offset. */
static size_t packet_make(uint8_t packet[WIRE_PACKET_SIZE],
                          uint64_t id,
                          size_t total,
                          size_t offset)
{
    struct wire_header h = {.type = 16,
                            .session = 77,
                            .view = 5,
                            .from = 1,
                            .to = 2,
                            .ack = 0x1122334455667788u,
                            .id = id,
                            .total_size = total,
                            .offset = offset};
    size_t left = total - offset;

    h.chunk_size = (uint32_t)(left < WIRE_CHUNK_SIZE ? left : WIRE_CHUNK_SIZE);
    wire_encode(&h, packet);
    for (size_t i = 0; i < h.chunk_size; i++) {
        packet[WIRE_HEADER_SIZE + i] = (uint8_t)((offset + i) * 7 >> 3);
    }
    return WIRE_HEADER_SIZE + h.chunk_size;
}

static void body_expect(const struct blob *b, size_t size)
{
    assert_non_null(b);
    assert_int_equal(b->size, size);
    for (size_t i = 0; i < size; i++) {
        if (b->data[i] != (uint8_t)(i * 7 >> 3)) {
            fail_msg("byte %zu", i);
        }
    }
}

static void test_a_header_has_its_documented_layout(void **state)
{
    static const uint8_t EXPECTED[WIRE_HEADER_SIZE] = {
        'L',  'Y',  'R',  'W',  1,    16,   0,    0,    /* magic to flags */
        77,   0,    0,    0,    0,    0,    0,    0,    /* session */
        5,    0,    0,    0,    1,    0,    0,    0,    /* view, from */
        2,    0,    0,    0,    3,    0,    0,    0,    /* to, chunk size */
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* ack */
        9,    0,    0,    0,    0,    0,    0,    0,    /* id */
        3,    0,    1,    0,    0,    0,    0,    0,    /* total size */
        0,    0,    1,    0,    0,    0,    0,    0     /* offset */
    };
    static uint8_t packet[WIRE_PACKET_SIZE];
    struct wire_header h;
    size_t size = packet_make(packet, 9, WIRE_CHUNK_SIZE + 3, WIRE_CHUNK_SIZE);

    (void)state;
    assert_memory_equal(packet, EXPECTED, WIRE_HEADER_SIZE);
    assert_int_equal(wire_decode(&h, packet, size, &FILTER), WIRE_OK);
    assert_int_equal(h.type, 16);
    assert_int_equal(h.session, 77);
    assert_int_equal(h.view, 5);
    assert_int_equal(h.from, 1);
    assert_int_equal(h.to, 2);
    assert_true(h.ack == 0x1122334455667788u);
    assert_int_equal(h.id, 9);
    assert_int_equal(h.total_size, WIRE_CHUNK_SIZE + 3);
    assert_int_equal(h.offset, WIRE_CHUNK_SIZE);
    assert_int_equal(h.chunk_size, 3);
}

static void test_sizes_count_headers(void **state)
{
    (void)state;
    assert_int_equal(wire_packets(0), 1);
    assert_int_equal(wire_packets(WIRE_CHUNK_SIZE), 1);
    assert_int_equal(wire_packets(WIRE_CHUNK_SIZE + 1), 2);
    assert_int_equal(wire_bytes(0), WIRE_HEADER_SIZE);
    assert_int_equal(wire_bytes(WIRE_CHUNK_SIZE + 1),
                     WIRE_CHUNK_SIZE + 1 + 2 * WIRE_HEADER_SIZE);
}

/* Each row breaks one rule of a valid packet of 10 bytes. */
static void test_bad_headers_are_refused_for_the_right_reason(void **state)
{
    static const struct {
        size_t at;   /* Offset of the field. */
        size_t size; /* Bytes of it. */
        uint64_t x;  /* What it becomes. */
        enum wire_fault fault;
    } CASES[] = {
        {0, 4, 0x5752594d, WIRE_MAGIC_BAD},
        {4, 1, 0, WIRE_VERSION_BAD},
        {4, 1, 2, WIRE_VERSION_BAD},
        {5, 1, 0, WIRE_TYPE_BAD},
        {6, 2, 1, WIRE_FLAGS_BAD},
        {6, 2, 0x8000, WIRE_FLAGS_BAD},
        {8, 8, 78, WIRE_SESSION_BAD},
        {8, 8, 77 + ((uint64_t)1 << 63), WIRE_SESSION_BAD},
        {20, 4, 4, WIRE_FROM_BAD},
        {20, 4, 2, WIRE_FROM_BAD},
        {20, 4, UINT32_MAX, WIRE_FROM_BAD},
        {24, 4, 1, WIRE_TO_BAD},
        {28, 4, 9, WIRE_CHUNK_BAD},
        {28, 4, 11, WIRE_CHUNK_BAD},
        {28, 4, UINT32_MAX, WIRE_CHUNK_BAD},
        {40, 8, 0, WIRE_TYPE_BAD},
        {48, 8, (uint64_t)P2P_MSG_SIZE_MAX + 1, WIRE_TOTAL_BAD},
        {48, 8, UINT64_MAX, WIRE_TOTAL_BAD},
        {48, 8, 0, WIRE_CHUNK_BAD},
        {48, 8, 9, WIRE_CHUNK_BAD},
        {48, 8, 11, WIRE_CHUNK_BAD},
        {56, 8, 1, WIRE_CHUNK_BAD},
        {56, 8, WIRE_CHUNK_SIZE, WIRE_CHUNK_BAD},
        {56, 8, UINT64_MAX, WIRE_CHUNK_BAD},
        {64, 8, 1, WIRE_AUTH_BAD},
        {72, 8, 1, WIRE_AUTH_BAD},
        {80, 8, (uint64_t)1 << 63, WIRE_AUTH_BAD},
    };
    static uint8_t packet[WIRE_PACKET_SIZE];
    struct wire_header h;

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        size_t size = packet_make(packet, 1, 10, 0);
        uint8_t x[8];
        assert_int_equal(wire_decode(&h, packet, size, &FILTER), WIRE_OK);
        le_put_u64(x, CASES[i].x);
        memcpy(packet + CASES[i].at, x, CASES[i].size);
        if (wire_decode(&h, packet, size, &FILTER) != CASES[i].fault) {
            fail_msg("case %zu", i);
        }
    }
}

static void test_packets_of_wrong_length_are_refused(void **state)
{
    static uint8_t packet[WIRE_PACKET_SIZE];
    struct wire_header h;
    size_t size = packet_make(packet, 1, 10, 0);

    (void)state;
    for (size_t n = 0; n < WIRE_HEADER_SIZE; n++) {
        assert_int_equal(wire_decode(&h, packet, n, &FILTER), WIRE_SHORT);
    }
    for (size_t n = WIRE_HEADER_SIZE; n < size; n++) {
        assert_int_equal(wire_decode(&h, packet, n, &FILTER), WIRE_CHUNK_BAD);
    }
    assert_int_equal(wire_decode(&h, packet, size + 1, &FILTER),
                     WIRE_CHUNK_BAD);
}

static void test_every_fault_has_a_text(void **state)
{
    (void)state;
    for (int i = 0; i < WIRE_FAULTS; i++) {
        assert_true(strlen(wire_fault_str((enum wire_fault)i)) > 4);
    }
}

static enum wire_fault add(struct assembly *a,
                           uint64_t id,
                           size_t total,
                           size_t chunk,
                           struct p2p_msg *msg,
                           bool *whole)
{
    static uint8_t packet[WIRE_PACKET_SIZE];
    struct wire_header h;
    size_t size = packet_make(packet, id, total, chunk * WIRE_CHUNK_SIZE);

    assert_int_equal(wire_decode(&h, packet, size, &FILTER), WIRE_OK);
    return assembly_add(a, &h, packet + WIRE_HEADER_SIZE, msg, whole);
}

static void test_chunks_in_any_order_and_twice_make_one_message(void **state)
{
    enum { CHUNKS = 9, TOTAL = 8 * WIRE_CHUNK_SIZE + 1234 };

    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct assembly a;
        struct p2p_msg msg;
        bool whole;
        uint64_t s = rng_stream(RNG_TEST, seed, 0);
        assembly_init(&a);
        for (size_t i = 0; i < CHUNKS; i++) {
            size_t c = rng_permute(1, s, CHUNKS, i);
            assert_int_equal(add(&a, 1, TOTAL, c, &msg, &whole), WIRE_OK);
            assert_int_equal(whole, i == CHUNKS - 1);
            if (!whole) {
                bool again;
                assert_int_equal(add(&a, 1, TOTAL, c, &msg, &again),
                                 WIRE_REPEATED);
                assert_false(again);
            }
        }
        body_expect(msg.body, TOTAL);
        assert_int_equal(msg.peer, 1);
        assert_true(msg.ack == 0x1122334455667788u);
        blob_unref(msg.body);
        assert_int_equal(add(&a, 1, TOTAL, 0, &msg, &whole), WIRE_REPEATED);
        assert_int_equal(a.n_parts, 0);
        assert_int_equal(a.bytes, 0);
        assembly_fini(&a);
    }
}

static void test_messages_come_out_once_each(void **state)
{
    struct assembly a;
    struct p2p_msg msg;
    bool whole;

    (void)state;
    assembly_init(&a);
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t id = i / 100 * 100 + 100 - i % 100; /* Backwards in 100s. */
        assert_int_equal(add(&a, id, 0, 0, &msg, &whole), WIRE_OK);
        assert_true(whole);
        assert_null(msg.body);
        assert_int_equal(add(&a, id, 0, 0, &msg, &whole), WIRE_REPEATED);
        assert_false(whole);
    }
    assert_int_equal(add(&a, 1, 0, 0, &msg, &whole), WIRE_REPEATED);
    assert_int_equal(add(&a, 5000 - ASSEMBLY_WINDOW, 0, 0, &msg, &whole),
                     WIRE_REPEATED);
    assert_int_equal(add(&a, UINT64_MAX, 0, 0, &msg, &whole), WIRE_OK);
    assert_int_equal(add(&a, UINT64_MAX, 0, 0, &msg, &whole), WIRE_REPEATED);
    assert_int_equal(add(&a, UINT64_MAX - 1, 0, 0, &msg, &whole), WIRE_OK);
    assembly_fini(&a);
}

static void test_incomplete_messages_are_bounded(void **state)
{
    enum { TOTAL = 2 * WIRE_CHUNK_SIZE };
    struct assembly a;
    struct p2p_msg msg;
    bool whole;

    (void)state;
    assembly_init(&a);
    for (uint64_t id = 1; id <= ASSEMBLY_MSGS_MAX; id++) {
        assert_int_equal(add(&a, id, TOTAL, 0, &msg, &whole), WIRE_OK);
    }
    assert_int_equal(add(&a, 100, TOTAL, 0, &msg, &whole), WIRE_TOO_MANY);
    assert_int_equal(add(&a, 101, 5, 0, &msg, &whole), WIRE_OK);
    assert_true(whole); /* One that is whole needs no place. */
    blob_unref(msg.body);
    assert_int_equal(add(&a, 7, TOTAL, 1, &msg, &whole), WIRE_OK);
    assert_true(whole);
    blob_unref(msg.body);
    assert_int_equal(add(&a, 100, TOTAL, 0, &msg, &whole), WIRE_OK);
    assembly_fini(&a);
}

static void test_the_bytes_of_incomplete_messages_are_bounded(void **state)
{
    struct assembly a;
    struct p2p_msg msg;
    bool whole;

    (void)state;
    assembly_init(&a);
    /* The memory of a body is used only as its chunks arrive. */
    assert_int_equal(add(&a, 1, P2P_MSG_SIZE_MAX - 100000, 0, &msg, &whole),
                     WIRE_OK);
    assert_int_equal(add(&a, 2, 100001, 0, &msg, &whole), WIRE_TOO_MANY);
    assert_int_equal(add(&a, 2, 100000, 0, &msg, &whole), WIRE_OK);
    assembly_fini(&a);
}

static void test_chunks_that_contradict_are_refused(void **state)
{
    enum { TOTAL = 3 * WIRE_CHUNK_SIZE };
    struct assembly a;
    struct p2p_msg msg;
    bool whole;

    (void)state;
    assembly_init(&a);
    assert_int_equal(add(&a, 1, TOTAL, 0, &msg, &whole), WIRE_OK);
    assert_int_equal(add(&a, 1, TOTAL + 1, 1, &msg, &whole), WIRE_CONTRADICTS);
    assert_int_equal(add(&a, 1, 10, 0, &msg, &whole), WIRE_CONTRADICTS);
    assert_int_equal(add(&a, 1, TOTAL, 1, &msg, &whole), WIRE_OK);
    assert_int_equal(add(&a, 1, TOTAL, 2, &msg, &whole), WIRE_OK);
    assert_true(whole);
    body_expect(msg.body, TOTAL);
    blob_unref(msg.body);
    assembly_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_header_has_its_documented_layout),
        cmocka_unit_test(test_sizes_count_headers),
        cmocka_unit_test(test_bad_headers_are_refused_for_the_right_reason),
        cmocka_unit_test(test_packets_of_wrong_length_are_refused),
        cmocka_unit_test(test_every_fault_has_a_text),
        cmocka_unit_test(test_chunks_in_any_order_and_twice_make_one_message),
        cmocka_unit_test(test_messages_come_out_once_each),
        cmocka_unit_test(test_incomplete_messages_are_bounded),
        cmocka_unit_test(test_the_bytes_of_incomplete_messages_are_bounded),
        cmocka_unit_test(test_chunks_that_contradict_are_refused),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
