#include "sv/sparsify.h"

#include <assert.h>
#include <math.h>

#include "core/isa.h"
#include "core/rng.h"
#include "sv/sparsify_kernel.h"

uint32_t
sv_sparsify_tail(const struct sv_sparsify_job *s, uint32_t j, uint32_t n)
{
    for (; j < s->J; j++) {
        float u = s->u[j];
        if (fabsf(u) < s->tau) {
            float r = (float)(sv_sparsify_hash(s->key, j) >> 8) * 0x1p-24f;
            if (!s->unbiased || !(r * s->tau < fabsf(u))) {
                continue;
            }
            u = copysignf(s->tau, u);
        }
        s->idx[n] = j;
        s->val[n] = u;
        n++;
    }
    return n;
}

uint32_t sv_sparsify(const struct sv_sparsify *s,
                     const float *u,
                     uint32_t J,
                     uint32_t pair,
                     uint32_t *idx,
                     float *val)
{
    struct sv_sparsify_job job = {.tau = s->tau,
                                  .unbiased = s->unbiased,
                                  .u = u,
                                  .J = J,
                                  .idx = idx,
                                  .val = val};

    assert(s->tau >= 0);
    if (s->unbiased) {
        uint64_t key = rng_u64(s->seed, s->stream, pair);
        job.key[0] = (uint32_t)key;
        job.key[1] = (uint32_t)(key >> 32);
    }
#if defined(__x86_64__)
    if (isa_get() == ISA_AVX512) {
        return sv_sparsify_avx512(&job);
    }
    if (isa_get() == ISA_AVX2) {
        return sv_sparsify_avx2(&job);
    }
#endif
    return sv_sparsify_tail(&job, 0, 0);
}
