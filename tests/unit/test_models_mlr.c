/* Unit tests of models/model.h with models/mlr.h. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"
#include "core/rng.h"
#include "models/model.h"
#include "tests/support/test.h"

#define N_ROWS 150

/* A problem: random data, a random W and a model. */
struct shape {
    uint32_t K; /* Features, without the constant one. */
    uint32_t J;
    bool dense;
    bool bias;
};

struct problem {
    struct shape shape;
    struct dataset data;
    const struct model_ops *ops;
    struct model *model;
    struct mat w;
    const struct mat *ws[1];
    struct sv_batch batch;
    struct sv_sparsify sparsify;
    struct model_input in;
    uint32_t rows[N_ROWS];
};

static void fill_sparse(struct dataset *d, uint64_t seed)
{
    const uint32_t K = d->schema.n_features;

    d->ptr = calloc(N_ROWS + 1, sizeof *d->ptr);
    d->idx = calloc((size_t)N_ROWS * K, sizeof *d->idx);
    d->val = calloc((size_t)N_ROWS * K, sizeof *d->val);
    assert_true(d->ptr != NULL && d->idx != NULL && d->val != NULL);
    for (uint32_t i = 0; i < N_ROWS; i++) {
        uint64_t n = d->ptr[i];
        for (uint32_t k = 0; k < K && i % 20 != 7; k++) { /* Some are empty. */
            if (rng_below(seed, i, k, 4) == 0) {
                d->idx[n] = k;
                d->val[n++] = rng_normal(seed, i + 1000, k);
            }
        }
        d->ptr[i + 1] = n;
    }
}

static void fill_dense(struct dataset *d, uint64_t seed)
{
    const size_t n = (size_t)N_ROWS * d->schema.n_features;

    d->val = calloc(n, sizeof *d->val);
    assert_non_null(d->val);
    for (size_t i = 0; i < n; i++) {
        d->val[i] = rng_normal(seed, 1, i);
    }
}

static void set_up(struct problem *p, struct shape shape)
{
    struct dataset *d = &p->data;
    const uint64_t seed = shape.J;

    memset(p, 0, sizeof *p);
    p->shape = shape;
    d->schema.n_features = shape.K;
    d->schema.n_classes = shape.J;
    d->n_rows = N_ROWS;
    d->n_rows_file = N_ROWS * 3;
    d->n_shards = 3;
    d->shard = 1;
    d->dense = shape.dense;
    d->label = calloc(N_ROWS, sizeof *d->label);
    assert_non_null(d->label);
    for (uint32_t i = 0; i < N_ROWS; i++) {
        d->label[i] = (uint32_t)rng_below(seed, 2, i, shape.J);
        p->rows[i] = (uint32_t)rng_permute(seed, 3, N_ROWS, i);
    }
    (shape.dense ? fill_dense : fill_sparse)(d, seed);

    p->ops = model_find("mlr");
    assert_non_null(p->ops);
    assert_int_equal(
        p->ops->create(
            &p->model,
            &(struct model_options){.schema = &d->schema, .bias = shape.bias},
            NULL),
        0);
    const struct model_param param = p->ops->param(p->model, 0);
    assert_int_equal(param.K, shape.K + shape.bias);
    assert_int_equal(param.J, shape.J);
    assert_int_equal(mat_init(&p->w, param.K, param.J, NULL), 0);
    for (size_t k = 0; k < param.K; k++) {
        for (size_t j = 0; j < param.J; j++) {
            mat_row(&p->w, k)[j] = 0.5f * rng_normal(seed, 4, k << 32 | j);
        }
    }
    sv_batch_init(&p->batch, param.J, param.K);
    p->ws[0] = &p->w;
    p->in = (struct model_input){.data = d,
                                 .rows = p->rows,
                                 .n = N_ROWS,
                                 .w = p->ws,
                                 .sparsify = &p->sparsify};
}

static void tear_down(struct problem *p)
{
    p->ops->destroy(p->model);
    mat_fini(&p->w);
    sv_batch_fini(&p->batch);
    free(p->data.ptr);
    free(p->data.idx);
    free(p->data.val);
    free(p->data.label);
}

static struct model_loss gradient(struct problem *p)
{
    struct model_loss loss;
    struct err e;

    assert_int_equal(p->ops->gradient(p->model, &p->in, &p->batch, &loss, &e),
                     0);
    return loss;
}

