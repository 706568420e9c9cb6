/* Many seeds of a bad network: delay, loss, reordering, cuts, unequal peers.
 *
 * Safety at every step: nobody is further ahead than its mode allows. Then the
 * network is healed, and progress is demanded: all end, everything was applied
 * once and, where the mode promises it, replicas have equal bits. Prints only
 * the seed of a failure.
 */

#include <stdio.h>
#include <stdlib.h>

#include "core/rng.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#define SEEDS  200
#define CLOCKS 40

static struct cluster cluster;

static uint64_t draw(uint64_t seed, uint64_t i, uint64_t n)
{
    return rng_below(seed, rng_stream(RNG_TEST, 77, 0), i, n);
}

static struct cluster_options options_of(uint64_t seed)
{
    struct cluster_options o = {
        .net = {.seed = seed,
                .n_peers = 2 + (uint32_t)draw(seed, 0, 5),
                .delay_ns_min = CLOCK_MS / 10,
                .delay_ns_max = CLOCK_MS * (1 + draw(seed, 1, 40)),
                .loss_permille = (uint32_t)draw(seed, 2, 200)},
        .mode = (enum train_mode)(seed % TRAIN_MODE_COUNT),
        .staleness = 1 + (uint32_t)draw(seed, 3, 5),
        .clocks = CLOCKS,
        .digest_every = 1 + draw(seed, 4, 10),
        .retry_ns = CLOCK_MS * (5 + draw(seed, 5, 100)),
    };

    if (draw(seed, 6, 2) == 0) {
        o.multicast =
            P2P_MULTICAST_RANDOM + (enum p2p_multicast_kind)draw(seed, 7, 3);
        o.fan_out = 1 + (uint32_t)draw(seed, 8, 3);
        o.lazy = 1 + (uint32_t)draw(seed, 9, 8);
        if (o.mode != TRAIN_BSP && o.mode != TRAIN_PIPELINE) {
            o.repair = (enum train_repair)draw(seed, 30, TRAIN_REPAIR_COUNT);
            o.mix_clocks = 1 + (uint32_t)draw(seed, 31, 8);
        }
    }
    if (o.mode == TRAIN_BSP || o.mode == TRAIN_ASP) {
        o.staleness = 0;
    }
    for (uint32_t p = 0; p < o.net.n_peers; p++) {
        o.compute_ns[p] = CLOCK_MS * (1 + draw(seed, 10 + p, 30));
    }
    return o;
}

static struct train_delivery delivery_of(const struct cluster_options *o)
{
    return (struct train_delivery){.schedule = {.kind = o->multicast,
                                                .fan_out = o->fan_out,
                                                .seed = o->net.seed,
                                                .n_peers = o->net.n_peers},
                                   .repair = o->repair,
                                   .lazy = o->lazy,
                                   .last_clock = o->clocks};
}

/* How many clocks a peer may have closed that the slowest has not. */
static uint64_t ahead_max(const struct cluster_options *o)
{
    const struct train_delivery d = delivery_of(o);
    uint64_t group = o->multicast == P2P_MULTICAST_ALL ? 0 : o->lazy - 1;

    if (train_delivery_leaves_out(&d) && o->mode != TRAIN_ASP) {
        /* From neighbour to neighbour. */
        return (uint64_t)(o->staleness + 2) * (o->net.n_peers - 1);
    }

    switch (o->mode) {
    case TRAIN_BSP:
        return 1 + group;
    case TRAIN_PIPELINE:
        return o->staleness + 1 + group; /* That has computed what it needs. */
    case TRAIN_SSP:
    case TRAIN_ADAPTIVE:
        return o->staleness + 2 + group;
    case TRAIN_ASP:
    case TRAIN_MODE_COUNT:
        break;
    }
    return TRAIN_WINDOW / 2 + 1;
}

/* Whether the batch of @q of @clock is one that @p ever gets, by the schedule
 * alone. */
static bool
comes(const struct cluster_options *o, p2p_peer p, p2p_peer q, uint64_t clock)
{
    const struct train_delivery d = delivery_of(o);

    return p == q || o->repair == TRAIN_REPAIR_LAZY ||
           o->multicast == P2P_MULTICAST_ALL ||
           p2p_multicast_sends(&d.schedule, 0, q, clock, p);
}

