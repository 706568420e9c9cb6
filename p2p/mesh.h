/* The mesh: all peers of a job, joined pairwise, and who of them is alive.
 *
 * Over a transport it adds a bounded queue per peer (a slow or dead peer never
 * blocks sends to others), heartbeats, deadlines, and a goodbye. It does no
 * time keeping of its own: the caller says what time it is, so that the same
 * code runs in virtual time.
 *
 * A peer is lost when nothing was heard from it for timeout_ns, or the
 * transport says so. A peer that said goodbye is gone, not lost.
 *
 * Thread: one thread drives a mesh, but for mesh_wake().
 */

#ifndef P2P_MESH_H_
#define P2P_MESH_H_

#include <stdbool.h>

#include "core/log.h"
#include "p2p/transport.h"

enum mesh_type {
    MESH_HELLO = 1, /* First message to a peer, ack 0; ack 1: the answer. */
    MESH_BEAT,      /* I am alive. */
    MESH_BYE,       /* I am done and leave, ack 0; ack 1: the answer. */
    MESH_USER = 16  /* The first type of the layer above. */
};

struct mesh_options {
    p2p_peer self;
    uint32_t n_peers;
    uint64_t beat_ns;       /* Between heartbeats. 0: a fifth of timeout_ns. */
    uint64_t timeout_ns;    /* Silence after which a peer is lost. */
    size_t queue_bytes_max; /* Bodies queued per peer before ERR_AGAIN. */
    struct log *log;
};

enum mesh_event_kind {
    MESH_EVENT_MSG = 1, /* A message of the layer above. */
    MESH_EVENT_UP,      /* Hello was answered: the peer is there. */
    MESH_EVENT_LOST,    /* Nothing more will come from it. */
    MESH_EVENT_BYE      /* It left in good order. */
};

struct mesh_event {
    enum mesh_event_kind kind;
    p2p_peer peer;
    struct p2p_msg msg; /* MSG: the caller unrefs msg.body. */
    char why[128];      /* LOST: "no sign for 5.0 s", "connection reset". */
};

struct mesh;

/* Join the peers that @t knows. Owner: the mesh uses @t, the caller closes it
 * after mesh_destroy(). Errors: ERR_NOMEM, ERR_INVALID. */
int mesh_create(struct mesh **m,
                struct p2p_transport *t,
                const struct mesh_options *o,
                uint64_t now_ns,
                struct err *e);
void mesh_destroy(struct mesh *m);

/* Queue a message to a peer.
 *
 * Owner:  the mesh takes its own reference to @body; NULL is no body.
 * Errors: ERR_AGAIN        queue_bytes_max are queued: slow down.
 *         ERR_UNREACHABLE  lost or gone. */
int mesh_send(struct mesh *m,
              p2p_peer to,
              uint8_t type,
              uint64_t ack,
              struct blob *body,
              struct err *e);

/* Send what is queued, beat, look at deadlines, and return at most one event.
 *
 * Errors: ERR_AGAIN  nothing happened.
 *         ERR_IO     the network is unusable. */
int mesh_poll(struct mesh *m,
              uint64_t now_ns,
              struct mesh_event *event,
              struct err *e);

/* When mesh_poll() should be called again even if nothing arrives. */
uint64_t mesh_due_ns(const struct mesh *m);

/* Sleep until something may have happened, at most @timeout_ns. */
void mesh_wait(struct mesh *m, uint64_t timeout_ns);

/* End mesh_wait(). Any thread. */
void mesh_wake(struct mesh *m);

/* Say goodbye to all who are there. Poll until mesh_pending() is 0 for all, or
 * patience ends: who closes the transport before its goodbye was answered looks
 * like a peer that died, because a reset overtakes what is on its way. A peer
 * that vanishes after this call counts as one that left (MESH_EVENT_BYE). */
void mesh_bye(struct mesh *m);

bool mesh_is_up(const struct mesh *m, p2p_peer peer);

/* Messages to @peer that have not left this process, and one more while our
 * goodbye to it is not answered. 0 if it is lost. */
size_t mesh_pending(const struct mesh *m, p2p_peer peer);

struct p2p_stats mesh_stats(const struct mesh *m, p2p_peer peer);

/* The sums over all peers. */
struct p2p_stats mesh_total(const struct mesh *m);

#endif /* P2P_MESH_H_ */
