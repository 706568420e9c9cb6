/* Unit tests of sv/apply.h: every kernel, form, rule, number of threads and
 * grouping of ops gives the bits of the definition. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"
#include "core/rng.h"
#include "sv/apply.h"
#include "sv/rows.h"
#include "tests/support/test.h"

#define N_BATCHES 6
#define N_OPS     24
#define N_BLOCKS  3
#define EPS       1e-6f

static const char *const ISAS[] = {"scalar", "neon", "avx2", "avx512"};

/* Random numbers in the order of asking. */
struct dice {
    uint64_t seed;
    uint64_t at;
};

static uint32_t below(struct dice *d, uint32_t n)
{
    return (uint32_t)rng_below(d->seed, rng_stream(RNG_TEST, 0, 0), d->at++, n);
}

/* Mostly ordinary, sometimes zero of either sign, tiny or denormal. */
static float number(struct dice *d)
{
    static const float ODD[] = {0.0f, -0.0f, 1e-42f, -3e-39f, 1.0f, 1e-20f};

    if (below(d, 10) == 0) {
        return ODD[below(d, sizeof ODD / sizeof *ODD)];
    }
    return rng_f32(d->seed, rng_stream(RNG_TEST, 1, 0), d->at++) - 0.4f;
}

struct vector {
    uint32_t nnz;
    uint32_t *idx;
    float *val;
};

static void vector_fill(struct dice *d,
                        struct vector *x,
                        uint32_t len,
                        bool sparse,
                        uint32_t share)
{
    x->nnz = 0;
    for (uint32_t i = 0; i < len; i++) {
        if (!sparse || below(d, 100) < share) {
            x->idx[x->nnz] = i;
            x->val[x->nnz++] = number(d);
        }
    }
}

static struct sv_vec view(const struct vector *x, bool sparse)
{
    return (struct sv_vec){
        .nnz = x->nnz, .idx = sparse ? x->idx : NULL, .val = x->val};
}

static void vector_init(struct vector *x, uint32_t len)
{
    x->idx = malloc(len * sizeof *x->idx);
    x->val = malloc(len * sizeof *x->val);
    assert_true(x->idx != NULL && x->val != NULL);
}

static void vector_fini(struct vector *x)
{
    free(x->idx);
    free(x->val);
}

/* A batch of the wanted forms; the share of entries is per cent. */
struct form {
    bool u_sparse, v_sparse;
    uint32_t u_share, v_share;
};

static void
batch_fill(struct dice *d, struct sv_batch *b, uint32_t n, struct form f)
{
    struct vector u, v;
    struct err e;

    vector_init(&u, b->u.len);
    vector_init(&v, b->v.len);
    sv_batch_reset(b, f.u_sparse, f.v_sparse);
    b->rate = 0.25f * (float)below(d, 5);
    for (uint32_t r = 0; r < n; r++) {
        float coef = below(d, 8) == 0 ? 0.0f : number(d);
        vector_fill(d, &u, b->u.len, f.u_sparse, f.u_share);
        vector_fill(d, &v, b->v.len, f.v_sparse, f.v_share);
        assert_int_equal(sv_batch_append(b, coef, view(&u, f.u_sparse),
                                         view(&v, f.v_sparse), r, &e),
                         0);
    }
    vector_fini(&u);
    vector_fini(&v);
}

/* A problem: a matrix, batches of several forms and ops on them. */
struct problem {
    uint32_t K, J;
    enum sv_rule rule;
    struct sv_batch batches[N_BATCHES];
    struct sv_row_block blocks[N_BLOCKS];
    struct sv_op ops[N_OPS];
    size_t n_ops;
    struct sv_state start; /* Not zeros: minus zero and the like are in W. */
};

static void mat_fill(struct dice *d, struct mat *m)
{
    for (size_t k = 0; k < m->K; k++) {
        for (size_t j = 0; j < m->J; j++) {
            mat_row(m, k)[j] = number(d);
        }
    }
}

