/* What engines tell one another: the types and bodies of messages.
 *
 *     BATCH    the records of one or more clocks of the sender, clocks
 *              ascending, for each clock one per matrix, in order
 *     WANT     u64 clock, u64 until, u32 origin: send the batches of origin of
 *              [clock, until) again
 *     DIGEST   u64 clock, u64 high, u64 low
 *     ACK      no body: the header's ack is all
 *     DONE     no body: I have everything and am through
 *     STOP     u64 clock, u32 code (negated), text: why I stop
 *     HELD     as BATCH, but of another peer than the sender, all records of
 *              the same
 *
 *     PART, RESULT, NEED, ABSTAIN, GOT: see train/exchange.h
 *
 * Integers are little-endian. The ack of every message says in its low 53 bits
 * the clock below which the sender has all batches of the receiver that ever
 * come to it, and in the others, under adaptive staleness, the sender's pace
 * (train/spread.h).
 */

#ifndef TRAIN_MSG_H_
#define TRAIN_MSG_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/blob.h"
#include "core/err.h"
#include "core/hash.h"
#include "p2p/mesh.h"
#include "train/spread.h"

enum train_msg_type {
    TRAIN_MSG_BATCH = MESH_USER,
    TRAIN_MSG_WANT,
    TRAIN_MSG_DIGEST,
    TRAIN_MSG_ACK,
    TRAIN_MSG_DONE,
    TRAIN_MSG_STOP,
    TRAIN_MSG_HELD,
    /* Of train/exchange.h, which reads and writes their bodies. */
    TRAIN_MSG_PART = MESH_USER + 32,
    TRAIN_MSG_RESULT,
    TRAIN_MSG_NEED,
    TRAIN_MSG_ABSTAIN,
    TRAIN_MSG_GOT,
    /* Of train/reduce.h. */
    TRAIN_MSG_ADDEND = MESH_USER + 48, /* A part of a sum, or the sum, and */
    TRAIN_MSG_CAME                     /* that one has come. */
};

#define TRAIN_MSG_CLOCK_BITS (64 - SPREAD_PACE_BITS) /* 53. */

static inline uint64_t train_msg_ack(uint64_t clock, unsigned pace)
{
    return clock | (uint64_t)pace << TRAIN_MSG_CLOCK_BITS;
}

static inline uint64_t train_msg_ack_clock(uint64_t ack)
{
    return ack & (((uint64_t)1 << TRAIN_MSG_CLOCK_BITS) - 1);
}

static inline unsigned train_msg_ack_pace(uint64_t ack)
{
    return (unsigned)(ack >> TRAIN_MSG_CLOCK_BITS);
}

/* What a body says; which fields count depends on the type. */
struct train_msg {
    uint64_t clock;        /* Of a BATCH or HELD: the first. */
    uint64_t until;        /* WANT. */
    uint32_t origin;       /* WANT, HELD: of the batches. */
    struct hash128 digest; /* DIGEST. */
    int reason;            /* STOP: a code of core/err.h. */
    char why[256];         /* STOP. */
};

/* The body of a WANT, DIGEST or STOP. NULL: no memory. */
struct blob *train_msg_encode(enum train_msg_type type,
                              const struct train_msg *m);

/* Read the body of any message; @origin, who sent it, and @n_matrices say what
 * a BATCH must hold, and a HELD not; the checksums of its records are checked.
 *
 * Errors: ERR_CORRUPT  the body is not what its type demands. */
int train_msg_decode(struct train_msg *m,
                     uint8_t type,
                     const struct blob *body,
                     uint32_t origin,
                     size_t n_matrices,
                     struct err *e);

/* Walk through the clocks of a BATCH or HELD that train_msg_decode() has found
 * good. *at is 0 at first, and where the next clock begins afterwards; *size is
 * what this one has. False behind the last. */
bool train_msg_next_clock(const struct blob *body,
                          size_t n_matrices,
                          size_t *at,
                          size_t *size,
                          uint64_t *clock);

#endif /* TRAIN_MSG_H_ */
