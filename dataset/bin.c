#include "dataset/bin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/buf.h"
#include "core/hash.h"
#include "dataset/build.h"
#include "dataset/featurize.h"
#include "dataset/output.h"

#define VERSION     1
#define HEADER_SIZE 184
#define SUM_AT      176
#define ALIGN_SIZE  ((uint64_t)64)

enum { SCHEMA, PTR, IDX, VAL, LABEL, N_SECTIONS };

struct section {
    uint64_t at, size, sum;
};

struct header {
    uint32_t dense, n_features, n_classes;
    uint64_t n_rows, n_values, fingerprint, file_size;
    struct section sections[N_SECTIONS];
};

static uint64_t align(uint64_t at)
{
    return (at + ALIGN_SIZE - 1) / ALIGN_SIZE * ALIGN_SIZE;
}

static void encode(const struct header *h, uint8_t to[HEADER_SIZE])
{
    memcpy(to, BIN_MAGIC, 8);
    le_put_u32(to + 8, VERSION);
    le_put_u32(to + 12, h->dense);
    le_put_u64(to + 16, h->n_rows);
    le_put_u64(to + 24, h->n_values);
    le_put_u64(to + 32, h->fingerprint);
    le_put_u64(to + 40, h->file_size);
    le_put_u32(to + 48, h->n_features);
    le_put_u32(to + 52, h->n_classes);
    for (size_t i = 0; i < N_SECTIONS; i++) {
        le_put_u64(to + 56 + 24 * i, h->sections[i].at);
        le_put_u64(to + 64 + 24 * i, h->sections[i].size);
        le_put_u64(to + 72 + 24 * i, h->sections[i].sum);
    }
    le_put_u64(to + SUM_AT, hash64(to, SUM_AT));
}

static void decode(const uint8_t *p, struct header *h)
{
    h->dense = le_u32(p + 12);
    h->n_rows = le_u64(p + 16);
    h->n_values = le_u64(p + 24);
    h->fingerprint = le_u64(p + 32);
    h->file_size = le_u64(p + 40);
    h->n_features = le_u32(p + 48);
    h->n_classes = le_u32(p + 52);
    for (size_t i = 0; i < N_SECTIONS; i++) {
        h->sections[i].at = le_u64(p + 56 + 24 * i);
        h->sections[i].size = le_u64(p + 64 + 24 * i);
        h->sections[i].sum = le_u64(p + 72 + 24 * i);
    }
}

/* The header, and the sections with zeros between them. */
static int put_all(struct dataset_output *out,
                   struct header *h,
                   const void *const data[N_SECTIONS],
                   struct err *e)
{
    static const uint8_t ZEROS[ALIGN_SIZE];
    uint8_t bytes[HEADER_SIZE];
    uint64_t at = HEADER_SIZE;
    int rc;

    for (size_t i = 0; i < N_SECTIONS; i++) {
        h->sections[i].at = align(at);
        h->sections[i].sum = hash64(data[i], h->sections[i].size);
        at = h->sections[i].at + h->sections[i].size;
    }
    h->file_size = at;
    encode(h, bytes);
    rc = dataset_output_put(out, bytes, sizeof bytes, e);
    at = HEADER_SIZE;
    for (size_t i = 0; i < N_SECTIONS && rc == 0; i++) {
        rc = dataset_output_put(out, ZEROS, h->sections[i].at - at, e);
        if (rc == 0) {
            rc = dataset_output_put(out, data[i], h->sections[i].size, e);
        }
        at = h->sections[i].at + h->sections[i].size;
    }
    return rc;
}

static int write_file(const char *path,
                      struct header *h,
                      const void *const data[N_SECTIONS],
                      struct err *e)
{
    struct dataset_output out;
    int rc = dataset_output_open(&out, path, e);

    if (rc != 0) {
        return rc;
    }
    rc = put_all(&out, h, data, e);
    if (rc == 0) {
        rc = dataset_output_close(&out, e);
    }
    dataset_output_abort(&out);
    return rc;
}

