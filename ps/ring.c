#include "ps/ring.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

#define KEYS UINT64_MAX /* Where a member stands in the streams of points. */

static int compare(const void *a, const void *b)
{
    const struct ps_ring_point *x = a, *y = b;

    if (x->at != y->at) {
        return x->at < y->at ? -1 : 1;
    }
    return x->member < y->member ? -1 : x->member > y->member;
}

int ps_ring_init(struct ps_ring *r,
                 uint64_t seed,
                 const p2p_peer *members,
                 uint32_t n_members,
                 struct err *e)
{
    memset(r, 0, sizeof *r);
    if (n_members > P2P_PEERS_MAX) {
        return err_set(e, ERR_INVALID, "ring: %u members, at most %u",
                       n_members, P2P_PEERS_MAX);
    }
    for (uint32_t i = 1; i < n_members; i++) {
        if (members[i] <= members[i - 1]) {
            return err_set(e, ERR_INVALID, "ring: member %u after %u",
                           members[i], members[i - 1]);
        }
    }
    r->seed = seed;
    r->n_members = n_members;
    r->points =
        calloc((size_t)n_members * PS_RING_POINTS + 1, sizeof *r->points);
    if (r->points == NULL) {
        return err_set(e, ERR_NOMEM, "ring of %u members", n_members);
    }
    for (uint32_t i = 0; i < n_members; i++) {
        uint64_t stream = rng_stream(RNG_RING, members[i], 0);
        for (uint32_t j = 0; j < PS_RING_POINTS; j++) {
            r->points[r->n_points++] = (struct ps_ring_point){
                .at = rng_u64(seed, stream, j), .member = members[i]};
        }
    }
    qsort(r->points, r->n_points, sizeof *r->points, compare);
    return 0;
}

void ps_ring_fini(struct ps_ring *r)
{
    free(r->points);
    memset(r, 0, sizeof *r);
}

/* The first point at or after @at; behind the last comes the first. */
static size_t first_at(const struct ps_ring *r, uint64_t at)
{
    size_t low = 0, high = r->n_points;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->points[middle].at < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == r->n_points ? 0 : low;
}

static bool is_among(p2p_peer p, const p2p_peer *chain, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (chain[i] == p) {
            return true;
        }
    }
    return false;
}

uint32_t ps_ring_chain(const struct ps_ring *r,
                       uint64_t key,
                       uint32_t n,
                       p2p_peer *chain)
{
    uint32_t found = 0;
    size_t at;

    n = n < r->n_members ? n : r->n_members;
    if (n == 0) {
        return 0;
    }
    at = first_at(r, rng_u64(r->seed, rng_stream(RNG_RING, KEYS, 0), key));
    while (found < n) {
        p2p_peer p = r->points[at].member;
        if (!is_among(p, chain, found)) {
            chain[found++] = p;
        }
        at = at + 1 == r->n_points ? 0 : at + 1;
    }
    return found;
}
