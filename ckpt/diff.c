#include "ckpt/diff.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/replay.h"
#include "sv/state.h"

struct diff {
    const struct ckpt_diff_options *o;
    struct ckpt_diff *out;
    struct ckpt_reader *reader;
    const struct mat *live; /* What batches change: W, or M of momentum. */
    struct mat d;           /* (K, J) W_from, then D. */
    float *top_rows;        /* (n_top_rows, J) before an op. */
    float *top_columns;     /* (K, n_top_columns) likewise. */
    int32_t *row_rank;      /* (K): place among the top rows, or -1. */
    uint32_t *rows;         /* (K): those that an op touches. */
    size_t n_rows;
    uint32_t *mark; /* (K): number of the op that touched the row last. */
    uint32_t n_ops;
};

static int compare_lines(const void *p, const void *q)
{
    const struct ckpt_diff_line *a = p, *b = q;

    if (a->moved != b->moved) {
        return a->moved < b->moved ? 1 : -1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

/* The greatest of @all (n), which are squares so far. */
static size_t
pick(struct ckpt_diff_line *all, size_t n, size_t top, uint64_t *n_moved)
{
    uint64_t moved = 0;

    for (size_t i = 0; i < n; i++) {
        all[i].moved = sqrt(all[i].moved);
        moved += all[i].moved > 0;
    }
    qsort(all, n, sizeof *all, compare_lines);
    *n_moved = moved;
    return moved < top ? (size_t)moved : top;
}

/* D, and the rows and columns that moved most. */
static int measure(struct diff *x, const struct mat *w, struct err *e)
{
    struct ckpt_diff *out = x->out;
    uint64_t n;

    out->rows = calloc(w->K, sizeof *out->rows);
    out->columns = calloc(w->J, sizeof *out->columns);
    if (out->rows == NULL || out->columns == NULL) {
        return err_set(e, ERR_NOMEM, "%zu rows", w->K);
    }
    for (size_t j = 0; j < w->J; j++) {
        out->columns[j].index = (uint32_t)j;
    }
    for (size_t k = 0; k < w->K; k++) {
        float *d = mat_row(&x->d, k);
        double sum = 0;
        for (size_t j = 0; j < w->J; j++) {
            double was = (double)d[j], now = (double)mat_row(w, k)[j];
            double square = (now - was) * (now - was);
            out->before += was * was;
            out->columns[j].moved += square;
            sum += square;
            d[j] = (float)(now - was);
        }
        out->rows[k] =
            (struct ckpt_diff_line){.index = (uint32_t)k, .moved = sum};
        out->moved += sum;
    }
    out->moved = sqrt(out->moved);
    out->before = sqrt(out->before);
    out->n_top_columns = pick(out->columns, w->J, x->o->top, &n);
    out->n_top_rows = pick(out->rows, w->K, x->o->top, &out->n_rows);
    return 0;
}

static int compare_u32(const void *p, const void *q)
{
    uint32_t a = *(const uint32_t *)p, b = *(const uint32_t *)q;

    return (a > b) - (a < b);
}

static size_t origin_slot(const struct ckpt_diff *d, uint32_t origin)
{
    const uint32_t *at = d->n_origins == 0
                             ? NULL
                             : bsearch(&origin, d->origins, d->n_origins,
                                       sizeof origin, compare_u32);

    return at == NULL ? d->n_origins : (size_t)(at - d->origins);
}

static int add_origin(struct ckpt_diff *d, uint32_t origin, struct err *e)
{
    uint32_t *more;

    if (origin_slot(d, origin) < d->n_origins) {
        return 0;
    }
    more = realloc(d->origins, (d->n_origins + 1) * sizeof *more);
    if (more == NULL) {
        return err_set(e, ERR_NOMEM, "%zu peers", d->n_origins);
    }
    d->origins = more;
    more[d->n_origins++] = origin;
    qsort(more, d->n_origins, sizeof *more, compare_u32);
    return 0;
}

static int find_origins(struct diff *x, struct err *e)
{
    struct ckpt_step step;
    int rc = 0;

    ckpt_step_init(&step);
    for (uint64_t c = x->o->from; rc == 0 && c < x->o->to; c++) {
        rc = ckpt_reader_step(x->reader, c, &step, e);
        for (size_t i = 0; rc == 0 && i < step.n_ops; i++) {
            if (step.ops[i].kind == SV_OP_APPLY) {
                rc = add_origin(x->out, step.ops[i].origin, e);
            }
        }
    }
    ckpt_step_fini(&step);
    return rc;
}

static int prepare(struct diff *x, struct err *e)
{
    struct ckpt_diff *out = x->out;
    size_t K = x->live->K, J = x->live->J, who = out->n_origins + 1;

    x->top_rows = calloc(out->n_top_rows * J + 1, sizeof *x->top_rows);
    x->top_columns = calloc(K * out->n_top_columns + 1, sizeof *x->top_columns);
    x->row_rank = calloc(K, sizeof *x->row_rank);
    x->rows = calloc(K, sizeof *x->rows);
    x->mark = calloc(K, sizeof *x->mark);
    out->row_shares = calloc(out->n_top_rows * who + 1, sizeof(double));
    out->column_shares = calloc(out->n_top_columns * who + 1, sizeof(double));
    if (x->top_rows == NULL || x->top_columns == NULL || x->row_rank == NULL ||
        x->rows == NULL || x->mark == NULL || out->row_shares == NULL ||
        out->column_shares == NULL) {
        return err_set(e, ERR_NOMEM, "shares in %zu rows", K);
    }
    memset(x->row_rank, 0xff, K * sizeof *x->row_rank);
    for (size_t i = 0; i < out->n_top_rows; i++) {
        x->row_rank[out->rows[i].index] = (int32_t)i;
    }
    return 0;
}

static void find_rows(struct diff *x, const struct sv_batch *batch)
{
    size_t K = x->live->K;

    x->n_rows = 0;
    x->n_ops++;
    if (batch == NULL || !batch->v.sparse) {
        for (; x->n_rows < K; x->n_rows++) {
            x->rows[x->n_rows] = (uint32_t)x->n_rows;
        }
        return;
    }
    for (size_t i = 0; i < sv_vecs_entries(&batch->v); i++) {
        uint32_t k = batch->v.idx[i];
        if (x->mark[k] != x->n_ops) {
            x->mark[k] = x->n_ops;
            x->rows[x->n_rows++] = k;
        }
    }
}

static void remember(struct diff *x, size_t k)
{
    const struct ckpt_diff *out = x->out;
    const float *row = mat_row(x->live, k);
    float *columns = x->top_columns + k * out->n_top_columns;

    for (size_t i = 0; i < out->n_top_columns; i++) {
        columns[i] = row[out->columns[i].index];
    }
    if (x->row_rank[k] >= 0) {
        memcpy(x->top_rows + (size_t)x->row_rank[k] * x->live->J, row,
               x->live->J * sizeof *row);
    }
}

/* Add what the op did to row @k, along D, to the shares of @slot. */
static void credit(struct diff *x, size_t k, size_t slot)
{
    struct ckpt_diff *out = x->out;
    size_t who = out->n_origins + 1, J = x->live->J;
    const float *row = mat_row(x->live, k), *d = mat_row(&x->d, k);
    const float *columns = x->top_columns + k * out->n_top_columns;

    for (size_t i = 0; i < out->n_top_columns; i++) {
        size_t j = out->columns[i].index;
        out->column_shares[i * who + slot] +=
            ((double)row[j] - (double)columns[i]) * (double)d[j];
    }
    if (x->row_rank[k] >= 0) {
        size_t rank = (size_t)x->row_rank[k];
        const float *was = x->top_rows + rank * J;
        double sum = 0;
        for (size_t j = 0; j < J; j++) {
            sum += ((double)row[j] - (double)was[j]) * (double)d[j];
        }
        out->row_shares[rank * who + slot] += sum;
    }
}

static void watch(void *arg,
                  uint64_t clock,
                  const struct ckpt_op *op,
                  const struct sv_batch *batch,
                  bool done)
{
    struct diff *x = arg;
    size_t slot =
        batch == NULL ? x->out->n_origins : origin_slot(x->out, op->origin);

    (void)clock;
    if (op->matrix != x->o->matrix) {
        return;
    }
    if (!done) {
        find_rows(x, batch);
    }
    for (size_t i = 0; i < x->n_rows; i++) {
        if (done) {
            credit(x, x->rows[i], slot);
        } else {
            remember(x, x->rows[i]);
        }
    }
}

/* So that they add up to 1. */
static void normalize(double *shares, size_t n, size_t who)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t p = 0; p < who; p++) {
            sum += shares[i * who + p];
        }
        for (size_t p = 0; p < who && sum != 0; p++) {
            shares[i * who + p] /= sum;
        }
    }
}

