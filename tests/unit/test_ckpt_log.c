/* Unit tests of ckpt/log.h and ckpt/reader.h: a log as it is written, cut,
 * damaged, gone on with. What fails while it is written: test_ckpt_log_fault.c.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt/reader.h"
#include "ckpt/segment.h"
#include "ckpt/verify.h"
#include "core/rng.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

static const struct logs_story STORY = {.seed = 1,
                                        .peers = 3,
                                        .matrices = 2,
                                        .rule = SV_PLAIN};

static void remove_index(const char *dir)
{
    static const char *const names[] = {"index.db", "index.db-wal",
                                        "index.db-shm"};
    char path[2 * LOGS_PATH_SIZE];

    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
}

static void expect_sound(const char *dir, uint64_t clocks)
{
    struct ckpt_verify_report report;
    struct err e = {""};

    assert_int_equal(ckpt_verify(dir, &report, NULL, NULL, &e), 0);
    assert_true(report.findings == 0);
    assert_true(report.behind == 0);
    assert_true(report.torn == 0);
    assert_true(report.clocks == clocks);
}

static void test_a_log_reads_as_it_was_written(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;

    (void)state;
    logs_dir_make(dir);
    o = logs_options(dir);
    logs_write(&STORY, &o, 20);
    logs_check(&STORY, dir, 20);
    expect_sound(dir, 20);
    remove_index(dir);
    logs_check(&STORY, dir, 20);
    logs_dir_remove(dir);
}

static void test_small_segments_make_one_log(void **state)
{
    char dir[LOGS_PATH_SIZE], path[2 * LOGS_PATH_SIZE];
    struct ckpt_log_options o;

    (void)state;
    logs_dir_make(dir);
    o = logs_options(dir);
    o.segment_size_max = 3000;
    logs_write(&STORY, &o, 20);
    snprintf(path, sizeof path, "%s/segments/00000004.seg", dir);
    assert_int_equal(access(path, F_OK), 0);
    logs_check(&STORY, dir, 20);
    expect_sound(dir, 20);
    remove_index(dir);
    logs_check(&STORY, dir, 20);
    snprintf(path, sizeof path, "%s/segments/00000002.seg", dir);
    assert_int_equal(unlink(path), 0);
    {
        struct ckpt_reader *r;
        struct err e;
        assert_int_equal(ckpt_reader_open(&r, dir, &e), ERR_CORRUPT);
        assert_non_null(strstr(e.msg, "segments/00000002.seg: missing between "
                                      "00000001 and 00000003"));
    }
    logs_dir_remove(dir);
}

static void test_a_log_is_not_written_over(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_log *log, *other;
    struct err e = {""};

    (void)state;
    logs_dir_make(dir);
    o = logs_options(dir);
    assert_int_equal(ckpt_log_create(&log, &o, &e), 0);
    assert_int_equal(ckpt_log_create(&other, &o, &e), ERR_BUSY);
    assert_non_null(strstr(e.msg, "another process writes there"));
    assert_int_equal(ckpt_log_reopen(&other, &o, 0, &e), ERR_BUSY);
    assert_int_equal(ckpt_log_close(log, &e), 0);
    assert_int_equal(ckpt_log_create(&other, &o, &e), ERR_BUSY);
    assert_non_null(strstr(e.msg, "a log is there already: go on with it by "
                                  "lyre resume, or name another --run"));
    logs_check(&STORY, dir, 0);
    logs_dir_remove(dir);
}

/* Names that mean something in a URI do not matter. */
static void test_a_reader_leaves_nothing_behind(void **state)
{
    char top[LOGS_PATH_SIZE], dir[2 * LOGS_PATH_SIZE], path[1024];
    struct ckpt_log_options o;

    (void)state;
    logs_dir_make(top);
    snprintf(dir, sizeof dir, "%.200s/a?b#c%%41 d", top);
    o = logs_options(dir);
    logs_write(&STORY, &o, 5);
    logs_check(&STORY, dir, 5);
    expect_sound(dir, 5);
    snprintf(path, sizeof path, "%s/index.db", dir);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/index.db-wal", dir);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof path, "%s/index.db-shm", dir);
    assert_int_equal(access(path, F_OK), -1);
    logs_dir_remove(top);
}

