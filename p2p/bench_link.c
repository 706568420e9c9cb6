#include "p2p/bench_link.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "p2p/ofi.h"
#include "p2p/rendezvous.h"

#define BENCH_PING_SIZE 8
#define BENCH_PINGS_MAX 200000
#define BENCH_WAIT_NS   (50 * CLOCK_MS)

enum bench_type {
    BENCH_PING = 16, /* Answered with the same. */
    BENCH_DATA,      /* Counted. */
    BENCH_COUNT,     /* How many were counted? Answered in ack. */
    BENCH_DONE       /* The sender has measured everything. */
};

struct bench_peer {
    const struct bench_link_options *o;
    struct p2p_transport *t;
    p2p_peer self;
    uint32_t n_peers;
    uint64_t n_data[BENCH_LINK_PEERS_MAX]; /* Counted, by sender. Peer 0. */
    uint64_t heard_ns;                     /* Last message of any kind. */
    struct bench_link_result result;
    struct err e;
    int rc;
    pthread_t thread;
};

static uint64_t or_default(uint64_t x, uint64_t fallback)
{
    return x != 0 ? x : fallback;
}

/* Receive the next message, waiting for it. */
static int bench_receive(struct bench_peer *b, struct p2p_msg *msg)
{
    uint64_t timeout_ns = or_default(b->o->timeout_ns, 30 * CLOCK_S);
    int rc;

    b->heard_ns = clock_ns();
    while ((rc = p2p_poll(b->t, msg, &b->e)) == ERR_AGAIN) {
        if (b->o->stop != NULL &&
            __atomic_load_n(b->o->stop, __ATOMIC_RELAXED) != 0) {
            return err_set(&b->e, ERR_INTERRUPTED, "interrupted");
        }
        if (clock_ns() - b->heard_ns > timeout_ns) {
            return err_set(&b->e, ERR_UNREACHABLE, "the other end is silent");
        }
        b->t->ops->wait(b->t, BENCH_WAIT_NS);
    }
    return rc == 0 ? 0 : err_wrap(&b->e, rc, "receive");
}

/* Send, waiting for room. Nothing is expected to arrive meanwhile. */
static int bench_send(struct bench_peer *b,
                      p2p_peer to,
                      enum bench_type type,
                      uint64_t ack,
                      struct blob *body)
{
    uint64_t timeout_ns = or_default(b->o->timeout_ns, 30 * CLOCK_S);
    uint64_t start_ns = clock_ns();
    struct p2p_msg msg = {.peer = to, .type = (uint8_t)type, .ack = ack};
    struct p2p_msg other;
    bool has_polled = false;
    int rc;

    msg.body = body == NULL ? NULL : blob_ref(body);
    while ((rc = p2p_send(b->t, &msg, &b->e)) == ERR_AGAIN) {
        if (clock_ns() - start_ns > timeout_ns) {
            rc = err_set(&b->e, ERR_UNREACHABLE, "the other end is stuck");
            break;
        }
        /* Polling makes room; only if it does not is it time to sleep. */
        if (has_polled) {
            b->t->ops->wait(b->t, BENCH_WAIT_NS);
        }
        rc = p2p_poll(b->t, &other, &b->e);
        has_polled = true;
        if (rc == 0) {
            blob_unref(other.body);
        } else if (rc != ERR_AGAIN) {
            break;
        }
    }
    blob_unref(msg.body);
    return rc == 0 ? 0 : err_wrap(&b->e, rc, "send");
}

/* Peer 0: answer until all others are done, and all answers have left. */
static int bench_serve(struct bench_peer *b)
{
    uint32_t n_left = b->n_peers - 1;
    int rc = 0;

    while (rc == 0 && n_left > 0) {
        struct p2p_msg msg = {0};
        rc = bench_receive(b, &msg);
        if (rc != 0) {
            return rc;
        }
        if (msg.type == BENCH_PING) {
            rc = bench_send(b, msg.peer, BENCH_PING, 0, msg.body);
        } else if (msg.type == BENCH_DATA) {
            b->n_data[msg.peer]++;
        } else if (msg.type == BENCH_COUNT) {
            rc =
                bench_send(b, msg.peer, BENCH_COUNT, b->n_data[msg.peer], NULL);
            b->n_data[msg.peer] = 0;
        } else {
            n_left--;
        }
        blob_unref(msg.body);
    }
    return rc;
}

static int u64_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Wait for an answer of @type. */
static int bench_answer(struct bench_peer *b, uint8_t type, uint64_t *ack)
{
    struct p2p_msg msg = {0};
    int rc = bench_receive(b, &msg);

    if (rc == 0 && msg.type != type) {
        rc = err_set(&b->e, ERR_CORRUPT, "unexpected answer %u", msg.type);
    }
    *ack = msg.ack;
    blob_unref(msg.body);
    return rc;
}

