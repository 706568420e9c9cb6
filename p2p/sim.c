#include "p2p/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"
#include "p2p/wire.h"

/* Messages that may wait for a limited link, per receiver. */
#define SIM_PENDING_MAX 64

/* A message on its way, or in the inbox of its receiver. */
struct parcel {
    uint64_t depart_ns; /* When its last byte has left the sender. */
    uint64_t due_ns;    /* When it arrives; if in_ns: its first byte. */
    uint64_t in_ns;     /* How long it will keep the receiver's link busy. */
    uint64_t sequence;  /* Breaks ties: sent first, delivered first. */
    p2p_peer to;
    bool lost; /* It takes its time, and is not delivered. */
    struct p2p_msg msg;
    struct parcel *next; /* In the inbox. */
};

/* A message that has not left, as its sender remembers it. */
struct departure {
    uint64_t depart_ns;
    p2p_peer to;
};

struct endpoint {
    struct p2p_transport base; /* Must be first. */
    struct p2p_sim *net;
    p2p_peer self;
    uint64_t link_free_ns;  /* When the link out is idle again. */
    uint64_t in_free_ns;    /* When the link in is. */
    struct departure *line; /* (line_room) A ring: next to leave first. */
    size_t line_first, n_line, line_room;
    uint32_t *waiting;    /* (n_peers) Messages of the line, by receiver. */
    struct parcel *inbox; /* Oldest first. */
    struct parcel **inbox_end;
    struct p2p_stats *stats; /* (n_peers) */
    struct p2p_stats total;  /* Of all peers. */
};

struct p2p_sim {
    struct p2p_sim_options options;
    uint64_t now_ns;
    uint64_t sequence;
    struct parcel **wire; /* (n_wire) A heap: the next delivery is first. */
    size_t n_wire;
    size_t wire_room;
    bool *cut;                  /* (n_peers, n_peers) From, to. */
    struct endpoint *endpoints; /* (n_peers) */
};

static void parcel_free(struct parcel *p)
{
    blob_unref(p->msg.body);
    free(p);
}

static bool parcel_before(const struct parcel *a, const struct parcel *b)
{
    if (a->due_ns != b->due_ns) {
        return a->due_ns < b->due_ns;
    }
    return a->sequence < b->sequence;
}

static bool wire_reserve(struct p2p_sim *net)
{
    size_t room = net->wire_room == 0 ? 64 : 2 * net->wire_room;
    struct parcel **wire;

    if (net->n_wire < net->wire_room) {
        return true;
    }
    wire = realloc(net->wire, room * sizeof(struct parcel *));
    if (wire == NULL) {
        return false;
    }
    net->wire = wire;
    net->wire_room = room;
    return true;
}

static void wire_push(struct p2p_sim *net, struct parcel *p)
{
    size_t i = net->n_wire++;

    while (i > 0 && parcel_before(p, net->wire[(i - 1) / 2])) {
        net->wire[i] = net->wire[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    net->wire[i] = p;
}

static struct parcel *wire_pop(struct p2p_sim *net)
{
    struct parcel *top = net->wire[0];
    struct parcel *last = net->wire[--net->n_wire];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < net->n_wire &&
            parcel_before(net->wire[child + 1], net->wire[child])) {
            child++;
        }
        if (child >= net->n_wire || parcel_before(last, net->wire[child])) {
            break;
        }
        net->wire[i] = net->wire[child];
        i = child;
    }
    if (net->n_wire > 0) {
        net->wire[i] = last;
    }
    return top;
}

/* Forget the messages that have left. A link carries one after another, so
 * they leave in the order they were sent. */
static void line_advance(struct endpoint *self)
{
    while (self->n_line > 0 &&
           self->line[self->line_first].depart_ns <= self->net->now_ns) {
        self->waiting[self->line[self->line_first].to]--;
        self->line_first = (self->line_first + 1) % self->line_room;
        self->n_line--;
    }
}

static bool line_reserve(struct endpoint *self)
{
    size_t room = self->line_room == 0 ? 64 : 2 * self->line_room;
    struct departure *line;

    if (self->n_line < self->line_room) {
        return true;
    }
    line = malloc(room * sizeof *line);
    if (line == NULL) {
        return false;
    }
    for (size_t i = 0; i < self->n_line; i++) {
        line[i] = self->line[(self->line_first + i) % self->line_room];
    }
    free(self->line);
    self->line = line;
    self->line_first = 0;
    self->line_room = room;
    return true;
}

/* There is room. */
static void line_put(struct endpoint *self, const struct parcel *p)
{
    if (p->depart_ns > self->net->now_ns) {
        size_t at = (self->line_first + self->n_line++) % self->line_room;
        self->line[at] = (struct departure){p->depart_ns, p->to};
        self->waiting[p->to]++;
    }
}

static void line_clear(struct endpoint *self)
{
    self->n_line = 0;
    memset(self->waiting, 0,
           self->net->options.n_peers * sizeof self->waiting[0]);
}

