#include "tests/support/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt/reader.h"
#include "core/rng.h"
#include "sv/codec.h"
#include "tests/support/test.h"

void logs_dir_make(char dir[LOGS_PATH_SIZE])
{
    snprintf(dir, LOGS_PATH_SIZE, "%s/lyre-test-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(dir));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void logs_dir_remove(const char *dir)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void logs_file_read(const char *dir,
                    const char *name,
                    uint8_t **data,
                    size_t *size)
{
    char path[2 * LOGS_PATH_SIZE];
    struct stat st;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    *size = (size_t)st.st_size;
    *data = malloc(*size + 1);
    assert_int_equal(fread(*data, 1, *size, f), *size);
    fclose(f);
}

void logs_file_write(const char *dir,
                     const char *name,
                     const uint8_t *data,
                     size_t size)
{
    char path[2 * LOGS_PATH_SIZE];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static uint64_t draw(const struct logs_story *s, uint64_t stream, uint64_t i)
{
    return rng_u64(s->seed, stream, i);
}

static struct sv_vec make_vec(const struct logs_story *s,
                              uint64_t stream,
                              uint32_t len,
                              bool sparse,
                              uint32_t *idx,
                              float *val)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < len; i++) {
        if (!sparse || draw(s, stream, 2 * i) % 3 == 0) {
            idx[n] = i;
            val[n++] = (float)(draw(s, stream, 2 * i + 1) % 17) / 8.0f - 1.0f;
        }
    }
    return (struct sv_vec){.nnz = n, .idx = sparse ? idx : NULL, .val = val};
}

void logs_batch(const struct logs_story *s,
                uint32_t origin,
                uint64_t clock,
                uint16_t matrix,
                struct sv_batch *b)
{
    uint32_t n = (uint32_t)((clock + origin) % 5), u_idx[LOGS_J], v_idx[LOGS_K];
    float u_val[LOGS_J], v_val[LOGS_K];

    sv_batch_init(b, LOGS_J, LOGS_K);
    sv_batch_reset(b, (clock + matrix) % 2 == 0, (clock + origin) % 3 != 0);
    b->rate = 0.25f;
    for (uint32_t r = 0; r < n; r++) {
        uint64_t stream =
            rng_stream(RNG_TEST, clock << 16 | matrix, origin << 8 | r << 1);
        struct sv_vec u =
            make_vec(s, stream, LOGS_J, b->u.sparse, u_idx, u_val);
        struct sv_vec v =
            make_vec(s, stream + 1, LOGS_K, b->v.sparse, v_idx, v_val);
        assert_int_equal(sv_batch_append(b, -0.125f, u, v, r, NULL), 0);
    }
}

void logs_rows(const struct logs_story *s,
               uint64_t clock,
               uint16_t matrix,
               uint32_t sequence,
               struct sv_row_block *b)
{
    uint64_t stream = rng_stream(RNG_TEST, clock << 16 | matrix, sequence);
    bool aux = s->rule == SV_MOMENTUM || s->rule == SV_ADAGRAD;
    uint32_t width =
        (aux ? 2u : 1u) * LOGS_J + (s->rule == SV_ROWGRAD ? 1u : 0u);

    sv_rows_init(b);
    assert_int_equal(sv_rows_resize(b, 4 * sequence, 5, width, NULL), 0);
    for (uint32_t i = 0; i < 5 * width; i++) {
        b->values[i] = rng_f32(s->seed, stream, i);
    }
}

static void add(struct ckpt_step *step, struct ckpt_op op)
{
    assert_int_equal(ckpt_step_add(step, &op, NULL), 0);
}

static void add_rows(struct ckpt_step *step, uint64_t clock, uint16_t matrix)
{
    for (uint32_t i = 0; clock % 5 == 1 && i < 2; i++) {
        add(step, (struct ckpt_op){
                      .kind = SV_OP_MIX, .matrix = matrix, .sequence = 3 * i});
    }
}

static void add_batches(const struct logs_story *s,
                        uint64_t clock,
                        uint16_t matrix,
                        struct ckpt_step *step)
{
    for (uint32_t p = 0; p < s->peers; p++) {
        if (p % 2 == 0 || clock > 0) {
            add(step, (struct ckpt_op){.kind = SV_OP_APPLY,
                                       .matrix = matrix,
                                       .a = p == 1 ? 1.7f : 1,
                                       .origin = p,
                                       .clock = clock - p % 2});
        }
    }
}

void logs_step(const struct logs_story *s,
               uint64_t clock,
               struct ckpt_step *step)
{
    bool momentum = s->rule == SV_MOMENTUM;

