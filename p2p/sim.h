/* A network of simulated peers, in one thread and in virtual time.
 *
 * Time does not flow, it is stepped: p2p_sim_step() moves the clock to the next
 * delivery or to a given moment. Delay and loss are a function of the seed and
 * of how many messages went before, and two messages due at the same time are
 * delivered in the order they were sent. So a run is a function of the seed and
 * of the calls made, and a failing test needs to print nothing but its seed.
 */

#ifndef P2P_SIM_H_
#define P2P_SIM_H_

#include <stdbool.h>

#include "p2p/transport.h"

struct p2p_sim_options {
    uint64_t seed;
    uint32_t n_peers; /* At most P2P_PEERS_MAX. */
    uint64_t delay_ns_min;
    uint64_t delay_ns_max;  /* Above delay_ns_min: messages overtake. */
    uint32_t loss_permille; /* Messages lost, in thousandths. */
    uint64_t bytes_per_s;   /* Of each peer's link out, 0: no limit. */
    bool limit_in;          /* Its link in is as fast, and no faster. */
};

struct p2p_sim;

struct p2p_sim *p2p_sim_create(const struct p2p_sim_options *options);
void p2p_sim_destroy(struct p2p_sim *net);

/* The transport of one peer. Lives as long as @net; close() empties it. */
struct p2p_transport *p2p_sim_endpoint(struct p2p_sim *net, p2p_peer peer);

/* Cut or mend the link from @from to @to (one way). Messages on their way when
 * the link is cut are lost. */
void p2p_sim_cut(struct p2p_sim *net, p2p_peer from, p2p_peer to);
void p2p_sim_mend(struct p2p_sim *net, p2p_peer from, p2p_peer to);

/* From now on lose @permille of the messages. */
void p2p_sim_loss(struct p2p_sim *net, uint32_t permille);

/* Virtual nanoseconds since creation. */
uint64_t p2p_sim_now_ns(const struct p2p_sim *net);

/* Advance to the next delivery if it is due at @until_ns or before, and put the
 * message in the inbox of *to; else advance to @until_ns and return false. */
bool p2p_sim_step(struct p2p_sim *net, uint64_t until_ns, p2p_peer *to);

#endif /* P2P_SIM_H_ */
