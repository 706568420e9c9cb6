#include "train/delivery.h"

/* A rejoin or another set of members would make another view. */
#define VIEW 0

static bool to_all(const struct train_delivery *d)
{
    return p2p_multicast_fan_out(&d->schedule) + 1 >= d->schedule.n_peers;
}

bool train_delivery_leaves_out(const struct train_delivery *d)
{
    return d->repair != TRAIN_REPAIR_LAZY && !to_all(d);
}

bool train_delivery_mixes(const struct train_delivery *d)
{
    return train_delivery_leaves_out(d) && d->repair != TRAIN_REPAIR_NONE;
}

bool train_delivery_eager(const struct train_delivery *d,
                          p2p_peer p,
                          p2p_peer q,
                          uint64_t clock)
{
    return to_all(d) || p2p_multicast_sends(&d->schedule, VIEW, p, clock, q);
}

bool train_delivery_reaches(const struct train_delivery *d,
                            p2p_peer p,
                            p2p_peer q,
                            uint64_t clock)
{
    return p == q || !train_delivery_leaves_out(d) ||
           train_delivery_eager(d, p, q, clock);
}

uint64_t train_delivery_next(const struct train_delivery *d,
                             p2p_peer p,
                             p2p_peer q,
                             uint64_t clock)
{
    bool neighbour = q == (p + 1) % d->schedule.n_peers;

    if (p == q || neighbour || !train_delivery_leaves_out(d)) {
        return clock;
    }
    if (p2p_multicast_fan_out(&d->schedule) == 1) { /* Never. */
        return clock < d->last_clock ? d->last_clock : clock;
    }
    while (clock < d->last_clock && !train_delivery_eager(d, p, q, clock)) {
        clock++;
    }
    return clock;
}

uint64_t train_delivery_group_end(const struct train_delivery *d,
                                  uint64_t clock)
{
    uint64_t end;

    if (to_all(d) || train_delivery_leaves_out(d)) {
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
    if (clock >= computed) {
        return false;
    }
    return (!train_delivery_leaves_out(d) &&
            train_delivery_group_end(d, clock) <= computed) ||
           train_delivery_eager(d, p, q, clock);
}

uint64_t train_delivery_complete(const struct train_delivery *d, uint64_t limit)
{
    return to_all(d) || train_delivery_leaves_out(d) || limit >= d->last_clock
               ? limit
               : limit / d->lazy * d->lazy;
}

/* Those of one kind, from p + 1 on: the @index-th in *holder, or how many. */
static uint32_t find_holder(const struct train_delivery *d,
                            const p2p_peer pair[2],
                            uint64_t clock,
                            bool eager,
                            uint32_t index,
                            p2p_peer *holder)
{
    uint32_t P = d->schedule.n_peers, n = 0;

    for (uint32_t shift = 1; shift < P; shift++) {
        p2p_peer x = (pair[0] + shift) % P;
        if (x != pair[1] &&
            train_delivery_eager(d, pair[0], x, clock) == eager) {
            if (n == index) {
                *holder = x;
            }
            n++;
        }
    }
    return n;
}

p2p_peer train_delivery_holder(const struct train_delivery *d,
                               p2p_peer p,
                               p2p_peer q,
                               uint64_t clock,
                               uint32_t index)
{
    const p2p_peer pair[2] = {p, q};
    p2p_peer holder = p, none;
    uint32_t n = find_holder(d, pair, clock, true, UINT32_MAX, &none);
    uint32_t all = n;

    if (!train_delivery_leaves_out(d)) {
        all += find_holder(d, pair, clock, false, UINT32_MAX, &none);
    }
    if (all > 0) {
        index %= all;
        (void)find_holder(d, pair, clock, index < n,
                          index < n ? index : index - n, &holder);
    }
    return holder;
}

float train_delivery_factor(const struct train_delivery *d,
                            p2p_peer p,
                            p2p_peer q)
{
    return p == q || !train_delivery_leaves_out(d)
               ? 1
               : p2p_multicast_scale(&d->schedule, p, q);
}

bool train_delivery_note(const struct train_delivery *d,
                         p2p_peer p,
                         p2p_peer q,
                         struct train_window *ahead,
                         uint64_t *have,
                         uint64_t clock)
{
    if (!train_delivery_reaches(d, p, q, clock) ||
        !train_window_put(ahead, *have, clock)) {
        return false;
    }
    while (train_window_take(ahead, *have)) {
        *have = train_delivery_next(d, p, q, *have + 1);
    }
    return true;
}