/* Element k of row @i, the constant one included. */
static double x_naive(const struct problem *p, uint32_t i, uint32_t k)
{
    const struct dataset_row row = dataset_row(&p->data, i);

    if (k == p->shape.K) {
        return 1;
    }
    for (uint32_t t = 0; t < row.nnz; t++) {
        if ((row.idx == NULL ? t : row.idx[t]) == k) {
            return (double)row.val[t];
        }
    }
    return 0;
}

/* Loss and probabilities @prob (J) of row @i of the shard. */
static double loss_naive(const struct problem *p, uint32_t i, double *prob)
{
    const uint32_t J = p->shape.J, K = p->shape.K + p->shape.bias;
    double max = -INFINITY, sum = 0;

    for (uint32_t j = 0; j < J; j++) {
        prob[j] = 0;
        for (uint32_t k = 0; k < K; k++) {
            prob[j] += x_naive(p, i, k) * (double)mat_row(&p->w, k)[j];
        }
        max = fmax(max, prob[j]);
    }
    for (uint32_t j = 0; j < J; j++) {
        prob[j] = exp(prob[j] - max);
        sum += prob[j];
    }
    for (uint32_t j = 0; j < J; j++) {
        prob[j] /= sum;
    }
    return p->data.label[i] < J ? -log(prob[p->data.label[i]]) : 0;
}

static uint32_t argmax_naive(const double *x, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t j = 1; j < n; j++) {
        best = x[j] > x[best] ? j : best;
    }
    return best;
}

static double entry(struct sv_vec x, uint32_t at)
{
    for (uint32_t t = 0; t < x.nnz; t++) {
        if ((x.idx == NULL ? t : x.idx[t]) == at) {
            return (double)x.val[t];
        }
    }
    return 0;
}

static const struct shape SHAPES[] = {
    {40, 1, false, false},  {40, 2, false, true},   {30, 17, false, false},
    {30, 141, false, true}, {25, 300, false, true}, {1, 5, false, false},
    {40, 1, true, true},    {30, 17, true, false},  {30, 141, true, true},
    {7, 1100, true, true},
};
#define N_SHAPES (sizeof SHAPES / sizeof *SHAPES)

static void check_pair(const struct problem *p, uint32_t r, const double *prob)
{
    const struct sv_vec u = sv_vecs_get(&p->batch.u, r);
    const struct sv_vec v = sv_vecs_get(&p->batch.v, r);
    const uint32_t row = p->rows[r], y = p->data.label[row];

    assert_true(p->batch.coef[r] == 1);
    assert_int_equal(p->batch.sample[r], row * 3 + 1);
    for (uint32_t j = 0; j < p->shape.J; j++) {
        double want = prob[j] - (j == y);
        bool left_out = fabs(want) < (double)p->sparsify.tau * 1.0001 &&
                        p->batch.u.sparse && entry(u, j) == 0;
        assert_true(left_out || fabs(entry(u, j) - want) <= 5e-6);
    }
    for (uint32_t k = 0; k < p->shape.K + p->shape.bias; k++) {
        assert_true(entry(v, k) == x_naive(p, row, k));
    }
}

static void check_gradient(struct shape shape, float tau)
{
    struct problem p;
    struct model_loss loss;
    double want = 0, *prob = calloc(shape.J, sizeof *prob);
    uint32_t n_right = 0;

    assert_non_null(prob);
    set_up(&p, shape);
    p.sparsify.tau = tau;
    loss = gradient(&p);
    assert_int_equal(loss.n, N_ROWS);
    assert_int_equal(p.batch.n, N_ROWS);
    assert_int_equal(p.batch.v.sparse, !shape.dense);
    for (uint32_t r = 0; r < N_ROWS; r++) {
        want += loss_naive(&p, p.rows[r], prob);
        n_right += argmax_naive(prob, shape.J) == p.data.label[p.rows[r]];
        check_pair(&p, r, prob);
    }
    assert_true(fabs(loss.sum - want) <= 1e-5 * (1 + want));
    assert_int_equal(loss.n_right, n_right);
    tear_down(&p);
    free(prob);
}

static void test_pairs_are_p_minus_e_and_x(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++) {
        check_gradient(SHAPES[i], 0);
        check_gradient(SHAPES[i], 1e-3f);
        check_gradient(SHAPES[i], 0.1f);
    }
}

