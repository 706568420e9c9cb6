/* What the parameter server costs: how even the ring is, CPU time of pushes and
 * pulls between nodes in one process, and how long, in the time of a simulated
 * network, ranges are not served when a node dies. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "ps/ring.h"
#include "tests/support/servers.h"
#include "tests/support/test.h"

static struct servers cluster;
static struct servers *const c = &cluster;

static double share_max_over_mean(const struct ps_ring *r)
{
    double share[P2P_PEERS_MAX] = {0}, most = 0;

    for (size_t i = 0; i < r->n_points; i++) {
        uint64_t before = r->points[i == 0 ? r->n_points - 1 : i - 1].at;
        share[r->points[i].member] +=
            (double)(r->points[i].at - before) * 0x1p-64;
    }
    for (uint32_t p = 0; p < r->n_members; p++) {
        most = share[p] > most ? share[p] : most;
    }
    return most * r->n_members;
}

static void bench_ring(void)
{
    p2p_peer members[P2P_PEERS_MAX];

    for (uint32_t n = 0; n < P2P_PEERS_MAX; n++) {
        members[n] = n;
    }
    for (uint32_t n = 10; n <= 1000; n *= 10) {
        double worst = 0;
        uint64_t ns = 0;
        for (uint64_t seed = 1; seed <= 20; seed++) {
            uint64_t begin = clock_thread_cpu_ns();
            struct ps_ring r;
            double x;
            assert_int_equal(ps_ring_init(&r, seed, members, n, NULL), 0);
            ns += clock_thread_cpu_ns() - begin;
            x = share_max_over_mean(&r);
            worst = x > worst ? x : worst;
            ps_ring_fini(&r);
        }
        printf("ring of %u: largest share %.3f of the mean (20 seeds), made "
               "in %.2f ms\n",
               n, worst, (double)ns / 20e6);
    }
}

static void set_up(const struct ps_param *param,
                   uint32_t nodes,
                   uint32_t replicas,
                   uint64_t seed,
                   uint32_t loss)
{
    struct servers_options o = {.net = {.seed = seed,
                                        .n_peers = nodes,
                                        .delay_ns_min = CLOCK_MS / 5,
                                        .delay_ns_max = CLOCK_MS,
                                        .loss_permille = loss},
                                .node = {.seed = seed,
                                         .params = param,
                                         .n_params = 1,
                                         .replicas = replicas,
                                         .consistency = {.kind = PS_BOUNDED},
                                         .retry_ns = 100 * CLOCK_MS},
                                .view_delay_ns = CLOCK_MS};

    servers_set_up(c, &o);
    for (p2p_peer p = 0; p < nodes; p++) {
        servers_start(c, p, 0);
        c->nodes[p].in = true;
    }
    servers_view(c, true);
    assert_true(servers_settle(c, 100 * CLOCK_S));
}

static bool all_done(uint64_t n)
{
    for (p2p_peer p = 0; p < c->n; p++) {
        if (c->nodes[p].node != NULL && c->nodes[p].n_done < n) {
            return false;
        }
    }
    return true;
}

/* Every node pushes and pulls the whole vector at each time. */
static void bench_rounds(const char *name,
                         const struct ps_param *param,
                         uint32_t nodes,
                         uint32_t replicas,
                         uint64_t times)
{
    float *x = calloc(param->n, sizeof *x);
    float *out[SERVERS_MAX];
    uint64_t begin, ns, virtual_ns;

    set_up(param, nodes, replicas, 1, 0);
    for (p2p_peer p = 0; p < nodes; p++) {
        out[p] = malloc(param->n * sizeof *x);
    }
    virtual_ns = servers_now(c);
    begin = clock_thread_cpu_ns();
    for (uint64_t t = 0; t < times; t++) {
        for (p2p_peer p = 0; p < nodes; p++) {
            servers_push(c, p, 0, t, x, param->n);
            servers_pull(c, p, 0, t, out[p], param->n);
        }
        while (!all_done(2 * (t + 1))) {
            servers_run(c, servers_now(c) + CLOCK_MS / 10);
        }
    }
    ns = clock_thread_cpu_ns() - begin;
    virtual_ns = servers_now(c) - virtual_ns;
    printf("%s, %u nodes, k = %u: %.1f us of CPU and %.2f virtual ms a node "
           "and time, %.0f MB/s of values\n",
           name, nodes, replicas, (double)ns / 1e3 / (double)(times * nodes),
           (double)virtual_ns / 1e6 / (double)times,
           (double)(2 * times * nodes * param->n * sizeof *x) * 1e3 /
               (double)ns);
    for (p2p_peer p = 0; p < nodes; p++) {
        free(out[p]);
    }
    free(x);
    servers_tear_down(c);
}

/* From the view without it until all of its ranges are served again. */
static void bench_death(uint32_t loss)
{
    static const struct ps_param PARAM = {.n = 1 << 20, .range_keys = 1024};
    uint64_t most = 0, sum = 0;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t begin;
        set_up(&PARAM, 8, 2, seed, loss);
        servers_kill(c, 3);
        c->nodes[3].in = false;
        servers_view(c, false);
        begin = servers_now(c);
        assert_true(servers_settle(c, 100 * CLOCK_S));
        begin = servers_now(c) - begin;
        sum += begin;
        most = begin > most ? begin : most;
        servers_tear_down(c);
    }
    printf("death of one of 8 nodes, k = 2, 1024 ranges, delays to 1 ms, %u "
           "permille lost: served again after %.0f ms, at most %.0f (10 "
           "seeds)\n",
           loss, (double)sum / 10e6, (double)most / 1e6);
}

int main(void)
{
    const struct ps_param small = {.n = 141, .order = PS_ORDER_RANK};
    const struct ps_param large = {
        .n = 1 << 20, .range_keys = 16384, .order = PS_ORDER_RANK};
    const struct ps_param first = {.n = 1 << 20,
                                   .range_keys = 16384,
                                   .order = PS_ORDER_RANK,
                                   .aggregate_first = true};

    bench_ring();
    bench_rounds("141 values by rank", &small, 8, 1, 200);
    bench_rounds("1 M values by rank", &large, 4, 1, 5);
    bench_rounds("1 M values aggregated first", &first, 4, 1, 5);
    bench_death(0);
    bench_death(20);
    return 0;
}
