/* Unit tests of select/jcss.h: the same draws as a naive version that forms the
 * matrices and projects their columns. */

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "select/jcss.h"
#include "tests/support/test.h"

#define N_MAX 24
#define J_MAX 30
#define K_MAX 40

static uint64_t at;

static double number(void)
{
    return (double)(rng_u64(5, rng_stream(RNG_TEST, 0, 0), at++) >> 11) *
               0x1p-53 -
           0.4;
}

/* Pairs as they are, and what select_jcss() sees of them. */
struct pairs {
    uint32_t n, J, K;
    double u[N_MAX][J_MAX]; /* coef u. */
    double v[N_MAX][K_MAX];
    double g1[N_MAX * N_MAX], g2[N_MAX * N_MAX];
};

static struct select_grams grams(struct pairs *p)
{
    for (uint32_t r = 0; r < p->n; r++) {
        for (uint32_t s = 0; s < p->n; s++) {
            double a = 0, b = 0;
            for (uint32_t j = 0; j < p->J; j++) {
                a += p->u[r][j] * p->u[s][j];
            }
            for (uint32_t k = 0; k < p->K; k++) {
                b += p->v[r][k] * p->v[s][k];
            }
            p->g1[r * p->n + s] = a;
            p->g2[r * p->n + s] = b;
        }
    }
    return (struct select_grams){p->n, p->g1, p->g2};
}

static void fill(struct pairs *p, uint32_t n, uint32_t J, uint32_t K)
{
    memset(p, 0, sizeof *p);
    p->n = n;
    p->J = J;
    p->K = K;
    for (uint32_t r = 0; r < n; r++) {
        double size = exp(4 * number());
        for (uint32_t j = 0; j < J; j++) {
            p->u[r][j] = number() * size;
        }
        for (uint32_t k = 0; k < K; k++) {
            p->v[r][k] = number();
        }
    }
}

static void copy(struct pairs *p, uint32_t to, uint32_t from, double times)
{
    for (uint32_t j = 0; j < p->J; j++) {
        p->u[to][j] = times * p->u[from][j];
    }
    memcpy(p->v[to], p->v[from], sizeof p->v[to]);
}

/* --- The naive version. Rows of x are the columns that the text speaks of. */

static double norm2(const double *x, size_t len)
{
    double sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += x[i] * x[i];
    }
    return sum;
}

/* Project row @p of @x out of all rows. */
static void
project_naive(double *x, uint32_t n, size_t len, size_t ld, uint32_t p)
{
    static double q[J_MAX * K_MAX];
    double size = sqrt(norm2(x + p * ld, len));

    if (!(size > 0)) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        q[i] = x[p * ld + i] / size;
    }
    for (uint32_t r = 0; r < n; r++) {
        double *row = x + r * ld, dot = 0, before = norm2(row, len);
        for (size_t i = 0; i < len; i++) {
            dot += q[i] * row[i];
        }
        for (size_t i = 0; i < len; i++) {
            row[i] -= dot * q[i];
        }
        if (norm2(row, len) <= 1e-20 * before) {
            memset(row, 0, len * sizeof *row);
        }
    }
}

struct naive {
    struct pairs p;
    double outer[N_MAX][J_MAX * K_MAX];
    double u0[N_MAX], v0[N_MAX], h0[N_MAX];
    uint32_t index[N_MAX], n_chosen;
};

static void naive_begin(struct naive *x, const struct pairs *p)
{
    x->p = *p;
    x->n_chosen = 0;
    for (uint32_t r = 0; r < p->n; r++) {
        x->u0[r] = norm2(p->u[r], p->J);
        x->v0[r] = norm2(p->v[r], p->K);
        x->h0[r] = x->u0[r] * x->v0[r];
        if (x->h0[r] == 0) {
            memset(x->p.u[r], 0, sizeof x->p.u[r]);
            memset(x->p.v[r], 0, sizeof x->p.v[r]);
            x->u0[r] = x->v0[r] = 0;
        }
        for (uint32_t j = 0; j < p->J; j++) {
            for (uint32_t k = 0; k < p->K; k++) {
                x->outer[r][j * p->K + k] = p->u[r][j] * p->v[r][k];
            }
        }
    }
}

static double share(const double *x, size_t len, double whole, double total)
{
    double left = norm2(x, len);

    return left > SELECT_JCSS_SPANNED * whole ? left / total : 0;
}

