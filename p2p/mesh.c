#include "p2p/mesh.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

/* While a peer has not answered, it is greeted this often in a beat: a hello
 * may be lost, and the answer too. */
#define MESH_HELLOS_PER_BEAT 4

/* When to try again what a transport had no room for. */
#define MESH_RETRY_NS CLOCK_MS

/* Deadlines are looked at when all that arrived was drained, or after this many
 * messages: under a load that never ends there must be an end, too. */
#define MESH_DRAIN_MSGS_MAX 1024

enum mesh_state {
    MESH_JOINING, /* Greeted, has not answered. */
    MESH_UP,
    MESH_LOST,
    MESH_GONE /* It said goodbye. */
};

struct mesh_item {
    uint8_t type;
    uint64_t ack;
    struct blob *body;
    struct mesh_item *next;
};

struct mesh_peer {
    enum mesh_state state;
    enum mesh_type owed; /* An answer that found no room, or 0. */
    bool awaits_bye;     /* It has not answered our goodbye. */
    bool reports;        /* Lost, and not told to the layer above yet. */
    char *why;           /* Lost because of this; NULL: no memory to say. */
    struct mesh_item *queue;
    struct mesh_item **queue_end;
    size_t n_queued;
    size_t queued_bytes;
    uint64_t sent_ns;        /* When something was last sent to it. */
    uint64_t due_ns;         /* When a hello or a beat may be due. */
    uint64_t heard_at;       /* Last sign, on the clock of patience. */
    uint64_t bytes_received; /* By then: a part of a message is a sign, too. */
};

struct mesh {
    struct p2p_transport *transport;
    struct mesh_options options;
    uint64_t now_ns;
    /* The clock on which silence is measured. It does not run while nobody
     * polls: what a stopped process did not hear was not silence. */
    uint64_t patience_ns;
    uint64_t deadline_at; /* Nobody is lost earlier on that clock. */
    uint64_t timer_ns;    /* No peer's due_ns is earlier. */
    uint64_t flush_ns;    /* When queues should be looked at again. */
    uint64_t n_undrained; /* Messages since the transport had no more. */
    size_t n_queued;      /* Items of all queues. */
    uint64_t queued[P2P_PEERS_MAX / 64]; /* A bit for each peer with a queue. */
    size_t n_reports;                    /* Peers that have to be reported. */
    bool said_bye;
    bool stashed; /* One message waits behind the event it caused. */
    struct p2p_msg stash;
    struct mesh_peer peers[]; /* (n_peers) */
};

static bool peer_is_open(const struct mesh_peer *p)
{
    return p->state == MESH_JOINING || p->state == MESH_UP;
}

/* Note whether @p has a queue. */
static void queue_mark(struct mesh *m, const struct mesh_peer *p, bool any)
{
    size_t i = (size_t)(p - m->peers);
    uint64_t bit = (uint64_t)1 << i % 64;

    m->queued[i / 64] =
        any ? m->queued[i / 64] | bit : m->queued[i / 64] & ~bit;
}

/* The first peer from @i on that has a queue, or n_peers. */
static p2p_peer queue_next(const struct mesh *m, p2p_peer i)
{
    while (i < m->options.n_peers && (m->queued[i / 64] >> i % 64) == 0) {
        i = (i / 64 + 1) * 64;
    }
    if (i >= m->options.n_peers) {
        return m->options.n_peers;
    }
    return i + (p2p_peer)__builtin_ctzll(m->queued[i / 64] >> i % 64);
}

static void queue_drop(struct mesh *m, struct mesh_peer *p)
{
    while (p->queue != NULL) {
        struct mesh_item *item = p->queue;
        p->queue = item->next;
        blob_unref(item->body);
        free(item);
    }
    p->queue_end = &p->queue;
    queue_mark(m, p, false);
    m->n_queued -= p->n_queued;
    p->n_queued = 0;
    p->queued_bytes = 0;
}

