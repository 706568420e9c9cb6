#include "models/mlr.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "models/forward.h"
#include "models/mlr_model.h"

#define CHUNK_MIN      8   /* Samples that are worth a task. */
#define CHUNKS_PER     2   /* Tasks for each thread, to even out their work. */
#define GEMM_ROWS      32  /* Samples in a task of the dense product. */
#define GEMM_COLS      480 /* Columns of W in a task, from GEMM_COLS_MANY on: */
#define GEMM_COLS_MANY 1024 /* all samples at once then, to read W once. */

/* One call of mlr_gradient(), for its tasks. */
struct job {
    struct model *m;
    const struct model_input *in;
    struct sv_batch *out;
    float *u;       /* (n, ld): in the batch, if it is known to be dense. */
    uint32_t chunk; /* Samples in a task. */
};

static void mlr_destroy(struct model *m)
{
    if (m == NULL) {
        return;
    }
    free(m->u);
    free(m->idx);
    free(m->val);
    free(m->n_u);
    free(m->loss);
    free(m->right);
    free(m);
}

static int
mlr_create(struct model **out, const struct model_options *o, struct err *e)
{
    const struct dataset_schema *s = o->schema;
    struct model *m;

    if (s->n_classes == 0) {
        return err_set(e, ERR_INVALID,
                       "mlr learns classes: no row of the "
                       "data has a label");
    }
    if (s->n_features == 0) {
        return err_set(e, ERR_INVALID, "mlr: the data has no features");
    }
    if (s->n_classes > SV_LEN_MAX || s->n_features >= SV_LEN_MAX) {
        return err_set(e, ERR_INVALID,
                       "mlr with %u features and %u classes: at most %u of "
                       "each",
                       s->n_features, s->n_classes, SV_LEN_MAX - 1);
    }
    m = calloc(1, sizeof *m);
    if (m == NULL) {
        return err_set(e, ERR_NOMEM, "mlr: out of memory");
    }
    m->n_features = s->n_features;
    m->K = s->n_features + o->bias;
    m->J = s->n_classes;
    m->bias = o->bias;
    /* We split products over our own threads. */
    openblas_set_num_threads(1);
    *out = m;
    return 0;
}

static size_t mlr_n_params(const struct model *m)
{
    (void)m;
    return 1;
}

static struct model_param mlr_param(const struct model *m, size_t i)
{
    assert(i == 0);
    return (struct model_param){.name = "W", .K = m->K, .J = m->J};
}

int mlr_check_data(const struct model *m,
                   const struct dataset *d,
                   struct err *e)
{
    if (d->schema.n_features != m->n_features || d->schema.n_classes != m->J) {
        return err_set(e, ERR_INVALID,
                       "data of %u features and %u classes for a model of %u "
                       "and %u",
                       d->schema.n_features, d->schema.n_classes, m->n_features,
                       m->J);
    }
    return 0;
}

void *mlr_floats(size_t n)
{
    size_t size;

    if (__builtin_mul_overflow(n, sizeof(float), &size)) {
        return NULL;
    }
    return aligned_alloc(MAT_ALIGN_SIZE, (size + MAT_ALIGN_SIZE - 1) /
                                             MAT_ALIGN_SIZE * MAT_ALIGN_SIZE);
}

static int check_labels(const struct model_input *in, struct err *e)
{
    for (uint32_t i = 0; i < in->n; i++) {
        if (in->data->label[in->rows[i]] == DATASET_NO_LABEL) {
            return err_set(
                e, ERR_INVALID, "row %llu of the file: no label to train on",
                (unsigned long long)dataset_row_number(in->data, in->rows[i]) +
                    1);
        }
    }
    return 0;
}

/* Memory for @n samples. The lists are as long as if everything stayed, and
 * cost only what is written of them. */
static int reserve(struct model *m, uint32_t n, struct err *e)
{
    const size_t all = (size_t)n * mat_ld(m->J);

    if (n <= m->room) {
        return 0;
    }
    free(m->u);
    free(m->idx);
    free(m->val);
    free(m->n_u);
    free(m->loss);
    free(m->right);
    m->room = 0;
    m->u = mlr_floats(all);
    m->idx = mlr_floats(all);
    m->val = mlr_floats(all);
    m->n_u = calloc(n, sizeof *m->n_u);
    m->loss = calloc(n, sizeof *m->loss);
    m->right = calloc(n, sizeof *m->right);
    if (m->u == NULL || m->idx == NULL || m->val == NULL || m->n_u == NULL ||
        m->loss == NULL || m->right == NULL) {
        return err_set(e, ERR_NOMEM,
                       "mlr: minibatch of %u samples of %u classes: out of "
                       "memory",
                       n, m->J);
    }
    m->room = n;
    return 0;
}

