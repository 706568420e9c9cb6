#include "ps/range.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

int ps_update_add(void *arg,
                  uint64_t first,
                  uint32_t n,
                  float *val,
                  const struct ps_push *p)
{
    (void)arg;
    (void)first;
    (void)n;
    for (uint32_t i = 0; i < p->values.n; i++) {
        val[ps_values_key(&p->values, i)] += p->values.val[i];
    }
    return 0;
}

int ps_update_assign(void *arg,
                     uint64_t first,
                     uint32_t n,
                     float *val,
                     const struct ps_push *p)
{
    (void)arg;
    (void)first;
    (void)n;
    for (uint32_t i = 0; i < p->values.n; i++) {
        val[ps_values_key(&p->values, i)] = p->values.val[i];
    }
    return 0;
}

int ps_range_init(struct ps_range *r,
                  uint64_t first,
                  uint32_t n,
                  enum ps_order order,
                  const struct ps_update *update,
                  struct err *e)
{
    memset(r, 0, sizeof *r);
    if (n == 0 || n > PS_RANGE_KEYS_MAX) {
        return err_set(e, ERR_INVALID, "range of %u keys, must be 1 to %u", n,
                       PS_RANGE_KEYS_MAX);
    }
    r->first = first;
    r->n = n;
    r->order = order;
    r->update = *update;
    ps_vclock_init(&r->clock);
    r->val = calloc(n, sizeof *r->val);
    return r->val == NULL ? err_set(e, ERR_NOMEM, "range of %u keys", n) : 0;
}

void ps_push_fini(struct ps_push *p)
{
    ps_values_fini(&p->values);
}

static void free_held(struct ps_push *held, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        ps_push_fini(&held[i]);
    }
    free(held);
}

void ps_range_fini(struct ps_range *r)
{
    free_held(r->held, r->n_held);
    free(r->workers);
    free(r->val);
    ps_vclock_fini(&r->clock);
    memset(r, 0, sizeof *r);
}

void ps_range_apply(struct ps_range *r, const struct ps_push *p)
{
    if (r->update.apply(r->update.arg, r->first, r->n, r->val, p) != 0) {
        r->n_refused++;
    }
}

uint64_t ps_range_complete(const struct ps_range *r,
                           const struct ps_vclock *clock)
{
    uint64_t all = UINT64_MAX;

    for (uint32_t i = 0; i < r->n_workers; i++) {
        uint64_t next = ps_vclock_next(clock, r->workers[i]);
        all = next < all ? next : all;
    }
    return all;
}

/* Apply the held pushes of all times that are complete. */
static void settle(struct ps_range *r)
{
    uint64_t until = ps_range_complete(r, &r->clock);
    uint32_t n = 0;

    while (n < r->n_held && r->held[n].time < until) {
        ps_range_apply(r, &r->held[n]);
        ps_push_fini(&r->held[n]);
        n++;
    }
    if (n > 0) {
        r->n_held -= n;
        memmove(r->held, r->held + n, r->n_held * sizeof *r->held);
    }
}

int ps_range_install(struct ps_range *r,
                     uint64_t epoch,
                     const struct ps_worker *workers,
                     uint32_t n_workers)
{
    p2p_peer *list = malloc((n_workers + 1u) * sizeof *list);

    if (list == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n_workers; i++) {
        list[i] = workers[i].peer;
        if (ps_vclock_raise(&r->clock, workers[i].peer, workers[i].since) !=
            0) {
            free(list);
            return ERR_NOMEM;
        }
    }
    free(r->workers);
    r->workers = list;
    r->n_workers = n_workers;
    r->epoch = epoch;
    settle(r);
    return 0;
}

static bool is_before(const struct ps_push *a, const struct ps_push *b)
{
    return a->time < b->time || (a->time == b->time && a->origin < b->origin);
}

static int hold(struct ps_range *r, struct ps_push *p)
{
    struct ps_push *more = realloc(r->held, (r->n_held + 1) * sizeof *more);
    uint32_t at = r->n_held;

    if (more == NULL) {
        return ERR_NOMEM;
    }
    r->held = more;
    while (at > 0 && is_before(p, &more[at - 1])) {
        at--;
    }
    memmove(&more[at + 1], &more[at], (r->n_held - at) * sizeof *more);
    more[at] = *p;
    r->n_held++;
    memset(&p->values, 0, sizeof p->values);
    return 0;
}

int ps_range_push(struct ps_range *r, struct ps_push *p)
{
    int rc;

    assert(!ps_vclock_has(&r->clock, p->origin, p->time));
    if (r->n_held == PS_RANGE_HELD_MAX) {
        return ERR_FULL;
    }
    rc = ps_vclock_add(&r->clock, p->origin, p->from, p->time);
    if (rc != 0) {
        return rc;
    }
    if (r->order == PS_ORDER_RANK) {
        rc = hold(r, p);
        if (rc == 0) {
            settle(r);
        }
        return rc;
    }
    ps_range_apply(r, p);
    ps_push_fini(p);
    return 0;
}

