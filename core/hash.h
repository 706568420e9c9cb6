/* Checksums and digests (XXH3). Not against an adversary. */

#ifndef CORE_HASH_H_
#define CORE_HASH_H_

#include <stddef.h>
#include <stdint.h>

#include "core/mat.h"

#define HASH_HEX_SIZE 33 /* Bytes of a digest in hex, with the final zero. */

struct hash128 {
    uint64_t high;
    uint64_t low;
};

uint64_t hash64(const void *data, size_t size);

/* The checksum of two pieces as if they stood one behind the other. */
uint64_t hash64_two(const void *a, size_t a_size, const void *b, size_t b_size);

/* XXH3-128 of the elements of @m, rows without their padding, each float as
 * its little-endian bits.
 *
 * Cost: one pass over the matrix. */
struct hash128 hash_mat(const struct mat *m);

/* "high low" as 32 hex digits. */
void hash_hex(struct hash128 h, char hex[HASH_HEX_SIZE]);

#endif /* CORE_HASH_H_ */
