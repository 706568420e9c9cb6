#include "dataset/text.h"

#include <string.h>

#include "dataset/featurize.h"
#include "dataset/lines.h"

/* The features of a text as a row of its own. */
static int end_row(struct dataset_part *part,
                   const char *text,
                   size_t size,
                   uint32_t label,
                   struct err *e)
{
    const struct dataset_schema *s = &part->build->change;
    struct dataset_rows *r = &part->rows;
    size_t n;
    int rc = dataset_featurize(&s->featurizer, text, size, part, &n, e);

    if (rc == 0) {
        rc = dataset_row_change(s, r->idx + r->n_values, r->val + r->n_values,
                                n, e);
    }
    return rc != 0 ? rc : dataset_rows_end(r, n, label, e);
}

static int parse_text(struct dataset_part *part,
                      const struct dataset_line *line,
                      struct err *e)
{
    const char *text = line->p;
    const char *tab = memchr(text, '\t', (size_t)(line->end - text));
    uint32_t label = DATASET_NO_LABEL;
    int rc;

    if (tab == NULL && part->build->o->schema == NULL) {
        return err_set(e, ERR_CORRUPT, "expected label TAB text, found no TAB");
    }
    if (tab == text) {
        return err_set(e, ERR_CORRUPT, "no label before the TAB");
    }
    if (tab != NULL) {
        rc = dataset_part_label(part, text, (size_t)(tab - text), &label, e);
        if (rc != 0) {
            return rc;
        }
        text = tab + 1;
    }
    return line->own ? end_row(part, text, (size_t)(line->end - text), label, e)
                     : 0;
}

static int check_featurizer(const struct dataset_schema *s, struct err *e)
{
    int rc = dataset_featurizer_check(&s->featurizer, e);

    if (rc == 0 && s->n_features < 1u << s->featurizer.bits) {
        return err_set(e, ERR_INVALID, "%u features are too few for %u bits",
                       s->n_features, s->featurizer.bits);
    }
    return rc;
}

static int choose_featurizer(struct dataset_build *b, struct err *e)
{
    struct dataset_schema *s = &b->change;
    int rc;

    if (b->o->schema != NULL && s->featurizer.n_max == 0) {
        return err_set(e, ERR_CORRUPT,
                       "this is text, but the model was not trained on text");
    }
    if (b->o->schema != NULL) {
        return check_featurizer(b->o->schema, e);
    }
    if (s->featurizer.n_max == 0) {
        s->featurizer = DATASET_FEATURIZER_DEFAULT;
        s->normalize = DATASET_NORMALIZE_L2;
    }
    rc = dataset_featurizer_check(&s->featurizer, e);
    if (rc == 0) {
        b->n_features = 1u << s->featurizer.bits;
    }
    return rc;
}

int dataset_text_read(struct dataset_build *b,
                      struct dataset_input *in,
                      size_t block_size,
                      struct err *e)
{
    static const struct dataset_line_format FORMAT = {.parse = parse_text};
    int rc = choose_featurizer(b, e);

    b->labelled = true;
    return rc != 0 ? rc : dataset_lines_read(b, in, &FORMAT, block_size, e);
}

int dataset_from_text(struct dataset *d,
                      const struct dataset_schema *schema,
                      const char *text,
                      struct err *e)
{
    const struct dataset_options o = {.schema = schema};
    struct dataset_build b;
    struct dataset_part part = {.build = &b};
    int rc;

    memset(d, 0, sizeof *d);
    dataset_build_init(&b, &o);
    if (schema->featurizer.n_max == 0) {
        return err_set(e, ERR_INVALID, "the model was not trained on text");
    }
    rc = check_featurizer(schema, e);
    if (rc != 0) {
        return rc;
    }
    rc = end_row(&part, text, strlen(text), DATASET_NO_LABEL, e);
    if (rc == 0) {
        b.n_rows_file = 1;
        b.sum = dataset_row_hash(0, text, strlen(text));
        rc = dataset_rows_append(&b.rows, &part.rows, e);
    }
    if (rc == 0) {
        rc = dataset_build_finish(&b, d, e);
    }
    dataset_rows_fini(&part.rows);
    buf_fini(&part.scratch);
    dataset_build_fini(&b);
    return rc;
}
