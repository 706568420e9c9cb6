#include "dataset/pairs.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "dataset/number.h"

#define PAIR_SIZE_MIN                                      \
    4 /* Bytes of " 1:1", but the first pair may lack one. \
       */
#define INDEX_MAX UINT32_MAX

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

const char *dataset_skip_blanks(const char *p)
{
    while (is_blank(*p)) {
        p++;
    }
    return p;
}

const char *dataset_skip_word(const char *p, const char *end)
{
    while (p < end && !is_blank(*p)) {
        p++;
    }
    return p;
}

static int bad_word(const char *p, const char *end, struct err *e)
{
    char q[QUOTE_SIZE];

    return err_set(
        e, ERR_CORRUPT, "expected index:value, found %s",
        dataset_quote(q, p, (size_t)(dataset_skip_word(p, end) - p)));
}

static bool is_number(const char *p, const char *end)
{
    float x;

    return dataset_parse_f32(&p, &x) && p == end;
}

static int bad_value(uint64_t k, const char *p, const char *end, struct err *e)
{
    static const char *const NAMES[] = {"nan", "inf", "infinity"};
    size_t n = (size_t)(dataset_skip_word(p, end) - p);
    size_t sign = n > 0 && (*p == '-' || *p == '+') ? 1 : 0;
    unsigned long long index = k;
    char q[QUOTE_SIZE];

    dataset_quote(q, p, n);
    for (size_t i = 0; i < 3; i++) {
        if (n - sign == strlen(NAMES[i]) &&
            strncasecmp(p + sign, NAMES[i], n - sign) == 0) {
            return err_set(e, ERR_CORRUPT, "index %llu: value %s is not finite",
                           index, q);
        }
    }
    return err_set(e, ERR_CORRUPT, "index %llu: value %s is %s", index, q,
                   is_number(p, p + n) ? "too large" : "not a number");
}

static int bad_index(uint64_t k, uint64_t last, unsigned base, struct err *e)
{
    if (k < base) {
        return err_set(e, ERR_CORRUPT, "index 0: indices begin at 1");
    }
    if (k == UINT64_MAX) {
        return err_set(e, ERR_CORRUPT, "an index above %u",
                       INDEX_MAX - 1 + base);
    }
    if (k - base >= INDEX_MAX) {
        return err_set(e, ERR_CORRUPT, "index %llu is above %u",
                       (unsigned long long)k, INDEX_MAX - 1 + base);
    }
    return err_set(e, ERR_CORRUPT, "index %llu after %llu, indices must ascend",
                   (unsigned long long)k, (unsigned long long)last);
}

/* Parse "index:value"; c->next - 1 is the index then, from 0. */
static inline int parse_pair(struct dataset_pairs *c, float *x, struct err *e)
{
    const char *p = c->p, *value;
    uint64_t k;

    if (!dataset_parse_u64(&p, &k) || *p != ':') {
        return bad_word(c->p, c->end, e);
    }
    if (k < c->base + c->next || k - c->base >= INDEX_MAX) {
        return bad_index(k, c->next - 1 + c->base, c->base, e);
    }
    value = ++p;
    if (!dataset_parse_f32(&p, x) || (p != c->end && !is_blank(*p)) ||
        !isfinite(*x)) {
        return bad_value(k, value, c->end, e);
    }
    c->p = p;
    c->next = k - c->base + 1;
    return 0;
}

static void saw_index(struct dataset_part *part, uint64_t next)
{
    if (next > part->n_features) {
        part->n_features = (uint32_t)next;
    }
}

/* Parse the pairs up to the end or a comment. Those that the schema lacks are
 * counted and left out. */
static int parse_pairs(struct dataset_part *part,
                       struct dataset_pairs *c,
                       size_t *n,
                       struct err *e)
{
    struct dataset_rows *r = &part->rows;
    uint32_t *idx;
    float *val;
    int rc =
        dataset_rows_reserve(r, (size_t)(c->end - c->p) / PAIR_SIZE_MIN + 1, e);

    if (rc != 0) {
        return rc;
    }
    idx = r->idx + r->n_values;
    val = r->val + r->n_values;
    *n = 0;
    while ((c->p = dataset_skip_blanks(c->p)) < c->end && *c->p != '#') {
        rc = parse_pair(c, &val[*n], e);
        if (rc != 0) {
            return rc;
        }
        if (c->next <= part->build->n_known) {
            idx[(*n)++] = (uint32_t)(c->next - 1);
        } else {
            part->n_unknown_features++;
        }
    }
    return 0;
}

static const char *find_comment(const char *p, const char *end)
{
    while ((p = memchr(p, '#', (size_t)(end - p))) != NULL) {
        if (is_blank(p[-1])) {
            return p;
        }
        p++;
    }
    return end;
}

void dataset_pairs_skim(struct dataset_part *part,
                        const struct dataset_pairs *c)
{
    const char *end = find_comment(c->p, c->end);
    const char *p = memrchr(c->p, ':', (size_t)(end - c->p));
    uint64_t k;

    if (p == NULL) {
        return;
    }
    while (p > c->p && p[-1] >= '0' && p[-1] <= '9') {
        p--;
    }
    if (dataset_parse_u64(&p, &k) && k >= c->base && k - c->base < INDEX_MAX) {
        saw_index(part, k - c->base + 1);
    }
}

int dataset_pairs_row(struct dataset_part *part,
                      struct dataset_pairs *c,
                      uint32_t label,
                      uint64_t *n,
                      struct err *e)
{
    struct dataset_rows *r = &part->rows;
    uint64_t before = part->n_unknown_features;
    size_t kept;
    int rc = parse_pairs(part, c, &kept, e);

    if (rc != 0) {
        return rc;
    }
    saw_index(part, c->next);
    *n = kept + part->n_unknown_features - before;
    rc = dataset_row_change(&part->build->change, r->idx + r->n_values,
                            r->val + r->n_values, kept, e);
    return rc != 0 ? rc : dataset_rows_end(r, kept, label, e);
}
