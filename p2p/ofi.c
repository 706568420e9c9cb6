#include "p2p/ofi.h"

#include <assert.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rdma/fi_cm.h>
#include <rdma/fi_errno.h>

#include "core/clock.h"
#include "p2p/assembly.h"
#include "p2p/fabric.h"
#include "p2p/wire.h"

#define OFI_INFLIGHT_MAX    16 /* Packets per peer that libfabric has. */
#define OFI_QUEUE_MSGS_MAX  32 /* Messages per peer that have not left. */
#define OFI_QUEUE_BYTES_MAX ((size_t)1 << 20) /* The same in bytes. */
#define OFI_BATCH           16                /* Completions read at once. */
#define OFI_RX_EXTRA        64 /* Receive buffers beyond one per peer. */

#define OFI_SPIN_NS      ((uint64_t)3000) /* Before wait() sleeps. */
#define OFI_RETRY_NS_MIN (CLOCK_MS / 2)   /* After -FI_EAGAIN. */
#define OFI_RETRY_NS_MAX (16 * CLOCK_MS)
#define OFI_BLIND_NS     CLOCK_MS /* Sleep of providers that cannot wait. */

/* A connection that was up and cannot be had again for so long is lost. */
#define OFI_RECONNECT_NS CLOCK_S

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
    struct p2p_msg ready[OFI_BATCH]; /* Arrived. */
    size_t ready_first;
    size_t n_ready;
    bool reported[WIRE_FAULTS]; /* Said once that such packets come. */
    atomic_bool woken;
};

static void *ofi_desc(const struct ofi *t)
{
    return t->mr == NULL ? NULL : fi_mr_desc(t->mr);
}

static void msg_free(struct ofi_msg *m)
{
    blob_unref(m->body);
    free(m);
}

/* Take @m out of the queue, and free it. */
static void msg_finish(struct ofi_peer *p, struct ofi_msg *m)
{
    struct ofi_msg **at = &p->queue;

    assert(m->n_inflight == 0 && m != p->unsent);
    while (*at != m) {
        at = &(*at)->next;
    }
    *at = m->next;
    p->n_queued--;
    p->queued_bytes -= m->size;
    msg_free(m);
}

/* Send nothing more to the peer. What libfabric has comes back by itself. */
static void peer_lose(struct ofi *t, struct ofi_peer *p, const char *why)
{
    struct ofi_msg *next;

    if (p->gone) {
        return;
    }
    p->gone = true;
    t->n_untold++;
    snprintf(p->why, sizeof p->why, "%s", why);
    if (p->unsent != NULL) {
        p->unsent = NULL;
        t->n_unsent--;
    }
    for (struct ofi_msg *m = p->queue; m != NULL; m = next) {
        next = m->next;
        m->all_sent = true;
        if (m->n_inflight == 0) {
            msg_finish(p, m);
        }
    }
}

static size_t chunk_size(const struct ofi_msg *m)
{
    size_t left = m->size - m->offset;

    return left < WIRE_CHUNK_SIZE ? left : WIRE_CHUNK_SIZE;
}

/* Hand the next chunk of @m to libfabric: the header from the slot, the chunk
 * from where it lies, unless the provider wants both in registered memory. */
static ssize_t chunk_send(struct ofi *t, struct ofi_slot *s, size_t size)
{
    struct ofi_msg *m = s->msg;
    struct wire_header h = {.type = m->type,
                            .session = t->filter.session,
                            .from = t->filter.self,
                            .to = s->to,
                            .ack = m->ack,
                            .id = m->id,
                            .total_size = m->size,
                            .offset = m->offset,
                            .chunk_size = (uint32_t)size};
    void *desc[2] = {NULL, NULL};
    struct iovec iov[2] = {{s->header, WIRE_HEADER_SIZE}, {NULL, size}};
    struct fi_msg msg = {.msg_iov = iov,
                         .desc = desc,
                         .iov_count = size > 0 ? 2 : 1,
                         .addr = t->peers[s->to].address,
                         .context = &s->context};

    wire_encode(&h, s->header);
    if (size > 0) {
        iov[1].iov_base = m->body->data + m->offset;
    }
    if (s->packet != NULL) {
        memcpy(s->packet, s->header, WIRE_HEADER_SIZE);
        if (size > 0) {
            memcpy(s->packet + WIRE_HEADER_SIZE, iov[1].iov_base, size);
        }
        iov[0] = (struct iovec){s->packet, WIRE_HEADER_SIZE + size};
        desc[0] = ofi_desc(t);
        msg.iov_count = 1;
    }
    return fi_sendmsg(t->fabric.endpoint, &msg, FI_COMPLETION);
}

