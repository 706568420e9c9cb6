/* A transport around another one whose operations fail on demand, for tests. */

#ifndef P2P_FAULT_H_
#define P2P_FAULT_H_

#include "p2p/transport.h"

struct p2p_fault {
    struct p2p_transport base; /* Must be first. */
    struct p2p_transport *inner;
    uint64_t n_calls;  /* send() and poll() so far. */
    uint64_t fail_at;  /* The call that fails, counted from 1; 0: none. */
    uint64_t fail_for; /* How many calls fail from there on. */
    int code;          /* What they return. */
    p2p_peer peer;     /* Whom a poll() that fails names as gone. */
};

/* Owner: the wrapper uses @inner; closing it closes @inner. */
void p2p_fault_init(struct p2p_fault *f, struct p2p_transport *inner);

#endif /* P2P_FAULT_H_ */