static int bench_round_trips(struct bench_peer *b, struct blob *body)
{
    uint64_t phase_ns = or_default(b->o->phase_ns, CLOCK_S);
    uint64_t *times = malloc(BENCH_PINGS_MAX * sizeof times[0]);
    uint64_t start_ns = clock_ns();
    uint64_t ack;
    size_t n = 0;
    int rc = 0;

    if (times == NULL) {
        return err_set(&b->e, ERR_NOMEM, "round trips");
    }
    while (rc == 0 && n < BENCH_PINGS_MAX &&
           (n == 0 || clock_ns() - start_ns < phase_ns)) {
        uint64_t sent_ns = clock_ns();
        rc = bench_send(b, 0, BENCH_PING, 0, body);
        if (rc == 0) {
            rc = bench_answer(b, BENCH_PING, &ack);
        }
        times[n++] = clock_ns() - sent_ns;
    }
    qsort(times, n, sizeof times[0], u64_compare);
    b->result.round_trip_us_median = (double)times[n / 2] / 1e3;
    b->result.round_trip_us_p99 = (double)times[n * 99 / 100] / 1e3;
    free(times);
    return rc;
}

/* Stream @body for a phase: how many arrived per second. */
static int
bench_stream(struct bench_peer *b, struct blob *body, double *msgs_per_s)
{
    uint64_t phase_ns = or_default(b->o->phase_ns, CLOCK_S);
    uint64_t start_ns = clock_ns();
    uint64_t n = 0;
    int rc = 0;

    while (rc == 0 && clock_ns() - start_ns < phase_ns) {
        rc = bench_send(b, 0, BENCH_DATA, 0, body);
    }
    if (rc == 0) {
        rc = bench_send(b, 0, BENCH_COUNT, 0, NULL);
    }
    if (rc == 0) {
        rc = bench_answer(b, BENCH_COUNT, &n);
    }
    *msgs_per_s = (double)n * (double)CLOCK_S / (double)(clock_ns() - start_ns);
    return rc;
}

static struct blob *body_create(size_t size)
{
    struct blob *body = blob_create(size);

    if (body != NULL) {
        memset(body->data, 0x5a, size);
    }
    return body;
}

static int bench_phases(struct bench_peer *b)
{
    size_t big_size = or_default(b->o->big_size, 65536);
    struct blob *ping = body_create(BENCH_PING_SIZE);
    struct blob *small = body_create(or_default(b->o->small_size, 1024));
    struct blob *big = body_create(big_size);
    double big_msgs_per_s = 0;
    int rc = 0;

    if (ping == NULL || small == NULL || big == NULL) {
        rc = err_set(&b->e, ERR_NOMEM, "bodies");
    }
    if (rc == 0) {
        rc = bench_round_trips(b, ping);
    }
    if (rc == 0) {
        rc = bench_stream(b, small, &b->result.small_msgs_per_s);
    }
    if (rc == 0) {
        uint64_t cpu_ns = clock_cpu_ns();
        uint64_t start_ns = clock_ns();
        rc = bench_stream(b, big, &big_msgs_per_s);
        b->result.big_cpu_share =
            (double)(clock_cpu_ns() - cpu_ns) / (double)(clock_ns() - start_ns);
    }
    b->result.big_bytes_per_s = big_msgs_per_s * (double)big_size;
    if (rc == 0) {
        rc = bench_send(b, 0, BENCH_DONE, 0, NULL);
    }
    blob_unref(ping);
    blob_unref(small);
    blob_unref(big);
    return rc;
}

/* Let what was sent leave before the endpoint is closed. */
static void bench_flush(struct bench_peer *b)
{
    uint64_t until_ns = clock_ns() + CLOCK_S;

    for (p2p_peer i = 0; i < b->n_peers; i++) {
        while (i != b->self && b->t->ops->pending(b->t, i) > 0 &&
               clock_ns() < until_ns) {
            struct p2p_msg msg;
            if (p2p_poll(b->t, &msg, NULL) == 0) {
                blob_unref(msg.body);
            } else {
                b->t->ops->wait(b->t, CLOCK_MS);
            }
        }
    }
}

static void *bench_run(void *arg)
{
    struct bench_peer *b = arg;

    b->rc = b->self == 0 ? bench_serve(b) : bench_phases(b);
    if (b->rc == 0) {
        bench_flush(b);
    }
    return NULL;
}

static int bench_open(struct bench_peer *b, struct rendezvous_card *card)
{
    struct p2p_ofi_options o = {
        .provider = b->o->provider, .node = b->o->node, .log = b->o->log};
    int rc = p2p_ofi_open(&b->t, &o, &b->e);

    if (rc != 0) {
        return rc;
    }
    snprintf(b->result.provider, sizeof b->result.provider, "%s",
             p2p_ofi_provider(b->t));
    memset(card, 0, sizeof *card);
    return p2p_ofi_address(b->t, card->address, sizeof card->address,
                           &card->address_size, &b->e);
}

