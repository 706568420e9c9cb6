#include "dataset/bow.h"

#include "dataset/coo.h"
#include "dataset/liner.h"
#include "dataset/lines.h"
#include "dataset/number.h"
#include "dataset/pairs.h"
#include "dataset/triples.h"

struct header {
    uint64_t n_docs, n_words, n_lines;
};

static int read_number(struct dataset_liner *l, uint64_t *x, struct err *e)
{
    const char *p;
    int rc;

    do {
        rc = dataset_liner_next(l, e);
    } while (rc > 0 && !dataset_liner_is_row(l));
    if (rc < 0) {
        return rc;
    }
    p = rc > 0 ? dataset_skip_blanks(l->p) : NULL;
    if (p == NULL || !dataset_parse_u64(&p, x) ||
        dataset_skip_blanks(p) < l->end || *x >= UINT32_MAX) {
        return err_set(e, ERR_CORRUPT,
                       "line %llu: expected the number of documents, words or "
                       "lines",
                       (unsigned long long)l->line);
    }
    return 0;
}

static int read_header(struct dataset_liner *l, struct header *h, struct err *e)
{
    int rc = read_number(l, &h->n_docs, e);

    if (rc == 0) {
        rc = read_number(l, &h->n_words, e);
    }
    return rc != 0 ? rc : read_number(l, &h->n_lines, e);
}

/* Ids and the number of lines against the header. */
static int
check(const struct header *h, const struct dataset_coo *c, struct err *e)
{
    unsigned long long announced = h->n_lines, found = c->n;

    if (c->n != h->n_lines) {
        return err_set(e, ERR_CORRUPT, "%llu lines announced, %llu found",
                       announced, found);
    }
    if (c->n > 0 && (c->row_min == 0 || c->col_min == 0)) {
        return err_set(e, ERR_CORRUPT, "%s 0: ids begin at 1",
                       c->row_min == 0 ? c->row_name : c->col_name);
    }
    if (c->row_max > h->n_docs || c->col_max > h->n_words) {
        bool row = c->row_max > h->n_docs;
        return err_set(e, ERR_CORRUPT, "%s %llu of %llu",
                       row ? c->row_name : c->col_name,
                       (unsigned long long)(row ? c->row_max : c->col_max),
                       (unsigned long long)(row ? h->n_docs : h->n_words));
    }
    return 0;
}

int dataset_bow_read(struct dataset_build *b,
                     struct dataset_input *in,
                     struct err *e)
{
    struct dataset_liner l;
    struct dataset_coo c;
    struct header h;
    int rc;

    dataset_liner_init(&l, in);
    dataset_coo_init(&c, "document", "word");
    rc = read_header(&l, &h, e);
    if (rc == 0) {
        rc = dataset_triples_collect(&l, b, &c, e);
    }
    if (rc == 0) {
        rc = check(&h, &c, e);
    }
    if (rc == 0) {
        rc = dataset_coo_build(&c,
                               &(struct dataset_coo_shape){.n_rows = h.n_docs,
                                                           .n_cols = h.n_words,
                                                           .row_base = 1,
                                                           .col_base = 1},
                               b, e);
    }
    dataset_coo_fini(&c);
    dataset_liner_fini(&l);
    return rc;
}
