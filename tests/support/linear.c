#include "tests/support/linear.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define SEEN_ROOM ((size_t)1 << 20)

struct search {
    const struct linear_op *ops[LINEAR_PROCESSES_MAX][LINEAR_OPS_MAX];
    uint32_t n[LINEAR_PROCESSES_MAX];
    /* What is in the order so far, and what the object is then. */
    struct {
        uint32_t at[LINEAR_PROCESSES_MAX];
        uint32_t hash, count;
    } state;
    uint64_t *seen; /* (SEEN_ROOM) hashes of states; 0: free. */
    size_t n_seen;
};

/* Return whether the state is new, and remember it. */
static bool visit(struct search *s)
{
    uint64_t h = hash64(&s->state, sizeof s->state) | 1;
    size_t i = h % SEEN_ROOM;

    while (s->seen[i] != 0 && s->seen[i] != h) {
        i = (i + 1) % SEEN_ROOM;
    }
    if (s->seen[i] == h) {
        return false;
    }
    s->seen[i] = h;
    s->n_seen++;
    assert(s->n_seen < SEEN_ROOM / 2);
    return true;
}

static const struct linear_op *next_of(const struct search *s, uint32_t p)
{
    uint32_t at = s->state.at[p];

    return at < s->n[p] ? s->ops[p][at] : NULL;
}

/* The next of all operations to come must have begun when another one ends. */
static uint64_t first_end(const struct search *s)
{
    uint64_t end = LINEAR_PENDING;

    for (uint32_t p = 0; p < LINEAR_PROCESSES_MAX; p++) {
        const struct linear_op *op = next_of(s, p);
        if (op != NULL && op->end < end) {
            end = op->end;
        }
    }
    return end;
}

static bool search(struct search *s)
{
    uint64_t end = first_end(s);

    if (end == LINEAR_PENDING) {
        return true; /* All that ended is in the order. */
    }
    if (!visit(s)) {
        return false;
    }
    for (uint32_t p = 0; p < LINEAR_PROCESSES_MAX; p++) {
        const struct linear_op *op = next_of(s, p);
        uint32_t hash = s->state.hash, count = s->state.count;
        bool found;
        if (op == NULL || op->begin > end ||
            (!op->is_push && (op->hash != hash || op->count != count))) {
            continue;
        }
        s->state.at[p]++;
        if (op->is_push) {
            s->state.hash = linear_hash(hash, op->x);
            s->state.count++;
        }
        found = search(s);
        s->state.at[p]--;
        s->state.hash = hash;
        s->state.count = count;
        if (found) {
            return true;
        }
    }
    return false;
}

bool linear_check(const struct linear_history *h)
{
    struct search *s = calloc(1, sizeof *s);
    bool ok;

    assert(s != NULL);
    s->seen = calloc(SEEN_ROOM, sizeof *s->seen);
    assert(s->seen != NULL);
    for (size_t i = 0; i < h->n_ops; i++) {
        const struct linear_op *op = &h->ops[i];
        assert(op->process < LINEAR_PROCESSES_MAX);
        if (op->is_push || op->end != LINEAR_PENDING) {
            s->ops[op->process][s->n[op->process]++] = op;
        }
    }
    ok = search(s);
    free(s->seen);
    free(s);
    return ok;
}
