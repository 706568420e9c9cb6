/* Unit tests of ckpt/verify.h: every kind of damage is found, and named. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "ckpt/verify.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

static const struct logs_story STORY = {.seed = 1,
                                        .peers = 2,
                                        .matrices = 1,
                                        .rule = SV_PLAIN};

struct findings {
    struct ckpt_verify_report report;
    char text[4096]; /* One a line. */
};

static void take(void *arg, const char *finding)
{
    struct findings *f = arg;
    size_t n = strlen(f->text);

    snprintf(f->text + n, sizeof f->text - n, "%s\n", finding);
}

static void verify(const char *dir, struct findings *f)
{
    struct err e = {""};

    memset(f, 0, sizeof *f);
    if (ckpt_verify(dir, &f->report, take, f, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(f->report.findings == 0, f->text[0] == '\0');
}

static void make(char dir[LOGS_PATH_SIZE], uint64_t n)
{
    struct ckpt_log_options o;

    logs_dir_make(dir);
    o = logs_options(dir);
    logs_write(&STORY, &o, n);
}

static void expect(const struct findings *f, const char *text)
{
    if (strstr(f->text, text) == NULL) {
        fail_msg("no \"%s\" in: %s", text, f->text);
    }
}

static void run_sql(const char *dir, const char *sql)
{
    char path[2 * LOGS_PATH_SIZE];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/index.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

static void test_a_sound_log_has_no_findings(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct findings f;

    (void)state;
    make(dir, 8);
    verify(dir, &f);
    assert_true(f.report.findings == 0);
    assert_true(f.report.segments == 1);
    assert_true(f.report.clocks == 8);
    assert_true(f.report.records == 1 + 8 * 3 + 2 + 4);
    assert_true(f.report.torn == 0 && f.report.behind == 0);
    logs_dir_remove(dir);
}

static void test_damaged_records_are_named_and_passed_over(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct findings f;
    uint8_t *data;
    size_t size;

    (void)state;
    make(dir, 8);
    logs_file_read(dir, "segments/00000000.seg", &data, &size);
    data[64 + 64 + 17 + 8] ^= 1; /* In the first batch. */
    logs_file_write(dir, "segments/00000000.seg", data, size);
    verify(dir, &f);
    expect(&f, "segments/00000000.seg: offset 145: record: bad checksum "
               "(valid again at ");
    expect(&f, "step of clock 0 applies the batch of peer 0, clock 0, matrix "
               "0, which is not there");
    expect(&f, "index.db: record of kind 1, clock 0, peer 0, matrix 0 is not "
               "at offset 145 of segment 0");
    assert_true(f.report.findings == 3);
    assert_true(f.report.clocks == 0);
    free(data);
    logs_dir_remove(dir);
}

static void test_a_torn_tail_is_no_finding(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct findings f;
    uint8_t *data;
    size_t size;

    (void)state;
    make(dir, 8);
    logs_file_read(dir, "segments/00000000.seg", &data, &size);
    data = realloc(data, size + 30);
    memset(data + size, 0, 30);
    logs_file_write(dir, "segments/00000000.seg", data, size + 30);
    verify(dir, &f);
    assert_true(f.report.findings == 0);
    assert_true(f.report.torn == 30);
    free(data);
    logs_dir_remove(dir);
}

static void test_steps_out_of_order_are_found(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct ckpt_log_options o;
    struct ckpt_log *log;
    struct findings f;
    struct err e;

    (void)state;
    logs_dir_make(dir);
    o = logs_options(dir);
    assert_int_equal(ckpt_log_create(&log, &o, &e), 0);
    assert_int_equal(logs_put(log, &STORY, 0, 1, &e), 0);
    assert_int_equal(logs_put(log, &STORY, 3, 4, &e), 0);
    assert_int_equal(logs_put(log, &STORY, 2, 3, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
    verify(dir, &f);
    expect(&f, "step of clock 2 where 1 belongs");
    expect(&f, "step of clock 3 stands before that of 2");
    expect(&f, "step of clock 3 applies the batch of peer 1, clock 2, matrix "
               "0, which is not there");
    assert_true(f.report.clocks == 1);
    logs_dir_remove(dir);
}

static void test_an_index_that_says_otherwise_is_found(void **state)
{
    static const struct {
        const char *sql, *finding;
    } cases[] = {
        {"UPDATE record SET offset = offset + 1 WHERE clock = 3 AND kind = 3",
         "index.db: record of kind 3, clock 3, peer 0, matrix 0 is not at"},
        {"UPDATE record SET checksum = 1 WHERE clock = 3 AND kind = 3",
         "index.db: record of kind 3, clock 3"},
        {"UPDATE digest SET low = low + 1 WHERE clock = 6",
         "index.db: digest of clock 6, matrix 0 is not that of the log"},
        {"INSERT INTO digest VALUES(5, 0, 1, 2)",
         "index.db: digest of clock 5, matrix 0 is not that of the log"},
    };
    struct findings f;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char dir[LOGS_PATH_SIZE];
        make(dir, 8);
        run_sql(dir, cases[i].sql);
        verify(dir, &f);
        expect(&f, cases[i].finding);
        assert_true(f.report.findings == 1);
        logs_dir_remove(dir);
    }
}

static void test_an_index_that_is_behind_is_no_finding(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct findings f;

    (void)state;
    make(dir, 8);
    run_sql(dir, "DELETE FROM record WHERE clock = 7 AND kind = 3");
    verify(dir, &f);
    assert_true(f.report.findings == 0);
    assert_true(f.report.behind == 1);
    logs_check(&STORY, dir, 8); /* Its segment is read without it. */
    logs_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sound_log_has_no_findings),
        cmocka_unit_test(test_damaged_records_are_named_and_passed_over),
        cmocka_unit_test(test_a_torn_tail_is_no_finding),
        cmocka_unit_test(test_steps_out_of_order_are_found),
        cmocka_unit_test(test_an_index_that_says_otherwise_is_found),
        cmocka_unit_test(test_an_index_that_is_behind_is_no_finding),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
