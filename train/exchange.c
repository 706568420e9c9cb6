#include "train/exchange.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/hash.h"
#include "train/exchange_state.h"
#include "train/msg.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers are used as they lie in messages");

#define SAY_SIZE      16
#define DOUBLINGS_MAX 5 /* Patience doubles so many times. */

/* Clocks from the beginning of a period to the rounds of @piece. */
static uint64_t offset_of(uint32_t n_pieces, uint32_t every, uint32_t piece)
{
    return (uint64_t)piece * every / n_pieces;
}

void train_exchange_due(uint32_t n_pieces,
                        uint32_t every,
                        uint64_t clock,
                        uint32_t *first,
                        uint32_t *end)
{
    uint64_t k = clock % every;

    *first = *end = 0;
    if (clock >= every) {
        /* floor(i S / n) = k. */
        *first = (uint32_t)((k * n_pieces + every - 1) / every);
        *end = (uint32_t)(((k + 1) * n_pieces + every - 1) / every);
    }
}

static void skip_rounds(const struct train_exchange_options *o,
                        struct exchange_piece *p,
                        uint32_t piece)
{
    uint64_t offset = offset_of(o->n_pieces, o->every, piece);

    if (o->first_clock > offset) {
        p->skipped = (o->first_clock - offset - 1) / o->every;
    }
    p->round = p->skipped;
    p->settled = true;
    p->got = true;
}

int train_exchange_create(struct train_exchange **exchange,
                          const struct train_exchange_options *o,
                          struct err *e)
{
    struct train_exchange *x = calloc(1, sizeof *x);

    assert(o->kind > TRAIN_EXCHANGE_NONE && o->kind < TRAIN_EXCHANGE_KIND_END);
    assert(o->n_peers >= 2 && o->self < o->n_peers && o->every > 0);
    if (x != NULL) {
        x->floats = calloc(o->n_pieces + 1, sizeof *x->floats);
        x->pieces = calloc(o->n_pieces + 1, sizeof *x->pieces);
    }
    if (x == NULL || x->floats == NULL || x->pieces == NULL) {
        train_exchange_destroy(x);
        return err_set(e, ERR_NOMEM, "exchange of %u pieces", o->n_pieces);
    }
    x->o = *o;
    memcpy(x->floats, o->floats, o->n_pieces * sizeof *x->floats);
    x->o.floats = x->floats;
    x->shape = o->kind == TRAIN_EXCHANGE_STAR ? &train_exchange_star
                                              : &train_exchange_shift;
    x->due_ns = UINT64_MAX;
    for (uint32_t i = 0; i < o->n_pieces; i++) {
        skip_rounds(o, &x->pieces[i], i);
    }
    *exchange = x;
    return 0;
}

static void gather_free(struct exchange_gather *g, uint32_t n_peers)
{
    if (g == NULL) {
        return;
    }
    for (p2p_peer p = 0; p < n_peers; p++) {
        blob_unref(g->parts[p]);
    }
    blob_unref(g->result);
    free(g->parts);
    free(g->abstained);
    free(g);
}

void train_exchange_destroy(struct train_exchange *x)
{
    struct train_exchange_out out;

    if (x == NULL) {
        return;
    }
    while (train_exchange_next(x, &out)) {
        blob_unref(out.body);
    }
    for (uint32_t i = 0; x->pieces != NULL && i < x->o.n_pieces; i++) {
        struct exchange_piece *p = &x->pieces[i];
        blob_unref(p->part);
        blob_unref(p->result);
        blob_unref(p->early);
        gather_free(p->gather, x->o.n_peers);
    }
    free(x->pieces);
    free(x->floats);
    free(x->outs);
    free(x);
}

static size_t body_size(size_t n_floats)
{
    return TRAIN_EXCHANGE_HEAD_SIZE + n_floats * sizeof(float);
}

struct blob *train_exchange_body(size_t n)
{
    return blob_create(body_size(n));
}

float *train_exchange_floats(const struct blob *body)
{
    return (float *)(void *)(uintptr_t)(body->data + TRAIN_EXCHANGE_HEAD_SIZE);
}

static uint64_t checksum(const struct blob *body)
{
    return hash64_two(body->data, SAY_SIZE,
                      body->data + TRAIN_EXCHANGE_HEAD_SIZE,
                      body->size - TRAIN_EXCHANGE_HEAD_SIZE);
}

static void put_head(uint8_t *p, uint32_t piece, uint64_t round, uint32_t need)
{
    le_put_u32(p, piece);
    le_put_u32(p + 4, need);
    le_put_u64(p + 8, round);
}

void train_exchange_seal(struct blob *body, uint32_t piece, uint64_t round)
{
    put_head(body->data, piece, round, 0);
    le_put_u64(body->data + SAY_SIZE, checksum(body));
}

