/* Unit tests of train/probe.h, and of what train/choice.h does under auto. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/test.h"
#include "train/probe.h"

#define ROWS  120
#define BATCH 32

struct fixture {
    struct dataset data;
    struct train_replica replica;
    struct train_clock_tools tools;
    struct train_clock clock;
    struct pool *pool;
};

/* Rows of 20 features of 7 classes; sparse ones have every third. */
static void make_data(struct dataset *d, bool dense)
{
    const uint32_t K = 20;
    uint64_t n = 0;

    memset(d, 0, sizeof *d);
    d->schema.n_features = K;
    d->schema.n_classes = 7;
    d->n_rows = ROWS;
    d->n_rows_file = ROWS;
    d->n_shards = 1;
    d->dense = dense;
    d->label = calloc(ROWS, sizeof *d->label);
    d->val = calloc((size_t)ROWS * K, sizeof *d->val);
    d->idx = calloc((size_t)ROWS * K, sizeof *d->idx);
    d->ptr = calloc(ROWS + 1, sizeof *d->ptr);
    assert_true(d->label && d->val && d->idx && d->ptr);
    for (uint32_t i = 0; i < ROWS; i++) {
        d->label[i] = i % 7;
        for (uint32_t k = 0; k < K; k++) {
            if (dense || (i + k) % 3 == 0) {
                d->idx[n] = k;
                d->val[n++] = rng_normal(1, i, k);
            }
        }
        d->ptr[i + 1] = n;
    }
}

static void set_up(struct fixture *f, bool dense, enum sv_rule rule)
{
    struct train_run run;

    make_data(&f->data, dense);
    train_run_init(&run);
    strcpy(run.model, "mlr");
    run.n_peers = 3;
    run.seed = 5;
    run.batch = BATCH;
    run.clocks = 100;
    run.rule = rule;
    run.lr = 0.1f;
    run.eps = 1e-8f;
    run.momentum = 0.9f;
    run.tau = 0.03f;
    run.unbiased = true;
    run.select.kind = SELECT_AUTO;
    run.schema.n_features = f->data.schema.n_features;
    run.schema.n_classes = f->data.schema.n_classes;
    assert_int_equal(pool_create(&f->pool, 2, NULL), 0);
    assert_int_equal(train_replica_create(&f->replica, &run, f->pool, NULL), 0);
    assert_int_equal(train_clock_tools_init(&f->tools, &f->replica, NULL), 0);
    assert_int_equal(
        train_clock_init(&f->clock, &f->replica, &f->data, 0, &f->tools, NULL),
        0);
}

static void tear_down(struct fixture *f)
{
    train_clock_fini(&f->clock);
    train_clock_tools_fini(&f->tools);
    train_replica_close(&f->replica);
    pool_destroy(f->pool);
    free(f->data.label);
    free(f->data.val);
    free(f->data.idx);
    free(f->data.ptr);
}

/* One clock of a job with this peer alone. */
static void one_clock(struct fixture *f, uint64_t clock)
{
    const struct train_hub_item own = {.peer = 0, .clock = clock};
    struct train_clock_work work;
    struct ckpt_step step;

    assert_int_equal(train_clock_compute(&f->clock, clock, &work, NULL), 0);
    ckpt_step_init(&step);
    ckpt_step_reset(&step, clock);
    assert_int_equal(train_clock_apply(&f->clock, &own, 1, &step, NULL), 0);
    ckpt_step_fini(&step);
}

static struct train_auto ask(struct fixture *f, uint64_t clock, double link)
{
    const struct train_auto_options o = {
        .delivery = train_run_delivery(&f->replica.run, 100), .link = link};
    struct train_auto a;
    struct err e = {.msg = ""};

