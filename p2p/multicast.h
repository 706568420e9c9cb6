/* Whom a peer sends its batch to at once, at each clock.
 *
 *     all        everybody
 *     random:Q   p+1 and Q-1 others drawn for this clock alone
 *     halton:Q   p+1 and Q-1 others in turn, spread evenly in space and time
 *     ring       p+1
 *
 * Peers are numbered from 0 to P-1 by their place in the view's list of
 * members. In one clock all of them send by the same shifts: p sends to
 * (p + s) mod P for each s of a set S(c) of min(Q, P-1) numbers from 1 to P-1.
 * So a peer hears from exactly as many as it sends to, in every clock, and
 * whoever knows the schedule knows what to expect from whom.
 *
 * 1 is always in S(c): p -> p+1 connects all peers, whatever else was drawn.
 * How often another pair meets, Q from 2 to P-2:
 *
 *     random:Q   S(c) \ {1} is a uniform draw of Q-1 from 2..P-1 without
 *                replacement, independent of other clocks and views: any pair
 *                but (p, p+1) meets with probability (Q-1)/(P-2).
 *     halton:Q   the clocks take Q-1 at a time from an endless round of 2..P-1
 *                in van der Corput's order (evens first, at each level), turned
 *                and entered at random for each seed and view. A pair that
 *                meets at some clock does so again (P-2)/(Q-1) clocks later,
 *                rounded down or up; so no pair waits longer at first either.
 *
 * With Q = 1 both are the ring, and with Q >= P-1 they are all.
 *
 * Source: van der Corput 1935, Halton 1960 (base 2); Floyd's sampling: Bentley,
 * Floyd, "A sample of brilliance", CACM 30(9), 1987.
 */

#ifndef P2P_MULTICAST_H_
#define P2P_MULTICAST_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "p2p/transport.h"

#define P2P_MULTICAST_FAN_OUT_MAX (P2P_PEERS_MAX - 1)
#define P2P_MULTICAST_TEXT_SIZE   24 /* Bytes of a formatted schedule. */

enum p2p_multicast_kind {
    P2P_MULTICAST_ALL,
    P2P_MULTICAST_RANDOM,
    P2P_MULTICAST_HALTON,
    P2P_MULTICAST_RING
};

struct p2p_multicast {
    enum p2p_multicast_kind kind;
    uint32_t fan_out; /* Q of random and halton, from 1; 0 otherwise. */
    uint64_t seed;    /* Of the job, the same for all peers. */
    uint32_t n_peers; /* P: members of the view, 1 to P2P_PEERS_MAX. */
};

/* Set the kind and the fan-out that @text names, and nothing else.
 *
 * Errors: ERR_INVALID  no such schedule (the message lists what there is), or Q
 *                      is not from 1 to P2P_MULTICAST_FAN_OUT_MAX. */
int p2p_multicast_parse(struct p2p_multicast *m,
                        const char *text,
                        struct err *e);

/* The text that parses to the same kind and fan-out. */
void p2p_multicast_format(const struct p2p_multicast *m,
                          char text[P2P_MULTICAST_TEXT_SIZE]);

/* How many a peer sends to, and hears from, in each clock: min(Q, P-1). */
uint32_t p2p_multicast_fan_out(const struct p2p_multicast *m);

/* Write to @targets (p2p_multicast_fan_out()) whom @p sends to at @clock: p+1
 * first, then p+2, p+3, ... modulo P as far as they are targets, so that peers
 * that begin together do not all begin with the same target. Return how many.
 *
 * Cost: Q random numbers, P / 64 words; no memory. */
uint32_t p2p_multicast_targets(const struct p2p_multicast *m,
                               uint32_t view,
                               uint32_t p,
                               uint64_t clock,
                               uint32_t *targets);

/* Whether @q is among the targets of @p at @clock. Cost: as above. */
bool p2p_multicast_sends(const struct p2p_multicast *m,
                         uint32_t view,
                         uint32_t p,
                         uint64_t clock,
                         uint32_t q);

/* Write to @sources (p2p_multicast_fan_out()) whose target @q is at @clock: q-1
 * first, then q-2, q-3, ... modulo P. Return how many. Cost: as above. */
uint32_t p2p_multicast_sources(const struct p2p_multicast *m,
                               uint32_t view,
                               uint32_t q,
                               uint64_t clock,
                               uint32_t *sources);

/* By what @q multiplies the batches that come from @p (not @q) where nothing
 * else brings those of other clocks (no repair), so that the expected sum of
 * what it applies is that of all batches: 1 over how often the pair meets. 1
 * for q = p+1, (P-2)/(Q-1) rounded once to f32 for the others. The same factor
 * (P-1)/Q for all would count the neighbour (P-1)/Q times, which is worse than
 * no factor. With Q = 1 it is 1: nothing makes up for who is never heard. */
float p2p_multicast_scale(const struct p2p_multicast *m,
                          uint32_t p,
                          uint32_t q);

#endif /* P2P_MULTICAST_H_ */
