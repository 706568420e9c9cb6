/* Unit tests of core/pool.h. */

#include <stdlib.h>
#include <string.h>

#include "core/pool.h"
#include "tests/support/test.h"

#define N 1000

struct work {
    int visits[N]; /* Each index is one task's own: no atomics on purpose. */
    size_t n_threads;
};

static void visit(void *arg, size_t index, size_t thread)
{
    struct work *w = arg;

    assert_true(thread < w->n_threads);
    w->visits[index]++;
}

static void test_every_index_is_visited_once(void **state)
{
    static const size_t SIZES[] = {0, 1, 2, 3, 17, N};
    static struct work w;
    struct err e;

    (void)state;
    for (size_t t = 1; t <= 5; t++) {
        struct pool *p;
        assert_int_equal(pool_create(&p, t, &e), 0);
        assert_int_equal(pool_threads(p), t);
        w.n_threads = t;
        for (size_t s = 0; s < 200; s++) {
            size_t n = SIZES[s % (sizeof SIZES / sizeof *SIZES)];
            memset(w.visits, 0, sizeof w.visits);
            pool_run(p, n, visit, &w);
            for (size_t i = 0; i < N; i++) {
                assert_int_equal(w.visits[i], i < n);
            }
        }
        pool_destroy(p);
    }
}

static void test_no_pool_is_the_caller_alone(void **state)
{
    static struct work w = {.n_threads = 1};

    (void)state;
    assert_int_equal(pool_threads(NULL), 1);
    pool_run(NULL, 5, visit, &w);
    assert_int_equal(w.visits[4], 1);
    pool_destroy(NULL);
}

static void add_up(void *arg, size_t index, size_t thread)
{
    size_t *sums = arg;

    sums[thread * 8] += index; /* Scratch memory that each thread has once. */
}

static void test_scratch_by_thread_is_not_shared(void **state)
{
    size_t sums[4 * 8] = {0};
    struct pool *p;
    struct err e;

    (void)state;
    assert_int_equal(pool_create(&p, 4, &e), 0);
    for (int round = 0; round < 50; round++) {
        pool_run(p, N, add_up, sums);
    }
    pool_destroy(p);
    assert_int_equal(sums[0] + sums[8] + sums[16] + sums[24],
                     50 * (N * (N - 1) / 2));
}

static void test_pools_that_do_nothing_end(void **state)
{
    struct err e;

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct pool *p;
        assert_int_equal(pool_create(&p, 3, &e), 0);
        pool_destroy(p);
    }
}

static void test_numbers_of_threads_that_make_no_sense(void **state)
{
    struct pool *p;
    struct err e;

    (void)state;
    assert_int_equal(pool_create(&p, 0, &e), ERR_INVALID);
    assert_string_equal(e.msg, "0 threads: 1 to 256 can be had");
    assert_int_equal(pool_create(&p, POOL_THREADS_MAX + 1, &e), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_index_is_visited_once),
        cmocka_unit_test(test_no_pool_is_the_caller_alone),
        cmocka_unit_test(test_scratch_by_thread_is_not_shared),
        cmocka_unit_test(test_pools_that_do_nothing_end),
        cmocka_unit_test(test_numbers_of_threads_that_make_no_sense),
    };
    return cmocka_run_group_tests_name("core_pool", tests, NULL, NULL);
}