    train_auto_init(&a, &o, BATCH);
    if (train_probe_auto(&f->clock, clock, &a, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    return a;
}

/* All bytes of a matrix, to compare by bits. */
static float *copy(const struct mat *m)
{
    float *to = malloc(m->K * m->ld * sizeof *to + 1);

    assert_non_null(to);
    if (m->data != NULL) {
        memcpy(to, m->data, m->K * m->ld * sizeof *to);
    }
    return to;
}

static void test_a_probe_leaves_no_trace(void **state)
{
    (void)state;
    for (int rule = 0; rule < 2 * SV_RULE_COUNT; rule++) {
        struct fixture f;
        set_up(&f, rule % 2 == 0, (enum sv_rule)(rule / 2));
        for (uint64_t c = 0; c < 3; c++) {
            one_clock(&f, c);
        }
        struct sv_state *s = &f.replica.states[0];
        s->w.data[0] = -0.0f; /* The hard ones. */
        s->w.data[1] = 0.0f;
        s->w.data[2] = -1e-45f;
        s->w.data[3] = 1e3f;
        float *w = copy(&s->w), *aux = copy(&s->aux);
        float h[20];
        if (s->h != NULL) {
            memcpy(h, s->h, sizeof h);
        }
        (void)ask(&f, 3, 1e8);
        assert_memory_equal(w, s->w.data, s->w.K * s->w.ld * sizeof *w);
        if (s->aux.data != NULL) {
            assert_memory_equal(aux, s->aux.data,
                                s->aux.K * s->aux.ld * sizeof *w);
        }
        if (s->h != NULL) {
            assert_memory_equal(h, s->h, sizeof h);
        }
        free(w);
        free(aux);
        tear_down(&f);
    }
}

static void test_what_is_found_is_what_is_sent(void **state)
{
    struct fixture f;
    struct blob *blob;
    struct train_auto a;
    struct train_clock_work work;

    (void)state;
    set_up(&f, true, SV_PLAIN);
    a = ask(&f, 0, 1e6);
    assert_int_equal(a.n_ways, 4);
    for (uint32_t i = 0; i < 3; i++) {
        const struct train_auto_way *w = &a.ways[i];
        train_choice_set(&f.clock.choice, &w->spec);
        f.clock.choice.carried[0].n = 0;
        assert_int_equal(train_clock_compute(&f.clock, 0, &work, NULL), 0);
        assert_int_equal(train_clock_encode(&f.clock, 0, &blob, NULL), 0);
        assert_true(w->apply > 0 && w->encode > 0 && isfinite(w->predicted));
        if (w->spec.kind == SELECT_NONE) {
            assert_true(w->size == (double)blob->size && w->error == 0);
        } else {
            assert_true(w->select > 0 && w->error > 0 && w->error < 1);
            /* Others are drawn, or there is something carried. */
            assert_true(fabs(w->size / (double)blob->size - 1) < 0.3);
        }
        blob_unref(blob);
    }
    assert_true(a.ways[3].matrix && a.ways[3].apply > 0);
    assert_true(a.ways[3].traffic.bytes > 0);
    tear_down(&f);

    set_up(&f, false, SV_ROWGRAD);
    a = ask(&f, 0, 1e6);
    assert_string_equal(a.ways[2].out, "v is sparse");
    assert_true(a.ways[2].size == 0);
    tear_down(&f);
}

/* The sum of all updates, as a matrix of doubles. */
static void add_to(double *sum, const struct sv_batch *b)
{
    for (uint32_t r = 0; r < b->n; r++) {
        const struct sv_vec u = sv_vecs_get(&b->u, r),
                            v = sv_vecs_get(&b->v, r);
        for (uint32_t k = 0; k < v.nnz; k++) {
            for (uint32_t j = 0; j < u.nnz; j++) {
                const uint32_t K = v.idx == NULL ? k : v.idx[k];
                const uint32_t J = u.idx == NULL ? j : u.idx[j];
                sum[K * 7 + J] +=
                    (double)b->coef[r] * (double)v.val[k] * (double)u.val[j];
            }
        }
    }
}

static void test_what_svd_carries_is_sent_when_it_is_left(void **state)
{
    static const struct select_spec SVD = {
        .kind = SELECT_SVD, .C = 2, .feedback = 8};
    static const struct select_spec NONE = {.kind = SELECT_NONE};
    double all[20 * 7] = {0}, sent[20 * 7] = {0};
    struct train_clock_work work;
    struct model_loss loss;
    struct fixture f;

    (void)state;
    set_up(&f, true, SV_PLAIN);
    for (uint64_t c = 0; c < 6; c++) {
        assert_int_equal(train_clock_gradient(&f.clock, c, &loss, NULL), 0);
        add_to(all, &f.clock.own[0]);
        train_choice_set(&f.clock.choice, c < 3 ? &SVD : &NONE);
        assert_int_equal(train_clock_compute(&f.clock, c, &work, NULL), 0);
        add_to(sent, &f.clock.own[0]);
        assert_int_equal(f.clock.choice.carried[0].n > 0, c < 3);
        assert_true(c == 3 ? f.clock.own[0].n <= 7 /* The rank of W. */
                           : f.clock.own[0].n == (c < 3 ? 2 : BATCH));
    }
    for (size_t i = 0; i < 20 * 7; i++) {
        assert_true(fabs(all[i] - sent[i]) < 1e-5);
    }
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_probe_leaves_no_trace),
        cmocka_unit_test(test_what_is_found_is_what_is_sent),
        cmocka_unit_test(test_what_svd_carries_is_sent_when_it_is_left),
    };
    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
