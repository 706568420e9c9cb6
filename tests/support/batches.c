#include "tests/support/batches.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/test.h"

static uint64_t draw(const struct shape *s, uint64_t i, uint64_t below)
{
    return rng_below(s->seed, RNG_TEST, i, below);
}

static float from_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static float value(const struct shape *s, uint64_t r, uint64_t i)
{
    static const uint32_t extreme[] = {
        0x00000000, 0x80000000, 0x00000001, 0x807fffff, 0x7f7fffff, 0xff800000,
        0x7f800000, 0x7fc00000, 0x7fa12345, 0xffffffff, 0x3f800000};
    uint64_t at = r << 32 | i;

    switch (s->values) {
    case FEW:
        return (float)(1 + draw(s, at, 3)) / (float)(r + 2);
    case FEW_IN_ALL:
        return (float)draw(s, at, 200) / 255.0f;
    case ONE:
        return 1.0f;
    case EXTREME:
        return from_bits(extreme[draw(s, at, 11)]);
    case TINY:
        return ldexpf(rng_normal(s->seed, RNG_TEST, at),
                      -12 - (int)draw(s, ~at, 14));
    case WIDE:
        return ldexpf(rng_normal(s->seed, RNG_TEST, at),
                      (int)draw(s, ~at, 240) - 130);
    default:
        return rng_normal(s->seed, RNG_TEST, at);
    }
}

/* A vector in @idx and @val. */
static struct sv_vec make_vec(const struct shape *s,
                              uint32_t len,
                              bool sparse,
                              uint64_t r,
                              uint32_t *idx,
                              float *val)
{
    uint64_t share = draw(s, r << 33, 6);
    uint32_t n = 0;

    for (uint32_t i = 0; i < len; i++) {
        if (!sparse || share == 5 ||
            (share > 0 && draw(s, r << 34 | i, 4) == 0)) {
            idx[n] = i;
            val[n] = value(s, r, i);
            n++;
        }
    }
    return (struct sv_vec){.nnz = n, .idx = sparse ? idx : NULL, .val = val};
}

void batches_make(struct sv_batch *b, const struct shape *s)
{
    uint32_t most = s->J > s->K ? s->J : s->K;
    uint32_t *idx = malloc(2 * most * sizeof *idx);
    float *val = malloc(2 * most * sizeof *val);
    struct err e;

    sv_batch_init(b, s->J, s->K);
    sv_batch_reset(b, s->u_sparse, s->v_sparse);
    b->rate = s->values == EXTREME ? from_bits(0x7fa00001) : 0.5f;
    for (uint32_t r = 0; r < s->n; r++) {
        struct sv_vec u =
            make_vec(s, s->J, s->u_sparse, 2 * (uint64_t)r + 2, idx, val);
        struct sv_vec v = make_vec(s, s->K, s->v_sparse, 2 * (uint64_t)r + 3,
                                   idx + most, val + most);
        float coef = s->seed % 2 == 0 ? -1.5f : value(s, 0, r);
        uint32_t sample =
            s->seed % 3 == 0 ? SV_NO_SAMPLE : (uint32_t)draw(s, r, UINT32_MAX);
        assert_int_equal(sv_batch_append(b, coef, u, v, sample, &e), 0);
    }
    free(idx);
    free(val);
}

static void assert_vecs_equal(const struct sv_vecs *a, const struct sv_vecs *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->len, b->len);
    assert_int_equal(a->sparse, b->sparse);
    for (uint32_t r = 0; r < a->n; r++) {
        struct sv_vec x = sv_vecs_get(a, r), y = sv_vecs_get(b, r);
        assert_int_equal(x.nnz, y.nnz);
        if (x.nnz > 0) {
            assert_memory_equal(x.val, y.val, x.nnz * sizeof *x.val);
        }
        if (a->sparse && x.nnz > 0) {
            assert_memory_equal(x.idx, y.idx, x.nnz * sizeof *x.idx);
        }
        for (uint32_t j = a->len; !a->sparse && j < a->ld; j++) {
            assert_true(y.val[j] == 0);
        }
    }
}

void batches_assert_equal(const struct sv_batch *a, const struct sv_batch *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(&a->rate, &b->rate, sizeof a->rate);
    if (a->n > 0) {
        assert_memory_equal(a->coef, b->coef, a->n * sizeof *a->coef);
        assert_memory_equal(a->sample, b->sample, a->n * sizeof *a->sample);
    }
    assert_vecs_equal(&a->u, &b->u);
    assert_vecs_equal(&a->v, &b->v);
}
