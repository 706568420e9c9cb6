/* How fast links are, measured between connected peers: round trips of small
 * messages, then streams of messages of one or two sizes.
 *
 * A peer measures its link to its target and answers all who have chosen it.
 * All do so at the same time, so what they share (a switch, a core) is shared
 * while it is measured. The numbers are those of the transport that training
 * uses, with its headers, chunks, checks and copies.
 *
 * Nobody leaves before all have measured: peer 0 says so. What else arrives
 * meanwhile is dropped, also from peers that have left already: what follows
 * must greet until it is answered, as a mesh does.
 */

#ifndef P2P_LINK_H_
#define P2P_LINK_H_

#include <stdbool.h>

#include "p2p/transport.h"

struct p2p_link_options {
    p2p_peer self, target; /* The same: only answer. Peer 0 always answers. */
    uint32_t n_peers;
    uint64_t ping_ns;   /* Time of round trips, */
    uint64_t phase_ns;  /* and of each stream. */
    size_t small_size;  /* Bytes of a small body. 0: no such stream. */
    size_t big_size;    /* Bytes of a big one. */
    bool paced;         /* Never have more on its way than has arrived before:
                         * a slow link takes no more than about twice
                         * phase_ns, whatever it has room for. */
    uint64_t silent_ns; /* Patience with the other end. */
    const volatile int *stop; /* Not NULL: give up when it becomes nonzero. */
};

struct p2p_link_result {
    double round_trip_us_median; /* Of a body of 8 bytes, there and back. */
    double round_trip_us_p99;
    double small_msgs_per_s; /* That arrived. */
    double big_bytes_per_s;  /* Bodies that arrived; paced: what came later than
                              * a third of the phase, if anything did, since
                              * shaped links begin with a burst. */
    /* CPU time of this process per second of the big stream: 1.0 is a core. */
    double big_cpu_share;
};

/* Measure. All peers make this call; @result is zeros for who has no target.
 *
 * Errors: ERR_UNREACHABLE (target or peer 0 is gone or silent),
 *         ERR_INTERRUPTED, ERR_IO, ERR_NOMEM. */
int p2p_link_measure(struct p2p_transport *t,
                     const struct p2p_link_options *o,
                     struct p2p_link_result *result,
                     struct err *e);

#endif /* P2P_LINK_H_ */
