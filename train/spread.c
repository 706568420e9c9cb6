#include "train/spread.h"

#include <math.h>

#define CLOCKS_MEAN 16  /* The mean forgets within about so many clocks. */
#define CLOCKS_MIN  4   /* Fewer say nothing. */
#define STEPS       64  /* Of the pace, for a factor of two. */
#define ORIGIN_LOG2 10  /* Pace 1 is 2^10 ns. */
#define IGNORED     .25 /* Less than this share of a clock is worth none. */

void train_spread_begin(struct train_spread *s, uint64_t now_ns)
{
    s->begun = true;
    s->begin_ns = now_ns;
}

/* The first clock of a process is like no other: nothing is in its caches. It
 * has no begin. */
void train_spread_end(struct train_spread *s, uint64_t now_ns)
{
    double x = (double)(now_ns - s->begin_ns), n;

    if (!s->begun) {
        return;
    }
    s->begun = false;
    s->n++;
    n = s->n < CLOCKS_MEAN ? (double)s->n : CLOCKS_MEAN;
    s->mean_ns += (x - s->mean_ns) / n;
}

unsigned train_spread_pace(const struct train_spread *s)
{
    const double most = (1 << SPREAD_PACE_BITS) - 1;
    double pace;

    if (s->n < CLOCKS_MIN) {
        return 0;
    }
    pace = 1 + round(STEPS * (log2(s->mean_ns + 1) - ORIGIN_LOG2));
    return (unsigned)(pace < 1 ? 1 : pace > most ? most : pace);
}

uint32_t train_spread_worth(unsigned own, unsigned slowest)
{
    if (own == 0 || slowest <= own) {
        return 0;
    }
    return (uint32_t)ceil(exp2((double)(slowest - own) / STEPS) - 1 - IGNORED);
}

uint32_t train_bound_next(struct train_bound *b, uint32_t wanted)
{
    wanted = wanted < b->low ? b->low : wanted > b->high ? b->high : wanted;
    b->most = wanted > b->most ? wanted : b->most;
    b->n_calm++;
    if (wanted >= b->now || b->n_calm == SPREAD_CALM) {
        b->now = wanted >= b->now ? wanted : b->most;
        b->most = 0;
        b->n_calm = 0;
    }
    return b->now;
}
