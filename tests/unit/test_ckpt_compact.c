/* Unit tests of ckpt/compact.h: what stays gives the same bits as before, and
 * nothing is lost by what fails between. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "ckpt/compact.h"
#include "ckpt/index.h"
#include "ckpt/replay.h"
#include "ckpt/verify.h"
#include "sv/state.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

#define N 30
#define S 20 /* Compacted to here. */

struct fixture {
    char dir[LOGS_PATH_SIZE];
    struct logs_story story;
};

static void begin(struct fixture *f, enum sv_rule rule)
{
    struct ckpt_log_options o;

    f->story =
        (struct logs_story){.seed = 7, .peers = 3, .matrices = 2, .rule = rule};
    logs_dir_make(f->dir);
    o = logs_options(f->dir);
    o.segment_size_max = 3000;
    logs_write(&f->story, &o, N);
}

static void states_init(const struct fixture *f, struct sv_state *states)
{
    for (size_t m = 0; m < 2; m++) {
        assert_int_equal(sv_state_init(&states[m], f->story.rule, 0.5f, LOGS_K,
                                       LOGS_J, NULL),
                         0);
    }
}

static void states_fini(struct sv_state *states)
{
    sv_state_fini(&states[0]);
    sv_state_fini(&states[1]);
}

/* What training had at @clock. */
static void
train(const struct fixture *f, struct sv_state *states, uint64_t clock)
{
    struct ckpt_step step;

    states_init(f, states);
    ckpt_step_init(&step);
    for (uint64_t c = 0; c < clock; c++) {
        logs_step(&f->story, c, &step);
        for (size_t i = 0; i < step.n_ops; i++) {
            const struct ckpt_op *x = &step.ops[i];
            struct sv_batch b;
            struct sv_row_block rows;
            struct sv_op op = {
                .kind = x->kind, .a = x->a, .batch = &b, .rows = &rows};
            logs_batch(&f->story, x->origin, x->clock, x->matrix, &b);
            sv_batch_scale(&b, x->a);
            logs_rows(&f->story, c, x->matrix, x->sequence, &rows);
            sv_apply_naive(&states[x->matrix], &op, 1);
            sv_rows_fini(&rows);
            sv_batch_fini(&b);
        }
    }
    ckpt_step_fini(&step);
}

