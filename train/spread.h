/* How unequal the clocks of peers are, and how much staleness that is worth.
 *
 * What counts of a peer is the time it works on a clock: from the closing of
 * the one before to its own batch. Waiting at gates is no part of it, or all
 * would seem as slow as the slowest. Only the peer itself can tell, so it keeps
 * a running mean,
 *
 *     mean += (x - mean) / min(n, 16)      x: the n-th clock but the first
 *
 * and tells the others its pace: the mean as a number of 11 bits, which rides
 * with every message (train/msg.h), on a scale of 64 steps for a factor of two.
 *
 * The bound that a peer wants is what lets it go on while the slowest works on
 * one clock: ceil(slowest / own - 1 - 1/4). It gets more at once, and less when
 * less has been enough for SPREAD_CALM clocks.
 *
 * Source: Zhao et al., "Dynamic stale synchronous parallel distributed training
 * for deep learning", ICDCS 2019, which also chooses a bound between two from
 * the times of clocks.
 */

#ifndef TRAIN_SPREAD_H_
#define TRAIN_SPREAD_H_

#include <stdbool.h>
#include <stdint.h>

#define SPREAD_PACE_BITS 11
#define SPREAD_CALM      16 /* Clocks. */

/* The own clocks. All zero is the beginning. */
struct train_spread {
    bool begun;
    uint64_t begin_ns; /* When the clock began that is worked on. */
    uint64_t n;        /* Clocks that count in the mean. */
    double mean_ns;
};

/* Work on a clock begins, or is done. An end without a begin counts nothing. */
void train_spread_begin(struct train_spread *s, uint64_t now_ns);
void train_spread_end(struct train_spread *s, uint64_t now_ns);

/* The pace, below 2^SPREAD_PACE_BITS: the larger, the slower. 0: not known
 * before a few clocks. */
unsigned train_spread_pace(const struct train_spread *s);

/* How many clocks behind a peer of pace @slowest may be for one of pace @own to
 * go on. 0 where one is not known, or @own is the slower one. */
uint32_t train_spread_worth(unsigned own, unsigned slowest);

/* A bound between two. */
struct train_bound {
    uint32_t low, high;
    uint32_t now;    /* What holds: @low at first. */
    uint32_t most;   /* That was wanted since less than now has been enough, */
    uint32_t n_calm; /* for so many clocks. */
};

/* At a clock, @wanted is enough. Return what holds. */
uint32_t train_bound_next(struct train_bound *b, uint32_t wanted);

#endif /* TRAIN_SPREAD_H_ */