int dataset_bin_write(const struct dataset *d, const char *path, struct err *e)
{
    uint64_t n = d->n_rows, K = d->schema.n_features;
    uint64_t m = d->dense ? n * K : d->ptr[n];
    struct header h = {.dense = d->dense,
                       .n_features = d->schema.n_features,
                       .n_classes = d->schema.n_classes,
                       .n_rows = n,
                       .n_values = m,
                       .fingerprint = d->fingerprint};
    const void *data[N_SECTIONS] = {
        [VAL] = d->val, [LABEL] = d->label, [PTR] = d->ptr, [IDX] = d->idx};
    char *json;
    int rc;

    if (d->n_shards != 1) {
        return err_set(e, ERR_INVALID, "write %s: a shard is no file", path);
    }
    rc = dataset_schema_to_json(&d->schema, &json, e);
    if (rc == 0) {
        data[SCHEMA] = json;
        h.sections[SCHEMA].size = strlen(json);
        h.sections[PTR].size = d->dense ? 0 : (n + 1) * sizeof *d->ptr;
        h.sections[IDX].size = d->dense ? 0 : m * sizeof *d->idx;
        h.sections[VAL].size = m * sizeof *d->val;
        h.sections[LABEL].size = n * sizeof *d->label;
        rc = write_file(path, &h, data, e);
        free(json);
    }
    return rc == 0 ? 0 : err_wrap(e, rc, "write %s", path);
}

/* A file in memory. */
struct bin {
    uint8_t *base; /* Aligned to ALIGN_SIZE. */
    size_t size;
    bool mapped;
    struct header h;
    struct dataset_schema schema;
    const uint64_t *ptr;
    const uint32_t *idx;
    const float *val;
    const uint32_t *label;
};

static void unload(struct bin *b)
{
    dataset_schema_fini(&b->schema);
    if (b->mapped) {
        munmap(b->base, b->size);
    } else {
        free(b->base);
    }
}

static int map(struct bin *b, int fd, struct err *e)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0) {
        return err_errno(e, "stat");
    }
    if (st.st_size < HEADER_SIZE) {
        return err_set(e, ERR_CORRUPT, "the header is cut short");
    }
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        return err_errno(e, "map");
    }
    b->base = p;
    b->size = (size_t)st.st_size;
    b->mapped = true;
    return 0;
}

static int load(struct bin *b, const struct dataset_input *in, struct err *e)
{
    const void *data;
    size_t size;
    int fd = dataset_input_fd(in, &data, &size);

    if (dataset_input_is_gzip(in)) {
        return err_set(e, ERR_CORRUPT,
                       "a binary data set is mapped: decompress it first");
    }
    if (fd >= 0) {
        return map(b, fd, e);
    }
    if (size < HEADER_SIZE) {
        return err_set(e, ERR_CORRUPT, "the header is cut short");
    }
    b->base = aligned_alloc(ALIGN_SIZE, align(size));
    if (b->base == NULL) {
        return err_set(e, ERR_NOMEM, "%zu bytes", size);
    }
    memcpy(b->base, data, size);
    b->size = size;
    return 0;
}

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "not a valid data set: %s", what);
}

static int check_header(const struct bin *b, struct err *e)
{
    if (memcmp(b->base, BIN_MAGIC, 8) != 0) {
        return bad(e, "magic");
    }
    if (le_u32(b->base + 8) != VERSION) {
        return err_set(e, ERR_CORRUPT, "version %u of the format, 1 is known",
                       le_u32(b->base + 8));
    }
    if (le_u64(b->base + SUM_AT) != hash64(b->base, SUM_AT)) {
        return bad(e, "checksum of the header");
    }
    if (b->h.file_size != b->size) {
        return err_set(e, ERR_CORRUPT, "%zu bytes, there should be %llu",
                       b->size, (unsigned long long)b->h.file_size);
    }
    return b->h.dense > 1 || b->h.n_rows >= UINT32_MAX ||
                   b->h.n_features == 0 || b->h.n_values > b->size
               ? bad(e, "a number of the header")
               : 0;
}

