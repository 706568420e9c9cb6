/* A small thread pool for loops: run a function for every index of a range,
 * on all threads, and wait. The caller's thread is one of them.
 *
 *     pool_run(pool, n_blocks, block_apply, &args);
 *
 * Indices are handed out in order, one at a time, so unequal tasks balance.
 * What a task computes must not depend on the thread it runs on.
 */

#ifndef CORE_POOL_H_
#define CORE_POOL_H_

#include <stddef.h>

#include "core/err.h"

#define POOL_THREADS_MAX 256

struct pool;

/* A task: @index in [0, n), @thread in [0, pool_threads()), for scratch memory
 * that each thread has once. */
typedef void (*pool_fn)(void *arg, size_t index, size_t thread);

/* A pool of @n_threads threads, the caller's included: 1 starts none.
 *
 * Errors: ERR_INVALID  0 or more than POOL_THREADS_MAX.
 *         ERR_NOMEM    the threads could not be started. */
int pool_create(struct pool **pool, size_t n_threads, struct err *e);
void pool_destroy(struct pool *p);

/* How many threads run tasks. A NULL pool has one: the caller. */
size_t pool_threads(const struct pool *p);

/* Call fn(arg, i, thread) for all i in [0, n), and return when all are done.
 * One caller at a time; tasks must not call it. A NULL pool runs them here. */
void pool_run(struct pool *p, size_t n, pool_fn fn, void *arg);

#endif /* CORE_POOL_H_ */