void train_exchange_send(struct train_exchange *x,
                         p2p_peer peer,
                         uint8_t type,
                         struct blob *body,
                         bool again)
{
    if (x->n_outs == x->outs_room) {
        size_t room = x->outs_room == 0 ? 64 : 2 * x->outs_room;
        struct train_exchange_out *outs = malloc(room * sizeof *outs);
        if (outs == NULL) {
            x->out_of_memory = true;
            return;
        }
        for (size_t i = 0; i < x->n_outs; i++) {
            outs[i] = x->outs[(x->outs_first + i) % x->outs_room];
        }
        free(x->outs);
        x->outs = outs;
        x->outs_first = 0;
        x->outs_room = room;
    }
    x->outs[(x->outs_first + x->n_outs++) % x->outs_room] =
        (struct train_exchange_out){
            .peer = peer, .type = type, .again = again, .body = blob_ref(body)};
}

void train_exchange_say(struct train_exchange *x,
                        p2p_peer peer,
                        uint8_t type,
                        uint32_t piece,
                        uint64_t round,
                        enum train_exchange_need need)
{
    struct blob *body = blob_create(SAY_SIZE);

    if (body == NULL) {
        x->out_of_memory = true;
        return;
    }
    log_trace(x->o.log, "tell peer %u: %u %d, piece %u, round %" PRIu64, peer,
              type, (int)need, piece, round);
    put_head(body->data, piece, round, need);
    train_exchange_send(x, peer, type, body, false);
    blob_unref(body);
}

bool train_exchange_next(struct train_exchange *x,
                         struct train_exchange_out *out)
{
    if (x->n_outs == 0) {
        return false;
    }
    *out = x->outs[x->outs_first];
    x->outs_first = (x->outs_first + 1) % x->outs_room;
    x->n_outs--;
    return true;
}

void train_exchange_drop_part(struct train_exchange *x, uint32_t piece)
{
    struct exchange_piece *p = &x->pieces[piece];

    if (p->settled && p->result == NULL && !x->shape->needed(p)) {
        blob_unref(p->part);
        p->part = NULL;
    }
}

void train_exchange_settle(struct train_exchange *x,
                           uint32_t piece,
                           struct blob *result)
{
    struct exchange_piece *p = &x->pieces[piece];

    assert(!p->settled && p->result == NULL);
    p->settled = true;
    if (result != NULL) {
        p->result = blob_ref(result);
        x->n_results++;
    } else {
        log_info(x->o.log, "round %" PRIu64 " of piece %u is given up",
                 p->round, piece);
    }
    train_exchange_drop_part(x, piece);
}

void train_exchange_wait(struct train_exchange *x,
                         struct exchange_wait *w,
                         uint64_t now_ns)
{
    *w = (struct exchange_wait){.since_ns = now_ns};
    if (now_ns + x->o.retry_ns < x->due_ns) {
        x->due_ns = now_ns + x->o.retry_ns;
    }
}

bool train_exchange_impatient(const struct train_exchange *x,
                              struct exchange_wait *w,
                              uint64_t now_ns,
                              uint64_t *due_ns)
{
    unsigned n = w->n_asked < DOUBLINGS_MAX ? w->n_asked : DOUBLINGS_MAX;
    bool over = now_ns - w->since_ns >= x->o.retry_ns << n;

    if (over) {
        w->since_ns = now_ns;
        w->n_asked++;
        n = w->n_asked < DOUBLINGS_MAX ? w->n_asked : DOUBLINGS_MAX;
    }
    if (w->since_ns + (x->o.retry_ns << n) < *due_ns) {
        *due_ns = w->since_ns + (x->o.retry_ns << n);
    }
    return over;
}

int train_exchange_begin(struct train_exchange *x,
                         uint32_t piece,
                         uint64_t clock,
                         struct blob *body,
                         uint64_t now_ns)
{
    struct exchange_piece *p = &x->pieces[piece];
    uint64_t round = clock / x->o.every;
    int rc;

    assert(piece < x->o.n_pieces && body->size == body_size(x->floats[piece]));
    assert(clock % x->o.every == offset_of(x->o.n_pieces, x->o.every, piece));
    assert(round == p->round + 1 && x->shape->over(p) && p->result == NULL);
    train_exchange_seal(body, piece, round);
    p->round = round;
    p->part = blob_ref(body);
    p->settled = false;
    p->got = false;
    train_exchange_wait(x, &p->wait, now_ns);
    rc = x->shape->begun(x, piece, now_ns);
    return x->out_of_memory ? ERR_NOMEM : rc;
}

/* The head of a message, and its size against it. */
static int read_event(const struct train_exchange *x,
                      uint8_t type,
                      struct exchange_event *ev,
                      struct err *e)
{
    const struct blob *body = ev->body;
    bool numbers = type == TRAIN_MSG_PART || type == TRAIN_MSG_RESULT;
    size_t size = body == NULL ? 0 : body->size;

