/* Unit tests of report/live.h: what is new is found, what was cut forgotten. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "ckpt/index.h"
#include "report/live.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"
#include "train/run.h"

struct job {
    char dir[LOGS_PATH_SIZE];
    char *json;
};

static void job_init(struct job *j)
{
    struct train_run run;

    logs_dir_make(j->dir);
    train_run_init(&run);
    snprintf(run.model, sizeof run.model, "mlr");
    run.n_peers = 2;
    run.clocks = 100;
    run.batch = 10;
    run.data = strdup("data");
    train_run_default(&run, false);
    assert_int_equal(train_run_to_json(&run, &j->json, NULL), 0);
    train_run_fini(&run);
}

static void job_fini(struct job *j)
{
    logs_dir_remove(j->dir);
    free(j->json);
}

static void peer_dir(const struct job *j, uint32_t rank, char dir[512])
{
    snprintf(dir, 512, "%s/peer-%u", j->dir, rank);
}

/* Write clocks from..to-1 of a peer: clock c takes 2 s, is waiting for one, has
 * a loss of @loss and sends 100 bytes.
 */
static void
put(const struct job *j, uint32_t rank, uint64_t from, uint64_t to, double loss)
{
    struct ckpt_log_options o;
    struct ckpt_log *log;
    struct err e = {""};
    char dir[512];
    int rc;

    peer_dir(j, rank, dir);
    o = logs_options(dir);
    o.peer = rank;
    o.run_json = j->json;
    rc = from == 0 && access(dir, F_OK) != 0
             ? ckpt_log_create(&log, &o, &e)
             : ckpt_log_reopen(&log, &o, from, &e);
    for (uint64_t c = from; rc == 0 && c < to; c++) {
        struct ckpt_step step;
        struct buf b;
        buf_init(&b);
        ckpt_step_init(&step);
        ckpt_step_reset(&step, c);
        step.metrics.loss = loss;
        step.metrics.samples = 10;
        step.metrics.seconds_clock = 2;
        step.metrics.seconds_wait = 1;
        step.metrics.bytes_sent = 100;
        if (c % 10 == 9) {
            step.metrics.test_loss = (double)c;
            step.metrics.test_accuracy = 0.5;
        }
        rc = ckpt_step_write(&b, 0, rank, &step, &e);
        if (rc == 0) {
            struct blob *blob = blob_copy(b.data, b.size);
            rc = ckpt_log_put(log, blob, &e);
            blob_unref(blob);
        }
        ckpt_step_fini(&step);
        buf_fini(&b);
    }
    rc = rc != 0 ? rc : ckpt_log_close(log, &e);
    if (rc != 0) {
        fail_msg("%s", e.msg);
    }
}

