/* What the rest of the program knows about the network.
 *
 * A transport moves whole messages between numbered peers. It may lose, delay
 * or reorder them, and may take its time to tell that a peer is gone; it never
 * delivers a message in part, damaged or twice. Everything above is written
 * against this header only. There are three implementations:
 *
 *     p2p/ofi.c    libfabric reliable datagrams, for real runs
 *     p2p/sim.c    one process, virtual time, seeded faults, for the tests
 *     p2p/fault.c  wraps another transport and makes its calls fail on demand
 *
 * An implementation embeds struct p2p_transport as its first member.
 *
 * Thread: one thread drives a transport, but for wake(). No operation calls
 * back into the caller: what happened is collected with poll().
 */

#ifndef P2P_TRANSPORT_H_
#define P2P_TRANSPORT_H_

#include <stddef.h>
#include <stdint.h>

#include "core/blob.h"
#include "core/err.h"

#define P2P_PEERS_MAX    1024
#define P2P_MSG_SIZE_MAX ((size_t)1 << 31) /* Bytes of a body. */

typedef uint32_t p2p_peer; /* Rank of a peer in the mesh, from 0. */

/* A message: a type and a number for the layer above, and a body. */
struct p2p_msg {
    p2p_peer peer;     /* From whom (poll), to whom (send). */
    uint8_t type;      /* enum mesh_type, or the user's own from MESH_USER. */
    uint64_t ack;      /* Rides in the wire header: free for the layer above. */
    struct blob *body; /* One reference, or NULL: no body. A body of no bytes
                          arrives as NULL. */
};

struct p2p_stats {
    uint64_t bytes_sent; /* Headers and bodies handed to the network. */
    uint64_t bytes_received;
    uint64_t msgs_sent;
    uint64_t msgs_received;
    uint64_t msgs_dropped; /* Malformed, of another session, too big. */
};

struct p2p_transport;

struct p2p_transport_ops {
    const char *name; /* For logs and the command line, e.g. "net". */

    /* Start to send @msg. Never blocks.
     *
     * Owner:  on success the transport takes the reference to msg->body and
     *         sets it to NULL. On error the caller still has it.
     * Errors: ERR_AGAIN        no room towards this peer. poll() first.
     *         ERR_UNREACHABLE  the peer is known to be gone, or has no address
     *                          yet. */
    int (*send)(struct p2p_transport *t, struct p2p_msg *msg, struct err *e);

    /* Make progress and receive at most one message.
     *
     * Owner:  the caller unrefs msg->body.
     * Errors: ERR_AGAIN        nothing arrived.
     *         ERR_UNREACHABLE  msg->peer turned out to be gone; said once per
     *                          loss.
     *         ERR_IO           the network is unusable. */
    int (*poll)(struct p2p_transport *t, struct p2p_msg *msg, struct err *e);

    /* Sleep until there may be something to poll, wake() was called, or
     * @timeout_ns has passed. May return early. */
    void (*wait)(struct p2p_transport *t, uint64_t timeout_ns);

    /* End a wait() now or, if none is under way, the next one. The only call
     * that any thread may make. */
    void (*wake)(struct p2p_transport *t);

    /* Counters of all traffic with @peer. */
    struct p2p_stats (*stats)(const struct p2p_transport *t, p2p_peer peer);

    /* Their sums over all peers. Cost: O(1). */
    struct p2p_stats (*total)(const struct p2p_transport *t);

    /* How many messages to @peer were taken and have not left yet. */
    size_t (*pending)(const struct p2p_transport *t, p2p_peer peer);

    /* Drop what is queued and release everything. Cannot fail. */
    void (*close)(struct p2p_transport *t);
};

struct p2p_transport {
    const struct p2p_transport_ops *ops;
};

static inline int
p2p_send(struct p2p_transport *t, struct p2p_msg *msg, struct err *e)
{
    return t->ops->send(t, msg, e);
}

static inline int
p2p_poll(struct p2p_transport *t, struct p2p_msg *msg, struct err *e)
{
    return t->ops->poll(t, msg, e);
}

#endif /* P2P_TRANSPORT_H_ */
