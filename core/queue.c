#include "core/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled; /* Something was put, or the queue was closed. */
    pthread_cond_t room;   /* Something was taken, or the queue was closed. */
    bool closed;
    size_t capacity;
    size_t count;
    size_t first; /* Index of the oldest item. */
    void *items[];
};

struct queue *queue_create(size_t capacity)
{
    struct queue *q;
    pthread_condattr_t attr;

    assert(capacity > 0);
    q = calloc(1, sizeof *q + capacity * sizeof q->items[0]);
    if (q == NULL) {
        return NULL;
    }
    q->capacity = capacity;
    pthread_mutex_init(&q->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->filled, &attr);
    pthread_cond_init(&q->room, &attr);
    pthread_condattr_destroy(&attr);
    return q;
}

void queue_destroy(struct queue *q)
{
    if (q == NULL) {
        return;
    }
    pthread_cond_destroy(&q->filled);
    pthread_cond_destroy(&q->room);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

static int append(struct queue *q, void *item)
{
    if (q->closed) {
        return ERR_CLOSED;
    }
    if (q->count == q->capacity) {
        return ERR_AGAIN;
    }
    q->items[(q->first + q->count) % q->capacity] = item;
    q->count++;
    pthread_cond_signal(&q->filled);
    return 0;
}

int queue_put(struct queue *q, void *item)
{
    int rc;

    pthread_mutex_lock(&q->mutex);
    while ((rc = append(q, item)) == ERR_AGAIN) {
        pthread_cond_wait(&q->room, &q->mutex);
    }
    pthread_mutex_unlock(&q->mutex);
    return rc;
}

int queue_try_put(struct queue *q, void *item)
{
    int rc;

    pthread_mutex_lock(&q->mutex);
    rc = append(q, item);
    pthread_mutex_unlock(&q->mutex);
    return rc;
}

/* Wait until something is queued. False when the time is up or it never will
 * be. The mutex is held. */
static bool wait_filled(struct queue *q, uint64_t timeout_ns)
{
    uint64_t due = 0;
    struct timespec ts;

    if (timeout_ns != UINT64_MAX && timeout_ns != 0) {
        due = clock_ns() + timeout_ns;
        ts.tv_sec = (time_t)(due / CLOCK_S);
        ts.tv_nsec = (long)(due % CLOCK_S);
    }
    while (q->count == 0 && !q->closed && timeout_ns != 0) {
        if (timeout_ns == UINT64_MAX) {
            pthread_cond_wait(&q->filled, &q->mutex);
        } else if (pthread_cond_timedwait(&q->filled, &q->mutex, &ts) ==
                   ETIMEDOUT) {
            break;
        }
    }
    return q->count > 0;
}

int queue_get(struct queue *q, void **item, uint64_t timeout_ns)
{
    int rc = 0;

    pthread_mutex_lock(&q->mutex);
    if (wait_filled(q, timeout_ns)) {
        *item = q->items[q->first];
        q->first = (q->first + 1) % q->capacity;
        q->count--;
        pthread_cond_signal(&q->room);
    } else {
        rc = q->closed ? ERR_CLOSED : ERR_AGAIN;
    }
    pthread_mutex_unlock(&q->mutex);
    return rc;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_cond_broadcast(&q->room);
    pthread_mutex_unlock(&q->mutex);
}

size_t queue_count(struct queue *q)
{
    size_t n;

    pthread_mutex_lock(&q->mutex);
    n = q->count;
    pthread_mutex_unlock(&q->mutex);
    return n;
}
