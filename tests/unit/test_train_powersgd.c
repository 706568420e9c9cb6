/* Unit tests of train/powersgd.h: peers that add up by hand. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/batches.h"
#include "tests/support/test.h"
#include "train/powersgd.h"

#define N_J 23
#define N_K 37
#define P   3

/* (K, J) in double. */
typedef double update[N_K][N_J];

static void add_pairs(update x, const struct sv_batch *b)
{
    for (uint32_t r = 0; r < b->n; r++) {
        struct sv_vec u = sv_vecs_get(&b->u, r), v = sv_vecs_get(&b->v, r);
        for (uint32_t i = 0; i < u.nnz; i++) {
            uint32_t j = u.idx == NULL ? i : u.idx[i];
            for (uint32_t q = 0; q < v.nnz; q++) {
                uint32_t k = v.idx == NULL ? q : v.idx[q];
                x[k][j] +=
                    (double)b->coef[r] * (double)u.val[i] * (double)v.val[q];
            }
        }
    }
}

static double norm(update x)
{
    double sum = 0;

    for (size_t k = 0; k < N_K; k++) {
        for (size_t j = 0; j < N_J; j++) {
            sum += x[k][j] * x[k][j];
        }
    }
    return sqrt(sum);
}

struct fixture {
    struct train_powersgd peers[P];
    struct sv_batch own[P], updates[P];
    uint32_t r;
    update given, applied; /* Sums over peers and clocks. */
};

static void begin(struct fixture *f, uint32_t r)
{
    memset(f, 0, sizeof *f);
    f->r = r;
    for (uint32_t p = 0; p < P; p++) {
        assert_int_equal(
            train_powersgd_init(&f->peers[p], N_K, N_J, r, P, 5, NULL), 0);
        sv_batch_init(&f->own[p], N_J, N_K);
        sv_batch_init(&f->updates[p], N_J, N_K);
    }
}

static void end(struct fixture *f)
{
    for (uint32_t p = 0; p < P; p++) {
        train_powersgd_fini(&f->peers[p]);
        sv_batch_fini(&f->own[p]);
        sv_batch_fini(&f->updates[p]);
    }
}

static void make(struct fixture *f, uint32_t n, bool v_sparse, uint64_t seed)
{
    for (uint32_t p = 0; p < P; p++) {
        struct shape s = {.n = n,
                          .J = N_J,
                          .K = N_K,
                          .v_sparse = v_sparse,
                          .values = RANDOM,
                          .seed = seed * P + p};
        sv_batch_fini(&f->own[p]);
        batches_make(&f->own[p], &s);
    }
}

/* One clock of all peers, with whatever is in f->own. */
static void play(struct fixture *f)
{
    float part[N_K > N_J ? N_K * N_K : N_J * N_J],
        sum[N_K > N_J ? N_K * N_K : N_J * N_J] = {0};

    for (uint32_t p = 0; p < P; p++) {
        add_pairs(f->given, &f->own[p]);
        assert_int_equal(
            train_powersgd_begin(&f->peers[p], &f->own[p], NULL, part, NULL),
            0);
        for (size_t i = 0; i < (size_t)N_K * f->r; i++) {
            sum[i] += part[i];
        }
    }
    for (uint32_t p = 0; p < P; p++) {
        static float q[P][N_K * N_K];
        train_powersgd_middle(&f->peers[p], sum, q[p]);
        if (p == P - 1) {
            memset(sum, 0, sizeof sum);
            for (size_t i = 0; i < (size_t)N_J * f->r; i++) {
                for (uint32_t x = 0; x < P; x++) {
                    sum[i] += q[x][i];
                }
            }
        }
    }
    for (uint32_t p = 0; p < P; p++) {
        assert_int_equal(
            train_powersgd_end(&f->peers[p], sum, &f->updates[p], NULL), 0);
    }
    add_pairs(f->applied, &f->updates[0]);
}

/* What was given, less what was applied. */
static double missing(const struct fixture *f)
{
    update d;

    for (size_t k = 0; k < N_K; k++) {
        for (size_t j = 0; j < N_J; j++) {
            d[k][j] = f->given[k][j] - f->applied[k][j];
        }
    }
    return norm(d);
}