/* (loss(W + d) - loss(W - d)) / 2d against the sum of v u^T. */
static void check_derivative(struct shape shape, uint32_t k, uint32_t j)
{
    const float d = 1e-2f;
    struct problem p;
    double up, down, want, got = 0;
    float *w;

    set_up(&p, shape);
    gradient(&p);
    for (uint32_t r = 0; r < N_ROWS; r++) {
        got += entry(sv_vecs_get(&p.batch.v, r), k) *
               entry(sv_vecs_get(&p.batch.u, r), j);
    }
    w = mat_row(&p.w, k) + j;
    *w += d;
    up = gradient(&p).sum;
    *w -= 2 * d;
    down = gradient(&p).sum;
    want = (up - down) / (2 * (double)d);
    assert_true(fabs(got - want) <= 1e-2 * fabs(want) + 2e-2);
    tear_down(&p);
}

static void test_pairs_are_the_derivative_of_the_loss(void **state)
{
    (void)state;
    for (uint32_t j = 0; j < 17; j += 4) {
        check_derivative((struct shape){30, 17, false, true}, 2 * j, j);
        check_derivative((struct shape){30, 17, false, true}, 30, j);
        check_derivative((struct shape){30, 17, true, true}, j, j);
        check_derivative((struct shape){30, 17, true, true}, 30, j);
    }
}

static void assert_same_vecs(const struct sv_vecs *a, const struct sv_vecs *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->sparse, b->sparse);
    if (a->sparse) {
        size_t n = sv_vecs_entries(a);
        assert_int_equal(n, sv_vecs_entries(b));
        assert_memory_equal(a->ptr, b->ptr, (a->n + 1) * sizeof *a->ptr);
        assert_memory_equal(a->idx, b->idx, n * sizeof *a->idx);
        assert_memory_equal(a->val, b->val, n * sizeof *a->val);
    } else {
        assert_memory_equal(a->val, b->val, a->n * a->ld * sizeof *a->val);
    }
}

static void check_threads(struct shape shape, struct sv_sparsify s, size_t n)
{
    struct problem one, many;
    struct model_loss a, b;
    struct model_score sa, sb;

    set_up(&one, shape);
    set_up(&many, shape);
    one.sparsify = s;
    many.sparsify = s;
    assert_int_equal(pool_create(&many.in.pool, n, NULL), 0);
    for (int again = 0; again < 3; again++) { /* Memory of last time too. */
        a = gradient(&one);
        b = gradient(&many);
        assert_memory_equal(&a.sum, &b.sum, sizeof a.sum);
        assert_int_equal(a.n_right, b.n_right);
        assert_same_vecs(&one.batch.u, &many.batch.u);
        assert_same_vecs(&one.batch.v, &many.batch.v);
        assert_memory_equal(one.batch.sample, many.batch.sample,
                            one.batch.n * sizeof *one.batch.sample);
    }
    assert_int_equal(
        one.ops->evaluate(one.model, one.ws, &one.data, NULL, &sa, NULL), 0);
    assert_int_equal(many.ops->evaluate(many.model, many.ws, &many.data,
                                        many.in.pool, &sb, NULL),
                     0);
    assert_memory_equal(&sa, &sb, sizeof sa);
    pool_destroy(many.in.pool);
    tear_down(&one);
    tear_down(&many);
}

static void test_threads_do_not_change_a_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++) {
        for (size_t n = 2; n <= 5; n++) {
            struct sv_sparsify s = {.tau = 0.02f, .unbiased = n == 3};
            check_threads(SHAPES[i], s, n);
            check_threads(SHAPES[i], (struct sv_sparsify){.tau = 0}, n);
        }
    }
}

static void test_instruction_sets_agree_closely(void **state)
{
    static const char *const ISAS[] = {"scalar", "neon", "avx2", "avx512"};
    const char *before = isa_name(isa_get());
    struct problem p, q;
    (void)state;

    set_up(&p, (struct shape){30, 141, false, true});
    set_up(&q, (struct shape){30, 141, false, true});
    gradient(&p);
    for (size_t i = 0; i < 4; i++) {
        if (isa_force(ISAS[i], NULL) != 0) {
            continue;
        }
        gradient(&q);
        for (size_t t = 0; t < N_ROWS * p.batch.u.ld; t++) {
            assert_true(fabsf(p.batch.u.val[t] - q.batch.u.val[t]) <= 1e-5f);
        }
    }
    isa_force(before, NULL);
    tear_down(&p);
    tear_down(&q);
}

