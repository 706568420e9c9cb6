/* star: parts go to the owner of the round, the mean goes to all. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "train/exchange_state.h"
#include "train/msg.h"

static p2p_peer
owner_of(const struct train_exchange *x, uint32_t piece, uint64_t round)
{
    return (p2p_peer)((piece + round) % x->o.n_peers);
}

static void gather_empty(struct exchange_gather *g, uint32_t n_peers)
{
    for (p2p_peer p = 0; p < n_peers; p++) {
        blob_unref(g->parts[p]);
        g->parts[p] = NULL;
    }
    blob_unref(g->result);
    g->result = NULL;
}

static struct exchange_gather *gather_create(uint32_t n_peers)
{
    struct exchange_gather *g = calloc(1, sizeof *g);

    if (g != NULL) {
        g->abstained = calloc(n_peers, sizeof *g->abstained);
        g->parts = calloc(n_peers, sizeof *g->parts);
    }
    if (g == NULL || g->abstained == NULL || g->parts == NULL) {
        if (g != NULL) {
            free(g->abstained);
            free(g->parts);
        }
        free(g);
        return NULL;
    }
    return g;
}

/* What is gathered of @round, which we own. A later round than the one that was
 * takes its place: whoever has begun that has no use for the other. NULL: no
 * memory. */
static struct exchange_gather *
gather_of(struct train_exchange *x, uint32_t piece, uint64_t round)
{
    struct exchange_piece *p = &x->pieces[piece];

    if (p->gather == NULL) {
        p->gather = gather_create(x->o.n_peers);
    }
    if (p->gather == NULL) {
        x->out_of_memory = true;
        return NULL;
    }
    if (p->gather->round < round) {
        struct exchange_gather *g = p->gather;
        gather_empty(g, x->o.n_peers);
        memset(g->abstained, 0, x->o.n_peers * sizeof *g->abstained);
        g->round = round;
        g->n_in = 0;
        g->done = false;
    }
    return p->gather;
}

/* The mean of the parts that are there, in the order of ranks. */
static struct blob *mean(const struct train_exchange *x, uint32_t piece)
{
    const struct exchange_gather *g = x->pieces[piece].gather;
    const size_t n = x->floats[piece];
    struct blob *body = train_exchange_body(n);
    float *sum = body == NULL ? NULL : train_exchange_floats(body);
    uint32_t count = 0;

    for (p2p_peer p = 0; body != NULL && p < x->o.n_peers; p++) {
        if (g->parts[p] == NULL) {
            continue;
        }
        const float *part = train_exchange_floats(g->parts[p]);
        if (count++ == 0) {
            memcpy(sum, part, n * sizeof *sum);
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            sum[i] = sum[i] + part[i];
        }
    }
    for (size_t i = 0; body != NULL && i < n; i++) {
        sum[i] = sum[i] / (float)count;
    }
    return body;
}

static void finish(struct train_exchange *x, uint32_t piece)
{
    struct exchange_piece *p = &x->pieces[piece];
    struct exchange_gather *g = p->gather;
    struct blob *result;

    if (g->done || g->n_in < x->o.n_peers) {
        return;
    }
    assert(p->round == g->round && !p->settled);
    result = mean(x, piece);
    if (result == NULL) {
        x->out_of_memory = true;
        return;
    }
    train_exchange_seal(result, piece, g->round);
    for (p2p_peer q = 0; q < x->o.n_peers; q++) {
        if (q != x->o.self && !g->abstained[q]) {
            train_exchange_send(x, q, TRAIN_MSG_RESULT, result, false);
        }
    }
    gather_empty(g, x->o.n_peers);
    g->result = result;
    g->done = true;
    train_exchange_settle(x, piece, result);
}

static void add_part(struct train_exchange *x,
                     uint32_t piece,
                     uint64_t round,
                     p2p_peer peer,
                     struct blob *part)
{
    struct exchange_gather *g = gather_of(x, piece, round);

    if (g == NULL || g->done || g->parts[peer] != NULL || g->abstained[peer]) {
        return;
    }
    g->parts[peer] = blob_ref(part);
    g->n_in++;
    finish(x, piece);
}

static int begun(struct train_exchange *x, uint32_t piece, uint64_t now_ns)
{
    struct exchange_piece *p = &x->pieces[piece];
    p2p_peer owner = owner_of(x, piece, p->round);

    if (owner != x->o.self) {
        train_exchange_send(x, owner, TRAIN_MSG_PART, p->part, false);
        return 0;
    }
    add_part(x, piece, p->round, x->o.self, p->part);
    if (p->gather != NULL) {
        train_exchange_wait(x, &p->gather->wait, now_ns);
    }
    return 0;
}

static int on_part(struct train_exchange *x, const struct exchange_event *ev)
{
    struct exchange_piece *p = &x->pieces[ev->piece];

    if (owner_of(x, ev->piece, ev->round) != x->o.self) {
        return ERR_INVALID;
    }
    if (ev->round <= p->skipped ||
        (p->gather != NULL && ev->round < p->gather->round)) {
        train_exchange_say(x, ev->peer, TRAIN_MSG_ABSTAIN, ev->piece, ev->round,
                           0);
    } else if (ev->round <= p->round + 1) {
        add_part(x, ev->piece, ev->round, ev->peer, ev->body);
    } /* Else nobody can have got there; it is asked for when we have. */
    return 0;
}

