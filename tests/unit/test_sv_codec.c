/* Unit tests of sv/codec.h, and of sv/bits.h, sv/gaps.h and sv/values.h below
 * it. */

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/rng.h"
#include "sv/bits.h"
#include "sv/codec.h"
#include "tests/support/batches.h"
#include "tests/support/test.h"

struct fixture {
    struct sv_codec_scratch scratch;
    struct buf out;
    struct sv_batch in, back;
    struct sv_record record;
};

static void encode(struct fixture *f, const struct shape *s)
{
    struct sv_record r = {.view = 1, .origin = 2, .clock = 3, .matrix = 4};
    struct err e;

    sv_codec_scratch_init(&f->scratch);
    buf_init(&f->out);
    batches_make(&f->in, s);
    sv_batch_init(&f->back, s->J, s->K);
    assert_int_equal(sv_codec_encode(&f->out, &r, &f->in, &f->scratch, &e), 0);
}

static int decode(struct fixture *f, struct err *e)
{
    return sv_codec_decode(&f->back, &f->record, f->out.data, f->out.size,
                           &f->scratch, e);
}

static void done(struct fixture *f)
{
    sv_codec_scratch_fini(&f->scratch);
    buf_fini(&f->out);
    sv_batch_fini(&f->in);
    sv_batch_fini(&f->back);
}

static void check_round_trip(const struct shape *s)
{
    struct fixture f;
    struct err e;

    encode(&f, s);
    assert_int_equal(decode(&f, &e), 0);
    assert_int_equal(f.record.kind, SV_RECORD_BATCH);
    assert_true(f.record.clock == 3);
    assert_int_equal(f.record.matrix, 4);
    batches_assert_equal(&f.in, &f.back);
    assert_int_equal(decode(&f, &e), 0); /* Into memory that is there. */
    batches_assert_equal(&f.in, &f.back);
    done(&f);
}

static void test_all_forms_come_back_bit_for_bit(void **state)
{
    static const uint32_t sizes[][3] = {
        {0, 3, 5},   {1, 1, 1},     {1, 3, 5},      {2, 16, 17},
        {7, 5, 100}, {33, 141, 90}, {5, 300, 1000}, {40, 10, 784}};
    struct shape s = {.seed = 1};

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
            check_round_trip(&s);
        }
    }
}

static void test_a_batch_of_the_widest_indices_comes_back(void **state)
{
    uint32_t idx[] = {0, 1, SV_LEN_MAX - 2, SV_LEN_MAX - 1};
    float val[] = {1, 2, 3, 4};
    struct sv_codec_scratch scratch;
    struct sv_batch in, back;
    struct sv_record r = {0};
    struct buf out;
    struct err e;

    (void)state;
    sv_codec_scratch_init(&scratch);
    buf_init(&out);
    sv_batch_init(&in, SV_LEN_MAX, SV_LEN_MAX);
    sv_batch_init(&back, SV_LEN_MAX, SV_LEN_MAX);
    sv_batch_reset(&in, true, true);
    for (uint32_t i = 0; i < 4; i++) {
        struct sv_vec u = {1, idx + i, val}, v = {4 - i, idx + i, val + i};
        assert_int_equal(sv_batch_append(&in, 1, u, v, i, &e), 0);
    }
    assert_int_equal(sv_codec_encode(&out, &r, &in, &scratch, &e), 0);
    assert_int_equal(
        sv_codec_decode(&back, &r, out.data, out.size, &scratch, &e), 0);
    batches_assert_equal(&in, &back);
    sv_batch_fini(&in);
    sv_batch_fini(&back);
    sv_codec_scratch_fini(&scratch);
    buf_fini(&out);
}

/* Many small gaps and a few wide ones: both widths are used. */
static void test_frequent_features_take_fewer_bits_than_rare_ones(void **state)
{
    enum { N = 20, NNZ = 200 };
    uint32_t idx[NNZ];
    float val[NNZ] = {0};
    struct sv_codec_scratch scratch;
    struct sv_batch in, back;
    struct sv_record r = {0};
    struct buf out;
    struct err e;

    (void)state;
    sv_codec_scratch_init(&scratch);
    buf_init(&out);
    sv_batch_init(&in, 1, 1 << 24);
    sv_batch_init(&back, 1, 1 << 24);
    sv_batch_reset(&in, false, true);
    for (uint32_t p = 0; p < N; p++) {
        uint32_t nnz = p < 8 ? NNZ : p * 10, at = 0;
        for (uint32_t i = 0; i < nnz; i++) {
            uint64_t x = rng_u64(p, RNG_TEST, i);
            at += x % 10 == 0 ? (uint32_t)(x >> 46) % 80000 : (uint32_t)x % 3;
            idx[i] = at++;
        }
        assert_int_equal(sv_batch_append(&in, 1, (struct sv_vec){1, NULL, val},
                                         (struct sv_vec){nnz, idx, val}, p, &e),
                         0);
    }
    assert_int_equal(sv_codec_encode(&out, &r, &in, &scratch, &e), 0);
    assert_true(8 * out.size < 6 * sv_vecs_entries(&in.v));
    for (int i = 0; i < 2; i++) { /* At the end, and before more bytes. */
        assert_int_equal(
            sv_codec_decode(&back, &r, out.data, out.size, &scratch, &e), 0);
        batches_assert_equal(&in, &back);
        buf_put(&out, "0123456789", 10);
    }
    sv_batch_fini(&in);
    sv_batch_fini(&back);
    sv_codec_scratch_fini(&scratch);
    buf_fini(&out);
}

