/* Unit tests of p2p/link.h: over libfabric on loopback. */

#include <pthread.h>
#include <string.h>

#include "core/clock.h"
#include "p2p/link.h"
#include "p2p/ofi.h"
#include "tests/support/test.h"

#define PEERS_MAX 4

struct end {
    pthread_t thread;
    struct p2p_transport *t;
    struct p2p_link_options o;
    struct p2p_link_result r;
    struct err e;
    int rc;
};

static void *end_run(void *arg)
{
    struct end *x = arg;

    x->rc = p2p_link_measure(x->t, &x->o, &x->r, &x->e);
    return NULL;
}

static void open_all(struct end *ends, uint32_t n)
{
    uint8_t addresses[PEERS_MAX][128];
    struct p2p_ofi_peer peers[PEERS_MAX];
    struct p2p_ofi_options o = {.node = "127.0.0.1"};

    memset(ends, 0, n * sizeof *ends);
    for (uint32_t p = 0; p < n; p++) {
        assert_int_equal(p2p_ofi_open(&ends[p].t, &o, NULL), 0);
        peers[p].address = addresses[p];
        assert_int_equal(p2p_ofi_address(ends[p].t, addresses[p],
                                         sizeof addresses[p],
                                         &peers[p].address_size, NULL),
                         0);
    }
    for (uint32_t p = 0; p < n; p++) {
        assert_int_equal(p2p_ofi_connect(ends[p].t, 1, p, peers, n, NULL), 0);
        ends[p].o = (struct p2p_link_options){.self = p,
                                              .target = (p + 1) % n,
                                              .n_peers = n,
                                              .ping_ns = 2 * CLOCK_MS,
                                              .phase_ns = 10 * CLOCK_MS,
                                              .big_size = 65536,
                                              .paced = true,
                                              .silent_ns = 30 * CLOCK_S};
    }
}

static void run_all(struct end *ends, uint32_t n)
{
    for (uint32_t p = 0; p < n; p++) {
        assert_int_equal(
            pthread_create(&ends[p].thread, NULL, end_run, &ends[p]), 0);
    }
    for (uint32_t p = 0; p < n; p++) {
        assert_int_equal(pthread_join(ends[p].thread, NULL), 0);
    }
}

static void close_all(struct end *ends, uint32_t n)
{
    for (uint32_t p = 0; p < n; p++) {
        ends[p].t->ops->close(ends[p].t);
    }
}

static void test_all_of_a_ring_measure_at_once(void **state)
{
    struct end ends[PEERS_MAX];

    (void)state;
    for (uint32_t n = 2; n <= PEERS_MAX; n++) {
        open_all(ends, n);
        run_all(ends, n);
        for (uint32_t p = 0; p < n; p++) {
            if (ends[p].rc != 0) {
                fail_msg("%s", ends[p].e.msg);
            }
            assert_true(ends[p].r.round_trip_us_median > 0);
            assert_true(ends[p].r.big_bytes_per_s > 65536);
            assert_true(ends[p].r.small_msgs_per_s == 0);
        }
        close_all(ends, n);
    }
}

static void test_pacing_bounds_what_is_on_its_way(void **state)
{
    struct end ends[2];

    (void)state;
    open_all(ends, 2);
    for (int p = 0; p < 2; p++) {
        ends[p].o.phase_ns = 1; /* One message is sent. */
        ends[p].o.small_size = 100;
    }
    run_all(ends, 2);
    for (int p = 0; p < 2; p++) {
        assert_int_equal(ends[p].rc, 0);
        assert_true(ends[p].r.small_msgs_per_s > 0);
        assert_true(
            ends[p].t->ops->stats(ends[p].t, 1 - (p2p_peer)p).bytes_sent <
            2 * 65536);
    }
    close_all(ends, 2);
}

static void test_who_waits_in_vain_gives_up(void **state)
{
    struct end ends[2];
    volatile int stop = 1;

    (void)state;
    open_all(ends, 2);
    ends[1].o.silent_ns = 20 * CLOCK_MS;
    end_run(&ends[1]);
    assert_int_equal(ends[1].rc, ERR_UNREACHABLE);
    assert_string_equal(ends[1].e.msg, "the other end is silent");
    ends[1].o.stop = &stop;
    end_run(&ends[1]);
    assert_int_equal(ends[1].rc, ERR_INTERRUPTED);
    close_all(ends, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_a_ring_measure_at_once),
        cmocka_unit_test(test_pacing_bounds_what_is_on_its_way),
        cmocka_unit_test(test_who_waits_in_vain_gives_up),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