static int share_out(struct diff *x,
                     struct sv_state *states,
                     size_t n_states,
                     struct err *e)
{
    const struct ckpt_diff_options *o = x->o;
    struct ckpt_replay_options ro = {
        .pool = o->pool, .watch = watch, .watch_arg = x};
    struct ckpt_diff *out = x->out;
    int rc = find_origins(x, e);

    x->live = states[o->matrix].rule == SV_MOMENTUM ? &states[o->matrix].aux
                                                    : &states[o->matrix].w;
    rc = rc != 0 ? rc : prepare(x, e);
    rc = rc != 0
             ? rc
             : ckpt_replay(x->reader, states, n_states, o->from, o->to, &ro, e);
    if (rc == 0) {
        normalize(out->row_shares, out->n_top_rows, out->n_origins + 1);
        normalize(out->column_shares, out->n_top_columns, out->n_origins + 1);
    }
    return rc;
}

static void diff_fini(struct diff *x)
{
    mat_fini(&x->d);
    free(x->top_rows);
    free(x->top_columns);
    free(x->row_rank);
    free(x->rows);
    free(x->mark);
}

static int run(struct diff *x,
               struct sv_state *states,
               struct sv_state *copies,
               size_t n_states,
               struct err *e)
{
    const struct ckpt_diff_options *o = x->o;
    struct ckpt_replay_options ro = {.pool = o->pool};
    const struct mat *w = &states[o->matrix].w;
    int rc = mat_init(&x->d, w->K, w->J, e);

