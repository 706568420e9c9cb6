/* Unit tests of train/mix.h: what a result does to a replica, and that the log
 * says it. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/test.h"
#include "train/mix.h"

#define K 30000 /* Two pieces. */
#define J 9

struct fixture {
    struct train_replica replica;
    struct sv_state state, naive;
    struct train_mix mix;
    struct sv_apply *apply;
    struct ckpt_step step;
    struct buf records;
};

static void begin(struct fixture *f, enum train_repair repair)
{
    memset(f, 0, sizeof *f);
    f->replica.run = (struct train_run){
        .n_peers = 4, .repair = repair, .repair_clocks = 5, .clocks = 100};
    f->replica.run.multicast.kind = P2P_MULTICAST_RING;
    f->replica.n_states = 1;
    f->replica.states = &f->state;
    for (int i = 0; i < 2; i++) {
        struct sv_state *s = i == 0 ? &f->state : &f->naive;
        assert_int_equal(sv_state_init(s, SV_ROWGRAD, 1e-6f, K, J, NULL), 0);
        for (size_t k = 0; k < K; k++) {
            mat_row(&s->w, k)[k % J] = (float)k / 64;
            s->h[k] = 3;
        }
    }
    f->apply = sv_apply_create();
    ckpt_step_init(&f->step);
    ckpt_step_reset(&f->step, 17);
    buf_init(&f->records);
    assert_int_equal(train_mix_init(&f->mix, &f->replica, 2, NULL), 0);
}

static void end(struct fixture *f)
{
    train_mix_fini(&f->mix);
    sv_state_fini(&f->state);
    sv_state_fini(&f->naive);
    sv_apply_destroy(f->apply);
    ckpt_step_fini(&f->step);
    buf_fini(&f->records);
}

static struct blob *body(const struct fixture *f, uint32_t piece, uint64_t seed)
{
    struct blob *b = train_exchange_body(f->mix.pieces.floats[piece]);

    for (uint32_t i = 0; i < f->mix.pieces.floats[piece]; i++) {
        train_exchange_floats(b)[i] =
            rng_f32(seed, rng_stream(RNG_TEST, piece, 0), i);
    }
    return b;
}

static void test_only_a_schedule_that_leaves_out_is_mixed(void **state)
{
    static const enum train_exchange_kind KINDS[TRAIN_REPAIR_COUNT] = {
        TRAIN_EXCHANGE_NONE, TRAIN_EXCHANGE_NONE, TRAIN_EXCHANGE_STAR,
        TRAIN_EXCHANGE_SHIFT};

    (void)state;
    for (unsigned repair = 0; repair < TRAIN_REPAIR_COUNT; repair++) {
        struct fixture f;
        begin(&f, (enum train_repair)repair);
        assert_int_equal(train_mix_options(&f.mix).kind, KINDS[repair]);
        train_mix_fini(&f.mix);
        f.replica.run.n_peers = 2;
        assert_int_equal(train_mix_init(&f.mix, &f.replica, 0, NULL), 0);
        assert_int_equal(train_mix_options(&f.mix).kind, TRAIN_EXCHANGE_NONE);
        end(&f);
    }
}

static void test_the_difference_is_added_and_stands_in_the_log(void **state)
{
    struct train_exchange_result r[2];
    struct sv_row_block b;
    struct sv_record record;
    size_t at = 0;
    struct fixture f;

    (void)state;
    begin(&f, TRAIN_REPAIR_SYNC);
    assert_int_equal(f.mix.pieces.n, 2);
    for (uint32_t i = 0; i < 2; i++) {
        r[i] = (struct train_exchange_result){.piece = i,
                                              .round = 3,
                                              .part = body(&f, i, 1),
                                              .result = body(&f, i, 2)};
    }
    assert_int_equal(
        train_mix_apply(&f.mix, r, 2, f.apply, &f.step, &f.records, NULL), 0);
    assert_int_equal(f.step.n_ops, 2);
    sv_rows_init(&b);
    for (uint32_t i = 0; i < 2; i++) {
        struct sv_op op = {.kind = SV_OP_MIX, .rows = &b};
        assert_int_equal(f.step.ops[i].kind, SV_OP_MIX);
        assert_int_equal(f.step.ops[i].sequence, i);
        assert_int_equal(sv_rows_decode(&b, &record, f.records.data + at,
                                        f.records.size - at, NULL),
                         0);
        at += SV_RECORD_SIZE + record.payload_size;
        assert_int_equal(record.origin, 2);
        assert_int_equal(record.clock, 17);
        assert_int_equal(record.sequence, i);
        assert_int_equal(b.first, f.mix.pieces.at[i].first);
        for (uint32_t x = 0; x < f.mix.pieces.floats[i]; x++) {
            assert_true(b.values[x] == train_exchange_floats(r[i].result)[x] -
                                           train_exchange_floats(r[i].part)[x]);
        }
        sv_apply_naive(&f.naive, &op, 1);
        blob_unref(r[i].part);
        blob_unref(r[i].result);
    }
    assert_int_equal(at, f.records.size);
    assert_memory_equal(f.state.w.data, f.naive.w.data,
                        K * f.state.w.ld * sizeof(float));
    assert_memory_equal(f.state.h, f.naive.h, K * sizeof(float));
    sv_rows_fini(&b);
    end(&f);
}

static void test_a_result_that_is_not_finite_is_not_added(void **state)
{
    struct train_exchange_result r;
    struct fixture f;
    struct err e;

    (void)state;
    begin(&f, TRAIN_REPAIR_ROTATE);
    r = (struct train_exchange_result){.piece = 1,
                                       .round = 3,
                                       .part = body(&f, 1, 1),
                                       .result = body(&f, 1, 2)};
    train_exchange_floats(r.result)[5] = NAN;
    assert_int_equal(
        train_mix_apply(&f.mix, &r, 1, f.apply, &f.step, &f.records, &e),
        ERR_NOT_FINITE);
    assert_string_equal(e.msg, "rows from 26214 on of matrix 0, exchanged in "
                               "round 3, are not finite");
    assert_int_equal(f.step.n_ops, 0);
    assert_memory_equal(f.state.w.data, f.naive.w.data,
                        K * f.state.w.ld * sizeof(float));
    blob_unref(r.part);
    blob_unref(r.result);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_schedule_that_leaves_out_is_mixed),
        cmocka_unit_test(test_the_difference_is_added_and_stands_in_the_log),
        cmocka_unit_test(test_a_result_that_is_not_finite_is_not_added),
    };
    return cmocka_run_group_tests_name("train/mix", tests, NULL, NULL);
}