/* libfabric has no room, or no connection yet. With packets under way, their
 * completions say when to go on; else time does. */
static void peer_refused(struct ofi *t, struct ofi_peer *p)
{
    uint64_t now_ns;

    if (p->n_inflight > 0) {
        p->retry_ns = UINT64_MAX;
        return;
    }
    now_ns = clock_ns();
    if (p->refused_ns == 0) {
        p->refused_ns = now_ns;
        p->backoff_ns = OFI_RETRY_NS_MIN;
    } else if (p->connected && t->fabric.tells_by_again &&
               now_ns - p->refused_ns >= OFI_RECONNECT_NS) {
        peer_lose(t, p, "connection lost");
        return;
    } else if (p->backoff_ns < OFI_RETRY_NS_MAX) {
        p->backoff_ns *= 2;
    }
    p->retry_ns = now_ns + p->backoff_ns;
}

static void chunk_sent(struct ofi *t, struct ofi_peer *p, size_t size)
{
    struct ofi_msg *m = p->unsent;

    m->offset += size;
    m->n_inflight++;
    p->n_inflight++;
    p->connected = true;
    p->refused_ns = 0;
    p->stats.bytes_sent += WIRE_HEADER_SIZE + size;
    if (m->offset == m->size) {
        m->all_sent = true;
        p->stats.msgs_sent++;
        p->unsent = m->next;
        t->n_unsent -= p->unsent == NULL;
    }
}

/* Send to one peer as long as there is room. */
static void peer_pump(struct ofi *t, struct ofi_peer *p)
{
    if (p->retry_ns != 0 && clock_ns() < p->retry_ns) {
        return;
    }
    p->retry_ns = 0;
    while (p->unsent != NULL && p->free != NULL) {
        struct ofi_slot *s = p->free;
        size_t size = chunk_size(p->unsent);
        ssize_t rc;

        s->msg = p->unsent;
        rc = chunk_send(t, s, size);
        if (rc == -FI_EAGAIN) {
            peer_refused(t, p);
            return;
        }
        if (rc != 0) {
            peer_lose(t, p, fi_strerror((int)-rc));
            return;
        }
        p->free = s->next;
        chunk_sent(t, p, size);
    }
}

static void pump(struct ofi *t)
{
    for (p2p_peer i = 0; t->n_unsent > 0 && i < t->filter.n_peers; i++) {
        if (t->peers[i].unsent != NULL) {
            peer_pump(t, &t->peers[i]);
        }
    }
}

static void rx_post(struct ofi *t, struct ofi_slot *s)
{
    ssize_t rc = fi_recv(t->fabric.endpoint, s->packet, WIRE_PACKET_SIZE,
                         ofi_desc(t), FI_ADDR_UNSPEC, &s->context);

    if (rc != 0) {
        s->next = t->unposted;
        t->unposted = s;
    }
}

static void rx_post_again(struct ofi *t)
{
    struct ofi_slot *list = t->unposted;

    t->unposted = NULL;
    while (list != NULL) {
        struct ofi_slot *s = list;
        list = s->next;
        rx_post(t, s);
    }
}

/* Count a packet that is dropped against @who, and report the first of each
 * kind. */
static void packet_drop(struct ofi *t, p2p_peer who, enum wire_fault fault)
{
    t->peers[who].stats.msgs_dropped++;
    if (!t->reported[fault]) {
        t->reported[fault] = true;
        log_warn(t->log, "drop a packet %s", wire_fault_str(fault));
    }
}