static void test_no_log_is_no_log(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_reader *r;
    struct ckpt_log *log;
    struct err e;

    (void)state;
    logs_dir_make(dir);
    o = logs_options(dir);
    assert_int_equal(ckpt_reader_open(&r, dir, &e), ERR_NOT_FOUND);
    assert_int_equal(ckpt_log_reopen(&log, &o, 0, &e), ERR_NOT_FOUND);
    logs_dir_remove(dir);
}

static void test_what_was_synced_is_durable(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_log *log;
    struct err e = {""};

    (void)state;
    logs_dir_make(dir);
    o = logs_options(dir);
    assert_int_equal(ckpt_log_create(&log, &o, &e), 0);
    assert_true(ckpt_log_durable_clock(log) == 0);
    assert_int_equal(logs_put(log, &STORY, 0, 7, &e), 0);
    assert_int_equal(ckpt_log_sync(log, &e), 0);
    assert_true(ckpt_log_durable_clock(log) == 7);
    logs_check(&STORY, dir, 7); /* Beside the writer. */
    assert_int_equal(logs_put(log, &STORY, 7, 9, &e), 0);
    assert_int_equal(ckpt_log_sync(log, &e), 0);
    logs_check(&STORY, dir, 9);
    assert_true(ckpt_log_bytes(log) > 1000);
    assert_int_equal(ckpt_log_failed(log), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
    logs_dir_remove(dir);
}

static void test_a_log_goes_on_from_any_clock(void **state)
{
    enum { N = 12 };

    (void)state;
    for (uint64_t clock = 0; clock <= N; clock++) {
        for (int indexed = 0; indexed < 2; indexed++) {
            char dir[LOGS_PATH_SIZE];
            struct ckpt_log_options o;
            struct ckpt_log *log;
            struct err e = {""};
            logs_dir_make(dir);
            o = logs_options(dir);
            o.segment_size_max = 4000;
            logs_write(&STORY, &o, N);
            if (!indexed) {
                remove_index(dir);
            }
            assert_int_equal(ckpt_log_reopen(&log, &o, clock, &e), 0);
            assert_true(ckpt_log_durable_clock(log) == clock);
            assert_int_equal(logs_put(log, &STORY, clock, N + 3, &e), 0);
            assert_int_equal(ckpt_log_close(log, &e), 0);
            logs_check(&STORY, dir, N + 3);
            expect_sound(dir, N + 3);
            logs_dir_remove(dir);
        }
    }
}

static void test_going_on_cuts_what_came_later(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_log *log;
    struct err e = {""};

    (void)state;
    logs_dir_make(dir);
    o = logs_options(dir);
    o.segment_size_max = 3000;
    logs_write(&STORY, &o, 10);
    assert_int_equal(ckpt_log_reopen(&log, &o, 11, &e), ERR_NOT_FOUND);
    assert_non_null(
        strstr(e.msg, "clock 11: the log has 0 to 10 of them whole"));
    o.peer = 1;
    assert_int_equal(ckpt_log_reopen(&log, &o, 10, &e), ERR_INVALID);
    o.peer = 0;
    for (uint64_t clock = 9; clock != UINT64_MAX; clock--) {
        uint8_t *data;
        size_t size;
        assert_int_equal(ckpt_log_reopen(&log, &o, clock, &e), 0);
        assert_int_equal(ckpt_log_close(log, &e), 0);
        if (clock == 0) {
            logs_file_read(dir, "segments/00000000.seg", &data, &size);
            assert_int_equal(size, 64 + 64 + strlen(o.run_json));
            free(data);
        }
        {
            struct ckpt_reader *r;
            assert_int_equal(ckpt_reader_open(&r, dir, &e), 0);
            assert_true(ckpt_reader_clocks(r) == clock);
            ckpt_reader_close(r);
        }
        expect_sound(dir, clock);
    }
    logs_dir_remove(dir);
}

/* The segment of a log of @n clocks in one file, and where its last record
 * begins. Digests fall behind steps: with 11 clocks a step is the last. */
struct image {
    char dir[LOGS_PATH_SIZE];
    uint8_t *data;
    size_t size, last;
};

static void image_make(struct image *x, uint64_t n)
{
    struct ckpt_log_options o;
    struct sv_record r;
    size_t size, at = CKPT_SEGMENT_HEADER_SIZE;

    logs_dir_make(x->dir);
    o = logs_options(x->dir);
    logs_write(&STORY, &o, n);
    logs_file_read(x->dir, "segments/00000000.seg", &x->data, &x->size);
    while (ckpt_segment_next(x->data, x->size, at, &r, &size, NULL) == 1) {
        x->last = at;
        at += size;
    }
    assert_int_equal(at, x->size);
    assert_int_equal(r.kind, SV_RECORD_STEP);
}

static void image_put(const struct image *x, const uint8_t *data, size_t size)
{
    logs_file_write(x->dir, "segments/00000000.seg", data, size);
}

static void image_free(struct image *x)
{
    logs_dir_remove(x->dir);
    free(x->data);
}

/* Go on with what is there, and come to the whole story. */
static void go_on(const struct image *x, uint64_t clock, uint64_t n)
{
    struct ckpt_log_options o = logs_options(x->dir);
    struct ckpt_log *log;
    struct err e = {""};

    logs_check(&STORY, x->dir, clock);
    if (ckpt_log_reopen(&log, &o, clock, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(logs_put(log, &STORY, clock, n, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
    logs_check(&STORY, x->dir, n);
    expect_sound(x->dir, n);
}

static void test_a_log_cut_in_its_last_record_goes_on(void **state)
{
    struct image x;

    (void)state;
    image_make(&x, 11);
    for (size_t size = x.last; size < x.size; size++) {
        for (int indexed = 0; indexed < 2; indexed++) {
            image_put(&x, x.data, size);
            if (!indexed) {
                remove_index(x.dir);
            }
            go_on(&x, 10, 11);
        }
    }
    image_free(&x);
}

static void test_a_tail_of_zeros_or_rubbish_is_cut(void **state)
{
    struct image x;
    uint8_t *data;

    (void)state;
    image_make(&x, 11);
    data = calloc(1, x.size + 5000);
    for (size_t n = 1; n <= 5000; n *= 7) {
        memset(data, 0, x.size + 5000);
        memcpy(data, x.data, x.size);
        image_put(&x, data, x.size + n);
        go_on(&x, 11, 11);
        remove_index(x.dir);
        for (size_t i = 0; i < n; i++) {
            data[x.size + i] = (uint8_t)rng_u64(1, RNG_TEST, i);
        }
        memcpy(data + x.size, x.data + x.last, n < 60 ? n : 60);
        image_put(&x, data, x.size + n);
        go_on(&x, 11, 12);
        image_put(&x, x.data, x.size);
    }
    free(data);
    image_free(&x);
}

static void test_a_flipped_bit_is_found_without_an_index(void **state)
{
    struct image x;
    uint8_t *data;

    (void)state;
    image_make(&x, 11);
    remove_index(x.dir);
    data = malloc(x.size);
    for (size_t at = 0; at < x.size; at += 1 + at % 7) {
        struct ckpt_reader *r = NULL;
        struct err e = {""};
        int rc;
        memcpy(data, x.data, x.size);
        data[at] ^= (uint8_t)(1 << at % 8);
        image_put(&x, data, x.size);
        rc = ckpt_reader_open(&r, x.dir, &e);
        if (at >= x.last) { /* Like a torn write. */
            assert_int_equal(rc, 0);
            assert_true(ckpt_reader_clocks(r) == 10);
        } else {
            assert_int_equal(rc, ERR_CORRUPT);
            assert_non_null(strstr(e.msg, "segments/00000000.seg: "));
            assert_true(at < CKPT_SEGMENT_HEADER_SIZE ||
                        strstr(e.msg, ": offset ") != NULL);
        }
        ckpt_reader_close(r);
        if (at < x.last) { /* Nothing is cut. */
            struct ckpt_log_options o = logs_options(x.dir);
            struct ckpt_log *log;
            struct stat st;
            char path[2 * LOGS_PATH_SIZE];
            assert_int_equal(ckpt_log_reopen(&log, &o, 0, &e), ERR_CORRUPT);
            snprintf(path, sizeof path, "%s/segments/00000000.seg", x.dir);
            assert_int_equal(stat(path, &st), 0);
            assert_int_equal(st.st_size, x.size);
        }
    }
    free(data);
    image_free(&x);
}

/* With an index a reader need not look at every byte: but verify does, and what
 * the index calls durable is never taken for torn. */
static void test_a_flipped_bit_is_found_beside_an_index(void **state)
{
    struct image x;
    uint8_t *data;

    (void)state;
    image_make(&x, 11);
    data = malloc(x.size);
    for (size_t at = CKPT_SEGMENT_HEADER_SIZE; at < x.size; at += 1 + at % 11) {
        struct ckpt_verify_report report;
        struct err e = {""};
        memcpy(data, x.data, x.size);
        data[at] ^= (uint8_t)(1 << at % 8);
        image_put(&x, data, x.size);
        assert_int_equal(ckpt_verify(x.dir, &report, NULL, NULL, &e), 0);
        assert_true(report.findings > 0);
    }
    free(data);
    image_free(&x);
}

static void test_any_index_can_be_lost(void **state)
{
    static const char *const what[] = {"missing", "empty",   "rubbish",
                                       "old",     "foreign", "short"};
    struct image x;
    uint8_t *old, *foreign, *index;
    size_t old_size, foreign_size, index_size;
    struct ckpt_log_options o;
    struct logs_sink sink;

    (void)state;
    image_make(&x, 5); /* An old index, */
    logs_file_read(x.dir, "index.db", &old, &old_size);
    image_free(&x);
    logs_dir_make(x.dir);
    o = logs_options(x.dir);
    o.run = 99; /* one of another run. */
    logs_write(&STORY, &o, 11);
    logs_file_read(x.dir, "index.db", &foreign, &foreign_size);
    logs_dir_remove(x.dir);

    for (int i = 0; i < 6; i++) {
        struct ckpt_log *log;
        struct err e = {""};
        image_make(&x, 11);
        logs_file_read(x.dir, "index.db", &index, &index_size);
        remove_index(x.dir);
        if (i == 1) {
            logs_file_write(x.dir, "index.db", old, 0);
        } else if (i == 2) {
            logs_file_write(x.dir, "index.db", x.data, x.size);
        } else if (i == 3) {
            logs_file_write(x.dir, "index.db", old, old_size);
        } else if (i == 4) {
            logs_file_write(x.dir, "index.db", foreign, foreign_size);
        } else if (i == 5) {
            logs_file_write(x.dir, "index.db", index, index_size - 4096);
        }
        logs_check(&STORY, x.dir, 11);
        logs_sink_init(&sink);
        o = logs_options(x.dir);
        o.log = &sink.log;
        assert_int_equal(ckpt_log_reopen(&log, &o, 11, &e), 0);
        assert_int_equal(ckpt_log_close(log, &e), 0);
        if (sink.n_warnings != (i == 3 ? 0 : 1)) {
            fail_msg("%s index: %d warnings", what[i], sink.n_warnings);
        }
        logs_check(&STORY, x.dir, 11);
        expect_sound(x.dir, 11);
        free(index);
        image_free(&x);
    }
    free(old);
    free(foreign);
}

static void
test_an_index_that_knows_more_than_the_log_is_not_believed(void **state)
{
    struct image x, shorter;
    uint8_t *index;
    size_t size;

    (void)state;
    image_make(&x, 11);
    logs_file_read(x.dir, "index.db", &index, &size);
    image_make(&shorter, 8);
    remove_index(shorter.dir);
    logs_file_write(shorter.dir, "index.db", index, size);
    go_on(&shorter, 8, 12);
    free(index);
    image_free(&x);
    image_free(&shorter);
}

static void test_a_segment_that_a_crash_left_empty_goes(void **state)
{
    static const size_t sizes[] = {0, 10, 63, 64, 200};
    struct image x;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t zeros[200] = {0};
        image_make(&x, 11);
        logs_file_write(x.dir, "segments/00000001.seg", zeros, sizes[i]);
        go_on(&x, 11, 13);
        image_free(&x);
    }
}

/* Holes before records that were never synced: a disk writes in any order. */
static void test_holes_behind_what_is_durable_are_torn(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_log *log;
    struct err e = {""};
    uint8_t *index, *data;
    size_t index_size, size, durable;
    struct blob *lost, *late;

    (void)state;
    logs_dir_make(dir);
    o = logs_options(dir);
    logs_write(&STORY, &o, 6);
    logs_file_read(dir, "index.db", &index, &index_size);
    logs_file_read(dir, "segments/00000000.seg", &data, &durable);
    lost = logs_clock(&STORY, 6);
    late = logs_clock(&STORY, 7);
    size = durable + lost->size + late->size;
    data = realloc(data, size);
    memset(data + durable, 0, lost->size);
    memcpy(data + durable + lost->size, late->data, late->size);
    logs_file_write(dir, "segments/00000000.seg", data, size);
    logs_check(&STORY, dir, 6);
    assert_int_equal(ckpt_log_reopen(&log, &o, 6, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
    expect_sound(dir, 6);
    remove_index(dir); /* Nothing speaks for it now. */
    logs_file_write(dir, "segments/00000000.seg", data, size);
    assert_int_equal(ckpt_log_reopen(&log, &o, 6, &e), ERR_CORRUPT);
    blob_unref(lost);
    blob_unref(late);
    free(index);
    free(data);
    logs_dir_remove(dir);
}

static void test_reindex_makes_what_the_writer_made(void **state)
{
    struct image x;
    struct err e = {""};

    (void)state;
    image_make(&x, 11);
    remove_index(x.dir);
    assert_int_equal(ckpt_log_reindex(x.dir, &e), 0);
    logs_check(&STORY, x.dir, 11);
    expect_sound(x.dir, 11);
    go_on(&x, 11, 14);
    image_free(&x);
}

static void test_every_durability_keeps_all(void **state)
{
    static const enum ckpt_durability kinds[] = {
        CKPT_DURABILITY_NONE, CKPT_DURABILITY_CLOCK, CKPT_DURABILITY_INTERVAL};

    (void)state;
    for (int i = 0; i < 3; i++) {
        char dir[LOGS_PATH_SIZE];
        struct ckpt_log_options o;
        logs_dir_make(dir);
        o = logs_options(dir);
        o.durability = kinds[i];
        o.interval_ns = 1000;
        o.segment_size_max = 20000;
        logs_write(&STORY, &o, 100);
        logs_check(&STORY, dir, 100);
        expect_sound(dir, 100);
        logs_dir_remove(dir);
    }
}

static void test_records_larger_than_a_segment_are_kept(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_reader *r;
    struct ckpt_log *log;
    struct blob *blob;
    struct err e = {""};
    struct buf b;
    uint8_t *payload = calloc(1, 3 << 20);

    (void)state;
    logs_dir_make(dir);
    o = logs_options(dir);
    o.segment_size_max = 1000;
    assert_int_equal(ckpt_log_create(&log, &o, &e), 0);
    for (uint64_t c = 0; c < 40; c++) { /* More than the queue holds. */
        struct sv_record m = {.kind = SV_RECORD_METRIC, .clock = c};
        buf_init(&b);
        assert_int_equal(sv_record_write(&b, &m, payload, 3 << 20, &e), 0);
        blob = blob_copy(b.data, b.size);
        assert_int_equal(ckpt_log_put(log, blob, &e), 0);
        blob_unref(blob);
        buf_fini(&b);
    }
    assert_int_equal(ckpt_log_close(log, &e), 0);
    assert_int_equal(ckpt_reader_open(&r, dir, &e), 0);
    assert_int_equal(ckpt_reader_count(r, SV_RECORD_METRIC), 40);
    assert_int_equal(ckpt_reader_segments(r), 40);
    ckpt_reader_close(r);
    free(payload);
    logs_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_log_reads_as_it_was_written),
        cmocka_unit_test(test_small_segments_make_one_log),
        cmocka_unit_test(test_a_log_is_not_written_over),
        cmocka_unit_test(test_a_reader_leaves_nothing_behind),
        cmocka_unit_test(test_no_log_is_no_log),
        cmocka_unit_test(test_what_was_synced_is_durable),
        cmocka_unit_test(test_a_log_goes_on_from_any_clock),
        cmocka_unit_test(test_going_on_cuts_what_came_later),
        cmocka_unit_test(test_a_log_cut_in_its_last_record_goes_on),
        cmocka_unit_test(test_a_tail_of_zeros_or_rubbish_is_cut),
        cmocka_unit_test(test_a_flipped_bit_is_found_without_an_index),
        cmocka_unit_test(test_a_flipped_bit_is_found_beside_an_index),
        cmocka_unit_test(test_any_index_can_be_lost),
        cmocka_unit_test(
            test_an_index_that_knows_more_than_the_log_is_not_believed),
        cmocka_unit_test(test_a_segment_that_a_crash_left_empty_goes),
        cmocka_unit_test(test_holes_behind_what_is_durable_are_torn),
        cmocka_unit_test(test_reindex_makes_what_the_writer_made),
        cmocka_unit_test(test_every_durability_keeps_all),
        cmocka_unit_test(test_records_larger_than_a_segment_are_kept),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