/* Rows of a state of @p. What goes to h is not below 0. */
static void
block_fill(struct dice *d, struct sv_row_block *b, struct problem *p)
{
    uint32_t first = below(d, p->K), n = 1 + below(d, p->K - first);
    uint32_t width = sv_rows_width(&p->start);

    sv_rows_init(b);
    assert_int_equal(sv_rows_resize(b, first, n, width, NULL), 0);
    for (size_t i = 0; i < (size_t)n * width; i++) {
        b->values[i] = number(d);
        if (p->rule == SV_ROWGRAD || p->rule == SV_ADAGRAD) {
            b->values[i] = fabsf(b->values[i]);
        }
    }
}

static void ops_fill(struct dice *d, struct problem *p)
{
    p->n_ops = below(d, N_OPS + 1);
    for (size_t i = 0; i < p->n_ops; i++) {
        struct sv_op *op = &p->ops[i];
        uint32_t kind = below(d, 9);
        *op = (struct sv_op){.kind = SV_OP_APPLY};
        op->batch = &p->batches[below(d, N_BATCHES)];
        if (kind == 0) {
            *op = (struct sv_op){.kind = SV_OP_SCALE, .a = 1 - number(d) / 8};
        } else if (kind <= 2 && p->rule == SV_MOMENTUM) {
            *op = (struct sv_op){.kind = SV_OP_ADD_AUX, .a = 0.9f};
            if (kind == 1) {
                op->kind = SV_OP_SCALE_AUX;
            }
        } else if (kind == 3) {
            *op = (struct sv_op){.kind = SV_OP_MIX,
                                 .rows = &p->blocks[below(d, N_BLOCKS)]};
        }
    }
}

static void problem_init(struct problem *p, uint64_t seed)
{
    struct dice d = {.seed = seed};
    bool large = below(&d, 6) == 0;
    bool one_form = below(&d, 2) == 0;
    struct form f = {0};
    struct err e;

    p->K = 1 + below(&d, large ? 700 : 70);
    p->J = 1 + below(&d, large ? 400 : 120);
    p->rule = (enum sv_rule)below(&d, SV_RULE_COUNT);
    assert_int_equal(sv_state_init(&p->start, p->rule, EPS, p->K, p->J, &e), 0);
    mat_fill(&d, &p->start.w);
    for (size_t i = 0; i < N_BATCHES; i++) {
        uint32_t n = below(&d, 4) == 0 ? 0 : below(&d, 40);
        if (i == 0 || !one_form) {
            f.u_sparse = below(&d, 2) == 0;
            f.v_sparse = below(&d, 2) == 0;
            f.u_share = below(&d, 3) * 15;
            f.v_share = below(&d, 3) * 15;
        }
        if (i == 0 && below(&d, 8) == 0) {
            n += 400; /* More than a tile takes at a time. */
        }
        sv_batch_init(&p->batches[i], p->J, p->K);
        batch_fill(&d, &p->batches[i], n, f);
    }
    for (size_t i = 0; i < N_BLOCKS; i++) {
        block_fill(&d, &p->blocks[i], p);
    }
    ops_fill(&d, p);
}

static void problem_fini(struct problem *p)
{
    for (size_t i = 0; i < N_BATCHES; i++) {
        sv_batch_fini(&p->batches[i]);
    }
    for (size_t i = 0; i < N_BLOCKS; i++) {
        sv_rows_fini(&p->blocks[i]);
    }
    sv_state_fini(&p->start);
}

static void state_copy(struct sv_state *to, const struct problem *p)
{
    struct err e;

    assert_int_equal(sv_state_init(to, p->rule, EPS, p->K, p->J, &e), 0);
    memcpy(to->w.data, p->start.w.data, p->start.w.K * p->start.w.ld * 4);
}

static bool mats_equal(const struct mat *a, const struct mat *b)
{
    return memcmp(a->data, b->data, a->K * a->ld * sizeof(float)) == 0;
}

static bool states_equal(const struct sv_state *a, const struct sv_state *b)
{
    return mats_equal(&a->w, &b->w) &&
           (a->aux.data == NULL || mats_equal(&a->aux, &b->aux)) &&
           (a->h == NULL || memcmp(a->h, b->h, a->w.K * sizeof *a->h) == 0);
}