/* A packet arrived. What cannot be decoded is nobody's fault but ours. */
static void rx_done(struct ofi *t, struct ofi_slot *s, size_t size)
{
    struct p2p_msg *msg = &t->ready[t->n_ready];
    struct wire_header h;
    enum wire_fault fault = wire_decode(&h, s->packet, size, &t->filter);
    bool whole = false;

    if (fault != WIRE_OK) {
        packet_drop(t, t->filter.self, fault);
    } else {
        struct ofi_peer *p = &t->peers[h.from];
        p->stats.bytes_received += size;
        fault = assembly_add(&p->assembly, &h, s->packet + WIRE_HEADER_SIZE,
                             msg, &whole);
        if (fault != WIRE_OK) {
            packet_drop(t, h.from, fault);
        }
        p->stats.msgs_received += whole;
        t->n_ready += whole;
    }
    rx_post(t, s);
}

/* A packet left, or will never leave: its slot and its part of the message are
 * ours again. */
static void tx_done(struct ofi *t, struct ofi_slot *s)
{
    struct ofi_peer *p = &t->peers[s->to];
    struct ofi_msg *m = s->msg;

    s->next = p->free;
    p->free = s;
    s->msg = NULL;
    p->n_inflight--;
    p->retry_ns = 0;
    m->n_inflight--;
    if (m->n_inflight == 0 && m->all_sent) {
        msg_finish(p, m);
    }
}

/* One operation failed. A send that fails ends the peer, a receive does not
 * say whose it was. */
static void error_read(struct ofi *t)
{
    struct fi_cq_err_entry entry = {0};
    struct ofi_slot *s;

    if (fi_cq_readerr(t->fabric.cq, &entry, 0) != 1) {
        return;
    }
    s = entry.op_context;
    if (s == NULL) {
        return;
    }
    if (s->is_rx) {
        log_debug(t->log, "receive: %s", fi_strerror(entry.err));
        rx_post(t, s);
        return;
    }
    peer_lose(t, &t->peers[s->to], fi_strerror(entry.err));
    tx_done(t, s);
}

static void
entries_handle(struct ofi *t, const struct fi_cq_msg_entry *entries, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++) {
        struct ofi_slot *s = entries[i].op_context;
        if (s->is_rx) {
            rx_done(t, s, entries[i].len);
        } else {
            tx_done(t, s);
        }
    }
}

/* Read completions once. Return whether there were any; a network that cannot
 * be used is an error.  @timeout_ms < 0: do not wait. */
static int cq_read(struct ofi *t, int timeout_ms, bool *any, struct err *e)
{
    struct fi_cq_msg_entry entries[OFI_BATCH];
    ssize_t n;

    assert(t->n_ready == 0);
    t->ready_first = 0;
    n = timeout_ms < 0
            ? fi_cq_read(t->fabric.cq, entries, OFI_BATCH)
            : fi_cq_sread(t->fabric.cq, entries, OFI_BATCH, NULL, timeout_ms);
    *any = true;
    if (n > 0) {
        entries_handle(t, entries, n);
    } else if (n == -FI_EAVAIL) {
        error_read(t);
    } else if (n == -FI_EAGAIN || n == -FI_EINTR || n == -FI_ECANCELED ||
               n == 0) {
        *any = false;
    } else {
        return fabric_err(e, "fi_cq_read", n);
    }
    return 0;
}