    ckpt_step_reset(step, clock);
    step->metrics.loss = 1.0 / (double)(clock + 1);
    for (uint16_t m = 0; m < s->matrices; m++) {
        if (clock % 4 == 3) {
            add(step,
                (struct ckpt_op){.kind = SV_OP_SCALE, .matrix = m, .a = 0.75f});
        }
        if (momentum) {
            add(step, (struct ckpt_op){
                          .kind = SV_OP_SCALE_AUX, .matrix = m, .a = 0.5f});
        }
        add_batches(s, clock, m, step);
        if (momentum) {
            add(step, (struct ckpt_op){.kind = SV_OP_ADD_AUX, .matrix = m});
        }
        add_rows(step, clock, m);
    }
}

bool logs_digest(const struct logs_story *s,
                 uint64_t clock,
                 struct hash128 *digest)
{
    *digest =
        (struct hash128){.high = draw(s, 1, clock), .low = draw(s, 2, clock)};
    return clock > 0 && clock % 3 == 0;
}

static void put_batch(const struct logs_story *s,
                      const struct sv_record *r,
                      struct sv_codec_scratch *scratch,
                      struct buf *out)
{
    struct sv_batch b;

    logs_batch(s, r->origin, r->clock, r->matrix, &b);
    assert_int_equal(sv_codec_encode(out, r, &b, scratch, NULL), 0);
    sv_batch_fini(&b);
}

/* The blocks of rows that a step names, if it does. */
static void put_rows(const struct logs_story *s,
                     const struct ckpt_step *step,
                     struct buf *out)
{
    for (size_t i = 0; i < step->n_ops; i++) {
        struct sv_record r = {.view = 1,
                              .clock = step->clock,
                              .matrix = step->ops[i].matrix,
                              .sequence = step->ops[i].sequence};
        struct sv_row_block b;
        if (step->ops[i].kind == SV_OP_MIX) {
            logs_rows(s, r.clock, r.matrix, r.sequence, &b);
            assert_int_equal(sv_rows_encode(out, &r, &b, NULL), 0);
            sv_rows_fini(&b);
        }
    }
}

struct blob *logs_clock(const struct logs_story *s, uint64_t clock)
{
    struct sv_codec_scratch scratch;
    struct ckpt_step step;
    struct hash128 digest;
    struct blob *blob;
    struct buf out;

    buf_init(&out);
    sv_codec_scratch_init(&scratch);
    ckpt_step_init(&step);
    for (uint32_t p = 0; p < s->peers; p++) {
        for (uint16_t m = 0; m < s->matrices; m++) {
            struct sv_record r = {
                .view = 1, .origin = p, .clock = clock, .matrix = m};
            put_batch(s, &r, &scratch, &out);
        }
    }
    logs_step(s, clock, &step);
    put_rows(s, &step, &out);
    assert_int_equal(ckpt_step_write(&out, 1, 0, &step, NULL), 0);
    if (logs_digest(s, clock + 1, &digest)) {
        assert_int_equal(ckpt_digest_write(&out, 1, 0, clock + 1, 0, digest),
                         0);
    }
    blob = blob_copy(out.data, out.size);
    assert_non_null(blob);
    ckpt_step_fini(&step);
    sv_codec_scratch_fini(&scratch);
    buf_fini(&out);
    return blob;
}

struct ckpt_log_options logs_options(const char *dir)
{
    return (struct ckpt_log_options){.dir = dir,
                                     .run = LOGS_RUN,
                                     .peer = 0,
                                     .run_json = "{\"model\": \"test\"}",
                                     .durability = CKPT_DURABILITY_NONE};
}

int logs_put(struct ckpt_log *log,
             const struct logs_story *s,
             uint64_t from,
             uint64_t to,
             struct err *e)
{
    int rc = 0;

    for (uint64_t c = from; rc == 0 && c < to; c++) {
        struct blob *b = logs_clock(s, c);
        rc = ckpt_log_put(log, b, e);
        blob_unref(b);
    }
    return rc;
}

void logs_write(const struct logs_story *s,
                const struct ckpt_log_options *o,
                uint64_t n)
{
    struct ckpt_log *log = NULL;
    struct err e = {""};

    assert_int_equal(ckpt_log_create(&log, o, &e), 0);
    assert_int_equal(logs_put(log, s, 0, n, &e), 0);
    assert_int_equal(ckpt_log_close(log, &e), 0);
}

