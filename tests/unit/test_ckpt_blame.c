/* Unit tests of ckpt/blame.h: weights are what a naive sum over the story's
 * batches gives. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt/blame.h"
#include "tests/support/logs.h"
#include "tests/support/test.h"

#define N 14

static const struct logs_story STORY = {.seed = 3,
                                        .peers = 3,
                                        .matrices = 2,
                                        .rule = SV_PLAIN};

struct fixture {
    char dir[LOGS_PATH_SIZE];
    struct ckpt_reader *reader;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct ckpt_log_options o;

    logs_dir_make(f->dir);
    o = logs_options(f->dir);
    logs_write(&STORY, &o, N);
    assert_int_equal(ckpt_reader_open(&f->reader, f->dir, NULL), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    ckpt_reader_close(f->reader);
    logs_dir_remove(f->dir);
    free(f);
    return 0;
}

static double part(struct sv_vec x, int64_t index)
{
    double sum = 0;

    for (uint32_t i = 0; i < x.nnz; i++) {
        uint32_t at = x.idx == NULL ? i : x.idx[i];
        if (index < 0 || at == (uint64_t)index) {
            sum += (double)x.val[i] * (double)x.val[i];
        }
    }
    return sqrt(sum);
}

/* Weights by peer and by sample, and how many batches there are. */
struct naive {
    double peers[3], samples[8];
    size_t n_batches;
};

static void naive_add(struct naive *x,
                      const struct ckpt_blame_options *o,
                      const struct ckpt_op *op)
{
    struct sv_batch b;

    if (op->kind != SV_OP_APPLY || op->matrix != o->matrix) {
        return;
    }
    logs_batch(&STORY, op->origin, op->clock, op->matrix, &b);
    sv_batch_scale(&b, op->a);
    for (uint32_t r = 0; r < b.n; r++) {
        double w = fabs((double)b.coef[r]) *
                   part(sv_vecs_get(&b.v, r), o->row) *
                   part(sv_vecs_get(&b.u, r), o->column);
        x->peers[op->origin] += w;
        x->samples[b.sample[r]] += w;
    }
    x->n_batches++;
    sv_batch_fini(&b);
}

static struct naive naive_of(const struct ckpt_blame_options *o)
{
    struct naive x = {.n_batches = 0};
    struct ckpt_step step;

    ckpt_step_init(&step);
    for (uint64_t c = o->from; c < o->to; c++) {
        logs_step(&STORY, c, &step);
        for (size_t i = 0; i < step.n_ops; i++) {
            naive_add(&x, o, &step.ops[i]);
        }
    }
    ckpt_step_fini(&step);
    return x;
}

static void check(struct ckpt_reader *reader,
                  const struct ckpt_blame_options *o)
{
    struct naive want = naive_of(o);
    struct ckpt_blame b;
    struct err e = {""};

    if (ckpt_blame(&b, reader, o, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(b.n_batches, want.n_batches);
    for (size_t i = 0; i < b.n_peers; i++) {
        assert_true(fabs(b.peers[i].weight - want.peers[b.peers[i].origin]) <
                    1e-9);
        assert_true(i == 0 || b.peers[i].weight <= b.peers[i - 1].weight);
    }
    for (size_t i = 0; i < b.n_samples; i++) {
        assert_true(fabs(b.samples[i].weight -
                         want.samples[b.samples[i].sample]) < 1e-9);
        assert_true(i == 0 || b.samples[i].weight <= b.samples[i - 1].weight);
    }
    for (size_t i = 1; i < b.n_batches; i++) {
        assert_true(b.batches[i].weight <= b.batches[i - 1].weight);
    }
    ckpt_blame_fini(&b);
}

static void test_weights_are_those_of_a_naive_sum(void **state)
{
    struct fixture *f = *state;
    struct pool *pool;

    assert_int_equal(pool_create(&pool, 3, NULL), 0);
    for (uint16_t matrix = 0; matrix < 2; matrix++) {
        struct ckpt_blame_options o = {.from = 2,
                                       .to = N - 1,
                                       .matrix = matrix,
                                       .J = LOGS_J,
                                       .K = LOGS_K,
                                       .row = -1,
                                       .column = -1,
                                       .pool = pool};
        check(f->reader, &o);
        o.pool = NULL;
        o.row = 5;
        check(f->reader, &o);
        o.row = -1;
        o.column = 3;
        check(f->reader, &o);
        o.to = o.from; /* Nothing. */
        check(f->reader, &o);
    }
    pool_destroy(pool);
}

static void test_clocks_that_are_not_there_are_refused(void **state)
{
    struct fixture *f = *state;
    struct ckpt_blame_options o = {
        .to = N + 1, .J = LOGS_J, .K = LOGS_K, .row = -1, .column = -1};
    struct ckpt_blame b;
    struct err e = {""};

    assert_int_equal(ckpt_blame(&b, f->reader, &o, &e), ERR_NOT_FOUND);
    assert_string_equal(e.msg, "clocks 0 to 15: the log has 14");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_weights_are_those_of_a_naive_sum,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_clocks_that_are_not_there_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
