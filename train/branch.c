#include "train/branch.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/hash.h"
#include "train/replica.h"

/* Is W_@clock made of all batches before it, and of no other? */
static int all_applied(struct ckpt_reader *r,
                       const struct train_run *run,
                       uint64_t clock,
                       bool *all,
                       struct err *e)
{
    struct ckpt_applied_list list;
    int rc = ckpt_reader_applied(r, clock, &list, e);

    if (rc != 0) {
        return rc;
    }
    *all = clock == 0 || list.n == run->n_peers;
    for (size_t i = 0; i < list.n; i++) {
        const struct ckpt_applied *a = &list.at[i];
        uint64_t c =
            a->next > CKPT_APPLIED_BITS ? a->next - CKPT_APPLIED_BITS : 0;
        *all = *all && a->next == clock;
        for (; *all && c < a->next; c++) {
            *all = ckpt_applied_has(a, c);
        }
    }
    ckpt_applied_fini(&list);
    return 0;
}

/* Batches on their way are those of the way of sending that they began with. */
static int check_sending(struct ckpt_reader *r,
                         const struct train_run *was,
                         const struct train_run *is,
                         uint64_t clock,
                         struct err *e)
{
    bool same = was->mode == is->mode && was->staleness == is->staleness &&
                was->staleness_min == is->staleness_min &&
                was->multicast.kind == is->multicast.kind &&
                was->multicast.fan_out == is->multicast.fan_out &&
                was->repair == is->repair &&
                was->repair_clocks == is->repair_clocks &&
                was->seed == is->seed;
    bool all = true;
    int rc = same ? 0 : all_applied(r, was, clock, &all, e);

    if (rc == 0 && !all) {
        rc = err_set(e, ERR_INVALID,
                     "batches are on their way at clock %" PRIu64
                     ": consistency, multicast, repair and seed must stay",
                     clock);
    }
    return rc;
}

static int settings_of(struct train_run *is,
                       struct ckpt_reader *r,
                       const struct train_branch_options *o,
                       struct err *e)
{
    struct train_run was;
    uint64_t mix[3];
    int rc;

    train_run_init(&was);
    rc = train_run_from_json(&was, ckpt_reader_run_json(r), e);
    if (rc != 0) {
        return rc;
    }
    rc = train_run_from_json(is, ckpt_reader_run_json(r), e);
    rc = rc != 0 ? rc : o->change(o->arg, is, e);
    rc = rc != 0 ? rc : train_run_check(is, e);
    rc = rc != 0 ? rc : check_sending(r, &was, is, o->clock, e);
    if (rc == 0 && is->clocks <= o->clock) {
        rc = err_set(e, ERR_INVALID,
                     "--clocks %" PRIu64 ": nothing is left behind clock "
                     "%" PRIu64,
                     is->clocks, o->clock);
    }
    if (rc == 0) {
        is->branch = 0;
        is->branch_clock = o->clock;
        mix[0] = train_run_fingerprint(is);
        mix[1] = train_run_fingerprint(&was);
        mix[2] = o->clock;
        is->branch = hash64(mix, sizeof mix) | 1;
    }
    train_run_fini(&was);
    return rc;
}

static int branch_peer(const struct train_branch_options *o,
                       const char *to_dir,
                       uint32_t peer,
                       struct ckpt_branch_report *sum,
                       struct err *e)
{
    char *from = train_peer_dir(o->from, peer);
    char *to = train_peer_dir(to_dir, peer), *json = NULL;
    struct ckpt_branch_report report;
    struct ckpt_reader *r = NULL;
    struct train_run run;
    int rc = from == NULL || to == NULL
                 ? err_set(e, ERR_NOMEM, "path of peer %u", peer)
                 : ckpt_reader_open(&r, from, e);

    train_run_init(&run);
    rc = rc != 0 ? rc : settings_of(&run, r, o, e);
    rc = rc != 0 ? rc : train_run_to_json(&run, &json, e);
    rc = rc != 0 ? rc : ckpt_branch(from, to, o->clock, json, &report, e);
    if (rc == 0) {
        sum->shared += report.shared;
        sum->copied += report.copied;
    }
    train_run_fini(&run);
    ckpt_reader_close(r);
    free(json);
    free(from);
    free(to);
    return rc == 0 ? 0 : err_wrap(e, rc, "peer %u", peer);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Made beside and renamed, so that the new run is there whole or not at all. */
static int make(const struct train_branch_options *o,
                const char *partial,
                struct ckpt_branch_report *report,
                struct err *e)
{
    uint32_t *peers;
    size_t n;
    int rc = train_replica_peers(o->from, &peers, &n, e);

    if (rc != 0) {
        return rc;
    }
    if (mkdir(partial, 0777) != 0) {
        free(peers);
        return err_wrap(e, err_errno(e, "mkdir"), "%s", partial);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = branch_peer(o, partial, peers[i], report, e);
    }
    if (rc == 0 && rename(partial, o->to) != 0) {
        rc = err_wrap(e, err_errno(e, "rename"), "%s", partial);
    }
    if (rc != 0) {
        nftw(partial, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    free(peers);
    return rc;
}

int train_branch(const struct train_branch_options *o,
                 struct ckpt_branch_report *report,
                 struct err *e)
{
    char *partial = NULL;
    int rc;

    memset(report, 0, sizeof *report);
    if (access(o->to, F_OK) == 0) {
        return err_set(e, ERR_BUSY, "%s is there already: name another --run",
                       o->to);
    }
    if (asprintf(&partial, "%s.partial", o->to) < 0) {
        return err_set(e, ERR_NOMEM, "path");
    }
    nftw(partial, remove_one, 8, FTW_DEPTH | FTW_PHYS); /* Of a crash. */
    rc = make(o, partial, report, e);
    free(partial);
    return rc;
}
