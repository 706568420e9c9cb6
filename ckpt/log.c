#include "ckpt/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ckpt/catalog.h"
#include "ckpt/mend.h"
#include "ckpt/segment.h"
#include "ckpt/writer.h"
#include "core/clock.h"

#define ROUND_BLOBS 256 /* Written between two looks at the queue. */
#define WAKE_SIZE   ((size_t)1 << 20) /* Bytes that wake the thread at once. */
#define GATHER_NS   (20 * CLOCK_MS)   /* How long fewer may wait. */
#define INDEX_ROWS  8192              /* Rows that are put at once at most. */

struct ckpt_log {
    struct ckpt_writer writer; /* The thread's, once it runs. */
    char *dir;
    int lock; /* File descriptor, -1: none. */
    enum ckpt_durability durability;
    uint64_t interval_ns;

    pthread_t thread;
    bool started;
    uint64_t sync_ns;  /* When the thread synced last, */
    uint64_t index_ns; /* and put rows to the index. */

    pthread_mutex_t mutex; /* Of all that follows. */
    pthread_cond_t work;   /* For the thread. */
    pthread_cond_t done;   /* For callers: room, or a sync. */
    struct blob **blobs;   /* Ring. */
    size_t room, first, n;
    size_t queued;                   /* Bytes, those being written too. */
    uint64_t first_ns;               /* When the oldest blob came. */
    uint64_t sync_wanted, sync_done; /* Calls of ckpt_log_sync. */
    bool closing;
    struct err error; /* Of failed. */
    atomic_int failed;
    atomic_uint_least64_t durable_clock, bytes;
    atomic_bool forget; /* Segments went. */
};

static void fail(struct ckpt_log *log, int rc, const struct err *e)
{
    log_error(log->writer.log, "log of peer %u: %s", log->writer.peer, e->msg);
    pthread_mutex_lock(&log->mutex);
    log->error = *e;
    atomic_store(&log->failed, rc);
    pthread_cond_broadcast(&log->done);
    pthread_mutex_unlock(&log->mutex);
}

static void publish(struct ckpt_log *log)
{
    atomic_store(&log->durable_clock, log->writer.n_synced);
    atomic_store(&log->bytes, log->writer.bytes);
}

/* When the thread has something to do for what it has written. */
static uint64_t write_due(const struct ckpt_log *log)
{
    const struct ckpt_writer *w = &log->writer;
    uint64_t due = UINT64_MAX;

    if (ckpt_writer_n_rows(w) > 0) {
        due = log->index_ns + log->interval_ns;
    }
    if (log->durability == CKPT_DURABILITY_INTERVAL &&
        w->synced != w->written && log->sync_ns + log->interval_ns < due) {
        due = log->sync_ns + log->interval_ns;
    }
    return due;
}

/* When it has, for what is queued. The mutex is held. */
static uint64_t queue_due(const struct ckpt_log *log)
{
    uint64_t wait_ns = log->durability == CKPT_DURABILITY_CLOCK ? 0 : GATHER_NS;

    return log->n == 0 ? UINT64_MAX : log->first_ns + wait_ns;
}

static void wait_until(struct ckpt_log *log, uint64_t due)
{
    struct timespec ts = {.tv_sec = (time_t)(due / CLOCK_S),
                          .tv_nsec = (long)(due % CLOCK_S)};

    if (due == UINT64_MAX) {
        pthread_cond_wait(&log->work, &log->mutex);
    } else {
        pthread_cond_timedwait(&log->work, &log->mutex, &ts);
    }
}

struct round {
    struct blob *blobs[ROUND_BLOBS];
    size_t n;
    bool last;       /* Nothing is queued behind it, */
    uint64_t ticket; /* so that this sync is done, */
    bool sync;       /* if it is wanted; */
    bool closing;    /* nor will be. */
};

/* Wait for work and take it. Small blobs wait a little for others: waking a
 * thread for each would cost more than all the rest. */
