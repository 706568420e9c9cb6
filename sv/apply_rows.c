#include <math.h>
#include <string.h>

#include "sv/apply_run.h"

#define TASK_ROWS (4 * SV_BLOCK)

const struct sv_piece *sv_piece_find(const struct sv_job *job, size_t p)
{
    const struct sv_piece *piece = job->x->pieces.data;

    while (p >= piece->first + piece->n) {
        piece++;
    }
    return piece;
}

static void spread(float *c, size_t cols, struct sv_vec u, float coef)
{
    for (size_t j = 0; j < cols; j++) {
        c[j] = NAN;
    }
    for (size_t i = 0; i < u.nnz; i++) {
        c[u.idx[i]] = coef * u.val[i];
    }
}

static void prepare(const struct sv_job *job,
                    size_t p,
                    const struct sv_batch *b,
                    uint32_t r)
{
    struct sv_pair *pair = (struct sv_pair *)job->x->pairs.data + p;
    struct sv_vec u = sv_vecs_get(&b->u, r);

    *pair = (struct sv_pair){.u = u.val,
                             .idx = u.idx,
                             .nnz = u.nnz,
                             .coef = b->coef[r],
                             .rate = b->rate};
    if (!b->v.sparse) {
        pair->v = b->v.val + (size_t)r * b->v.ld;
    }
    if (job->s->rule == SV_ROWGRAD) {
        pair->s = job->kernel->sum_of_squares(u.val, u.nnz, pair->coef);
    }
    if (job->run->form == SV_FORM_SPREAD) {
        size_t cols = job->s->w.ld;
        float *c = (float *)job->x->spread.data + p * cols;
        spread(c, cols, u, pair->coef);
        pair->u = c;
    }
}

void sv_pairs_prepare(const struct sv_job *job, size_t first, size_t end)
{
    const struct sv_piece *piece;

    if (first == end) {
        return;
    }
    piece = sv_piece_find(job, first);
    for (size_t p = first; p < end; p++) {
        if (p == piece->first + piece->n) {
            piece++;
        }
        prepare(job, p, piece->batch,
                piece->from + (uint32_t)(p - piece->first));
    }
}

void sv_whole_apply(const struct sv_job *job,
                    const struct sv_whole *whole,
                    struct sv_part part)
{
    const struct sv_state *s = job->s;
    float *w = mat_row(&s->w, part.k) + part.j;
    float *aux = s->aux.data == NULL ? NULL : mat_row(&s->aux, part.k) + part.j;

    switch (whole->kind) {
    case SV_OP_SCALE:
        job->kernel->scale(w, w, part.cols, whole->a);
        break;
    case SV_OP_SCALE_AUX:
        job->kernel->scale(aux, aux, part.cols, whole->a);
        break;
    case SV_OP_MIX:
        sv_mix_apply(s, whole->rows, part);
        break;
    default:
        job->kernel->add(w, aux, part.cols);
        break;
    }
}

typedef void (*rows_fn)(const struct sv_rows *);

/* Row @i of @rows: entries and whole ops in turn, as their places among the
 * pairs say. */
static void apply_in_turn(const struct sv_job *job,
                          const struct sv_rows *rows,
                          size_t i,
                          rows_fn apply)
{
    const struct sv_whole *wholes = job->x->wholes.data;
    uint32_t e = i == 0 ? rows->begin : rows->end[i - 1];
    struct sv_rows t = *rows;

    t.n = 1;
    t.k = rows->k + i;
    t.begin = e;
    t.end = &e;
    for (size_t q = 0; q < job->run->n_wholes; q++) {
        while (e < rows->end[i] && t.pair[e] < wholes[q].at) {
            e++;
        }
        if (e > t.begin) {
            apply(&t);
            t.begin = e;
        }
        sv_whole_apply(job, &wholes[q],
                       (struct sv_part){.k = rows->k[i], .j = 0, .cols = t.ld});
    }
    e = rows->end[i];
    if (e > t.begin) {
        apply(&t);
    }
}

void sv_rows_apply(const struct sv_job *job, struct sv_rows *t)
{
    const struct sv_state *s = job->s;
    rows_fn apply = s->rule == SV_ADAGRAD
                        ? job->kernel->rows_adagrad[job->run->form]
                        : job->kernel->rows_fma[job->run->form];

    t->w = s->rule == SV_MOMENTUM ? s->aux.data : s->w.data;
    t->aux = s->aux.data;
    t->ld = s->w.ld;
    t->pairs = job->x->pairs.data;
    t->eps = s->eps;
    if (job->run->n_wholes == 0) {
        apply(t);
        return;
    }
    for (size_t i = 0; i < t->n; i++) {
        apply_in_turn(job, t, i, apply);
    }
}

static void block_rowgrad(const struct sv_job *job,
                          size_t k,
                          size_t first,
                          size_t n,
                          float *v)
{
    size_t n_rows = job->s->w.K - k < SV_BLOCK ? job->s->w.K - k : SV_BLOCK;
    const struct sv_pair *pairs = job->x->pairs.data;
    float h[SV_BLOCK] = {0};

    memcpy(h, job->s->h + k, n_rows * sizeof *h);
    job->kernel->block_rowgrad(v, n, pairs + first, h, job->s->eps);
    memcpy(job->s->h + k, h, n_rows * sizeof *h);
}

void sv_block_read(const struct sv_job *job,
                   size_t k,
                   size_t first,
                   size_t n,
                   float *v)
{
    const struct sv_pair *pairs = (struct sv_pair *)job->x->pairs.data + first;

    for (size_t r = 0; r < n; r++) {
        memcpy(v + r * SV_BLOCK, pairs[r].v + k, SV_BLOCK * sizeof *v);
    }
    if (job->s->rule == SV_ROWGRAD) {
        block_rowgrad(job, k, first, n, v);
    }
}

/* Row @k, which is row k mod 16 of @block, (n_pairs, 16). */
static void
row_apply(const struct sv_job *job, size_t k, const float *block, float *values)
{
    uint32_t row = (uint32_t)k, end = (uint32_t)job->run->n_pairs;
    struct sv_rows t = {.n = 1, .k = &row, .end = &end, .v = values};

    t.pair = job->x->pair.data;
    for (size_t p = 0; p < end; p++) {
        values[p] = block[p * SV_BLOCK + k % SV_BLOCK];
    }
    sv_rows_apply(job, &t);
}

static void rows_task(void *arg, size_t index, size_t thread)
{
    const struct sv_job *job = arg;
    struct sv_apply_thread *mine = &job->x->threads[thread];
    size_t K = job->s->w.K, begin = index * TASK_ROWS;
    size_t end = K - begin < TASK_ROWS ? K : begin + TASK_ROWS;

    for (size_t k = begin; k < end; k++) {
        if (k % SV_BLOCK == 0) {
            sv_block_read(job, k, 0, job->run->n_pairs, mine->block.data);
        }
        row_apply(job, k, mine->block.data, mine->values.data);
    }
}

void sv_run_rows(struct sv_job *job)
{
    uint32_t *pair = job->x->pair.data;

    for (size_t p = 0; p < job->run->n_pairs; p++) {
        pair[p] = (uint32_t)p;
    }
    sv_pairs_prepare(job, 0, job->run->n_pairs);
    pool_run(job->pool, (job->s->w.K + TASK_ROWS - 1) / TASK_ROWS, rows_task,
             job);
}
