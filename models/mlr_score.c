#include "models/mlr_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/forward.h"

/* One call of mlr_evaluate(), for its tasks: blocks of FORWARD_BLOCK rows. */
struct exam {
    const struct model *m;
    const struct mat *w;
    const struct dataset *data;
    float *x;             /* (threads, FORWARD_BLOCK, ld) logits. */
    double *loss;         /* (blocks) summed. */
    uint32_t *n_labelled; /* (blocks). */
    uint32_t *n_right;    /* (blocks). */
};

/* Rows [lo, lo + n) to logits @x (n, ld). */
static void logits(const struct exam *a, uint32_t lo, uint32_t n, float *x)
{
    const struct mat *w = a->w;
    const float *bias = a->m->bias ? mat_row(w, a->m->n_features) : NULL;
    struct forward_block b = {.w = w, .n = n, .bias = bias, .x = x};

    if (!a->data->dense) {
        for (uint32_t i = 0; i < n; i++) {
            b.rows[i] = dataset_row(a->data, lo + i);
        }
        forward_product(&b);
        return;
    }
    forward_dense(&(struct forward_dense){.w = w,
                                          .n = n,
                                          .v = a->data->val +
                                               (size_t)lo * a->m->n_features,
                                          .v_ld = a->m->n_features,
                                          .v_len = a->m->n_features,
                                          .bias = bias,
                                          .cols = w->ld,
                                          .x = x});
}

static void task_evaluate(void *arg, size_t index, size_t thread)
{
    struct exam *a = arg;
    const uint32_t J = a->m->J, lo = (uint32_t)index * FORWARD_BLOCK;
    const uint32_t left = a->data->n_rows - lo;
    const uint32_t n = left < FORWARD_BLOCK ? left : FORWARD_BLOCK;
    float *x = a->x + thread * FORWARD_BLOCK * a->w->ld;

    logits(a, lo, n, x);
    for (uint32_t i = 0; i < n; i++, x += a->w->ld) {
        const uint32_t y = a->data->label[lo + i];
        float x_y, max;
        if (y == DATASET_NO_LABEL) {
            continue;
        }
        x_y = x[y];
        max = forward_max(x, J);
        a->n_labelled[index]++;
        a->n_right[index] += x_y == max && forward_find(x, y, max) == y;
        a->loss[index] += log((double)forward_softmax(x, J, max)) -
                          ((double)x_y - (double)max);
    }
}

/* Sums in the order of rows, whoever worked on them. */
static void
sum_score(const struct exam *a, size_t n_blocks, struct model_score *score)
{
    uint64_t n = 0, n_right = 0;
    double loss = 0;

    for (size_t i = 0; i < n_blocks; i++) {
        n += a->n_labelled[i];
        n_right += a->n_right[i];
        loss += a->loss[i];
    }
    score->n = n + a->data->n_unknown_labels;
    score->loss = n == 0 ? 0 : loss / (double)n;
    score->accuracy = score->n == 0 ? 0 : (double)n_right / (double)score->n;
}

int mlr_evaluate(struct model *m,
                 const struct mat *const *w,
                 const struct dataset *data,
                 struct pool *pool,
                 struct model_score *score,
                 struct err *e)
{
    const size_t n_blocks = mlr_pieces(data->n_rows, FORWARD_BLOCK);
    struct exam a = {.m = m, .w = w[0], .data = data};
    int rc = mlr_check_data(m, data, e);

    if (rc != 0) {
        return rc;
    }
    a.x = mlr_floats(pool_threads(pool) * FORWARD_BLOCK * w[0]->ld);
    a.loss = calloc(n_blocks + 1, sizeof *a.loss);
    a.n_labelled = calloc(n_blocks + 1, sizeof *a.n_labelled);
    a.n_right = calloc(n_blocks + 1, sizeof *a.n_right);
    if (a.x == NULL || a.loss == NULL || a.n_labelled == NULL ||
        a.n_right == NULL) {
        rc = err_set(e, ERR_NOMEM, "evaluate mlr: out of memory");
    } else {
        pool_run(pool, n_blocks, task_evaluate, &a);
        sum_score(&a, n_blocks, score);
    }
    free(a.x);
    free(a.loss);
    free(a.n_labelled);
    free(a.n_right);
    return rc;
}

/* Insert class @j with probability @p into the likeliest so far, behind those
 * that are as likely. */
static void
insert_guess(struct model_guess *g, size_t n_guesses, uint32_t j, float p)
{
    size_t at = n_guesses;

    while (at > 0 && (g[at - 1].label == DATASET_NO_LABEL || g[at - 1].p < p)) {
        at--;
    }
    if (at < n_guesses) {
        memmove(g + at + 1, g + at, (n_guesses - at - 1) * sizeof *g);
        g[at] = (struct model_guess){.label = j, .p = p};
    }
}

int mlr_predict(struct model *m,
                const struct mat *const *w,
                const struct dataset *data,
                uint32_t row,
                struct model_guess *guesses,
                size_t n_guesses,
                struct err *e)
{
    const struct exam a = {.m = m, .w = w[0], .data = data};
    float *x;
    int rc = mlr_check_data(m, data, e);

    if (rc != 0) {
        return rc;
    }
    x = mlr_floats(w[0]->ld);
    if (x == NULL) {
        return err_set(e, ERR_NOMEM, "predict with mlr: out of memory");
    }
    logits(&a, row, 1, x);
    forward_softmax(x, m->J, forward_max(x, m->J));
    for (size_t i = 0; i < n_guesses; i++) {
        guesses[i] = (struct model_guess){.label = DATASET_NO_LABEL};
    }
    for (uint32_t j = 0; j < m->J; j++) {
        insert_guess(guesses, n_guesses, j, x[j]);
    }
    free(x);
    return 0;
}
