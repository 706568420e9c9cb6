/* What lyre trains: the interface of all models, the user's own included.
 *
 * A model declares its matrices, turns a minibatch into one SV batch per matrix
 * and a loss, evaluates and predicts. It knows nothing of peers, clocks' order,
 * optimizers or logs, and never changes a matrix: the SVs it returns are what
 * changes it.
 *
 * A model is used by one thread at a time and may use the pool it is given.
 */

#ifndef MODELS_MODEL_H_
#define MODELS_MODEL_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/mat.h"
#include "core/pool.h"
#include "dataset/dataset.h"
#include "sv/batch.h"
#include "sv/sparsify.h"

#define MODEL_PARAMS_MAX 64

/* A parameter matrix W (K, J). */
struct model_param {
    const char *name; /* In replay and .npy names, e.g. "W". Lives as long as
                       * the model. */
    uint32_t K;       /* Inputs, rows. */
    uint32_t J;       /* Outputs, columns. */
};

/* What a model is made from. All of it is in the run's log. */
struct model_options {
    const struct dataset_schema *schema; /* Lives as long as the model. */
    bool bias; /* A constant feature 1 behind the others. */
};

/* A minibatch: rows of a data set, and what the computation may use. */
struct model_input {
    const struct dataset *data;
    const uint32_t *rows;       /* (n) rows of the shard. */
    uint32_t n;                 /* Samples. */
    const struct mat *const *w; /* (n_params) the replica at this clock. */
    const struct sv_sparsify *sparsify; /* How u is thinned out. */
    struct pool *pool;                  /* May be NULL. */
};

struct model_loss {
    double sum;       /* Over the samples, in nats. */
    uint32_t n;       /* Samples. */
    uint32_t n_right; /* Samples that the model had right before the update. */
};

struct model_score {
    double loss;     /* Mean over the samples that have a label. */
    double accuracy; /* Share of all labelled samples; a label that the model
                      * does not know counts as wrong. */
    uint64_t n;      /* Labelled samples. */
};

/* A class with its probability. */
struct model_guess {
    uint32_t label;
    float p;
};

struct model; /* Each model's own. */

struct model_ops {
    const char *name;    /* On the command line, e.g. "mlr". */
    const char *summary; /* One line for --help. */

    /* Errors: ERR_INVALID (the schema does not suit), ERR_NOMEM. */
    int (*create)(struct model **m,
                  const struct model_options *o,
                  struct err *e);
    void (*destroy)(struct model *m);

    size_t (*n_params)(const struct model *m);
    struct model_param (*param)(const struct model *m, size_t i);

    /* Write initial values to @w (zeros so far), as a pure function of @seed.
     * NULL: zeros are fine. */
    void (*init)(const struct model *m, size_t i, struct mat *w, uint64_t seed);

    /* The pairs of the gradient of the summed loss: after the call, batch i
     * holds pairs with coef 1 such that the gradient of matrix i is the sum of
     * coef v u^T. The trainer scales coef. Batches are initialized; the model
     * resets them.
     *
     * Errors: ERR_NOT_FINITE  loss or pair; the message names the row of the
     *                         file, from 1. ERR_NOMEM. */
    int (*gradient)(struct model *m,
                    const struct model_input *in,
                    struct sv_batch *batches,
                    struct model_loss *loss,
                    struct err *e);

    /* Loss and accuracy over a whole data set. Errors: ERR_NOMEM,
     * ERR_INVALID. */
    int (*evaluate)(struct model *m,
                    const struct mat *const *w,
                    const struct dataset *data,
                    struct pool *pool,
                    struct model_score *score,
                    struct err *e);

    /* The @n_guesses likeliest classes of row @row, likeliest first; fewer
     * classes than that leave label DATASET_NO_LABEL behind. Errors: ERR_NOMEM.
     */
    int (*predict)(struct model *m,
                   const struct mat *const *w,
                   const struct dataset *data,
                   uint32_t row,
                   struct model_guess *guesses,
                   size_t n_guesses,
                   struct err *e);
};

/* The model called @name, or NULL. */
const struct model_ops *model_find(const char *name);

/* The i-th model, or NULL behind the last. */
const struct model_ops *model_at(size_t i);

#endif /* MODELS_MODEL_H_ */
