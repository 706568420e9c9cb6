#include "ps/table.h"

#include <stdlib.h>
#include <string.h>

static uint32_t length(const struct ps_param *p)
{
    return p->range_keys == 0 || p->range_keys > p->n ? p->n : p->range_keys;
}

static int check(const struct ps_param *p, uint32_t i, struct err *e)
{
    if (p->n == 0) {
        return err_set(e, ERR_INVALID, "parameter %u has no keys", i);
    }
    if (length(p) > PS_RANGE_KEYS_MAX) {
        return err_set(e, ERR_INVALID,
                       "parameter %u: ranges of %u keys, at "
                       "most %u",
                       i, length(p), PS_RANGE_KEYS_MAX);
    }
    if (p->aggregate_first && p->order != PS_ORDER_RANK) {
        return err_set(e, ERR_INVALID,
                       "parameter %u: only what is aggregated "
                       "by rank can be before replication",
                       i);
    }
    return 0;
}

int ps_table_init(struct ps_table *t,
                  const struct ps_param *params,
                  uint32_t n_params,
                  struct err *e)
{
    uint64_t n = 0;
    int rc = 0;

    memset(t, 0, sizeof *t);
    if (n_params == 0 || n_params > PS_PARAMS_MAX) {
        return err_set(e, ERR_INVALID, "%u parameters, must be 1 to %u",
                       n_params, PS_PARAMS_MAX);
    }
    t->params = malloc(n_params * sizeof *t->params);
    t->ranges = malloc((n_params + 1) * sizeof *t->ranges);
    if (t->params == NULL || t->ranges == NULL) {
        ps_table_fini(t);
        return err_set(e, ERR_NOMEM, "%u parameters", n_params);
    }
    for (uint32_t i = 0; i < n_params && rc == 0; i++) {
        t->params[i] = params[i];
        if (params[i].update.apply == NULL) {
            t->params[i].update.apply = ps_update_add;
        }
        rc = check(&params[i], i, e);
        t->ranges[i] = (uint32_t)n;
        n += rc == 0 ? (params[i].n - 1) / length(&params[i]) + 1 : 0;
        if (n > UINT32_MAX) {
            rc = err_set(e, ERR_INVALID, "too many ranges");
        }
    }
    if (rc != 0) {
        ps_table_fini(t);
        return rc;
    }
    t->ranges[n_params] = (uint32_t)n;
    t->n_params = n_params;
    t->n_ranges = (uint32_t)n;
    return 0;
}

void ps_table_fini(struct ps_table *t)
{
    free(t->params);
    free(t->ranges);
    memset(t, 0, sizeof *t);
}

struct ps_piece ps_table_piece(const struct ps_table *t, uint32_t range)
{
    uint32_t low = 0, high = t->n_params - 1, first, size;

    while (low < high) {
        uint32_t middle = high - (high - low) / 2;
        if (t->ranges[middle] <= range) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    size = length(&t->params[low]);
    first = (range - t->ranges[low]) * size;
    return (struct ps_piece){
        .param = low,
        .first = first,
        .n = size < t->params[low].n - first ? size : t->params[low].n - first};
}

uint32_t ps_table_range(const struct ps_table *t, uint32_t param, uint32_t key)
{
    return t->ranges[param] + key / length(&t->params[param]);
}

uint64_t ps_table_ring_key(const struct ps_table *t, uint32_t range)
{
    struct ps_piece piece = ps_table_piece(t, range);

    return (uint64_t)piece.param << 32 | piece.first;
}
