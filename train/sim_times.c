#include "train/sim_times.h"

#include <assert.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"

/* At clock 0 a model knows nothing, and its batches are not like others. */
#define MEASURE_CLOCKS 4
#define MEASURE_PEERS  16

bool train_sim_times_is_straggler(const struct train_sim_times *t,
                                  uint32_t peer)
{
    uint64_t n = t->n_stragglers;

    return (peer + 1) * n / t->n_peers > peer * n / t->n_peers;
}

static double factor(const struct train_sim_times *t, uint32_t peer)
{
    return train_sim_times_is_straggler(t, peer) ? t->factor : 1;
}

uint64_t train_sim_times_compute(const struct train_sim_times *t,
                                 uint32_t peer,
                                 uint64_t clock)
{
    uint64_t stream = rng_stream(RNG_NETWORK, 2 + (uint64_t)peer, clock);
    double luck = 2.0 * (double)rng_f32(t->seed, stream, 0) - 1;

    return (uint64_t)((double)t->compute_ns * factor(t, peer) *
                      (1 + t->jitter * luck));
}

uint64_t
train_sim_times_apply(const struct train_sim_times *t, uint32_t peer, size_t n)
{
    return (uint64_t)((double)t->apply_ns * factor(t, peer) * (double)n);
}

/* A few peers that go in step, with a network that takes no time. */
struct team {
    size_t n;
    struct train_clock_tools tools;
    struct train_clock clocks[MEASURE_PEERS];
    struct train_hub_item items[MEASURE_PEERS];
    struct ckpt_step step;
    uint64_t compute_ns, apply_ns; /* Of one peer, in the last clock. */
};

static int team_init(struct team *m,
                     struct train_replica *replica,
                     const struct dataset *data,
                     size_t n_data,
                     struct err *e)
{
    int rc;

    memset(m, 0, sizeof *m);
    ckpt_step_init(&m->step);
    rc = train_clock_tools_init(&m->tools, replica, e);
    while (rc == 0 && m->n < n_data && m->n < MEASURE_PEERS) {
        rc = train_clock_init(&m->clocks[m->n], replica, &data[m->n],
                              (uint32_t)m->n, &m->tools, e);
        m->n++;
    }
    return rc;
}

static void team_fini(struct team *m)
{
    for (size_t i = 0; i < m->n; i++) {
        train_clock_fini(&m->clocks[i]);
    }
    train_clock_tools_fini(&m->tools);
    ckpt_step_fini(&m->step);
}

static int compute_all(struct team *m, uint64_t clock, struct err *e)
{
    uint64_t begin_ns = clock_ns();
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < m->n; i++) {
        struct train_clock_work work;
        rc = train_clock_compute(&m->clocks[i], clock, &work, e);
        rc = rc != 0 ? rc
                     : train_clock_encode(&m->clocks[i], clock,
                                          &m->items[i].blob, e);
        m->items[i].peer = (p2p_peer)i;
        m->items[i].clock = clock;
    }
    m->compute_ns = (clock_ns() - begin_ns) / m->n;
    return rc;
}

static int apply_all(struct team *m, uint64_t clock, struct err *e)
{
    uint64_t begin_ns = clock_ns();
    int rc;

    ckpt_step_reset(&m->step, clock);
    rc = train_clock_apply(&m->clocks[0], m->items, m->n, &m->step, e);
    m->apply_ns = (clock_ns() - begin_ns) / m->n;
    return rc;
}

static void drop_all(struct team *m)
{
    for (size_t i = 0; i < m->n; i++) {
        blob_unref(m->items[i].blob);
        m->items[i].blob = NULL;
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int train_sim_times_measure(struct train_sim_times *t,
                            struct train_replica *replica,
                            const struct dataset *data,
                            size_t n_data,
                            double speed,
                            struct err *e)
{
    uint64_t compute_ns = UINT64_MAX, apply_ns = UINT64_MAX;
    struct team m;
    int rc = team_init(&m, replica, data, n_data, e);

    assert(n_data > 0 && speed > 0);
    for (uint64_t c = 0; rc == 0 && c < MEASURE_CLOCKS; c++) {
        rc = compute_all(&m, c, e);
        rc = rc != 0 ? rc : apply_all(&m, c, e);
        compute_ns = least(compute_ns, m.compute_ns);
        apply_ns = least(apply_ns, m.apply_ns);
        drop_all(&m);
    }
    team_fini(&m);
    if (rc == 0 && t->compute_ns == 0) {
        t->compute_ns = 1 + (uint64_t)((double)compute_ns / speed);
    }
    if (rc == 0 && t->apply_ns == 0) {
        t->apply_ns = 1 + (uint64_t)((double)apply_ns / speed);
    }
    return rc;
}
