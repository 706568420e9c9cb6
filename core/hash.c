#include "core/hash.h"

#include <assert.h>
#include <stdio.h>

#define XXH_STATIC_LINKING_ONLY /* Shows the state, for the stack. */
#include <xxhash.h>

uint64_t hash64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

uint64_t hash64_two(const void *a, size_t a_size, const void *b, size_t b_size)
{
    XXH3_state_t s;

    XXH3_INITSTATE(&s);
    XXH3_64bits_reset(&s);
    XXH3_64bits_update(&s, a, a_size);
    XXH3_64bits_update(&s, b, b_size);
    return XXH3_64bits_digest(&s);
}

struct hash128 hash_mat(const struct mat *m)
{
    XXH3_state_t s;
    XXH128_hash_t h;

    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
                  "floats in memory are hashed as they are");
    XXH3_INITSTATE(&s);
    XXH3_128bits_reset(&s);
    if (m->J == m->ld) {
        XXH3_128bits_update(&s, m->data, m->K * m->ld * sizeof(float));
    } else {
        for (size_t k = 0; k < m->K; k++) {
            XXH3_128bits_update(&s, mat_row(m, k), m->J * sizeof(float));
        }
    }
    h = XXH3_128bits_digest(&s);
    return (struct hash128){.high = h.high64, .low = h.low64};
}

void hash_hex(struct hash128 h, char hex[HASH_HEX_SIZE])
{
    snprintf(hex, HASH_HEX_SIZE, "%016llx%016llx", (unsigned long long)h.high,
             (unsigned long long)h.low);
}
