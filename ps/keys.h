/* Lists of keys that were sent before: a hash says which.
 *
 * A worker that pushes the same sparse keys again and again sends the hash of
 * the list once the receiver has it. The receiver may forget any list at any
 * time; it then says so, and gets the whole list. Both sides are tables with a
 * fixed number of places, where a new entry drives out the one that has its
 * place.
 */

#ifndef PS_KEYS_H_
#define PS_KEYS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "p2p/transport.h"

#define PS_KEYS_PLACES 1024
#define PS_KEYS_MAX    ((size_t)1 << 22) /* Keys in all lists. */

struct ps_keys_list {
    uint64_t hash;
    uint32_t n; /* 0: free. */
    uint32_t *index;
};

/* The receiver's side. */
struct ps_keys {
    struct ps_keys_list lists[PS_KEYS_PLACES];
    size_t n_keys; /* Of all lists. */
    size_t next;   /* Where to make room next. */
};

/* The sender's side. */
struct ps_keys_sent {
    struct {
        uint64_t hash;
        p2p_peer peer;
        bool used;
    } entries[PS_KEYS_PLACES];
};

void ps_keys_init(struct ps_keys *k);
void ps_keys_fini(struct ps_keys *k);

/* The list, or NULL. Owned by @k, valid until the next put. */
const uint32_t *ps_keys_get(const struct ps_keys *k, uint64_t hash, uint32_t n);

/* Remember a copy; without memory, or where it is too long, do not. */
void ps_keys_put(struct ps_keys *k,
                 uint64_t hash,
                 const uint32_t *index,
                 uint32_t n);

/* Whether @peer has got the list; that it has, and that it has not. */
bool ps_keys_sent_has(const struct ps_keys_sent *s, p2p_peer peer, uint64_t h);
void ps_keys_sent_put(struct ps_keys_sent *s, p2p_peer peer, uint64_t h);
void ps_keys_sent_drop(struct ps_keys_sent *s, p2p_peer peer, uint64_t h);

#endif /* PS_KEYS_H_ */