/* Make room for v and say where each vector begins. */
static int shape_v(struct job *job, struct err *e)
{
    const struct model_input *in = job->in;
    struct sv_vecs *v = &job->out->v;
    size_t n_entries = 0;
    int rc;

    if (!v->sparse) {
        return sv_vecs_resize(v, in->n, 0, e);
    }
    for (uint32_t i = 0; i < in->n; i++) {
        n_entries += dataset_row(in->data, in->rows[i]).nnz + job->m->bias;
    }
    rc = sv_vecs_resize(v, in->n, n_entries, e);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < in->n; i++) {
        v->ptr[i + 1] =
            v->ptr[i] + dataset_row(in->data, in->rows[i]).nnz + job->m->bias;
    }
    return 0;
}

/* Begin the batch of this call. */
static int shape(struct job *job, bool u_sparse, struct err *e)
{
    const struct model_input *in = job->in;
    struct sv_batch *b = job->out;
    int rc;

    sv_batch_reset(b, u_sparse, !in->data->dense);
    if ((rc = sv_batch_resize(b, in->n, e)) != 0 ||
        (rc = shape_v(job, e)) != 0 ||
        (!u_sparse && (rc = sv_vecs_resize(&b->u, in->n, 0, e)) != 0)) {
        return rc;
    }
    job->u = u_sparse ? job->m->u : b->u.val;
    for (uint32_t i = 0; i < in->n; i++) {
        b->coef[i] = 1;
        b->sample[i] = (uint32_t)dataset_row_number(in->data, in->rows[i]);
    }
    return 0;
}

/* Copy row @i of the minibatch to v_i. */
static void put_v(const struct job *job, uint32_t i)
{
    const struct dataset_row row = dataset_row(job->in->data, job->in->rows[i]);
    const struct sv_vecs *v = &job->out->v;
    const size_t at = v->sparse ? v->ptr[i] : (size_t)i * v->ld;

    if (row.nnz > 0) {
        memcpy(v->val + at, row.val, row.nnz * sizeof *v->val);
    }
    if (v->sparse && row.nnz > 0) {
        memcpy(v->idx + at, row.idx, row.nnz * sizeof *v->idx);
    }
    if (job->m->bias) {
        v->val[at + row.nnz] = 1;
    }
    if (job->m->bias && v->sparse) {
        v->idx[at + row.nnz] = job->m->n_features;
    }
}

/* Logits to loss and u of sample @i, and what stays of it to @idx and @val.
 * Return how much. */
static uint32_t
put_u(const struct job *job, uint32_t i, uint32_t *idx, float *val)
{
    struct model *m = job->m;
    const struct sv_sparsify *s = job->in->sparsify;
    const uint32_t y = job->in->data->label[job->in->rows[i]];
    float *x = job->u + (size_t)i * mat_ld(m->J);
    const float x_y = x[y], max = forward_max(x, m->J);

    m->right[i] = x_y == max && forward_find(x, y, max) == y;
    m->loss[i] = log((double)forward_softmax(x, m->J, max)) -
                 ((double)x_y - (double)max);
    x[y] -= 1;
    m->n_u[i] = s->tau > 0 ? sv_sparsify(s, x, m->J, i, idx, val) : 0;
    return m->n_u[i];
}

/* Rows to logits, for sparse data. */
static void product(const struct job *job, uint32_t lo, uint32_t n)
{
    const struct mat *w = job->in->w[0];
    struct forward_block b = {
        .w = w,
        .n = n,
        .bias = job->m->bias ? mat_row(w, job->m->n_features) : NULL,
        .x = job->u + lo * w->ld};

    for (uint32_t i = 0; i < n; i++) {
        b.rows[i] = dataset_row(job->in->data, job->in->rows[lo + i]);
    }
    forward_product(&b);
}

static void task_chunk(void *arg, size_t index, size_t thread)
{
    const struct job *job = arg;
    const uint32_t lo = (uint32_t)index * job->chunk;
    const uint32_t left = job->in->n - lo;
    const uint32_t n = left < job->chunk ? left : job->chunk;
    size_t at = lo * mat_ld(job->m->J);

    (void)thread;
    if (!job->in->data->dense) {
        product(job, lo, n);
    }
    for (uint32_t i = lo; i < lo + n; i++) {
        at += put_u(job, i, job->m->idx + at, job->m->val + at);
        if (!job->in->data->dense) {
            put_v(job, i);
        }
    }
}

static void task_put_v(void *arg, size_t index, size_t thread)
{
    const struct job *job = arg;
    const uint32_t lo = (uint32_t)index * job->chunk;

    (void)thread;
    for (uint32_t i = lo; i < lo + job->chunk && i < job->in->n; i++) {
        put_v(job, i);
    }
}

/* Logits of dense rows: a piece of V W, of some rows or of some columns. */
static void task_gemm(void *arg, size_t index, size_t thread)
{
    const struct job *job = arg;
    const struct mat *w = job->in->w[0];
    const struct sv_vecs *v = &job->out->v;
    uint32_t row = 0, n_rows = job->in->n, col = 0;
    uint32_t n_cols = (uint32_t)w->ld;

    (void)thread;
    if (job->m->J >= GEMM_COLS_MANY) {
        col = (uint32_t)index * GEMM_COLS;
        n_cols = n_cols - col < GEMM_COLS ? n_cols - col : GEMM_COLS;
    } else {
        row = (uint32_t)index * GEMM_ROWS;
        n_rows = n_rows - row < GEMM_ROWS ? n_rows - row : GEMM_ROWS;
    }
    forward_dense(&(struct forward_dense){.w = w,
                                          .n = n_rows,
                                          .v = v->val + (size_t)row * v->ld,
                                          .v_ld = v->ld,
                                          .v_len = job->m->K,
                                          .col = col,
                                          .cols = n_cols,
                                          .x = job->u + row * w->ld});
}

