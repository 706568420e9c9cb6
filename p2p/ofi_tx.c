#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rdma/fi_errno.h>

#include "core/clock.h"
#include "p2p/ofi_state.h"

/* Messages per peer that have not left, and their bytes. */
#define OFI_QUEUE_MSGS_MAX  32
#define OFI_QUEUE_BYTES_MAX ((size_t)1 << 20)

#define OFI_RETRY_NS_MIN (CLOCK_MS / 2) /* After -FI_EAGAIN. */
#define OFI_RETRY_NS_MAX (16 * CLOCK_MS)

/* A connection that was up and cannot be had again for so long is lost. */
#define OFI_RECONNECT_NS CLOCK_S

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

void ofi_tx_lose(struct ofi *t, struct ofi_peer *p, const char *why)
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
        ofi_tx_lose(t, p, "connection lost");
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
    t->total.bytes_sent += WIRE_HEADER_SIZE + size;
    if (m->offset == m->size) {
        m->all_sent = true;
        p->stats.msgs_sent++;
        t->total.msgs_sent++;
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
            ofi_tx_lose(t, p, fi_strerror((int)-rc));
            return;
        }
        p->free = s->next;
        chunk_sent(t, p, size);
    }
}

void ofi_tx_pump(struct ofi *t)
{
    for (p2p_peer i = 0; t->n_unsent > 0 && i < t->filter.n_peers; i++) {
        if (t->peers[i].unsent != NULL) {
            peer_pump(t, &t->peers[i]);
        }
    }
}

void ofi_tx_done(struct ofi *t, struct ofi_slot *s)
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

int ofi_tx_send(struct ofi *t, struct p2p_msg *msg, struct err *e)
{
    struct ofi_peer *p = &t->peers[msg->peer];
    struct ofi_msg **end = &p->queue;
    struct ofi_msg *m;

    if (p->gone) {
        return err_set(e, ERR_UNREACHABLE, "%s", p->why);
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
    while (*end != NULL) {
        end = &(*end)->next;
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

void ofi_tx_fini(struct ofi_peer *p)
{
    while (p->queue != NULL) {
        struct ofi_msg *m = p->queue;
        p->queue = m->next;
        msg_free(m);
    }
}
