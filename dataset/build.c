#include "dataset/build.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

void dataset_build_init(struct dataset_build *b,
                        const struct dataset_options *o)
{
    memset(b, 0, sizeof *b);
    b->o = o;
    b->shard = o->shard;
    b->n_shards = o->n_shards == 0 ? 1 : o->n_shards;
    b->share = o->share;
    b->rows.dense = dataset_build_skims(b); /* No values, no ptr. */
    b->n_known = UINT32_MAX;
    b->change.transform = o->transform;
    b->change.normalize = o->normalize;
    if (o->schema != NULL) {
        b->n_known = o->schema->n_features;
        b->change.transform = o->schema->transform;
        b->change.normalize = o->schema->normalize;
        b->change.featurizer = o->schema->featurizer;
    }
}

void dataset_build_fini(struct dataset_build *b)
{
    dataset_names_fini(&b->labels);
    dataset_rows_fini(&b->rows);
}

uint64_t dataset_row_hash(uint64_t row, const void *data, size_t size)
{
    uint64_t key[2] = {row, hash64(data, size)};
    return hash64(key, sizeof key);
}

/* The classes of a file that brings its own. Write the class of each label to
 * @class_of (labels.n). */
static int find_classes(const struct dataset_build *b,
                        struct dataset_schema *s,
                        uint32_t *class_of,
                        struct err *e)
{
    uint32_t n = b->labels.n;
    uint32_t *order = calloc((size_t)n + 1, sizeof *order);
    int rc = ERR_NOMEM;

    s->classes = calloc((size_t)n + 1, sizeof *s->classes);
    if (order == NULL || s->classes == NULL) {
        err_set(e, ERR_NOMEM, "%u classes", n);
        goto out;
    }
    s->n_classes = n;
    rc = dataset_names_sort(&b->labels, order, e);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        class_of[order[i]] = i;
        s->classes[i] = strdup(dataset_names_get(&b->labels, order[i]));
        if (s->classes[i] == NULL) {
            rc = err_set(e, ERR_NOMEM, "%u classes", n);
        }
    }
out:
    free(order);
    return rc;
}

/* The classes of a schema that was there before the file. */
static int match_classes(const struct dataset_build *b,
                         const struct dataset_schema *s,
                         uint32_t *class_of,
                         struct err *e)
{
    struct dataset_names known = {0};
    int rc = 0;
    uint32_t id;

    for (uint32_t i = 0; i < s->n_classes && rc == 0; i++) {
        rc = dataset_names_add(&known, s->classes[i], strlen(s->classes[i]),
                               &id);
    }
    for (uint32_t i = 0; i < b->labels.n && rc == 0; i++) {
        const char *name = dataset_names_get(&b->labels, i);
        id = dataset_names_find(&known, name, strlen(name));
        class_of[i] = id == NAMES_NONE ? DATASET_NO_LABEL : id;
    }
    dataset_names_fini(&known);
    return rc == 0 ? 0 : err_set(e, rc, "%u classes", s->n_classes);
}

/* Replace ids of labels by ids of classes. */
static int
number_labels(struct dataset_build *b, struct dataset *d, struct err *e)
{
    uint32_t *class_of = calloc((size_t)b->labels.n + 1, sizeof *class_of);
    int rc;

    if (class_of == NULL) {
        return err_set(e, ERR_NOMEM, "%u classes", b->labels.n);
    }
    rc = b->o->schema != NULL ? match_classes(b, &d->schema, class_of, e)
                              : find_classes(b, &d->schema, class_of, e);
    for (uint32_t i = 0; i < b->rows.n && rc == 0; i++) {
        uint32_t *label = &b->rows.label[i];
        *label = *label == DATASET_NO_LABEL ? *label : class_of[*label];
        if (*label == DATASET_NO_LABEL && d->schema.n_classes > 0) {
            d->n_unknown_labels++;
        }
    }
    free(class_of);
    return rc;
}

static int
make_schema(struct dataset_build *b, struct dataset *d, struct err *e)
{
    if (b->o->schema != NULL) {
        return dataset_schema_copy(&d->schema, b->o->schema, e);
    }
    d->schema = b->change;
    d->schema.n_features =
        b->n_features < b->o->n_features ? b->o->n_features : b->n_features;
    if (d->schema.n_features == 0) {
        return err_set(e, ERR_CORRUPT, "no row has a feature");
    }
    return 0;
}

/* Dense rows have one length, whatever the model or the user wants. */
static int check_dense(const struct dataset_build *b,
                       const struct dataset *d,
                       struct err *e)
{
    if (b->rows.dense && !dataset_build_skims(b) &&
        d->schema.n_features != b->n_features) {
        return err_set(e, ERR_CORRUPT, "rows of %u values, expected %u",
                       b->n_features, d->schema.n_features);
    }
    return 0;
}

/* Move the arrays, without the memory they did not need. A shard without rows
 * still has arrays. */
static int move_rows(struct dataset_rows *r, struct dataset *d, struct err *e)
{
    size_t n = (size_t)r->n + 1, n_values = r->n_values + 1;
    uint32_t *label = realloc(r->label, n * sizeof *label);
    float *val = realloc(r->val, n_values * sizeof *val);
    uint32_t *idx = NULL;
    uint64_t *ptr = NULL;

    r->label = label != NULL ? label : r->label;
    r->val = val != NULL ? val : r->val;
    if (!r->dense) {
        idx = realloc(r->idx, n_values * sizeof *idx);
        ptr = realloc(r->ptr, n * sizeof *ptr);
        r->idx = idx != NULL ? idx : r->idx;
        r->ptr = ptr != NULL ? ptr : r->ptr;
    }
    if (label == NULL || val == NULL ||
        (!r->dense && (idx == NULL || ptr == NULL))) {
        return err_set(e, ERR_NOMEM, "%zu values", n_values);
    }
    if (ptr != NULL) {
        ptr[0] = 0;
    }
    d->n_rows = r->n;
    d->dense = r->dense;
    d->ptr = ptr;
    d->idx = idx;
    d->val = val;
    d->label = label;
    memset(r, 0, sizeof *r);
    return 0;
}

int dataset_build_finish(struct dataset_build *b,
                         struct dataset *d,
                         struct err *e)
{
    uint64_t key[2] = {b->n_rows_file, b->sum};
    int rc;

    if (b->n_rows_file == 0) {
        return err_set(e, ERR_CORRUPT, "no rows");
    }
    rc = make_schema(b, d, e);
    if (rc == 0) {
        rc = check_dense(b, d, e);
    }
    if (rc == 0) {
        rc = number_labels(b, d, e);
    }
    if (rc == 0) {
        rc = move_rows(&b->rows, d, e);
    }
    if (rc != 0) {
        dataset_fini(d);
        return rc;
    }
    d->n_rows_file = b->n_rows_file;
    d->fingerprint = hash64(key, sizeof key);
    d->shard = b->shard;
    d->n_shards = b->n_shards;
    d->n_unknown_features = b->n_unknown_features;
    return 0;
}