static void take_round(struct ckpt_log *log, struct round *round)
{
    uint64_t due_write = write_due(log);

    pthread_mutex_lock(&log->mutex);
    while (!log->closing && log->sync_wanted == log->sync_done &&
           log->queued < WAKE_SIZE && log->n < ROUND_BLOBS) {
        uint64_t due = queue_due(log);
        due = due < due_write ? due : due_write;
        if (clock_ns() >= due) {
            break;
        }
        wait_until(log, due);
    }
    round->n = log->n < ROUND_BLOBS ? log->n : ROUND_BLOBS;
    for (size_t i = 0; i < round->n; i++) {
        round->blobs[i] = log->blobs[(log->first + i) % log->room];
    }
    log->first = (log->first + round->n) % log->room;
    log->n -= round->n;
    round->last = log->n == 0;
    round->ticket = log->sync_wanted;
    round->sync = log->sync_wanted != log->sync_done;
    round->closing = log->closing;
    pthread_mutex_unlock(&log->mutex);
}

/* Let callers go on. */
static void end_round(struct ckpt_log *log, const struct round *round)
{
    size_t size = 0;

    for (size_t i = 0; i < round->n; i++) {
        size += round->blobs[i]->size;
        blob_unref(round->blobs[i]);
    }
    pthread_mutex_lock(&log->mutex);
    log->queued -= size;
    if (round->last) {
        log->sync_done = round->ticket;
    }
    pthread_cond_broadcast(&log->done);
    pthread_mutex_unlock(&log->mutex);
}

static bool sync_is_due(const struct ckpt_log *log,
                        const struct round *round,
                        bool has_step,
                        uint64_t now)
{
    return (round->last && (round->sync || round->closing)) ||
           (log->durability == CKPT_DURABILITY_CLOCK && has_step) ||
           (log->durability == CKPT_DURABILITY_INTERVAL &&
            now - log->sync_ns >= log->interval_ns);
}

/* What it says of segments that went is not looked at: this keeps it small. */
static void forget_segments(struct ckpt_log *log)
{
    struct ckpt_writer *w = &log->writer;
    struct ckpt_catalog c;

    if (!atomic_exchange(&log->forget, false) || !w->indexing ||
        ckpt_catalog_map(&c, log->dir, NULL) != 0) {
        return;
    }
    (void)ckpt_index_forget(&w->index, c.segments[0].number, NULL);
    (void)ckpt_index_set_snapshots(&w->index, c.snapshots, c.n_snapshots, NULL);
    ckpt_catalog_close(&c);
}

/* Write what came, and make it durable as the user wants it. */
static int
write_round(struct ckpt_log *log, const struct round *round, struct err *e)
{
    struct ckpt_writer *w = &log->writer;
    bool has_step = false, end;
    uint64_t now;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < round->n; i++) {
        rc = ckpt_writer_append(w, round->blobs[i]->data, round->blobs[i]->size,
                                &has_step, e);
    }
    if (rc == 0) {
        rc = ckpt_writer_flush(w, e);
    }
    now = clock_ns();
    if (rc == 0 && sync_is_due(log, round, has_step, now)) {
        rc = ckpt_writer_sync(w, e);
        log->sync_ns = now;
    }
    end = round->last && (round->sync || round->closing);
    if (rc == 0 && (end || ckpt_writer_n_rows(w) >= INDEX_ROWS ||
                    now - log->index_ns >= log->interval_ns)) {
        ckpt_writer_put_index(w);
        forget_segments(log);
        log->index_ns = now;
    }
    return rc;
}

static void *log_main(void *arg)
{
    struct ckpt_log *log = arg;
    struct round round = {0};
    struct err e;

    do {
        take_round(log, &round);
        if (atomic_load(&log->failed) == 0) {
            int rc = write_round(log, &round, &e);
            if (rc != 0) {
                fail(log, rc, &e);
                ckpt_writer_salvage(&log->writer);
            }
            publish(log);
        }
        end_round(log, &round);
    } while (!round.closing || !round.last);
    return NULL;
}

