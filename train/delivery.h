/* When a batch reaches whom: at once by the multicast schedule, and others
 * later, in a group, or never.
 *
 * A peer sends its batch of clock c at once to the targets of the schedule.
 * What becomes of those whom the schedule leaves out is the kind of repair:
 *
 *     lazy   what they were not sent goes to them when the group of c is
 *            complete: groups are L clocks, [0, L), [L, 2L), ..., the last one
 *            is cut at the end of the job. So nobody lacks more than L clocks
 *            of anybody.
 *     none   they never get it. Whom the schedule reaches counts it for more,
 *            so that the expected sum of what it applies is that of all.
 *     sync, rotate   as none, and replicas, which this leads apart, are brought
 *            together again every S clocks: see train/mix.h.
 *
 * Everybody knows what to expect from whom: these are pure functions of
 * settings that all share. Where the schedule leaves nobody out, kinds of
 * repair do not differ.
 */

#ifndef TRAIN_DELIVERY_H_
#define TRAIN_DELIVERY_H_

#include <stdbool.h>
#include <stdint.h>

#include "p2p/multicast.h"
#include "train/window.h"

enum train_repair {
    TRAIN_REPAIR_LAZY,
    TRAIN_REPAIR_NONE,
    TRAIN_REPAIR_SYNC,
    TRAIN_REPAIR_ROTATE,
    TRAIN_REPAIR_COUNT
};

struct train_delivery {
    struct p2p_multicast schedule;
    enum train_repair repair;
    uint32_t lazy;       /* L, from 1. Counts where repair is lazy. */
    uint64_t last_clock; /* Of the job. */
};

/* Whether @p sends its batch of @clock to @q at once. */
bool train_delivery_eager(const struct train_delivery *d,
                          p2p_peer p,
                          p2p_peer q,
                          uint64_t clock);

/* Whether there are batches that never reach some peer. */
bool train_delivery_leaves_out(const struct train_delivery *d);

/* Whether replicas that this leads apart are mixed now and then: where batches
 * are left out, by sync and rotate. */
bool train_delivery_mixes(const struct train_delivery *d);

/* Whether @q gets the batch of @p of @clock, sooner or later. */
bool train_delivery_reaches(const struct train_delivery *d,
                            p2p_peer p,
                            p2p_peer q,
                            uint64_t clock);

/* The first clock from @clock on whose batch of @p reaches @q, or last_clock.
 * From last_clock on: @clock.
 *
 * Cost: where batches are left out, a draw of the schedule for each clock that
 *       is passed over, (P - 2) / (Q - 1) on the mean; none for Q = 1. */
uint64_t train_delivery_next(const struct train_delivery *d,
                             p2p_peer p,
                             p2p_peer q,
                             uint64_t clock);

/* Behind the last clock of the group of @clock. */
uint64_t train_delivery_group_end(const struct train_delivery *d,
                                  uint64_t clock);

/* Whether @q should have the batch of @p of @clock, once @p has computed all
 * clocks below @computed. */
bool train_delivery_due(const struct train_delivery *d,
                        p2p_peer p,
                        p2p_peer q,
                        uint64_t clock,
                        uint64_t computed);

/* The largest clock C up to @limit such that a peer that has computed all
 * clocks below @limit has sent all of those below C to everybody they reach. */
uint64_t train_delivery_complete(const struct train_delivery *d,
                                 uint64_t limit);

/* Another peer than @p and @q that gets the batch of @p of @clock: number
 * @index, round and round, of those whom the schedule names, from p + 1 on, and
 * behind them the others, if they ever get it. @p where there is none. Cost: a
 * draw of the schedule for each peer. */
p2p_peer train_delivery_holder(const struct train_delivery *d,
                               p2p_peer p,
                               p2p_peer q,
                               uint64_t clock,
                               uint32_t index);

/* By what @q multiplies the coefs of a batch of @p (which may be @q): 1, but
 * where batches are left out p2p_multicast_scale(). */
float train_delivery_factor(const struct train_delivery *d,
                            p2p_peer p,
                            p2p_peer q);

/* Note at @q that the batch of @p of @clock is there. Of those that reach @q,
 * all below *have are there, and those of @ahead; begin with an empty @ahead
 * and *have = train_delivery_next(0). *have moves up to the next that is not
 * there, or to last_clock. Return false and change nothing for one that is
 * there already, that never reaches @q, or is too far above. */
bool train_delivery_note(const struct train_delivery *d,
                         p2p_peer p,
                         p2p_peer q,
                         struct train_window *ahead,
                         uint64_t *have,
                         uint64_t clock);

#endif /* TRAIN_DELIVERY_H_ */