static int queue_put(struct mesh *m,
                     struct mesh_peer *p,
                     const struct p2p_msg *msg,
                     struct err *e)
{
    struct mesh_item *item = malloc(sizeof *item);

    if (item == NULL) {
        return err_set(e, ERR_NOMEM, "queue a message");
    }
    item->type = msg->type;
    item->ack = msg->ack;
    item->body = msg->body == NULL ? NULL : blob_ref(msg->body);
    item->next = NULL;
    *p->queue_end = item;
    p->queue_end = &item->next;
    queue_mark(m, p, true);
    p->n_queued++;
    p->queued_bytes += msg->body == NULL ? 0 : msg->body->size;
    m->n_queued++;
    return 0;
}

int mesh_create(struct mesh **mesh,
                struct p2p_transport *t,
                const struct mesh_options *o,
                uint64_t now_ns,
                struct err *e)
{
    struct mesh *m;

    if (o->n_peers == 0 || o->n_peers > P2P_PEERS_MAX ||
        o->self >= o->n_peers || o->timeout_ns == 0) {
        return err_set(e, ERR_INVALID, "mesh: peer %u of %u, time-out %llu ns",
                       o->self, o->n_peers, (unsigned long long)o->timeout_ns);
    }
    m = calloc(1, sizeof *m + o->n_peers * sizeof m->peers[0]);
    if (m == NULL) {
        return err_set(e, ERR_NOMEM, "mesh of %u peers", o->n_peers);
    }
    m->transport = t;
    m->options = *o;
    if (o->beat_ns == 0) {
        m->options.beat_ns = o->timeout_ns / 5 + 1;
    }
    m->now_ns = now_ns;
    m->timer_ns = now_ns;
    m->flush_ns = UINT64_MAX;
    m->deadline_at = o->timeout_ns;
    for (p2p_peer i = 0; i < o->n_peers; i++) {
        m->peers[i].queue_end = &m->peers[i].queue;
        m->peers[i].due_ns = now_ns;
    }
    m->peers[o->self].state = MESH_GONE;
    *mesh = m;
    return 0;
}

void mesh_destroy(struct mesh *m)
{
    if (m == NULL) {
        return;
    }
    for (p2p_peer i = 0; i < m->options.n_peers; i++) {
        queue_drop(m, &m->peers[i]);
        free(m->peers[i].why);
    }
    if (m->stashed) {
        blob_unref(m->stash.body);
    }
    free(m);
}

/* Nothing more goes to the peer, and the next poll says so. Once we have said
 * goodbye, one that vanishes has left, too: it need not wait for our close. */
static void peer_lose(struct mesh *m, p2p_peer i, const char *why)
{
    struct mesh_peer *p = &m->peers[i];

    if (!peer_is_open(p)) {
        return;
    }
    if (m->said_bye) {
        log_debug(m->options.log, "peer %u left: %s", i, why);
        p->state = MESH_GONE;
    } else {
        log_warn(m->options.log, "peer %u lost: %s", i, why);
        p->state = MESH_LOST;
    }
    p->reports = true;
    m->n_reports++;
    free(p->why);
    p->why = strdup(why);
    queue_drop(m, p);
}

/* Hand @msg to the transport. An unreachable peer is no error here: it is lost.
 * ERR_AGAIN: no room. */
static int peer_send(struct mesh *m, struct p2p_msg *msg, struct err *e)
{
    p2p_peer to = msg->peer;
    int rc = p2p_send(m->transport, msg, e);

    if (rc == 0) {
        m->peers[to].sent_ns = m->now_ns;
    } else if (rc == ERR_UNREACHABLE) {
        peer_lose(m, to, e->msg);
        rc = 0;
    }
    return rc;
}

static int control_send(struct mesh *m,
                        p2p_peer to,
                        enum mesh_type type,
                        uint64_t ack,
                        struct err *e)
{
    struct p2p_msg msg = {.peer = to, .type = (uint8_t)type, .ack = ack};

