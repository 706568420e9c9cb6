/* Batches of random shapes and of values that codecs meet, and their
 * comparison. */

#ifndef TESTS_SUPPORT_BATCHES_H_
#define TESTS_SUPPORT_BATCHES_H_

#include "sv/batch.h"

/* What values a vector has. */
enum values {
    RANDOM,     /* Normal. */
    FEW,        /* Different ones in each vector. */
    FEW_IN_ALL, /* The same ones in all vectors. */
    ONE,
    EXTREME, /* Zeros, denormals, infinities, NaNs. */
    TINY,    /* Around the least normal of f16, and below. */
    WIDE,    /* Finite, of any size. */
    VALUES_COUNT
};

struct shape {
    uint32_t n, J, K;
    bool u_sparse, v_sparse;
    enum values values;
    uint64_t seed;
};

/* Make the batch of @s, the same whenever it is asked for. Sparse vectors list
 * about a quarter of the entries; none now and then, and now and then all. */
void batches_make(struct sv_batch *b, const struct shape *s);

/* Fail unless @a and @b have the same bits. */
void batches_assert_equal(const struct sv_batch *a, const struct sv_batch *b);

#endif /* TESTS_SUPPORT_BATCHES_H_ */