/* In ssp, what @p has closed had all that it gets of s clocks before. */
static bool fresh(const struct cluster_options *o, p2p_peer p)
{
    const struct cluster_node *node = &cluster.nodes[p];
    uint64_t group =
        o->multicast == P2P_MULTICAST_ALL || o->repair != TRAIN_REPAIR_LAZY
            ? 1
            : o->lazy;
    uint64_t limit = node->clock > o->staleness + 1
                         ? (node->clock - 1 - o->staleness) / group * group
                         : 0;

    if (o->mode != TRAIN_SSP) {
        return true;
    }
    for (p2p_peer q = 0; q < cluster.n; q++) {
        for (uint64_t c = 0; c < limit; c++) {
            if (comes(o, p, q, c) && !cluster_has(&cluster, p, q, c)) {
                return false;
            }
        }
    }
    return true;
}

static bool check(const struct cluster_options *o, const char **what)
{
    for (p2p_peer p = 0; p < cluster.n; p++) {
        char why[ERR_MSG_SIZE];
        p2p_peer about;
        struct cluster_node *node = &cluster.nodes[p];
        *what = "an engine stopped";
        if (train_hub_outcome(node->hub, &about, why) != 0) {
            return false;
        }
        *what = "a peer ran too far ahead";
        if (node->behind_max > ahead_max(o)) {
            return false;
        }
        *what = "a gate opened too early";
        if (!fresh(o, p)) {
            return false;
        }
    }
    return true;
}

static bool applied_what_comes(const struct cluster_options *o, p2p_peer p)
{
    for (p2p_peer q = 0; q < cluster.n; q++) {
        for (uint64_t c = 0; c < CLOCKS; c++) {
            if (cluster_has(&cluster, p, q, c) != comes(o, p, q, c)) {
                return false;
            }
        }
    }
    return true;
}

/* Every round that began gave its result, everywhere. */
static bool mixed(const struct cluster_options *o, p2p_peer p)
{
    uint64_t n = 0;

    for (uint64_t c = 0;
         c < CLOCKS && o->mix_clocks > 0 &&
         (o->repair == TRAIN_REPAIR_SYNC || o->repair == TRAIN_REPAIR_ROTATE);
         c++) {
        uint32_t first, end;
        train_exchange_due(cluster.pieces.n, o->mix_clocks, c, &first, &end);
        n += end - first;
    }
    return cluster.nodes[p].n_results == n;
}

static bool check_end(const struct cluster_options *o, const char **what)
{
    bool in_order = o->mode == TRAIN_BSP || o->mode == TRAIN_PIPELINE;

    *what = "no progress on a good network";
    if (!cluster_ended(&cluster)) {
        return false;
    }
    for (p2p_peer p = 0; p < cluster.n; p++) {
        *what = "a batch was not applied, or one that was for others";
        if (!applied_what_comes(o, p)) {
            return false;
        }
        *what = "a round gave nothing";
        if (!mixed(o, p)) {
            return false;
        }
        *what = "replicas differ";
        if (in_order && !cluster_equal(&cluster, 0, p)) {
            return false;
        }
    }
    return true;
}

static void cut_some_links(uint64_t seed, uint64_t round)
{
    p2p_peer a = (p2p_peer)draw(seed, 100 + 3 * round, cluster.n);
    p2p_peer b = (p2p_peer)draw(seed, 101 + 3 * round, cluster.n);

    if (a == b) {
        return;
    }
    if (draw(seed, 102 + 3 * round, 2) == 0) {
        p2p_sim_cut(cluster.net, a, b);
    } else {
        p2p_sim_mend(cluster.net, a, b);
    }
}

static void heal(void)
{
    for (p2p_peer a = 0; a < cluster.n; a++) {
        for (p2p_peer b = 0; b < cluster.n; b++) {
            p2p_sim_mend(cluster.net, a, b);
        }
    }
    p2p_sim_loss(cluster.net, 0);
}

static bool run_seed(uint64_t seed, const char **what)
{
    struct cluster_options o = options_of(seed);
    bool ok = true;

    cluster_set_up(&cluster, &o);
    for (uint64_t round = 0; ok && round < 20; round++) {
        cut_some_links(seed, round);
        cluster_run(&cluster, (round + 1) * 100 * CLOCK_MS);
        ok = check(&o, what);
    }
    if (ok) {
        heal();
        cluster_run(&cluster, 600 * CLOCK_S);
        ok = check(&o, what) && check_end(&o, what);
    }
    cluster_tear_down(&cluster);
    return ok;
}

static void test_nobody_misses_a_batch_for_good(void **state)
{
    const char *wish = getenv("SWARM_SEEDS");
    uint64_t n = wish != NULL ? strtoull(wish, NULL, 10) : SEEDS;
    uint64_t bad = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= n; seed++) {
        const char *what = "";
        if (!run_seed(seed, &what)) {
            printf("seed=%llu: %s\n", (unsigned long long)seed, what);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_misses_a_batch_for_good),
    };
    return cmocka_run_group_tests_name("swarm", tests, NULL, NULL);
}
