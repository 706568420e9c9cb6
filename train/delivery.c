#include "train/delivery.h"

/* A rejoin or another set of members would make another view. */
#define VIEW 0

static bool to_all(const struct train_delivery *d)
{
    return p2p_multicast_fan_out(&d->schedule) + 1 >= d->schedule.n_peers;
}

bool train_delivery_eager(const struct train_delivery *d,
                          p2p_peer p,
                          p2p_peer q,
                          uint64_t clock)
{
    return to_all(d) || p2p_multicast_sends(&d->schedule, VIEW, p, clock, q);
}

uint64_t train_delivery_group_end(const struct train_delivery *d,
                                  uint64_t clock)
{
    uint64_t end;

    if (to_all(d)) {
        return clock + 1;
    }
    end = (clock / d->lazy + 1) * d->lazy;
    return end < d->last_clock ? end : d->last_clock;
}

bool train_delivery_due(const struct train_delivery *d,
                        p2p_peer p,
                        p2p_peer q,
                        uint64_t clock,
                        uint64_t computed)
{
    return clock < computed &&
           (train_delivery_group_end(d, clock) <= computed ||
            train_delivery_eager(d, p, q, clock));
}

uint64_t train_delivery_complete(const struct train_delivery *d, uint64_t limit)
{
    return to_all(d) || limit >= d->last_clock ? limit
                                               : limit / d->lazy * d->lazy;
}