    return peer_send(m, &msg, e);
}

/* Answer a hello or a goodbye: the same with ack 1. */
static int
answer_send(struct mesh *m, p2p_peer to, enum mesh_type type, struct err *e)
{
    struct mesh_peer *p = &m->peers[to];
    int rc = control_send(m, to, type, 1, e);

    p->owed = 0;
    if (rc == ERR_AGAIN) {
        p->owed = type;
        p->due_ns = m->now_ns + MESH_RETRY_NS;
        m->timer_ns = m->now_ns;
        rc = 0;
    }
    return rc;
}

static int queue_flush(struct mesh *m, p2p_peer to, struct err *e)
{
    struct mesh_peer *p = &m->peers[to];

    while (p->state == MESH_UP && p->queue != NULL) {
        struct mesh_item *item = p->queue;
        size_t size = item->body == NULL ? 0 : item->body->size;
        struct p2p_msg msg = {.peer = to,
                              .type = item->type,
                              .ack = item->ack,
                              .body = item->body};
        int rc = peer_send(m, &msg, e);
        if (rc != 0) {
            return rc;
        }
        if (p->state != MESH_UP) {
            break; /* Lost just now, and the queue with it. */
        }
        p->queue = item->next;
        if (p->queue == NULL) {
            p->queue_end = &p->queue;
            queue_mark(m, p, false);
        }
        p->n_queued--;
        p->queued_bytes -= size;
        m->n_queued--;
        free(item);
    }
    return 0;
}

static int queues_flush(struct mesh *m, struct err *e)
{
    m->flush_ns = UINT64_MAX;
    for (p2p_peer i = queue_next(m, 0); i < m->options.n_peers;
         i = queue_next(m, i + 1)) {
        int rc = queue_flush(m, i, e);
        if (rc == ERR_AGAIN) {
            m->flush_ns = m->now_ns + MESH_RETRY_NS;
        } else if (rc != 0) {
            return err_wrap(e, rc, "send to peer %u", i);
        }
    }
    return 0;
}

/* Greet, or say goodbye, until there is an answer: both may get lost. */
static int
question_send(struct mesh *m, p2p_peer i, enum mesh_type type, struct err *e)
{
    struct mesh_peer *p = &m->peers[i];

    p->due_ns = m->now_ns + m->options.beat_ns / MESH_HELLOS_PER_BEAT + 1;
    return p->queue != NULL && type == MESH_BYE
               ? 0
               : control_send(m, i, type, 0, e);
}

static int beat_send(struct mesh *m, p2p_peer i, struct err *e)
{
    struct mesh_peer *p = &m->peers[i];
    int rc = 0;

    if (m->now_ns - p->sent_ns < m->options.beat_ns) {
        p->due_ns = p->sent_ns + m->options.beat_ns;
        return 0;
    }
    if (!m->said_bye && p->queue == NULL) {
        rc = control_send(m, i, MESH_BEAT, 0, e);
    }
    p->due_ns =
        m->now_ns + (rc == ERR_AGAIN ? MESH_RETRY_NS : m->options.beat_ns);
    return rc;
}

static bool peer_has_timer(const struct mesh_peer *p)
{
    return p->owed != 0 || peer_is_open(p);
}

/* Send what time asks for. */
static int peer_tick(struct mesh *m, p2p_peer i, struct err *e)
{
    struct mesh_peer *p = &m->peers[i];
    int rc = 0;

    if (p->owed != 0) {
        rc = answer_send(m, i, p->owed, e);
        if (rc != 0 || p->owed != 0) {
            return rc;
        }
    }
    if (p->state == MESH_JOINING) {
        rc = question_send(m, i, MESH_HELLO, e);
    } else if (p->state == MESH_UP && p->awaits_bye) {
        rc = question_send(m, i, MESH_BYE, e);
    } else if (p->state == MESH_UP) {
        rc = beat_send(m, i, e);
    }
    return rc == ERR_AGAIN ? 0 : rc;
}

