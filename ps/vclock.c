#include "ps/vclock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void ps_vclock_init(struct ps_vclock *c)
{
    memset(c, 0, sizeof *c);
}

void ps_vclock_fini(struct ps_vclock *c)
{
    for (uint32_t i = 0; i < c->n_origins; i++) {
        free(c->origins[i].spans);
    }
    free(c->origins);
    memset(c, 0, sizeof *c);
}

/* Where @origin is, or where it would be. */
static uint32_t find(const struct ps_vclock *c, p2p_peer origin)
{
    uint32_t low = 0, high = c->n_origins;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->origins[middle].origin < origin) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static const struct ps_vclock_origin *get(const struct ps_vclock *c,
                                          p2p_peer origin)
{
    uint32_t i = find(c, origin);

    return i < c->n_origins && c->origins[i].origin == origin ? &c->origins[i]
                                                              : NULL;
}

/* The entry of @origin, made if it is not there. NULL: no memory. */
static struct ps_vclock_origin *put(struct ps_vclock *c, p2p_peer origin)
{
    uint32_t i = find(c, origin);
    struct ps_vclock_origin *more;

    if (i < c->n_origins && c->origins[i].origin == origin) {
        return &c->origins[i];
    }
    more = realloc(c->origins, (c->n_origins + 1) * sizeof *more);
    if (more == NULL) {
        return NULL;
    }
    c->origins = more;
    memmove(&more[i + 1], &more[i], (c->n_origins - i) * sizeof *more);
    more[i] = (struct ps_vclock_origin){.origin = origin};
    c->n_origins++;
    return &more[i];
}

bool ps_vclock_has(const struct ps_vclock *c, p2p_peer origin, uint64_t time)
{
    const struct ps_vclock_origin *o = get(c, origin);

    if (o == NULL || time < o->next) {
        return o != NULL;
    }
    for (uint32_t i = 0; i < o->n_spans; i++) {
        if (time >= o->spans[i].from && time < o->spans[i].until) {
            return true;
        }
    }
    return false;
}

uint64_t ps_vclock_next(const struct ps_vclock *c, p2p_peer origin)
{
    const struct ps_vclock_origin *o = get(c, origin);

    return o == NULL ? 0 : o->next;
}

/* Move next up to @until, and over the spans that it meets. */
static void advance(struct ps_vclock_origin *o, uint64_t until)
{
    uint32_t n = 0;

    o->next = until > o->next ? until : o->next;
    while (n < o->n_spans && o->spans[n].from <= o->next) {
        o->next = o->spans[n].until > o->next ? o->spans[n].until : o->next;
        n++;
    }
    if (n > 0) {
        o->n_spans -= n;
        memmove(o->spans, o->spans + n, o->n_spans * sizeof *o->spans);
    }
}

/* Add [from, until), above next, to the spans; those it touches become one with
 * it. */
static int add_span(struct ps_vclock_origin *o, struct ps_span s)
{
    uint32_t first = 0, last;
    struct ps_span *more;

    while (first < o->n_spans && o->spans[first].until < s.from) {
        first++;
    }
    last = first;
    while (last < o->n_spans && o->spans[last].from <= s.until) {
        s.from = o->spans[last].from < s.from ? o->spans[last].from : s.from;
        s.until =
            o->spans[last].until > s.until ? o->spans[last].until : s.until;
        last++;
    }
    if (last == first) {
        if (o->n_spans == PS_VCLOCK_SPANS_MAX) {
            return ERR_FULL;
        }
        more = realloc(o->spans, (o->n_spans + 1) * sizeof *more);
        if (more == NULL) {
            return ERR_NOMEM;
        }
        o->spans = more;
    }
    memmove(&o->spans[first + 1], &o->spans[last],
            (o->n_spans - last) * sizeof *o->spans);
    o->n_spans = o->n_spans - (last - first) + 1;
    o->spans[first] = s;
    return 0;
}

int ps_vclock_add(struct ps_vclock *c,
                  p2p_peer origin,
                  uint64_t from,
                  uint64_t time)
{
    struct ps_vclock_origin *o = put(c, origin);

    assert(from <= time && time < UINT64_MAX);
    if (o == NULL) {
        return ERR_NOMEM;
    }
    if (from > o->next) {
        return add_span(o, (struct ps_span){from, time + 1});
    }
    advance(o, time + 1);
    return 0;
}

