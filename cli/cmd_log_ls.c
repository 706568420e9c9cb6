#include "cli/cmd_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ckpt/catalog.h"
#include "ckpt/reader.h"
#include "cli/cmd.h"
#include "cli/say.h"
#include "train/replica.h"

static const struct opt_command COMMAND = {
    .name = "log ls",
    .summary = "Peers of a run with their clocks, segments, snapshots, gaps "
               "and the state of their\nindexes.",
    .usage = "log ls DIR",
    .examples = "lyre log ls run",
};

/* Segments of a log, in bytes. */
struct sizes {
    uint64_t valid;   /* What counts. */
    uint64_t torn;    /* What a crash left behind it. */
    uint64_t unknown; /* What the index does not know yet. */
};

static struct sizes sizes_of(const struct ckpt_catalog *c)
{
    struct sizes z = {0};

    for (size_t i = 0; i < c->n_segments; i++) {
        const struct ckpt_segment *s = &c->segments[i];
        const uint64_t valid = i < c->n_valid ? s->size : 0;
        z.valid += valid;
        z.torn += s->file_size - valid;
        z.unknown += valid > s->indexed ? valid - s->indexed : 0;
    }
    return z;
}

/* The state of the index, which may be behind or missing: readers then go
 * through the segments. */
static void print_index(const struct ckpt_catalog *c, const struct sizes *z)
{
    if (c->index_rc != 0) {
        printf(", no index (%s)", c->index_err.msg);
    } else if (z->unknown != 0) {
        printf(", index %.1f MB behind", (double)z->unknown / 1e6);
    } else {
        printf(", index up to date");
    }
    if (z->torn != 0) {
        printf(", %" PRIu64 " bytes torn off", z->torn);
    }
    putchar('\n');
}

/* A snapshot a line, with what it can and cannot be gone on from. */
static void print_snapshots(const struct ckpt_catalog *c, uint64_t clocks)
{
    for (size_t i = 0; i < c->n_snapshots; i++) {
        const struct ckpt_snapshot *s = &c->snapshots[i];
        double size = 0;
        for (size_t m = 0; m < s->n; m++) {
            const struct ckpt_snapshot_matrix *x = &s->matrices[m];
            const double w = 4.0 * (double)x->K * (double)x->J;
            const bool aux = x->rule == SV_MOMENTUM || x->rule == SV_ADAGRAD;
            size += w * (aux ? 2 : 1) +
                    (x->rule == SV_ROWGRAD ? 4.0 * (double)x->K : 0);
        }
        printf("  snapshot of clock %" PRIu64 ", %.1f MB%s\n", s->clock,
               size / 1e6,
               s->clock > clocks ? ": behind the end of the log" : "");
    }
    if (c->snapshot_rc != 0) {
        printf("  snapshot not readable: %s\n", c->snapshot_err.msg);
    }
}

/* Views, and steps that are behind what can be rebuilt. */
static void print_gaps(const struct ckpt_catalog *c, uint64_t clocks)
{
    const struct ckpt_entries *steps = &c->kinds[SV_RECORD_STEP];

    if (steps->n > 0 && steps->at[steps->n - 1].clock >= clocks) {
        printf("  gap: the step of clock %" PRIu64
               " lacks something, and those up to %" PRIu64
               " cannot be reached\n",
               clocks, steps->at[steps->n - 1].clock);
    }
}

static void
print_log(const struct ckpt_catalog *c, uint64_t first, uint64_t clocks)
{
    const struct sizes z = sizes_of(c);

    printf("peer %u: %" PRIu64 " clocks", c->peer, clocks);
    if (first > 0) {
        printf(" (W of %" PRIu64 " and later)", first);
    }
    printf(", %zu segment%s, %.1f MB, %zu digests", c->n_valid,
           c->n_valid == 1 ? "" : "s", (double)z.valid / 1e6,
           c->kinds[SV_RECORD_DIGEST].n);
    print_index(c, &z);
    print_snapshots(c, clocks);
    print_gaps(c, clocks);
}

static int print_run(const struct ckpt_reader *r, struct err *e)
{
    struct train_run run;
    char mode[32];

    train_run_init(&run);
    const int status = train_run_from_json(&run, ckpt_reader_run_json(r), e);
    if (status == 0) {
        train_mode_format(&run, mode);
        printf("run %016" PRIx64 ": %s, %u peers, %s, %" PRIu64 " clocks\n",
               run.run, run.model, run.n_peers, mode, run.clocks);
        printf("data %s\n", run.data);
    }
    train_run_fini(&run);
    return status;
}

/* List the log of @peer; *from becomes no less, *clocks no more than it has. */
static int list(const char *run_dir,
                uint32_t peer,
                bool first,
                uint64_t *from,
                uint64_t *clocks,
                struct err *e)
{
    char *dir = train_peer_dir(run_dir, peer);
    struct ckpt_reader *r = NULL;
    struct ckpt_catalog c;
    int status;

    if (dir == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    status = ckpt_reader_open(&r, dir, e);
    if (status != 0) {
        goto free_dir;
    }
    status = ckpt_catalog_open(&c, dir, true, e);
    if (status != 0) {
        goto close_reader;
    }
    status = first ? print_run(r, e) : 0;
    if (status == 0) {
        const uint64_t n = ckpt_reader_clocks(r);
        const uint64_t begin = ckpt_reader_first(r);
        print_log(&c, begin, n);
        *from = begin > *from ? begin : *from;
        *clocks = n < *clocks ? n : *clocks;
    }
    ckpt_catalog_close(&c);
close_reader:
    ckpt_reader_close(r);
free_dir:
    free(dir);
    return status != 0 ? err_wrap(e, status, "peer %u", peer) : 0;
}

/* Logs that cannot be read are said, and do not hide the others. */
static int list_all(const char *dir, struct err *e)
{
    uint32_t *peers;
    size_t n_peers;
    uint64_t from = 0, clocks = UINT64_MAX;
    bool first = true;
    int worst = 0, status = train_replica_peers(dir, &peers, &n_peers, e);

    if (status != 0) {
        return status;
    }
    for (size_t i = 0; i < n_peers; i++) {
        struct err bad;
        status = list(dir, peers[i], first, &from, &clocks, &bad);
        if (status != 0 && worst == 0) {
            worst = status;
            *e = bad;
        } else if (status != 0) {
            say_error(status, &bad);
        } else {
            first = false;
        }
    }
    free(peers);
    if (clocks != UINT64_MAX && n_peers > 1) {
        printf("all of these logs have W of clocks %" PRIu64 " to %" PRIu64
               "\n",
               from, clocks);
    }
    return worst;
}

int cmd_log_ls(int argc, char **argv)
{
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(&COMMAND, "one run directory is wanted, not %d",
                         n_words);
    }
    status = list_all(argv[1], &e);
    return status == 0 ? CMD_OK : say_error(status, &e);
}
