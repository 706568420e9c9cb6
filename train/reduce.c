#include "train/reduce.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"

#define HEAD_SIZE TRAIN_REDUCE_HEAD_SIZE

struct head {
    uint64_t round;
    uint32_t piece;
    uint32_t whose;
};

/* A message that has come, or has come too early. */
struct message {
    struct head head;
    p2p_peer peer;
    struct blob *body;
};

struct piece {
    bool begun;
    struct blob *own;    /* Until it is in a sum. */
    struct blob *came;   /* Ring: the partial sum that it is added to. */
    struct blob **parts; /* Star, at the owner: (n_peers), those to be added. */
    p2p_peer n_added;    /* Star: ranks below this are in came. */
    bool summed;
    struct blob *sum; /* Until it is taken. */
};

struct train_reduce {
    struct train_reduce_options o;
    bool open;
    uint64_t round;
    uint32_t n_pieces;
    struct piece *pieces;  /* (pieces_max). */
    uint32_t *summed;      /* (pieces_max) in the order they came. */
    uint32_t n_summed;     /* Of the round, */
    uint32_t n_taken;      /* of those. */
    struct message *early; /* Of the round that comes next. */
    size_t n_early, early_room;
    struct train_mail mail;
};

static bool read_head(struct head *h, const struct blob *body)
{
    if (body == NULL || body->size < HEAD_SIZE) {
        return false;
    }
    h->round = le_u64(body->data);
    h->piece = le_u32(body->data + 8);
    h->whose = le_u32(body->data + 12);
    return true;
}

static void write_head(struct blob *body, const struct head *h)
{
    le_put_u64(body->data, h->round);
    le_put_u32(body->data + 8, h->piece);
    le_put_u32(body->data + 12, h->whose);
}

static bool same_head(const struct head *a, const struct head *b)
{
    return a->round == b->round && a->piece == b->piece && a->whose == b->whose;
}

static void drop_early(struct train_reduce *r, size_t i)
{
    blob_unref(r->early[i].body);
    r->early[i] = r->early[--r->n_early];
}

int train_reduce_create(struct train_reduce **reduce,
                        const struct train_reduce_options *o,
                        struct err *e)
{
    struct train_reduce *r = calloc(1, sizeof *r);

    assert(o->self < o->n_peers && o->pieces_max > 0);
    if (r != NULL) {
        r->o = *o;
        train_mail_init(&r->mail, o->retry_ns);
        r->pieces = calloc(o->pieces_max, sizeof *r->pieces);
        r->summed = calloc(o->pieces_max, sizeof *r->summed);
    }
    if (r == NULL || r->pieces == NULL || r->summed == NULL) {
        train_reduce_destroy(r);
        return err_set(e, ERR_NOMEM, "sums of %u pieces", o->pieces_max);
    }
    *reduce = r;
    return 0;
}

static void piece_fini(const struct train_reduce *r, struct piece *p)
{
    for (p2p_peer q = 0; p->parts != NULL && q < r->o.n_peers; q++) {
        blob_unref(p->parts[q]);
    }
    free(p->parts);
    blob_unref(p->own);
    blob_unref(p->came);
    blob_unref(p->sum);
    memset(p, 0, sizeof *p);
}

void train_reduce_destroy(struct train_reduce *r)
{
    if (r == NULL) {
        return;
    }
    for (uint32_t i = 0; r->pieces != NULL && i < r->o.pieces_max; i++) {
        piece_fini(r, &r->pieces[i]);
    }
    while (r->n_early > 0) {
        drop_early(r, 0);
    }
    train_mail_fini(&r->mail);
    free(r->early);
    free(r->pieces);
    free(r->summed);
    free(r);
}

/* Where a piece begins in a ring, and who adds it in a star. */
static p2p_peer first_of(const struct train_reduce *r, uint32_t piece)
{
    return piece % r->o.n_peers;
}

/* How many peers of the ring come before this one. */
static p2p_peer place_of(const struct train_reduce *r, uint32_t piece)
{
    return (r->o.self + r->o.n_peers - first_of(r, piece)) % r->o.n_peers;
}

static p2p_peer after(const struct train_reduce *r, p2p_peer p)
{
    return (p + 1) % r->o.n_peers;
}

/* The sum of @piece is there: body is our reference. */
static int set_sum(struct train_reduce *r,
                   uint32_t piece,
                   struct blob *body,
                   uint64_t now_ns,
                   struct err *e)
{
    p2p_peer P = r->o.n_peers, self = r->o.self, place = place_of(r, piece);
    bool ring = r->o.kind == TRAIN_REDUCE_RING;
    int rc = 0;

    r->pieces[piece].summed = true;
    r->pieces[piece].sum = body;
    r->summed[r->n_summed++] = piece;
    if (ring && P > 1 && place != P - 2) {
        return train_mail_send(&r->mail, after(r, self), body, now_ns, e);
    }
    for (p2p_peer p = 1; rc == 0 && !ring && place == 0 && p < P; p++) {
        rc = train_mail_send(&r->mail, (self + p) % P, body, now_ns, e);
    }
    return rc;
}

