/* Rounds in which replicas are brought nearer to one another, piece by piece:
 * the engine, without I/O.
 *
 * A replica is cut into n pieces (train/pieces.h). Every S clocks each piece
 * has a round of its own: round r = 1, 2, ... of piece i begins at a peer when
 * it is in W_c with
 *
 *     c = r S + floor(i S / n)
 *
 * so the rounds of all pieces are spread evenly over the clocks, and go on
 * while peers compute. The peer hands in its part, the piece as it is in W_c;
 * some time later there is a result:
 *
 *     star    the mean of all peers' parts: they go to the owner of the piece,
 *             peer (i + r) mod P, which adds them in rank order, divides once
 *             by how many there are, and sends the result to all
 *     shift   the part of peer p-1: that of p goes to p+1
 *
 * What is then to be added to the replica is the result minus the own part, so
 * what was applied meanwhile is kept.
 *
 * Round r + 1 of a piece does not begin before round r is over: the gate of the
 * clock before it waits, and so does that of the last clock for all rounds. So
 * a peer holds no more than its own part of each piece, a part that came before
 * its time (shift), and, where it is the owner, P parts while they are gathered
 * and the result until the next one is there: n / P pieces at a time. Nobody
 * waits for a peer that is behind it, but for what that peer has begun.
 *
 * What gets lost is asked for by whoever waits for it, when its patience is
 * over. A peer that is asked for a part that it has not begun says nothing: it
 * will send it. One that is past the round without it (a process that began at
 * a later clock) abstains: the mean is then that of the others, and the round
 * is given up where it was to give the result.
 *
 * Bodies of the messages (types in train/msg.h), little-endian:
 *
 *     offset  size  field
 *          0     4  piece
 *          4     4  NEED: what is asked for, enum train_exchange_need; else 0
 *          8     8  round
 *         16     8  PART, RESULT: XXH3-64 of bytes 0..15 and of the numbers
 *         24     -  PART, RESULT: the numbers of the piece, f32
 *
 * They are used where they lie, so machines must be little-endian.
 */

#ifndef TRAIN_EXCHANGE_H_
#define TRAIN_EXCHANGE_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/blob.h"
#include "core/err.h"
#include "core/log.h"
#include "p2p/transport.h"

#define TRAIN_EXCHANGE_HEAD_SIZE 24

enum train_exchange_kind {
    TRAIN_EXCHANGE_NONE, /* There is no engine. */
    TRAIN_EXCHANGE_STAR,
    TRAIN_EXCHANGE_SHIFT,
    TRAIN_EXCHANGE_KIND_END
};

enum train_exchange_need {
    TRAIN_NEED_PART,
    TRAIN_NEED_RESULT,
    TRAIN_NEED_GOT /* Have you got my part? */
};

struct train_exchange_options {
    enum train_exchange_kind kind;
    p2p_peer self;
    uint32_t n_peers;     /* From 2. */
    uint32_t every;       /* S, clocks, from 1. */
    uint64_t first_clock; /* Rounds that begin below it are skipped. */
    uint64_t last_clock;  /* Those that would begin at it, or later, are not. */
    uint32_t n_pieces;
    const uint32_t *floats; /* (n_pieces) numbers of each. Copied. */
    uint64_t retry_ns;      /* Patience; doubles while asking brings nothing. */
    struct log *log;
};

struct train_exchange;

/* Errors: ERR_NOMEM. */
int train_exchange_create(struct train_exchange **x,
                          const struct train_exchange_options *o,
                          struct err *e);
void train_exchange_destroy(struct train_exchange *x);

/* The pieces [*first, *end) whose rounds begin at @clock, of n_pieces and one
 * round every @every clocks. */
void train_exchange_due(uint32_t n_pieces,
                        uint32_t every,
                        uint64_t clock,
                        uint32_t *first,
                        uint32_t *end);

/* The body of a part, for @n numbers that the caller writes, and where they
 * are. NULL: no memory. */
struct blob *train_exchange_body(size_t n);
float *train_exchange_floats(const struct blob *body);

/* Hand in the own part of @piece, due at @clock; the gate of the clock before
 * was open. The engine writes its head. Owner: it takes its own reference.
 * Errors: ERR_NOMEM. */
int train_exchange_begin(struct train_exchange *x,
                         uint32_t piece,
                         uint64_t clock,
                         struct blob *body,
                         uint64_t now_ns);

/* A message has come.
 *
 * Owner:  the engine takes its own reference.
 * Errors: ERR_INVALID  not a message that can be: drop it. *e says why.
 *         ERR_NOMEM */
int train_exchange_receive(struct train_exchange *x,
                           p2p_peer peer,
                           uint8_t type,
                           struct blob *body,
                           uint64_t now_ns,
                           struct err *e);

/* Time has passed. Errors: ERR_NOMEM. */
int train_exchange_tick(struct train_exchange *x, uint64_t now_ns);

/* When the next tick makes a difference, or earlier. UINT64_MAX: never. */
uint64_t train_exchange_due_ns(const struct train_exchange *x);

/* Take the next message that is to be sent. */
struct train_exchange_out {
    p2p_peer peer;
    uint8_t type;      /* enum train_msg_type. */
    bool again;        /* Not needed if what was sent before is still queued. */
    struct blob *body; /* One reference. */
};
bool train_exchange_next(struct train_exchange *x,
                         struct train_exchange_out *out);

/* Whether the gate of @clock may open: all is over that has to be. */
bool train_exchange_open(const struct train_exchange *x, uint64_t clock);

/* Take the next result. Each blob is a new reference, a body as above. */
struct train_exchange_result {
    uint32_t piece;
    uint64_t round;
    struct blob *part; /* Our own. */
    struct blob *result;
};
bool train_exchange_take(struct train_exchange *x,
                         struct train_exchange_result *r);

/* Bytes of parts and results that are held, but for messages not yet taken. */
size_t train_exchange_held(const struct train_exchange *x);

#endif /* TRAIN_EXCHANGE_H_ */