static void an_update_of_that_rank_is_sent_whole(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f, 6);
    make(&f, 2, false, 1); /* Two pairs of each of three peers: rank 6. */
    play(&f);
    assert_true(norm(f.given) > 1);
    assert_true(missing(&f) < 1e-5 * norm(f.given));
    end(&f);
}

static void what_is_left_out_is_kept_as_error(void **state)
{
    static struct fixture f;
    update left = {{0}};

    (void)state;
    begin(&f, 2);
    for (uint64_t clock = 0; clock < 5; clock++) {
        make(&f, 7, clock % 2 == 0, clock);
        play(&f);
    }
    for (uint32_t p = 0; p < P; p++) {
        for (size_t k = 0; k < N_K; k++) {
            for (size_t j = 0; j < N_J; j++) {
                left[k][j] += (double)mat_row(&f.peers[p].sum.w, k)[j];
            }
        }
    }
    assert_true(missing(&f) > 0.1 * norm(f.given));
    for (size_t k = 0; k < N_K; k++) {
        for (size_t j = 0; j < N_J; j++) {
            assert_true(fabs(f.given[k][j] - f.applied[k][j] - left[k][j]) <
                        1e-4);
        }
    }
    end(&f);
}

static void the_error_is_sent_in_clocks_without_pairs(void **state)
{
    static struct fixture f;
    double before;

    (void)state;
    begin(&f, 2);
    make(&f, 4, false, 3);
    play(&f);
    before = missing(&f);
    for (uint32_t p = 0; p < P; p++) {
        sv_batch_reset(&f.own[p], false, false);
    }
    for (int i = 0; i < 12; i++) {
        play(&f);
    }
    assert_true(before > 0.1 * norm(f.given));
    assert_true(missing(&f) < 1e-4 * norm(f.given));
    end(&f);
}

static void all_peers_make_the_same_pairs(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f, 4);
    for (uint64_t clock = 0; clock < 3; clock++) {
        make(&f, 9, true, clock);
        play(&f);
        for (uint32_t p = 1; p < P; p++) {
            batches_assert_equal(&f.updates[0], &f.updates[p]);
        }
    }
    assert_int_equal(f.updates[0].n, 4);
    end(&f);
}

static void columns_of_v_are_orthonormal(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f, 5);
    make(&f, 9, false, 8);
    play(&f);
    for (uint32_t a = 0; a < 5; a++) {
        for (uint32_t b = 0; b <= a; b++) {
            const float *x = sv_vecs_get(&f.updates[0].v, a).val;
            const float *y = sv_vecs_get(&f.updates[0].v, b).val;
            double sum = 0;
            for (size_t k = 0; k < N_K; k++) {
                sum += (double)x[k] * (double)y[k];
            }
            assert_true(fabs(sum - (a == b)) < 1e-5);
        }
    }
    end(&f);
}

static void nothing_and_less_than_the_rank_are_no_exceptions(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f, 8);
    for (uint32_t p = 0; p < P; p++) {
        sv_batch_reset(&f.own[p], false, false);
    }
    play(&f); /* All zero: Q is zeros, and drawn anew. */
    assert_true(norm(f.applied) == 0);
    make(&f, 1, false, 4); /* Rank 3. */
    play(&f);
    assert_int_equal(sv_batch_find_not_finite(&f.updates[0]), 8);
    assert_true(missing(&f) < 1e-5 * norm(f.given));
    end(&f);
}

static void an_impossible_rank_is_refused(void **state)
{
    struct train_powersgd s;
    struct err e;

    (void)state;
    assert_int_equal(train_powersgd_init(&s, N_K, N_J, N_J + 1, P, 1, &e),
                     ERR_INVALID);
    train_powersgd_fini(&s);
    assert_int_equal(train_powersgd_init(&s, N_K, N_J, 0, P, 1, &e),
                     ERR_INVALID);
    train_powersgd_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_of_that_rank_is_sent_whole),
        cmocka_unit_test(what_is_left_out_is_kept_as_error),
        cmocka_unit_test(the_error_is_sent_in_clocks_without_pairs),
        cmocka_unit_test(all_peers_make_the_same_pairs),
        cmocka_unit_test(columns_of_v_are_orthonormal),
        cmocka_unit_test(nothing_and_less_than_the_rank_are_no_exceptions),
        cmocka_unit_test(an_impossible_rank_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