static int check_sections(const struct bin *b, struct err *e)
{
    static const char *const NAMES[] = {"schema", "ptr", "idx", "val", "label"};
    uint64_t at = HEADER_SIZE;

    for (size_t i = 0; i < N_SECTIONS; i++) {
        const struct section *s = &b->h.sections[i];
        if (s->at % ALIGN_SIZE != 0 || s->at < at || s->at > b->size ||
            s->size > b->size - s->at) {
            return err_set(e, ERR_CORRUPT, "section %s is out of place",
                           NAMES[i]);
        }
        if (hash64(b->base + s->at, s->size) != s->sum) {
            return err_set(e, ERR_CORRUPT, "section %s: bad checksum",
                           NAMES[i]);
        }
        at = s->at + s->size;
    }
    return 0;
}

static int check_sizes(const struct bin *b, struct err *e)
{
    const struct header *h = &b->h;
    uint64_t n = h->n_rows, m = h->n_values;
    bool dense = h->dense != 0;

    if (h->sections[PTR].size != (dense ? 0 : (n + 1) * sizeof *b->ptr) ||
        h->sections[IDX].size != (dense ? 0 : m * sizeof *b->idx) ||
        h->sections[VAL].size != m * sizeof *b->val ||
        h->sections[LABEL].size != n * sizeof *b->label ||
        (dense && m != n * h->n_features)) {
        return bad(e, "sizes of the sections");
    }
    return 0;
}

static int parse_schema(struct bin *b, struct err *e)
{
    const struct section *s = &b->h.sections[SCHEMA];
    char *json = strndup((const char *)b->base + s->at, s->size);
    int rc;

    if (json == NULL) {
        return err_set(e, ERR_NOMEM, "%llu bytes", (unsigned long long)s->size);
    }
    rc = dataset_schema_from_json(&b->schema, json, e);
    free(json);
    if (rc == 0 && (b->schema.n_features != b->h.n_features ||
                    b->schema.n_classes != b->h.n_classes)) {
        rc = bad(e, "the schema and the header differ");
    }
    return rc;
}

static bool row_ascends(const struct bin *b, uint64_t begin, uint64_t end)
{
    for (uint64_t i = begin; i < end; i++) {
        if (b->idx[i] >= b->h.n_features ||
            (i > begin && b->idx[i] <= b->idx[i - 1])) {
            return false;
        }
    }
    return true;
}

static int check_rows(const struct bin *b, struct err *e)
{
    if (b->h.dense) {
        return 0;
    }
    if (b->ptr[0] != 0 || b->ptr[b->h.n_rows] != b->h.n_values) {
        return bad(e, "where rows begin");
    }
    for (uint64_t r = 0; r < b->h.n_rows; r++) {
        if (b->ptr[r + 1] < b->ptr[r] || b->ptr[r + 1] > b->h.n_values) {
            return bad(e, "where rows begin");
        }
        if (!row_ascends(b, b->ptr[r], b->ptr[r + 1])) {
            return err_set(e, ERR_CORRUPT,
                           "row %llu: indices must ascend and be below %u",
                           (unsigned long long)r + 1, b->h.n_features);
        }
    }
    return 0;
}

static int check_values(const struct bin *b, struct err *e)
{
    for (uint64_t i = 0; i < b->h.n_values; i++) {
        if (!isfinite(b->val[i])) {
            return bad(e, "a value is not finite");
        }
    }
    for (uint64_t r = 0; r < b->h.n_rows; r++) {
        if (b->label[r] >= b->h.n_classes && b->label[r] != DATASET_NO_LABEL) {
            return bad(e, "a label without a class");
        }
    }
    return 0;
}

