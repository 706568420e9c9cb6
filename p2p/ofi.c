#include "p2p/ofi.h"

#include <assert.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <rdma/fi_cm.h>
#include <rdma/fi_errno.h>

#include "core/clock.h"
#include "p2p/ofi_state.h"

#define OFI_RX_EXTRA 64               /* Receive buffers beside one per peer. */
#define OFI_SPIN_NS  ((uint64_t)3000) /* Before wait() sleeps. */
#define OFI_BLIND_NS CLOCK_MS         /* Sleep of providers that cannot wait. */
#define OFI_NAP_NS   CLOCK_MS         /* The first sleep after anything. */

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
    t->total.msgs_dropped++;
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
        t->total.bytes_received += size;
        fault = assembly_add(&p->assembly, &h, s->packet + WIRE_HEADER_SIZE,
                             msg, &whole);
        if (fault != WIRE_OK) {
            packet_drop(t, h.from, fault);
        }
        p->stats.msgs_received += whole;
        t->total.msgs_received += whole;
        t->n_ready += whole;
    }
    rx_post(t, s);
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
    ofi_tx_lose(t, &t->peers[s->to], fi_strerror(entry.err));
    ofi_tx_done(t, s);
}

static void
entries_handle(struct ofi *t, const struct fi_cq_msg_entry *entries, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++) {
        struct ofi_slot *s = entries[i].op_context;
        if (s->is_rx) {
            rx_done(t, s, entries[i].len);
        } else {
            ofi_tx_done(t, s);
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

    if (t->peers == NULL) {
        return err_set(e, ERR_UNREACHABLE, "peer %u has no address yet",
                       msg->peer);
    }
    assert(msg->peer < t->filter.n_peers && msg->peer != t->filter.self);
    assert(msg->body == NULL || msg->body->size <= P2P_MSG_SIZE_MAX);
    return ofi_tx_send(t, msg, e);
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
        ofi_tx_pump(t);
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

/* Look at the queue for a moment: sleeping and waking cost more than that.
 * Reading the queue takes the signal of a wake() out of it, so only the flag
 * tells of those that come meanwhile. */
static bool spin(struct ofi *t)
{
    uint64_t until_ns = clock_ns() + OFI_SPIN_NS;
    bool any;

    do {
        if (cq_read(t, -1, &any, NULL) != 0 || any ||
            atomic_exchange(&t->woken, false)) {
            return true;
        }
    } while (clock_ns() < until_ns);
    return false;
}

/* A signal that comes just when libfabric goes to sleep is lost (1.17: it looks
 * for one, then clears what would wake it). That happens where threads are busy
 * together, so sleeps are short at first and grow while nothing happens. */
static uint64_t nap(struct ofi *t, uint64_t timeout_ns)
{
    uint64_t nap_ns = t->nap_ns < timeout_ns ? t->nap_ns : timeout_ns;

    t->nap_ns = 2 * t->nap_ns < CLOCK_S ? 2 * t->nap_ns : CLOCK_S;
    return nap_ns;
}

static void ofi_wait(struct p2p_transport *base, uint64_t timeout_ns)
{
    struct ofi *t = (struct ofi *)base;
    uint64_t ms;
    bool any = false;

    if (atomic_exchange(&t->woken, false) || t->n_ready > 0 ||
        t->n_untold > 0 || (t->peers != NULL && spin(t))) {
        t->nap_ns = OFI_NAP_NS;
        return;
    }
    timeout_ns = wait_limit_ns(t, timeout_ns);
    if (timeout_ns == 0) {
        return;
    }
    if (!t->fabric.waits && timeout_ns > OFI_BLIND_NS) {
        timeout_ns = OFI_BLIND_NS;
    }
    timeout_ns = nap(t, timeout_ns);
    ms = timeout_ns / CLOCK_MS + (timeout_ns % CLOCK_MS != 0);
    ms = ms < INT_MAX / 2 ? ms : INT_MAX / 2;
    if (t->fabric.waits) {
        (void)cq_read(t, (int)ms, &any, NULL);
    } else {
        (void)poll(NULL, 0, (int)ms);
    }
    if (atomic_exchange(&t->woken, false) || any) {
        t->nap_ns = OFI_NAP_NS;
    }
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

static struct p2p_stats ofi_total(const struct p2p_transport *base)
{
    return ((const struct ofi *)base)->total;
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
        ofi_tx_fini(p);
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
    .total = ofi_total,
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
    t->nap_ns = OFI_NAP_NS;
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
