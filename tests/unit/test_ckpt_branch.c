/* Unit tests of ckpt/branch.h: a branch has the past of another log, and
 * neither can hurt the other. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt/branch.h"
#include "ckpt/reader.h"
#include "ckpt/verify.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

#define N 20
#define C 13 /* Branched here. */

static const struct logs_story STORY = {.seed = 11,
                                        .peers = 3,
                                        .matrices = 1,
                                        .rule = SV_PLAIN};

struct fixture {
    char top[LOGS_PATH_SIZE];
    char old[2 * LOGS_PATH_SIZE], new[2 * LOGS_PATH_SIZE];
    struct ckpt_branch_report report;
};

static struct ckpt_log_options options(const char *dir)
{
    struct ckpt_log_options o = logs_options(dir);

    o.segment_size_max = 1500;
    return o;
}

static void begin(struct fixture *f)
{
    struct ckpt_log_options o;
    struct err e = {""};

    logs_dir_make(f->top);
    snprintf(f->old, sizeof f->old, "%s/old", f->top);
    snprintf(f->new, sizeof f->new, "%s/new", f->top);
    o = options(f->old);
    logs_write(&STORY, &o, N);
    if (ckpt_branch(f->old, f->new, C, "{\"model\": \"other\"}", &f->report,
                    &e) != 0) {
        fail_msg("%s", e.msg);
    }
}

static void check(const char *dir, uint64_t clocks, const char *json)
{
    struct ckpt_verify_report report;
    struct ckpt_reader *r;
    struct err e = {""};

    if (ckpt_reader_open(&r, dir, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_true(ckpt_reader_clocks(r) == clocks);
    assert_string_equal(ckpt_reader_run_json(r), json);
    ckpt_reader_close(r);
    assert_int_equal(ckpt_verify(dir, &report, NULL, NULL, &e), 0);
    assert_true(report.findings == 0 && report.behind == 0);
}

static void go_on(const char *dir, uint64_t from, uint64_t to)
{
    struct ckpt_log_options o = options(dir);
    struct ckpt_log *log;
    struct err e = {""};

    if (ckpt_log_reopen(&log, &o, from, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(logs_put(log, &STORY, from, to, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
}

static void test_a_branch_shares_the_past_and_is_what_it_says(void **state)
{
    struct fixture f;
    struct stat st;
    char path[3 * LOGS_PATH_SIZE];

    (void)state;
    begin(&f);
    assert_true(f.report.shared > f.report.copied && f.report.copied > 0);
    snprintf(path, sizeof path, "%s/segments/00000001.seg", f.new);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_nlink, 2);
    check(f.new, C, "{\"model\": \"other\"}");
    go_on(f.new, C, C); /* Stopped at once. */
    check(f.new, C, "{\"model\": \"other\"}");
    go_on(f.new, C, N + 5);
    check(f.new, N + 5, "{\"model\": \"other\"}");
    logs_check(&STORY, f.old, N);
    logs_dir_remove(f.old);
    check(f.new, N + 5, "{\"model\": \"other\"}");
    logs_dir_remove(f.top);
}

/* Cutting the old log within a segment that is shared leaves the branch its
 * own. */
static void test_the_old_log_may_go_another_way(void **state)
{
    (void)state;
    for (uint64_t c = 0; c <= C; c++) {
        struct fixture f;
        begin(&f);
        go_on(f.old, c, N);
        logs_check(&STORY, f.old, N);
        check(f.new, C, "{\"model\": \"other\"}");
        go_on(f.new, C, N);
        check(f.new, N, "{\"model\": \"other\"}");
        logs_check(&STORY, f.old, N);
        logs_dir_remove(f.top);
    }
}

static void test_what_cannot_be_branched_is_refused(void **state)
{
    struct ckpt_branch_report report;
    struct fixture f;
    struct err e;
    char path[3 * LOGS_PATH_SIZE];

    (void)state;
    begin(&f);
    assert_int_equal(ckpt_branch(f.old, f.new, C, "{}", &report, &e), ERR_BUSY);
    snprintf(path, sizeof path, "%s/never", f.top);
    assert_int_equal(ckpt_branch(f.old, path, N + 1, "{}", &report, &e),
                     ERR_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
    logs_dir_remove(f.top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_branch_shares_the_past_and_is_what_it_says),
        cmocka_unit_test(test_the_old_log_may_go_another_way),
        cmocka_unit_test(test_what_cannot_be_branched_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
