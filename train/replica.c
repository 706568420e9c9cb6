#include "train/replica.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/replay.h"

/* The matrices as the model wants them at clock 0. */
static void states_begin(struct train_replica *r)
{
    for (size_t i = 0; i < r->n_states; i++) {
        if (r->ops->init != NULL) {
            r->ops->init(r->model, i, &r->states[i].w, r->run.seed);
        }
    }
    r->clock = 0;
}

static int states_create(struct train_replica *r, struct err *e)
{
    size_t n = r->ops->n_params(r->model);

    r->states = calloc(n, sizeof *r->states);
    r->mats = calloc(n, sizeof *r->mats);
    if (r->states == NULL || r->mats == NULL) {
        return err_set(e, ERR_NOMEM, "%zu matrices", n);
    }
    for (size_t i = 0; i < n; i++) {
        struct model_param p = r->ops->param(r->model, i);
        int rc =
            sv_state_init(&r->states[i], r->run.rule, r->run.eps, p.K, p.J, e);
        if (rc != 0) {
            return err_wrap(e, rc, "matrix %s", p.name);
        }
        r->mats[i] = &r->states[i].w;
        r->n_states = i + 1;
    }
    states_begin(r);
    return 0;
}

int train_replica_create(struct train_replica *r,
                         struct train_run *run,
                         struct pool *pool,
                         struct err *e)
{
    struct model_options o;
    int rc;

    memset(r, 0, sizeof *r);
    r->run = *run;
    memset(run, 0, sizeof *run);
    r->pool = pool;
    r->ops = model_find(r->run.model);
    if (r->ops == NULL) {
        rc = err_set(e, ERR_INVALID, "no model called \"%s\"", r->run.model);
        goto err;
    }
    o = (struct model_options){.schema = &r->run.schema, .bias = r->run.bias};
    rc = r->ops->create(&r->model, &o, e);
    if (rc != 0) {
        goto err;
    }
    rc = states_create(r, e);
    if (rc != 0) {
        goto err;
    }
    return 0;

err:
    train_replica_close(r);
    return rc;
}

void train_replica_close(struct train_replica *r)
{
    for (size_t i = 0; i < r->n_states; i++) {
        sv_state_fini(&r->states[i]);
    }
    free(r->states);
    free(r->mats);
    if (r->model != NULL) {
        r->ops->destroy(r->model);
    }
    ckpt_reader_close(r->reader);
    train_run_fini(&r->run);
    memset(r, 0, sizeof *r);
}

struct hash128 train_replica_digest(const struct train_replica *r,
                                    struct hash128 *all)
{
    struct hash128 joint;

    for (size_t i = 0; i < r->n_states; i++) {
        all[i] = hash_mat(r->mats[i]);
    }
    joint = all[0];
    if (r->n_states > 1) {
        joint.low = hash64(all, r->n_states * sizeof all[0]);
    }
    return joint;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The rank in "peer-R", or -1. */
static int64_t peer_of_name(const char *name)
{
    unsigned peer;
    int end = 0;

    if (sscanf(name, "peer-%u%n", &peer, &end) != 1 || name[end] != '\0' ||
        peer >= TRAIN_PEERS_MAX) {
        return -1;
    }
    return peer;
}

int train_replica_peers(const char *dir,
                        uint32_t **peers,
                        size_t *n_peers,
                        struct err *e)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    size_t n = 0;
    uint32_t *list;

    if (d == NULL) {
        return err_wrap(e, err_errno(e, "open directory"), "%s", dir);
    }
    list = malloc(TRAIN_PEERS_MAX * sizeof *list);
    if (list == NULL) {
        closedir(d);
        return err_set(e, ERR_NOMEM, "list of peers");
    }
    while (n < TRAIN_PEERS_MAX && (entry = readdir(d)) != NULL) {
        int64_t peer = peer_of_name(entry->d_name);
        if (peer >= 0) {
            list[n++] = (uint32_t)peer;
        }
    }
    closedir(d);
    if (n == 0) {
        free(list);
        return err_set(e, ERR_NOT_FOUND,
                       "%s is no run: there is no peer-R directory in it", dir);
    }
    qsort(list, n, sizeof *list, compare_u32);
    *peers = list;
    *n_peers = n;
    return 0;
}

static int lowest_peer(const char *dir, int64_t *peer, struct err *e)
{
    uint32_t *peers;
    size_t n;
    int rc = train_replica_peers(dir, &peers, &n, e);

    if (rc == 0) {
        *peer = peers[0];
        free(peers);
    }
    return rc;
}

int train_replica_open(struct train_replica *r,
                       const char *dir,
                       int64_t peer,
                       struct pool *pool,
                       struct err *e)
{
    struct ckpt_reader *reader = NULL;
    struct train_run run;
    char *path = NULL;
    int rc = 0;