static int on_result(struct train_exchange *x, const struct exchange_event *ev)
{
    struct exchange_piece *p = &x->pieces[ev->piece];

    if (owner_of(x, ev->piece, ev->round) != ev->peer) {
        return ERR_INVALID;
    }
    if (ev->round != p->round || p->settled) {
        return 0;
    }
    /* All have begun this round, so all are through with the one before. */
    if (p->gather != NULL && p->gather->round < p->round) {
        gather_empty(p->gather, x->o.n_peers);
    }
    train_exchange_settle(x, ev->piece, ev->body);
    return 0;
}

/* Somebody waits for the result of a round that we own. */
static void on_need_result(struct train_exchange *x,
                           const struct exchange_event *ev)
{
    struct exchange_piece *p = &x->pieces[ev->piece];
    const struct exchange_gather *g = p->gather;
    uint64_t gathered = g == NULL ? 0 : g->round;

    if (ev->round <= p->skipped || ev->round < gathered ||
        (ev->round == gathered && g->done && g->result == NULL)) {
        train_exchange_say(x, ev->peer, TRAIN_MSG_ABSTAIN, ev->piece, ev->round,
                           0);
    } else if (ev->round == gathered && g->done) {
        train_exchange_send(x, ev->peer, TRAIN_MSG_RESULT, g->result, true);
    } else if (ev->round <= p->round + 1 &&
               (ev->round > gathered || g->parts[ev->peer] == NULL)) {
        train_exchange_say(x, ev->peer, TRAIN_MSG_NEED, ev->piece, ev->round,
                           TRAIN_NEED_PART);
    }
}

static int on_need(struct train_exchange *x, const struct exchange_event *ev)
{
    struct exchange_piece *p = &x->pieces[ev->piece];
    p2p_peer owner = owner_of(x, ev->piece, ev->round);

    if (ev->need == TRAIN_NEED_RESULT && owner == x->o.self) {
        on_need_result(x, ev);
        return 0;
    }
    if (ev->need != TRAIN_NEED_PART || owner != ev->peer) {
        return ERR_INVALID;
    }
    if (ev->round == p->round && !p->settled) {
        train_exchange_send(x, ev->peer, TRAIN_MSG_PART, p->part, true);
    } else if (ev->round <= p->round) {
        train_exchange_say(x, ev->peer, TRAIN_MSG_ABSTAIN, ev->piece, ev->round,
                           0);
    }
    return 0;
}

static int on_abstain(struct train_exchange *x, const struct exchange_event *ev)
{
    struct exchange_piece *p = &x->pieces[ev->piece];
    struct exchange_gather *g = p->gather;
    p2p_peer owner = owner_of(x, ev->piece, ev->round);

    if (owner == x->o.self && g != NULL && g->round == ev->round &&
        p->round == ev->round && !g->done && g->parts[ev->peer] == NULL &&
        !g->abstained[ev->peer]) {
        g->abstained[ev->peer] = true;
        g->n_in++;
        finish(x, ev->piece);
    } else if (owner == ev->peer && ev->round == p->round && !p->settled) {
        train_exchange_settle(x, ev->piece, NULL);
    }
    return 0;
}

static int on_got(struct train_exchange *x, const struct exchange_event *ev)
{
    (void)x;
    (void)ev;
    return ERR_INVALID;
}

static uint64_t ask(struct train_exchange *x, uint32_t piece, uint64_t now_ns)
{
    struct exchange_piece *p = &x->pieces[piece];
    struct exchange_gather *g = p->gather;
    p2p_peer owner = owner_of(x, piece, p->round);
    uint64_t due = UINT64_MAX;

    if (p->settled) {
        return due;
    }
    if (owner != x->o.self) {
        if (train_exchange_impatient(x, &p->wait, now_ns, &due)) {
            train_exchange_say(x, owner, TRAIN_MSG_NEED, piece, p->round,
                               TRAIN_NEED_RESULT);
        }
        return due;
    }
    if (g == NULL || !train_exchange_impatient(x, &g->wait, now_ns, &due)) {
        return due;
    }
    for (p2p_peer q = 0; q < x->o.n_peers; q++) {
        if (g->parts[q] == NULL && !g->abstained[q]) {
            train_exchange_say(x, q, TRAIN_MSG_NEED, piece, p->round,
                               TRAIN_NEED_PART);
        }
    }
    return due;
}

static bool over(const struct exchange_piece *p)
{
    return p->settled;
}

static bool needed(const struct exchange_piece *p)
{
    (void)p;
    return false;
}

const struct exchange_shape train_exchange_star = {.begun = begun,
                                                   .on_part = on_part,
                                                   .on_result = on_result,
                                                   .on_need = on_need,
                                                   .on_abstain = on_abstain,
                                                   .on_got = on_got,
                                                   .ask = ask,
                                                   .over = over,
                                                   .needed = needed};
