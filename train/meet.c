#include "train/meet.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/buf.h"
#include "p2p/ofi.h"
#include "p2p/rendezvous.h"

#define NOTE_SIZE 24

static void note_write(uint8_t *at, const struct train_note *n)
{
    le_put_u64(at, n->fingerprint);
    le_put_u64(at + 8, n->run);
    le_put_u64(at + 16, n->clocks);
}

/* Does @card come for the job that @note is about? */
static int check_note(const struct rendezvous_card *card,
                      uint32_t rank,
                      const struct train_note *note,
                      uint64_t *clocks,
                      struct err *e)
{
    uint64_t there;

    if (card->note_size != NOTE_SIZE) {
        return err_set(e, ERR_INVALID, "peer %u runs another version of lyre",
                       rank);
    }
    if (le_u64(card->note + 8) != note->run) {
        return err_set(e, ERR_INVALID,
                       "peer %u comes for another job: is its --run right, and"
                       " do all peers train, or all resume?",
                       rank);
    }
    if (le_u64(card->note) != note->fingerprint) {
        return err_set(e, ERR_INVALID,
                       "peer %u has other data or other settings: all peers"
                       " need the same files and options",
                       rank);
    }
    there = le_u64(card->note + 16);
    *clocks = there < *clocks ? there : *clocks;
    return 0;
}

static int exchange(struct p2p_transport *t,
                    const struct train_meet_options *o,
                    const struct train_note *note,
                    struct rendezvous_card *cards,
                    uint64_t *session,
                    struct err *e)
{
    struct rendezvous_options ro = {.url = o->rendezvous,
                                    .self = o->rank,
                                    .n_peers = o->n_peers,
                                    .timeout_ns = o->timeout_ns,
                                    .log = o->log,
                                    .stop = o->interrupted};
    struct rendezvous_card *own = &cards[o->n_peers];
    int rc = p2p_ofi_address(t, own->address, sizeof own->address,
                             &own->address_size, e);

    if (rc != 0) {
        return rc;
    }
    own->note_size = NOTE_SIZE;
    note_write(own->note, note);
    return rendezvous_meet(&ro, own, cards, session, e);
}

static int connect_all(struct p2p_transport *t,
                       const struct train_meet_options *o,
                       const struct rendezvous_card *cards,
                       uint64_t session,
                       struct err *e)
{
    struct p2p_ofi_peer *peers = calloc(o->n_peers, sizeof *peers);
    int rc;

    if (peers == NULL) {
        return err_set(e, ERR_NOMEM, "addresses of %u peers", o->n_peers);
    }
    for (uint32_t p = 0; p < o->n_peers; p++) {
        peers[p].address = cards[p].address;
        peers[p].address_size = cards[p].address_size;
    }
    rc = p2p_ofi_connect(t, session, o->rank, peers, o->n_peers, e);
    free(peers);
    return rc;
}

int train_meet(struct p2p_transport **t,
               const struct train_meet_options *o,
               const struct train_note *note,
               uint64_t *session,
               uint64_t *clocks,
               struct err *e)
{
    char local[64] = "";
    struct p2p_ofi_options oo = {
        .provider = o->provider, .node = o->node, .log = o->log};
    struct rendezvous_card *cards = NULL;
    int rc = 0;

    *t = NULL;
    if (o->node == NULL) {
        rc = rendezvous_local_address(o->rendezvous, local, e);
        oo.node = local;
    }
    rc = rc != 0 ? rc : p2p_ofi_open(t, &oo, e);
    if (rc != 0) {
        return rc;
    }
    cards = calloc(o->n_peers + 1, sizeof *cards);
    rc = cards == NULL ? err_set(e, ERR_NOMEM, "cards of %u peers", o->n_peers)
                       : exchange(*t, o, note, cards, session, e);
    *clocks = note->clocks;
    for (uint32_t p = 0; rc == 0 && p < o->n_peers; p++) {
        rc = check_note(&cards[p], p, note, clocks, e);
    }
    rc = rc != 0 ? rc : connect_all(*t, o, cards, *session, e);
    free(cards);
    if (rc != 0) {
        (*t)->ops->close(*t);
        *t = NULL;
    }
    return rc;
}
