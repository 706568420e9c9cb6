#include "cli/cmd_log.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* The segment files of a log. */
struct segments {
    uint64_t n;
    uint64_t bytes;
};

static struct segments count_segments(const char *dir)
{
    struct segments s = {0};
    char path[4096];
    struct dirent *entry;
    struct stat st;

    snprintf(path, sizeof path, "%s/segments", dir);
    DIR *d = opendir(path);
    while (d != NULL && (entry = readdir(d)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".seg") == 0 &&
            fstatat(dirfd(d), entry->d_name, &st, 0) == 0) {
            s.n++;
            s.bytes += (uint64_t)st.st_size;
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    return s;
}

static uint64_t count_digests(const struct ckpt_reader *r)
{
    uint64_t n = 0, at = 0;

    for (; ckpt_reader_next_digest(r, at, &at); at++) {
        n++;
    }
    return n;
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
    int status;

    if (dir == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    status = ckpt_reader_open(&r, dir, e);
    if (status != 0) {
        goto free_dir;
    }
    status = first ? print_run(r, e) : 0;
    if (status == 0) {
        const struct segments s = count_segments(dir);
        const uint64_t n = ckpt_reader_clocks(r);
        printf("peer %u: %" PRIu64 " clocks, %" PRIu64
               " segments, %.1f MB, digests at %" PRIu64 " clocks\n",
               peer, n, s.n, (double)s.bytes / 1e6, count_digests(r));
        *clocks = n < *clocks ? n : *clocks;
    }
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
        printf("all of these have clocks 0 to %" PRIu64 "\n", clocks);
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
