#include "p2p/bench_link.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "p2p/link.h"
#include "p2p/ofi.h"
#include "p2p/rendezvous.h"

struct bench_peer {
    const struct bench_link_options *o;
    struct p2p_transport *t;
    p2p_peer self;
    uint32_t n_peers;
    struct bench_link_result result;
    struct err e;
    int rc;
    pthread_t thread;
};

static uint64_t or_default(uint64_t x, uint64_t fallback)
{
    return x != 0 ? x : fallback;
}

/* Peer 0 answers, all others measure. */
static int bench_measure(struct bench_peer *b)
{
    const uint64_t phase_ns = or_default(b->o->phase_ns, CLOCK_S);
    const struct p2p_link_options o = {
        .self = b->self,
        .n_peers = b->n_peers,
        .ping_ns = phase_ns,
        .phase_ns = phase_ns,
        .small_size = or_default(b->o->small_size, 1024),
        .big_size = or_default(b->o->big_size, 65536),
        .silent_ns = or_default(b->o->timeout_ns, 30 * CLOCK_S),
        .stop = b->o->stop};
    struct p2p_link_result r;
    int rc = p2p_link_measure(b->t, &o, &r, &b->e);

    b->result.round_trip_us_median = r.round_trip_us_median;
    b->result.round_trip_us_p99 = r.round_trip_us_p99;
    b->result.small_msgs_per_s = r.small_msgs_per_s;
    b->result.big_bytes_per_s = r.big_bytes_per_s;
    b->result.big_cpu_share = r.big_cpu_share;
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

    b->rc = bench_measure(b);
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
