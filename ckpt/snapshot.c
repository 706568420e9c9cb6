#include "ckpt/snapshot.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/npy.h"
#include "sv/state.h"

#define MAGIC        "LYRESNP1"
#define HEAD_SIZE    64
#define MATRIX_SIZE  72
#define APPLIED_SIZE (16 + CKPT_APPLIED_BITS / 8)
#define STATE_MAX    ((size_t)64 << 20)

void ckpt_applied_fini(struct ckpt_applied_list *list)
{
    free(list->at);
    memset(list, 0, sizeof *list);
}

/* Move the bits so that @next is behind them. */
static void applied_move(struct ckpt_applied *a, uint64_t next)
{
    uint8_t bits[sizeof a->bits] = {0};
    uint64_t by = next - a->next;

    for (uint64_t i = by; i < CKPT_APPLIED_BITS; i++) {
        if ((a->bits[i / 8] >> i % 8 & 1) != 0) {
            bits[(i - by) / 8] |= (uint8_t)(1u << (i - by) % 8);
        }
    }
    memcpy(a->bits, bits, sizeof bits);
    a->next = next;
}

int ckpt_applied_add(struct ckpt_applied_list *list,
                     uint32_t origin,
                     uint64_t clock,
                     struct err *e)
{
    struct ckpt_applied *a;
    uint64_t bit;
    size_t i = 0;