void ps_range_encode(const struct ps_range *r, struct buf *out)
{
    uint8_t *at;

    buf_put(out, (uint8_t[]){VERSION, (uint8_t)r->order}, 2);
    buf_put_varint(out, r->n);
    buf_put_varint(out, r->epoch);
    buf_put_varint(out, r->seq);
    at = buf_add(out, (size_t)r->n * 4);
    for (uint32_t i = 0; at != NULL && i < r->n; i++) {
        le_put_f32(at + 4 * (size_t)i, r->val[i]);
    }
    ps_vclock_encode(&r->clock, out);
    buf_put_varint(out, r->n_workers);
    for (uint32_t i = 0; i < r->n_workers; i++) {
        buf_put_varint(out, r->workers[i]);
    }
    buf_put_varint(out, r->n_held);
    for (uint32_t i = 0; i < r->n_held; i++) {
        buf_put_varint(out, r->held[i].origin);
        buf_put_varint(out, r->held[i].from);
        buf_put_varint(out, r->held[i].time);
        ps_values_encode(&r->held[i].values, false, out);
    }
}

static int
decode_head(struct ps_range *r, const uint8_t **p, const uint8_t *end)
{
    uint64_t n;

    if (end - *p < 2 || (*p)[0] != VERSION || (*p)[1] != r->order) {
        return ERR_CORRUPT;
    }
    *p += 2;
    if (!buf_get_varint(p, end, &n) || n != r->n ||
        !buf_get_varint(p, end, &r->epoch) ||
        !buf_get_varint(p, end, &r->seq) || n * 4 > (uint64_t)(end - *p)) {
        return ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < r->n; i++) {
        r->val[i] = le_f32(*p + 4 * (size_t)i);
    }
    *p += (size_t)r->n * 4;
    return 0;
}

static int
decode_workers(struct ps_range *r, const uint8_t **p, const uint8_t *end)
{
    uint64_t n, peer;

    if (!buf_get_varint(p, end, &n) || n > P2P_PEERS_MAX) {
        return ERR_CORRUPT;
    }
    r->workers = malloc((n + 1) * sizeof *r->workers);
    if (r->workers == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!buf_get_varint(p, end, &peer) || peer >= P2P_PEERS_MAX ||
            (i > 0 && peer <= r->workers[i - 1])) {
            return ERR_CORRUPT;
        }
        r->workers[i] = (p2p_peer)peer;
        r->n_workers++;
    }
    return 0;
}

static int decode_push(struct ps_push *push,
                       const struct ps_range *r,
                       const uint8_t **p,
                       const uint8_t *end)
{
    uint64_t origin;

    if (!buf_get_varint(p, end, &origin) || origin >= P2P_PEERS_MAX ||
        !buf_get_varint(p, end, &push->from) ||
        !buf_get_varint(p, end, &push->time) || push->from > push->time) {
        return ERR_CORRUPT;
    }
    push->origin = (p2p_peer)origin;
    return ps_values_decode(&push->values, p, end, r->n, NULL, NULL);
}

static int
decode_held(struct ps_range *r, const uint8_t **p, const uint8_t *end)
{
    uint64_t n;
    int rc = 0;

    if (!buf_get_varint(p, end, &n) || n > PS_RANGE_HELD_MAX) {
        return ERR_CORRUPT;
    }
    r->held = calloc(n + 1, sizeof *r->held);
    if (r->held == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        struct ps_push *push = &r->held[i];
        rc = decode_push(push, r, p, end);
        if (rc == 0) {
            r->n_held++;
            if (i > 0 && !is_before(push - 1, push)) {
                rc = ERR_CORRUPT;
            }
        }
    }
    return rc;
}

int ps_range_decode(struct ps_range *r,
                    const uint8_t *data,
                    size_t size,
                    struct err *e)
{
    const uint8_t *p = data, *end = data + size;
    struct ps_range made;
    int rc = ps_range_init(&made, r->first, r->n, r->order, &r->update, e);

    if (rc != 0) {
        return rc;
    }
    rc = decode_head(&made, &p, end);
    if (rc == 0) {
        rc = ps_vclock_decode(&made.clock, &p, end, NULL);
    }
    if (rc == 0) {
        rc = decode_workers(&made, &p, end);
    }
    if (rc == 0) {
        rc = decode_held(&made, &p, end);
    }
    if (rc == 0 && p != end) {
        rc = ERR_CORRUPT;
    }
    if (rc != 0) {
        ps_range_fini(&made);
        rc = rc == ERR_NOMEM ? ERR_NOMEM : ERR_CORRUPT;
        return err_set(e, rc, "range at key %llu: %s",
                       (unsigned long long)r->first, err_str(rc));
    }
    made.n_refused = r->n_refused;
    ps_range_fini(r);
    *r = made;
    return 0;
}
