#include "core/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* How often a thread looks for work before it sleeps. Loops of training follow
 * one another within microseconds, and waking a thread costs several. */
#define POOL_SPINS 4000

struct pool {
    size_t n_threads;
    size_t n_started; /* Threads to join. */
    pthread_t threads[POOL_THREADS_MAX];
    pthread_mutex_t mutex;
    pthread_cond_t work; /* A new round began, or the pool stops. */
    pthread_cond_t idle; /* The last helper finished its round. */
    atomic_uint round;   /* Counts calls of pool_run. */
    atomic_bool stop;
    atomic_size_t next;   /* The next index to hand out. */
    atomic_size_t n_busy; /* Helpers that have not finished the round. */
    size_t n_sleeping;    /* Helpers in cond wait. Under the mutex. */
    bool caller_sleeping; /* Under the mutex. */
    size_t n;
    pool_fn fn;
    void *arg;
};

struct helper {
    struct pool *pool;
    size_t thread;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    sched_yield();
#endif
}

static void work(struct pool *p, size_t thread)
{
    size_t i;

    while ((i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) <
           p->n) {
        p->fn(p->arg, i, thread);
    }
}

/* Wait for a round other than @seen. False when the pool stops. */
static bool wait_round(struct pool *p, unsigned seen)
{
    for (int i = 0; i < POOL_SPINS; i++) {
        if (atomic_load_explicit(&p->round, memory_order_acquire) != seen) {
            return !atomic_load(&p->stop);
        }
        relax();
    }
    pthread_mutex_lock(&p->mutex);
    p->n_sleeping++;
    while (atomic_load(&p->round) == seen) {
        pthread_cond_wait(&p->work, &p->mutex);
    }
    p->n_sleeping--;
    pthread_mutex_unlock(&p->mutex);
    return !atomic_load(&p->stop);
}

static void *helper_main(void *arg)
{
    struct helper h = *(struct helper *)arg;
    struct pool *p = h.pool;
    unsigned seen = 0;

    free(arg);
    while (wait_round(p, seen)) {
        seen++;
        work(p, h.thread);
        if (atomic_fetch_sub_explicit(&p->n_busy, 1, memory_order_acq_rel) ==
            1) {
            pthread_mutex_lock(&p->mutex);
            if (p->caller_sleeping) {
                pthread_cond_signal(&p->idle);
            }
            pthread_mutex_unlock(&p->mutex);
        }
    }
    return NULL;
}

static void next_round(struct pool *p)
{
    pthread_mutex_lock(&p->mutex);
    atomic_fetch_add_explicit(&p->round, 1, memory_order_release);
    if (p->n_sleeping > 0) {
        pthread_cond_broadcast(&p->work);
    }
    pthread_mutex_unlock(&p->mutex);
}

static int start_helpers(struct pool *p, struct err *e)
{
    for (size_t t = 1; t < p->n_threads; t++) {
        struct helper *h = malloc(sizeof *h);
        if (h == NULL) {
            return err_set(e, ERR_NOMEM, "thread pool");
        }
        *h = (struct helper){.pool = p, .thread = t};
        if (pthread_create(&p->threads[t], NULL, helper_main, h) != 0) {
            free(h);
            return err_set(e, ERR_NOMEM, "start thread %zu of %zu", t,
                           p->n_threads);
        }
        p->n_started = t;
    }
    return 0;
}

int pool_create(struct pool **pool, size_t n_threads, struct err *e)
{
    struct pool *p;
    int rc;

    if (n_threads == 0 || n_threads > POOL_THREADS_MAX) {
        return err_set(e, ERR_INVALID, "%zu threads: 1 to %d can be had",
                       n_threads, POOL_THREADS_MAX);
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        return err_set(e, ERR_NOMEM, "thread pool");
    }
    p->n_threads = n_threads;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->idle, NULL);
    rc = start_helpers(p, e);
    if (rc != 0) {
        pool_destroy(p);
        return rc;
    }
    *pool = p;
    return 0;
}

void pool_destroy(struct pool *p)
{
    if (p == NULL) {
        return;
    }
    atomic_store(&p->stop, true);
    next_round(p);
    for (size_t t = 1; t <= p->n_started; t++) {
        pthread_join(p->threads[t], NULL);
    }
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->idle);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

size_t pool_threads(const struct pool *p)
{
    return p == NULL ? 1 : p->n_threads;
}

static void wait_idle(struct pool *p)
{
    for (int i = 0; i < POOL_SPINS; i++) {
        if (atomic_load_explicit(&p->n_busy, memory_order_acquire) == 0) {
            return;
        }
        relax();
    }
    pthread_mutex_lock(&p->mutex);
    p->caller_sleeping = true;
    while (atomic_load_explicit(&p->n_busy, memory_order_acquire) != 0) {
        pthread_cond_wait(&p->idle, &p->mutex);
    }
    p->caller_sleeping = false;
    pthread_mutex_unlock(&p->mutex);
}

void pool_run(struct pool *p, size_t n, pool_fn fn, void *arg)
{
    if (p == NULL || p->n_threads == 1 || n <= 1) {
        for (size_t i = 0; i < n; i++) {
            fn(arg, i, 0);
        }
        return;
    }
    p->n = n;
    p->fn = fn;
    p->arg = arg;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->n_busy, p->n_threads - 1, memory_order_relaxed);
    next_round(p);
    work(p, 0);
    wait_idle(p);
}
