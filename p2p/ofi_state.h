/* The state of a libfabric endpoint, and its sending half. Only p2p/ofi*.c use
 * it. */

#ifndef P2P_OFI_STATE_H_
#define P2P_OFI_STATE_H_

#include <stdbool.h>

#include "p2p/assembly.h"
#include "p2p/fabric.h"
#include "p2p/ofi.h"
#include "p2p/wire.h"

#define OFI_INFLIGHT_MAX 16 /* Packets per peer that libfabric has. */
#define OFI_BATCH        16 /* Completions read at once. */

/* A message on its way out. */
struct ofi_msg {
    uint8_t type;
    uint64_t ack;
    uint64_t id;
    struct blob *body;   /* NULL: empty. */
    size_t size;         /* Of the body. */
    size_t offset;       /* Of the next chunk to send. */
    bool all_sent;       /* No chunk is left to send. */
    unsigned n_inflight; /* Packets that libfabric has. */
    struct ofi_msg *next;
};

/* What a completion belongs to. Its address is the context of an operation. */
struct ofi_slot {
    struct fi_context2 context; /* Must be first: scratch of the provider. */
    bool is_rx;
    uint8_t *packet; /* WIRE_PACKET_SIZE; NULL if chunks are not copied. */
    struct ofi_slot *next; /* Free (tx), or to be posted again (rx). */
    p2p_peer to;           /* The rest is for tx only. */
    struct ofi_msg *msg;
    uint8_t header[WIRE_HEADER_SIZE];
};

struct ofi_peer {
    fi_addr_t address;
    bool gone;
    bool told;              /* That it is gone, by poll(). */
    bool connected;         /* Something left to it. */
    uint64_t next_id;       /* Of the next message to it. */
    uint64_t retry_ns;      /* No send before; 0: at once. */
    uint64_t backoff_ns;    /* Between tries. */
    uint64_t refused_ns;    /* Since when all tries fail; 0: they do not. */
    struct ofi_msg *queue;  /* Messages that have not left, oldest first. */
    struct ofi_msg *unsent; /* The first of them with a chunk to send. */
    size_t n_queued;
    size_t queued_bytes;
    struct ofi_slot *free; /* Slots for packets. */
    unsigned n_inflight;
    struct p2p_stats stats;
    struct assembly assembly;
    char why[80]; /* It is gone. */
};

struct ofi {
    struct p2p_transport base; /* Must be first. */
    struct p2p_transport_ops ops;
    struct log *log;
    struct fabric fabric;
    struct wire_filter filter;
    struct ofi_peer *peers; /* (n_peers) NULL before p2p_ofi_connect(). */
    uint32_t n_unsent;      /* Peers with something to send. */
    uint32_t n_untold;      /* Peers that are gone and not told. */
    size_t n_slots;
    struct ofi_slot *slots;          /* (n_slots) Rx first. */
    struct ofi_slot *unposted;       /* Rx slots that could not be posted. */
    uint8_t *packets;                /* Memory of the slots. */
    struct fid_mr *mr;               /* Of packets, if the provider needs it. */
    struct p2p_stats total;          /* Of all peers. */
    struct p2p_msg ready[OFI_BATCH]; /* Arrived. */
    size_t ready_first;
    size_t n_ready;
    bool reported[WIRE_FAULTS]; /* Said once that such packets come. */
    atomic_bool woken;
    uint64_t nap_ns; /* The longest sleep now: see wait(). */
};

/* What libfabric wants to see with each registered buffer. */
static inline void *ofi_desc(const struct ofi *t)
{
    return t->mr == NULL ? NULL : fi_mr_desc(t->mr);
}

/* Queue a message to a known peer and send what can be sent. Owner and errors
 * as send() of a transport. */
int ofi_tx_send(struct ofi *t, struct p2p_msg *msg, struct err *e);

/* Send to all peers as long as there is room. */
void ofi_tx_pump(struct ofi *t);

/* A packet left, or will never leave: its slot and its part of the message are
 * ours again. */
void ofi_tx_done(struct ofi *t, struct ofi_slot *s);

/* Send nothing more to the peer. What libfabric has comes back by itself. */
void ofi_tx_lose(struct ofi *t, struct ofi_peer *p, const char *why);

/* Free all messages. libfabric must not have any more. */
void ofi_tx_fini(struct ofi_peer *p);

#endif /* P2P_OFI_STATE_H_ */
