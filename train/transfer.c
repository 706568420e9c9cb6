#include "train/transfer.h"

#include <stdlib.h>
#include <string.h>

struct train_transfer_cut
train_transfer_cut(uint32_t n_rows, uint32_t width, uint32_t n_peers)
{
    struct train_transfer_cut c = {.n_rows = n_rows, .width = width};
    size_t rows = TRAIN_TRANSFER_PIECE_SIZE / sizeof(float) / width;
    size_t most = n_peers > TRAIN_TRANSFER_PIECES_MAX
                      ? n_peers
                      : TRAIN_TRANSFER_PIECES_MAX;

    rows = rows > n_rows / n_peers ? n_rows / n_peers : rows;
    rows = rows * most < n_rows ? (n_rows + most - 1) / most : rows;
    c.piece_rows = rows == 0 ? 1 : (uint32_t)rows;
    c.n_pieces = (n_rows + c.piece_rows - 1) / c.piece_rows;
    return c;
}

/* Rows of piece @i. */
static uint32_t piece_rows(const struct train_transfer_cut *c, uint32_t i)
{
    uint32_t left = c->n_rows - i * c->piece_rows;

    return left < c->piece_rows ? left : c->piece_rows;
}

/* The cuts of matrix @i: what the first and the second round sum. */
static void cuts_of(const struct train_replica *r,
                    size_t i,
                    struct train_transfer_cut *first,
                    struct train_transfer_cut *second)
{
    uint32_t K = (uint32_t)r->mats[i]->K, J = (uint32_t)r->mats[i]->J;
    uint32_t P = r->run.n_peers, rank = r->run.transfer.rank;

    if (r->run.transfer.kind == TRAIN_TRANSFER_POWERSGD) {
        *first = train_transfer_cut(K, rank, P);
        *second = train_transfer_cut(J, rank, P);
    } else {
        *first = train_transfer_cut(K, J, P);
        *second = (struct train_transfer_cut){0};
    }
}

static size_t part_max(const struct train_transfer_cut *c)
{
    return c->n_pieces == 0 ? 0
                            : train_part_size(c->piece_rows, c->width, true);
}

void train_transfer_reduce_options(const struct train_replica *replica,
                                   struct train_reduce_options *o)
{
    uint32_t n_first = 0, n_second = 0;

    *o = (struct train_reduce_options){.kind = replica->run.transfer.kind ==
                                                       TRAIN_TRANSFER_MATRIX_PS
                                                   ? TRAIN_REDUCE_STAR
                                                   : TRAIN_REDUCE_RING,
                                       .n_peers = replica->run.n_peers,
                                       .add = train_part_add};
    for (size_t i = 0; i < replica->n_states; i++) {
        struct train_transfer_cut a, b;
        cuts_of(replica, i, &a, &b);
        n_first += a.n_pieces;
        n_second += b.n_pieces;
        o->part_max = part_max(&a) > o->part_max ? part_max(&a) : o->part_max;
        o->part_max = part_max(&b) > o->part_max ? part_max(&b) : o->part_max;
    }
    o->pieces_max = n_first > n_second ? n_first : n_second;
}

/* The most that matrices have. */
static void
sizes(const struct train_replica *r, size_t *K_max, size_t *factor_max)
{
    *K_max = *factor_max = 0;
    for (size_t i = 0; i < r->n_states; i++) {
        size_t K = r->mats[i]->K, J = r->mats[i]->J;
        size_t factor = (K > J ? K : J) * r->run.transfer.rank;
        *K_max = K > *K_max ? K : *K_max;
        *factor_max = factor > *factor_max ? factor : *factor_max;
    }
}

static int init_matrix(struct train_transfer *t, size_t i, struct err *e)
{
    const struct train_run *run = &t->replica->run;
    const struct mat *w = t->replica->mats[i];
    uint32_t K = (uint32_t)w->K, J = (uint32_t)w->J;

    sv_batch_init(&t->updates[i], J, K);
    if (t->powersgd != NULL) {
        return train_powersgd_init(&t->powersgd[i], K, J, run->transfer.rank,
                                   run->n_peers, run->seed + i, e);
    }
    return sv_state_init(&t->sums[i], SV_PLAIN, 0, K, J, e);
}

int train_transfer_init(struct train_transfer *t,
                        const struct train_replica *replica,
                        struct train_hub *hub,
                        struct err *e)
{
    bool powersgd = replica->run.transfer.kind == TRAIN_TRANSFER_POWERSGD;
    struct train_reduce_options o;
    size_t K_max, factor_max;
    int rc = 0;