static double naive_scores(struct naive *x, double *score)
{
    const struct pairs *p = &x->p;
    double u_all = 0, v_all = 0, h_all = 0, sum = 0;

    for (uint32_t r = 0; r < p->n; r++) {
        u_all += x->u0[r];
        v_all += x->v0[r];
        h_all += x->h0[r];
    }
    for (uint32_t r = 0; r < p->n; r++) {
        score[r] = share(p->u[r], p->J, x->u0[r], u_all) +
                   share(p->v[r], p->K, x->v0[r], v_all);
        sum += score[r];
    }
    for (uint32_t r = 0; r < p->n && !(sum > 0); r++) {
        score[r] = 0;
    }
    if (sum > 0 || !(h_all > 0)) {
        return sum;
    }
    for (uint32_t r = 0; r < p->n; r++) {
        score[r] = share(x->outer[r], (size_t)p->J * p->K, x->h0[r], h_all);
        sum += score[r];
    }
    return sum;
}

static void jcss_naive(struct naive *x,
                       const struct pairs *p,
                       const struct select_jcss_options *o)
{
    double score[N_MAX], sum;

    naive_begin(x, p);
    while (x->n_chosen < o->C && (sum = naive_scores(x, score)) > 0) {
        double draw = (double)(rng_u64(o->seed, o->stream, x->n_chosen) >> 11) *
                      0x1p-53 * sum;
        uint32_t best = 0;
        while (!o->greedy && best < p->n - 1 && draw >= score[best]) {
            draw -= score[best++];
        }
        for (uint32_t r = 0; o->greedy && r < p->n; r++) {
            best = score[r] > score[best] ? r : best;
        }
        x->index[x->n_chosen++] = best;
        project_naive(x->p.u[0], p->n, p->J, J_MAX, best);
        project_naive(x->p.v[0], p->n, p->K, K_MAX, best);
        project_naive(x->outer[0], p->n, (size_t)p->J * p->K, J_MAX * K_MAX,
                      best);
    }
}

/* --- */

static void same_as_naive(struct pairs *p, uint32_t C, bool greedy)
{
    static struct naive x;
    uint32_t index[N_MAX], n_chosen;
    struct select_grams g = grams(p);
    struct select_jcss_options o = {
        .C = C, .greedy = greedy, .seed = at, .stream = 8};
    struct err e;

    jcss_naive(&x, p, &o);
    assert_int_equal(select_jcss(&g, &o, index, &n_chosen, &e), 0);
    assert_int_equal(n_chosen, x.n_chosen);
    for (uint32_t i = 0; i < n_chosen; i++) {
        if (index[i] != x.index[i]) {
            fail_msg("n %u J %u K %u C %u: pair %u is %u, not %u", p->n, p->J,
                     p->K, C, i, index[i], x.index[i]);
        }
    }
}

static void test_draws_are_those_of_projected_matrices(void **state)
{
    static struct pairs p;

    (void)state;
    for (uint32_t i = 0; i < 60; i++) {
        fill(&p, 1 + i % N_MAX, 2 + i * 7 % (J_MAX - 1),
             2 + i * 11 % (K_MAX - 1));
        same_as_naive(&p, 1 + i % 9, false);
        same_as_naive(&p, 1 + i % 9, true);
    }
}

static void test_zeros_and_duplicates_are_as_in_projected_matrices(void **state)
{
    static struct pairs p;

    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        fill(&p, N_MAX, 9 + i, 17);
        copy(&p, 3, 9, 1);
        copy(&p, 4, 9, -2.5);
        memset(p.u[7], 0, sizeof p.u[7]);
        memset(p.v[8], 0, sizeof p.v[8]);
        same_as_naive(&p, N_MAX, false);
        same_as_naive(&p, N_MAX / 2, false);
    }
}

static bool chosen(const uint32_t *index, uint32_t n, uint32_t r)
{
    for (uint32_t i = 0; i < n; i++) {
        if (index[i] == r) {
            return true;
        }
    }
    return false;
}

static void test_one_of_equal_pairs_is_enough(void **state)
{
    static struct pairs p;
    struct select_jcss_options o = {.C = 100, .seed = 2};
    uint32_t index[N_MAX], n_chosen;
    struct select_grams g;
    struct err e;

    (void)state;
    fill(&p, 9, J_MAX, K_MAX);
    copy(&p, 1, 0, 1);
    copy(&p, 5, 4, -3);
    memset(p.v[7], 0, sizeof p.v[7]);
    g = grams(&p);
    assert_int_equal(select_jcss(&g, &o, index, &n_chosen, &e), 0);
    assert_int_equal(n_chosen, 6);
    assert_true(chosen(index, 6, 0) != chosen(index, 6, 1));
    assert_true(chosen(index, 6, 4) != chosen(index, 6, 5));
    assert_false(chosen(index, 6, 7));
}

