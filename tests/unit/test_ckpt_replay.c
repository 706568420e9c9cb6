/* Unit tests of ckpt/replay.h: replay gives the bits that training had. */

#include <stdlib.h>
#include <string.h>

#include "ckpt/replay.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

#define N 14

static void states_init(const struct logs_story *s, struct sv_state *states)
{
    struct err e;

    for (uint16_t m = 0; m < s->matrices; m++) {
        assert_int_equal(
            sv_state_init(&states[m], s->rule, 0.5f, LOGS_K, LOGS_J, &e), 0);
        for (size_t k = 0; k < LOGS_K; k++) {
            for (size_t j = 0; j < LOGS_J; j++) {
                mat_row(&states[m].w, k)[j] = (float)(k + j) / 16.0f;
            }
        }
    }
}

static void states_fini(const struct logs_story *s, struct sv_state *states)
{
    for (uint16_t m = 0; m < s->matrices; m++) {
        sv_state_fini(&states[m]);
    }
}

static void assert_states_equal(const struct logs_story *s,
                                const struct sv_state *a,
                                const struct sv_state *b)
{
    for (uint16_t m = 0; m < s->matrices; m++) {
        size_t size = LOGS_K * a[m].w.ld * sizeof(float);
        assert_memory_equal(a[m].w.data, b[m].w.data, size);
        if (a[m].aux.data != NULL) {
            assert_memory_equal(a[m].aux.data, b[m].aux.data, size);
        }
        if (a[m].h != NULL) {
            assert_memory_equal(a[m].h, b[m].h, LOGS_K * sizeof(float));
        }
    }
}

static void naive_op(const struct logs_story *s,
                     uint64_t clock,
                     const struct ckpt_op *logged,
                     struct sv_state *state)
{
    struct sv_batch b;
    struct sv_row_block rows;
    struct sv_op op = {
        .kind = logged->kind, .a = logged->a, .batch = &b, .rows = &rows};

    logs_rows(s, clock, logged->matrix, logged->sequence, &rows);
    logs_batch(s, logged->origin, logged->clock, logged->matrix, &b);
    sv_batch_scale(&b, logged->a);
    sv_apply_naive(state, &op, 1);
    sv_batch_fini(&b);
    sv_rows_fini(&rows);
}

/* What training does: the ops of each clock, one by one. */
static void train(const struct logs_story *s,
                  struct sv_state *states,
                  uint64_t from,
                  uint64_t to)
{
    struct ckpt_step step;

    ckpt_step_init(&step);
    for (uint64_t c = from; c < to; c++) {
        logs_step(s, c, &step);
        for (size_t i = 0; i < step.n_ops; i++) {
            naive_op(s, c, &step.ops[i], &states[step.ops[i].matrix]);
        }
    }
    ckpt_step_fini(&step);
}

struct fixture {
    char dir[LOGS_PATH_SIZE];
    struct logs_story story;
    struct ckpt_reader *reader;
};

static void begin(struct fixture *f, enum sv_rule rule, uint16_t matrices)
{
    struct ckpt_log_options o;
    struct err e = {""};

    f->story = (struct logs_story){
        .seed = 5, .peers = 3, .matrices = matrices, .rule = rule};
    logs_dir_make(f->dir);
    o = logs_options(f->dir);
    o.segment_size_max = 3000;
    logs_write(&f->story, &o, N);
    assert_int_equal(ckpt_reader_open(&f->reader, f->dir, &e), 0);
}

static void end(struct fixture *f)
{
    ckpt_reader_close(f->reader);
    logs_dir_remove(f->dir);
}

/* Replay in two parts, in groups of @memory_max, against training. */
static void check(struct fixture *f,
                  uint64_t middle,
                  uint64_t to,
                  size_t memory_max,
                  struct pool *pool)
{
    struct ckpt_replay_options o = {.pool = pool, .memory_max = memory_max};
    struct sv_state want[2], have[2];
    struct err e = {""};

