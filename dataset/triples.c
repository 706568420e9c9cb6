#include "dataset/triples.h"

#include <math.h>

#include "dataset/lines.h"
#include "dataset/number.h"
#include "dataset/pairs.h"

/* Numbers end at a blank or at the end of the line. */
static bool ends(const char *p, const char *end)
{
    return p == end || *p == ' ' || *p == '\t';
}

static bool
parse(const struct dataset_liner *l, uint64_t *row, uint64_t *col, float *x)
{
    const char *p = dataset_skip_blanks(l->p);

    if (!dataset_parse_u64(&p, row) || !ends(p, l->end)) {
        return false;
    }
    p = dataset_skip_blanks(p);
    if (!dataset_parse_u64(&p, col) || !ends(p, l->end)) {
        return false;
    }
    p = dataset_skip_blanks(p);
    if (!dataset_parse_f32(&p, x) || !ends(p, l->end) || !isfinite(*x)) {
        return false;
    }
    p = dataset_skip_blanks(p);
    return p >= l->end || *p == '#';
}

static int add_line(const struct dataset_liner *l,
                    struct dataset_build *b,
                    struct dataset_coo *c,
                    struct err *e)
{
    size_t size = (size_t)(l->end - l->p);
    uint64_t row, col;
    char q[QUOTE_SIZE];
    float x;
    int rc;

    if (!parse(l, &row, &col, &x)) {
        rc = err_set(e, ERR_CORRUPT, "expected %s %s number, found %s",
                     c->row_name, c->col_name, dataset_quote(q, l->p, size));
    } else {
        b->sum += dataset_row_hash(c->n, l->p, size);
        rc = dataset_coo_add(c, b, row, col, x, e);
    }
    return rc == 0 ? 0
                   : err_wrap(e, rc, "line %llu", (unsigned long long)l->line);
}

int dataset_triples_collect(struct dataset_liner *l,
                            struct dataset_build *b,
                            struct dataset_coo *c,
                            struct err *e)
{
    int rc;

    while ((rc = dataset_liner_next(l, e)) > 0) {
        if (dataset_liner_is_row(l) && *dataset_skip_blanks(l->p) != '#') {
            rc = add_line(l, b, c, e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return rc;
}

int dataset_triples_read(struct dataset_build *b,
                         struct dataset_input *in,
                         struct err *e)
{
    struct dataset_coo_shape s;
    struct dataset_liner l;
    struct dataset_coo c;
    int rc;

    dataset_liner_init(&l, in);
    dataset_coo_init(&c, "user", "item");
    rc = dataset_triples_collect(&l, b, &c, e);
    if (rc == 0 && c.n > 0) {
        s.row_base = c.row_min > 0;
        s.col_base = c.col_min > 0;
        s.n_rows = c.row_max - s.row_base + 1;
        s.n_cols = c.col_max - s.col_base + 1;
        rc = dataset_coo_build(&c, &s, b, e);
    }
    dataset_coo_fini(&c);
    dataset_liner_fini(&l);
    return rc;
}
