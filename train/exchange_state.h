/* The inside of train/exchange.h: what its shapes have in common
 * (train/exchange.c), and what they do (train/exchange_star.c,
 * train/exchange_shift.c). */

#ifndef TRAIN_EXCHANGE_STATE_H_
#define TRAIN_EXCHANGE_STATE_H_

#include "train/exchange.h"

/* Since when we wait, and how often we asked. */
struct exchange_wait {
    uint64_t since_ns;
    unsigned n_asked;
};

/* star: a round that we own. */
struct exchange_gather {
    uint64_t round;
    uint32_t n_in; /* Parts, and those who abstained. */
    bool done;
    bool *abstained;     /* (n_peers). */
    struct blob **parts; /* (n_peers). */
    struct blob *result; /* If done. */
    struct exchange_wait wait;
};

struct exchange_piece {
    uint64_t round;      /* The last one begun, or skipped. */
    uint64_t skipped;    /* Rounds up to this one are. */
    struct blob *part;   /* Our own of round, while somebody may need it. */
    bool settled;        /* The result of round is here, or will never be. */
    struct blob *result; /* Not yet taken. */
    struct exchange_wait wait;

    struct exchange_gather *gather; /* star. */

    bool got;           /* shift: p+1 has our part of round. */
    struct blob *early; /* shift: the part of p-1 of round + 1. */
    uint64_t missed;    /* shift: p-1 sent this round, but it was too early. */
};

/* A message that is about a piece. */
struct exchange_event {
    p2p_peer peer;
    uint32_t piece;
    uint64_t round;
    uint32_t need;
    struct blob *body;
    uint64_t now_ns;
};

/* What a shape does. Errors: ERR_INVALID (no such message can be), ERR_NOMEM.
 */
struct exchange_shape {
    int (*begun)(struct train_exchange *x, uint32_t piece, uint64_t now_ns);
    int (*on_part)(struct train_exchange *x, const struct exchange_event *ev);
    int (*on_result)(struct train_exchange *x, const struct exchange_event *ev);
    int (*on_need)(struct train_exchange *x, const struct exchange_event *ev);
    int (*on_abstain)(struct train_exchange *x,
                      const struct exchange_event *ev);
    int (*on_got)(struct train_exchange *x, const struct exchange_event *ev);
    /* Ask for what should be there at @now_ns, and return when to ask next. */
    uint64_t (*ask)(struct train_exchange *x, uint32_t piece, uint64_t now_ns);
    /* The round is over: the next one may begin. */
    bool (*over)(const struct exchange_piece *p);
    /* Others may need our part still. */
    bool (*needed)(const struct exchange_piece *p);
};

struct train_exchange {
    struct train_exchange_options o;
    uint32_t *floats; /* (n_pieces). */
    const struct exchange_shape *shape;
    struct exchange_piece *pieces; /* (n_pieces). */
    uint32_t n_results;            /* Not yet taken. */
    uint64_t due_ns;
    struct train_exchange_out *outs;
    size_t outs_first, n_outs, outs_room;
    bool out_of_memory;
};

extern const struct exchange_shape train_exchange_star;
extern const struct exchange_shape train_exchange_shift;

/* Queue a message: with a body, or one of a head alone. */
void train_exchange_send(struct train_exchange *x,
                         p2p_peer peer,
                         uint8_t type,
                         struct blob *body,
                         bool again);
void train_exchange_say(struct train_exchange *x,
                        p2p_peer peer,
                        uint8_t type,
                        uint32_t piece,
                        uint64_t round,
                        enum train_exchange_need need);

/* Write the head of a PART or RESULT. */
void train_exchange_seal(struct blob *body, uint32_t piece, uint64_t round);

/* The round has a result: a new reference is taken. NULL: there will be none.
 */
void train_exchange_settle(struct train_exchange *x,
                           uint32_t piece,
                           struct blob *result);

/* Let go of our part if nobody needs it. */
void train_exchange_drop_part(struct train_exchange *x, uint32_t piece);

/* Begin to wait at @now_ns. */
void train_exchange_wait(struct train_exchange *x,
                         struct exchange_wait *w,
                         uint64_t now_ns);

/* Whether patience is over; then it begins anew, and longer. *due_ns is brought
 * down to when it will be over. */
bool train_exchange_impatient(const struct train_exchange *x,
                              struct exchange_wait *w,
                              uint64_t now_ns,
                              uint64_t *due_ns);

#endif /* TRAIN_EXCHANGE_STATE_H_ */