/* Everything but the thread and the content. */
static int
log_init(struct ckpt_log **log, const struct ckpt_log_options *o, struct err *e)
{
    struct ckpt_log *x = calloc(1, sizeof *x);
    pthread_condattr_t attr;

    if (x == NULL) {
        return err_set(e, ERR_NOMEM, "log");
    }
    x->lock = -1;
    x->writer.fd = -1;
    pthread_mutex_init(&x->mutex, NULL);
    pthread_cond_init(&x->done, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&x->work, &attr);
    pthread_condattr_destroy(&attr);
    x->durability = o->durability;
    x->interval_ns =
        o->interval_ns == 0 ? CKPT_INTERVAL_NS_DEFAULT : o->interval_ns;
    x->room = 1024;
    x->blobs = malloc(x->room * sizeof *x->blobs);
    x->dir = strdup(o->dir);
    x->writer.fs = o->fs == NULL ? ckpt_fs_real() : o->fs;
    x->writer.log = o->log;
    x->writer.dir = x->dir;
    x->writer.segment_size_max = o->segment_size_max == 0
                                     ? CKPT_SEGMENT_SIZE_DEFAULT
                                     : o->segment_size_max;
    *log = x;
    return x->blobs == NULL || x->dir == NULL ? err_set(e, ERR_NOMEM, "log")
                                              : 0;
}

static void log_destroy(struct ckpt_log *log)
{
    if (log == NULL) {
        return;
    }
    if (log->writer.run_json != NULL) {
        ckpt_writer_fini(&log->writer);
    }
    if (log->lock >= 0) {
        close(log->lock);
    }
    pthread_cond_destroy(&log->work);
    pthread_cond_destroy(&log->done);
    pthread_mutex_destroy(&log->mutex);
    free(log->blobs);
    free(log->dir);
    free(log);
}

static int log_start(struct ckpt_log *log, struct err *e)
{
    log->sync_ns = clock_ns();
    log->index_ns = log->sync_ns;
    publish(log);
    if (pthread_create(&log->thread, NULL, log_main, log) != 0) {
        return err_set(e, ERR_NOMEM, "start the thread of the log");
    }
    log->started = true;
    return 0;
}

static int make_dirs(struct ckpt_log *log, struct err *e)
{
    char path[CKPT_PATH_SIZE];
    int rc = ckpt_path(path, log->dir, "segments", e);

    if (rc == 0) {
        rc = ckpt_dir_make(log->writer.fs, log->dir, e);
    }
    if (rc == 0) {
        rc = ckpt_dir_lock(log->dir, &log->lock, e);
    }
    return rc != 0 ? rc : ckpt_dir_make(log->writer.fs, path, e);
}

/* Leftovers of a crash before the first segment was there are no log. */
static int check_empty(const char *dir, struct err *e)
{
    struct ckpt_catalog c;
    int rc = ckpt_catalog_map(&c, dir, e);

    if (rc == ERR_NOT_FOUND) {
        return 0;
    }
    if (rc == 0) {
        ckpt_catalog_close(&c);
    }
    if (rc == 0 || rc == ERR_CORRUPT) {
        return err_set(e, ERR_BUSY,
                       "a log is there already: go on with it by lyre resume, "
                       "or name another --run");
    }
    return rc;
}

static int
create(struct ckpt_log *log, const struct ckpt_log_options *o, struct err *e)
{
    int rc = make_dirs(log, e);

    if (rc == 0) {
        rc = check_empty(log->dir, e);
    }
    if (rc == 0) {
        rc = ckpt_index_remove(log->dir, e);
    }
    if (rc != 0) {
        return rc;
    }
    log->writer.run = o->run;
    log->writer.peer = o->peer;
    rc = ckpt_writer_init(&log->writer, o->run_json, e);
    if (rc != 0) {
        return rc;
    }
    ckpt_writer_open_index(&log->writer);
    rc = ckpt_writer_begin(&log->writer, 0, e);
    if (rc == 0) {
        ckpt_writer_put_index(&log->writer);
        rc = log_start(log, e);
    }
    return rc;
}

