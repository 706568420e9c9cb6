/* The log on files that fail: ckpt/log.h promises that whatever was durable is
 * there, and that the log goes on once the disk is well again. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt/reader.h"
#include "ckpt/verify.h"
#include "ckpt/writer.h"
#include "core/rng.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

#define N 9

static const struct logs_story STORY = {.seed = 3,
                                        .peers = 2,
                                        .matrices = 1,
                                        .rule = SV_PLAIN};

struct outcome {
    bool created;
    int rc;           /* Of the first call that failed, or 0. */
    uint64_t durable; /* What the log said at last. */
};

/* Write clocks @from..N-1, syncing now and then, as far as the files go. */
static void write_some(struct ckpt_log *log, uint64_t from, struct outcome *out)
{
    struct err e = {""}, again = {""};

    for (uint64_t c = from; out->rc == 0 && c < N; c++) {
        out->rc = logs_put(log, &STORY, c, c + 1, &e);
        if (out->rc == 0 && c % 2 == 1) {
            out->rc = ckpt_log_sync(log, &e);
        }
    }
    if (out->rc != 0) { /* Again and again. */
        assert_int_equal(ckpt_log_sync(log, &again), out->rc);
        assert_string_equal(e.msg, again.msg);
        assert_int_equal(logs_put(log, &STORY, 0, 1, &again), out->rc);
        assert_string_equal(e.msg, again.msg);
        assert_int_equal(ckpt_log_failed(log), out->rc);
    }
    out->durable = ckpt_log_durable_clock(log);
    if (ckpt_log_close(log, &e) != 0 && out->rc == 0) {
        out->rc = ERR_IO;
    } else if (out->rc == 0) {
        out->durable = N;
    }
}

static struct outcome attempt(const char *dir, struct logs_fs *fs)
{
    struct outcome out = {0};
    struct ckpt_log_options o = logs_options(dir);
    struct ckpt_log *log;
    struct err e = {""};

    o.fs = &fs->fs;
    o.durability = CKPT_DURABILITY_CLOCK;
    o.segment_size_max = 1500;
    out.rc = ckpt_log_create(&log, &o, &e);
    out.created = out.rc == 0;
    if (out.created) {
        write_some(log, 0, &out);
    }
    return out;
}