/* The form follows what stays, not what there was before. */
static void test_u_is_sparse_where_that_is_smaller(void **state)
{
    struct problem p;
    (void)state;

    set_up(&p, (struct shape){30, 141, false, false});
    for (int again = 0; again < 2; again++) {
        p.sparsify.tau = 0;
        gradient(&p);
        assert_false(p.batch.u.sparse);
        p.sparsify.tau = 1e-9f;
        gradient(&p);
        assert_false(p.batch.u.sparse);
        p.sparsify.tau = 0.1f;
        gradient(&p);
        assert_true(p.batch.u.sparse);
        p.sparsify.tau = 1e-9f;
        gradient(&p);
        assert_false(p.batch.u.sparse);
        p.sparsify.tau = 0.1f;
        p.sparsify.unbiased = true;
        gradient(&p);
        assert_true(p.batch.u.sparse);
        p.sparsify.unbiased = false;
    }
    tear_down(&p);
}

static void check_not_finite(struct shape shape, float bad, const char *what)
{
    struct problem p;
    struct model_loss loss;
    struct err e;
    char want[80];
    uint32_t row;

    set_up(&p, shape);
    row = p.rows[100];
    p.data.val[shape.dense ? row * shape.K + 3 : p.data.ptr[row]] = bad;
    snprintf(want, sizeof want, "row %u of the file: loss is %s", row * 3 + 2,
             what);
    assert_int_equal(p.ops->gradient(p.model, &p.in, &p.batch, &loss, &e),
                     ERR_NOT_FINITE);
    assert_string_equal(e.msg, want);
    tear_down(&p);
}

static void test_the_row_whose_loss_is_not_finite_is_named(void **state)
{
    (void)state;
    check_not_finite((struct shape){40, 17, false, false}, NAN, "nan");
    check_not_finite((struct shape){40, 17, false, true}, INFINITY, "nan");
    check_not_finite((struct shape){40, 141, true, false}, NAN, "nan");
}

static void test_a_row_without_label_is_refused_by_its_number(void **state)
{
    struct problem p;
    struct model_loss loss;
    struct err e;
    (void)state;

    set_up(&p, (struct shape){40, 17, false, false});
    p.data.label[11] = DATASET_NO_LABEL;
    assert_int_equal(p.ops->gradient(p.model, &p.in, &p.batch, &loss, &e),
                     ERR_INVALID);
    assert_string_equal(e.msg, "row 35 of the file: no label to train on");
    tear_down(&p);
}

static void test_data_that_do_not_suit_are_refused(void **state)
{
    const struct model_ops *ops = model_find("mlr");
    struct dataset_schema s = {.n_features = 3};
    struct model_options o = {.schema = &s};
    struct model *m;
    struct problem p;
    struct model_score score;
    (void)state;

    assert_int_equal(ops->create(&m, &o, NULL), ERR_INVALID);
    s = (struct dataset_schema){.n_classes = 3};
    assert_int_equal(ops->create(&m, &o, NULL), ERR_INVALID);
    s = (struct dataset_schema){.n_classes = 3, .n_features = UINT32_MAX};
    assert_int_equal(ops->create(&m, &o, NULL), ERR_INVALID);

    set_up(&p, (struct shape){40, 17, false, false});
    p.data.schema.n_features = 39;
    assert_int_equal(
        p.ops->evaluate(p.model, p.ws, &p.data, NULL, &score, NULL),
        ERR_INVALID);
    tear_down(&p);
}

static void check_score(struct shape shape)
{
    struct problem p;
    struct model_score score;
    double want = 0, *prob = calloc(shape.J, sizeof *prob);
    uint32_t n = 0, n_right = 0;

    assert_non_null(prob);
    set_up(&p, shape);
    p.data.label[5] = DATASET_NO_LABEL; /* Unknown. */
    p.data.label[6] = DATASET_NO_LABEL; /* Unlabelled. */
    p.data.n_unknown_labels = 1;
    for (uint32_t i = 0; i < N_ROWS; i++) {
        if (p.data.label[i] != DATASET_NO_LABEL) {
            want += loss_naive(&p, i, prob);
            n_right += argmax_naive(prob, shape.J) == p.data.label[i];
            n++;
        }
    }
    assert_int_equal(
        p.ops->evaluate(p.model, p.ws, &p.data, NULL, &score, NULL), 0);
    assert_int_equal(score.n, n + 1);
    assert_true(fabs(score.loss - want / n) <= 1e-5 * (1 + want / n));
    assert_true(fabs(score.accuracy - n_right / (n + 1.0)) < 1e-12);
    tear_down(&p);
    free(prob);
}

