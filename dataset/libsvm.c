#include "dataset/libsvm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "dataset/featurize.h"
#include "dataset/lines.h"
#include "dataset/number.h"
#include "dataset/output.h"
#include "dataset/pairs.h"

static int scan_label(struct dataset_part *part,
                      struct dataset_pairs *c,
                      uint32_t *label,
                      struct err *e)
{
    const char *p = dataset_skip_blanks(c->p);
    const char *end = dataset_skip_word(p, c->end), *q = p;
    uint64_t k;

    if (dataset_parse_u64(&q, &k) && *q == ':') {
        char text[QUOTE_SIZE];
        return err_set(e, ERR_CORRUPT, "no label before %s",
                       dataset_quote(text, p, (size_t)(end - p)));
    }
    c->p = end;
    return dataset_part_label(part, p, (size_t)(end - p), label, e);
}

static int parse_libsvm(struct dataset_part *part,
                        const struct dataset_line *line,
                        struct err *e)
{
    struct dataset_pairs c = {.p = line->p, .end = line->end, .base = 1};
    uint32_t label;
    uint64_t n;
    int rc = scan_label(part, &c, &label, e);

    if (rc != 0) {
        return rc;
    }
    if (!line->own) {
        dataset_pairs_skim(part, &c);
        return dataset_part_skip(part, label, e);
    }
    return dataset_pairs_row(part, &c, label, &n, e);
}

int dataset_libsvm_read(struct dataset_build *b,
                        struct dataset_input *in,
                        size_t block_size,
                        struct err *e)
{
    static const struct dataset_line_format FORMAT = {
        .comments = true, .growth = 1, .parse = parse_libsvm};
    size_t size;
    const char *head = dataset_input_head(in, &size);
    int rc = dataset_featurizer_adopt(b, head, size, e);

    b->labelled = true;
    return rc != 0 ? rc : dataset_lines_read(b, in, &FORMAT, block_size, e);
}

static int check_classes(const struct dataset *d, struct err *e)
{
    for (uint32_t i = 0; i < d->schema.n_classes; i++) {
        const char *name = d->schema.classes[i], *p = name;
        uint64_t k;
        if (*name == '\0' || *name == '#' || strpbrk(name, " \t\r\n") != NULL ||
            (dataset_parse_u64(&p, &k) && *p == ':')) {
            return err_set(e, ERR_INVALID,
                           "class \"%s\" cannot be a LIBSVM label: write a "
                           ".bin",
                           name);
        }
    }
    return 0;
}

/* Counts are the common case; nine digits tell all floats apart. */
static void put_pair(struct buf *b, uint32_t k, float x)
{
    char text[48];
    int n;

    if (!signbit(x) && x < 1e6f && x == (float)(int)x) {
        n = snprintf(text, sizeof text, " %u:%d", k + 1, (int)x);
    } else {
        n = snprintf(text, sizeof text, " %u:%.9g", k + 1, (double)x);
    }
    buf_put(b, text, (size_t)n);
}

static int put_row(struct dataset_output *out,
                   const struct dataset *d,
                   uint32_t i,
                   struct buf *b,
                   struct err *e)
{
    struct dataset_row row = dataset_row(d, i);
    uint32_t label = d->label[i];
    const char *name =
        label == DATASET_NO_LABEL ? "?" : d->schema.classes[label];

    buf_reset(b);
    buf_put(b, name, strlen(name));
    for (uint32_t j = 0; j < row.nnz; j++) {
        put_pair(b, row.idx[j], row.val[j]);
    }
    buf_put(b, "\n", 1);
    if (b->failed) {
        return err_set(e, ERR_NOMEM, "a row of %u values", row.nnz);
    }
    return dataset_output_put(out, b->data, b->size, e);
}

static int
put_rows(struct dataset_output *out, const struct dataset *d, struct err *e)
{
    char line[FEATURIZE_LINE_SIZE];
    struct buf b;
    int rc = 0;

    buf_init(&b);
    if (d->schema.featurizer.n_max > 0) {
        dataset_featurizer_line(&d->schema, line);
        rc = dataset_output_put(out, line, strlen(line), e);
    }
    for (uint32_t i = 0; i < d->n_rows && rc == 0; i++) {
        rc = put_row(out, d, i, &b, e);
    }
    buf_fini(&b);
    return rc;
}

int dataset_libsvm_write(const struct dataset *d,
                         const char *path,
                         struct err *e)
{
    struct dataset_output out = {0};
    int rc = d->dense ? err_set(e, ERR_INVALID, "rows are dense: write a .bin")
                      : check_classes(d, e);

    if (rc == 0) {
        rc = dataset_output_open(&out, path, e);
    }
    if (rc == 0) {
        rc = put_rows(&out, d, e);
    }
    if (rc == 0) {
        rc = dataset_output_close(&out, e);
    }
    dataset_output_abort(&out);
    return rc == 0 ? 0 : err_wrap(e, rc, "write %s", path);
}