    while (i < list->n && list->at[i].origin != origin) {
        i++;
    }
    if (i == list->n) {
        a = realloc(list->at, (i + 1) * sizeof *a);
        if (a == NULL) {
            return err_set(e, ERR_NOMEM, "batches of %zu peers", i);
        }
        list->at = a;
        a[list->n++] = (struct ckpt_applied){.origin = origin};
    }
    a = &list->at[i];
    if (clock >= a->next) {
        applied_move(a, clock + 1);
    }
    bit = clock + CKPT_APPLIED_BITS - a->next;
    if (clock + CKPT_APPLIED_BITS >= a->next) {
        a->bits[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    return 0;
}

bool ckpt_applied_has(const struct ckpt_applied *a, uint64_t clock)
{
    uint64_t bit = clock + CKPT_APPLIED_BITS - a->next;

    return clock < a->next && clock + CKPT_APPLIED_BITS >= a->next &&
           (a->bits[bit / 8] >> bit % 8 & 1) != 0;
}

void ckpt_snapshot_fini(struct ckpt_snapshot *s)
{
    free(s->matrices);
    ckpt_applied_fini(&s->applied);
    memset(s, 0, sizeof *s);
}

void ckpt_snapshot_name(char name[CKPT_SNAPSHOT_NAME_SIZE], uint64_t clock)
{
    snprintf(name, CKPT_SNAPSHOT_NAME_SIZE, "snapshots/clock-%" PRIu64, clock);
}

/* The digest of h, which is no matrix. */
static struct hash128 hash_h(const float *h, size_t K)
{
    const struct mat m = {
        .K = 1, .J = K, .ld = K, .data = (float *)(uintptr_t)h};

    return hash_mat(&m);
}

static void put_hash(uint8_t *at, struct hash128 h)
{
    le_put_u64(at, h.high);
    le_put_u64(at + 8, h.low);
}

static struct hash128 get_hash(const uint8_t *at)
{
    return (struct hash128){.high = le_u64(at), .low = le_u64(at + 8)};
}

static void put_matrix(uint8_t *at, const struct sv_state *s)
{
    memset(at, 0, MATRIX_SIZE);
    le_put_u32(at, (uint32_t)s->rule);
    le_put_f32(at + 4, s->eps);
    le_put_u64(at + 8, s->w.K);
    le_put_u64(at + 16, s->w.J);
    put_hash(at + 24, hash_mat(&s->w));
    if (s->aux.data != NULL) {
        put_hash(at + 40, hash_mat(&s->aux));
    }
    if (s->h != NULL) {
        put_hash(at + 56, hash_h(s->h, s->w.K));
    }
}

static int make_state(struct buf *out,
                      const struct ckpt_snapshot *s,
                      const struct sv_state *states,
                      size_t n_states,
                      struct err *e)
{
    size_t size =
        HEAD_SIZE + n_states * MATRIX_SIZE + s->applied.n * APPLIED_SIZE;
    uint8_t *at = buf_add(out, size + 8), *first = at;

    if (at == NULL) {
        return err_set(e, ERR_NOMEM, "snapshot");
    }
    memset(at, 0, size);
    memcpy(at, MAGIC, 8);
    le_put_u64(at + 8, s->run);
    le_put_u32(at + 16, s->peer);
    le_put_u32(at + 20, (uint32_t)n_states);
    le_put_u64(at + 24, s->clock);
    le_put_u32(at + 32, (uint32_t)s->applied.n);
    at += HEAD_SIZE;
    for (size_t i = 0; i < n_states; i++, at += MATRIX_SIZE) {
        put_matrix(at, &states[i]);
    }
    for (size_t i = 0; i < s->applied.n; i++, at += APPLIED_SIZE) {
        le_put_u32(at, s->applied.at[i].origin);
        le_put_u64(at + 8, s->applied.at[i].next);
        memcpy(at + 16, s->applied.at[i].bits, CKPT_APPLIED_BITS / 8);
    }
    le_put_u64(at, hash64(first, size));
    return 0;
}

/* A file that is being written. */
struct out {
    struct ckpt_fs *fs;
    int fd;
    uint64_t size;
};

static int put(void *arg, const void *data, size_t size, struct err *e)
{
    struct out *o = arg;
    int rc = ckpt_file_write(o->fs, o->fd, data, size, o->size, e);

    o->size += size;
    return rc;
}

/* Write @rows, or @bytes if not NULL, to @dir/@name and sync it. */
static int write_file(struct ckpt_fs *fs,
                      const char *dir,
                      const char *name,
                      const struct npy_rows *rows,
                      const struct buf *bytes,
                      struct err *e)
{
    char path[CKPT_PATH_SIZE];
    struct out o = {.fs = fs};
    int rc = ckpt_path(path, dir, name, e);

    if (rc != 0) {
        return rc;
    }
    o.fd = fs->open(fs, path, O_RDWR | O_CREAT | O_TRUNC);
    if (o.fd < 0) {
        return err_wrap(e, err_errno(e, "open"), "%s", path);
    }
    rc = bytes != NULL ? put(&o, bytes->data, bytes->size, e)
                       : npy_put(rows, put, &o, e);
    if (rc == 0 && fs->sync(fs, o.fd) != 0) {
        rc = err_errno(e, "sync");
    }
    fs->close(fs, o.fd);
    return rc == 0 ? 0 : err_wrap(e, rc, "%s", path);
}

/* "W-0.npy". */
static const char *
array_name(char name[CKPT_SNAPSHOT_NAME_SIZE], const char *what, size_t i)
{
    snprintf(name, CKPT_SNAPSHOT_NAME_SIZE, "%s-%zu.npy", what, i);
    return name;
}

static int write_matrix(struct ckpt_fs *fs,
                        const char *dir,
                        const struct sv_state *s,
                        size_t i,
                        struct err *e)
{
    char name[CKPT_SNAPSHOT_NAME_SIZE];
    struct npy_rows rows = npy_rows_of(&s->w);
    int rc = write_file(fs, dir, array_name(name, "W", i), &rows, NULL, e);

    if (rc == 0 && s->aux.data != NULL) {
        rows = npy_rows_of(&s->aux);
        rc = write_file(fs, dir, array_name(name, "aux", i), &rows, NULL, e);
    }
    if (rc == 0 && s->h != NULL) {
        rows = (struct npy_rows){.data = s->h, .K = s->w.K, .J = 1, .ld = 1};
        rc = write_file(fs, dir, array_name(name, "h", i), &rows, NULL, e);
    }
    return rc;
}

/* Remove a directory with its files, "state" first: what is left does not
 * count. */
static int remove_dir(struct ckpt_fs *fs, const char *path, struct err *e)
{
    char file[CKPT_PATH_SIZE];
    struct dirent *entry;
    DIR *d;
    int rc = ckpt_path(file, path, "state", e);

    if (rc != 0) {
        return rc;
    }
    if (fs->unlink(fs, file) != 0 && errno != ENOENT) {
        return err_wrap(e, err_errno(e, "unlink"), "%s", file);
    }
    d = opendir(path);
    if (d == NULL) {
        return err_wrap(e, err_errno(e, "opendir"), "%s", path);
    }
    while (rc == 0 && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        rc = ckpt_path(file, path, entry->d_name, e);
        if (rc == 0 && fs->unlink(fs, file) != 0) {
            rc = err_wrap(e, err_errno(e, "unlink"), "%s", file);
        }
    }
    closedir(d);
    if (rc == 0 && fs->rmdir(fs, path) != 0) {
        rc = err_wrap(e, err_errno(e, "rmdir"), "%s", path);
    }
    return rc;
}

static int write_partial(struct ckpt_fs *fs,
                         const char *partial,
                         const struct ckpt_snapshot *s,
                         const struct sv_state *states,
                         size_t n_states,
                         struct err *e)
{
    struct buf state;
    int rc = 0;

    if (fs->mkdir(fs, partial) != 0) {
        return err_wrap(e, err_errno(e, "mkdir"), "%s", partial);
    }
    buf_init(&state);
    for (size_t i = 0; rc == 0 && i < n_states; i++) {
        rc = write_matrix(fs, partial, &states[i], i, e);
    }
    rc = rc != 0 ? rc : make_state(&state, s, states, n_states, e);
    rc = rc != 0 ? rc : write_file(fs, partial, "state", NULL, &state, e);
    if (rc == 0 && fs->sync_dir(fs, partial) != 0) {
        rc = err_wrap(e, err_errno(e, "sync"), "%s", partial);
    }
    buf_fini(&state);
    return rc;
}

static int publish(struct ckpt_fs *fs,
                   const char *partial,
                   const char *path,
                   const char *parent,
                   struct err *e)
{
    if (fs->rename(fs, partial, path) != 0) {
        return err_wrap(e, err_errno(e, "rename"), "%s", partial);
    }
    if (fs->sync_dir(fs, parent) != 0) {
        return err_wrap(e, err_errno(e, "sync"), "%s", parent);
    }
    return 0;
}

/* A whole file, mapped. */
struct file {
    const uint8_t *data;
    size_t size;
};

static int map_file(struct file *f, const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    struct stat st;
    void *data;

    if (fd < 0) {
        return err_wrap(e, err_errno(e, "open"), "%s", path);
    }
    if (fstat(fd, &st) != 0) {
        rc = err_errno(e, "fstat");
    } else if (st.st_size == 0) {
        rc = err_set(e, ERR_CORRUPT, "empty");
    } else {
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        *f = (struct file){.data = data, .size = (size_t)st.st_size};
        rc = data == MAP_FAILED ? err_errno(e, "mmap") : 0;
    }
    close(fd);
    return rc == 0 ? 0 : err_wrap(e, rc, "%s", path);
}

static void unmap_file(const struct file *f)
{
    munmap((void *)(uintptr_t)f->data, f->size);
}

static int
read_matrices(struct ckpt_snapshot *s, const uint8_t *at, struct err *e)
{
    s->matrices = calloc(s->n + 1, sizeof *s->matrices);
    if (s->matrices == NULL) {
        return err_set(e, ERR_NOMEM, "%zu matrices", s->n);
    }
    for (size_t i = 0; i < s->n; i++, at += MATRIX_SIZE) {
        if (le_u32(at) >= SV_RULE_COUNT) {
            return err_set(e, ERR_CORRUPT, "rule %u", le_u32(at));
        }
        s->matrices[i] =
            (struct ckpt_snapshot_matrix){.rule = (enum sv_rule)le_u32(at),
                                          .eps = le_f32(at + 4),
                                          .K = le_u64(at + 8),
                                          .J = le_u64(at + 16),
                                          .w = get_hash(at + 24),
                                          .aux = get_hash(at + 40),
                                          .h = get_hash(at + 56)};
    }
    return 0;
}

static int read_applied(struct ckpt_applied_list *list,
                        size_t n,
                        const uint8_t *at,
                        struct err *e)
{
    list->at = calloc(n + 1, sizeof *list->at);
    if (list->at == NULL) {
        return err_set(e, ERR_NOMEM, "batches of %zu peers", n);
    }
    list->n = n;
    for (size_t i = 0; i < n; i++, at += APPLIED_SIZE) {
        list->at[i].origin = le_u32(at);
        list->at[i].next = le_u64(at + 8);
        memcpy(list->at[i].bits, at + 16, sizeof list->at[i].bits);
    }
    return 0;
}

static int
read_state(struct ckpt_snapshot *s, const struct file *f, struct err *e)
{
    const uint8_t *at = f->data;
    size_t n_applied, size;
    int rc;

    if (f->size < HEAD_SIZE + 8 || f->size > STATE_MAX ||
        memcmp(at, MAGIC, 8) != 0) {
        return err_set(e, ERR_CORRUPT, "not the state of a snapshot");
    }
    s->run = le_u64(at + 8);
    s->peer = le_u32(at + 16);
    s->n = le_u32(at + 20);
    s->clock = le_u64(at + 24);
    n_applied = le_u32(at + 32);
    size = HEAD_SIZE + s->n * MATRIX_SIZE + n_applied * APPLIED_SIZE;
    if (s->n > STATE_MAX || n_applied > STATE_MAX || size + 8 != f->size ||
        le_u64(at + size) != hash64(at, size)) {
        return err_set(e, ERR_CORRUPT, "bad size or checksum");
    }
    rc = read_matrices(s, at + HEAD_SIZE, e);
    return rc != 0 ? rc
                   : read_applied(&s->applied, n_applied,
                                  at + HEAD_SIZE + s->n * MATRIX_SIZE, e);
}

int ckpt_snapshot_open(struct ckpt_snapshot *s,
                       const char *dir,
                       uint64_t clock,
                       struct err *e)
{
    char name[CKPT_SNAPSHOT_NAME_SIZE], file[CKPT_SNAPSHOT_NAME_SIZE + 8];
    char path[CKPT_PATH_SIZE];
    struct file f;
    int rc;

    memset(s, 0, sizeof *s);
    ckpt_snapshot_name(name, clock);
    snprintf(file, sizeof file, "%s/state", name);
    rc = ckpt_path(path, dir, file, e);
    rc = rc != 0 ? rc : map_file(&f, path, e);
    if (rc != 0) {
        return rc;
    }
    rc = read_state(s, &f, e);
    unmap_file(&f);
    if (rc == 0 && s->clock != clock) {
        rc = err_set(e, ERR_CORRUPT, "it is of clock %" PRIu64, s->clock);
    }
    if (rc != 0) {
        ckpt_snapshot_fini(s);
        return err_wrap(e, rc, "%s", path);
    }
    return 0;
}

static int load_rows(const char *dir,
                     uint64_t clock,
                     const char *what,
                     size_t i,
                     struct npy_rows to,
                     struct err *e)
{
    char name[CKPT_SNAPSHOT_NAME_SIZE], array[CKPT_SNAPSHOT_NAME_SIZE];
    char file[2 * CKPT_SNAPSHOT_NAME_SIZE], path[CKPT_PATH_SIZE];
    struct file f;
    int rc;

    ckpt_snapshot_name(name, clock);
    snprintf(file, sizeof file, "%s/%s", name, array_name(array, what, i));
    rc = ckpt_path(path, dir, file, e);
    rc = rc != 0 ? rc : map_file(&f, path, e);
    if (rc != 0) {
        return rc;
    }
    rc = npy_get((float *)(uintptr_t)to.data, to.K, to.J, to.ld, f.data, f.size,
                 e);
    unmap_file(&f);
    return rc == 0 ? 0 : err_wrap(e, rc, "%s", path);
}

static bool same(struct hash128 a, struct hash128 b)
{
    return a.high == b.high && a.low == b.low;
}

static int load_matrix(const struct ckpt_snapshot *s,
                       const char *dir,
                       struct sv_state *state,
                       size_t i,
                       struct err *e)
{
    const struct ckpt_snapshot_matrix *m = &s->matrices[i];
    const size_t K = state->w.K;
    const char *bad = NULL;
    int rc;

    if (m->rule != state->rule || m->K != K || m->J != state->w.J) {
        return err_set(e, ERR_CORRUPT,
                       "snapshot of clock %" PRIu64 ": matrix %zu is not that "
                       "of the run",
                       s->clock, i);
    }
    rc = load_rows(dir, s->clock, "W", i, npy_rows_of(&state->w), e);
    bad = rc == 0 && !same(hash_mat(&state->w), m->w) ? "W" : bad;
    if (rc == 0 && state->aux.data != NULL) {
        rc = load_rows(dir, s->clock, "aux", i, npy_rows_of(&state->aux), e);
        bad = rc == 0 && !same(hash_mat(&state->aux), m->aux) ? "aux" : bad;
    }
    if (rc == 0 && state->h != NULL) {
        rc = load_rows(dir, s->clock, "h", i,
                       (struct npy_rows){state->h, K, 1, 1}, e);
        bad = rc == 0 && !same(hash_h(state->h, K), m->h) ? "h" : bad;
    }
    if (rc == 0 && bad != NULL) {
        rc = err_set(e, ERR_CORRUPT,
                     "snapshots/clock-%" PRIu64 "/%s-%zu.npy: not what was "
                     "written: its digest differs",
                     s->clock, bad, i);
    }
    return rc;
}

int ckpt_snapshot_load(const struct ckpt_snapshot *s,
                       const char *dir,
                       struct sv_state *states,
                       size_t n_states,
                       struct err *e)
{
    int rc = 0;

    if (s->n != n_states) {
        return err_set(e, ERR_CORRUPT,
                       "snapshot of clock %" PRIu64 ": %zu matrices, not %zu",
                       s->clock, s->n, n_states);
    }
    for (size_t i = 0; rc == 0 && i < n_states; i++) {
        rc = load_matrix(s, dir, &states[i], i, e);
    }
    return rc;
}

/* 1 if the snapshot at @clock is whole and holds what @states do, else 0. */
static int is_good(const char *dir,
                   uint64_t clock,
                   const struct sv_state *states,
                   size_t n_states,
                   struct err *e)
{
    struct sv_state *copies = NULL;
    struct ckpt_snapshot s;
    bool good = true;
    int rc;

    if (ckpt_snapshot_open(&s, dir, clock, NULL) != 0) {
        return 0;
    }
    rc = sv_states_copy(&copies, states, n_states, e);
    if (rc == 0) {
        good = ckpt_snapshot_load(&s, dir, copies, n_states, NULL) == 0;
    }
    for (size_t i = 0; rc == 0 && good && i < n_states; i++) {
        uint8_t want[MATRIX_SIZE], have[MATRIX_SIZE];
        put_matrix(want, &states[i]);
        put_matrix(have, &copies[i]);
        good = memcmp(want, have, sizeof want) == 0;
    }
    sv_states_free(copies, n_states);
    ckpt_snapshot_fini(&s);
    return rc != 0 ? rc : good;
}

int ckpt_snapshot_write(struct ckpt_fs *fs,
                        const char *dir,
                        const struct ckpt_snapshot *s,
                        const struct sv_state *states,
                        size_t n_states,
                        struct err *e)
{
    char name[CKPT_SNAPSHOT_NAME_SIZE], partial[CKPT_PATH_SIZE + 16];
    char path[CKPT_PATH_SIZE], parent[CKPT_PATH_SIZE];
    int rc;

    ckpt_snapshot_name(name, s->clock);
    if ((rc = ckpt_path(path, dir, name, e)) != 0 ||
        (rc = ckpt_path(parent, dir, "snapshots", e)) != 0 ||
        (rc = ckpt_dir_make(fs, parent, e)) != 0) {
        return rc;
    }
    if (access(path, F_OK) == 0) {
        rc = is_good(dir, s->clock, states, n_states, e);
        if (rc != 0) {
            return rc < 0 ? rc : 0;
        }
        rc = remove_dir(fs, path, e);
    }
    if (rc != 0) {
        return rc;
    }
    snprintf(partial, sizeof partial, "%s.partial", path);
    if (access(partial, F_OK) == 0) {
        rc = remove_dir(fs, partial, e);
    }
    if (rc != 0) {
        return rc;
    }
    rc = write_partial(fs, partial, s, states, n_states, e);
    rc = rc != 0 ? rc : publish(fs, partial, path, parent, e);
    if (rc != 0 && access(partial, F_OK) == 0) {
        (void)remove_dir(fs, partial, NULL); /* Or it is in nobody's way. */
    }
    return rc == 0 ? 0
                   : err_wrap(e, rc, "snapshot of clock %" PRIu64, s->clock);
}

/* The clock in "clock-123", which nothing may follow but "@end". */
static bool parse_name(const char *name, const char *end, uint64_t *clock)
{
    int n = 0;

    return sscanf(name, "clock-%" SCNu64 "%n", clock, &n) == 1 && n > 0 &&
           strcmp(name + n, end) == 0;
}

static int compare_u64(const void *p, const void *q)
{
    uint64_t a = *(const uint64_t *)p, b = *(const uint64_t *)q;

    return (a > b) - (a < b);
}

/* Clocks of the directories "clock-123@end". */
static int list_dirs(const char *dir,
                     const char *end,
                     uint64_t **clocks,
                     size_t *n,
                     struct err *e)
{
    char path[CKPT_PATH_SIZE];
    struct dirent *entry;
    uint64_t clock;
    DIR *d;
    int rc = ckpt_path(path, dir, "snapshots", e);

    *clocks = NULL;
    *n = 0;
    if (rc != 0) {
        return rc;
    }
    d = opendir(path);
    if (d == NULL) {
        return errno == ENOENT
                   ? 0
                   : err_wrap(e, err_errno(e, "opendir"), "%s", path);
    }
    while (rc == 0 && (entry = readdir(d)) != NULL) {
        uint64_t *more;
        if (!parse_name(entry->d_name, end, &clock)) {
            continue;
        }
        more = realloc(*clocks, (*n + 1) * sizeof *more);
        if (more == NULL) {
            rc = err_set(e, ERR_NOMEM, "%zu snapshots", *n);
            break;
        }
        *clocks = more;
        more[(*n)++] = clock;
    }
    closedir(d);
    if (rc != 0) {
        free(*clocks);
        *clocks = NULL;
        *n = 0;
    } else if (*n > 1) {
        qsort(*clocks, *n, sizeof **clocks, compare_u64);
    }
    return rc;
}

int ckpt_snapshot_list(const char *dir,
                       uint64_t **clocks,
                       size_t *n,
                       struct err *e)
{
    return list_dirs(dir, "", clocks, n, e);
}

int ckpt_snapshot_remove(struct ckpt_fs *fs,
                         const char *dir,
                         uint64_t clock,
                         struct err *e)
{
    char name[CKPT_SNAPSHOT_NAME_SIZE], path[CKPT_PATH_SIZE];
    int rc;

    ckpt_snapshot_name(name, clock);
    rc = ckpt_path(path, dir, name, e);
    return rc != 0 ? rc : remove_dir(fs, path, e);
}

int ckpt_snapshot_clean(struct ckpt_fs *fs, const char *dir, struct err *e)
{
    char name[CKPT_SNAPSHOT_NAME_SIZE], path[CKPT_PATH_SIZE + 16];
    uint64_t *clocks;
    size_t n;
    int rc = list_dirs(dir, ".partial", &clocks, &n, e);

    for (size_t i = 0; rc == 0 && i < n; i++) {
        ckpt_snapshot_name(name, clocks[i]);
        snprintf(path, sizeof path, "%.4000s/%s.partial", dir, name);
        rc = remove_dir(fs, path, e);
    }
    free(clocks);
    return rc;
}
