/* Counter-based random numbers (Philox4x32-10).
 *
 * Any value is a pure function of (seed, stream, index): nothing random needs
 * to be saved, sent or replayed in order. A stream is a purpose ("shuffle of
 * shard 3 in epoch 7"); make one of several numbers with rng_stream().
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011.
 */

#ifndef CORE_RNG_H_
#define CORE_RNG_H_

#include <stdint.h>

/* What a stream is for. Two purposes never share a stream. */
enum rng_purpose {
    RNG_SHUFFLE = 1, /* Order of the samples of a shard in an epoch. */
    RNG_INIT,        /* Initial values of parameters. */
    RNG_SPARSIFY,    /* Unbiased rounding of small entries of u. */
    RNG_MULTICAST,   /* Whom a peer sends to. */
    RNG_SELECT,      /* Which pairs are chosen. */
    RNG_SPLIT,       /* Which rows of a data set are for testing. */
    RNG_NETWORK,     /* Delay and loss of the simulated network. */
    RNG_TEST,        /* Anything in a test. */
    RNG_RING         /* Places of members and keys on a ring of ps/. */
};

/* The stream of @purpose with up to two more numbers that tell apart streams
 * of the same purpose, e.g. shard and epoch, or peer and clock. */
uint64_t rng_stream(enum rng_purpose purpose, uint64_t a, uint64_t b);

/* 64 random bits. */
uint64_t rng_u64(uint64_t seed, uint64_t stream, uint64_t index);

/* Uniform in [0, n). n > 0. Unbiased to 2^-64 n. */
uint64_t rng_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n);

/* Uniform in [0, 1), a multiple of 2^-24. */
float rng_f32(uint64_t seed, uint64_t stream, uint64_t index);

/* Standard normal (Box-Muller on one draw). Uses libm: the same everywhere
 * only to rounding, so for initial values and test data, never in replay. */
float rng_normal(uint64_t seed, uint64_t stream, uint64_t index);

/* Where position @i of [0, n) goes in a random permutation of [0, n) that
 * (seed, stream) name, computed without a table (Feistel network with cycle
 * walking). n > 0.
 *
 * Cost: about six hashes on average. */
uint64_t rng_permute(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i);

#endif /* CORE_RNG_H_ */
