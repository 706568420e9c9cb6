#include "train/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "train/window.h"

#define ROOM_MIN 4 /* Slots of an origin at first. */

struct slot {
    uint64_t clock;
    struct blob *blob; /* NULL: free. */
};

/* What is held of an origin: clock c is in slot c mod room. */
struct train_store_row {
    struct slot *slots;
    uint32_t room; /* 0, or a power of two from ROOM_MIN to TRAIN_WINDOW. */
};

int train_store_init(struct train_store *s, uint32_t n_peers, struct err *e)
{
    s->n_peers = n_peers;
    s->rows = calloc(n_peers, sizeof *s->rows);
    return s->rows != NULL
               ? 0
               : err_set(e, ERR_NOMEM, "batches of %u peers", n_peers);
}

void train_store_fini(struct train_store *s)
{
    for (p2p_peer p = 0; s->rows != NULL && p < s->n_peers; p++) {
        for (uint32_t i = 0; i < s->rows[p].room; i++) {
            blob_unref(s->rows[p].slots[i].blob);
        }
        free(s->rows[p].slots);
    }
    free(s->rows);
    memset(s, 0, sizeof *s);
}

static struct slot *slot_of(const struct train_store_row *r, uint64_t clock)
{
    return &r->slots[clock % r->room];
}

struct blob *
train_store_get(const struct train_store *s, p2p_peer peer, uint64_t clock)
{
    const struct train_store_row *r = &s->rows[peer];
    const struct slot *at;

    assert(peer < s->n_peers);
    if (r->room == 0) {
        return NULL;
    }
    at = slot_of(r, clock);
    return at->clock == clock ? at->blob : NULL;
}

/* Twice the room. What did not collide does not collide then. */
static int grow(struct train_store_row *r)
{
    struct train_store_row more = {.room =
                                       r->room == 0 ? ROOM_MIN : 2 * r->room};

    more.slots = calloc(more.room, sizeof *more.slots);
    if (more.slots == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < r->room; i++) {
        if (r->slots[i].blob != NULL) {
            *slot_of(&more, r->slots[i].clock) = r->slots[i];
        }
    }
    free(r->slots);
    *r = more;
    return 0;
}

int train_store_put(struct train_store *s,
                    p2p_peer peer,
                    uint64_t clock,
                    struct blob *b)
{
    struct train_store_row *r = &s->rows[peer];
    struct slot *at;

    assert(peer < s->n_peers);
    while (r->room == 0 || slot_of(r, clock)->blob != NULL) {
        if (r->room == TRAIN_WINDOW ||
            (r->room > 0 && slot_of(r, clock)->clock == clock)) {
            return ERR_INVALID;
        }
        if (grow(r) != 0) {
            return ERR_NOMEM;
        }
    }
    at = slot_of(r, clock);
    at->clock = clock;
    at->blob = b;
    return 0;
}

void train_store_drop(struct train_store *s, p2p_peer peer, uint64_t clock)
{
    struct blob *b = train_store_get(s, peer, clock);

    if (b != NULL) {
        slot_of(&s->rows[peer], clock)->blob = NULL;
        blob_unref(b);
    }
}