static size_t sim_pending(const struct p2p_transport *t, p2p_peer peer)
{
    const struct endpoint *x = (const struct endpoint *)t;
    struct endpoint *self = &x->net->endpoints[x->self];

    line_advance(self);
    return self->waiting[peer];
}

/* How long a body of @size bytes keeps the link busy. */
static uint64_t link_ns(const struct p2p_sim_options *o, size_t size)
{
    if (o->bytes_per_s == 0) {
        return 0;
    }
    return (uint64_t)((double)wire_bytes(size) * (double)CLOCK_S /
                      (double)o->bytes_per_s);
}

/* Decide when the parcel leaves, when it arrives, and whether. */
static void parcel_fate(struct endpoint *self, struct parcel *p, size_t size)
{
    struct p2p_sim *net = self->net;
    const struct p2p_sim_options *o = &net->options;
    uint64_t delay = rng_stream(RNG_NETWORK, 0, 0);
    uint64_t loss = rng_stream(RNG_NETWORK, 1, 0);

    if (self->link_free_ns < net->now_ns) {
        self->link_free_ns = net->now_ns;
    }
    self->link_free_ns += link_ns(o, size);
    p->sequence = net->sequence++;
    p->depart_ns = self->link_free_ns;
    p->due_ns = p->depart_ns + o->delay_ns_min +
                rng_below(o->seed, delay, p->sequence,
                          o->delay_ns_max - o->delay_ns_min + 1);
    if (o->limit_in) {
        p->in_ns = link_ns(o, size);
        p->due_ns -= p->in_ns;
    }
    p->lost = net->cut[self->self * o->n_peers + p->to] ||
              rng_below(o->seed, loss, p->sequence, 1000) < o->loss_permille;
}

static int sim_send(struct p2p_transport *t, struct p2p_msg *msg, struct err *e)
{
    struct endpoint *self = (struct endpoint *)t;
    struct p2p_sim *net = self->net;
    size_t size = msg->body == NULL ? 0 : msg->body->size;
    struct p2p_stats *stats = &self->stats[msg->peer];
    struct parcel *p;

    assert(msg->peer < net->options.n_peers);
    assert(msg->peer != self->self);
    assert(size <= P2P_MSG_SIZE_MAX);

    if (net->options.bytes_per_s > 0 &&
        sim_pending(t, msg->peer) >= SIM_PENDING_MAX) {
        return err_set(e, ERR_AGAIN, "%d messages wait for peer %u",
                       SIM_PENDING_MAX, msg->peer);
    }
    p = calloc(1, sizeof *p);
    if (p == NULL || !wire_reserve(net) || !line_reserve(self)) {
        free(p);
        return err_set(e, ERR_NOMEM, "message to peer %u", msg->peer);
    }
    p->to = msg->peer;
    p->msg = *msg;
    p->msg.peer = self->self;
    if (size == 0) {
        blob_unref(p->msg.body);
        p->msg.body = NULL;
    }
    msg->body = NULL;
    parcel_fate(self, p, size);
    line_advance(self);
    line_put(self, p);
    wire_push(net, p);
    stats->msgs_sent++;
    stats->bytes_sent += wire_bytes(size);
    self->total.msgs_sent++;
    self->total.bytes_sent += wire_bytes(size);
    return 0;
}

static int sim_poll(struct p2p_transport *t, struct p2p_msg *msg, struct err *e)
{
    struct endpoint *self = (struct endpoint *)t;
    struct parcel *p = self->inbox;
    struct p2p_stats *stats;
    size_t bytes;

    if (p == NULL) {
        return err_set(e, ERR_AGAIN, "nothing arrived");
    }
    self->inbox = p->next;
    if (self->inbox == NULL) {
        self->inbox_end = &self->inbox;
    }
    *msg = p->msg;
    free(p);
    stats = &self->stats[msg->peer];
    bytes = wire_bytes(msg->body ? msg->body->size : 0);
    stats->msgs_received++;
    stats->bytes_received += bytes;
    self->total.msgs_received++;
    self->total.bytes_received += bytes;
    return 0;
}

/* Nothing can happen while the only thread waits: time is stepped. */
static void sim_wait(struct p2p_transport *t, uint64_t timeout_ns)
{
    (void)t;
    (void)timeout_ns;
}

static void sim_wake(struct p2p_transport *t)
{
    (void)t;
}

static struct p2p_stats sim_stats(const struct p2p_transport *t, p2p_peer peer)
{
    const struct endpoint *self = (const struct endpoint *)t;

    assert(peer < self->net->options.n_peers);
    return self->stats[peer];
}

static struct p2p_stats sim_total(const struct p2p_transport *t)
{
    return ((const struct endpoint *)t)->total;
}

/* As when a process ends: what it has not read, what is on its way to it and
 * what has not left it are gone. */
