#include "train/spread.h"

#include <math.h>

/* Less than this share of a clock is not worth one. */
#define IGNORED 0.05

void train_spread_add(struct train_spread *s, uint64_t now_ns, uint64_t clocks)
{
    double x = (double)(now_ns - s->last_ns) / (double)clocks;

    if (s->begun && s->n == 0) {
        s->mean_ns = x;
        s->dev_ns = x / 2;
    } else if (s->begun) {
        s->dev_ns += (fabs(x - s->mean_ns) - s->dev_ns) / 4;
        s->mean_ns += (x - s->mean_ns) / 8;
    }
    s->n += s->begun;
    s->begun = true;
    s->last_ns = now_ns;
}

void train_spread_begin(struct train_spread *s, uint64_t now_ns)
{
    s->begun = true;
    s->last_ns = now_ns;
}

uint32_t train_spread_staleness(const struct train_spread *const *peers,
                                uint32_t n,
                                uint32_t low,
                                uint32_t high)
{
    double fastest = INFINITY, latest = 0, s;
    uint32_t seen = 0;

    for (uint32_t p = 0; p < n; p++) {
        if (peers[p]->n > 0) {
            fastest = fmin(fastest, peers[p]->mean_ns);
            latest = fmax(latest, peers[p]->mean_ns + 2 * peers[p]->dev_ns);
            seen++;
        }
    }
    if (seen < 2 || fastest <= 0) {
        return low;
    }
    s = ceil((latest - fastest) / fastest - IGNORED);
    return s <= low ? low : s >= high ? high : (uint32_t)s;
}
