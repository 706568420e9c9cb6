#include "dataset/libsvm.h"

#include "dataset/featurize.h"
#include "dataset/lines.h"
#include "dataset/number.h"
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
        return 0;
    }
    return dataset_pairs_row(part, &c, label, &n, e);
}

int dataset_libsvm_read(struct dataset_build *b,
                        struct dataset_input *in,
                        size_t block_size,
                        struct err *e)
{
    static const struct dataset_line_format FORMAT = {.comments = true,
                                                      .parse = parse_libsvm};
    size_t size;
    const char *head = dataset_input_head(in, &size);
    int rc = dataset_featurizer_adopt(b, head, size, e);

    b->labelled = true;
    return rc != 0 ? rc : dataset_lines_read(b, in, &FORMAT, block_size, e);
}