static int
ofi_send(struct p2p_transport *base, struct p2p_msg *msg, struct err *e)
{
    struct ofi *t = (struct ofi *)base;
    struct ofi_peer *p;
    struct ofi_msg *m;
    struct ofi_msg **end;

    if (t->peers == NULL) {
        return err_set(e, ERR_UNREACHABLE, "peer %u has no address yet",
                       msg->peer);
    }
    assert(msg->peer < t->filter.n_peers && msg->peer != t->filter.self);
    assert(msg->body == NULL || msg->body->size <= P2P_MSG_SIZE_MAX);
    p = &t->peers[msg->peer];
    if (p->gone) {
        return err_set(e, ERR_UNREACHABLE, "peer %u is gone: %s", msg->peer,
                       p->why);
    }
    if (p->n_queued >= OFI_QUEUE_MSGS_MAX ||
        p->queued_bytes >= OFI_QUEUE_BYTES_MAX) {
        return err_set(e, ERR_AGAIN, "%zu messages wait for peer %u",
                       p->n_queued, msg->peer);
    }
    m = calloc(1, sizeof *m);
    if (m == NULL) {
        return err_set(e, ERR_NOMEM, "message to peer %u", msg->peer);
    }
    m->type = msg->type;
    m->ack = msg->ack;
    m->id = p->next_id++;
    m->body = msg->body;
    m->size = msg->body == NULL ? 0 : msg->body->size;
    msg->body = NULL;
    for (end = &p->queue; *end != NULL; end = &(*end)->next) {
    }
    *end = m;
    p->n_queued++;
    p->queued_bytes += m->size;
    if (p->unsent == NULL) {
        p->unsent = m;
        t->n_unsent++;
    }
    peer_pump(t, p);
    return 0;
}

/* Tell of a peer that is gone. */
static int loss_tell(struct ofi *t, struct p2p_msg *msg, struct err *e)
{
    for (p2p_peer i = 0; i < t->filter.n_peers; i++) {
        struct ofi_peer *p = &t->peers[i];
        if (p->gone && !p->told) {
            p->told = true;
            t->n_untold--;
            msg->peer = i;
            return err_set(e, ERR_UNREACHABLE, "%s", p->why);
        }
    }
    return ERR_AGAIN;
}

static int
ofi_poll(struct p2p_transport *base, struct p2p_msg *msg, struct err *e)
{
    struct ofi *t = (struct ofi *)base;
    bool any = true;

    /* All that arrived goes before the news that a peer is gone: it may have
     * said goodbye. */
    while (t->peers != NULL && t->n_ready == 0 && any) {
        int rc = cq_read(t, -1, &any, e);
        if (rc != 0) {
            return rc;
        }
        rx_post_again(t);
        pump(t);
    }
    if (t->n_ready > 0) {
        t->n_ready--;
        *msg = t->ready[t->ready_first++];
        return 0;
    }
    if (t->n_untold > 0) {
        return loss_tell(t, msg, e);
    }
    return err_set(e, ERR_AGAIN, "nothing arrived");
}

/* How long a sleep may be: sends that were refused want to be tried again. */
static uint64_t wait_limit_ns(const struct ofi *t, uint64_t timeout_ns)
{
    uint64_t now_ns;

    if (t->n_unsent == 0) {
        return timeout_ns;
    }
    now_ns = clock_ns();
    for (p2p_peer i = 0; i < t->filter.n_peers; i++) {
        const struct ofi_peer *p = &t->peers[i];
        if (p->unsent != NULL && p->retry_ns != 0) {
            uint64_t left = p->retry_ns > now_ns ? p->retry_ns - now_ns : 0;
            timeout_ns = left < timeout_ns ? left : timeout_ns;
        }
    }
    return timeout_ns;
}

/* Look at the queue for a moment: sleeping and waking cost more than that. */
static bool spin(struct ofi *t)
{
    uint64_t until_ns = clock_ns() + OFI_SPIN_NS;
    bool any;

    do {
        if (cq_read(t, -1, &any, NULL) != 0 || any) {
            return true;
        }
    } while (clock_ns() < until_ns);
    return false;
}

static void ofi_wait(struct p2p_transport *base, uint64_t timeout_ns)
{
    struct ofi *t = (struct ofi *)base;
    uint64_t ms;
    bool any;

    if (atomic_exchange(&t->woken, false) || t->n_ready > 0 ||
        t->n_untold > 0) {
        return;
    }
    if (t->peers != NULL && spin(t)) {
        return;
    }
    timeout_ns = wait_limit_ns(t, timeout_ns);
    if (timeout_ns == 0) {
        return;
    }
    if (!t->fabric.waits && timeout_ns > OFI_BLIND_NS) {
        timeout_ns = OFI_BLIND_NS;
    }
    ms = timeout_ns / CLOCK_MS + (timeout_ns % CLOCK_MS != 0);
    ms = ms < INT_MAX / 2 ? ms : INT_MAX / 2;
    if (t->fabric.waits) {
        (void)cq_read(t, (int)ms, &any, NULL);
    } else {
        (void)poll(NULL, 0, (int)ms);
    }
    atomic_store(&t->woken, false);
}