static void update(struct report_live *l, bool want_news)
{
    struct err e = {""};
    bool news;

    if (report_live_update(l, &news, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(news, want_news);
}

static void test_what_is_new_is_found(void **state)
{
    struct report_live l;
    struct report_sums s;
    struct job j;
    struct err e;
    bool news;

    (void)state;
    job_init(&j);
    assert_int_equal(report_live_init(&l, j.dir, &e), 0);
    assert_int_equal(report_live_update(&l, &news, &e), ERR_NOT_FOUND);
    put(&j, 1, 0, 20, 3);
    update(&l, true);
    update(&l, false);
    assert_true(l.known && l.clocks == 100 && l.n_peers_all == 2);
    assert_string_equal(l.model, "mlr");
    assert_int_equal(l.n_peers, 1);
    put(&j, 0, 0, 15, 4);
    put(&j, 1, 20, 30, 1);
    update(&l, true);
    assert_int_equal(l.n_peers, 2);
    assert_int_equal(l.peers[0]->rank, 0);
    assert_true(l.peers[0]->clocks == 15 && l.peers[1]->clocks == 30);
    assert_true(report_live_clocks(&l) == 15);
    assert_true(l.peers[0]->last.loss == 4);
    assert_true(l.peers[1]->last.loss > 1 && l.peers[1]->last.loss < 3);
    assert_true(l.peers[1]->test_clock == 29 && l.peers[1]->test_loss == 29);
    s = report_live_recent(l.peers[1]);
    assert_true(s.clocks == 30 && s.seconds == 60 && s.samples == 300);
    assert_true(s.parts[3] == 30 && s.parts[REPORT_PARTS - 1] == 30);
    assert_true(s.sent == 3000);
    assert_false(report_live_running(&l) || report_live_complete(&l));
    put(&j, 0, 15, 100, 1);
    put(&j, 1, 30, 100, 1);
    update(&l, true);
    assert_true(report_live_complete(&l));
    report_live_fini(&l);
    job_fini(&j);
}

static void test_rates_are_of_the_last_updates(void **state)
{
    struct report_live l;
    struct job j;

    (void)state;
    job_init(&j);
    assert_int_equal(report_live_init(&l, j.dir, NULL), 0);
    for (uint64_t c = 0; c < 90; c += 10) {
        put(&j, 0, c, c + 10, 1);
        update(&l, true);
        const double want = c < 50 ? (double)c + 10 : 60;
        assert_true(report_live_recent(l.peers[0]).clocks == want);
    }
    report_live_fini(&l);
    job_fini(&j);
}

static void test_a_log_that_was_cut_is_read_anew(void **state)
{
    struct report_live l;
    struct job j;

    (void)state;
    job_init(&j);
    assert_int_equal(report_live_init(&l, j.dir, NULL), 0);
    put(&j, 0, 0, 50, 1);
    update(&l, true);
    put(&j, 0, 20, 25, 5); /* As a resume that goes back. */
    update(&l, true);
    assert_true(l.peers[0]->clocks == 25);
    assert_true(l.peers[0]->sums.clocks == 25);
    assert_true(l.peers[0]->test_clock == 19);
    assert_int_equal(l.peers[0]->loss.n, 25);
    report_live_fini(&l);
    job_fini(&j);
}

static void test_without_an_index_the_log_is_read(void **state)
{
    char dir[512];
    struct report_live l;
    struct job j;

    (void)state;
    job_init(&j);
    put(&j, 0, 0, 50, 1);
    peer_dir(&j, 0, dir);
    assert_int_equal(ckpt_index_remove(dir, NULL), 0);
    assert_int_equal(report_live_init(&l, j.dir, NULL), 0);
    update(&l, true);
    assert_true(l.known && l.peers[0]->clocks == 50);
    update(&l, false);
    assert_true(l.peers[0]->sums.clocks == 50);
    report_live_fini(&l);
    job_fini(&j);
}

static void test_a_writer_is_seen(void **state)
{
    struct report_live l;
    struct ckpt_log_options o;
    struct ckpt_log *log;
    struct job j;
    char dir[512];

    (void)state;
    job_init(&j);
    put(&j, 0, 0, 100, 1);
    peer_dir(&j, 0, dir);
    o = logs_options(dir);
    o.run_json = j.json;
    assert_int_equal(ckpt_log_reopen(&log, &o, 100, NULL), 0);
    assert_int_equal(report_live_init(&l, j.dir, NULL), 0);
    update(&l, true);
    if (access("/proc/locks", R_OK) == 0) {
        assert_true(report_live_running(&l) && !report_live_complete(&l));
    }
    assert_int_equal(ckpt_log_close(log, NULL), 0);
    update(&l, true);
    assert_true(!report_live_running(&l) && report_live_complete(&l));
    report_live_fini(&l);
    job_fini(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_new_is_found),
        cmocka_unit_test(test_rates_are_of_the_last_updates),
        cmocka_unit_test(test_a_log_that_was_cut_is_read_anew),
        cmocka_unit_test(test_without_an_index_the_log_is_read),
        cmocka_unit_test(test_a_writer_is_seen),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
