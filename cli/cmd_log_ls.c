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
    .summary = "Peers of a run with their clocks, segments, digests and the "
               "state of their indexes.",
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

static void print_log(const struct ckpt_catalog *c, uint64_t clocks)
{
    const struct sizes z = sizes_of(c);

    printf("peer %u: %" PRIu64 " clocks, %zu segment%s, %.1f MB, %zu digests",
           c->peer, clocks, c->n_valid, c->n_valid == 1 ? "" : "s",
           (double)z.valid / 1e6, c->kinds[SV_RECORD_DIGEST].n);
    print_index(c, &z);
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

/* List the log of @peer; *clocks becomes no more than it has. */
static int list(const char *run_dir,
                uint32_t peer,
                bool first,
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
        print_log(&c, n);
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
    uint64_t clocks = UINT64_MAX;
    bool first = true;
    int worst = 0, status = train_replica_peers(dir, &peers, &n_peers, e);

    if (status != 0) {
        return status;
    }
    for (size_t i = 0; i < n_peers; i++) {
        struct err bad;
        status = list(dir, peers[i], first, &clocks, &bad);
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
        printf("all of these logs have W of clocks 0 to %" PRIu64 "\n", clocks);
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
