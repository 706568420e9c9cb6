#include "cli/past.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/say.h"
#include "cli/span.h"
#include "core/npy.h"
#include "train/window.h"

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

int past_go(struct past *p, const struct past_options *o, struct err *e)
{
    struct train_replica *r = &p->replica;
    const uint64_t window = r->run.mode == TRAIN_BSP ? 0 : TRAIN_WINDOW;
    struct train_without without = {.skip = span_list_has};
    struct say_progress progress = {.what = "replayed clock"};
    struct span_list *list;
    int status;

    if (o->without.n == 0) {
        return past_seek(p, past_clock(o), e);
    }
    list = malloc(sizeof *list);
    if (list == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    status = span_list_parse(list, &o->without, e);
    if (status != 0) {
        free(list);
        return err_wrap(e, status, "--without");
    }
    without.arg = list;
    without.from = span_list_first(list);
    without.from -= without.from < window ? without.from : window;
    progress.all = o->clock_given ? o->clock : ckpt_reader_clocks(r->reader);
    status = train_replica_seek_without(r, past_clock(o), &without,
                                        say_progress, &progress, e);
    say_progress_end(&progress);
    free(list);
    return status != 0 ? err_wrap(e, status, "--without") : 0;
}

const char *past_name(const struct past *p, size_t i)
{
    return p->replica.ops->param(p->replica.model, i).name;
}

/* "W.npy" and "bias" make "W-bias.npy". NULL: no memory. */
static char *path_of(const char *out, const char *name)
{
    const char *slash = strrchr(out, '/');
    const char *dot = strrchr(out, '.');
    const size_t size = strlen(out) + strlen(name) + 2;
    char *path = malloc(size);

    if (dot == NULL || (slash != NULL && dot < slash)) {
        dot = out + strlen(out);
    }
    if (path != NULL) {
        snprintf(path, size, "%.*s-%s%s", (int)(dot - out), out, name, dot);
    }
    return path;
}

int past_write(const struct past *p, const char *out, struct err *e)
{
    const struct train_replica *r = &p->replica;
    int status = 0;

    if (r->n_states == 1) {
        return npy_write(out, &r->states[0].w, e);
    }
    for (size_t i = 0; i < r->n_states && status == 0; i++) {
        char *path = path_of(out, past_name(p, i));
        status = path != NULL ? npy_write(path, &r->states[i].w, e)
                              : err_set(e, ERR_NOMEM, "out of memory");
        free(path);
    }
    return status;
}

int past_matrix(const struct past *p,
                const char *name,
                size_t *i,
                struct err *e)
{
    const size_t n = p->replica.n_states;

    for (*i = 0; *i < n; (*i)++) {
        if (name == NULL || strcmp(past_name(p, *i), name) == 0) {
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "no matrix %s: the first is %s", name,
                   past_name(p, 0));
}

const char *past_column(const struct past *p, size_t matrix, uint32_t j)
{
    const struct dataset_schema *s = &p->replica.run.schema;

    return p->replica.states[matrix].w.J == s->n_classes && j < s->n_classes
               ? s->classes[j]
               : NULL;
}
