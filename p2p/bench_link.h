/* How fast a link is: round trip of small messages, and what a stream of
 * messages of two sizes moves. Peer 0 answers and counts, all others measure
 * one after the other in three phases: round trips, small ones, big ones.
 *
 * The numbers are those of the transport that training uses, with its headers,
 * chunks, checks and copies.
 */

#ifndef P2P_BENCH_LINK_H_
#define P2P_BENCH_LINK_H_

#include "core/log.h"
#include "p2p/transport.h"

#define BENCH_LINK_PEERS_MAX 16

struct bench_link_options {
    const char *provider; /* As in struct p2p_ofi_options, or NULL: choose. */
    const char *node;     /* Local address, or NULL: any. */
    uint64_t phase_ns;    /* Time of each phase. 0: one second. */
    size_t small_size;    /* Bytes of a small body. 0: 1024. */
    size_t big_size;      /* Bytes of a big one. 0: 65536. */
    uint64_t timeout_ns;  /* Patience with the other end. 0: 30 seconds. */
    struct log *log;
    const volatile int *stop; /* Not NULL: give up when it becomes nonzero. */
};

struct bench_link_result {
    char provider[32];
    double round_trip_us_median; /* Of a body of 8 bytes, there and back. */
    double round_trip_us_p99;
    double small_msgs_per_s; /* That arrived. */
    double big_bytes_per_s;  /* Bodies that arrived. */
    /* CPU time of this process per second of the big phase: 1.0 is a core. */
    double big_cpu_share;
};

/* Measure between @n_peers endpoints, a thread each, in this process. The
 * result is the mean of all who measure at the same time; msgs and bytes are
 * their sum.
 *
 * Errors: those of p2p_ofi_open() and p2p_ofi_connect(); ERR_INTERRUPTED;
 *         ERR_UNREACHABLE; ERR_INVALID: fewer than 2 or more than
 *         BENCH_LINK_PEERS_MAX peers. */
int bench_link_local(const struct bench_link_options *o,
                     uint32_t n_peers,
                     struct bench_link_result *result,
                     struct err *e);

/* Measure between this process, of rank @self, and another one of rank 1 -
 * @self that makes the same call, here or elsewhere; they meet at @url (see
 * p2p/rendezvous.h). Only rank 1 gets a result.
 *
 * Errors: as above, and those of rendezvous_meet(). */
int bench_link_pair(const struct bench_link_options *o,
                    const char *url,
                    p2p_peer self,
                    struct bench_link_result *result,
                    struct err *e);

#endif /* P2P_BENCH_LINK_H_ */