static int tick(struct mesh *m, struct err *e)
{
    uint64_t next_ns = UINT64_MAX;

    if (m->now_ns < m->timer_ns) {
        return 0;
    }
    for (p2p_peer i = 0; i < m->options.n_peers; i++) {
        struct mesh_peer *p = &m->peers[i];
        if (peer_has_timer(p) && p->due_ns <= m->now_ns) {
            int rc = peer_tick(m, i, e);
            if (rc != 0) {
                return err_wrap(e, rc, "send to peer %u", i);
            }
        }
        if (peer_has_timer(p) && p->due_ns < next_ns) {
            next_ns = p->due_ns;
        }
    }
    m->timer_ns = next_ns;
    return 0;
}

static void peer_hear(struct mesh *m, p2p_peer i)
{
    struct mesh_peer *p = &m->peers[i];

    p->heard_at = m->patience_ns;
    p->bytes_received =
        m->transport->ops->stats(m->transport, i).bytes_received;
}

static void event_up(struct mesh *m, p2p_peer i, struct mesh_event *event)
{
    struct mesh_peer *p = &m->peers[i];

    log_debug(m->options.log, "peer %u is up", i);
    p->state = MESH_UP;
    if (p->owed == 0) {
        p->due_ns = p->sent_ns + m->options.beat_ns;
    }
    if (p->queue != NULL) {
        m->flush_ns = m->now_ns;
    }
    event->kind = MESH_EVENT_UP;
    event->peer = i;
}

static void event_msg(struct mesh_event *event, const struct p2p_msg *msg)
{
    event->kind = MESH_EVENT_MSG;
    event->peer = msg->peer;
    event->msg = *msg;
}

static void event_bye(struct mesh *m, p2p_peer i, struct mesh_event *event)
{
    log_debug(m->options.log, "peer %u said goodbye", i);
    m->peers[i].state = MESH_GONE;
    queue_drop(m, &m->peers[i]);
    event->kind = MESH_EVENT_BYE;
    event->peer = i;
}

/* Anything but a greeting proves that the peer heard us. */
static bool msg_proves_up(const struct p2p_msg *msg)
{
    return msg->type != MESH_HELLO || msg->ack != 0;
}

/* A goodbye, or the answer to ours. Who said goodbye and says it again has not
 * got the answer. Set *happened if it is news. */
static int bye_handle(struct mesh *m,
                      const struct p2p_msg *msg,
                      struct mesh_event *event,
                      bool *happened,
                      struct err *e)
{
    struct mesh_peer *p = &m->peers[msg->peer];

    if (msg->ack != 0) {
        p->awaits_bye = false;
        return 0;
    }
    if (peer_is_open(p)) {
        event_bye(m, msg->peer, event);
        *happened = true;
    }
    return p->state == MESH_GONE ? answer_send(m, msg->peer, MESH_BYE, e) : 0;
}

/* Deal with a message. Set *happened if @event says what it was. */
static int msg_handle(struct mesh *m,
                      struct p2p_msg *msg,
                      struct mesh_event *event,
                      bool *happened,
                      struct err *e)
{
    struct mesh_peer *p = &m->peers[msg->peer];
    bool is_user = msg->type >= MESH_USER && peer_is_open(p);
    int rc = 0;

    *happened = false;
    if (peer_is_open(p)) {
        peer_hear(m, msg->peer);
    }
    if (msg->type == MESH_BYE) {
        rc = bye_handle(m, msg, event, happened, e);
    } else if (p->state == MESH_JOINING && msg_proves_up(msg)) {
        event_up(m, msg->peer, event);
        *happened = true;
        if (is_user) {
            m->stash = *msg;
            m->stashed = true;
        }
    } else if (is_user) {
        event_msg(event, msg);
        *happened = true;
    } else if (peer_is_open(p) && !msg_proves_up(msg)) {
        rc = answer_send(m, msg->peer, MESH_HELLO, e);
    }
    if (!is_user) {
        blob_unref(msg->body);
    }
    return rc;
}

