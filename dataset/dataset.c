#include "dataset/dataset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void dataset_schema_fini(struct dataset_schema *s)
{
    for (uint32_t i = 0; s->classes != NULL && i < s->n_classes; i++) {
        free(s->classes[i]);
    }
    free(s->classes);
    memset(s, 0, sizeof *s);
}

int dataset_schema_copy(struct dataset_schema *to,
                        const struct dataset_schema *from,
                        struct err *e)
{
    struct dataset_schema s = *from;

    s.classes = calloc((size_t)from->n_classes + 1, sizeof *s.classes);
    if (s.classes == NULL) {
        return err_set(e, ERR_NOMEM, "%u classes", from->n_classes);
    }
    for (uint32_t i = 0; i < from->n_classes; i++) {
        s.classes[i] = strdup(from->classes[i]);
        if (s.classes[i] == NULL) {
            dataset_schema_fini(&s);
            return err_set(e, ERR_NOMEM, "%u classes", from->n_classes);
        }
    }
    *to = s;
    return 0;
}

void dataset_fini(struct dataset *d)
{
    dataset_schema_fini(&d->schema);
    if (d->map != NULL) {
        munmap(d->map, d->map_size);
    } else {
        free(d->ptr);
        free(d->idx);
        free(d->val);
        free(d->label);
    }
    free(d->number);
    memset(d, 0, sizeof *d);
}

struct dataset_row dataset_row(const struct dataset *d, uint32_t i)
{
    size_t K = d->schema.n_features;

    assert(i < d->n_rows);
    if (d->dense) {
        return (struct dataset_row){.nnz = (uint32_t)K, .val = d->val + i * K};
    }
    return (struct dataset_row){.nnz = (uint32_t)(d->ptr[i + 1] - d->ptr[i]),
                                .idx = d->idx + d->ptr[i],
                                .val = d->val + d->ptr[i]};
}