static void assert_equal(const struct sv_state *a, const struct sv_state *b)
{
    for (size_t m = 0; m < 2; m++) {
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

static struct ckpt_reader *open_reader(const char *dir)
{
    struct ckpt_reader *r;
    struct err e = {""};

    if (ckpt_reader_open(&r, dir, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    return r;
}

/* W_@clock, from the nearest snapshot, is that of training. */
static void check_clock(const struct fixture *f, uint64_t clock)
{
    struct ckpt_reader *r = open_reader(f->dir);
    const struct ckpt_snapshot *s = ckpt_reader_snapshot(r, clock);
    struct sv_state want[2], have[2];
    struct err e = {""};

    train(f, want, clock);
    states_init(f, have);
    if (s != NULL) {
        assert_int_equal(ckpt_reader_load(r, s, have, 2, &e), 0);
    }
    if (ckpt_replay(r, have, 2, s == NULL ? 0 : s->clock, clock, NULL, &e) !=
        0) {
        fail_msg("%s", e.msg);
    }
    assert_equal(want, have);
    states_fini(want);
    states_fini(have);
    ckpt_reader_close(r);
}

static void check_sound(const struct fixture *f)
{
    struct ckpt_verify_report report;
    struct err e = {""};

    if (ckpt_verify(f->dir, &report, NULL, NULL, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_true(report.findings == 0);
}

static int compact(const struct fixture *f,
                   uint64_t clock,
                   struct ckpt_fs *fs,
                   struct ckpt_compact_report *report,
                   struct err *e)
{
    struct ckpt_compact_options o = {
        .dir = f->dir, .own_from = clock, .index = true, .fs = fs};
    struct ckpt_reader *r = open_reader(f->dir);
    struct sv_state states[2];
    int rc;

    train(f, states, clock);
    rc = ckpt_compact(r, clock, states, 2, &o, report, e);
    states_fini(states);
    ckpt_reader_close(r);
    return rc;
}

static uint64_t first_of(const struct fixture *f)
{
    struct ckpt_reader *r = open_reader(f->dir);
    uint64_t first = ckpt_reader_first(r);

    assert_true(ckpt_reader_clocks(r) == N);
    ckpt_reader_close(r);
    return first;
}

/* Digests of the stories are of nothing, so verify would find them wrong: a
 * clock without one is what is compacted to. */
static void test_what_stays_gives_the_bits_of_training(void **state)
{
    (void)state;
    for (int rule = 0; rule < SV_RULE_COUNT; rule++) {
        struct ckpt_compact_report report;
        struct fixture f;
        begin(&f, (enum sv_rule)rule);
        assert_int_equal(compact(&f, S, NULL, &report, NULL), 0);
        assert_true(report.segments > 2 && report.bytes > 6000);
        assert_true(first_of(&f) == S);
        for (uint64_t c = S; c <= N; c += 5) {
            check_clock(&f, c);
        }
        check_sound(&f);
        assert_int_equal(compact(&f, N - 1, NULL, &report, NULL), 0);
        assert_true(first_of(&f) == N - 1);
        check_clock(&f, N);
        check_sound(&f);
        logs_dir_remove(f.dir);
    }
}

static void test_clocks_before_are_gone_and_that_is_said(void **state)
{
    struct ckpt_compact_report report;
    struct sv_state states[2];
    struct ckpt_reader *r;
    struct ckpt_step step;
    struct fixture f;
    struct err e;

    (void)state;
    begin(&f, SV_PLAIN);
    assert_int_equal(compact(&f, S, NULL, &report, NULL), 0);
    r = open_reader(f.dir);
    states_init(&f, states);
    ckpt_step_init(&step);
    assert_int_equal(ckpt_replay(r, states, 2, 0, N, NULL, &e), ERR_NOT_FOUND);
    assert_string_equal(e.msg, "replay from clock 0: the log was compacted, it "
                               "begins at clock 20");
    assert_int_equal(ckpt_reader_step(r, S - 1, &step, &e), ERR_NOT_FOUND);
    assert_string_equal(e.msg, "clock 19: the log was compacted, it begins at "
                               "clock 20");
    ckpt_step_fini(&step);
    states_fini(states);
    ckpt_reader_close(r);
    assert_int_equal(compact(&f, N, NULL, &report, NULL), 0);
    logs_dir_remove(f.dir);
}

static void test_a_compacted_log_is_gone_on_with(void **state)
{
    static const uint64_t at[] = {S, S + 1, S + 5, N};

    (void)state;
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        struct ckpt_compact_report report;
        struct ckpt_log_options o;
        struct ckpt_log *log;
        struct fixture f;
        struct err e = {""};
        begin(&f, SV_ROWGRAD);
        assert_int_equal(compact(&f, S, NULL, &report, NULL), 0);
        o = logs_options(f.dir);
        o.segment_size_max = 3000;
        assert_int_equal(ckpt_log_reopen(&log, &o, S - 1, &e), ERR_NOT_FOUND);
        if (ckpt_log_reopen(&log, &o, at[i], &e) != 0) {
            fail_msg("%s", e.msg);
        }
        assert_int_equal(logs_put(log, &f.story, at[i], N, &e), 0);
        assert_int_equal(ckpt_log_close(log, &e), 0);
        assert_true(first_of(&f) == S);
        check_clock(&f, S);
        check_clock(&f, N);
        check_sound(&f);
        logs_dir_remove(f.dir);
    }
}

/* A log that goes on from before a snapshot goes another way. */
static void test_a_snapshot_behind_a_cut_goes_too(void **state)
{
    struct ckpt_log_options o;
    struct sv_state states[2];
    struct ckpt_snapshot s = {.run = LOGS_RUN, .clock = S};
    struct ckpt_log *log;
    struct fixture f;
    uint64_t *clocks;
    size_t n;

    (void)state;
    begin(&f, SV_PLAIN);
    train(&f, states, S);
    assert_int_equal(
        ckpt_snapshot_write(ckpt_fs_real(), f.dir, &s, states, 2, NULL), 0);
    o = logs_options(f.dir);
    assert_int_equal(ckpt_log_reopen(&log, &o, S, NULL), 0);
    assert_int_equal(ckpt_log_close(log, NULL), 0);
    assert_int_equal(ckpt_snapshot_list(f.dir, &clocks, &n, NULL), 0);
    assert_int_equal(n, 1);
    free(clocks);
    assert_int_equal(ckpt_log_reopen(&log, &o, S - 1, NULL), 0);
    assert_int_equal(ckpt_log_close(log, NULL), 0);
    assert_int_equal(ckpt_snapshot_list(f.dir, &clocks, &n, NULL), 0);
    assert_int_equal(n, 0);
    free(clocks);
    states_fini(states);
    logs_dir_remove(f.dir);
}

/* Every call fails once, or from there on. */
static void check_every_call(int cause, bool forever)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct ckpt_compact_report report;
        struct fixture f;
        struct logs_fs fs;
        struct err e = {""};
        uint64_t first;
        int rc;
        begin(&f, SV_ROWGRAD);
        logs_fs_init(&fs);
        fs.fail_at = n;
        fs.cause = cause;
        fs.forever = forever;
        fs.half = true;
        rc = compact(&f, S, &fs.fs, &report, &e);
        failed = fs.n_ops > n;
        if (failed && rc != 0) {
            assert_int_equal(rc, cause == ENOSPC ? ERR_FULL : ERR_IO);
        }
        first = first_of(&f);
        assert_true(first == 0 || first == S);
        check_clock(&f, S);
        check_clock(&f, N);
        check_sound(&f);
        if (compact(&f, S, NULL, &report, &e) != 0) {
            fail_msg("call %ld: %s", n, e.msg);
        }
        assert_true(first_of(&f) == S);
        check_clock(&f, N);
        check_sound(&f);
        logs_dir_remove(f.dir);
        assert_true(n < 1000);
    }
}

static void test_nothing_is_lost_by_a_call_that_fails(void **state)
{
    (void)state;
    check_every_call(ENOSPC, true);
    check_every_call(EIO, false);
}

static void hurt(const char *dir, const char *name, size_t at)
{
    uint8_t *data;
    size_t size;

    logs_file_read(dir, name, &data, &size);
    data[at] ^= 1;
    logs_file_write(dir, name, data, size);
    free(data);
}

static void test_a_damaged_snapshot_is_named(void **state)
{
    struct ckpt_compact_report report;
    struct ckpt_verify_report verified;
    struct sv_state states[2];
    struct ckpt_reader *r;
    struct fixture f;
    struct err e;

    (void)state;
    begin(&f, SV_ROWGRAD);
    assert_int_equal(compact(&f, S, NULL, &report, NULL), 0);
    hurt(f.dir, "snapshots/clock-20/h-1.npy", 130);
    r = open_reader(f.dir);
    states_init(&f, states);
    assert_int_equal(
        ckpt_reader_load(r, ckpt_reader_snapshot(r, N), states, 2, &e),
        ERR_CORRUPT);
    assert_string_equal(e.msg, "snapshots/clock-20/h-1.npy: not what was "
                               "written: its digest differs");
    states_fini(states);
    ckpt_reader_close(r);
    assert_int_equal(ckpt_verify(f.dir, &verified, NULL, NULL, NULL), 0);
    assert_true(verified.findings == 1 && verified.snapshots == 0);
    hurt(f.dir, "snapshots/clock-20/state", 40);
    assert_int_equal(ckpt_reader_open(&r, f.dir, &e), ERR_CORRUPT);
    assert_non_null(
        strstr(e.msg, "no snapshot stands in for those before it: "));
    assert_non_null(strstr(e.msg, "clock-20/state: bad size or checksum"));
    logs_dir_remove(f.dir);
}

/* While all segments are there a snapshot is a convenience. A bad one is made
 * again when segments are to go. */
static void test_a_bad_snapshot_is_never_relied_on(void **state)
{
    struct ckpt_snapshot s = {.run = LOGS_RUN, .clock = S};
    struct ckpt_compact_report report;
    struct sv_state states[2];
    struct fixture f;
    struct err e = {""};

    (void)state;
    for (int i = 0; i < 2; i++) {
        begin(&f, SV_ROWGRAD);
        train(&f, states, S);
        assert_int_equal(
            ckpt_snapshot_write(ckpt_fs_real(), f.dir, &s, states, 2, NULL), 0);
        states_fini(states);
        hurt(f.dir,
             i == 0 ? "snapshots/clock-20/state" : "snapshots/clock-20/W-0.npy",
             140);
        assert_true(first_of(&f) == 0);
        if (compact(&f, S, NULL, &report, &e) != 0) {
            fail_msg("%s", e.msg);
        }
        assert_true(first_of(&f) == S);
        check_clock(&f, N);
        check_sound(&f);
        logs_dir_remove(f.dir);
    }
}

static int count(void *n, int columns, char **values, char **names)
{
    (void)columns;
    (void)names;
    *(int *)n = atoi(values[0]);
    return 0;
}

static int rows_of(const char *dir, const char *sql)
{
    char path[2 * LOGS_PATH_SIZE];
    sqlite3 *db;
    int n = -1;

    snprintf(path, sizeof path, "%s/index.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, count, &n, NULL), SQLITE_OK);
    sqlite3_close(db);
    return n;
}

static void test_the_index_knows_snapshots_and_reindex_finds_them(void **state)
{
    static const char sql[] = "SELECT count(*) FROM snapshot WHERE clock = 20";
    struct ckpt_compact_report report;
    struct fixture f;

    (void)state;
    begin(&f, SV_PLAIN);
    assert_int_equal(compact(&f, S, NULL, &report, NULL), 0);
    assert_int_equal(rows_of(f.dir, sql), 2);
    assert_int_equal(rows_of(f.dir, "SELECT min(number) FROM segment"),
                     report.segments);
    assert_int_equal(rows_of(f.dir, "SELECT count(*) FROM metric"), N);
    assert_int_equal(ckpt_index_remove(f.dir, NULL), 0);
    check_clock(&f, N);
    assert_int_equal(ckpt_log_reindex(f.dir, NULL), 0);
    assert_int_equal(rows_of(f.dir, sql), 2);
    check_sound(&f);
    logs_dir_remove(f.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_stays_gives_the_bits_of_training),
        cmocka_unit_test(test_clocks_before_are_gone_and_that_is_said),
        cmocka_unit_test(test_a_compacted_log_is_gone_on_with),
        cmocka_unit_test(test_a_snapshot_behind_a_cut_goes_too),
        cmocka_unit_test(test_nothing_is_lost_by_a_call_that_fails),
        cmocka_unit_test(test_a_damaged_snapshot_is_named),
        cmocka_unit_test(test_a_bad_snapshot_is_never_relied_on),
        cmocka_unit_test(test_the_index_knows_snapshots_and_reindex_finds_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
