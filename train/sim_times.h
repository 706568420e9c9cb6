/* How long the simulated peers take for what they do. */

#ifndef TRAIN_SIM_TIMES_H_
#define TRAIN_SIM_TIMES_H_

#include <stdbool.h>

#include "train/clock.h"

struct train_sim_times {
    uint64_t seed;
    uint64_t compute_ns; /* A clock's gradient and its records. */
    uint64_t apply_ns;   /* A batch. */
    double jitter;       /* Gradients vary by this share, up and down. */
    uint32_t n_peers;
    uint32_t n_stragglers;
    double factor; /* Of stragglers. */
};

/* Which peers are slow: spread evenly, rank 0 last of all. */
bool train_sim_times_is_straggler(const struct train_sim_times *t,
                                  uint32_t peer);

/* Virtual nanoseconds that @peer takes for the gradient of @clock, and to apply
 * @n batches. */
uint64_t train_sim_times_compute(const struct train_sim_times *t,
                                 uint32_t peer,
                                 uint64_t clock);
uint64_t
train_sim_times_apply(const struct train_sim_times *t, uint32_t peer, size_t n);

/* Fill in what is 0 of compute_ns and apply_ns with what this machine takes,
 * divided by @speed: peers with the shards @data (n_data) take a few steps
 * together with @replica, which is changed by it.
 *
 * Errors: those of train_clock_compute(), _encode() and _apply(). */
int train_sim_times_measure(struct train_sim_times *t,
                            struct train_replica *replica,
                            const struct dataset *data,
                            size_t n_data,
                            double speed,
                            struct err *e);

#endif /* TRAIN_SIM_TIMES_H_ */
