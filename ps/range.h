/* A range: some keys of one vector of parameters, in a row, with all that is
 * needed to go on with them elsewhere.
 *
 * Two copies of a range with the same (epoch, seq) have the same bits: what
 * changes a range comes as numbered entries, the same for all copies, and each
 * is a pure function of the copy and the entry. The epoch is the view in which
 * the copy was installed, and an installation is such a function, too.
 *
 * The order in which pushes change the values is that of the range:
 *
 *     arrival  each as it comes
 *     rank     all pushes of the workers of a time together, by their numbers,
 *              times one after the other: the same bits whatever the order of
 *              arrival. Pushes that cannot be applied yet are held.
 *
 * Encoded, numbers as varints:
 *
 *     u8 version (1), u8 order, n, epoch, seq, f32 (n), vector clock,
 *     number of workers, each one's number, ascending,
 *     number of held pushes, for each, by time and origin:
 *         origin, from, time, values (ps/values.h)
 */

#ifndef PS_RANGE_H_
#define PS_RANGE_H_

#include "ps/values.h"
#include "ps/vclock.h"

#define PS_RANGE_KEYS_MAX ((uint32_t)1 << 22)
#define PS_RANGE_HELD_MAX 8192 /* Pushes that wait for others. */

enum ps_order { PS_ORDER_ARRIVAL, PS_ORDER_RANK };

/* What a worker adds to a range at a time; nothing since its last push is in
 * [from, time). */
struct ps_push {
    p2p_peer origin;
    uint64_t from, time;
    struct ps_values values;
};

/* How a push changes the values. */
struct ps_update {
    /* Change @val (@n), keys from @first of the vector on, by @push. A pure
     * function of these and of @arg, the same on all peers. Not 0: it refuses,
     * and has changed nothing. */
    int (*apply)(void *arg,
                 uint64_t first,
                 uint32_t n,
                 float *val,
                 const struct ps_push *push);
    void *arg;
};

/* val[key] += x, and val[key] = x, for each that the push has. */
int ps_update_add(void *arg,
                  uint64_t first,
                  uint32_t n,
                  float *val,
                  const struct ps_push *p);
int ps_update_assign(void *arg,
                     uint64_t first,
                     uint32_t n,
                     float *val,
                     const struct ps_push *p);

/* Who pushes to a range, from which time on. */
struct ps_worker {
    p2p_peer peer;
    uint64_t since;
};

struct ps_range {
    uint64_t first; /* Key in the vector. */
    uint32_t n;     /* Keys. */
    enum ps_order order;
    struct ps_update update;
    uint64_t epoch; /* 0: never installed. */
    uint64_t seq;   /* Of the last entry. */
    float *val;     /* (n) Owned. */
    struct ps_vclock clock;
    p2p_peer *workers; /* (n_workers) ascending: who is waited for. Owned. */
    uint32_t n_workers;
    struct ps_push *held; /* (n_held) by time and origin. Owned. */
    uint32_t n_held;
    uint64_t n_refused; /* Pushes the update refused, in this process. */
};

/* A range of zeros. Errors: ERR_NOMEM, ERR_INVALID: @n is not from 1 to
 * PS_RANGE_KEYS_MAX. @r needs no ps_range_fini() then. */
int ps_range_init(struct ps_range *r,
                  uint64_t first,
                  uint32_t n,
                  enum ps_order order,
                  const struct ps_update *update,
                  struct err *e);
void ps_range_fini(struct ps_range *r);

void ps_push_fini(struct ps_push *p);

/* Begin the view @epoch, in which @workers (ascending) push. Who is not waited
 * for any more may let held pushes go.
 *
 * Errors: ERR_NOMEM: the range is of no use any more. */
int ps_range_install(struct ps_range *r,
                     uint64_t epoch,
                     const struct ps_worker *workers,
                     uint32_t n_workers);

/* Aggregate a push that the clock does not have.
 *
 * Owner:  on success the range has taken the values, and @p->values is empty.
 * Errors: ERR_FULL        too much waits already: later. Nothing changed.
 *         ERR_NOMEM       the range is of no use any more. */
int ps_range_push(struct ps_range *r, struct ps_push *p);

/* The time below which @clock has all pushes of the workers of @r. UINT64_MAX
 * where there are none. */
uint64_t ps_range_complete(const struct ps_range *r,
                           const struct ps_vclock *clock);

/* Apply @p at once, whatever the order; the clock remains as it is. */
void ps_range_apply(struct ps_range *r, const struct ps_push *p);

void ps_range_encode(const struct ps_range *r, struct buf *out);

/* Make @r, initialised, what @data (@size) says, all of it.
 *
 * Errors: ERR_CORRUPT  not the bytes of a range of this length and order.
 *         ERR_NOMEM    @r is as it was in either case. */
int ps_range_decode(struct ps_range *r,
                    const uint8_t *data,
                    size_t size,
                    struct err *e);

#endif /* PS_RANGE_H_ */