    states_init(&f->story, want);
    states_init(&f->story, have);
    train(&f->story, want, 0, to);
    assert_int_equal(
        ckpt_replay(f->reader, have, f->story.matrices, 0, middle, &o, &e), 0);
    assert_int_equal(
        ckpt_replay(f->reader, have, f->story.matrices, middle, to, &o, &e), 0);
    assert_states_equal(&f->story, want, have);
    states_fini(&f->story, want);
    states_fini(&f->story, have);
}

static void test_replay_gives_the_bits_of_training(void **state)
{
    static const size_t memory[] = {1, 2000, 0};
    struct pool *pool;
    struct err e;

    (void)state;
    assert_int_equal(pool_create(&pool, 3, &e), 0);
    for (int rule = 0; rule < SV_RULE_COUNT; rule++) {
        struct fixture f;
        begin(&f, (enum sv_rule)rule, 2);
        for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) {
            for (uint64_t to = 0; to <= N; to += 7) {
                check(&f, 0, to, memory[i], NULL);
                check(&f, to / 2, to, memory[i], pool);
            }
        }
        end(&f);
    }
    pool_destroy(pool);
}

/* Counts ops that are watched, and wants each twice. */
static void look(void *arg,
                 uint64_t clock,
                 const struct ckpt_op *op,
                 const struct sv_batch *batch,
                 bool done)
{
    int *n = arg;

    assert_true(clock < N);
    assert_true((batch != NULL) == (op->kind == SV_OP_APPLY));
    assert_int_equal(done, *n % 2);
    ++*n;
}

static void test_ops_that_are_watched_change_the_same_bits(void **state)
{
    (void)state;
    for (int rule = 0; rule < SV_RULE_COUNT; rule++) {
        int n = 0, n_ops = 0;
        struct ckpt_replay_options o = {.watch = look, .watch_arg = &n};
        struct sv_state want[2], have[2];
        struct ckpt_step step;
        struct fixture f;
        begin(&f, (enum sv_rule)rule, 2);
        states_init(&f.story, want);
        states_init(&f.story, have);
        train(&f.story, want, 0, N);
        assert_int_equal(ckpt_replay(f.reader, have, 2, 0, N, &o, NULL), 0);
        assert_states_equal(&f.story, want, have);
        ckpt_step_init(&step);
        for (uint64_t c = 0; c < N; c++) {
            logs_step(&f.story, c, &step);
            n_ops += (int)step.n_ops;
        }
        assert_int_equal(n, 2 * n_ops);
        ckpt_step_fini(&step);
        states_fini(&f.story, want);
        states_fini(&f.story, have);
        end(&f);
    }
}

/* Batches of peer 1, from clock 4 of the job on. */
static bool skip_one(void *arg, uint64_t clock, const struct ckpt_op *op)
{
    (void)arg;
    return clock >= 4 && op->kind == SV_OP_APPLY && op->origin == 1;
}

static void test_what_is_left_out_changes_nothing(void **state)
{
    struct ckpt_replay_options o = {.skip = skip_one};
    struct sv_state want[1], have[1];
    struct ckpt_step step;
    struct fixture f;

    (void)state;
    begin(&f, SV_ROWGRAD, 1);
    states_init(&f.story, want);
    states_init(&f.story, have);
    ckpt_step_init(&step);
    for (uint64_t c = 0; c < N; c++) {
        logs_step(&f.story, c, &step);
        for (size_t i = 0; i < step.n_ops; i++) {
            if (!skip_one(NULL, c, &step.ops[i])) {
                naive_op(&f.story, c, &step.ops[i], want);
            }
        }
    }
    assert_int_equal(ckpt_replay(f.reader, have, 1, 0, N, &o, NULL), 0);
    assert_states_equal(&f.story, want, have);
    ckpt_step_fini(&step);
    states_fini(&f.story, want);
    states_fini(&f.story, have);
    end(&f);
}

static int count(void *arg, uint64_t clock)
{
    uint64_t *last = arg;

    assert_true(clock > *last);
    *last = clock;
    return clock >= 5;
}