int ckpt_log_create(struct ckpt_log **log,
                    const struct ckpt_log_options *o,
                    struct err *e)
{
    struct ckpt_log *x = NULL;
    int rc = log_init(&x, o, e);

    if (rc == 0) {
        rc = create(x, o, e);
    }
    if (rc != 0) {
        log_destroy(x);
        return err_wrap(e, rc, "create log %s", o->dir);
    }
    *log = x;
    return 0;
}

static int check_owner(const struct ckpt_catalog *c,
                       const struct ckpt_log_options *o,
                       struct err *e)
{
    if (c->run != o->run || c->peer != o->peer) {
        return err_set(e, ERR_INVALID,
                       "it is of peer %u, run %016llx, not of peer %u, run "
                       "%016llx",
                       c->peer, (unsigned long long)c->run, o->peer,
                       (unsigned long long)o->run);
    }
    return 0;
}

/* Cut the log, bring the index in line, start the thread. */
static int go_on(struct ckpt_log *log,
                 const struct ckpt_catalog *c,
                 uint64_t clock,
                 struct err *e)
{
    struct ckpt_writer *w = &log->writer;
    struct ckpt_mend m = {
        .catalog = c, .anew = c->index_rc != 0, .synced = true};
    int rc = ckpt_mend_find_end(&m, clock, e);

    if (rc != 0) {
        return rc;
    }
    w->run = c->run;
    w->peer = c->peer;
    w->n_steps = clock;
    w->n_written = clock;
    w->n_synced = clock;
    if ((rc = ckpt_writer_init(w, c->run_json, e)) != 0 ||
        (rc = ckpt_mend_snapshots(&m, w->fs, w->dir, clock, e)) != 0 ||
        (rc = ckpt_mend_remove(&m, w->fs, w->dir, e)) != 0 ||
        (rc = ckpt_writer_resume(
             w, &c->segments[m.segment - c->segments[0].number], m.end, e)) !=
            0 ||
        (rc = ckpt_mend_index(&m, w, clock, e)) != 0) {
        return rc;
    }
    return log_start(log, e);
}

int ckpt_log_reopen(struct ckpt_log **log,
                    const struct ckpt_log_options *o,
                    uint64_t clock,
                    struct err *e)
{
    struct ckpt_catalog c = {0};
    struct ckpt_log *x = NULL;
    int rc;

    if ((rc = log_init(&x, o, e)) == 0 &&
        (rc = ckpt_dir_lock(o->dir, &x->lock, e)) == 0 &&
        (rc = ckpt_catalog_open(&c, o->dir, true, e)) == 0 &&
        (rc = check_owner(&c, o, e)) == 0) {
        rc = go_on(x, &c, clock, e);
    }
    ckpt_catalog_close(&c);
    if (rc != 0) {
        log_destroy(x);
        return err_wrap(e, rc, "open log %s", o->dir);
    }
    *log = x;
    return 0;
}

static int failure(struct ckpt_log *log, struct err *e)
{
    int rc = atomic_load(&log->failed);

    if (rc != 0 && e != NULL) {
        *e = log->error; /* Set once, before failed is. */
    }
    return rc;
}

/* The mutex is held. */
static int queue_grow(struct ckpt_log *log, struct err *e)
{
    struct blob **blobs = malloc(2 * log->room * sizeof(struct blob *));

    if (blobs == NULL) {
        return err_set(e, ERR_NOMEM, "queue of the log");
    }
    for (size_t i = 0; i < log->n; i++) {
        blobs[i] = log->blobs[(log->first + i) % log->room];
    }
    free(log->blobs);
    log->blobs = blobs;
    log->room *= 2;
    log->first = 0;
    return 0;
}

