/* Batches of others that were applied, kept for a while.
 *
 * A batch that does not come is asked for again: from its origin, or from
 * somebody who must have had it (train_delivery_holder()). So everybody keeps
 * what it has applied: of the last TRAIN_HELD_CLOCKS clocks, and no more than a
 * given number of bytes, the latest ones. What is older is asked for in vain
 * here, and its origin has it still.
 */

#ifndef TRAIN_HELD_H_
#define TRAIN_HELD_H_

#include <stddef.h>
#include <stdint.h>

#include "core/blob.h"
#include "p2p/transport.h"

#define TRAIN_HELD_CLOCKS 64
#define TRAIN_HELD_BYTES  ((size_t)64 << 20)

struct train_held_item {
    p2p_peer origin;
    uint64_t clock;
    struct blob *blob; /* One reference. */
};

/* A queue, oldest first. All zeros but for bytes_max is an empty one. */
struct train_held {
    size_t bytes_max; /* 0: keep nothing. */
    size_t bytes;
    struct train_held_item *items; /* (room), from first on, round. */
    size_t first, count, room;
};

void train_held_fini(struct train_held *h);

/* Keep a batch that was applied. The bounds hold afterwards: what was put first
 * goes first, this one too where it alone is too large. Without memory it is
 * not kept. Owner: takes its own reference. */
void train_held_put(struct train_held *h,
                    p2p_peer origin,
                    uint64_t clock,
                    struct blob *blob);

/* A new reference, or NULL. Cost: a look at each that is held. */
struct blob *
train_held_get(const struct train_held *h, p2p_peer origin, uint64_t clock);

#endif /* TRAIN_HELD_H_ */
