#include "ps/values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

enum form { FORM_ROW = 0, FORM_LIST = 1, FORM_KNOWN = 2 };

/* Room for @n values, and keys if @list. */
static int make(struct ps_values *v, uint32_t first, uint32_t n, bool list)
{
    memset(v, 0, sizeof *v);
    v->first = first;
    v->n = n;
    v->val = malloc(((size_t)n + 1) * sizeof *v->val);
    v->index = list ? malloc(((size_t)n + 1) * sizeof *v->index) : NULL;
    if (v->val == NULL || (list && v->index == NULL)) {
        ps_values_fini(v);
        return ERR_NOMEM;
    }
    return 0;
}

int ps_values_init(struct ps_values *v,
                   uint32_t first,
                   uint32_t n,
                   const float *val)
{
    int rc = make(v, first, n, false);

    if (rc == 0 && n > 0) {
        memcpy(v->val, val, n * sizeof *val);
    }
    return rc;
}

void ps_values_fini(struct ps_values *v)
{
    free(v->index);
    free(v->val);
    memset(v, 0, sizeof *v);
}

/* How many keys of the list are below @key. */
static uint32_t n_below(const struct ps_values *v, uint64_t key)
{
    uint32_t low = 0, high = v->n;

    if (v->index == NULL) {
        return key <= v->first          ? 0
               : key - v->first >= v->n ? v->n
                                        : (uint32_t)(key - v->first);
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (v->index[middle] < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t ps_values_count(const struct ps_values *v, uint32_t begin, uint32_t n)
{
    return n_below(v, (uint64_t)begin + n) - n_below(v, begin);
}

int ps_values_cut(struct ps_values *v,
                  const struct ps_values *from,
                  uint32_t begin,
                  uint32_t n)
{
    uint32_t low = n_below(from, begin);
    uint32_t high = n_below(from, (uint64_t)begin + n);
    uint32_t first = low < high ? ps_values_key(from, low) - begin : 0;
    int rc = make(v, from->index == NULL ? first : 0, high - low,
                  from->index != NULL);

    for (uint32_t i = low; rc == 0 && i < high; i++) {
        v->val[i - low] = from->val[i];
        if (v->index != NULL) {
            v->index[i - low] = from->index[i] - begin;
        }
    }
    return rc;
}

bool ps_values_finite(const struct ps_values *v)
{
    for (uint32_t i = 0; i < v->n; i++) {
        if (!isfinite(v->val[i])) {
            return false;
        }
    }
    return true;
}

/* A list without gaps is a row. */
static bool is_row(const struct ps_values *v)
{
    return v->index == NULL || v->n == 0 ||
           v->index[v->n - 1] - v->index[0] == v->n - 1;
}

static void put_list(const struct ps_values *v, struct buf *out)
{
    buf_put_varint(out, v->n);
    buf_put_varint(out, v->index[0]);
    for (uint32_t i = 1; i < v->n; i++) {
        buf_put_varint(out, v->index[i] - v->index[i - 1] - 1);
    }
}

uint64_t ps_values_hash(const struct ps_values *v)
{
    return hash64(v->index, v->n * sizeof *v->index);
}

void ps_values_encode(const struct ps_values *v, bool known, struct buf *out)
{
    enum form form = is_row(v) ? FORM_ROW : known ? FORM_KNOWN : FORM_LIST;
    uint8_t *at;

    buf_put(out, &(uint8_t){(uint8_t)form}, 1);
    if (form == FORM_ROW) {
        buf_put_varint(out, v->n == 0 ? 0 : ps_values_key(v, 0));
        buf_put_varint(out, v->n);
    } else if (form == FORM_LIST) {
        put_list(v, out);
    } else {
        buf_put_u64(out, ps_values_hash(v));
        buf_put_varint(out, v->n);
    }
    at = buf_add(out, (size_t)v->n * 4);
    for (uint32_t i = 0; at != NULL && i < v->n; i++) {
        le_put_f32(at + 4 * (size_t)i, v->val[i]);
    }
}

static int get_row(struct ps_values *v,
                   const uint8_t **p,
                   const uint8_t *end,
                   uint32_t length)
{
    uint64_t first, n;

    if (!buf_get_varint(p, end, &first) || !buf_get_varint(p, end, &n) ||
        first > length || n > length - first || n * 4 > (uint64_t)(end - *p)) {
        return ERR_CORRUPT;
    }
    return make(v, (uint32_t)first, (uint32_t)n, false);
}

static int get_list(struct ps_values *v,
                    const uint8_t **p,
                    const uint8_t *end,
                    uint32_t length)
{
    uint64_t n, gap, next = 0;
    int rc;

    if (!buf_get_varint(p, end, &n) || n == 0 || n > length ||
        n * 5 > (uint64_t)(end - *p)) {
        return ERR_CORRUPT;
    }
    rc = make(v, 0, (uint32_t)n, true);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        if (!buf_get_varint(p, end, &gap) || gap >= length - next) {
            ps_values_fini(v);
            return ERR_CORRUPT;
        }
        v->index[i] = (uint32_t)(next + gap);
        next += gap + 1;
    }
    return rc;
}

static int get_known(struct ps_values *v,
                     const uint8_t **p,
                     const uint8_t *end,
                     uint32_t length,
                     const struct ps_keys *keys)
{
    const uint32_t *index;
    uint64_t hash, n;
    int rc;

    if (end - *p < 8) {
        return ERR_CORRUPT;
    }
    hash = le_u64(*p);
    *p += 8;
    if (!buf_get_varint(p, end, &n) || n == 0 || n > length ||
        n * 4 > (uint64_t)(end - *p)) {
        return ERR_CORRUPT;
    }
    index = keys == NULL ? NULL : ps_keys_get(keys, hash, (uint32_t)n);
    /* Another range may have had the list. */
    if (index == NULL || index[n - 1] >= length) {
        return ERR_NOT_FOUND;
    }
    rc = make(v, 0, (uint32_t)n, true);
    if (rc == 0) {
        memcpy(v->index, index, n * sizeof *index);
    }
    return rc;
}

static int
get_floats(struct ps_values *v, const uint8_t **p, const uint8_t *end)
{
    if ((uint64_t)v->n * 4 > (uint64_t)(end - *p)) {
        return ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        v->val[i] = le_f32(*p + 4 * (size_t)i);
    }
    *p += (size_t)v->n * 4;
    return ps_values_finite(v) ? 0 : ERR_NOT_FINITE;
}

int ps_values_decode(struct ps_values *v,
                     const uint8_t **p,
                     const uint8_t *end,
                     uint32_t length,
                     struct ps_keys *keys,
                     struct err *e)
{
    unsigned form = *p < end ? *(*p)++ : UINT8_MAX;
    int rc = ERR_CORRUPT;

    memset(v, 0, sizeof *v);
    if (form == FORM_ROW) {
        rc = get_row(v, p, end, length);
    } else if (form == FORM_LIST) {
        rc = get_list(v, p, end, length);
    } else if (form == FORM_KNOWN) {
        rc = get_known(v, p, end, length, keys);
    }
    if (rc == 0) {
        rc = get_floats(v, p, end);
    }
    if (rc != 0) {
        ps_values_fini(v);
        return err_set(e, rc, "values: %s", err_str(rc));
    }
    if (form == FORM_LIST && keys != NULL) {
        ps_keys_put(keys, ps_values_hash(v), v->index, v->n);
    }
    return 0;
}
