/* Which clocks of a peer have come, where some may be missing: all below a
 * number, and some of the next TRAIN_WINDOW. */

#ifndef TRAIN_WINDOW_H_
#define TRAIN_WINDOW_H_

#include <stdbool.h>
#include <stdint.h>

#define TRAIN_WINDOW 512 /* Clocks of one peer that may be held at once. */

/* Bit (clock mod TRAIN_WINDOW) stands for a clock at or above the number that
 * goes with it, and less than TRAIN_WINDOW above it. */
struct train_window {
    uint64_t bits[TRAIN_WINDOW / 64];
};

static inline bool train_window_has(const struct train_window *w,
                                    uint64_t clock)
{
    uint64_t slot = clock % TRAIN_WINDOW;

    return (w->bits[slot / 64] >> slot % 64 & 1) != 0;
}

/* Add @clock to those that came at or above @all. One that is there, that is
 * below @all or too far above it changes nothing and returns false. */
static inline bool
train_window_put(struct train_window *w, uint64_t all, uint64_t clock)
{
    if (clock < all || clock >= all + TRAIN_WINDOW ||
        train_window_has(w, clock)) {
        return false;
    }
    w->bits[clock % TRAIN_WINDOW / 64] |= (uint64_t)1 << clock % 64;
    return true;
}

/* Take @clock out again. Return whether it was there. */
static inline bool train_window_take(struct train_window *w, uint64_t clock)
{
    bool has = train_window_has(w, clock);

    w->bits[clock % TRAIN_WINDOW / 64] &= ~((uint64_t)1 << clock % 64);
    return has;
}

#endif /* TRAIN_WINDOW_H_ */