/* Carry out the ops in calls of random length. */
static void apply_in_calls(struct sv_apply *x,
                           struct sv_state *s,
                           const struct problem *p,
                           uint64_t seed,
                           struct pool *pool)
{
    struct dice d = {.seed = seed, .at = 1000000};
    bool at_once = below(&d, 3) == 0;
    struct err e;

    for (size_t i = 0; i < p->n_ops;) {
        size_t n = at_once ? p->n_ops : 1 + below(&d, 6);
        n = n < p->n_ops - i ? n : p->n_ops - i;
        assert_int_equal(sv_apply_ops(x, s, p->ops + i, n, pool, &e), 0);
        i += n;
    }
}

struct fixture {
    struct sv_apply *x;
    struct pool *pools[4]; /* Of 1 to 4 threads. */
};

static int fixture_init(void **state)
{
    static struct fixture f;
    struct err e;

    f.x = sv_apply_create();
    assert_non_null(f.x);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pool_create(&f.pools[i], i + 1, &e), 0);
    }
    *state = &f;
    return 0;
}

static int fixture_fini(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < 4; i++) {
        pool_destroy(f->pools[i]);
    }
    sv_apply_destroy(f->x);
    return 0;
}

static void check_against_naive(struct fixture *f, uint64_t seed)
{
    struct problem p;
    struct sv_state naive, s;

    problem_init(&p, seed);
    state_copy(&naive, &p);
    sv_apply_naive(&naive, p.ops, p.n_ops);
    state_copy(&s, &p);
    apply_in_calls(f->x, &s, &p, seed, f->pools[seed % 4]);
    if (!states_equal(&naive, &s)) {
        fail_msg("isa %s: seed %llu: K %u J %u rule %s differ",
                 isa_name(isa_get()), (unsigned long long)seed, p.K, p.J,
                 sv_rule_name(p.rule));
    }
    sv_state_fini(&s);
    sv_state_fini(&naive);
    problem_fini(&p);
}

static void test_every_kernel_gives_the_bits_of_the_definition(void **state)
{
    struct err e;

    for (size_t i = 0; i < sizeof ISAS / sizeof *ISAS; i++) {
        if (isa_force(ISAS[i], &e) != 0) {
            print_message("skipped: %s\n", e.msg);
            continue;
        }
        for (uint64_t seed = 0; seed < 200; seed++) {
            check_against_naive(*state, seed);
        }
    }
}

/* Long enough to be worth threads, and many clocks in one run. */
static void check_long(struct fixture *f, struct form form, enum sv_rule rule)
{
    struct dice d = {.seed = 77};
    struct problem p = {.K = 331, .J = 149, .rule = rule};
    struct sv_state naive, s;
    struct sv_op ops[40];
    struct err e;

    sv_batch_init(&p.batches[0], p.J, p.K);
    batch_fill(&d, &p.batches[0], 33, form);
    p.batches[0].rate = 0.5f;
    assert_int_equal(sv_state_init(&p.start, p.rule, EPS, p.K, p.J, &e), 0);
    block_fill(&d, &p.blocks[0], &p);
    block_fill(&d, &p.blocks[1], &p);
    for (size_t i = 0; i < 40; i++) {
        ops[i] = (struct sv_op){.kind = i % 19 == 7 ? SV_OP_SCALE : SV_OP_APPLY,
                                .a = 0.75f,
                                .batch = &p.batches[0]};
        if (i % 13 == 5) {
            ops[i] =
                (struct sv_op){.kind = SV_OP_MIX, .rows = &p.blocks[i % 2]};
        }
    }
    state_copy(&naive, &p);
    sv_apply_naive(&naive, ops, 40);
    for (size_t t = 0; t < 4; t++) {
        state_copy(&s, &p);
        assert_int_equal(sv_apply_ops(f->x, &s, ops, 40, f->pools[t], &e), 0);
        assert_true(states_equal(&naive, &s));
        sv_state_fini(&s);
    }
    sv_state_fini(&naive);
    sv_rows_fini(&p.blocks[0]);
    sv_rows_fini(&p.blocks[1]);
    sv_state_fini(&p.start);
    sv_batch_fini(&p.batches[0]);
}

