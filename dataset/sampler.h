/* Which samples a clock uses: a pure function of (seed, shard, clock).
 *
 * Position t = clock * batch + i counts samples from the start of training.
 * Epoch t / n_rows of the shard is a random permutation of its rows, a new one
 * each time, so that every epoch visits every row once. A minibatch may begin
 * in one epoch and end in the next.
 */

#ifndef DATASET_SAMPLER_H_
#define DATASET_SAMPLER_H_

#include <stdint.h>

struct dataset_sampler {
    uint64_t seed;
    uint32_t shard;
    uint32_t n_rows; /* Of the shard, above 0. */
    uint32_t batch;  /* Samples per clock, above 0. */
};

/* Write the rows (of the shard, from 0) of clock @clock's minibatch to
 * @rows (batch). */
void dataset_sampler_get(const struct dataset_sampler *s,
                         uint64_t clock,
                         uint32_t *rows);

#endif /* DATASET_SAMPLER_H_ */