static void ofi_wake(struct p2p_transport *base)
{
    struct ofi *t = (struct ofi *)base;

    atomic_store(&t->woken, true);
    if (t->fabric.waits) {
        (void)fi_cq_signal(t->fabric.cq);
    }
}

static struct p2p_stats ofi_stats(const struct p2p_transport *base,
                                  p2p_peer peer)
{
    const struct ofi *t = (const struct ofi *)base;

    assert(t->peers == NULL || peer < t->filter.n_peers);
    return t->peers == NULL ? (struct p2p_stats){0} : t->peers[peer].stats;
}

static size_t ofi_pending(const struct p2p_transport *base, p2p_peer peer)
{
    const struct ofi *t = (const struct ofi *)base;

    return t->peers == NULL ? 0 : t->peers[peer].n_queued;
}

static void peers_free(struct ofi *t)
{
    for (p2p_peer i = 0; t->peers != NULL && i < t->filter.n_peers; i++) {
        struct ofi_peer *p = &t->peers[i];
        while (p->queue != NULL) {
            struct ofi_msg *m = p->queue;
            p->queue = m->next;
            msg_free(m);
        }
        assembly_fini(&p->assembly);
    }
    free(t->peers);
    t->peers = NULL;
}

static void ofi_close(struct p2p_transport *base)
{
    struct ofi *t = (struct ofi *)base;

    /* libfabric reads and writes our buffers until the endpoint is closed. */
    if (t->fabric.endpoint != NULL) {
        fi_close(&t->fabric.endpoint->fid);
        t->fabric.endpoint = NULL;
    }
    if (t->mr != NULL) {
        fi_close(&t->mr->fid);
    }
    fabric_close(&t->fabric);
    for (size_t i = 0; i < t->n_ready; i++) {
        blob_unref(t->ready[t->ready_first + i].body);
    }
    peers_free(t);
    free(t->slots);
    free(t->packets);
    free(t);
}

static const struct p2p_transport_ops OFI_OPS = {
    .name = "ofi",
    .send = ofi_send,
    .poll = ofi_poll,
    .wait = ofi_wait,
    .wake = ofi_wake,
    .stats = ofi_stats,
    .pending = ofi_pending,
    .close = ofi_close,
};

int p2p_ofi_open(struct p2p_transport **transport,
                 const struct p2p_ofi_options *o,
                 struct err *e)
{
    const char *node = o->node == NULL || o->node[0] == '\0' ? NULL : o->node;
    struct ofi *t = calloc(1, sizeof *t);
    int rc;

    if (t == NULL) {
        return err_set(e, ERR_NOMEM, "transport");
    }
    rc = fabric_open(&t->fabric, o->provider, node, o->log, e);
    if (rc != 0) {
        free(t);
        return rc;
    }
    atomic_init(&t->woken, false);
    t->log = o->log;
    t->ops = OFI_OPS;
    t->ops.name = fabric_provider(&t->fabric);
    t->base.ops = &t->ops;
    *transport = &t->base;
    return 0;
}

const char *p2p_ofi_provider(const struct p2p_transport *base)
{
    return fabric_provider(&((const struct ofi *)base)->fabric);
}

int p2p_ofi_address(const struct p2p_transport *base,
                    uint8_t *address,
                    size_t room,
                    size_t *size,
                    struct err *e)
{
    const struct ofi *t = (const struct ofi *)base;
    int rc;

    *size = room;
    rc = fi_getname(&t->fabric.endpoint->fid, address, size);
    if (rc == -FI_ETOOSMALL) {
        return err_set(e, ERR_FULL, "address of %zu bytes, room for %zu", *size,
                       room);
    }
    return rc == 0 ? 0 : fabric_err(e, "fi_getname", rc);
}

