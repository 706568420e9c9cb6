/* Who keeps which keys: consistent hashing.
 *
 * Every member puts PS_RING_POINTS points on a ring of 2^64 places, and every
 * key has a place there, too. The member whose point comes next at or after the
 * key owns it; the other members that follow, each counted once, are its
 * successors. Places are pure functions of (seed, member, number of the point)
 * and of (seed, key), so all who know the members agree. When a member comes,
 * only keys that it owns from now on move; when it goes, only those it owned.
 *
 * Source: Karger et al., "Consistent hashing and random trees", STOC 1997.
 */

#ifndef PS_RING_H_
#define PS_RING_H_

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "p2p/transport.h"

/* Points of one member. The share of a member differs from the mean by about
 * 1 / sqrt(PS_RING_POINTS) of it. */
#define PS_RING_POINTS 256

struct ps_ring_point {
    uint64_t at;
    p2p_peer member;
};

struct ps_ring {
    uint64_t seed;
    struct ps_ring_point *points; /* Ascending. Owned. */
    size_t n_points;
    uint32_t n_members;
};

/* Errors: ERR_NOMEM; ERR_INVALID: more than P2P_PEERS_MAX members, or one twice
 * (@members ascend). @r needs no ps_ring_fini() then. No members: no owners. */
int ps_ring_init(struct ps_ring *r,
                 uint64_t seed,
                 const p2p_peer *members,
                 uint32_t n_members,
                 struct err *e);
void ps_ring_fini(struct ps_ring *r);

/* Write the owner of @key and its next successors to @chain, at most @n in all.
 * Return how many: less than @n where there are not so many members.
 *
 * Cost: log of the number of points, and some n points more. */
uint32_t ps_ring_chain(const struct ps_ring *r,
                       uint64_t key,
                       uint32_t n,
                       p2p_peer *chain);

#endif /* PS_RING_H_ */