/* What was durable is there, more may be; then the rest can be written. */
static void heal(const char *dir, uint64_t durable)
{
    struct ckpt_log_options o = logs_options(dir);
    struct ckpt_verify_report report;
    struct ckpt_reader *r;
    struct ckpt_log *log;
    struct err e = {""};
    uint64_t clocks;

    if (ckpt_reader_open(&r, dir, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    clocks = ckpt_reader_clocks(r);
    assert_true(clocks >= durable && clocks <= N);
    ckpt_reader_close(r);
    o.segment_size_max = 1500;
    if (ckpt_log_reopen(&log, &o, clocks, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(logs_put(log, &STORY, clocks, N + 2, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
    logs_check(&STORY, dir, N + 2);
    assert_int_equal(ckpt_verify(dir, &report, NULL, NULL, &e), 0);
    assert_true(report.findings == 0 && report.behind == 0);
}

/* A log that could not even be begun may be begun once more, or gone on with if
 * it could not be removed either. */
static void begin_again(const char *dir)
{
    struct ckpt_log_options o = logs_options(dir);
    struct ckpt_log *log;
    struct err e = {""};
    int rc = ckpt_log_create(&log, &o, &e);

    if (rc == ERR_BUSY) {
        rc = ckpt_log_reopen(&log, &o, 0, &e);
    }
    if (rc != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(logs_put(log, &STORY, 0, N, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
    logs_check(&STORY, dir, N);
}

static void check_every_call(int cause, bool forever, bool half)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        char top[LOGS_PATH_SIZE], dir[2 * LOGS_PATH_SIZE];
        struct outcome out;
        struct logs_fs fs;
        logs_dir_make(top);
        snprintf(dir, sizeof dir, "%.200s/peer", top);
        logs_fs_init(&fs);
        fs.fail_at = n;
        fs.cause = cause;
        fs.forever = forever;
        fs.half = half;
        out = attempt(dir, &fs);
        failed = fs.n_ops > n;
        if (!out.created) {
            assert_true(failed);
            begin_again(dir);
        } else {
            if (failed) {
                assert_int_equal(out.rc, cause == ENOSPC && out.rc != ERR_IO
                                             ? ERR_FULL
                                             : ERR_IO);
            }
            heal(dir, out.durable);
        }
        logs_dir_remove(top);
        assert_true(n < 1000);
    }
}

static void test_any_call_may_fail_once(void **state)
{
    (void)state;
    check_every_call(EIO, false, false);
}

static void test_a_disk_may_go_away_at_any_call(void **state)
{
    (void)state;
    check_every_call(EIO, true, true);
}

static void test_a_disk_may_be_full_at_any_call(void **state)
{
    (void)state;
    check_every_call(ENOSPC, false, true);
    check_every_call(ENOSPC, true, false);
}

static void test_a_full_disk_is_said_to_be_full(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_log *log;
    struct logs_sink sink;
    struct logs_fs fs;
    struct err e = {""};

    (void)state;
    logs_dir_make(dir);
    logs_fs_init(&fs);
    logs_sink_init(&sink);
    o = logs_options(dir);
    o.fs = &fs.fs;
    o.log = &sink.log;
    assert_int_equal(ckpt_log_create(&log, &o, &e), 0);
    assert_int_equal(logs_put(log, &STORY, 0, 3, &e), 0);
    assert_int_equal(ckpt_log_sync(log, &e), 0);
    fs.fail_at = fs.n_ops;
    fs.cause = ENOSPC;
    fs.half = true;
    assert_int_equal(logs_put(log, &STORY, 3, 4, &e), 0);
    assert_int_equal(ckpt_log_sync(log, &e), ERR_FULL);
    assert_string_equal(
        e.msg, "segments/00000000.seg: write: No space left on device");
    assert_string_equal(
        sink.last,
        "log of peer 0: segments/00000000.seg: write: No space left on device");
    assert_int_equal(ckpt_log_close(log, &e), ERR_FULL);
    logs_check(&STORY, dir, 3); /* The torn half of clock 3 is gone. */
    {
        struct ckpt_verify_report report;
        assert_int_equal(ckpt_verify(dir, &report, NULL, NULL, &e), 0);
        assert_true(report.torn == 0 && report.findings == 0);
    }
    logs_dir_remove(dir);
}

/* The files fail from some call on, and what they did not sync is lost. */
static void cut_power(uint64_t seed)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_log *log;
    struct outcome out = {0};
    struct logs_fs fs;
    struct err e = {""};

    logs_dir_make(dir);
    logs_fs_init(&fs);
    o = logs_options(dir);
    o.fs = &fs.fs;
    o.durability = seed % 2 == 0 ? CKPT_DURABILITY_CLOCK : CKPT_DURABILITY_NONE;
    o.segment_size_max = 1000 + seed * 37 % 3000;
    assert_int_equal(ckpt_log_create(&log, &o, &e), 0);
    fs.fail_at = fs.n_ops + (long)rng_below(seed, RNG_TEST, 0, 25);
    fs.forever = true;
    fs.half = true;
    write_some(log, 0, &out);
    logs_fs_power_cut(&fs, seed);
    heal(dir, out.durable);
    logs_dir_remove(dir);
}

static void test_a_power_cut_loses_nothing_durable(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        cut_power(seed);
    }
}

/* The checker can fail: a sync that lies is found out. */
static int lie(struct ckpt_fs *fs, int fd)
{
    (void)fs;
    (void)fd;
    return 0;
}

static void test_files_that_lie_lose_what_was_durable(void **state)
{
    char dir[LOGS_PATH_SIZE], path[2 * LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_reader *r;
    struct ckpt_log *log;
    struct logs_fs fs;
    struct err e = {""};

    (void)state;
    logs_dir_make(dir);
    logs_fs_init(&fs);
    o = logs_options(dir);
    o.fs = &fs.fs;
    assert_int_equal(ckpt_log_create(&log, &o, &e), 0);
    fs.fs.sync = lie;
    assert_int_equal(logs_put(log, &STORY, 0, N, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
    logs_fs_power_cut(&fs, 4);
    snprintf(path, sizeof path, "%s/index.db", dir);
    unlink(path);
    if (ckpt_reader_open(&r, dir, &e) == 0) {
        assert_true(ckpt_reader_clocks(r) < N);
        ckpt_reader_close(r);
    }
    logs_dir_remove(dir);
}

static void test_an_index_that_cannot_be_written_is_done_without(void **state)
{
    char dir[LOGS_PATH_SIZE], path[2 * LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct logs_sink sink;

    (void)state;
    logs_dir_make(dir);
    snprintf(path, sizeof path, "%s/index.db-wal", dir);
    assert_int_equal(mkdir(path, 0755), 0); /* Where SQLite wants a file, */
    snprintf(path, sizeof path, "%s/index.db-journal", dir);
    assert_int_equal(mkdir(path, 0755), 0);
    logs_sink_init(&sink);
    o = logs_options(dir);
    o.log = &sink.log;
    {
        struct ckpt_writer w = {.fs = ckpt_fs_real(),
                                .dir = dir,
                                .log = &sink.log,
                                .run = LOGS_RUN,
                                .segment_size_max = 1 << 20};
        struct blob *b = logs_clock(&STORY, 0);
        bool has_step = false;
        struct err e = {""};
        snprintf(path, sizeof path, "%s/segments", dir);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(ckpt_writer_init(&w, o.run_json, &e), 0);
        ckpt_writer_open_index(&w);
        assert_int_equal(sink.n_warnings, 1);
        assert_int_equal(ckpt_writer_begin(&w, 0, &e), 0);
        assert_int_equal(
            ckpt_writer_append(&w, b->data, b->size, &has_step, &e), 0);
        assert_true(has_step);
        assert_int_equal(ckpt_writer_sync(&w, &e), 0);
        ckpt_writer_put_index(&w);
        assert_int_equal(ckpt_writer_n_rows(&w), 0);
        ckpt_writer_fini(&w);
        blob_unref(b);
    }
    logs_check(&STORY, dir, 1);
    logs_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_call_may_fail_once),
        cmocka_unit_test(test_a_disk_may_go_away_at_any_call),
        cmocka_unit_test(test_a_disk_may_be_full_at_any_call),
        cmocka_unit_test(test_a_full_disk_is_said_to_be_full),
        cmocka_unit_test(test_a_power_cut_loses_nothing_durable),
        cmocka_unit_test(test_files_that_lie_lose_what_was_durable),
        cmocka_unit_test(test_an_index_that_cannot_be_written_is_done_without),
    };
    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