int ps_vclock_raise(struct ps_vclock *c, p2p_peer origin, uint64_t since)
{
    struct ps_vclock_origin *o = put(c, origin);

    if (o == NULL) {
        return ERR_NOMEM;
    }
    advance(o, since);
    return 0;
}

int ps_vclock_copy(struct ps_vclock *c, const struct ps_vclock *from)
{
    struct ps_vclock made = {0};

    made.origins = calloc(from->n_origins + 1u, sizeof *made.origins);
    if (made.origins == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < from->n_origins; i++) {
        struct ps_vclock_origin *o = &made.origins[i];
        *o = from->origins[i];
        made.n_origins++;
        o->spans = malloc((o->n_spans + 1u) * sizeof *o->spans);
        if (o->spans == NULL) {
            ps_vclock_fini(&made);
            return ERR_NOMEM;
        }
        if (o->n_spans > 0) {
            memcpy(o->spans, from->origins[i].spans,
                   o->n_spans * sizeof *o->spans);
        }
    }
    ps_vclock_fini(c);
    *c = made;
    return 0;
}

void ps_vclock_encode(const struct ps_vclock *c, struct buf *out)
{
    buf_put_varint(out, c->n_origins);
    for (uint32_t i = 0; i < c->n_origins; i++) {
        const struct ps_vclock_origin *o = &c->origins[i];
        uint64_t end = o->next;
        buf_put_varint(out, o->origin);
        buf_put_varint(out, o->next);
        buf_put_varint(out, o->n_spans);
        for (uint32_t j = 0; j < o->n_spans; j++) {
            buf_put_varint(out, o->spans[j].from - end);
            buf_put_varint(out, o->spans[j].until - o->spans[j].from);
            end = o->spans[j].until;
        }
    }
}

static bool decode_spans(struct ps_vclock_origin *o,
                         uint64_t n,
                         const uint8_t **p,
                         const uint8_t *end)
{
    uint64_t at = o->next, gap, length;

    for (uint64_t j = 0; j < n; j++) {
        if (!buf_get_varint(p, end, &gap) || !buf_get_varint(p, end, &length) ||
            gap == 0 || length == 0 || gap > UINT64_MAX - at ||
            length > UINT64_MAX - at - gap) {
            return false;
        }
        o->spans[j] = (struct ps_span){at + gap, at + gap + length};
        at = o->spans[j].until;
        o->n_spans++;
    }
    return true;
}

/* The next origin, which must come after those that are there. */
static int
decode_origin(struct ps_vclock *c, const uint8_t **p, const uint8_t *end)
{
    uint64_t origin, next, n;
    struct ps_vclock_origin *o;

    if (!buf_get_varint(p, end, &origin) || !buf_get_varint(p, end, &next) ||
        !buf_get_varint(p, end, &n) || origin >= P2P_PEERS_MAX ||
        n > PS_VCLOCK_SPANS_MAX ||
        (c->n_origins > 0 && origin <= c->origins[c->n_origins - 1].origin)) {
        return ERR_CORRUPT;
    }
    o = put(c, (p2p_peer)origin);
    if (o == NULL) {
        return ERR_NOMEM;
    }
    o->next = next;
    if (n > 0) {
        o->spans = malloc(n * sizeof *o->spans);
        if (o->spans == NULL) {
            return ERR_NOMEM;
        }
    }
    return decode_spans(o, n, p, end) ? 0 : ERR_CORRUPT;
}

int ps_vclock_decode(struct ps_vclock *c,
                     const uint8_t **p,
                     const uint8_t *end,
                     struct err *e)
{
    uint64_t n;
    int rc = ERR_CORRUPT;

    if (buf_get_varint(p, end, &n) && n <= P2P_PEERS_MAX) {
        rc = 0;
        for (uint64_t i = 0; i < n && rc == 0; i++) {
            rc = decode_origin(c, p, end);
        }
    }
    if (rc != 0) {
        ps_vclock_fini(c);
        return err_set(e, rc, "vector clock: %s", err_str(rc));
    }
    return 0;
}
