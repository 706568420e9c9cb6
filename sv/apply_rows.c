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
                    float *w,
                    float *aux,
                    size_t cols)
{
    switch (whole->kind) {
    case SV_OP_SCALE:
        job->kernel->scale(w, w, cols, whole->a);
        break;
    case SV_OP_SCALE_AUX:
        job->kernel->scale(aux, aux, cols, whole->a);
        break;
    default:
        job->kernel->add(w, aux, cols);
        break;
    }
}

/* Entries and whole ops in turn, as their places among the pairs say. */
static void apply_in_turn(const struct sv_job *job,
                          struct sv_row *t,
                          void (*apply)(const struct sv_row *),
                          float *w,
                          float *aux)
{
    const struct sv_whole *wholes = job->x->wholes.data;
    const struct sv_entry *end = t->entries + t->n;

    for (size_t i = 0; i < job->run->n_wholes; i++) {
        t->n = 0;
        while (t->entries + t->n < end &&
               t->entries[t->n].pair < wholes[i].at) {
            t->n++;
        }
        if (t->n > 0) {
            apply(t);
            t->entries += t->n;
        }
        sv_whole_apply(job, &wholes[i], w, aux, t->cols);
    }
    t->n = (size_t)(end - t->entries);
}

void sv_row_apply(const struct sv_job *job,
                  size_t k,
                  struct sv_entry *entries,
                  size_t n,
                  size_t next)
{
    const struct sv_state *s = job->s;
    const struct mat *target = s->rule == SV_MOMENTUM ? &s->aux : &s->w;
    float *aux = s->aux.data == NULL ? NULL : mat_row(&s->aux, k);
    void (*apply)(const struct sv_row *) =
        s->rule == SV_ADAGRAD ? job->kernel->row_adagrad[job->run->form]
                              : job->kernel->row_fma[job->run->form];
    struct sv_row t = {.w = mat_row(target, k),
                       .aux = aux,
                       .cols = s->w.ld,
                       .pairs = job->x->pairs.data,
                       .entries = entries,
                       .n = n,
                       .eps = s->eps,
                       .next = mat_row(target, next)};

    if (s->rule == SV_ROWGRAD && n > 0) {
        job->kernel->row_rowgrad(entries, n, t.pairs, &s->h[k], s->eps);
    }
    if (job->run->n_wholes > 0) {
        apply_in_turn(job, &t, apply, mat_row(&s->w, k), aux);
    }
    if (t.n > 0) {
        apply(&t);
    }
}

/* The entries of rows k..k+15 of dense v, as (16, n_pairs). */
static void
entries_of_block(const struct sv_job *job, size_t k, struct sv_entry *entries)
{
    const struct sv_pair *pairs = job->x->pairs.data;
    size_t n = job->run->n_pairs;

    for (size_t p = 0; p < n; p++) {
        const float *v = pairs[p].v + k;
        for (size_t i = 0; i < SV_BLOCK; i++) {
            entries[i * n + p] =
                (struct sv_entry){.pair = (uint32_t)p, .v = v[i]};
        }
    }
}

static void rows_task(void *arg, size_t index, size_t thread)
{
    const struct sv_job *job = arg;
    struct sv_entry *entries = job->x->threads[thread].entries.data;
    size_t K = job->s->w.K, n = job->run->n_pairs;
    size_t begin = index * TASK_ROWS;
    size_t end = K - begin < TASK_ROWS ? K : begin + TASK_ROWS;

    for (size_t k = begin; k < end; k++) {
        size_t i = k % SV_BLOCK;
        if (i == 0 && n > 0) {
            entries_of_block(job, k, entries);
        }
        sv_row_apply(job, k, entries + i * n, n, k + 1 < K ? k + 1 : k);
    }
}

void sv_run_rows(struct sv_job *job)
{
    sv_pairs_prepare(job, 0, job->run->n_pairs);
    pool_run(job->pool, (job->s->w.K + TASK_ROWS - 1) / TASK_ROWS, rows_task,
             job);
}