static void slots_share(struct ofi *t, size_t n_rx)
{
    size_t next = n_rx;

    for (size_t i = 0; i < t->n_slots; i++) {
        t->slots[i].is_rx = i < n_rx;
        if (i < n_rx || t->fabric.needs_mr) {
            t->slots[i].packet = t->packets + i * WIRE_PACKET_SIZE;
        }
    }
    for (p2p_peer i = 0; i < t->filter.n_peers; i++) {
        for (int k = 0; i != t->filter.self && k < OFI_INFLIGHT_MAX; k++) {
            struct ofi_slot *s = &t->slots[next++];
            s->to = i;
            s->next = t->peers[i].free;
            t->peers[i].free = s;
        }
    }
    assert(next == t->n_slots);
}

/* Make the slots: one and a bit per peer to receive, some for each to send. */
static int slots_create(struct ofi *t, struct err *e)
{
    size_t n_others = t->filter.n_peers - 1;
    size_t n_rx = n_others + OFI_RX_EXTRA;
    size_t n_packets = n_rx;
    int rc;

    if (n_others < OFI_RX_EXTRA) {
        n_rx = n_packets = 2 * n_others + 8;
    }
    t->n_slots = n_rx + n_others * OFI_INFLIGHT_MAX;
    if (t->fabric.needs_mr) {
        n_packets = t->n_slots;
    }
    t->slots = calloc(t->n_slots, sizeof t->slots[0]);
    t->packets = malloc(n_packets * WIRE_PACKET_SIZE);
    if (t->slots == NULL || t->packets == NULL) {
        return err_set(e, ERR_NOMEM, "%zu buffers of %d bytes", n_packets,
                       WIRE_PACKET_SIZE);
    }
    if (t->fabric.needs_mr) {
        rc = fi_mr_reg(t->fabric.domain, t->packets,
                       n_packets * WIRE_PACKET_SIZE, FI_SEND | FI_RECV, 0, 0, 0,
                       &t->mr, NULL);
        if (rc != 0) {
            t->mr = NULL;
            return fabric_err(e, "fi_mr_reg", rc);
        }
    }
    slots_share(t, n_rx);
    for (size_t i = 0; i < n_rx; i++) {
        rx_post(t, &t->slots[i]);
    }
    return 0;
}

/* Addresses of one provider have one size: anything else is of another. */
static int
addresses_insert(struct ofi *t, const struct p2p_ofi_peer *peers, struct err *e)
{
    size_t own_size = peers[t->filter.self].address_size;

    for (p2p_peer i = 0; i < t->filter.n_peers; i++) {
        struct ofi_peer *p = &t->peers[i];
        int rc;

        p->next_id = 1;
        assembly_init(&p->assembly);
        if (i == t->filter.self) {
            continue;
        }
        if (peers[i].address_size != own_size) {
            return err_set(e, ERR_IO,
                           "address of peer %u has %zu bytes, ours %zu: not "
                           "the same kind of network",
                           i, peers[i].address_size, own_size);
        }
        rc = fi_av_insert(t->fabric.av, peers[i].address, 1, &p->address, 0,
                          NULL);
        if (rc != 1) {
            return err_set(e, ERR_IO, "fi_av_insert: address of peer %u", i);
        }
    }
    return 0;
}

int p2p_ofi_connect(struct p2p_transport *base,
                    uint64_t session,
                    p2p_peer self,
                    const struct p2p_ofi_peer *peers,
                    uint32_t n_peers,
                    struct err *e)
{
    struct ofi *t = (struct ofi *)base;
    int rc;

    assert(t->peers == NULL && n_peers <= P2P_PEERS_MAX && self < n_peers);
    t->filter = (struct wire_filter){
        .session = session, .self = self, .n_peers = n_peers};
    t->peers = calloc(n_peers, sizeof t->peers[0]);
    if (t->peers == NULL) {
        return err_set(e, ERR_NOMEM, "%u peers", n_peers);
    }
    rc = addresses_insert(t, peers, e);
    return rc == 0 ? slots_create(t, e) : rc;
}
