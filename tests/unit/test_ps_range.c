/* Unit tests of ps/range.h. */

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "ps/range.h"
#include "tests/support/test.h"

#define N 6
#define P 4

static const struct ps_update ADD = {.apply = ps_update_add};

static void make(struct ps_range *r, enum ps_order order, uint32_t n_workers)
{
    struct ps_worker workers[P] = {{0}};

    for (p2p_peer p = 0; p < P; p++) {
        workers[p].peer = p;
    }
    assert_int_equal(ps_range_init(r, 100, N, order, &ADD, NULL), 0);
    assert_int_equal(ps_range_install(r, 1, workers, n_workers), 0);
}

/* Values whose sum depends on the order in which they are added. */
static int push(struct ps_range *r, p2p_peer origin, uint64_t time)
{
    struct ps_push p = {.origin = origin, .from = time, .time = time};
    float x[N];
    int rc;

    for (uint64_t i = 0; i < N; i++) {
        x[i] = rng_normal(origin, time, i);
    }
    assert_int_equal(ps_values_init(&p.values, 0, N, x), 0);
    rc = ps_range_push(r, &p);
    ps_push_fini(&p);
    return rc;
}

static void assert_same_bytes(const struct ps_range *a,
                              const struct ps_range *b)
{
    struct buf x, y;

    buf_init(&x);
    buf_init(&y);
    ps_range_encode(a, &x);
    ps_range_encode(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_fini(&x);
    buf_fini(&y);
}

static void test_by_rank_the_order_of_arrival_changes_no_bit(void **state)
{
    float expected[N] = {0};

    (void)state;
    for (uint64_t t = 0; t < 5; t++) {
        for (p2p_peer p = 0; p < P; p++) {
            for (uint64_t i = 0; i < N; i++) {
                expected[i] += rng_normal(p, t, i);
            }
        }
    }
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct ps_range r;
        make(&r, PS_ORDER_RANK, P);
        for (uint64_t i = 0; i < (uint64_t)5 * P; i++) {
            uint64_t k = rng_permute(seed, 1, (uint64_t)5 * P, i);
            assert_int_equal(push(&r, (p2p_peer)(k % P), k / P), 0);
        }
        assert_memory_equal(r.val, expected, sizeof expected);
        assert_int_equal(r.n_held, 0);
        ps_range_fini(&r);
    }
}

static void test_a_time_is_applied_when_its_last_push_is_here(void **state)
{
    struct ps_range r;
    const float zero[N] = {0};

    (void)state;
    make(&r, PS_ORDER_RANK, P);
    for (p2p_peer p = 1; p < P; p++) {
        push(&r, p, 0);
        push(&r, p, 1);
    }
    assert_int_equal(r.n_held, 6);
    assert_memory_equal(r.val, zero, sizeof zero);
    push(&r, 0, 1); /* Before its own push of time 0. */
    assert_int_equal(r.n_held, 7);
    push(&r, 0, 0);
    assert_int_equal(r.n_held, 0);
    ps_range_fini(&r);
}

static void test_who_left_is_not_waited_for_and_its_push_counts(void **state)
{
    struct ps_worker left[] = {{0, 0}, {2, 0}, {3, 0}};
    struct ps_range r, all;

    (void)state;
    make(&r, PS_ORDER_RANK, P);
    make(&all, PS_ORDER_RANK, P);
    push(&r, 1, 0);
    for (p2p_peer p = 0; p < P; p++) {
        push(&all, p, 0);
        if (p != 1) {
            push(&r, p, 0);
            push(&r, p, 1);
        }
    }
    assert_memory_equal(r.val, all.val, sizeof(float) * N);
    assert_int_equal(r.n_held, 3);
    assert_int_equal(ps_range_install(&r, 2, left, 3), 0);
    assert_int_equal(r.n_held, 0);
    ps_range_fini(&r);
    ps_range_fini(&all);
}

static void test_who_comes_is_waited_for_from_its_time_on(void **state)
{
    struct ps_worker both[] = {{0, 0}, {1, 3}};
    struct ps_range r;

    (void)state;
    make(&r, PS_ORDER_RANK, 1);
    push(&r, 0, 0);
    assert_int_equal(ps_range_install(&r, 2, both, 2), 0);
    push(&r, 0, 1);
    push(&r, 0, 2);
    assert_int_equal(r.n_held, 0);
    push(&r, 0, 3);
    assert_int_equal(r.n_held, 1);
    assert_true(ps_range_complete(&r, &r.clock) == 3);
    push(&r, 1, 3);
    assert_int_equal(r.n_held, 0);
    ps_range_fini(&r);
}

static int refuse(void *arg,
                  uint64_t first,
                  uint32_t n,
                  float *val,
                  const struct ps_push *p)
{
    (void)val;
    assert_true(first == 100 && n == N);
    return p->time == *(const uint64_t *)arg
               ? ERR_INVALID
               : ps_update_add(NULL, 0, n, val, p);
}