/* Take what arrived until it makes an event. ERR_AGAIN: nothing is left. */
static int drain(struct mesh *m, struct mesh_event *event, struct err *e)
{
    for (;;) {
        struct p2p_msg msg = {0};
        bool happened;
        int rc = p2p_poll(m->transport, &msg, e);

        if (rc == ERR_UNREACHABLE) {
            peer_lose(m, msg.peer, e->msg);
            if (m->n_reports > 0) {
                return ERR_AGAIN;
            }
            continue;
        }
        if (rc != 0) {
            return rc;
        }
        m->n_undrained++;
        rc = msg_handle(m, &msg, event, &happened, e);
        if (rc != 0 || happened) {
            return rc;
        }
    }
}

/* Since when, on the clock of patience, a peer is silent. One that never came
 * up was silent from the start, whatever it says. */
static uint64_t silent_since(const struct mesh_peer *p)
{
    return p->state == MESH_UP ? p->heard_at : 0;
}

static void deadlines_check(struct mesh *m)
{
    uint64_t timeout_ns = m->options.timeout_ns;
    uint64_t next = UINT64_MAX;

    if (m->patience_ns < m->deadline_at) {
        return;
    }
    for (p2p_peer i = 0; i < m->options.n_peers; i++) {
        struct mesh_peer *p = &m->peers[i];
        char why[64];

        if (!peer_is_open(p)) {
            continue;
        }
        if (p->bytes_received !=
            m->transport->ops->stats(m->transport, i).bytes_received) {
            peer_hear(m, i);
        }
        if (m->patience_ns - silent_since(p) >= timeout_ns) {
            snprintf(why, sizeof why, "%s for %.1f s",
                     p->state == MESH_UP ? "no sign" : "no answer",
                     (double)timeout_ns / (double)CLOCK_S);
            peer_lose(m, i, why);
        } else if (silent_since(p) + timeout_ns < next) {
            next = silent_since(p) + timeout_ns;
        }
    }
    m->deadline_at = next;
}

static int event_lost(struct mesh *m, struct mesh_event *event)
{
    for (p2p_peer i = 0; m->n_reports > 0 && i < m->options.n_peers; i++) {
        struct mesh_peer *p = &m->peers[i];
        if (p->reports) {
            p->reports = false;
            m->n_reports--;
            event->kind =
                p->state == MESH_LOST ? MESH_EVENT_LOST : MESH_EVENT_BYE;
            event->peer = i;
            snprintf(event->why, sizeof event->why, "%s",
                     p->why == NULL ? "" : p->why);
            return 0;
        }
    }
    return ERR_AGAIN;
}

static void time_pass(struct mesh *m, uint64_t now_ns)
{
    uint64_t gap_max = 2 * m->options.beat_ns;

    if (now_ns > m->now_ns) {
        uint64_t gap = now_ns - m->now_ns;
        m->patience_ns += gap < gap_max ? gap : gap_max;
        m->now_ns = now_ns;
    }
}

int mesh_poll(struct mesh *m,
              uint64_t now_ns,
              struct mesh_event *event,
              struct err *e)
{
    struct err local;
    int rc;

    e = e == NULL ? &local : e;
    memset(event, 0, sizeof *event);
    time_pass(m, now_ns);
    if (m->stashed) {
        m->stashed = false;
        event_msg(event, &m->stash);
        return 0;
    }
    rc = tick(m, e);
    if (rc == 0) {
        rc = queues_flush(m, e);
    }
    if (rc == 0) {
        rc = drain(m, event, e);
    }
    if (rc == ERR_AGAIN && m->flush_ns != UINT64_MAX) {
        /* Draining made progress, which may have made room. */
        int flush_rc = queues_flush(m, e);
        rc = flush_rc == 0 ? rc : flush_rc;
    }
    if (rc == ERR_AGAIN || m->n_undrained >= MESH_DRAIN_MSGS_MAX) {
        m->n_undrained = 0;
        deadlines_check(m);
    }
    return rc == ERR_AGAIN ? event_lost(m, event) : rc;
}