static void
check_step(const struct logs_story *s, struct ckpt_reader *r, uint64_t clock)
{
    struct ckpt_step want, step;
    struct err e = {""};

    ckpt_step_init(&want);
    ckpt_step_init(&step);
    logs_step(s, clock, &want);
    if (ckpt_reader_step(r, clock, &step, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(step.n_ops, want.n_ops);
    for (size_t i = 0; i < step.n_ops; i++) {
        const struct ckpt_op *op = &step.ops[i];
        assert_int_equal(op->kind, want.ops[i].kind);
        assert_int_equal(op->matrix, want.ops[i].matrix);
        assert_int_equal(op->origin, want.ops[i].origin);
        assert_true(op->clock == want.ops[i].clock);
        assert_int_equal(op->sequence, want.ops[i].sequence);
        assert_true(op->a == want.ops[i].a);
    }
    assert_true(step.metrics.loss == want.metrics.loss);
    assert_true(step.metrics.test_loss != step.metrics.test_loss);
    ckpt_step_fini(&want);
    ckpt_step_fini(&step);
}

static void
check_batches(const struct logs_story *s, struct ckpt_reader *r, uint64_t clock)
{
    struct blob *b = logs_clock(s, clock);
    const uint8_t *want = b->data, *data;
    struct sv_record fields;
    struct err e = {""};
    size_t size, want_size;

    for (uint32_t i = 0; i < s->peers * s->matrices; i++) {
        assert_int_equal(sv_record_read(&fields, want, b->size, &want_size, &e),
                         0);
        if (ckpt_reader_batch(r, fields.origin, clock, fields.matrix, &data,
                              &size, &e) != 0) {
            fail_msg("%s", e.msg);
        }
        assert_int_equal(size, want_size);
        assert_memory_equal(data, want, size);
        want += want_size;
    }
    blob_unref(b);
}

void logs_check(const struct logs_story *s, const char *dir, uint64_t n)
{
    struct hash128 want, digest;
    struct ckpt_reader *r;
    struct err e = {""};

    if (ckpt_reader_open(&r, dir, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_true(ckpt_reader_clocks(r) == n);
    assert_true(ckpt_reader_run(r) == LOGS_RUN);
    assert_int_equal(ckpt_reader_peer(r), 0);
    assert_string_equal(ckpt_reader_run_json(r), "{\"model\": \"test\"}");
    for (uint64_t c = 0; c < n; c++) {
        check_step(s, r, c);
        check_batches(s, r, c);
        if (logs_digest(s, c, &want)) {
            assert_true(ckpt_reader_digest(r, c, 0, &digest));
            assert_true(digest.high == want.high && digest.low == want.low);
        } else {
            assert_false(ckpt_reader_digest(r, c, 0, &digest));
        }
    }
    ckpt_reader_close(r);
}

static void sink_emit(struct log *log, enum log_level level, const char *msg)
{
    struct logs_sink *s = (struct logs_sink *)log;

    s->n_warnings += level <= LOG_WARN;
    snprintf(s->last, sizeof s->last, "%s", msg);
}

void logs_sink_init(struct logs_sink *s)
{
    *s = (struct logs_sink){.log = {.emit = sink_emit, .level = LOG_WARN}};
}

static bool fails(struct logs_fs *f)
{
    long n = f->n_ops++;

    if (f->fail_at >= 0 &&
        (n == f->fail_at || (f->forever && n > f->fail_at))) {
        errno = f->cause;
        return true;
    }
    return false;
}

static size_t file_of(struct logs_fs *f, int fd)
{
    for (size_t i = 0; i < f->n_files; i++) {
        if (f->files[i].fd == fd) {
            return i;
        }
    }
    fail_msg("no file %d", fd);
    return 0;
}

static int fs_open(struct ckpt_fs *fs, const char *path, int flags)
{
    struct logs_fs *f = (struct logs_fs *)fs;
    struct stat st;
    size_t i = 0;
    int fd;

    if (fails(f)) {
        return -1;
    }
    fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0) {
        return -1;
    }
    while (i < f->n_files && strcmp(f->files[i].path, path) != 0) {
        i++;
    }
    assert_true(i < LOGS_FILES_MAX);
    assert_int_equal(fstat(fd, &st), 0);
    if (i == f->n_files) {
        f->n_files++;
        snprintf(f->files[i].path, LOGS_PATH_SIZE, "%s", path);
        f->files[i].named = st.st_size > 0;
        f->files[i].synced = (uint64_t)st.st_size;
    }
    f->files[i].fd = fd;
    f->files[i].size = (uint64_t)st.st_size;
    return fd;
}

static ssize_t fs_write(struct ckpt_fs *fs,
                        int fd,
                        const void *data,
                        size_t size,
                        uint64_t offset)
{
    struct logs_fs *f = (struct logs_fs *)fs;
    bool failed = fails(f);
    size_t i = file_of(f, fd);
    int cause = errno;

    if (failed && !f->half) {
        return -1;
    }
    size = failed ? size / 2 : size;
    if (size > 0) {
        assert_int_equal(pwrite(fd, data, size, (off_t)offset), size);
    }
    if (offset + size > f->files[i].size) {
        f->files[i].size = offset + size;
    }
    errno = cause;
    return failed ? -1 : (ssize_t)size;
}

static int fs_sync(struct ckpt_fs *fs, int fd)
{
    struct logs_fs *f = (struct logs_fs *)fs;
    size_t i = file_of(f, fd);

    if (fails(f)) {
        return -1;
    }
    f->files[i].synced = f->files[i].size;
    return 0;
}

static int fs_truncate(struct ckpt_fs *fs, int fd, uint64_t size)
{
    struct logs_fs *f = (struct logs_fs *)fs;
    size_t i = file_of(f, fd);

    if (fails(f) || ftruncate(fd, (off_t)size) != 0) {
        return -1;
    }
    f->files[i].size = size;
    f->files[i].synced = f->files[i].synced < size ? f->files[i].synced : size;
    return 0;
}

/* Closing is not counted: nobody may look at what it says. */
static int fs_close(struct ckpt_fs *fs, int fd)
{
    struct logs_fs *f = (struct logs_fs *)fs;

    f->files[file_of(f, fd)].fd = -1;
    return close(fd);
}

static int fs_unlink(struct ckpt_fs *fs, const char *path)
{
    struct logs_fs *f = (struct logs_fs *)fs;

    if (fails(f)) {
        return -1;
    }
    for (size_t i = 0; i < f->n_files; i++) {
        if (strcmp(f->files[i].path, path) == 0) {
            f->files[i].size = 0;
            f->files[i].synced = 0;
        }
    }
    return unlink(path);
}

static int fs_mkdir(struct ckpt_fs *fs, const char *path)
{
    return fails((struct logs_fs *)fs) ? -1 : mkdir(path, 0755);
}

static int fs_rmdir(struct ckpt_fs *fs, const char *path)
{
    return fails((struct logs_fs *)fs) ? -1 : rmdir(path);
}

/* Of a file or of a directory, whose files then have other paths. */
static int fs_rename(struct ckpt_fs *fs, const char *from, const char *to)
{
    struct logs_fs *f = (struct logs_fs *)fs;
    size_t n = strlen(from);

    if (fails(f) || rename(from, to) != 0) {
        return -1;
    }
    for (size_t i = 0; i < f->n_files; i++) {
        char *path = f->files[i].path, rest[LOGS_PATH_SIZE];
        if (strncmp(path, from, n) == 0 &&
            (path[n] == '/' || path[n] == '\0')) {
            snprintf(rest, sizeof rest, "%s", path + n);
            snprintf(path, LOGS_PATH_SIZE, "%.150s%.100s", to, rest);
        }
    }
    return 0;
}

static int fs_sync_dir(struct ckpt_fs *fs, const char *path)
{
    struct logs_fs *f = (struct logs_fs *)fs;

    if (fails(f)) {
        return -1;
    }
    for (size_t i = 0; i < f->n_files; i++) {
        if (strncmp(f->files[i].path, path, strlen(path)) == 0) {
            f->files[i].named = true;
        }
    }
    return 0;
}

void logs_fs_init(struct logs_fs *f)
{
    *f = (struct logs_fs){.fs = {.open = fs_open,
                                 .write = fs_write,
                                 .sync = fs_sync,
                                 .truncate = fs_truncate,
                                 .close = fs_close,
                                 .unlink = fs_unlink,
                                 .mkdir = fs_mkdir,
                                 .rmdir = fs_rmdir,
                                 .rename = fs_rename,
                                 .sync_dir = fs_sync_dir},
                          .fail_at = -1,
                          .cause = EIO};
}

/* Zero some pieces of [from, to) of the file at @path. */
static void
make_holes(const char *path, uint64_t from, uint64_t to, uint64_t seed)
{
    static const uint8_t zeros[64];
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    for (uint64_t at = from; at < to; at += sizeof zeros) {
        size_t size = to - at < sizeof zeros ? (size_t)(to - at) : sizeof zeros;
        if (rng_below(seed, RNG_TEST, at, 4) == 0) {
            assert_int_equal(pwrite(fd, zeros, size, (off_t)at), size);
        }
    }
    close(fd);
}

void logs_fs_power_cut(struct logs_fs *f, uint64_t seed)
{
    for (size_t i = 0; i < f->n_files; i++) {
        const char *path = f->files[i].path;
        uint64_t lost = f->files[i].size - f->files[i].synced, keep;
        if (access(path, F_OK) != 0) {
            continue;
        }
        if (!f->files[i].named && rng_below(seed, 1, i, 2) == 0) {
            unlink(path);
            continue;
        }
        keep = f->files[i].synced + rng_below(seed, 2, i, lost + 1);
        assert_int_equal(truncate(path, (off_t)keep), 0);
        if (rng_below(seed, 3, i, 2) == 0) {
            make_holes(path, f->files[i].synced, keep, seed + i);
        }
    }
}