    memset(r, 0, sizeof *r);
    if (peer < 0) {
        rc = lowest_peer(dir, &peer, e);
    }
    if (rc != 0) {
        return rc;
    }
    path = train_peer_dir(dir, (uint32_t)peer);
    if (path == NULL) {
        return err_set(e, ERR_NOMEM, "path of peer %u", (unsigned)peer);
    }
    rc = ckpt_reader_open(&reader, path, e);
    free(path);
    if (rc != 0) {
        return rc;
    }
    train_run_init(&run);
    rc = train_run_from_json(&run, ckpt_reader_run_json(reader), e);
    if (rc == 0) {
        rc = train_replica_create(r, &run, pool, e);
    }
    if (rc != 0) {
        ckpt_reader_close(reader);
        return err_wrap(e, rc, "%s", dir);
    }
    r->reader = reader;
    return 0;
}

/* Fresh memory, at clock 0: cheaper than clearing what is large. */
static int rewind_states(struct train_replica *r, struct err *e)
{
    for (size_t i = 0; i < r->n_states; i++) {
        struct sv_state *s = &r->states[i];
        size_t K = s->w.K, J = s->w.J;
        int rc;
        sv_state_fini(s);
        rc = sv_state_init(s, r->run.rule, r->run.eps, K, J, e);
        if (rc != 0) {
            return rc;
        }
    }
    states_begin(r);
    return 0;
}

static int
check_clock(const struct train_replica *r, uint64_t clock, struct err *e)
{
    uint64_t first = ckpt_reader_first(r->reader);
    uint64_t last = ckpt_reader_clocks(r->reader);

    if (clock > last) {
        return err_set(e, ERR_NOT_FOUND,
                       "clock %llu is not in the log, which goes to clock %llu",
                       (unsigned long long)clock, (unsigned long long)last);
    }
    if (clock < first) {
        return err_set(e, ERR_NOT_FOUND,
                       "clock %llu is not in the log, which was compacted and "
                       "begins at clock %llu",
                       (unsigned long long)clock, (unsigned long long)first);
    }
    return 0;
}

/* Bring the states to where replay to W_@clock begins: where they are, at the
 * newest snapshot up to @clock, or at the beginning. */
static int begin_at(struct train_replica *r, uint64_t clock, struct err *e)
{
    const struct ckpt_snapshot *s = ckpt_reader_snapshot(r->reader, clock);
    uint64_t from = s == NULL ? 0 : s->clock;
    int rc;

    if (clock >= r->clock && r->clock >= from && !r->altered) {
        return 0;
    }
    r->clock = TRAIN_CLOCK_LAST; /* Of no clock, if it fails. */
    r->altered = false;
    if (s == NULL) {
        return rewind_states(r, e);
    }
    rc = ckpt_reader_load(r->reader, s, r->states, r->n_states, e);
    r->clock = rc == 0 ? from : r->clock;
    return rc;
}

int train_replica_seek(struct train_replica *r,
                       uint64_t clock,
                       int (*progress)(void *arg, uint64_t clock),
                       void *arg,
                       struct err *e)
{
    struct ckpt_replay_options o = {
        .pool = r->pool, .progress = progress, .progress_arg = arg};
    uint64_t from;
    int rc;

    if (clock == TRAIN_CLOCK_LAST) {
        clock = ckpt_reader_clocks(r->reader);
    }
    rc = check_clock(r, clock, e);
    rc = rc != 0 ? rc : begin_at(r, clock, e);
    if (rc != 0) {
        return rc;
    }
    from = r->clock;
    r->clock = TRAIN_CLOCK_LAST;
    rc = ckpt_replay(r->reader, r->states, r->n_states, from, clock, &o, e);
    if (rc == 0) {
        r->clock = clock;
    }
    return rc;
}

int train_replica_seek_without(struct train_replica *r,
                               uint64_t clock,
                               const struct train_without *without,
                               int (*progress)(void *arg, uint64_t clock),
                               void *arg,
                               struct err *e)
{
    struct ckpt_replay_options o = {.pool = r->pool,
                                    .progress = progress,
                                    .progress_arg = arg,
                                    .skip = without->skip,
                                    .skip_arg = without->arg};
    uint64_t from;
    int rc;

    if (clock == TRAIN_CLOCK_LAST) {
        clock = ckpt_reader_clocks(r->reader);
    }
    from = without->from < clock ? without->from : clock;
    rc = check_clock(r, clock, e);
    rc = rc != 0 ? rc : train_replica_seek(r, from, progress, arg, e);
    if (rc != 0) {
        return rc;
    }
    r->altered = true;
    r->clock = clock;
    return ckpt_replay(r->reader, r->states, r->n_states, from, clock, &o, e);
}