    if (rc != 0) {
        return rc;
    }
    memcpy(x->d.data, w->data, w->K * w->ld * sizeof(float));
    rc = ckpt_replay(x->reader, states, n_states, o->from, o->to, &ro, e);
    rc = rc != 0 ? rc : measure(x, w, e);
    return rc != 0 ? rc : share_out(x, copies, n_states, e);
}

int ckpt_diff(struct ckpt_diff *d,
              struct ckpt_reader *r,
              struct sv_state *states,
              size_t n_states,
              const struct ckpt_diff_options *o,
              struct err *e)
{
    struct diff x = {.o = o, .out = d, .reader = r};
    struct sv_state *copies = NULL;
    int rc;

    assert(o->matrix < n_states && o->from <= o->to);
    memset(d, 0, sizeof *d);
    rc = sv_states_copy(&copies, states, n_states, e);
    if (rc == 0) {
        rc = run(&x, states, copies, n_states, e);
        sv_states_free(copies, n_states);
    }
    diff_fini(&x);
    if (rc != 0) {
        ckpt_diff_fini(d);
    }
    return rc;
}

void ckpt_diff_fini(struct ckpt_diff *d)
{
    free(d->rows);
    free(d->columns);
    free(d->origins);
    free(d->row_shares);
    free(d->column_shares);
    memset(d, 0, sizeof *d);
}