    train_transfer_reduce_options(replica, &o);
    sizes(replica, &K_max, &factor_max);
    memset(t, 0, sizeof *t);
    t->spec = replica->run.transfer;
    t->replica = replica;
    t->hub = hub;
    t->n = replica->n_states;
    t->pieces_max = o.pieces_max;
    t->updates = calloc(t->n, sizeof *t->updates);
    t->sums = powersgd ? NULL : calloc(t->n, sizeof *t->sums);
    t->powersgd = powersgd ? calloc(t->n, sizeof *t->powersgd) : NULL;
    t->apply = sv_apply_create();
    t->came = calloc(t->pieces_max, sizeof(struct blob *));
    t->rows = calloc(K_max, sizeof *t->rows);
    t->touched = calloc(K_max, sizeof *t->touched);
    t->factor = calloc(factor_max + 1, sizeof *t->factor);
    t->factor_sum = calloc(factor_max + 1, sizeof *t->factor_sum);
    if (t->updates == NULL || (t->sums == NULL && t->powersgd == NULL) ||
        t->apply == NULL || t->came == NULL || t->rows == NULL ||
        t->touched == NULL || t->factor == NULL || t->factor_sum == NULL) {
        return err_set(e, ERR_NOMEM, "updates of %zu matrices", t->n);
    }
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        rc = init_matrix(t, i, e);
    }
    return rc;
}

static void drop_came(struct train_transfer *t)
{
    for (uint32_t i = 0; t->came != NULL && i < t->pieces_max; i++) {
        blob_unref(t->came[i]);
        t->came[i] = NULL;
    }
}

void train_transfer_fini(struct train_transfer *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->updates != NULL) {
            sv_batch_fini(&t->updates[i]);
        }
        if (t->sums != NULL) {
            sv_state_fini(&t->sums[i]);
        }
        if (t->powersgd != NULL) {
            train_powersgd_fini(&t->powersgd[i]);
        }
    }
    drop_came(t);
    sv_apply_destroy(t->apply);
    free(t->updates);
    free(t->sums);
    free(t->powersgd);
    free(t->came);
    free(t->rows);
    free(t->touched);
    free(t->factor);
    free(t->factor_sum);
    memset(t, 0, sizeof *t);
}

/* Begin the round of @clock, the second if @second. */
static int
open_round(struct train_transfer *t, uint64_t clock, bool second, struct err *e)
{
    uint32_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        struct train_transfer_cut a, b;
        cuts_of(t->replica, i, &a, &b);
        n += second ? b.n_pieces : a.n_pieces;
    }
    return train_hub_reduce_open(t->hub, 2 * clock + second, n, e);
}

