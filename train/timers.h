/* When each of many peers wants its turn: a heap of moments. */

#ifndef TRAIN_TIMERS_H_
#define TRAIN_TIMERS_H_

#include <stdint.h>

#include "core/err.h"

struct train_timers {
    uint32_t n;
    uint64_t *due_ns; /* (n) by peer. */
    uint32_t *heap;   /* (n) peers: the next is first. */
    uint32_t *at;     /* (n) where a peer is in the heap. */
};

/* All are due at 0. Errors: ERR_NOMEM; @t needs fini all the same. */
int train_timers_init(struct train_timers *t, uint32_t n, struct err *e);
void train_timers_fini(struct train_timers *t);

void train_timers_set(struct train_timers *t, uint32_t peer, uint64_t due_ns);

/* Who is next: the lowest of those that are due first. */
static inline uint32_t train_timers_next(const struct train_timers *t)
{
    return t->heap[0];
}

#endif /* TRAIN_TIMERS_H_ */