/* The mutex is held. */
static int queue_put(struct ckpt_log *log, struct blob *records, struct err *e)
{
    int rc = log->n == log->room ? queue_grow(log, e) : 0;

    if (rc != 0) {
        return rc;
    }
    log->blobs[(log->first + log->n++) % log->room] = blob_ref(records);
    log->queued += records->size;
    if (log->n == 1) {
        log->first_ns = clock_ns();
    }
    if (log->n == 1 || log->n == ROUND_BLOBS ||
        (log->queued >= WAKE_SIZE && log->queued - records->size < WAKE_SIZE)) {
        pthread_cond_signal(&log->work);
    }
    return 0;
}

int ckpt_log_put(struct ckpt_log *log, struct blob *records, struct err *e)
{
    int rc;

    pthread_mutex_lock(&log->mutex);
    while (atomic_load(&log->failed) == 0 && log->queued > 0 &&
           log->queued + records->size > CKPT_QUEUE_SIZE) {
        pthread_cond_wait(&log->done, &log->mutex);
    }
    rc = failure(log, e);
    if (rc == 0) {
        rc = queue_put(log, records, e);
    }
    pthread_mutex_unlock(&log->mutex);
    return rc;
}

int ckpt_log_sync(struct ckpt_log *log, struct err *e)
{
    uint64_t ticket;
    int rc;

    pthread_mutex_lock(&log->mutex);
    ticket = ++log->sync_wanted;
    pthread_cond_signal(&log->work);
    while (atomic_load(&log->failed) == 0 && log->sync_done < ticket) {
        pthread_cond_wait(&log->done, &log->mutex);
    }
    rc = failure(log, e);
    pthread_mutex_unlock(&log->mutex);
    return rc;
}

void ckpt_log_forget(struct ckpt_log *log)
{
    atomic_store(&log->forget, true);
}

uint64_t ckpt_log_durable_clock(const struct ckpt_log *log)
{
    return atomic_load(&log->durable_clock);
}

int ckpt_log_failed(const struct ckpt_log *log)
{
    return atomic_load(&log->failed);
}

uint64_t ckpt_log_bytes(const struct ckpt_log *log)
{
    return atomic_load(&log->bytes);
}

int ckpt_log_close(struct ckpt_log *log, struct err *e)
{
    int rc;

    if (log == NULL) {
        return 0;
    }
    pthread_mutex_lock(&log->mutex);
    log->closing = true;
    pthread_cond_signal(&log->work);
    pthread_mutex_unlock(&log->mutex);
    pthread_join(log->thread, NULL);
    rc = failure(log, e);
    log_destroy(log);
    return rc;
}

int ckpt_log_reindex(const char *dir, struct err *e)
{
    struct ckpt_catalog c = {0};
    struct ckpt_index x = {0};
    struct ckpt_mend m = {.catalog = &c, .anew = true};
    int rc, lock = -1;

    if ((rc = ckpt_dir_lock(dir, &lock, e)) == 0 &&
        (rc = ckpt_catalog_open(&c, dir, false, e)) == 0 &&
        (rc = ckpt_index_remove(dir, e)) == 0 &&
        (rc = ckpt_index_open(&x, dir, true, e)) == 0) {
        m.segment = c.segments[c.n_valid - 1].number;
        m.end = c.segments[c.n_valid - 1].size;
        rc = ckpt_index_put_run(&x, c.run, c.peer, c.run_json, e);
        if (rc == 0) {
            rc = ckpt_mend_fill_index(&m, &x, e);
        }
        if (rc == 0) {
            rc = ckpt_index_set_snapshots(&x, c.snapshots, c.n_snapshots, e);
        }
        ckpt_index_close(&x);
    }
    ckpt_catalog_close(&c);
    if (lock >= 0) {
        close(lock);
    }
    return rc == 0 ? 0 : err_wrap(e, rc, "reindex %s", dir);
}