static void test_replay_can_be_stopped_between_passes(void **state)
{
    uint64_t last = 0;
    struct ckpt_replay_options o = {
        .memory_max = 1, .progress = count, .progress_arg = &last};
    struct sv_state want[2], have[2];
    struct fixture f;
    struct err e;

    (void)state;
    begin(&f, SV_PLAIN, 2);
    states_init(&f.story, want);
    states_init(&f.story, have);
    assert_int_equal(ckpt_replay(f.reader, have, 2, 0, N, &o, &e),
                     ERR_INTERRUPTED);
    assert_true(last == 5);
    train(&f.story, want, 0, 5);
    assert_states_equal(&f.story, want, have);
    states_fini(&f.story, want);
    states_fini(&f.story, have);
    end(&f);
}

static void test_replay_beyond_the_log_changes_nothing(void **state)
{
    struct sv_state want[1], have[1];
    struct fixture f;
    struct err e;

    (void)state;
    begin(&f, SV_PLAIN, 1);
    states_init(&f.story, want);
    states_init(&f.story, have);
    assert_int_equal(ckpt_replay(f.reader, have, 1, 3, N + 1, NULL, &e),
                     ERR_NOT_FOUND);
    assert_string_equal(e.msg, "replay from clock 3 to 15: the log has 14");
    assert_int_equal(ckpt_replay(f.reader, have, 1, 5, 4, NULL, &e),
                     ERR_NOT_FOUND);
    assert_states_equal(&f.story, want, have);
    states_fini(&f.story, want);
    states_fini(&f.story, have);
    end(&f);
}

static void test_an_op_on_no_matrix_is_damage(void **state)
{
    struct sv_state have[2];
    struct fixture f;
    struct err e;

    (void)state;
    begin(&f, SV_PLAIN, 2);
    states_init(&f.story, have);
    assert_int_equal(ckpt_replay(f.reader, have, 1, 0, N, NULL, &e),
                     ERR_CORRUPT);
    assert_string_equal(e.msg, "replay of clock 0: op on matrix 1 of 1");
    states_fini(&f.story, have);
    end(&f);
}

/* A log of one clock whose step adds the block to matrix 0; NULL: it names a
 * block that is not there. */
