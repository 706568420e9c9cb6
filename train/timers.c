#include "train/timers.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int train_timers_init(struct train_timers *t, uint32_t n, struct err *e)
{
    assert(n > 0);
    memset(t, 0, sizeof *t);
    t->n = n;
    t->due_ns = calloc(n, sizeof *t->due_ns);
    t->heap = calloc(n, sizeof *t->heap);
    t->at = calloc(n, sizeof *t->at);
    if (t->due_ns == NULL || t->heap == NULL || t->at == NULL) {
        return err_set(e, ERR_NOMEM, "timers of %u peers", n);
    }
    for (uint32_t i = 0; i < n; i++) {
        t->heap[i] = t->at[i] = i;
    }
    return 0;
}

void train_timers_fini(struct train_timers *t)
{
    free(t->due_ns);
    free(t->heap);
    free(t->at);
    memset(t, 0, sizeof *t);
}

static bool before(const struct train_timers *t, uint32_t a, uint32_t b)
{
    return t->due_ns[a] != t->due_ns[b] ? t->due_ns[a] < t->due_ns[b] : a < b;
}

static void put(struct train_timers *t, uint32_t at, uint32_t peer)
{
    t->heap[at] = peer;
    t->at[peer] = at;
}

static void sift_up(struct train_timers *t, uint32_t at, uint32_t peer)
{
    while (at > 0 && before(t, peer, t->heap[(at - 1) / 2])) {
        put(t, at, t->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(t, at, peer);
}

static void sift_down(struct train_timers *t, uint32_t at, uint32_t peer)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < t->n && before(t, t->heap[child + 1], t->heap[child])) {
            child++;
        }
        if (child >= t->n || before(t, peer, t->heap[child])) {
            break;
        }
        put(t, at, t->heap[child]);
        at = child;
    }
    put(t, at, peer);
}

void train_timers_set(struct train_timers *t, uint32_t peer, uint64_t due_ns)
{
    bool earlier = due_ns < t->due_ns[peer];

    assert(peer < t->n);
    t->due_ns[peer] = due_ns;
    if (earlier) {
        sift_up(t, t->at[peer], peer);
    } else {
        sift_down(t, t->at[peer], peer);
    }
}
