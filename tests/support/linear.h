/* Whether what processes saw of one object can have happened in one order.
 *
 * The object has a hash of all pushes so far, in their order, and their number:
 *
 *     push(x): hash = (31 hash + x) mod 8191, count = count + 1
 *     pull():  hash, count
 *
 * A history is linearizable iff each operation can be given a moment between
 * its begin and its end so that pulls return what the pushes before them leave.
 * One that never ended may have happened, or not. All orders are searched that
 * times allow; states that were met before are not searched again.
 *
 * Source: Wing, Gong, "Testing and verifying concurrent objects", 1993; Lowe,
 * "Testing for linearizability", 2017.
 */

#ifndef TESTS_SUPPORT_LINEAR_H_
#define TESTS_SUPPORT_LINEAR_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEAR_OPS_MAX       4096
#define LINEAR_PROCESSES_MAX 64
#define LINEAR_MODULUS       8191
#define LINEAR_PENDING       UINT64_MAX

struct linear_op {
    uint32_t process; /* Does one operation after the other. */
    bool is_push;
    uint32_t x;           /* Push: below LINEAR_MODULUS. */
    uint32_t hash, count; /* Pull: what it returned. */
    uint64_t begin;
    uint64_t end; /* LINEAR_PENDING: never. */
};

struct linear_history {
    struct linear_op ops[LINEAR_OPS_MAX]; /* By begin. */
    size_t n_ops;
};

static inline uint32_t linear_hash(uint32_t hash, uint32_t x)
{
    return (31 * hash + x) % LINEAR_MODULUS;
}

bool linear_check(const struct linear_history *h);

#endif /* TESTS_SUPPORT_LINEAR_H_ */
