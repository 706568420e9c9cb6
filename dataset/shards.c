#include "dataset/shards.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/sharding.h"

/* Arrays for the rows of @from, which it does not have yet. A file without
 * entries still has arrays. */
static int
make_arrays(struct dataset *to, const struct dataset *from, struct err *e)
{
    size_t n = (size_t)from->n_rows + 1;
    size_t n_values =
        1 + (from->dense ? (size_t)from->n_rows * from->schema.n_features
                         : from->ptr[from->n_rows]);

    to->label = malloc(n * sizeof *to->label);
    to->val = malloc(n_values * sizeof *to->val);
    if (!from->dense) {
        to->ptr = malloc(n * sizeof *to->ptr);
        to->idx = malloc(n_values * sizeof *to->idx);
    }
    if (to->label == NULL || to->val == NULL ||
        (!from->dense && (to->ptr == NULL || to->idx == NULL))) {
        return err_set(e, ERR_NOMEM, "%zu values of all shards", n_values);
    }
    return 0;
}

static void copy_row(struct dataset *to, const struct dataset *from, uint32_t i)
{
    struct dataset_row row = dataset_row(from, i);
    uint64_t at = (uint64_t)to->n_rows * from->schema.n_features;

    to->label[to->n_rows] = from->label[i];
    if (!to->dense) {
        at = to->ptr[to->n_rows];
        memcpy(to->idx + at, row.idx, row.nnz * sizeof *row.idx);
        to->ptr[to->n_rows + 1] = at + row.nnz;
    }
    memcpy(to->val + at, row.val, row.nnz * sizeof *row.val);
    to->n_rows++;
}

static struct dataset view_of(const struct dataset_shards *s,
                              enum dataset_sharding kind,
                              uint32_t shard)
{
    struct dataset v = s->all;
    uint32_t first = dataset_sharding_first(v.n_rows, s->n, shard);

    v.shard = shard;
    v.n_shards = s->n;
    v.n_rows = dataset_sharding_first(v.n_rows, s->n, shard + 1) - first;
    v.number = kind == DATASET_INTERLEAVED ? NULL : s->order + first;
    v.label += first;
    if (v.dense) {
        v.val += (size_t)first * v.schema.n_features;
    } else {
        v.ptr += first; /* Which counts from the beginning of val and idx. */
    }
    return v;
}

int dataset_shards_init(struct dataset_shards *s,
                        struct dataset *all,
                        enum dataset_sharding kind,
                        uint32_t n,
                        struct err *e)
{
    struct dataset from = *all;
    int rc;

    assert(n > 0 && from.n_shards == 1);
    memset(s, 0, sizeof *s);
    memset(all, 0, sizeof *all);
    s->all = from;
    s->all.map = NULL;
    s->all.ptr = NULL;
    s->all.idx = NULL;
    s->all.val = NULL;
    s->all.label = NULL;
    s->all.n_rows = 0;
    s->n = n;
    s->view = calloc(n, sizeof *s->view);
    s->order = malloc(((size_t)from.n_rows + 1) * sizeof *s->order);
    rc = s->view == NULL || s->order == NULL
             ? err_set(e, ERR_NOMEM, "%u shards", n)
             : dataset_sharding_order(kind, &from, n, s->order, e);
    rc = rc != 0 ? rc : make_arrays(&s->all, &from, e);
    if (rc == 0 && !from.dense) {
        s->all.ptr[0] = 0;
    }
    for (uint32_t i = 0; rc == 0 && i < from.n_rows; i++) {
        copy_row(&s->all, &from, s->order[i]);
    }
    for (uint32_t p = 0; rc == 0 && p < n; p++) {
        s->view[p] = view_of(s, kind, p);
    }
    memset(&from.schema, 0, sizeof from.schema); /* Moved. */
    dataset_fini(&from);
    if (rc != 0) {
        dataset_shards_fini(s);
    }
    return rc;
}

void dataset_shards_fini(struct dataset_shards *s)
{
    dataset_fini(&s->all);
    free(s->view);
    free(s->order);
    memset(s, 0, sizeof *s);
}
