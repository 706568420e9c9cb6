/* When a batch reaches whom: at once by the multicast schedule, or later, in a
 * group.
 *
 * A peer sends its batch of clock c at once to the targets of the schedule.
 * What the others were not sent goes to them when the group of c is complete:
 * groups are L clocks, [0, L), [L, 2L), ..., the last one is cut at the end of
 * the job. So nobody lacks more than L clocks of anybody, and everybody knows
 * what to expect from whom: these are pure functions of settings that all
 * share.
 */

#ifndef TRAIN_DELIVERY_H_
#define TRAIN_DELIVERY_H_

#include <stdbool.h>
#include <stdint.h>

#include "p2p/multicast.h"

struct train_delivery {
    struct p2p_multicast schedule;
    uint32_t lazy;       /* L, from 1. Means nothing where all are targets. */
    uint64_t last_clock; /* Of the job. */
};

/* Whether @p sends its batch of @clock to @q at once. */
bool train_delivery_eager(const struct train_delivery *d,
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
 * clocks below @limit has sent all of those below C to everybody. */
uint64_t train_delivery_complete(const struct train_delivery *d,
                                 uint64_t limit);

#endif /* TRAIN_DELIVERY_H_ */
