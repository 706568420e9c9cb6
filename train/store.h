/* The batches that a peer holds, by origin and clock.
 *
 * Of each origin those of any TRAIN_WINDOW clocks in a row fit. Memory grows
 * with what was held of an origin at one time, and is not given back before the
 * end: with a thousand peers most hold a few clocks of each other.
 */

#ifndef TRAIN_STORE_H_
#define TRAIN_STORE_H_

#include "core/blob.h"
#include "p2p/transport.h"

struct train_store_row;

struct train_store {
    uint32_t n_peers;
    struct train_store_row *rows; /* (n_peers) */
};

/* Errors: ERR_NOMEM; @s needs fini all the same. */
int train_store_init(struct train_store *s, uint32_t n_peers, struct err *e);
void train_store_fini(struct train_store *s);

/* The batch, or NULL. Owner: the store. */
struct blob *
train_store_get(const struct train_store *s, p2p_peer peer, uint64_t clock);

/* Hold @b. Owner: the store takes the caller's reference, but for errors.
 *
 * Errors: ERR_NOMEM    no room.
 *         ERR_INVALID  that clock is held already, or one TRAIN_WINDOW or a
 *                      multiple of it away is. */
int train_store_put(struct train_store *s,
                    p2p_peer peer,
                    uint64_t clock,
                    struct blob *b);

/* Let go of it, if it is held. */
void train_store_drop(struct train_store *s, p2p_peer peer, uint64_t clock);

#endif /* TRAIN_STORE_H_ */
