/* Unit tests of core/queue.h. */

#include <pthread.h>

#include "core/queue.h"
#include "tests/support/test.h"

#define N_ITEMS     5000
#define N_PRODUCERS 3
#define N_CONSUMERS 2

static void test_items_come_out_in_order(void **state)
{
    struct queue *q = queue_create(3);
    int items[5];
    void *got;

    (void)state;
    assert_non_null(q);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++) {
            assert_int_equal(queue_put(q, &items[i]), 0);
        }
        assert_int_equal(queue_try_put(q, &items[3]), ERR_AGAIN);
        assert_int_equal(queue_count(q), 3);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(queue_get(q, &got, 0), 0);
            assert_ptr_equal(got, &items[i]);
        }
        assert_int_equal(queue_get(q, &got, 0), ERR_AGAIN);
    }
    assert_int_equal(queue_get(q, &got, 1000), ERR_AGAIN);
    queue_destroy(q);
    queue_destroy(NULL);
}

static void test_a_closed_queue_gives_what_it_has(void **state)
{
    struct queue *q = queue_create(2);
    int item;
    void *got;

    (void)state;
    assert_int_equal(queue_put(q, &item), 0);
    queue_close(q);
    assert_int_equal(queue_put(q, &item), ERR_CLOSED);
    assert_int_equal(queue_try_put(q, &item), ERR_CLOSED);
    assert_int_equal(queue_get(q, &got, UINT64_MAX), 0);
    assert_ptr_equal(got, &item);
    assert_int_equal(queue_get(q, &got, UINT64_MAX), ERR_CLOSED);
    assert_int_equal(queue_get(q, &got, 0), ERR_CLOSED);
    queue_destroy(q);
}

struct shared {
    struct queue *q;
    int items[N_ITEMS];
    pthread_mutex_t mutex;
    int n_got;
};

static void *produce(void *arg)
{
    struct shared *s = arg;

    for (int i = 0; i < N_ITEMS; i++) {
        if (queue_put(s->q, &s->items[i]) != 0) {
            break;
        }
    }
    return NULL;
}

static void *consume(void *arg)
{
    struct shared *s = arg;
    void *got;

    while (queue_get(s->q, &got, UINT64_MAX) == 0) {
        pthread_mutex_lock(&s->mutex);
        ++*(int *)got;
        s->n_got++;
        pthread_mutex_unlock(&s->mutex);
    }
    return NULL;
}

static void test_threads_lose_and_double_nothing(void **state)
{
    static struct shared s = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t producers[N_PRODUCERS], consumers[N_CONSUMERS];

    (void)state;
    s.q = queue_create(4);
    assert_non_null(s.q);
    for (int t = 0; t < N_CONSUMERS; t++) {
        assert_int_equal(pthread_create(&consumers[t], NULL, consume, &s), 0);
    }
    for (int t = 0; t < N_PRODUCERS; t++) {
        assert_int_equal(pthread_create(&producers[t], NULL, produce, &s), 0);
    }
    for (int t = 0; t < N_PRODUCERS; t++) {
        pthread_join(producers[t], NULL);
    }
    queue_close(s.q);
    for (int t = 0; t < N_CONSUMERS; t++) {
        pthread_join(consumers[t], NULL);
    }
    assert_int_equal(s.n_got, N_PRODUCERS * N_ITEMS);
    for (int i = 0; i < N_ITEMS; i++) {
        assert_int_equal(s.items[i], N_PRODUCERS);
    }
    queue_destroy(s.q);
}

static void *put_into_full(void *arg)
{
    int item = 0;
    int rc = queue_put(arg, &item);

    return rc == ERR_CLOSED ? arg : NULL;
}

static void test_closing_wakes_those_who_wait_for_room(void **state)
{
    struct queue *q = queue_create(1);
    pthread_t thread;
    int item;
    void *woken;

    (void)state;
    assert_int_equal(queue_put(q, &item), 0);
    assert_int_equal(pthread_create(&thread, NULL, put_into_full, q), 0);
    queue_close(q);
    pthread_join(thread, &woken);
    assert_ptr_equal(woken, q);
    queue_destroy(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_come_out_in_order),
        cmocka_unit_test(test_a_closed_queue_gives_what_it_has),
        cmocka_unit_test(test_threads_lose_and_double_nothing),
        cmocka_unit_test(test_closing_wakes_those_who_wait_for_room),
    };
    return cmocka_run_group_tests_name("core_queue", tests, NULL, NULL);
}
