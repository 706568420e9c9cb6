#include "train/cost.h"

#include <math.h>

#include "core/mat.h"
#include "train/pieces.h"

#define F32_SIZE 4.0

double train_cost_record_size(const struct train_cost_pairs *p,
                              double size_u,
                              double size_v)
{
    return p->n * (p->nnz_u * size_u + p->nnz_v * size_v);
}

struct train_cost_traffic train_cost_sv(const struct train_delivery *d,
                                        double record_size)
{
    const uint32_t P = d->schedule.n_peers;
    struct train_cost_traffic t = {0};

    if (P < 2) {
        return t;
    }
    const uint32_t Q = p2p_multicast_fan_out(&d->schedule);
    t.bytes = record_size * (P - 1);
    t.msgs_eager = Q;
    t.rounds = 1;
    if (train_delivery_leaves_out(d)) {
        t.bytes = record_size * Q;
    } else if (Q < P - 1) {
        /* p+1 lacks nothing ever; another lacks nothing of a group if it was a
         * target in each of its clocks. */
        const double meets = (double)(Q - 1) / (P - 2);
        t.msgs_lazy = (P - 2) * (1 - pow(meets, d->lazy)) / d->lazy;
    }
    return t;
}

uint32_t train_cost_batches(const struct train_delivery *d)
{
    return train_delivery_leaves_out(d)
               ? 1 + p2p_multicast_fan_out(&d->schedule)
               : d->schedule.n_peers;
}

struct train_cost_traffic train_cost_mix(const struct train_delivery *d,
                                         uint32_t every,
                                         uint64_t J,
                                         uint64_t K)
{
    const double P = d->schedule.n_peers, JK = (double)J * (double)K;
    const double pieces = ceil(JK / (double)TRAIN_PIECE_FLOATS);
    struct train_cost_traffic t = {0};
    double crossings = 1; /* Of a replica, for each peer. */

    if (!train_delivery_mixes(d)) {
        return t;
    }
    if (d->repair == TRAIN_REPAIR_SYNC) {
        crossings = 2 * (P - 1) / P;
    }
    t.bytes = F32_SIZE * JK * crossings / every;
    t.msgs_eager = pieces * crossings / every;
    return t;
}

/* Either way everything crosses a peer's link twice but for its own part. */
static struct train_cost_traffic
matrix(uint64_t J, uint64_t K, uint32_t P, double rounds)
{
    struct train_cost_traffic t = {0};

    if (P < 2) {
        return t;
    }
    t.bytes = 2 * F32_SIZE * (double)J * (double)K * (P - 1) / P;
    t.msgs_eager = 2.0 * (P - 1);
    t.rounds = rounds;
    return t;
}

struct train_cost_traffic
train_cost_matrix_ps(uint64_t J, uint64_t K, uint32_t n_peers)
{
    return matrix(J, K, n_peers, 2);
}

struct train_cost_traffic
train_cost_matrix_ring(uint64_t J, uint64_t K, uint32_t n_peers)
{
    return matrix(J, K, n_peers, 2.0 * (n_peers - 1.0));
}

double train_cost_break_even(uint64_t J,
                             uint64_t K,
                             uint32_t n_peers,
                             double pair_size)
{
    if (n_peers < 2 || pair_size <= 0) {
        return INFINITY;
    }
    return 2 * F32_SIZE * (double)J * (double)K / (n_peers * pair_size);
}

double train_cost_forward_flops(double n, uint64_t J, double nnz_v)
{
    return 2 * n * (double)J * nnz_v;
}

double train_cost_select_flops(const struct train_cost_pairs *p)
{
    /* Half of n^2 products, 2 flops for an entry. */
    return p->n * p->n * (p->nnz_u + p->nnz_v);
}

double train_cost_apply_flops(const struct train_cost_pairs *p,
                              uint32_t n_batches)
{
    return 2 * p->n * p->nnz_u * p->nnz_v * n_batches;
}

double train_cost_matrix_flops(const struct train_cost_pairs *p,
                               uint64_t J,
                               uint64_t K,
                               uint32_t n_peers)
{
    const double JK = (double)J * (double)K;

    return train_cost_apply_flops(p, 1) + JK * (n_peers - 1.0) / n_peers +
           2 * JK;
}

double train_cost_matrix_memory(uint64_t J, uint64_t K, uint32_t n)
{
    return F32_SIZE * (double)K * (double)mat_ld((size_t)J) * n;
}

double
train_cost_held_memory(uint32_t n_peers, uint32_t n_clocks, double batch_size)
{
    return batch_size * n_peers * n_clocks;
}