static void test_threads_give_the_bits_of_the_definition(void **state)
{
    static const struct form FORMS[] = {{false, true, 0, 8},
                                        {true, true, 40, 8},
                                        {true, true, 2, 8},
                                        {true, false, 10, 0},
                                        {false, false, 0, 0}};

    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        for (unsigned rule = 0; rule < SV_RULE_COUNT; rule++) {
            check_long(*state, FORMS[i], (enum sv_rule)rule);
        }
    }
}

/* More entries, and more pairs, than a run takes. */
static void test_calls_longer_than_a_run_are_cut(void **state)
{
    struct fixture *f = *state;
    struct dice d = {.seed = 78};
    struct problem p = {.K = 40, .J = 5, .rule = SV_ROWGRAD};
    struct sv_op ops[70];
    struct sv_state naive, s;
    struct err e;

    sv_batch_init(&p.batches[0], p.J, p.K);
    assert_int_equal(sv_state_init(&p.start, p.rule, EPS, p.K, p.J, &e), 0);
    for (unsigned form = 0; form < 4; form++) {
        struct form x = {form & 1, form & 2, 30, 80};
        size_t n_ops = form & 2 ? 70 : 4;
        batch_fill(&d, &p.batches[0], 1000, x);
        for (size_t i = 0; i < n_ops; i++) {
            ops[i] =
                (struct sv_op){.kind = SV_OP_APPLY, .batch = &p.batches[0]};
        }
        state_copy(&naive, &p);
        state_copy(&s, &p);
        sv_apply_naive(&naive, ops, n_ops);
        assert_int_equal(sv_apply_ops(f->x, &s, ops, n_ops, f->pools[2], &e),
                         0);
        assert_true(states_equal(&naive, &s));
        sv_state_fini(&s);
        sv_state_fini(&naive);
    }
    sv_state_fini(&p.start);
    sv_batch_fini(&p.batches[0]);
}

/* (W - W_0) x against the sum of coef v (u . x), in double. */
static void test_apply_means_a_sum_of_outer_products(void **state)
{
    struct fixture *f = *state;

    for (uint64_t seed = 0; seed < 4; seed++) {
        struct dice d = {.seed = seed};
        struct form form = {seed & 1, seed & 2, 30, 30};
        struct sv_batch b;
        struct sv_op op = {.kind = SV_OP_APPLY, .batch = &b};
        struct sv_state s;
        struct err e;
        double x[83], want[91] = {0};

        sv_batch_init(&b, 83, 91);
        batch_fill(&d, &b, 50, form);
        for (size_t j = 0; j < 83; j++) {
            x[j] = (double)number(&d);
        }
        assert_int_equal(sv_state_init(&s, SV_PLAIN, 0, 91, 83, &e), 0);
        assert_int_equal(sv_apply_ops(f->x, &s, &op, 1, f->pools[1], &e), 0);
        for (uint32_t r = 0; r < b.n; r++) {
            struct sv_vec u = sv_vecs_get(&b.u, r), v = sv_vecs_get(&b.v, r);
            double dot = 0;
            for (uint32_t i = 0; i < u.nnz; i++) {
                dot += (double)u.val[i] * x[u.idx == NULL ? i : u.idx[i]];
            }
            for (uint32_t i = 0; i < v.nnz; i++) {
                want[v.idx == NULL ? i : v.idx[i]] +=
                    (double)b.coef[r] * (double)v.val[i] * dot;
            }
        }
        for (size_t k = 0; k < 91; k++) {
            double got = 0;
            for (size_t j = 0; j < 83; j++) {
                got += (double)mat_row(&s.w, k)[j] * x[j];
            }
            assert_true(fabs(got - want[k]) < 1e-4);
        }
        sv_state_fini(&s);
        sv_batch_fini(&b);
    }
}