static int bench_connect(struct bench_peer *b,
                         uint64_t session,
                         const struct rendezvous_card *cards)
{
    struct p2p_ofi_peer peers[BENCH_LINK_PEERS_MAX];

    for (p2p_peer i = 0; i < b->n_peers; i++) {
        peers[i].address = cards[i].address;
        peers[i].address_size = cards[i].address_size;
    }
    return p2p_ofi_connect(b->t, session, b->self, peers, b->n_peers, &b->e);
}

/* Start the threads of all peers and wait for them. */
static int bench_threads(struct bench_peer *b, uint32_t n_peers)
{
    uint32_t n = 0;
    int rc = 0;

    while (n < n_peers && rc == 0) {
        if (pthread_create(&b[n].thread, NULL, bench_run, &b[n]) != 0) {
            rc = err_set(&b[0].e, ERR_NOMEM, "start a thread");
        } else {
            n++;
        }
    }
    while (n > 0) {
        pthread_join(b[--n].thread, NULL);
    }
    return rc;
}

static void bench_sum(struct bench_link_result *sum,
                      const struct bench_peer *b,
                      uint32_t n_peers)
{
    double n = n_peers - 1;

    *sum = b[0].result;
    for (uint32_t i = 1; i < n_peers; i++) {
        const struct bench_link_result *r = &b[i].result;
        sum->round_trip_us_median += r->round_trip_us_median / n;
        sum->round_trip_us_p99 += r->round_trip_us_p99 / n;
        sum->small_msgs_per_s += r->small_msgs_per_s;
        sum->big_bytes_per_s += r->big_bytes_per_s;
        sum->big_cpu_share += r->big_cpu_share / n;
    }
}

int bench_link_local(const struct bench_link_options *o,
                     uint32_t n_peers,
                     struct bench_link_result *result,
                     struct err *e)
{
    struct rendezvous_card *cards;
    struct bench_peer *b;
    struct err *why = NULL;
    int rc = 0;

    if (n_peers < 2 || n_peers > BENCH_LINK_PEERS_MAX) {
        return err_set(e, ERR_INVALID, "%u endpoints; 2 to %d can be measured",
                       n_peers, BENCH_LINK_PEERS_MAX);
    }
    b = calloc(n_peers, sizeof *b);
    cards = calloc(n_peers, sizeof *cards);
    if (b == NULL || cards == NULL) {
        free(b);
        free(cards);
        return err_set(e, ERR_NOMEM, "%u endpoints", n_peers);
    }
    for (uint32_t i = 0; rc == 0 && i < n_peers; i++) {
        b[i].o = o;
        b[i].self = i;
        b[i].n_peers = n_peers;
        rc = bench_open(&b[i], &cards[i]);
        why = &b[i].e;
    }
    for (uint32_t i = 0; rc == 0 && i < n_peers; i++) {
        rc = bench_connect(&b[i], 1, cards);
        why = &b[i].e;
    }
    if (rc == 0) {
        rc = bench_threads(b, n_peers);
        why = &b[0].e;
    }
    for (uint32_t i = 0; i < n_peers; i++) {
        if (rc == 0) {
            rc = b[i].rc;
            why = &b[i].e;
        }
        if (b[i].t != NULL) {
            b[i].t->ops->close(b[i].t);
        }
    }
    if (rc == 0) {
        bench_sum(result, b, n_peers);
    } else {
        err_set(e, rc, "%s", why->msg);
    }
    free(b);
    free(cards);
    return rc;
}

int bench_link_pair(const struct bench_link_options *o,
                    const char *url,
                    p2p_peer self,
                    struct bench_link_result *result,
                    struct err *e)
{
    struct rendezvous_options meet = {
        .url = url,
        .self = self,
        .n_peers = 2,
        .timeout_ns = or_default(o->timeout_ns, 30 * CLOCK_S),
        .log = o->log,
        .stop = o->stop};
    struct bench_peer b = {.o = o, .self = self, .n_peers = 2};
    struct rendezvous_card cards[2];
    struct rendezvous_card own;
    uint64_t session;
    int rc = bench_open(&b, &own);

    if (rc == 0) {
        rc = rendezvous_meet(&meet, &own, cards, &session, &b.e);
    }
    if (rc == 0) {
        rc = bench_connect(&b, session, cards);
    }
    if (rc == 0) {
        bench_run(&b);
        rc = b.rc;
    }
    if (b.t != NULL) {
        b.t->ops->close(b.t);
    }
    if (rc != 0) {
        return err_set(e, rc, "%s", b.e.msg);
    }
    *result = b.result;
    return 0;
}
