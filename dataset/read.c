#include "dataset/read.h"

#include <assert.h>
#include <string.h>

#include "dataset/bin.h"
#include "dataset/bow.h"
#include "dataset/build.h"
#include "dataset/idx.h"
#include "dataset/ldac.h"
#include "dataset/libsvm.h"
#include "dataset/lines.h"
#include "dataset/npy.h"
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

int dataset_read_source(struct dataset *d,
                        const struct dataset_source *from,
                        const struct dataset_options *o,
                        struct err *e)
{
    struct dataset_input *in;
    int rc;

    assert(o->shard < (o->n_shards == 0 ? 1 : o->n_shards));
    memset(d, 0, sizeof *d);
    rc = open_source(&in, from, e);
    if (rc == 0) {
        rc = read_input(d, in, from, o, e);
        dataset_input_close(in);
    }
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
