/* A bounded queue of pointers between threads. */

#ifndef CORE_QUEUE_H_
#define CORE_QUEUE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct queue;

/* Errors: NULL if there is no memory. @capacity > 0. */
struct queue *queue_create(size_t capacity);

/* Nobody waits in it any more. What is still queued is not freed. */
void queue_destroy(struct queue *q);

/* Append @item, waiting for room as long as it takes.
 *
 * Errors: ERR_CLOSED  the queue was closed; the caller still owns @item. */
int queue_put(struct queue *q, void *item);

/* Append @item if there is room now.
 *
 * Errors: ERR_AGAIN   full.
 *         ERR_CLOSED  as above. */
int queue_try_put(struct queue *q, void *item);

/* Take the first item, waiting for one at most @timeout_ns (0: do not wait,
 * UINT64_MAX: as long as it takes).
 *
 * Errors: ERR_AGAIN   nothing came in time.
 *         ERR_CLOSED  closed, and nothing is left. */
int queue_get(struct queue *q, void **item, uint64_t timeout_ns);

/* Let nothing more in; wake all who wait. What is queued can still be got. */
void queue_close(struct queue *q);

size_t queue_count(struct queue *q);

#endif /* CORE_QUEUE_H_ */
