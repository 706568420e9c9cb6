#include "dataset/text.h"

#include <string.h>

#include "dataset/featurize.h"
#include "dataset/lines.h"

static int parse_text(struct dataset_part *part,
                      const struct dataset_line *line,
                      struct err *e)
{
    const char *text = line->p;
    const char *tab = memchr(text, '\t', (size_t)(line->end - text));
    uint32_t label = DATASET_NO_LABEL;
    char q[QUOTE_SIZE];
    int rc;

    if (tab == NULL && part->build->o->schema == NULL) {
        return err_set(e, ERR_CORRUPT, "expected label TAB text, found %s",
                       dataset_quote(q, text, (size_t)(line->end - text)));
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
    if (!line->own) {
        return dataset_part_skip(part, label, e);
    }
    return dataset_featurize(part, text, (size_t)(line->end - text), label, e);
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
        return dataset_featurizer_check_schema(b->o->schema, e);
    }
    s->featurizer = b->o->featurizer;
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
    static const struct dataset_line_format FORMAT = {.growth = 16,
                                                      .parse = parse_text};
    int rc = choose_featurizer(b, e);

    b->labelled = true;
    return rc != 0 ? rc : dataset_lines_read(b, in, &FORMAT, block_size, e);
}