static void test_a_push_that_the_update_refuses_is_counted_as_come(void **state)
{
    uint64_t bad = 1;
    struct ps_update update = {.apply = refuse, .arg = &bad};
    struct ps_range r;
    float before[N];

    (void)state;
    assert_int_equal(ps_range_init(&r, 100, N, PS_ORDER_ARRIVAL, &update, NULL),
                     0);
    push(&r, 0, 0);
    memcpy(before, r.val, sizeof before);
    assert_int_equal(push(&r, 0, 1), 0);
    assert_memory_equal(before, r.val, sizeof before);
    assert_int_equal(r.n_refused, 1);
    assert_true(ps_vclock_has(&r.clock, 0, 1));
    ps_range_fini(&r);
}

static void test_too_many_held_pushes_are_refused(void **state)
{
    struct ps_range r;

    (void)state;
    make(&r, PS_ORDER_RANK, P);
    for (uint64_t t = 0; t < PS_RANGE_HELD_MAX; t++) {
        assert_int_equal(push(&r, 1, t), 0);
    }
    assert_int_equal(push(&r, 1, PS_RANGE_HELD_MAX), ERR_FULL);
    assert_false(ps_vclock_has(&r.clock, 1, PS_RANGE_HELD_MAX));
    ps_range_fini(&r);
}

/* All that can be in one: held pushes, gaps, a push of a list. */
static void make_rich(struct ps_range *r)
{
    struct ps_push p = {.origin = 3, .from = 0, .time = 4};
    const float x[] = {1, 2};

    make(r, PS_ORDER_RANK, P);
    for (p2p_peer q = 0; q < P; q++) {
        push(r, q, 0);
    }
    push(r, 2, 5);
    push(r, 1, 1);
    p.from = 1;
    assert_int_equal(ps_values_init(&p.values, 0, 2, x), 0);
    p.values.index = malloc(2 * sizeof(uint32_t));
    p.values.index[0] = 1;
    p.values.index[1] = 5;
    assert_int_equal(ps_range_push(r, &p), 0);
    r->seq = 1ull << 33;
}

static void test_what_is_encoded_goes_on_as_the_original(void **state)
{
    struct ps_range a, b;
    struct buf bytes;

    (void)state;
    make_rich(&a);
    assert_int_equal(a.n_held, 3);
    assert_int_equal(ps_range_init(&b, 100, N, PS_ORDER_RANK, &ADD, NULL), 0);
    buf_init(&bytes);
    ps_range_encode(&a, &bytes);
    assert_int_equal(ps_range_decode(&b, bytes.data, bytes.size, NULL), 0);
    assert_same_bytes(&a, &b);
    assert_true(b.seq == 1ull << 33 && b.epoch == 1);
    for (p2p_peer p = 0; p < P; p++) {
        for (uint64_t t = 1; t < 9; t++) {
            if (!ps_vclock_has(&a.clock, p, t)) {
                assert_int_equal(push(&a, p, t), 0);
                assert_int_equal(push(&b, p, t), 0);
            }
        }
    }
    assert_int_equal(a.n_held, 0);
    assert_same_bytes(&a, &b);
    ps_range_fini(&a);
    ps_range_fini(&b);
    buf_fini(&bytes);
}

static void test_damaged_bytes_leave_a_range_as_it_was(void **state)
{
    struct ps_range a, b, before;
    struct buf bytes;

    (void)state;
    make_rich(&a);
    make(&b, PS_ORDER_RANK, 2);
    make(&before, PS_ORDER_RANK, 2);
    push(&b, 0, 0);
    push(&before, 0, 0);
    buf_init(&bytes);
    ps_range_encode(&a, &bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_int_equal(ps_range_decode(&b, bytes.data, size, NULL),
                         ERR_CORRUPT);
    }
    buf_put(&bytes, "", 1);
    assert_int_equal(ps_range_decode(&b, bytes.data, bytes.size, NULL),
                     ERR_CORRUPT);
    bytes.size--;
    b.n--; /* As if it were a shorter range. */
    assert_int_equal(ps_range_decode(&b, bytes.data, bytes.size, NULL),
                     ERR_CORRUPT);
    b.n++;
    assert_same_bytes(&b, &before);
    ps_range_fini(&a);
    ps_range_fini(&b);
    ps_range_fini(&before);
    buf_fini(&bytes);
}

static void test_assigning_puts_values_in_place(void **state)
{
    float val[N] = {1, 1, 1, 1, 1, 1};
    const float x[] = {7, 8}, expected[] = {1, 1, 7, 8, 1, 1};
    struct ps_push p = {0};

    (void)state;
    ps_values_init(&p.values, 2, 2, x);
    assert_int_equal(ps_update_assign(NULL, 0, N, val, &p), 0);
    assert_memory_equal(val, expected, sizeof val);
    ps_push_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_rank_the_order_of_arrival_changes_no_bit),
        cmocka_unit_test(test_a_time_is_applied_when_its_last_push_is_here),
        cmocka_unit_test(test_who_left_is_not_waited_for_and_its_push_counts),
        cmocka_unit_test(test_who_comes_is_waited_for_from_its_time_on),
        cmocka_unit_test(
            test_a_push_that_the_update_refuses_is_counted_as_come),
        cmocka_unit_test(test_too_many_held_pushes_are_refused),
        cmocka_unit_test(test_what_is_encoded_goes_on_as_the_original),
        cmocka_unit_test(test_damaged_bytes_leave_a_range_as_it_was),
        cmocka_unit_test(test_assigning_puts_values_in_place),
    };
    return cmocka_run_group_tests_name("ps_range", tests, NULL, NULL);
}