static int validate(struct bin *b, struct err *e)
{
    int rc;

    decode(b->base, &b->h);
    if ((rc = check_header(b, e)) != 0 || (rc = check_sections(b, e)) != 0 ||
        (rc = check_sizes(b, e)) != 0 || (rc = parse_schema(b, e)) != 0) {
        return rc;
    }
    b->ptr = (const void *)(b->base + b->h.sections[PTR].at);
    b->idx = (const void *)(b->base + b->h.sections[IDX].at);
    b->val = (const void *)(b->base + b->h.sections[VAL].at);
    b->label = (const void *)(b->base + b->h.sections[LABEL].at);
    rc = check_rows(b, e);
    return rc != 0 ? rc : check_values(b, e);
}

/* What has been done to the values (in b->schema), what is wanted (@want, in
 * and out) and so what is to be done (@todo). */
static int plan(const struct bin *b,
                const struct dataset_options *o,
                struct dataset_schema *want,
                struct dataset_schema *todo,
                struct err *e)
{
    const struct dataset_schema *is = &b->schema;

    if (o->schema == NULL) {
        want->featurizer = is->featurizer;
        if (want->transform == DATASET_TRANSFORM_NONE) {
            want->transform = is->transform;
        }
        if (want->normalize == DATASET_NORMALIZE_NONE) {
            want->normalize = is->normalize;
        }
    } else if (want->featurizer.n_max > 0 && is->featurizer.n_max > 0 &&
               !dataset_featurizer_same(&want->featurizer, &is->featurizer)) {
        return err_set(e, ERR_CORRUPT,
                       "features of text made in another way than the model's");
    }
    if ((want->transform != is->transform &&
         (is->transform != DATASET_TRANSFORM_NONE ||
          is->normalize != DATASET_NORMALIZE_NONE)) ||
        (want->normalize != is->normalize &&
         is->normalize != DATASET_NORMALIZE_NONE)) {
        return err_set(e, ERR_CORRUPT,
                       "the values have been transformed or normalized in "
                       "another way: convert the original again");
    }
    *todo = (struct dataset_schema){0};
    if (want->transform != is->transform) {
        todo->transform = want->transform;
    }
    if (want->normalize != is->normalize) {
        todo->normalize = want->normalize;
    }
    return 0;
}