static size_t encoded_size(const struct shape *s, bool *packed)
{
    struct fixture f;
    size_t size;
    struct err e;

    encode(&f, s);
    assert_int_equal(decode(&f, &e), 0);
    size = f.record.payload_size;
    *packed = f.record.codec & SV_CODEC_SNAPPY;
    done(&f);
    return size;
}

static void test_few_values_take_few_bytes(void **state)
{
    struct shape s = {.n = 64,
                      .J = 141,
                      .K = 3000,
                      .u_sparse = true,
                      .v_sparse = true,
                      .seed = 11};
    size_t random, few, one;
    bool packed;

    (void)state;
    s.values = RANDOM;
    random = encoded_size(&s, &packed);
    assert_false(packed);
    s.values = FEW;
    few = encoded_size(&s, &packed);
    s.values = ONE;
    one = encoded_size(&s, &packed);
    assert_true(few < random / 3);
    assert_true(one < few);
}

static void test_snappy_is_used_where_it_gains(void **state)
{
    struct shape s = {.n = 32, .J = 10, .K = 784, .values = ONE, .seed = 5};
    bool packed;

    (void)state;
    assert_true(encoded_size(&s, &packed) < 32 * 784 / 8);
    assert_true(packed);
    s.values = RANDOM;
    assert_true(encoded_size(&s, &packed) > 32 * 784 * 4);
    assert_false(packed);
}

static void test_snappy_is_tried_ever_more_rarely(void **state)
{
    struct shape s = {.n = 8, .J = 16, .K = 16, .seed = 7};
    struct sv_record r = {0};
    struct fixture f;
    unsigned tries = 0;
    struct err e;

    (void)state;
    encode(&f, &s);
    for (int i = 0; i < 600; i++) {
        tries += f.scratch.snappy_skip == 0;
        buf_reset(&f.out);
        assert_int_equal(sv_codec_encode(&f.out, &r, &f.in, &f.scratch, &e), 0);
    }
    assert_true(tries > 2 && tries < 12);
    done(&f);
}

/* Put the right checksum on a record that was tampered with. */
static void seal(struct buf *b)
{
    le_put_u64(b->data + 56, hash64_two(b->data, 56, b->data + SV_RECORD_SIZE,
                                        b->size - SV_RECORD_SIZE));
}

static void test_a_record_cut_anywhere_is_no_batch(void **state)
{
    struct shape s = {
        .n = 3, .J = 4, .K = 9, .u_sparse = true, .v_sparse = true, .seed = 4};
    struct fixture f;
    size_t size;

    (void)state;
    encode(&f, &s);
    size = f.out.size;
    for (f.out.size = 0; f.out.size < size; f.out.size++) {
        assert_int_equal(decode(&f, NULL), ERR_AGAIN);
    }
    done(&f);
}

/* Behind a checksum that holds, other bytes may be another valid batch, but
 * never more than that: the sanitizers see to it. */
static void check_tampered(const struct shape *s)
{
    struct fixture f;

    encode(&f, s);
    for (size_t at = 0; at < f.out.size; at++) {
        uint8_t saved = f.out.data[at];
        for (int i = 0; i < 12; i++) {
            int rc;
            f.out.data[at] = (uint8_t)(i < 8 ? saved ^ 1 << i : i * 85);
            if (f.out.data[at] == saved) {
                continue;
            }
            assert_true(decode(&f, NULL) < 0);
            seal(&f.out);
            rc = decode(&f, NULL);
            assert_true(rc == 0 || rc == ERR_CORRUPT || rc == ERR_AGAIN);
            f.out.data[at] = saved;
            seal(&f.out);
        }
    }
    assert_int_equal(decode(&f, NULL), 0);
    done(&f);
}

