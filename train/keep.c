#include "train/keep.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ckpt/reader.h"
#include "core/clock.h"
#include "train/compact.h"

#define LOOK_NS (200 * CLOCK_MS)
#define SAFE_INTERVALS \
    3 /* Of syncing, until others have durable what we had. */
#define SAFE_NS_MIN (500 * CLOCK_MS)
#define TRY_CLOCKS  64 /* Between two tries to get below a limit. */

struct train_keep {
    const char *dir;
    uint32_t rank;
    const struct train_run *run;
    struct ckpt_log *ckpt;
    struct log *log;
    struct train_keep_state state;
    uint64_t base_bytes;    /* Of segments, less what this process wrote. */
    uint64_t seen, seen_ns; /* Clocks that were durable, and when. */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_bool stop;
};

uint64_t train_keep_target(const struct train_run *run,
                           const struct train_keep_state *s)
{
    /* Peers are at most one clock apart besides. */
    const uint64_t behind = train_run_memory(run) + 2;
    uint64_t to = s->safe > behind ? s->safe - behind : 0;

    if (run->log_limit != 0 && s->bytes > run->log_limit &&
        to >= s->tried + TRY_CLOCKS) {
        return to;
    }
    if (run->keep_clocks != 0 && s->durable >= s->first &&
        s->durable - s->first >= 2 * run->keep_clocks) {
        uint64_t wanted = s->durable - run->keep_clocks;
        to = wanted < to ? wanted : to;
        return to >= s->first + (run->keep_clocks + 1) / 2 ? to : 0;
    }
    return 0;
}

static int stop_asked(void *arg, uint64_t clock)
{
    (void)clock;
    return atomic_load(&((struct train_keep *)arg)->stop);
}

/* What was durable here some time ago is durable everywhere by now. */
static void look(struct train_keep *k)
{
    uint64_t wait = SAFE_INTERVALS * k->run->durability_ns, now = clock_ns();

    wait = wait < SAFE_NS_MIN ? SAFE_NS_MIN : wait;
    k->state.durable = ckpt_log_durable_clock(k->ckpt);
    k->state.bytes = k->base_bytes + ckpt_log_bytes(k->ckpt);
    if (k->run->n_peers == 1) {
        k->state.safe = k->state.durable;
    } else if (now - k->seen_ns >= wait) {
        k->state.safe = k->seen;
        k->seen = k->state.durable;
        k->seen_ns = now;
    }
}

static void compact(struct train_keep *k, uint64_t clock)
{
    const struct train_compact_options o = {.dir = k->dir,
                                            .peer = k->rank,
                                            .clock = clock,
                                            .beside = true,
                                            .progress = stop_asked,
                                            .progress_arg = k};
    struct ckpt_compact_report report;
    struct err e;
    int rc = train_compact(&o, &report, &e);

    k->state.tried = clock;
    if (rc == 0) {
        k->state.first = clock;
        k->base_bytes -= report.bytes;
        ckpt_log_forget(k->ckpt);
        log_info(k->log,
                 "log compacted to clock %" PRIu64 ": %" PRIu64
                 " segments went, %.1f MB",
                 clock, report.segments, (double)report.bytes / 1e6);
    } else if (rc != ERR_INTERRUPTED) {
        log_warn(k->log, "log not compacted: %s", e.msg);
        k->state.first = k->state.durable; /* Not again at once. */
    }
}

static void wait_a_little(struct train_keep *k)
{
    uint64_t due = clock_ns() + LOOK_NS;
    struct timespec ts = {.tv_sec = (time_t)(due / CLOCK_S),
                          .tv_nsec = (long)(due % CLOCK_S)};

    pthread_mutex_lock(&k->mutex);
    if (!atomic_load(&k->stop)) {
        pthread_cond_timedwait(&k->wake, &k->mutex, &ts);
    }
    pthread_mutex_unlock(&k->mutex);
}

static void *keep_main(void *arg)
{
    const struct sched_param param = {.sched_priority = 0};
    struct train_keep *k = arg;

    pthread_setschedparam(pthread_self(), SCHED_IDLE, &param);
    while (!atomic_load(&k->stop)) {
        uint64_t to;
        wait_a_little(k);
        look(k);
        to = train_keep_target(k->run, &k->state);
        if (to != 0 && !atomic_load(&k->stop)) {
            compact(k, to);
        }
    }
    return NULL;
}

/* What is there to begin with. */
static int read_state(struct train_keep *k, struct err *e)
{
    char *path = train_peer_dir(k->dir, k->rank);
    struct ckpt_reader *r;
    int rc = path == NULL ? err_set(e, ERR_NOMEM, "path of the log")
                          : ckpt_reader_open(&r, path, e);

    if (rc == 0) {
        k->state.first = ckpt_reader_first(r);
        k->base_bytes = ckpt_reader_bytes(r) - ckpt_log_bytes(k->ckpt);
        ckpt_reader_close(r);
    }
    free(path);
    return rc;
}

static void keep_destroy(struct train_keep *k)
{
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

int train_keep_start(struct train_keep **k,
                     const char *dir,
                     uint32_t rank,
                     const struct train_run *run,
                     struct ckpt_log *ckpt,
                     struct log *log,
                     struct err *e)
{
    struct train_keep *x;
    pthread_condattr_t attr;
    int rc;

    *k = NULL;
    if (run->keep_clocks == 0 && run->log_limit == 0) {
        return 0;
    }
    x = calloc(1, sizeof *x);
    if (x == NULL) {
        return err_set(e, ERR_NOMEM, "compacting the log");
    }
    x->dir = dir;
    x->rank = rank;
    x->run = run;
    x->ckpt = ckpt;
    x->log = log;
    x->seen_ns = clock_ns();
    pthread_mutex_init(&x->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&x->wake, &attr);
    pthread_condattr_destroy(&attr);
    rc = read_state(x, e);
    if (rc == 0 && pthread_create(&x->thread, NULL, keep_main, x) != 0) {
        rc = err_set(e, ERR_NOMEM, "start the thread that compacts the log");
    }
    if (rc != 0) {
        keep_destroy(x);
        return rc;
    }
    *k = x;
    return 0;
}

void train_keep_stop(struct train_keep *k)
{
    const struct sched_param param = {.sched_priority = 0};

    if (k == NULL) {
        return;
    }
    /* It is waited for now. Where that is not permitted, it takes longer. */
    (void)pthread_setschedparam(k->thread, SCHED_OTHER, &param);
    pthread_mutex_lock(&k->mutex);
    atomic_store(&k->stop, true);
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->mutex);
    pthread_join(k->thread, NULL);
    keep_destroy(k);
}
