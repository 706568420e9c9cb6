#include "dataset/sharding.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[DATASET_SHARDING_COUNT] = {
    [DATASET_INTERLEAVED] = "interleaved",
    [DATASET_CONTIGUOUS] = "contiguous",
    [DATASET_SORTED] = "sorted"};

const char *dataset_sharding_name(enum dataset_sharding kind)
{
    return NAMES[kind];
}

int dataset_sharding_parse(enum dataset_sharding *kind,
                           const char *text,
                           struct err *e)
{
    for (int i = 0; i < DATASET_SHARDING_COUNT; i++) {
        if (strcmp(text, NAMES[i]) == 0) {
            *kind = (enum dataset_sharding)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID,
                   "\"%s\": interleaved, contiguous or sorted is wanted", text);
}

uint32_t
dataset_sharding_first(uint32_t n_rows, uint32_t n_shards, uint32_t shard)
{
    uint32_t rest = n_rows % n_shards;

    return n_rows / n_shards * shard + (shard < rest ? shard : rest);
}

static void
order_interleaved(uint32_t n_rows, uint32_t n_shards, uint32_t *order)
{
    for (uint32_t p = 0; p < n_shards; p++) {
        for (uint64_t r = p; r < n_rows; r += n_shards) {
            *order++ = (uint32_t)r;
        }
    }
}

static uint32_t class_of(const struct dataset *d, uint32_t row)
{
    return d->label[row] < d->schema.n_classes ? d->label[row]
                                               : d->schema.n_classes;
}

/* Counting sort of the rows by class. @next (n_classes + 2) is zeros. */
static void
order_by_class(const struct dataset *d, uint32_t *next, uint32_t *order)
{
    for (uint32_t r = 0; r < d->n_rows; r++) {
        next[class_of(d, r) + 1]++;
    }
    for (uint32_t c = 0; c < d->schema.n_classes; c++) {
        next[c + 1] += next[c];
    }
    for (uint32_t r = 0; r < d->n_rows; r++) {
        order[next[class_of(d, r)]++] = r;
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

int dataset_sharding_order(enum dataset_sharding kind,
                           const struct dataset *d,
                           uint32_t n_shards,
                           uint32_t *order,
                           struct err *e)
{
    uint32_t n = d->n_rows, *next;

    assert(n_shards > 0);
    if (kind == DATASET_INTERLEAVED) {
        order_interleaved(n, n_shards, order);
        return 0;
    }
    if (kind == DATASET_CONTIGUOUS) {
        order_interleaved(n, 1, order);
        return 0;
    }
    next = calloc((size_t)d->schema.n_classes + 2, sizeof *next);
    if (next == NULL) {
        return err_set(e, ERR_NOMEM, "%u classes", d->schema.n_classes);
    }
    order_by_class(d, next, order);
    free(next);
    for (uint32_t p = 0; p < n_shards; p++) {
        uint32_t first = dataset_sharding_first(n, n_shards, p);
        uint32_t end = dataset_sharding_first(n, n_shards, p + 1);
        qsort(order + first, end - first, sizeof *order, by_number);
    }
    return 0;
}

uint32_t dataset_share_index(const struct dataset_share *s, uint64_t row)
{
    uint32_t low = 0, high = s->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->rows[middle] < row) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < s->n && s->rows[low] == row ? low : UINT32_MAX;
}