/* Wait for all sums of the round. */
static int wait_round(struct train_transfer *t, struct err *e)
{
    uint32_t piece;
    struct blob *sum;
    int rc;

    while ((rc = train_hub_reduce_take(t->hub, &piece, &sum, e)) == 0) {
        t->came[piece] = sum;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* A part of @n rows, all of a piece or those of t->rows, with room for its
 * values at *values. NULL: no memory. */
static struct blob *make_part(const struct train_transfer *t,
                              uint32_t n,
                              uint32_t width,
                              bool listed,
                              uint8_t **values)
{
    struct blob *part =
        blob_create(TRAIN_REDUCE_HEAD_SIZE + train_part_size(n, width, listed));
    uint8_t *at;

    if (part == NULL) {
        return NULL;
    }
    at =
        train_part_begin(part->data + TRAIN_REDUCE_HEAD_SIZE, n, width, listed);
    for (uint32_t i = 0; i < n && listed; i++, at += 4) {
        le_put_u32(at, t->rows[i]);
    }
    *values = at;
    return part;
}

/* Which rows of piece [k, k + n) the own pairs touched, to t->rows. */
static uint32_t list_rows(struct train_transfer *t, uint32_t k, uint32_t n)
{
    uint32_t n_listed = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (t->touched[k + i] != 0) {
            t->rows[n_listed++] = i;
        }
    }
    return n_listed;
}

/* Send rows [k, k + n) of what @sum has, and make them zeros. */
static int send_rows(struct train_transfer *t,
                     const struct mat *sum,
                     bool listed,
                     uint32_t piece,
                     uint32_t k,
                     uint32_t n,
                     struct err *e)
{
    const size_t size = sum->J * sizeof(float);
    struct blob *part;
    uint8_t *values;

    if (listed) {
        uint32_t n_listed = list_rows(t, k, n);
        listed = n_listed < n;
        n = n_listed;
    }
    part = make_part(t, n, (uint32_t)sum->J, listed, &values);
    if (part == NULL) {
        return err_set(e, ERR_NOMEM, "part of %u rows", n);
    }
    for (uint32_t i = 0; i < n; i++) {
        float *row = mat_row(sum, k + (listed ? t->rows[i] : i));
        memcpy(values + i * size, row, size);
        memset(row, 0, size);
    }
    return train_hub_reduce_begin(t->hub, piece, part, e);
}

static void mark(uint8_t *touched, const struct sv_batch *own, size_t K)
{
    memset(touched, 0, K);
    for (size_t x = 0; own->n > 0 && x < own->v.ptr[own->n]; x++) {
        touched[own->v.idx[x]] = 1;
    }
}

/* From the own pairs of matrix @i to parts on their way. */
static int send_matrix(struct train_transfer *t,
                       size_t i,
                       uint32_t *piece,
                       const struct sv_batch *own,
                       struct err *e)
{
    struct sv_op op = {.kind = SV_OP_APPLY, .batch = own};
    struct train_transfer_cut c, none;
    int rc = sv_apply_ops(t->apply, &t->sums[i], &op, 1, t->replica->pool, e);

    cuts_of(t->replica, i, &c, &none);
    if (rc == 0 && own->v.sparse) {
        mark(t->touched, own, c.n_rows);
    }
    for (uint32_t x = 0; rc == 0 && x < c.n_pieces; x++) {
        rc = send_rows(t, &t->sums[i].w, own->v.sparse, (*piece)++,
                       x * c.piece_rows, piece_rows(&c, x), e);
    }
    return rc;
}

/* The sum of piece @x of @c, in @b, checked. */
static int read_sum(struct train_part *p,
                    const struct train_transfer_cut *c,
                    uint32_t x,
                    const struct blob *b,
                    struct err *e)
{
    const struct train_reduce_part bytes = {b->data + TRAIN_REDUCE_HEAD_SIZE,
                                            b->size - TRAIN_REDUCE_HEAD_SIZE};
    uint32_t n = piece_rows(c, x);
    int rc = train_part_read(p, bytes, e);

    if (rc == 0 &&
        (p->width != c->width || p->n > n || (p->rows == NULL && p->n != n) ||
         (p->n > 0 && train_part_row(p, p->n - 1) >= n))) {
        rc = err_set(e, ERR_CORRUPT, "%u rows of %u floats", p->n, p->width);
    }
    return rc == 0 ? 0 : err_wrap(e, rc, "sum of piece %u", x);
}

/* Make room for @n pairs whose v have one entry. */
static int resize_update(struct sv_batch *b, uint32_t n, struct err *e)
{
    int rc;

    sv_batch_reset(b, false, true);
    rc = sv_batch_resize(b, n, e);
    rc = rc != 0 ? rc : sv_vecs_resize(&b->u, n, 0, e);
    return rc != 0 ? rc : sv_vecs_resize(&b->v, n, n, e);
}

/* The rows of a sum become pairs of @b from pair @r on. Returns the next. */
static uint32_t write_pairs(struct sv_batch *b,
                            uint32_t r,
                            const struct train_part *p,
                            uint32_t first_row)
{
    const size_t size = (size_t)p->width * sizeof(float);

    for (uint32_t i = 0; i < p->n; i++, r++) {
        memcpy(b->u.val + (size_t)r * b->u.ld, p->values + i * size, size);
        b->v.idx[r] = first_row + train_part_row(p, i);
        b->v.val[r] = 1;
        b->v.ptr[r] = r;
        b->coef[r] = 1;
    }
    return r;
}

/* Let go of the sum of @piece. */
static void drop_sum(struct train_transfer *t, uint32_t piece)
{
    blob_unref(t->came[piece]);
    t->came[piece] = NULL;
}

/* Where all rows come, each has its place, so sums are taken in as they come.
 * While they are on their way, this costs no time. */
static int wait_rows(struct train_transfer *t, struct err *e)
{
    uint32_t piece;
    struct blob *sum;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        rc = resize_update(&t->updates[i], (uint32_t)t->replica->mats[i]->K, e);
    }
    while (rc == 0 &&
           (rc = train_hub_reduce_take(t->hub, &piece, &sum, e)) == 0) {
        struct train_transfer_cut c, none;
        struct train_part p;
        uint32_t x = piece;
        size_t i = 0;
        for (cuts_of(t->replica, i, &c, &none); x >= c.n_pieces;) {
            x -= c.n_pieces;
            cuts_of(t->replica, ++i, &c, &none);
        }
        rc = read_sum(&p, &c, x, sum, e);
        if (rc == 0 && p.rows != NULL) {
            rc = err_set(e, ERR_CORRUPT, "sum of piece %u lists rows", piece);
        }
        if (rc == 0) {
            write_pairs(&t->updates[i], x * c.piece_rows, &p, x * c.piece_rows);
        }
        blob_unref(sum);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* The sums that list rows, of matrix @i, become its update. */
static int
read_listed(struct train_transfer *t, size_t i, uint32_t *piece, struct err *e)
{
    struct train_transfer_cut c, none;
    struct train_part p;
    uint32_t n = 0, r = 0;
    int rc = 0;

    cuts_of(t->replica, i, &c, &none);
    for (uint32_t x = 0; rc == 0 && x < c.n_pieces; x++) {
        rc = read_sum(&p, &c, x, t->came[*piece + x], e);
        n += rc == 0 ? p.n : 0;
    }
    rc = rc != 0 ? rc : resize_update(&t->updates[i], n, e);
    for (uint32_t x = 0; rc == 0 && x < c.n_pieces; x++, ++*piece) {
        rc = read_sum(&p, &c, x, t->came[*piece], e);
        r = write_pairs(&t->updates[i], r, &p, x * c.piece_rows);
        drop_sum(t, *piece);
    }
    return rc;
}

static int run_matrices(struct train_transfer *t,
                        uint64_t clock,
                        const struct sv_batch *own,
                        struct err *e)
{
    uint32_t piece = 0;
    bool listed = own[0].v.sparse;
    int rc = open_round(t, clock, false, e);

    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        rc = send_matrix(t, i, &piece, &own[i], e);
    }
    if (rc == 0) {
        rc = listed ? wait_round(t, e) : wait_rows(t, e);
    }
    piece = 0;
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        rc = listed ? read_listed(t, i, &piece, e) : 0;
        t->updates[i].v.ptr[t->updates[i].n] = t->updates[i].n;
        t->updates[i].rate = own[i].rate;
    }
    return rc;
}