static void sim_close(struct p2p_transport *t)
{
    struct endpoint *self = (struct endpoint *)t;
    struct p2p_sim *net = self->net;

    while (self->inbox != NULL) {
        struct parcel *p = self->inbox;
        self->inbox = p->next;
        parcel_free(p);
    }
    self->inbox_end = &self->inbox;
    for (size_t i = 0; i < net->n_wire; i++) {
        struct parcel *p = net->wire[i];
        if (p->to == self->self ||
            (p->msg.peer == self->self && p->depart_ns > net->now_ns)) {
            p->lost = true;
        }
    }
    self->link_free_ns = net->now_ns;
    line_clear(self);
}

static const struct p2p_transport_ops SIM_OPS = {
    .name = "sim",
    .send = sim_send,
    .poll = sim_poll,
    .wait = sim_wait,
    .wake = sim_wake,
    .stats = sim_stats,
    .total = sim_total,
    .pending = sim_pending,
    .close = sim_close,
};

static bool endpoint_init(struct p2p_sim *net, p2p_peer i)
{
    struct endpoint *x = &net->endpoints[i];

    x->base.ops = &SIM_OPS;
    x->net = net;
    x->self = i;
    x->inbox_end = &x->inbox;
    x->stats = calloc(net->options.n_peers, sizeof x->stats[0]);
    x->waiting = calloc(net->options.n_peers, sizeof x->waiting[0]);
    return x->stats != NULL && x->waiting != NULL;
}

struct p2p_sim *p2p_sim_create(const struct p2p_sim_options *options)
{
    struct p2p_sim *net = calloc(1, sizeof *net);
    size_t n = options->n_peers;

    assert(n > 0 && n <= P2P_PEERS_MAX);
    assert(options->delay_ns_min <= options->delay_ns_max);

    if (net == NULL) {
        return NULL;
    }
    net->options = *options;
    net->cut = calloc(n * n, sizeof net->cut[0]);
    net->endpoints = calloc(n, sizeof net->endpoints[0]);
    if (net->cut == NULL || net->endpoints == NULL) {
        goto err;
    }
    for (p2p_peer i = 0; i < n; i++) {
        if (!endpoint_init(net, i)) {
            goto err;
        }
    }
    return net;

err:
    p2p_sim_destroy(net);
    return NULL;
}

void p2p_sim_destroy(struct p2p_sim *net)
{
    if (net == NULL) {
        return;
    }
    for (p2p_peer i = 0; net->endpoints != NULL && i < net->options.n_peers;
         i++) {
        struct endpoint *x = &net->endpoints[i];
        if (x->stats != NULL && x->waiting != NULL) {
            sim_close(&x->base);
        }
        free(x->stats);
        free(x->waiting);
        free(x->line);
    }
    for (size_t i = 0; i < net->n_wire; i++) {
        parcel_free(net->wire[i]);
    }
    free(net->wire);
    free(net->endpoints);
    free(net->cut);
    free(net);
}

struct p2p_transport *p2p_sim_endpoint(struct p2p_sim *net, p2p_peer peer)
{
    assert(peer < net->options.n_peers);
    return &net->endpoints[peer].base;
}

void p2p_sim_cut(struct p2p_sim *net, p2p_peer from, p2p_peer to)
{
    net->cut[from * net->options.n_peers + to] = true;
    for (size_t i = 0; i < net->n_wire; i++) {
        struct parcel *p = net->wire[i];
        p->lost |= p->msg.peer == from && p->to == to;
    }
}

void p2p_sim_mend(struct p2p_sim *net, p2p_peer from, p2p_peer to)
{
    net->cut[from * net->options.n_peers + to] = false;
}

void p2p_sim_loss(struct p2p_sim *net, uint32_t permille)
{
    net->options.loss_permille = permille;
}

uint64_t p2p_sim_now_ns(const struct p2p_sim *net)
{
    return net->now_ns;
}

static void deliver(struct p2p_sim *net, struct parcel *p)
{
    struct endpoint *x = &net->endpoints[p->to];

    p->next = NULL;
    *x->inbox_end = p;
    x->inbox_end = &p->next;
}

/* The first byte is there, and the rest comes through the link in, behind what
 * came before. There is room: the parcel was there just now. */
static void pass_in(struct p2p_sim *net, struct parcel *p)
{
    uint64_t *free_ns = &net->endpoints[p->to].in_free_ns;

    *free_ns = (*free_ns > net->now_ns ? *free_ns : net->now_ns) + p->in_ns;
    p->due_ns = *free_ns;
    p->in_ns = 0;
    wire_push(net, p);
}

bool p2p_sim_step(struct p2p_sim *net, uint64_t until_ns, p2p_peer *to)
{
    while (net->n_wire > 0 && net->wire[0]->due_ns <= until_ns) {
        struct parcel *p = wire_pop(net);

        net->now_ns = p->due_ns;
        if (p->in_ns > 0 && !p->lost) {
            pass_in(net, p);
            continue;
        }
        if (p->lost) {
            parcel_free(p);
            continue;
        }
        *to = p->to;
        deliver(net, p);
        return true;
    }
    if (net->now_ns < until_ns) {
        net->now_ns = until_ns;
    }
    return false;
}
