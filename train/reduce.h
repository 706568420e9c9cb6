/* Sums over all peers, of data too big for one message: the engine, without
 * I/O.
 *
 * Peers go through rounds together. In each, every peer has one part of each of
 * n pieces; what comes back is the sum of all parts, the same bytes for all.
 * What a part is, and what adding means, is the caller's: options.add.
 *
 *     ring   piece i begins at peer s = i mod P. A partial sum goes from s to
 *            s+1, ..., s+P-1, and each adds its part; the sum then goes on from
 *            there to s, ..., s+P-2. Each peer sends 2 (P-1) / P of the bytes,
 *            which is the least there is.
 *     star   all send their part of piece i to its owner, i mod P, which adds
 *            them in rank order and sends the sum to all. The same bytes.
 *
 * A peer is at most one round ahead of another: messages of the next round wait
 * until it is opened here. A message is sent again until its receiver says that
 * it has it, so nothing is missed for good; what comes twice is dropped.
 *
 * Messages, little-endian; one that says that another has come is its head
 * alone:
 *
 *     offset  size  field
 *          0     8  round
 *          8     4  piece
 *         12     4  whose it is: the sender's rank for a part or a partial sum,
 *                   P for the sum
 *         16     -  the part, partial sum or sum
 *
 * Source: ring all-reduce: Patarasuk, Yuan, JPDC 69(2), 2009.
 */

#ifndef TRAIN_REDUCE_H_
#define TRAIN_REDUCE_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/blob.h"
#include "core/err.h"
#include "core/log.h"
#include "p2p/transport.h"
#include "train/mail.h"

#define TRAIN_REDUCE_HEAD_SIZE TRAIN_MAIL_HEAD_SIZE

enum train_reduce_kind { TRAIN_REDUCE_RING, TRAIN_REDUCE_STAR };

/* Bytes of a part or sum. */
struct train_reduce_part {
    const uint8_t *data;
    size_t size;
};

struct train_reduce_options {
    enum train_reduce_kind kind;
    p2p_peer self;
    uint32_t n_peers;
    uint32_t pieces_max; /* Of a round. */
    size_t part_max;     /* Bytes of a part or sum. */
    uint64_t retry_ns;   /* Patience before a message is sent again. */
    /* Make @sum, a new blob that begins with @head_size bytes for the caller to
     * write, of @a + @b. The same for the same bytes, everywhere. Errors:
     * ERR_CORRUPT (they do not fit together, or are no parts), ERR_NOMEM. */
    int (*add)(void *arg,
               struct train_reduce_part a,
               struct train_reduce_part b,
               size_t head_size,
               struct blob **sum,
               struct err *e);
    void *arg;
    struct log *log;
};

struct train_reduce;

/* Errors: ERR_NOMEM. */
int train_reduce_create(struct train_reduce **r,
                        const struct train_reduce_options *o,
                        struct err *e);
void train_reduce_destroy(struct train_reduce *r);

/* Begin @round, which is above all before, with @n_pieces pieces. All sums of
 * the round before have been taken. Errors: those of begin. */
int train_reduce_open(struct train_reduce *r,
                      uint64_t round,
                      uint32_t n_pieces,
                      uint64_t now_ns,
                      struct err *e);

/* The own part of @piece of the open round, behind TRAIN_REDUCE_HEAD_SIZE bytes
 * that are written here. Owner: the engine takes the reference, which is the
 * only one.
 *
 * Errors: ERR_NOMEM; ERR_CORRUPT: what a peer has sent is no part that goes
 * with it. Both end the job. */
int train_reduce_begin(struct train_reduce *r,
                       uint32_t piece,
                       struct blob *part,
                       uint64_t now_ns,
                       struct err *e);

/* A message has come. Owner: the engine takes its own reference.
 *
 * Errors: ERR_INVALID  not a message that can be: drop it.
 *         others       as begin. */
int train_reduce_receive(struct train_reduce *r,
                         p2p_peer peer,
                         struct blob *body,
                         uint64_t now_ns,
                         struct err *e);

/* The messages, for answers, ticks, and to take what is to be sent. */
struct train_mail *train_reduce_mail(struct train_reduce *r);

/* Take the next sum of the open round that is there, and its reference; its
 * first TRAIN_REDUCE_HEAD_SIZE bytes are not part of it. False: none. */
bool train_reduce_take(struct train_reduce *r,
                       uint32_t *piece,
                       struct blob **sum);

/* There is a sum to take. */
bool train_reduce_ready(const struct train_reduce *r);

/* Sums of the open round that were not taken yet. */
uint32_t train_reduce_left(const struct train_reduce *r);

#endif /* TRAIN_REDUCE_H_ */