static void test_a_wrong_bit_is_seen(void **state)
{
    struct problem p;
    struct sv_state a, b;

    (void)state;
    problem_init(&p, 3);
    state_copy(&a, &p);
    state_copy(&b, &p);
    assert_true(states_equal(&a, &b));
    mat_row(&b.w, b.w.K - 1)[b.w.J - 1] = -mat_row(&a.w, b.w.K - 1)[b.w.J - 1];
    assert_false(states_equal(&a, &b));
    sv_state_fini(&a);
    sv_state_fini(&b);
    problem_fini(&p);
}

static void test_entries_that_are_not_listed_are_not_touched(void **state)
{
    struct fixture *f = *state;
    const uint32_t j = 1, k = 2;
    const float one = 1;
    struct sv_batch b;
    struct sv_op op = {.kind = SV_OP_APPLY, .batch = &b};
    struct sv_state s;
    struct err e;

    sv_batch_init(&b, 3, 4);
    sv_batch_reset(&b, true, true);
    assert_int_equal(sv_batch_append(&b, 1, (struct sv_vec){1, &j, &one},
                                     (struct sv_vec){1, &k, &one}, SV_NO_SAMPLE,
                                     &e),
                     0);
    assert_int_equal(sv_state_init(&s, SV_PLAIN, 0, 4, 3, &e), 0);
    for (size_t i = 0; i < 4; i++) {
        for (size_t c = 0; c < 3; c++) {
            mat_row(&s.w, i)[c] = -0.0f;
        }
    }
    assert_int_equal(sv_apply_ops(f->x, &s, &op, 1, NULL, &e), 0);
    for (size_t i = 0; i < 4; i++) {
        for (size_t c = 0; c < 3; c++) {
            bool touched = i == k && c == j;
            assert_true(touched ? mat_row(&s.w, i)[c] == 1
                                : signbit(mat_row(&s.w, i)[c]) != 0);
        }
    }
    sv_state_fini(&s);
    sv_batch_fini(&b);
}

static void test_no_ops_and_empty_batches_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct problem p;
    struct sv_state s;
    struct sv_batch empty;
    struct sv_op op = {.kind = SV_OP_APPLY, .batch = &empty};
    struct err e;

    problem_init(&p, 5);
    state_copy(&s, &p);
    sv_batch_init(&empty, p.J, p.K);
    assert_int_equal(sv_apply_ops(f->x, &s, NULL, 0, NULL, &e), 0);
    for (unsigned form = 0; form < 4; form++) {
        sv_batch_reset(&empty, form & 1, form & 2);
        assert_int_equal(sv_apply_ops(f->x, &s, &op, 1, f->pools[1], &e), 0);
    }
    assert_true(mats_equal(&s.w, &p.start.w));
    sv_batch_fini(&empty);
    sv_state_fini(&s);
    problem_fini(&p);
}

static void test_a_rule_that_divides_needs_eps(void **state)
{
    struct sv_state s;
    struct err e;

    (void)state;
    assert_int_equal(sv_state_init(&s, SV_ROWGRAD, 0, 2, 2, &e), ERR_INVALID);
    assert_string_equal(e.msg, "eps 0 of rowgrad: above 0 is needed");
    assert_int_equal(sv_state_init(&s, SV_ADAGRAD, NAN, 2, 2, &e), ERR_INVALID);
    assert_int_equal(sv_state_init(&s, SV_PLAIN, 0, 0, 2, &e), ERR_INVALID);
    assert_int_equal(sv_state_init(&s, SV_RULE_COUNT, 1, 2, 2, &e),
                     ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wrong_bit_is_seen),
        cmocka_unit_test(test_every_kernel_gives_the_bits_of_the_definition),
        cmocka_unit_test(test_threads_give_the_bits_of_the_definition),
        cmocka_unit_test(test_calls_longer_than_a_run_are_cut),
        cmocka_unit_test(test_apply_means_a_sum_of_outer_products),
        cmocka_unit_test(test_entries_that_are_not_listed_are_not_touched),
        cmocka_unit_test(test_no_ops_and_empty_batches_change_nothing),
        cmocka_unit_test(test_a_rule_that_divides_needs_eps),
    };
    return cmocka_run_group_tests_name("sv_apply", tests, fixture_init,
                                       fixture_fini);
}
