#include "train/compact.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ckpt/file.h"
#include "train/replica.h"

static int run(struct train_replica *r,
               const char *dir,
               const struct train_compact_options *o,
               struct ckpt_compact_report *report,
               struct err *e)
{
    const uint64_t memory = train_run_memory(&r->run);
    const struct ckpt_compact_options co = {
        .dir = dir,
        .own_from = o->clock > memory ? o->clock - memory : 0,
        .index = !o->beside};
    int rc = train_replica_seek(r, o->clock, o->progress, o->progress_arg, e);

    return rc != 0 ? rc
                   : ckpt_compact(r->reader, o->clock, r->states, r->n_states,
                                  &co, report, e);
}

int train_compact(const struct train_compact_options *o,
                  struct ckpt_compact_report *report,
                  struct err *e)
{
    char *dir = train_peer_dir(o->dir, o->peer);
    struct train_replica r;
    int lock = -1, rc = 0;

    memset(report, 0, sizeof *report);
    if (dir == NULL) {
        return err_set(e, ERR_NOMEM, "path of peer %u", o->peer);
    }
    if (!o->beside) {
        rc = ckpt_dir_lock(dir, &lock, e);
    }
    if (rc == 0) {
        rc = train_replica_open(&r, o->dir, o->peer, o->pool, e);
        if (rc == 0) {
            rc = run(&r, dir, o, report, e);
            train_replica_close(&r);
        }
    }
    if (lock >= 0) {
        close(lock);
    }
    free(dir);
    return rc;
}

static int narrow(const char *dir,
                  uint32_t peer,
                  uint64_t *first,
                  uint64_t *n,
                  struct err *e)
{
    char *path = train_peer_dir(dir, peer);
    struct ckpt_reader *r;
    int rc = path == NULL ? err_set(e, ERR_NOMEM, "path of peer %u", peer)
                          : ckpt_reader_open(&r, path, e);

    if (rc == 0) {
        uint64_t begin = ckpt_reader_first(r), end = ckpt_reader_clocks(r);
        *first = begin > *first ? begin : *first;
        *n = end < *n ? end : *n;
        ckpt_reader_close(r);
    }
    free(path);
    return rc;
}

int train_compact_range(const char *dir,
                        uint64_t *first,
                        uint64_t *n,
                        struct err *e)
{
    uint32_t *peers;
    size_t n_peers;
    int rc = train_replica_peers(dir, &peers, &n_peers, e);

    if (rc != 0) {
        return rc;
    }
    *first = 0;
    *n = UINT64_MAX;
    for (size_t i = 0; rc == 0 && i < n_peers; i++) {
        rc = narrow(dir, peers[i], first, n, e);
    }
    free(peers);
    return rc;
}