static void test_scores_are_those_of_doubles(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++) {
        check_score(SHAPES[i]);
    }
}

static void check_guesses(struct shape shape)
{
    struct problem p;
    struct model_guess g[8];
    double *prob = calloc(shape.J, sizeof *prob);

    assert_non_null(prob);
    set_up(&p, shape);
    for (uint32_t row = 0; row < N_ROWS; row++) {
        assert_int_equal(
            p.ops->predict(p.model, p.ws, &p.data, row, g, 8, NULL), 0);
        loss_naive(&p, row, prob);
        for (uint32_t i = 0; i < 8 && i < shape.J; i++) {
            uint32_t best = argmax_naive(prob, shape.J);
            assert_true(fabs((double)g[i].p - prob[best]) <= 1e-5);
            assert_true(fabs(prob[g[i].label] - prob[best]) <= 1e-5);
            prob[g[i].label] = -1;
        }
        for (uint32_t i = shape.J; i < 8; i++) {
            assert_int_equal(g[i].label, DATASET_NO_LABEL);
        }
    }
    tear_down(&p);
    free(prob);
}

static void test_guesses_are_the_likeliest_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++) {
        check_guesses(SHAPES[i]);
    }
}

/* With W = 0 all classes are equal: the lowest wins. */
static void test_of_equal_classes_the_lowest_is_meant(void **state)
{
    struct problem p;
    struct model_score score;
    struct model_guess g[3];
    uint32_t n = 0;
    (void)state;

    set_up(&p, (struct shape){10, 20, false, false});
    memset(p.w.data, 0, p.w.K * p.w.ld * sizeof *p.w.data);
    for (uint32_t i = 0; i < N_ROWS; i++) {
        n += p.data.label[i] == 0;
    }
    assert_int_equal(gradient(&p).n_right, n);
    assert_int_equal(
        p.ops->evaluate(p.model, p.ws, &p.data, NULL, &score, NULL), 0);
    assert_true(score.accuracy == n / (double)N_ROWS);
    assert_int_equal(p.ops->predict(p.model, p.ws, &p.data, 0, g, 3, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(g[i].label, i);
    }
    tear_down(&p);
}

static void test_minibatches_of_any_size_come_in_turn(void **state)
{
    static const uint32_t SIZES[] = {1, 150, 8, 9, 63, 64, 65, 129, 0, 3};
    struct problem p;
    (void)state;

    set_up(&p, (struct shape){30, 141, false, true});
    p.sparsify.tau = 0.05f;
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        p.in.n = SIZES[i];
        assert_int_equal(gradient(&p).n, SIZES[i]);
        assert_int_equal(p.batch.n, SIZES[i]);
        assert_int_equal(p.batch.u.n, SIZES[i]);
        assert_int_equal(p.batch.v.n, SIZES[i]);
    }
    tear_down(&p);
}

static void test_models_are_found_by_name(void **state)
{
    (void)state;
    assert_non_null(model_find("mlr"));
    assert_null(model_find("MLR"));
    assert_ptr_equal(model_at(0), model_find(model_at(0)->name));
    assert_null(model_at(1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_are_p_minus_e_and_x),
        cmocka_unit_test(test_pairs_are_the_derivative_of_the_loss),
        cmocka_unit_test(test_threads_do_not_change_a_bit),
        cmocka_unit_test(test_instruction_sets_agree_closely),
        cmocka_unit_test(test_u_is_sparse_where_that_is_smaller),
        cmocka_unit_test(test_the_row_whose_loss_is_not_finite_is_named),
        cmocka_unit_test(test_a_row_without_label_is_refused_by_its_number),
        cmocka_unit_test(test_data_that_do_not_suit_are_refused),
        cmocka_unit_test(test_scores_are_those_of_doubles),
        cmocka_unit_test(test_guesses_are_the_likeliest_in_order),
        cmocka_unit_test(test_of_equal_classes_the_lowest_is_meant),
        cmocka_unit_test(test_minibatches_of_any_size_come_in_turn),
        cmocka_unit_test(test_models_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