    if (size < SAY_SIZE) {
        return err_set(e, ERR_INVALID, "exchange: %zu bytes", size);
    }
    ev->piece = le_u32(body->data);
    ev->need = le_u32(body->data + 4);
    ev->round = le_u64(body->data + 8);
    if (ev->piece >= x->o.n_pieces ||
        ev->need > (type == TRAIN_MSG_NEED ? TRAIN_NEED_GOT : 0) ||
        ev->round == 0 || ev->round > x->o.last_clock / x->o.every) {
        return err_set(e, ERR_INVALID, "exchange: piece %u, round %" PRIu64,
                       ev->piece, ev->round);
    }
    if (size != (numbers ? body_size(x->floats[ev->piece]) : SAY_SIZE)) {
        return err_set(e, ERR_INVALID, "exchange: piece %u in %zu bytes",
                       ev->piece, size);
    }
    if (numbers && le_u64(body->data + SAY_SIZE) != checksum(body)) {
        return err_set(e, ERR_INVALID, "exchange: piece %u: bad checksum",
                       ev->piece);
    }
    return 0;
}

static int dispatch(struct train_exchange *x,
                    uint8_t type,
                    const struct exchange_event *ev)
{
    switch (type) {
    case TRAIN_MSG_PART:
        return x->shape->on_part(x, ev);
    case TRAIN_MSG_RESULT:
        return x->shape->on_result(x, ev);
    case TRAIN_MSG_NEED:
        return x->shape->on_need(x, ev);
    case TRAIN_MSG_ABSTAIN:
        return x->shape->on_abstain(x, ev);
    case TRAIN_MSG_GOT:
        return x->shape->on_got(x, ev);
    default:
        return ERR_INVALID;
    }
}

int train_exchange_receive(struct train_exchange *x,
                           p2p_peer peer,
                           uint8_t type,
                           struct blob *body,
                           uint64_t now_ns,
                           struct err *e)
{
    struct exchange_event ev = {.peer = peer, .body = body, .now_ns = now_ns};
    int rc = read_event(x, type, &ev, e);

    if (rc != 0) {
        return rc;
    }
    rc = dispatch(x, type, &ev);
    if (rc == ERR_INVALID) {
        err_set(e, rc,
                "exchange: message of type %u about piece %u, which is"
                " not for us",
                type, ev.piece);
    }
    return x->out_of_memory ? ERR_NOMEM : rc;
}

int train_exchange_tick(struct train_exchange *x, uint64_t now_ns)
{
    if (now_ns < x->due_ns) {
        return 0;
    }
    x->due_ns = UINT64_MAX;
    for (uint32_t i = 0; i < x->o.n_pieces; i++) {
        uint64_t due = x->shape->ask(x, i, now_ns);
        x->due_ns = due < x->due_ns ? due : x->due_ns;
    }
    return x->out_of_memory ? ERR_NOMEM : 0;
}

uint64_t train_exchange_due_ns(const struct train_exchange *x)
{
    return x->due_ns;
}

bool train_exchange_open(const struct train_exchange *x, uint64_t clock)
{
    uint32_t first = 0, end = x->o.n_pieces;

    if (clock + 1 < x->o.last_clock) {
        train_exchange_due(x->o.n_pieces, x->o.every, clock + 1, &first, &end);
    }
    for (uint32_t i = first; i < end; i++) {
        if (!x->shape->over(&x->pieces[i])) {
            return false;
        }
    }
    return true;
}

bool train_exchange_take(struct train_exchange *x,
                         struct train_exchange_result *r)
{
    for (uint32_t i = 0; x->n_results > 0 && i < x->o.n_pieces; i++) {
        struct exchange_piece *p = &x->pieces[i];
        if (p->result == NULL) {
            continue;
        }
        *r = (struct train_exchange_result){.piece = i,
                                            .round = p->round,
                                            .part = blob_ref(p->part),
                                            .result = p->result};
        p->result = NULL;
        x->n_results--;
        train_exchange_drop_part(x, i);
        return true;
    }
    return false;
}

static size_t size_of(const struct blob *b)
{
    return b == NULL ? 0 : b->size;
}

size_t train_exchange_held(const struct train_exchange *x)
{
    size_t size = 0;

    for (uint32_t i = 0; i < x->o.n_pieces; i++) {
        const struct exchange_piece *p = &x->pieces[i];
        size += size_of(p->part) + size_of(p->result) + size_of(p->early);
        for (p2p_peer q = 0; p->gather != NULL && q < x->o.n_peers; q++) {
            size += size_of(p->gather->parts[q]);
        }
        size += p->gather == NULL ? 0 : size_of(p->gather->result);
    }
    return size;
}
