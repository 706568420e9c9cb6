/* shift: the part of p goes to p+1, for which it is the result. */

#include "train/exchange_state.h"
#include "train/msg.h"

static p2p_peer left_of(const struct train_exchange *x)
{
    return (x->o.self + x->o.n_peers - 1) % x->o.n_peers;
}

static p2p_peer right_of(const struct train_exchange *x)
{
    return (x->o.self + 1) % x->o.n_peers;
}

static int begun(struct train_exchange *x, uint32_t piece, uint64_t now_ns)
{
    struct exchange_piece *p = &x->pieces[piece];
    struct blob *early = p->early;

    (void)now_ns;
    train_exchange_send(x, right_of(x), TRAIN_MSG_PART, p->part, false);
    p->early = NULL;
    if (early != NULL) {
        train_exchange_settle(x, piece, early);
        blob_unref(early);
    } else if (p->missed == p->round) {
        train_exchange_say(x, left_of(x), TRAIN_MSG_NEED, piece, p->round,
                           TRAIN_NEED_PART);
    }
    return 0;
}

/* Whether we have the part of @round of p-1, or no use for it. */
static bool has(const struct exchange_piece *p, uint64_t round)
{
    return round < p->round || (round == p->round && p->settled) ||
           (round == p->round + 1 && p->early != NULL);
}

static int on_part(struct train_exchange *x, const struct exchange_event *ev)
{
    struct exchange_piece *p = &x->pieces[ev->piece];

    if (ev->peer != left_of(x)) {
        return ERR_INVALID;
    }
    if (ev->round > p->round + 1) {
        p->missed = ev->round;
        return 0;
    }
    if (ev->round == p->round && !p->settled) {
        train_exchange_settle(x, ev->piece, ev->body);
    } else if (ev->round == p->round + 1 && p->early == NULL) {
        p->early = blob_ref(ev->body);
    }
    train_exchange_say(x, ev->peer, TRAIN_MSG_GOT, ev->piece, ev->round, 0);
    return 0;
}

static int on_result(struct train_exchange *x, const struct exchange_event *ev)
{
    (void)x;
    (void)ev;
    return ERR_INVALID;
}

static int on_need(struct train_exchange *x, const struct exchange_event *ev)
{
    struct exchange_piece *p = &x->pieces[ev->piece];

    if (ev->need == TRAIN_NEED_GOT && ev->peer == left_of(x)) {
        if (has(p, ev->round)) {
            train_exchange_say(x, ev->peer, TRAIN_MSG_GOT, ev->piece, ev->round,
                               0);
        } else if (ev->round <= p->round + 1) {
            train_exchange_say(x, ev->peer, TRAIN_MSG_NEED, ev->piece,
                               ev->round, TRAIN_NEED_PART);
        }
        return 0;
    }
    if (ev->need != TRAIN_NEED_PART || ev->peer != right_of(x)) {
        return ERR_INVALID;
    }
    if (ev->round == p->round && p->part != NULL) {
        train_exchange_send(x, ev->peer, TRAIN_MSG_PART, p->part, true);
    } else if (ev->round <= p->round) {
        train_exchange_say(x, ev->peer, TRAIN_MSG_ABSTAIN, ev->piece, ev->round,
                           0);
    }
    return 0;
}

static int on_abstain(struct train_exchange *x, const struct exchange_event *ev)
{
    const struct exchange_piece *p = &x->pieces[ev->piece];

    if (ev->peer == left_of(x) && ev->round == p->round && !p->settled) {
        train_exchange_settle(x, ev->piece, NULL);
    }
    return 0;
}

static int on_got(struct train_exchange *x, const struct exchange_event *ev)
{
    struct exchange_piece *p = &x->pieces[ev->piece];

    if (ev->peer != right_of(x)) {
        return ERR_INVALID;
    }
    if (ev->round == p->round) {
        p->got = true;
        train_exchange_drop_part(x, ev->piece);
    }
    return 0;
}

static uint64_t ask(struct train_exchange *x, uint32_t piece, uint64_t now_ns)
{
    struct exchange_piece *p = &x->pieces[piece];
    uint64_t due = UINT64_MAX;

    if ((p->settled && p->got) ||
        !train_exchange_impatient(x, &p->wait, now_ns, &due)) {
        return due;
    }
    if (!p->settled) {
        train_exchange_say(x, left_of(x), TRAIN_MSG_NEED, piece, p->round,
                           TRAIN_NEED_PART);
    }
    if (!p->got) {
        train_exchange_say(x, right_of(x), TRAIN_MSG_NEED, piece, p->round,
                           TRAIN_NEED_GOT);
    }
    return due;
}

static bool over(const struct exchange_piece *p)
{
    return p->settled && p->got;
}

static bool needed(const struct exchange_piece *p)
{
    return !p->got;
}

const struct exchange_shape train_exchange_shift = {.begun = begun,
                                                    .on_part = on_part,
                                                    .on_result = on_result,
                                                    .on_need = on_need,
                                                    .on_abstain = on_abstain,
                                                    .on_got = on_got,
                                                    .ask = ask,
                                                    .over = over,
                                                    .needed = needed};