/* The list of a chunk to the batch, where ptr says. */
static void task_put_list(void *arg, size_t index, size_t thread)
{
    const struct job *job = arg;
    const uint32_t lo = (uint32_t)index * job->chunk;
    const uint32_t left = job->in->n - lo;
    const uint32_t hi = lo + (left < job->chunk ? left : job->chunk);
    const struct sv_vecs *u = &job->out->u;
    const size_t n = u->ptr[hi] - u->ptr[lo], from = lo * mat_ld(job->m->J);

    (void)thread;
    if (n > 0) {
        memcpy(u->val + u->ptr[lo], job->m->val + from, n * sizeof *u->val);
        memcpy(u->idx + u->ptr[lo], job->m->idx + from, n * sizeof *u->idx);
    }
}

/* Give the batch the form of u that was chosen, of which @n_entries stay. */
static int
finish_u(struct job *job, bool sparse, size_t n_entries, struct err *e)
{
    const struct model_input *in = job->in;
    const float *from = job->u;
    struct sv_vecs *u = &job->out->u;
    const size_t n_chunks = mlr_pieces(in->n, job->chunk);
    int rc;

    if (u->sparse != sparse) {
        if ((rc = shape(job, sparse, e)) != 0) {
            return rc;
        }
        pool_run(in->pool, n_chunks, task_put_v, job);
    }
    if (!sparse) {
        if (from == job->m->u && in->n > 0) {
            memcpy(u->val, from, (size_t)in->n * u->ld * sizeof *from);
        }
        return 0;
    }
    rc = sv_vecs_resize(u, in->n, n_entries, e);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < in->n; i++) {
        u->ptr[i + 1] = u->ptr[i] + job->m->n_u[i];
    }
    pool_run(in->pool, n_chunks, task_put_list, job);
    return 0;
}

static int
sum_loss(const struct job *job, struct model_loss *loss, struct err *e)
{
    const struct model_input *in = job->in;

    *loss = (struct model_loss){.n = in->n};
    for (uint32_t i = 0; i < in->n; i++) {
        double x = job->m->loss[i];
        if (!isfinite(x)) {
            return err_set(
                e, ERR_NOT_FINITE, "row %llu of the file: loss is %s",
                (unsigned long long)dataset_row_number(in->data, in->rows[i]) +
                    1,
                isnan(x) ? "nan" : "inf");
        }
        loss->sum += x;
        loss->n_right += job->m->right[i];
    }
    return 0;
}

static uint32_t chunk_size(const struct model_input *in)
{
    size_t n = mlr_pieces(in->n, pool_threads(in->pool) * CHUNKS_PER);

    n = n < CHUNK_MIN ? CHUNK_MIN : n;
    return (uint32_t)(n > FORWARD_BLOCK ? FORWARD_BLOCK : n);
}

static int mlr_gradient(struct model *m,
                        const struct model_input *in,
                        struct sv_batch *batches,
                        struct model_loss *loss,
                        struct err *e)
{
    struct job job = {
        .m = m, .in = in, .out = &batches[0], .chunk = chunk_size(in)};
    const bool thin = in->sparsify->tau > 0;
    size_t n_entries = 0;
    int rc;

    assert(batches[0].u.len == m->J && batches[0].v.len == m->K);
    /* The form of last time is a good guess, and keeps the memory. */
    if ((rc = mlr_check_data(m, in->data, e)) != 0 ||
        (rc = check_labels(in, e)) != 0 || (rc = reserve(m, in->n, e)) != 0 ||
        (rc = shape(&job, thin && batches[0].u.sparse, e)) != 0) {
        return rc;
    }
    if (in->data->dense) {
        pool_run(in->pool, mlr_pieces(in->n, job.chunk), task_put_v, &job);
        pool_run(in->pool,
                 m->J >= GEMM_COLS_MANY ? mlr_pieces(m->J, GEMM_COLS)
                                        : mlr_pieces(in->n, GEMM_ROWS),
                 task_gemm, &job);
    }
    pool_run(in->pool, mlr_pieces(in->n, job.chunk), task_chunk, &job);
    rc = sum_loss(&job, loss, e);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < in->n; i++) {
        n_entries += m->n_u[i];
    }
    return finish_u(&job, thin && 2 * n_entries < (size_t)in->n * m->J,
                    n_entries, e);
}

const struct model_ops mlr_ops = {
    .name = "mlr",
    .summary = "softmax regression: which class is a row of?",
    .create = mlr_create,
    .destroy = mlr_destroy,
    .n_params = mlr_n_params,
    .param = mlr_param,
    .init = NULL,
    .gradient = mlr_gradient,
    .evaluate = mlr_evaluate,
    .predict = mlr_predict,
};
