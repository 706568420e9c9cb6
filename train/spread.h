/* How unequal the clocks of peers are, and how much staleness that is worth.
 *
 * For every peer a mean time per clock (of ourselves: without waiting at gates)
 * and a mean deviation from it are kept, as TCP does for round trips:
 *
 *     dev  += (|x - mean| - dev) / 4,    mean += (x - mean) / 8
 *
 * Source: Jacobson, "Congestion avoidance and control", SIGCOMM 1988.
 */

#ifndef TRAIN_SPREAD_H_
#define TRAIN_SPREAD_H_

#include <stdbool.h>
#include <stdint.h>

struct train_spread {
    bool begun;       /* last_ns counts. */
    uint64_t last_ns; /* When the last clock was seen to end. */
    uint64_t n;       /* Times that were seen. */
    double mean_ns;
    double dev_ns;
};

/* @clocks more clocks of the peer have ended by now. */
void train_spread_add(struct train_spread *s, uint64_t now_ns, uint64_t clocks);

/* The next clock begins now: what went before is no part of its time. */
void train_spread_begin(struct train_spread *s, uint64_t now_ns);

/* Staleness between @low and @high such that whoever is fastest on the mean
 * need not wait for whoever is slowest, two deviations late:
 *
 *     ceil((max(mean + 2 dev) - min(mean)) / min(mean) - 1/20)
 *
 * @low as long as no two peers have been seen. */
uint32_t train_spread_staleness(const struct train_spread *const *peers,
                                uint32_t n,
                                uint32_t low,
                                uint32_t high);

#endif /* TRAIN_SPREAD_H_ */
