/* Unit tests of train/simulate.h and of what it is made of: dataset/shards.h,
 * train/timers.h, train/sim_times.h. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/rng.h"
#include "dataset/shards.h"
#include "tests/support/test.h"
#include "train/sim_times.h"
#include "train/simulate.h"
#include "train/timers.h"

#define ROWS 203

struct fixture {
    char dir[32];
    char sparse[64]; /* LIBSVM. */
};

static uint64_t draw(uint64_t a, uint64_t b, uint64_t n)
{
    return rng_below(1, rng_stream(RNG_TEST, a, 0), b, n);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    FILE *out;

    assert_non_null(f);
    strcpy(f->dir, "/tmp/simulate-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->sparse, sizeof f->sparse, "%s/train.svm", f->dir);
    out = fopen(f->sparse, "w");
    assert_non_null(out);
    for (uint64_t i = 0; i < ROWS; i++) {
        uint64_t label = draw(i, 0, 3);
        fprintf(out, "%d", (int)label);
        for (uint64_t k = 0; k < 20; k++) {
            if (draw(i, 1 + k, 4) == 0 || k / 5 == label) {
                fprintf(out, " %d:%d.5", (int)k + 1, (int)draw(i, 90 + k, 3));
            }
        }
        fputc('\n', out);
    }
    assert_int_equal(fclose(out), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    unlink(f->sparse);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void expect_equal(const struct dataset *a, const struct dataset *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->dense, b->dense);
    assert_int_equal(a->n_rows_file, b->n_rows_file);
    assert_int_equal(a->fingerprint, b->fingerprint);
    for (uint32_t i = 0; i < a->n_rows; i++) {
        struct dataset_row x = dataset_row(a, i), y = dataset_row(b, i);
        assert_int_equal(a->label[i], b->label[i]);
        assert_int_equal(dataset_row_number(a, i), dataset_row_number(b, i));
        assert_int_equal(x.nnz, y.nnz);
        assert_memory_equal(x.val, y.val, x.nnz * sizeof *x.val);
        if (!a->dense) {
            assert_memory_equal(x.idx, y.idx, x.nnz * sizeof *x.idx);
        }
    }
}

static void test_views_are_the_shards_that_are_read(void **state)
{
    static const uint32_t COUNTS[] = {1, 2, 7, ROWS, ROWS + 5};
    struct fixture *f = *state;

    for (size_t i = 0; i < 3 * sizeof COUNTS / sizeof COUNTS[0]; i++) {
        enum dataset_sharding kind = (enum dataset_sharding)(i % 3);
        struct dataset_options o = {.n_shards = 1};
        struct dataset_shards shards;
        struct dataset all;
        size_t c = i / 3;
        assert_int_equal(dataset_read(&all, f->sparse, &o, NULL), 0);
        assert_int_equal(
            dataset_shards_init(&shards, &all, kind, COUNTS[c], NULL), 0);
        for (uint32_t p = 0; p < COUNTS[c]; p++) {
            struct dataset one;
            o = (struct dataset_options){
                .shard = p, .n_shards = COUNTS[c], .sharding = kind};
            assert_int_equal(dataset_read(&one, f->sparse, &o, NULL), 0);
            expect_equal(&shards.view[p], &one);
            dataset_fini(&one);
        }
        dataset_shards_fini(&shards);
    }
}

static void test_views_of_dense_rows_are_shards(void **state)
{
    struct dataset_shards shards;
    struct dataset all = {
        .schema = {.n_features = 2}, .n_shards = 1, .n_rows = 5, .dense = true};

    (void)state;
    all.val = malloc(10 * sizeof *all.val);
    all.label = malloc(5 * sizeof *all.label);
    for (uint32_t i = 0; i < 5; i++) {
        all.val[2 * i] = (float)i;
        all.val[2 * i + 1] = (float)(10 * i);
        all.label[i] = 100 + i;
    }
    assert_int_equal(dataset_shards_init(&shards, &all, 0, 2, NULL), 0);
    assert_int_equal(shards.view[0].n_rows, 3);
    assert_int_equal(shards.view[1].n_rows, 2);
    for (uint32_t p = 0; p < 2; p++) {
        for (uint32_t i = 0; i < shards.view[p].n_rows; i++) {
            uint64_t row = dataset_row_number(&shards.view[p], i);
            const float *val = dataset_row(&shards.view[p], i).val;
            assert_int_equal(shards.view[p].label[i], 100 + row);
            assert_true(val[0] == (float)row && val[1] == (float)(10 * row));
        }
    }
    dataset_shards_fini(&shards);
}

static void test_the_next_timer_is_the_earliest(void **state)
{
    struct train_timers t;

    (void)state;
    assert_int_equal(train_timers_init(&t, 37, NULL), 0);
    for (uint64_t i = 0; i < 5000; i++) {
        uint32_t best = 0;
        train_timers_set(&t, (uint32_t)draw(500, i, 37), draw(501, i, 99));
        for (uint32_t p = 1; p < 37; p++) {
            best = t.due_ns[p] < t.due_ns[best] ? p : best;
        }
        assert_int_equal(train_timers_next(&t), best);
    }
    train_timers_fini(&t);
}

static void test_stragglers_are_as_many_as_asked_for_and_slow(void **state)
{
    struct train_sim_times t = {
        .compute_ns = 1000, .apply_ns = 10, .n_peers = 100, .factor = 3};

    (void)state;
    for (t.n_stragglers = 0; t.n_stragglers <= 100; t.n_stragglers++) {
        uint32_t n = 0;
        for (uint32_t p = 0; p < 100; p++) {
            bool slow = train_sim_times_is_straggler(&t, p);
            n += slow;
            assert_int_equal(train_sim_times_compute(&t, p, 5),
                             slow ? 3000 : 1000);
            assert_int_equal(train_sim_times_apply(&t, p, 7), slow ? 210 : 70);
        }
        assert_int_equal(n, t.n_stragglers);
        assert_true(t.n_stragglers == 100 ||
                    !train_sim_times_is_straggler(&t, 0));
    }
}

static void test_jitter_stays_in_its_bounds_and_averages_out(void **state)
{
    struct train_sim_times t = {.compute_ns = 1000, .n_peers = 4, .jitter = .5};
    double sum = 0;

    (void)state;
    for (uint64_t c = 0; c < 2000; c++) {
        uint64_t ns = train_sim_times_compute(&t, 1, c);
        assert_true(ns >= 500 && ns <= 1500);
        sum += (double)ns;
    }
    assert_true(fabs(sum / 2000 - 1000) < 30);
}

/* What a test changes of a small job. */
struct job {
    uint32_t n_peers;
    enum train_mode mode;
    uint32_t staleness;
    struct train_simulate_options o;
    size_t n_points; /* That were reported. */
};

static void count_point(void *arg, const struct train_simulate_point *p)
{
    struct job *job = arg;

    assert_true(p->clock_min <= p->clock + 1);
    assert_true(p->waiting >= 0 && p->waiting <= 1);
    job->n_points++;
}

static struct job small_job(uint32_t n_peers)
{
    return (struct job){.n_peers = n_peers,
                        .o = {.n_threads = 1,
                              .link_bytes_per_s = 125000000,
                              .delay_ns = CLOCK_MS / 5,
                              .retry_ns = 50 * CLOCK_MS,
                              .compute_ns = CLOCK_MS,
                              .apply_ns = CLOCK_MS / 100,
                              .speed = 1,
                              .straggler_factor = 1,
                              .n_points = 4}};
}

static struct train_simulate_result simulate(const struct fixture *f,
                                             struct job *job)
{
    struct train_simulate_result r;
    struct train_run run;
    struct err e = {.msg = ""};

    train_run_init(&run);
    strcpy(run.model, "mlr");
    run.n_peers = job->n_peers;
    run.seed = 3;
    run.batch = 4;
    run.clocks = 12;
    run.rule = SV_ROWGRAD;
    run.eps = 1e-8f;
    run.mode = job->mode;
    run.staleness = job->staleness;
    run.digest_every = 5;
    run.peer_timeout_ns = 5 * CLOCK_S;
    run.data = strdup(f->sparse);
    run.test = strdup(f->sparse);
    job->o.run = &run;
    job->o.point = count_point;
    job->o.arg = job;
    assert_int_equal(train_simulate(&job->o, &r, &e), 0);
    train_run_fini(&run);
    return r;
}

static bool same_model(const struct train_simulate_result *a,
                       const struct train_simulate_result *b)
{
    return a->digest.high == b->digest.high && a->digest.low == b->digest.low;
}

static void test_a_simulation_is_a_function_of_its_settings(void **state)
{
    struct job job = small_job(5);
    struct train_simulate_result a, b;

    job.mode = TRAIN_SSP;
    job.staleness = 2;
    job.o.jitter = 0.5;
    job.o.loss_permille = 20;
    a = simulate(*state, &job);
    b = simulate(*state, &job);
    a.seconds_real = b.seconds_real = 0;
    assert_true(same_model(&a, &b));
    assert_true(a.last.seconds == b.last.seconds);
    assert_true(a.last.test_accuracy == b.last.test_accuracy);
    assert_int_equal(a.last.bytes_sent, b.last.bytes_sent);
    assert_int_equal(a.n_events, b.n_events);
    assert_int_equal(job.n_points, 8);
    job.o.loss_permille = 0;
    b = simulate(*state, &job);
    assert_int_not_equal(a.n_events, b.n_events);
}

static void test_the_network_costs_time_and_changes_no_bit(void **state)
{
    struct job job = small_job(4);
    struct train_simulate_result plain = simulate(*state, &job), slow;

    job.o.delay_ns = 10 * CLOCK_MS;
    job.o.loss_permille = 50;
    slow = simulate(*state, &job);
    assert_true(same_model(&plain, &slow));
    assert_int_equal(plain.n_states, 1);
    assert_int_equal(slow.n_states, 1);
    assert_true(slow.last.seconds > 2 * plain.last.seconds);
    assert_true(slow.last.bytes_sent > plain.last.bytes_sent);
}

static void test_the_others_wait_for_stragglers(void **state)
{
    struct job job = small_job(4);
    struct train_simulate_result plain = simulate(*state, &job), slow;

    job.o.straggler_share = 0.25;
    job.o.straggler_factor = 5;
    slow = simulate(*state, &job);
    assert_true(same_model(&plain, &slow));
    assert_int_equal(slow.n_stragglers, 1);
    assert_true(slow.last.seconds > 3 * plain.last.seconds);
    assert_true(slow.seconds_waiting > 3 * plain.seconds_waiting);
    assert_true(slow.seconds_waiting_stragglers < slow.seconds_waiting / 3);
}

static void test_time_is_what_computing_applying_and_waiting_took(void **state)
{
    struct job job = small_job(3);
    struct train_simulate_result r = simulate(*state, &job);
    double sum = r.seconds_computing + r.seconds_applying + r.seconds_waiting;

    assert_true(fabs(r.seconds_computing - 12 * 1e-3) < 1e-9);
    assert_true(fabs(r.seconds_applying - 12 * 3 * 1e-5) < 1e-9);
    assert_true(fabs(sum - r.last.seconds) < 1e-4);
    assert_int_equal(r.samples, 12 * 3 * 4);
    assert_int_equal(r.last.clock_min, 12);
}

static void test_replicas_are_shared_only_where_they_are_equal(void **state)
{
    struct job job = small_job(6);
    struct train_simulate_result bsp = simulate(*state, &job), ssp;

    /* ssp:0 applies the batches that bsp does, but every peer in the order in
     * which they came to it. */
    job.mode = TRAIN_SSP;
    ssp = simulate(*state, &job);
    assert_int_equal(bsp.n_states, 1);
    assert_true(ssp.n_states > 1);
    assert_true(fabs(ssp.last.test_loss - bsp.last.test_loss) < 0.2);
}

static void test_one_peer_needs_no_network(void **state)
{
    struct job job = small_job(1);
    struct train_simulate_result r = simulate(*state, &job);

    assert_int_equal(r.last.bytes_sent, 0);
    assert_true(r.seconds_waiting == 0);
}

static void test_times_that_are_not_given_are_measured(void **state)
{
    struct job job = small_job(3);
    struct train_simulate_result given = simulate(*state, &job), measured;

    job.o.compute_ns = 0;
    job.o.apply_ns = 0;
    measured = simulate(*state, &job);
    assert_true(measured.compute_ns > 0 && measured.apply_ns > 0);
    assert_true(same_model(&given, &measured));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_are_the_shards_that_are_read),
        cmocka_unit_test(test_views_of_dense_rows_are_shards),
        cmocka_unit_test(test_the_next_timer_is_the_earliest),
        cmocka_unit_test(test_stragglers_are_as_many_as_asked_for_and_slow),
        cmocka_unit_test(test_jitter_stays_in_its_bounds_and_averages_out),
        cmocka_unit_test(test_a_simulation_is_a_function_of_its_settings),
        cmocka_unit_test(test_the_network_costs_time_and_changes_no_bit),
        cmocka_unit_test(test_the_others_wait_for_stragglers),
        cmocka_unit_test(test_time_is_what_computing_applying_and_waiting_took),
        cmocka_unit_test(test_replicas_are_shared_only_where_they_are_equal),
        cmocka_unit_test(test_one_peer_needs_no_network),
        cmocka_unit_test(test_times_that_are_not_given_are_measured),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
