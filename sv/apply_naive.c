/* The definition of the apply in sv/apply.h, word for word: no blocking, no
 * threads, no vectors. Every kernel is compared with it, bit for bit. */

#include "sv/apply.h"

#include <assert.h>
#include <math.h>

#include "sv/rows.h"

#define LANES 16 /* Of the sum of squares. */

/* The squared norm of coef u, in the order that the header fixes. */
static float sum_of_squares(struct sv_vec u, float coef)
{
    float acc[LANES] = {0};

    for (uint32_t i = 0; i < u.nnz; i++) {
        float c = coef * u.val[i];
        acc[i % LANES] = fmaf(c, c, acc[i % LANES]);
    }
    for (uint32_t apart = LANES / 2; apart > 0; apart /= 2) {
        for (uint32_t i = 0; i < apart; i++) {
            acc[i] = acc[i] + acc[i + apart];
        }
    }
    return acc[0];
}

/* One row and one pair: v is v_r[k]. */
static void apply_row(struct sv_state *s,
                      size_t k,
                      float v,
                      float coef,
                      struct sv_vec u,
                      float rate)
{
    float *w = mat_row(&s->w, k);
    float *aux = s->aux.data == NULL ? NULL : mat_row(&s->aux, k);

    if (s->rule == SV_ROWGRAD) {
        s->h[k] = fmaf(v * v, sum_of_squares(u, coef), s->h[k]);
        v = (rate * v) / sqrtf(s->h[k] + s->eps);
    }
    for (uint32_t i = 0; i < u.nnz; i++) {
        size_t j = u.idx == NULL ? i : u.idx[i];
        float c = coef * u.val[i];
        if (s->rule == SV_MOMENTUM) {
            aux[j] = fmaf(v, c, aux[j]);
        } else if (s->rule == SV_ADAGRAD) {
            float g = v * c;
            aux[j] = fmaf(g, g, aux[j]);
            w[j] = w[j] + (rate * g) / sqrtf(aux[j] + s->eps);
        } else {
            w[j] = fmaf(v, c, w[j]);
        }
    }
}

static void apply_batch(struct sv_state *s, const struct sv_batch *b)
{
    for (uint32_t r = 0; r < b->n; r++) {
        struct sv_vec u = sv_vecs_get(&b->u, r), v = sv_vecs_get(&b->v, r);
        for (uint32_t i = 0; i < v.nnz; i++) {
            size_t k = v.idx == NULL ? i : v.idx[i];
            apply_row(s, k, v.val[i], b->coef[r], u, b->rate);
        }
    }
}

static void scale(struct mat *m, float a)
{
    for (size_t k = 0; k < m->K; k++) {
        for (size_t j = 0; j < m->J; j++) {
            mat_row(m, k)[j] = a * mat_row(m, k)[j];
        }
    }
}

static void add_aux(struct sv_state *s)
{
    for (size_t k = 0; k < s->w.K; k++) {
        for (size_t j = 0; j < s->w.J; j++) {
            mat_row(&s->w, k)[j] =
                mat_row(&s->w, k)[j] + mat_row(&s->aux, k)[j];
        }
    }
}

static void mix(struct sv_state *s, const struct sv_row_block *b)
{
    const float *x = b->values;

    for (size_t k = b->first; k < (size_t)b->first + b->n; k++) {
        for (size_t j = 0; j < s->w.J; j++) {
            mat_row(&s->w, k)[j] = mat_row(&s->w, k)[j] + *x++;
        }
        for (size_t j = 0; s->aux.data != NULL && j < s->w.J; j++) {
            mat_row(&s->aux, k)[j] = mat_row(&s->aux, k)[j] + *x++;
        }
        if (s->h != NULL) {
            s->h[k] = s->h[k] + *x++;
        }
    }
}

void sv_apply_naive(struct sv_state *s, const struct sv_op *ops, size_t n_ops)
{
    for (size_t i = 0; i < n_ops; i++) {
        switch (ops[i].kind) {
        case SV_OP_APPLY:
            assert(ops[i].batch->u.len == s->w.J);
            assert(ops[i].batch->v.len == s->w.K);
            apply_batch(s, ops[i].batch);
            break;
        case SV_OP_SCALE:
            scale(&s->w, ops[i].a);
            break;
        case SV_OP_SCALE_AUX:
            assert(s->rule == SV_MOMENTUM);
            scale(&s->aux, ops[i].a);
            break;
        case SV_OP_ADD_AUX:
            assert(s->rule == SV_MOMENTUM);
            add_aux(s);
            break;
        case SV_OP_MIX:
            assert(sv_rows_fit(ops[i].rows, s));
            mix(s, ops[i].rows);
            break;
        }
    }
}
