/* Unit tests of ckpt/index.h: metrics, and tables of other versions. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/index.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

static void run_sql(const char *dir, const char *sql)
{
    char path[2 * LOGS_PATH_SIZE];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/index.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Put the step of @clock with @loss, and @clock as its seconds_select. */
static void put(const char *dir, uint64_t clock, double loss)
{
    struct ckpt_index x;
    struct ckpt_entry entry;
    struct ckpt_step step;
    struct sv_record r;
    struct err e = {""};
    struct buf b;
    size_t size;

    buf_init(&b);
    ckpt_step_init(&step);
    ckpt_step_reset(&step, clock);
    step.metrics.loss = loss;
    step.metrics.seconds_select = (double)clock;
    assert_int_equal(ckpt_step_write(&b, 0, 0, &step, &e), 0);
    assert_int_equal(sv_record_read(&r, b.data, b.size, &size, &e), 0);
    entry = ckpt_entry_of(&r, b.data, 0, 64 + 1000 * clock);
    if (ckpt_index_open(&x, dir, true, &e) != 0 ||
        ckpt_index_put_run(&x, 7, 0, "{\"run\":7}", &e) != 0 ||
        ckpt_index_put(&x, &entry, b.data + SV_RECORD_SIZE, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    ckpt_index_close(&x);
    ckpt_step_fini(&step);
    buf_fini(&b);
}

struct seen {
    size_t n;
    uint64_t clock[8];
    struct ckpt_metrics m[8];
};

static int see(void *arg, uint64_t clock, const struct ckpt_metrics *m)
{
    struct seen *s = arg;

    assert_true(s->n < 8);
    s->clock[s->n] = clock;
    s->m[s->n++] = *m;
    return 0;
}

static struct seen look(const char *dir, uint64_t from)
{
    struct seen s = {0};
    struct ckpt_index x;
    struct err e = {""};

    if (ckpt_index_open(&x, dir, false, &e) != 0 ||
        ckpt_index_each_metric(&x, from, see, &s, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    ckpt_index_close(&x);
    return s;
}

static void test_metrics_are_read_from_a_clock_on(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct seen s;

    (void)state;
    logs_dir_make(dir);
    put(dir, 2, 0.5);
    put(dir, 0, 2.5);
    put(dir, 1, NAN);
    s = look(dir, 0);
    assert_int_equal(s.n, 3);
    assert_true(s.clock[0] == 0 && s.clock[1] == 1 && s.clock[2] == 2);
    assert_true(s.m[0].loss == 2.5 && isnan(s.m[1].loss));
    assert_true(s.m[2].seconds_select == 2 && isnan(s.m[2].epoch));
    s = look(dir, 2);
    assert_int_equal(s.n, 1);
    assert_true(s.clock[0] == 2 && s.m[0].loss == 0.5);
    assert_int_equal(look(dir, 3).n, 0);
    logs_dir_remove(dir);
}

static void test_an_older_table_is_read_and_gets_its_new_columns(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct seen s;

    (void)state;
    logs_dir_make(dir);
    put(dir, 1, 0.25);
    run_sql(dir, "ALTER TABLE metric DROP COLUMN seconds_select");
    s = look(dir, 0);
    assert_int_equal(s.n, 1);
    assert_true(s.m[0].loss == 0.25 && isnan(s.m[0].seconds_select));
    put(dir, 2, 0.125);
    s = look(dir, 0);
    assert_int_equal(s.n, 2);
    assert_true(isnan(s.m[0].seconds_select) && s.m[1].seconds_select == 2);
    logs_dir_remove(dir);
}

static void test_columns_of_a_newer_version_are_left_alone(void **state)
{
    char dir[LOGS_PATH_SIZE];
    struct seen s;

    (void)state;
    logs_dir_make(dir);
    put(dir, 1, 0.25);
    run_sql(dir, "ALTER TABLE metric ADD COLUMN unheard_of REAL");
    put(dir, 2, 0.125);
    s = look(dir, 0);
    assert_int_equal(s.n, 2);
    assert_true(s.m[1].loss == 0.125 && s.m[1].seconds_select == 2);
    logs_dir_remove(dir);
}

static void test_the_description_of_the_run_is_there(void **state)
{
    char dir[LOGS_PATH_SIZE], *json;
    struct ckpt_index x;
    struct err e = {""};

    (void)state;
    logs_dir_make(dir);
    put(dir, 0, 1);
    assert_int_equal(ckpt_index_open(&x, dir, false, &e), 0);
    assert_int_equal(ckpt_index_get_json(&x, &json, &e), 0);
    assert_string_equal(json, "{\"run\":7}");
    free(json);
    ckpt_index_close(&x);
    run_sql(dir, "DELETE FROM run");
    assert_int_equal(ckpt_index_open(&x, dir, false, &e), 0);
    assert_int_equal(ckpt_index_get_json(&x, &json, &e), ERR_NOT_FOUND);
    assert_null(json);
    ckpt_index_close(&x);
    logs_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_are_read_from_a_clock_on),
        cmocka_unit_test(test_an_older_table_is_read_and_gets_its_new_columns),
        cmocka_unit_test(test_columns_of_a_newer_version_are_left_alone),
        cmocka_unit_test(test_the_description_of_the_run_is_there),
    };
    return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