static bool same_classes(const struct dataset_schema *a,
                         const struct dataset_schema *b)
{
    if (a->n_classes != b->n_classes) {
        return false;
    }
    for (uint32_t i = 0; i < a->n_classes; i++) {
        if (strcmp(a->classes[i], b->classes[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* Whether the arrays can be used as they lie in the file. */
static bool fits(const struct bin *b,
                 const struct dataset_build *build,
                 const struct dataset_schema *todo)
{
    const struct dataset_schema *s = build->o->schema;
    uint32_t K = b->h.n_features;

    if (!b->mapped || build->n_shards != 1 || build->share != NULL ||
        todo->transform != DATASET_TRANSFORM_NONE ||
        todo->normalize != DATASET_NORMALIZE_NONE || b->h.n_rows == 0) {
        return false;
    }
    if (s == NULL) {
        return !b->h.dense || build->o->n_features <= K;
    }
    return same_classes(s, &b->schema) &&
           (b->h.dense ? K == s->n_features : K <= s->n_features);
}

static int use(struct bin *b,
               const struct dataset_build *build,
               struct dataset *d,
               struct err *e)
{
    const struct dataset_schema *s = build->o->schema;
    int rc = dataset_schema_copy(&d->schema, s != NULL ? s : &b->schema, e);

    if (rc != 0) {
        return rc;
    }
    if (s == NULL) {
        d->schema.transform = build->change.transform;
        d->schema.normalize = build->change.normalize;
        if (d->schema.n_features < build->o->n_features) {
            d->schema.n_features = build->o->n_features;
        }
    }
    d->dense = b->h.dense != 0;
    d->n_rows = (uint32_t)b->h.n_rows;
    d->n_rows_file = b->h.n_rows;
    d->n_shards = 1;
    if (!d->dense) {
        d->ptr = (uint64_t *)b->ptr;
        d->idx = (uint32_t *)b->idx;
    }
    d->val = (float *)b->val;
    d->label = (uint32_t *)b->label;
    for (uint32_t i = 0; d->schema.n_classes > 0 && i < d->n_rows; i++) {
        d->n_unknown_labels += d->label[i] == DATASET_NO_LABEL;
    }
    d->map = b->base;
    d->map_size = b->size;
    b->base = NULL;
    b->mapped = false;
    return 0;
}

static int copy_row(const struct bin *b,
                    uint64_t row,
                    const struct dataset_schema *todo,
                    struct dataset_build *to,
                    struct err *e)
{
    struct dataset_rows *r = &to->rows;
    uint64_t K = b->h.n_features;
    uint64_t begin = b->h.dense ? row * K : b->ptr[row];
    size_t n = (size_t)((b->h.dense ? begin + K : b->ptr[row + 1]) - begin);
    int rc = dataset_rows_reserve(r, n, e);

    if (rc != 0) {
        return rc;
    }
    if (!r->dense) {
        size_t all = n;
        while (n > 0 && b->idx[begin + n - 1] >= to->n_known) {
            n--;
        }
        to->n_unknown_features += all - n;
        memcpy(r->idx + r->n_values, b->idx + begin, n * sizeof *r->idx);
    }
    memcpy(r->val + r->n_values, b->val + begin, n * sizeof *r->val);
    rc = dataset_row_change(todo, r->dense ? NULL : r->idx + r->n_values,
                            r->val + r->n_values, n, e);
    if (rc != 0) {
        return err_wrap(e, rc, "row %llu", (unsigned long long)row + 1);
    }
    return dataset_rows_end(r, n, b->label[row], e);
}

static int copy(const struct bin *b,
                const struct dataset_schema *todo,
                struct dataset_build *to,
                struct err *e)
{
    uint32_t id;
    int rc = 0;

    for (uint32_t i = 0; i < b->h.n_classes && rc == 0; i++) {
        const char *name = b->schema.classes[i];
        rc = dataset_names_add(&to->labels, name, strlen(name), &id);
    }
    if (rc != 0) {
        return err_set(e, rc, "%u classes", b->h.n_classes);
    }
    if (to->labels.n != b->h.n_classes) {
        return bad(e, "a class is there twice");
    }
    to->rows.dense = b->h.dense != 0 || dataset_build_skims(to);
    to->n_features = b->h.n_features;
    to->n_rows_file = b->h.n_rows;
    for (uint64_t r = 0; r < b->h.n_rows && rc == 0; r++) {
        if (dataset_build_skims(to)) {
            rc = dataset_rows_end(&to->rows, 0, b->label[r], e);
        } else if (dataset_build_owns(to, r)) {
            rc = copy_row(b, r, todo, to, e);
        }
    }
    return rc;
}

static int read_valid(struct bin *b,
                      struct dataset *d,
                      struct dataset_build *build,
                      struct err *e)
{
    struct dataset_schema todo;
    int rc = plan(b, build->o, &build->change, &todo, e);

    if (rc != 0) {
        return rc;
    }
    if (fits(b, build, &todo)) {
        rc = use(b, build, d, e);
    } else {
        rc = copy(b, &todo, build, e);
        if (rc == 0) {
            rc = dataset_build_finish(build, d, e);
        }
    }
    if (rc == 0) {
        d->fingerprint = b->h.fingerprint;
    }
    return rc;
}

int dataset_bin_read(struct dataset *d,
                     struct dataset_input *in,
                     const struct dataset_options *o,
                     struct err *e)
{
    struct dataset_build build;
    struct bin b = {0};
    int rc = load(&b, in, e);

    dataset_build_init(&build, o);
    if (rc == 0) {
        rc = validate(&b, e);
    }
    if (rc == 0) {
        rc = read_valid(&b, d, &build, e);
    }
    unload(&b);
    dataset_build_fini(&build);
    return rc;
}
