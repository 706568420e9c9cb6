#include "dataset/read.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dataset/bin.h"
#include "dataset/bow.h"
#include "dataset/build.h"
#include "dataset/idx.h"
#include "dataset/ldac.h"
#include "dataset/libsvm.h"
#include "dataset/lines.h"
#include "dataset/npy.h"
#include "dataset/sharding.h"
#include "dataset/text.h"
#include "dataset/triples.h"

static int open_source(struct dataset_input **in,
                       const struct dataset_source *from,
                       struct err *e)
{
    return from->data != NULL
               ? dataset_input_open_memory(in, from->data, from->size, e)
               : dataset_input_open(in, from->path, e);
}

static int read_format(struct dataset_build *b,
                       struct dataset_input *in,
                       const struct dataset_source *from,
                       struct err *e)
{
    size_t block = from->block_size > 0 ? from->block_size : LINES_BLOCK_SIZE;
    size_t size;
    const char *head = dataset_input_head(in, &size);

    switch (dataset_detect(from->path, head, size)) {
    case DATASET_LIBSVM:
        return dataset_libsvm_read(b, in, block, e);
    case DATASET_TEXT:
        return dataset_text_read(b, in, block, e);
    case DATASET_LDAC:
        return dataset_ldac_read(b, in, block, e);
    case DATASET_BOW:
        return dataset_bow_read(b, in, e);
    case DATASET_TRIPLES:
        return dataset_triples_read(b, in, e);
    case DATASET_IDX:
        return dataset_idx_read(b, in, from->path, e);
    case DATASET_NPY:
        return dataset_npy_read(b, in, from->path, e);
    case DATASET_BIN:
        break; /* Is not built: see read_input(). */
    }
    return err_set(e, ERR_CORRUPT, "unknown format");
}

static int read_built(struct dataset *d,
                      struct dataset_input *in,
                      const struct dataset_source *from,
                      const struct dataset_options *o,
                      struct err *e)
{
    struct dataset_build b;
    int rc;

    dataset_build_init(&b, o);
    rc = read_format(&b, in, from, e);
    if (rc == 0) {
        rc = dataset_build_finish(&b, d, e);
    }
    dataset_build_fini(&b);
    return rc;
}

static int read_input(struct dataset *d,
                      struct dataset_input *in,
                      const struct dataset_source *from,
                      const struct dataset_options *o,
                      struct err *e)
{
    size_t size;
    const char *head = dataset_input_head(in, &size);

    if (dataset_detect(from->path, head, size) == DATASET_BIN) {
        return dataset_bin_read(d, in, o, e);
    }
    return read_built(d, in, from, o, e);
}

static int read_once(struct dataset *d,
                     const struct dataset_source *from,
                     const struct dataset_options *o,
                     struct err *e)
{
    struct dataset_input *in;
    int rc = open_source(&in, from, e);

    if (rc == 0) {
        rc = read_input(d, in, from, o, e);
        dataset_input_close(in);
    }
    return rc;
}

/* A pipe would give the second pass nothing, or keep it waiting. */
static int check_regular(const struct dataset_source *from, struct err *e)
{
    struct stat st;

    if (from->data == NULL && stat(from->path, &st) == 0 &&
        !S_ISREG(st.st_mode)) {
        return err_set(e, ERR_INVALID,
                       "contiguous and sorted shards need a file that can be "
                       "read twice: this is none");
    }
    return 0;
}

/* The rows of the shard: *rows (*n), to be freed, and the fingerprint of the
 * file they were found in. */
static int find_share(const struct dataset_source *from,
                      const struct dataset_options *o,
                      uint32_t **rows,
                      uint32_t *n,
                      uint64_t *fingerprint,
                      struct err *e)
{
    const struct dataset_share skim = {.labels_only = true};
    struct dataset_options all = *o;
    struct dataset d = {0};
    uint32_t *order, first;
    int rc;

    all.shard = 0;
    all.n_shards = 1;
    all.share = &skim;
    all.log = NULL; /* The second pass says what there is to say. */
    rc = read_once(&d, from, &all, e);
    if (rc != 0) {
        return rc;
    }
    order = malloc(((size_t)d.n_rows + 1) * sizeof *order);
    rc = order == NULL
             ? err_set(e, ERR_NOMEM, "%u rows", d.n_rows)
             : dataset_sharding_order(o->sharding, &d, o->n_shards, order, e);
    if (rc == 0) {
        first = dataset_sharding_first(d.n_rows, o->n_shards, o->shard);
        *n =
            dataset_sharding_first(d.n_rows, o->n_shards, o->shard + 1) - first;
        *fingerprint = d.fingerprint;
        memmove(order, order + first, *n * sizeof *order);
        *rows = realloc(order, ((size_t)*n + 1) * sizeof *order);
        order = *rows == NULL ? order : NULL;
        rc = *rows == NULL ? err_set(e, ERR_NOMEM, "%u rows", *n) : 0;
    }
    free(order);
    dataset_fini(&d);
    return rc;
}

static int read_twice(struct dataset *d,
                      const struct dataset_source *from,
                      const struct dataset_options *o,
                      struct err *e)
{
    struct dataset_share share = {0};
    struct dataset_options own = *o;
    uint64_t fingerprint = 0;
    uint32_t *rows = NULL;
    int rc = check_regular(from, e);

    rc = rc != 0 ? rc : find_share(from, o, &rows, &share.n, &fingerprint, e);
    if (rc != 0) {
        return rc;
    }
    share.rows = rows;
    own.share = &share;
    rc = read_once(d, from, &own, e);
    if (rc == 0) {
        d->number = rows;
        rows = NULL;
        if (d->fingerprint != fingerprint || d->n_rows != share.n) {
            dataset_fini(d);
            rc = err_set(e, ERR_CORRUPT, "the file changed while it was read");
        }
    }
    free(rows);
    return rc;
}

int dataset_read_source(struct dataset *d,
                        const struct dataset_source *from,
                        const struct dataset_options *o,
                        struct err *e)
{
    bool twice = o->sharding != DATASET_INTERLEAVED && o->n_shards > 1;
    int rc;

    assert(o->shard < (o->n_shards == 0 ? 1 : o->n_shards));
    memset(d, 0, sizeof *d);
    rc = twice ? read_twice(d, from, o, e) : read_once(d, from, o, e);
    return rc == 0 ? 0 : err_wrap(e, rc, "read %s", from->path);
}

int dataset_read(struct dataset *d,
                 const char *path,
                 const struct dataset_options *o,
                 struct err *e)
{
    return dataset_read_source(d, &(struct dataset_source){.path = path}, o, e);
}

int dataset_format_of(const char *path, enum dataset_format *f, struct err *e)
{
    struct dataset_input *in;
    const char *head;
    size_t size;
    int rc = dataset_input_open(&in, path, e);

    if (rc != 0) {
        return err_wrap(e, rc, "read %s", path);
    }
    head = dataset_input_head(in, &size);
    *f = dataset_detect(path, head, size);
    dataset_input_close(in);
    return 0;
}