static void begin_with_rows(struct fixture *f, const struct sv_row_block *b)
{
    struct ckpt_log_options o;
    struct sv_record r = {.sequence = 2};
    struct ckpt_log *log;
    struct ckpt_step step;
    struct buf out;
    struct blob *blob;
    struct err e = {""};

    f->story = (struct logs_story){.seed = 5, .peers = 1, .matrices = 1};
    logs_dir_make(f->dir);
    o = logs_options(f->dir);
    buf_init(&out);
    ckpt_step_init(&step);
    if (b != NULL) {
        assert_int_equal(sv_rows_encode(&out, &r, b, &e), 0);
        r.sequence = 3; /* Another one, which is not meant. */
        assert_int_equal(sv_rows_encode(&out, &r, b, &e), 0);
    }
    assert_int_equal(
        ckpt_step_add(&step,
                      &(struct ckpt_op){.kind = SV_OP_MIX, .sequence = 2}, &e),
        0);
    assert_int_equal(ckpt_step_write(&out, 0, 0, &step, &e), 0);
    blob = blob_copy(out.data, out.size);
    assert_int_equal(ckpt_log_create(&log, &o, &e), 0);
    assert_int_equal(ckpt_log_put(log, blob, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
    assert_int_equal(ckpt_reader_open(&f->reader, f->dir, &e), 0);
    blob_unref(blob);
    ckpt_step_fini(&step);
    buf_fini(&out);
}

static void test_rows_that_do_not_fit_the_matrix_are_damage(void **state)
{
    struct sv_row_block b;
    struct sv_state have[1];
    struct fixture f;
    struct err e = {""};

    (void)state;
    sv_rows_init(&b);
    assert_int_equal(sv_rows_resize(&b, LOGS_K - 1, 2, LOGS_J, &e), 0);
    memset(b.values, 0, sizeof(float) * 2 * LOGS_J);
    begin_with_rows(&f, &b);
    states_init(&f.story, have);
    assert_int_equal(ckpt_replay(f.reader, have, 1, 0, 1, NULL, &e),
                     ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "2 rows of 7 floats from row 22 on are none "
                                  "of a matrix of 23 rows"));
    states_fini(&f.story, have);
    sv_rows_fini(&b);
    end(&f);
}

static void test_a_step_without_its_rows_does_not_count(void **state)
{
    struct fixture f;

    (void)state;
    begin_with_rows(&f, NULL);
    assert_int_equal(ckpt_reader_clocks(f.reader), 0);
    end(&f);
}

/* The index hides the damage from the reader; decoding finds it. */
static void test_a_damaged_batch_is_named(void **state)
{
    struct sv_state have[2];
    struct fixture f;
    struct err e = {""};
    uint8_t *data;
    size_t size;

    (void)state;
    begin(&f, SV_PLAIN, 2);
    ckpt_reader_close(f.reader);
    logs_file_read(f.dir, "segments/00000001.seg", &data, &size);
    data[64 + 64 + 17 + 70] ^= 1; /* In the first record of the segment. */
    logs_file_write(f.dir, "segments/00000001.seg", data, size);
    free(data);
    states_init(&f.story, have);
    assert_int_equal(ckpt_reader_open(&f.reader, f.dir, &e), 0);
    assert_int_equal(ckpt_replay(f.reader, have, 2, 0, N, NULL, &e),
                     ERR_CORRUPT);
    assert_non_null(strstr(
        e.msg, "segments/00000001.seg: offset 145: record: bad checksum"));
    states_fini(&f.story, have);
    end(&f);
}

/* A peer that was resumed makes the batch again, and other bytes if its
 * replica was another: each step means the one it had. */
static void test_a_batch_made_again_does_not_change_the_past(void **state)
{
    struct logs_story first = {.seed = 1, .peers = 1, .matrices = 1};
    struct logs_story again = {.seed = 2, .peers = 1, .matrices = 1};
    struct ckpt_log_options o;
    struct sv_state want[1], have[1];
    struct fixture f = {.story = first};
    struct ckpt_log *log;
    struct ckpt_step step;
    struct buf b;
    struct blob *blob;
    struct err e = {""};

    (void)state;
    logs_dir_make(f.dir);
    o = logs_options(f.dir);
    logs_write(&first, &o, 3);
    assert_int_equal(ckpt_log_reopen(&log, &o, 3, &e), 0);
    blob = logs_clock(&again, 2); /* Clock 2 once more, under a new step. */
    {
        struct sv_record r;
        size_t size;
        assert_int_equal(sv_record_read(&r, blob->data, blob->size, &size, &e),
                         0);
        buf_init(&b);
        buf_put(&b, blob->data, size);
    }
    blob_unref(blob);
    ckpt_step_init(&step);
    logs_step(&first, 2, &step);
    step.clock = 3;
    assert_int_equal(ckpt_step_write(&b, 1, 0, &step, &e), 0);
    blob = blob_copy(b.data, b.size);
    assert_int_equal(ckpt_log_put(log, blob, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);

    states_init(&first, want);
    states_init(&first, have);
    train(&first, want, 0, 3);
    train(&again, want, 2, 3);
    assert_int_equal(ckpt_reader_open(&f.reader, f.dir, &e), 0);
    assert_int_equal(ckpt_replay(f.reader, have, 1, 0, 4, NULL, &e), 0);
    assert_states_equal(&first, want, have);
    states_fini(&first, want);
    states_fini(&first, have);
    ckpt_step_fini(&step);
    blob_unref(blob);
    buf_fini(&b);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_gives_the_bits_of_training),
        cmocka_unit_test(test_ops_that_are_watched_change_the_same_bits),
        cmocka_unit_test(test_what_is_left_out_changes_nothing),
        cmocka_unit_test(test_replay_can_be_stopped_between_passes),
        cmocka_unit_test(test_replay_beyond_the_log_changes_nothing),
        cmocka_unit_test(test_an_op_on_no_matrix_is_damage),
        cmocka_unit_test(test_rows_that_do_not_fit_the_matrix_are_damage),
        cmocka_unit_test(test_a_step_without_its_rows_does_not_count),
        cmocka_unit_test(test_a_damaged_batch_is_named),
        cmocka_unit_test(test_a_batch_made_again_does_not_change_the_past),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