/* *into, a body, plus @b: a new body in its place with the head of @h. */
static int add(struct train_reduce *r,
               struct blob **into,
               const struct blob *b,
               const struct head *h,
               struct err *e)
{
    struct train_reduce_part x = {(*into)->data + HEAD_SIZE,
                                  (*into)->size - HEAD_SIZE};
    struct train_reduce_part y = {b->data + HEAD_SIZE, b->size - HEAD_SIZE};
    struct blob *sum = NULL;
    int rc = r->o.add(r->o.arg, x, y, HEAD_SIZE, &sum, e);

    if (rc != 0) {
        return err_wrap(e, rc, "piece %u of round %" PRIu64, h->piece,
                        h->round);
    }
    write_head(sum, h);
    blob_unref(*into);
    *into = sum;
    return 0;
}

/* Go on with a piece of the ring, if what it takes is there. */
static int
go_on_ring(struct train_reduce *r, uint32_t i, uint64_t now_ns, struct err *e)
{
    struct piece *p = &r->pieces[i];
    p2p_peer place = place_of(r, i), P = r->o.n_peers;
    struct head h = {r->round, i, place == P - 1 ? P : r->o.self};
    struct blob *body = p->own;
    int rc;

    if (p->own == NULL || (place > 0 && p->came == NULL)) {
        return 0;
    }
    p->own = NULL;
    if (place > 0) {
        rc = add(r, &p->came, body, &h, e);
        blob_unref(body);
        if (rc != 0) {
            return rc;
        }
        body = p->came;
        p->came = NULL;
    } else {
        write_head(body, &h);
    }
    if (place == P - 1) {
        return set_sum(r, i, body, now_ns, e);
    }
    rc = train_mail_send(&r->mail, after(r, r->o.self), body, now_ns, e);
    blob_unref(body);
    return rc;
}

/* The same at the owner of a star: add what is next in rank order. */
static int
go_on_star(struct train_reduce *r, uint32_t i, uint64_t now_ns, struct err *e)
{
    struct piece *p = &r->pieces[i];
    struct head h = {r->round, i, r->o.n_peers};
    struct blob *body;

    while (p->parts != NULL && p->n_added < r->o.n_peers &&
           p->parts[p->n_added] != NULL) {
        struct blob *part = p->parts[p->n_added];
        int rc = 0;
        if (p->n_added == 0) {
            p->came = blob_copy(part->data, part->size);
            rc = p->came == NULL ? err_set(e, ERR_NOMEM, "sum of a piece") : 0;
        } else {
            rc = add(r, &p->came, part, &h, e);
        }
        if (rc != 0) {
            return rc;
        }
        blob_unref(part);
        p->parts[p->n_added++] = NULL;
    }
    if (p->n_added < r->o.n_peers || p->came == NULL) {
        return 0;
    }
    body = p->came;
    p->came = NULL;
    write_head(body, &h);
    return set_sum(r, i, body, now_ns, e);
}

static struct blob **
star_part(struct train_reduce *r, uint32_t piece, p2p_peer peer, struct err *e)
{
    struct piece *p = &r->pieces[piece];

    if (p->parts == NULL) {
        p->parts = calloc(r->o.n_peers, sizeof(struct blob *));
        if (p->parts == NULL) {
            err_set(e, ERR_NOMEM, "parts of %u peers", r->o.n_peers);
            return NULL;
        }
    }
    return &p->parts[peer];
}

int train_reduce_begin(struct train_reduce *r,
                       uint32_t piece,
                       struct blob *part,
                       uint64_t now_ns,
                       struct err *e)
{
    struct head h = {r->round, piece, r->o.self};
    struct blob **at;
    int rc;

    assert(r->open && piece < r->n_pieces && !r->pieces[piece].begun);
    assert(part->size >= HEAD_SIZE && part->size - HEAD_SIZE <= r->o.part_max);
    write_head(part, &h);
    r->pieces[piece].begun = true;
    if (r->o.kind == TRAIN_REDUCE_RING) {
        r->pieces[piece].own = part;
        return go_on_ring(r, piece, now_ns, e);
    }
    if (first_of(r, piece) != r->o.self) {
        rc = train_mail_send(&r->mail, first_of(r, piece), part, now_ns, e);
        blob_unref(part);
        return rc;
    }
    at = star_part(r, piece, r->o.self, e);
    if (at == NULL) {
        blob_unref(part);
        return ERR_NOMEM;
    }
    *at = part;
    return go_on_star(r, piece, now_ns, e);
}

/* Whether @peer sends such a message to us at all. */
static bool
possible(const struct train_reduce *r, p2p_peer peer, const struct head *h)
{
    p2p_peer P = r->o.n_peers, first, place;
    bool sum = h->whose == P;

    if (h->piece >= r->o.pieces_max || peer == r->o.self ||
        (!sum && h->whose != peer)) {
        return false;
    }
    first = first_of(r, h->piece);
    place = place_of(r, h->piece);
    if (r->o.kind == TRAIN_REDUCE_STAR) {
        return sum ? peer == first : r->o.self == first;
    }
    return after(r, peer) == r->o.self && (sum ? place != P - 1 : place != 0);
}