int mesh_send(struct mesh *m,
              p2p_peer to,
              uint8_t type,
              uint64_t ack,
              struct blob *body,
              struct err *e)
{
    struct mesh_peer *p = &m->peers[to];
    struct p2p_msg msg = {.peer = to, .type = type, .ack = ack, .body = body};
    size_t size = body == NULL ? 0 : body->size;

    assert(to < m->options.n_peers && to != m->options.self);
    assert(type >= MESH_USER);
    assert(size <= P2P_MSG_SIZE_MAX);

    if (!peer_is_open(p) || m->said_bye) {
        return err_set(e, ERR_UNREACHABLE, "peer %u is %s", to,
                       p->state == MESH_LOST ? "lost" : "gone");
    }
    if (p->queued_bytes > 0 &&
        p->queued_bytes + size > m->options.queue_bytes_max) {
        return err_set(e, ERR_AGAIN, "%zu bytes are queued to peer %u",
                       p->queued_bytes, to);
    }
    m->flush_ns = p->state == MESH_UP ? m->now_ns : m->flush_ns;
    return queue_put(m, p, &msg, e);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t mesh_due_ns(const struct mesh *m)
{
    uint64_t due_ns = earlier(m->timer_ns, m->flush_ns);

    if (m->stashed || m->n_reports > 0) {
        return m->now_ns;
    }
    if (m->deadline_at != UINT64_MAX) {
        uint64_t left = m->deadline_at > m->patience_ns
                            ? m->deadline_at - m->patience_ns
                            : 0;
        due_ns = earlier(due_ns, m->now_ns + left);
    }
    return due_ns;
}

void mesh_wait(struct mesh *m, uint64_t timeout_ns)
{
    if (!m->stashed && m->n_reports == 0) {
        m->transport->ops->wait(m->transport, timeout_ns);
    }
}

void mesh_wake(struct mesh *m)
{
    m->transport->ops->wake(m->transport);
}

void mesh_bye(struct mesh *m)
{
    struct p2p_msg msg = {.type = MESH_BYE};

    if (m->said_bye) {
        return;
    }
    m->said_bye = true;
    for (p2p_peer i = 0; i < m->options.n_peers; i++) {
        struct mesh_peer *p = &m->peers[i];
        /* Without memory for a goodbye the peer finds out by itself. */
        if (p->state == MESH_UP && queue_put(m, p, &msg, NULL) == 0) {
            p->awaits_bye = true;
            p->due_ns =
                m->now_ns + m->options.beat_ns / MESH_HELLOS_PER_BEAT + 1;
            m->timer_ns = earlier(m->timer_ns, p->due_ns);
            m->flush_ns = m->now_ns;
        }
    }
}

bool mesh_is_up(const struct mesh *m, p2p_peer peer)
{
    assert(peer < m->options.n_peers);
    return m->peers[peer].state == MESH_UP;
}

size_t mesh_pending(const struct mesh *m, p2p_peer peer)
{
    const struct mesh_peer *p = &m->peers[peer];

    assert(peer < m->options.n_peers);
    if (p->state == MESH_LOST || peer == m->options.self) {
        return 0;
    }
    return p->n_queued + (p->state == MESH_UP && p->awaits_bye) +
           (p->owed != 0) + m->transport->ops->pending(m->transport, peer);
}

struct p2p_stats mesh_stats(const struct mesh *m, p2p_peer peer)
{
    return m->transport->ops->stats(m->transport, peer);
}

struct p2p_stats mesh_total(const struct mesh *m)
{
    return m->transport->ops->total(m->transport);
}