/* (u1, v1), (u2, v2) and (u1 + u2, v1 + v2) are three updates of two vectors on
 * each side. */
static void test_spanned_sides_do_not_hide_an_update(void **state)
{
    static struct pairs p;
    uint32_t index[N_MAX], n_chosen;
    struct select_jcss_options o = {.C = N_MAX, .seed = 4};
    struct select_grams g;
    struct err e;

    (void)state;
    fill(&p, N_MAX, 3, 2);
    g = grams(&p);
    assert_int_equal(select_jcss(&g, &o, index, &n_chosen, &e), 0);
    assert_int_equal(n_chosen, 6); /* The dimension of what updates span. */
    same_as_naive(&p, 4, false);
    same_as_naive(&p, 5, true);
}

static void test_least_key_wins_a_tie(void **state)
{
    static struct pairs p;
    uint64_t key[3] = {7, 5, 6};
    uint32_t index[3], n_chosen;
    struct select_jcss_options o = {.C = 1, .greedy = true, .key = key};
    struct select_grams g;
    struct err e;

    (void)state;
    fill(&p, 3, 3, 3);
    for (uint32_t r = 0; r < 3; r++) {
        memset(p.u[r], 0, sizeof p.u[r]);
        memset(p.v[r], 0, sizeof p.v[r]);
        p.u[r][r] = 1 + 1e-8 * r;
        p.v[r][r] = 1;
    }
    g = grams(&p);
    assert_int_equal(select_jcss(&g, &o, index, &n_chosen, &e), 0);
    assert_int_equal(index[0], 1);
    o.key = NULL;
    assert_int_equal(select_jcss(&g, &o, index, &n_chosen, &e), 0);
    assert_int_equal(index[0], 0);
}

static void test_choosing_stops_at_the_error_asked_for(void **state)
{
    static struct pairs p;
    uint32_t index[N_MAX], n_chosen, before = 0;
    struct select_jcss_options o = {.C = N_MAX, .greedy = true};
    struct select_grams g;
    struct err e;

    (void)state;
    fill(&p, N_MAX, 12, 12);
    g = grams(&p);
    for (int i = 1; i < 10; i++) {
        double w[N_MAX];
        o.error_max = 1 - 0.1 * i;
        assert_int_equal(select_jcss(&g, &o, index, &n_chosen, &e), 0);
        assert_true(n_chosen >= before);
        assert_int_equal(select_fit(&g, index, n_chosen, w, &e), 0);
        assert_true(select_error(&g, index, n_chosen, w) <= o.error_max + 1e-9);
        if (n_chosen > 1) { /* One pair fewer is not enough. */
            n_chosen--;
            assert_int_equal(select_fit(&g, index, n_chosen, w, &e), 0);
            assert_true(select_error(&g, index, n_chosen, w) > o.error_max);
            n_chosen++;
        }
        before = n_chosen;
    }
}

static void test_nothing_is_chosen_from_nothing(void **state)
{
    static struct pairs p;
    uint32_t index[N_MAX], n_chosen = 9;
    struct select_jcss_options o = {.C = 5, .error_max = 0.5};
    struct select_grams g;
    struct err e;

    (void)state;
    fill(&p, 0, 3, 3);
    g = grams(&p);
    assert_int_equal(select_jcss(&g, &o, index, &n_chosen, &e), 0);
    assert_int_equal(n_chosen, 0);
    fill(&p, 4, 3, 3);
    memset(p.u, 0, sizeof p.u);
    g = grams(&p);
    o.error_max = 0;
    assert_int_equal(select_jcss(&g, &o, index, &n_chosen, &e), 0);
    assert_int_equal(n_chosen, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_are_those_of_projected_matrices),
        cmocka_unit_test(
            test_zeros_and_duplicates_are_as_in_projected_matrices),
        cmocka_unit_test(test_one_of_equal_pairs_is_enough),
        cmocka_unit_test(test_spanned_sides_do_not_hide_an_update),
        cmocka_unit_test(test_least_key_wins_a_tie),
        cmocka_unit_test(test_choosing_stops_at_the_error_asked_for),
        cmocka_unit_test(test_nothing_is_chosen_from_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