/* A message of the open round, that can be. @used: it is kept or done with,
 * and was not here before. */
static int take_in(struct train_reduce *r,
                   const struct message *m,
                   uint64_t now_ns,
                   struct err *e)
{
    struct piece *p;
    struct blob **at;

    if (m->head.piece >= r->n_pieces) {
        return ERR_INVALID;
    }
    p = &r->pieces[m->head.piece];
    if (m->head.whose == r->o.n_peers) {
        return p->summed
                   ? 0
                   : set_sum(r, m->head.piece, blob_ref(m->body), now_ns, e);
    }
    if (r->o.kind == TRAIN_REDUCE_RING) {
        if (p->came == NULL && (p->own != NULL || !p->begun)) {
            p->came = blob_ref(m->body);
        }
        return go_on_ring(r, m->head.piece, now_ns, e);
    }
    at = star_part(r, m->head.piece, m->peer, e);
    if (at == NULL) {
        return ERR_NOMEM;
    }
    if (*at == NULL && m->peer >= p->n_added) {
        *at = blob_ref(m->body);
    }
    return go_on_star(r, m->head.piece, now_ns, e);
}

int train_reduce_open(struct train_reduce *r,
                      uint64_t round,
                      uint32_t n_pieces,
                      uint64_t now_ns,
                      struct err *e)
{
    int rc = 0;

    assert(n_pieces <= r->o.pieces_max && train_reduce_left(r) == 0);
    assert(!r->open || round > r->round);
    for (uint32_t i = 0; i < r->n_pieces; i++) {
        piece_fini(r, &r->pieces[i]);
    }
    r->open = true;
    r->round = round;
    r->n_pieces = n_pieces;
    r->n_summed = r->n_taken = 0;
    for (size_t i = 0; rc == 0 && i < r->n_early;) {
        struct message m = r->early[i];
        if (m.head.round > round) {
            i++;
            continue;
        }
        if (m.head.round == round) {
            rc = take_in(r, &m, now_ns, e);
            if (rc == ERR_INVALID) {
                rc = err_set(e, ERR_CORRUPT,
                             "peer %u has sent piece %u of round %" PRIu64
                             ", which has %u",
                             m.peer, m.head.piece, round, n_pieces);
            }
        }
        drop_early(r, i);
    }
    return rc;
}

static int
keep_early(struct train_reduce *r, const struct message *m, struct err *e)
{
    size_t most = ((size_t)r->o.n_peers + 1) * r->o.pieces_max;

    for (size_t i = 0; i < r->n_early; i++) {
        if (r->early[i].peer == m->peer &&
            same_head(&r->early[i].head, &m->head)) {
            return 0;
        }
    }
    if (r->n_early == most) {
        return ERR_INVALID;
    }
    if (r->n_early == r->early_room) {
        size_t room = r->early_room == 0 ? 16 : 2 * r->early_room;
        void *p = realloc(r->early, room * sizeof *r->early);
        if (p == NULL) {
            return err_set(e, ERR_NOMEM, "%zu early messages", room);
        }
        r->early = p;
        r->early_room = room;
    }
    r->early[r->n_early++] = *m;
    blob_ref(m->body);
    return 0;
}

int train_reduce_receive(struct train_reduce *r,
                         p2p_peer peer,
                         struct blob *body,
                         uint64_t now_ns,
                         struct err *e)
{
    struct message m = {.peer = peer, .body = body};
    int rc = 0;

    if (!read_head(&m.head, body) || body->size - HEAD_SIZE > r->o.part_max ||
        !possible(r, peer, &m.head)) {
        return err_set(e, ERR_INVALID, "not a part of a sum");
    }
    if (!r->open || m.head.round > r->round) {
        rc = keep_early(r, &m, e);
    } else if (m.head.round == r->round) {
        rc = take_in(r, &m, now_ns, e);
    }
    if (rc == ERR_INVALID) {
        return err_set(e, rc, "piece %u of round %" PRIu64 " cannot be",
                       m.head.piece, m.head.round);
    }
    return rc != 0 ? rc : train_mail_answer(&r->mail, peer, body, e);
}

struct train_mail *train_reduce_mail(struct train_reduce *r)
{
    return &r->mail;
}

bool train_reduce_take(struct train_reduce *r,
                       uint32_t *piece,
                       struct blob **sum)
{
    if (r->n_taken == r->n_summed) {
        return false;
    }
    *piece = r->summed[r->n_taken++];
    *sum = r->pieces[*piece].sum;
    r->pieces[*piece].sum = NULL;
    return true;
}

bool train_reduce_ready(const struct train_reduce *r)
{
    return r->n_taken < r->n_summed;
}

uint32_t train_reduce_left(const struct train_reduce *r)
{
    return r->n_pieces - r->n_taken;
}
