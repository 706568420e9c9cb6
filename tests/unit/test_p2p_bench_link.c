/* Unit tests of p2p/bench_link.h. */

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/clock.h"
#include "p2p/bench_link.h"
#include "tests/support/test.h"

static const struct bench_link_options QUICK = {.node = "127.0.0.1",
                                                .phase_ns = 5 * CLOCK_MS};

static void result_expect(const struct bench_link_result *r)
{
    assert_true(strlen(r->provider) > 0);
    assert_true(r->round_trip_us_median > 0);
    assert_true(r->round_trip_us_p99 >= r->round_trip_us_median);
    assert_true(r->small_msgs_per_s > 0);
    assert_true(r->big_bytes_per_s > 0);
    assert_true(r->big_cpu_share >= 0);
}

static void test_endpoints_of_one_process_are_measured(void **state)
{
    struct err e;

    (void)state;
    for (uint32_t n = 2; n <= 4; n++) {
        struct bench_link_result r;
        if (bench_link_local(&QUICK, n, &r, &e) != 0) {
            fail_msg("%s", e.msg);
        }
        result_expect(&r);
    }
}

struct end {
    pthread_t thread;
    char url[64];
    p2p_peer self;
    struct bench_link_result result;
    struct err e;
    int rc;
};

static void *end_run(void *arg)
{
    struct end *x = arg;

    x->rc = bench_link_pair(&QUICK, x->url, x->self, &x->result, &x->e);
    return NULL;
}

static void test_two_ends_that_meet_are_measured(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct end ends[2] = {{.self = 0}, {.self = 1}};

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    close(fd);
    for (int i = 0; i < 2; i++) {
        snprintf(ends[i].url, sizeof ends[i].url, "tcp://127.0.0.1:%d",
                 ntohs(a.sin_port));
        assert_int_equal(
            pthread_create(&ends[i].thread, NULL, end_run, &ends[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(ends[i].thread, NULL), 0);
        if (ends[i].rc != 0) {
            fail_msg("%s", ends[i].e.msg);
        }
    }
    result_expect(&ends[1].result);
}

static void test_what_cannot_be_measured_is_refused(void **state)
{
    struct bench_link_options o = {.provider = "nonsense"};
    struct bench_link_result r;
    volatile int stop = 1;
    struct err e;

    (void)state;
    assert_int_equal(bench_link_local(&QUICK, 1, &r, &e), ERR_INVALID);
    assert_string_equal(e.msg, "1 endpoints; 2 to 16 can be measured");
    assert_int_equal(bench_link_local(&QUICK, 17, &r, &e), ERR_INVALID);
    assert_int_equal(bench_link_local(&o, 2, &r, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "nonsense"));
    o = QUICK;
    o.stop = &stop;
    assert_int_equal(bench_link_local(&o, 2, &r, &e), ERR_INTERRUPTED);
    o.timeout_ns = CLOCK_S;
    assert_int_equal(bench_link_pair(&o, "tcp://127.0.0.1:1", 1, &r, &e),
                     ERR_INTERRUPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoints_of_one_process_are_measured),
        cmocka_unit_test(test_two_ends_that_meet_are_measured),
        cmocka_unit_test(test_what_cannot_be_measured_is_refused),
    };
    return cmocka_run_group_tests_name("bench_link", tests, NULL, NULL);
}
