/* What the two halves of "mlr" share: mlr.c makes pairs of a minibatch,
 * mlr_score.c evaluates and predicts. */

#ifndef MODELS_MLR_MODEL_H_
#define MODELS_MLR_MODEL_H_

#include "models/model.h"

struct model {
    uint32_t n_features;
    uint32_t K;
    uint32_t J;
    bool bias;

    /* For each sample of a minibatch, kept from call to call. */
    uint32_t room;  /* Samples that there is memory for. */
    float *u;       /* (room, ld) probabilities, then u. */
    uint32_t *idx;  /* (room, ld) what stays of u, packed in each chunk. */
    float *val;     /* (room, ld). */
    uint32_t *n_u;  /* (room) how much stays. */
    double *loss;   /* (room). */
    uint8_t *right; /* (room). */
};

/* Errors: ERR_INVALID  @d has other features or classes than the model. */
int mlr_check_data(const struct model *m,
                   const struct dataset *d,
                   struct err *e);

/* @n floats or integers on a cache line, or NULL. Owner: free(). */
void *mlr_floats(size_t n);

/* How many pieces of size @of there are in @n, the last one maybe smaller. */
static inline size_t mlr_pieces(size_t n, size_t of)
{
    return (n + of - 1) / of;
}

/* As in struct model_ops. */
int mlr_evaluate(struct model *m,
                 const struct mat *const *w,
                 const struct dataset *data,
                 struct pool *pool,
                 struct model_score *score,
                 struct err *e);
int mlr_predict(struct model *m,
                const struct mat *const *w,
                const struct dataset *data,
                uint32_t row,
                struct model_guess *guesses,
                size_t n_guesses,
                struct err *e);

#endif /* MODELS_MLR_MODEL_H_ */
