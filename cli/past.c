#include "cli/past.h"

#include <sched.h>
#include <string.h>

#include "cli/say.h"

size_t past_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    const size_t n = (size_t)CPU_COUNT(&set);
    return n < POOL_THREADS_MAX ? n : POOL_THREADS_MAX;
}

int past_pool(struct pool **pool, uint64_t threads, struct err *e)
{
    return pool_create(pool, threads != 0 ? (size_t)threads : past_cpus(), e);
}

int past_open(struct past *p,
              const char *dir,
              const struct past_options *o,
              struct err *e)
{
    int status;

    memset(p, 0, sizeof *p);
    status = past_pool(&p->pool, o->threads, e);
    if (status != 0) {
        return status;
    }
    const int64_t peer = o->peer_given ? (int64_t)o->peer : -1;
    status = train_replica_open(&p->replica, dir, peer, p->pool, e);
    if (status != 0) {
        pool_destroy(p->pool);
        return status;
    }
    p->peer = ckpt_reader_peer(p->replica.reader);
    return 0;
}

void past_close(struct past *p)
{
    train_replica_close(&p->replica);
    pool_destroy(p->pool);
}

uint64_t past_clock(const struct past_options *o)
{
    return o->clock_given ? o->clock : TRAIN_CLOCK_LAST;
}

int past_seek(struct past *p, uint64_t clock, struct err *e)
{
    struct say_progress progress = {.what = "replayed clock", .all = clock};

    if (clock == TRAIN_CLOCK_LAST) {
        progress.all = ckpt_reader_clocks(p->replica.reader);
    }
    const int status =
        train_replica_seek(&p->replica, clock, say_progress, &progress, e);
    say_progress_end(&progress);
    return status;
}