/* Send t->factor, which is cut by @c. */
static int send_factor(struct train_transfer *t,
                       const struct train_transfer_cut *c,
                       uint32_t *piece,
                       struct err *e)
{
    int rc = 0;

    for (uint32_t x = 0; rc == 0 && x < c->n_pieces; x++) {
        uint32_t n = piece_rows(c, x);
        const float *from = t->factor + (size_t)x * c->piece_rows * c->width;
        uint8_t *values;
        struct blob *part = make_part(t, n, c->width, false, &values);
        if (part == NULL) {
            return err_set(e, ERR_NOMEM, "part of %u rows", n);
        }
        memcpy(values, from, (size_t)n * c->width * sizeof *from);
        rc = train_hub_reduce_begin(t->hub, (*piece)++, part, e);
    }
    return rc;
}

/* The sums to t->factor_sum. */
static int read_factor(struct train_transfer *t,
                       const struct train_transfer_cut *c,
                       uint32_t *piece,
                       struct err *e)
{
    int rc = 0;

    for (uint32_t x = 0; rc == 0 && x < c->n_pieces; x++, ++*piece) {
        struct train_part p;
        rc = read_sum(&p, c, x, t->came[*piece], e);
        if (rc == 0 && p.rows != NULL) {
            rc = err_set(e, ERR_CORRUPT, "sum of piece %u lists rows", *piece);
        }
        if (rc == 0) {
            memcpy(t->factor_sum + (size_t)x * c->piece_rows * c->width,
                   p.values, (size_t)p.n * c->width * sizeof *t->factor_sum);
        }
        drop_sum(t, *piece);
    }
    return rc;
}

static int run_powersgd(struct train_transfer *t,
                        uint64_t clock,
                        const struct sv_batch *own,
                        struct err *e)
{
    uint32_t sent = 0, came = 0;
    int rc = open_round(t, clock, false, e);

    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        struct train_transfer_cut p, q;
        cuts_of(t->replica, i, &p, &q);
        rc = train_powersgd_begin(&t->powersgd[i], &own[i], t->replica->pool,
                                  t->factor, e);
        rc = rc != 0 ? rc : send_factor(t, &p, &sent, e);
    }
    rc = rc != 0 ? rc : wait_round(t, e);
    rc = rc != 0 ? rc : open_round(t, clock, true, e);
    sent = 0;
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        struct train_transfer_cut p, q;
        cuts_of(t->replica, i, &p, &q);
        rc = read_factor(t, &p, &came, e);
        if (rc == 0) {
            train_powersgd_middle(&t->powersgd[i], t->factor_sum, t->factor);
            rc = send_factor(t, &q, &sent, e);
        }
    }
    rc = rc != 0 ? rc : wait_round(t, e);
    came = 0;
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        struct train_transfer_cut p, q;
        cuts_of(t->replica, i, &p, &q);
        rc = read_factor(t, &q, &came, e);
        rc = rc != 0 ? rc
                     : train_powersgd_end(&t->powersgd[i], t->factor_sum,
                                          &t->updates[i], e);
        t->updates[i].rate = own[i].rate;
    }
    return rc;
}

int train_transfer_run(struct train_transfer *t,
                       uint64_t clock,
                       struct sv_batch *own,
                       struct err *e)
{
    int rc = t->powersgd != NULL ? run_powersgd(t, clock, own, e)
                                 : run_matrices(t, clock, own, e);

    drop_came(t);
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        struct sv_batch b = own[i];
        own[i] = t->updates[i];
        t->updates[i] = b;
    }
    return rc;
}
