#include "dataset/sampler.h"

#include <assert.h>

#include "core/rng.h"

void dataset_sampler_get(const struct dataset_sampler *s,
                         uint64_t clock,
                         uint32_t *rows)
{
    uint64_t t = clock * s->batch;
    uint64_t epoch, at, stream;

    assert(s->n_rows > 0 && s->batch > 0);
    epoch = t / s->n_rows;
    at = t % s->n_rows;
    stream = rng_stream(RNG_SHUFFLE, s->shard, epoch);
    for (uint32_t i = 0; i < s->batch; i++) {
        if (at == s->n_rows) {
            at = 0;
            stream = rng_stream(RNG_SHUFFLE, s->shard, ++epoch);
        }
        rows[i] = (uint32_t)rng_permute(s->seed, stream, s->n_rows, at++);
    }
}
