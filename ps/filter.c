#include "ps/filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Give @v a list of its keys, so that some can be left out. */
static int list_keys(struct ps_values *v)
{
    if (v->index != NULL) {
        return 0;
    }
    v->index = malloc(((size_t)v->n + 1) * sizeof *v->index);
    if (v->index == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        v->index[i] = v->first + i;
    }
    v->first = 0;
    return 0;
}

static void keep(struct ps_values *v, uint32_t *n, uint32_t key, float x)
{
    v->index[*n] = key;
    v->val[(*n)++] = x;
}

static int significant(struct ps_filter *filter, struct ps_values *v)
{
    struct ps_filter_significant *f = (struct ps_filter_significant *)filter;
    uint32_t n = 0;
    int rc = list_keys(v);

    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t key = v->index[i];
        f->held[key] += v->val[i];
        if (fabsf(f->held[key]) >= f->threshold) {
            keep(v, &n, key, f->held[key]);
            f->held[key] = 0;
        }
    }
    v->n = n;
    return 0;
}

int ps_filter_significant_init(struct ps_filter_significant *f,
                               uint32_t n,
                               float threshold)
{
    f->filter.apply = significant;
    f->threshold = threshold;
    f->n = n;
    f->held = calloc((size_t)n + 1, sizeof *f->held);
    return f->held == NULL ? ERR_NOMEM : 0;
}

void ps_filter_significant_fini(struct ps_filter_significant *f)
{
    free(f->held);
    memset(f, 0, sizeof *f);
}

int ps_filter_significant_flush(struct ps_filter_significant *f,
                                struct ps_values *v)
{
    uint32_t n = 0;
    int rc = ps_values_init(v, 0, f->n, f->held);

    if (rc == 0) {
        rc = list_keys(v);
    }
    if (rc != 0) {
        ps_values_fini(v);
        return rc;
    }
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->held[i] != 0) {
            keep(v, &n, i, f->held[i]);
            f->held[i] = 0;
        }
    }
    v->n = n;
    return 0;
}

static int kkt(struct ps_filter *filter, struct ps_values *v)
{
    struct ps_filter_kkt *f = (struct ps_filter_kkt *)filter;
    uint32_t n = 0;
    int rc = list_keys(v);

    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t key = v->index[i];
        if (f->weights[key] != 0 || !(fabsf(v->val[i]) <= f->limit)) {
            keep(v, &n, key, v->val[i]);
        }
    }
    v->n = n;
    return 0;
}

void ps_filter_kkt_init(struct ps_filter_kkt *f,
                        const float *weights,
                        float limit)
{
    f->filter.apply = kkt;
    f->weights = weights;
    f->limit = limit;
}

static int changed(struct ps_filter *filter, struct ps_values *v)
{
    struct ps_filter_changed *f = (struct ps_filter_changed *)filter;
    uint32_t n = 0;
    int rc = list_keys(v);

    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t key = v->index[i];
        float away = fabsf(v->val[i] - f->sent[key]);
        /* Where the threshold is 0, the same bits need not be sent either. */
        if (away >= f->threshold &&
            memcmp(&v->val[i], &f->sent[key], sizeof away) != 0) {
            f->sent[key] = v->val[i];
            keep(v, &n, key, v->val[i]);
        }
    }
    v->n = n;
    return 0;
}

int ps_filter_changed_init(struct ps_filter_changed *f,
                           uint32_t n,
                           const float *sent,
                           float threshold)
{
    f->filter.apply = changed;
    f->threshold = threshold;
    f->n = n;
    f->sent = malloc(((size_t)n + 1) * sizeof *f->sent);
    if (f->sent == NULL) {
        return ERR_NOMEM;
    }
    memcpy(f->sent, sent, n * sizeof *sent);
    return 0;
}

void ps_filter_changed_fini(struct ps_filter_changed *f)
{
    free(f->sent);
    memset(f, 0, sizeof *f);
}

int ps_filter_apply(struct ps_filter *const *filters,
                    size_t n,
                    struct ps_values *v)
{
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = filters[i]->apply(filters[i], v);
    }
    return rc;
}