static void test_no_byte_can_be_changed_to_harm(void **state)
{
    struct shape s = {.n = 3, .J = 5, .K = 40, .seed = 8};

    (void)state;
    for (int form = 0; form < 4 * VALUES_COUNT; form++) {
        s.u_sparse = form & 1;
        s.v_sparse = form & 2;
        s.values = (enum values)(form / 4);
        s.seed++;
        check_tampered(&s);
    }
    s.n = 30; /* Long enough for Snappy. */
    s.values = ONE;
    s.v_sparse = false;
    check_tampered(&s);
}

static void test_a_batch_of_another_shape_is_refused(void **state)
{
    struct shape s = {.n = 3, .J = 4, .K = 9, .seed = 4};
    struct fixture f;
    struct err e;

    (void)state;
    encode(&f, &s);
    sv_batch_fini(&f.back);
    sv_batch_init(&f.back, 4, 10);
    assert_int_equal(decode(&f, &e), ERR_CORRUPT);
    assert_string_equal(e.msg,
                        "batch: kind 1, shape 9 x 4 where 10 x 4 belongs");
    done(&f);
}

static void test_bytes_left_over_are_refused(void **state)
{
    struct shape s = {.n = 3, .J = 4, .K = 9, .seed = 4};
    struct fixture f;
    struct err e;

    (void)state;
    encode(&f, &s);
    buf_put(&f.out, "x", 1);
    le_put_u32(f.out.data + 48, le_u32(f.out.data + 48) + 1);
    le_put_u32(f.out.data + 52, le_u32(f.out.data + 52) + 1);
    seal(&f.out);
    assert_int_equal(decode(&f, &e), ERR_CORRUPT);
    assert_string_equal(e.msg, "batch: 1 bytes left over");
    done(&f);
}

static void test_a_small_record_cannot_claim_much_memory(void **state)
{
    struct sv_record r = {.kind = SV_RECORD_BATCH,
                          .n = SV_N_MAX,
                          .J = SV_LEN_MAX,
                          .K = SV_LEN_MAX,
                          .payload_size = 20,
                          .payload_raw_size = 20};
    uint8_t payload[20] = {1};
    struct fixture f;
    struct err e;

    (void)state;
    for (unsigned codec = 0; codec < SV_CODEC_SNAPPY; codec++) {
        sv_codec_scratch_init(&f.scratch);
        buf_init(&f.out);
        sv_batch_init(&f.in, 1, 1);
        sv_batch_init(&f.back, SV_LEN_MAX, SV_LEN_MAX);
        r.codec = (uint16_t)codec;
        assert_int_equal(sv_record_put(&f.out, &r, payload, &e), 0);
        assert_int_equal(decode(&f, &e), ERR_CORRUPT);
        assert_string_equal(e.msg, "batch: pairs are not all there");
        assert_int_equal(f.back.room, 0);
        done(&f);
    }
}

static void test_runs_of_all_widths_come_back(void **state)
{
    uint32_t x[100], back[100];

    (void)state;
    for (unsigned width = 0; width <= 32; width++) {
        struct buf b;
        const uint8_t *p;
        buf_init(&b);
        for (uint32_t i = 0; i < 100; i++) {
            uint64_t bits = rng_u64(1, RNG_TEST, i * 33 + width);
            x[i] = width == 0 ? 77 : (uint32_t)(bits >> (64 - width));
        }
        for (size_t n = 0; n <= 100; n += n < 10 ? 1 : 30) {
            buf_reset(&b);
            sv_bits_put_run(&b, x, n);
            assert_false(b.failed);
            p = b.data;
            assert_true(sv_bits_get_run(&p, b.data + b.size, back, n));
            assert_ptr_equal(p, b.data + b.size);
            assert_memory_equal(x, back, n * sizeof *x);
            for (size_t cut = 0; cut < b.size; cut++) {
                p = b.data;
                assert_false(sv_bits_get_run(&p, b.data + cut, back, n));
            }
        }
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_forms_come_back_bit_for_bit),
        cmocka_unit_test(test_a_batch_of_the_widest_indices_comes_back),
        cmocka_unit_test(test_frequent_features_take_fewer_bits_than_rare_ones),
        cmocka_unit_test(test_few_values_take_few_bytes),
        cmocka_unit_test(test_snappy_is_used_where_it_gains),
        cmocka_unit_test(test_snappy_is_tried_ever_more_rarely),
        cmocka_unit_test(test_a_record_cut_anywhere_is_no_batch),
        cmocka_unit_test(test_no_byte_can_be_changed_to_harm),
        cmocka_unit_test(test_a_batch_of_another_shape_is_refused),
        cmocka_unit_test(test_bytes_left_over_are_refused),
        cmocka_unit_test(test_a_small_record_cannot_claim_much_memory),
        cmocka_unit_test(test_runs_of_all_widths_come_back),
    };
    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
