#include "select/jcss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

#define TIE 1e-5

/* A Cholesky decomposition in the making: G = L L^T + residual. */
struct side {
    const double *a, *b; /* (n, n): G is a, or a o b. */
    uint32_t n;
    uint32_t rank; /* Columns of L. */
    double *l;     /* (rank, n), column by column. */
    double *d;     /* (n) diagonal of the residual. */
    double *d0;    /* (n) diagonal of G. */
    double total;  /* Sum of d0. */
    double unit;   /* 1 / total, or 0. */
};

struct jcss {
    const struct select_grams *g;
    const struct select_jcss_options *o;
    uint32_t *index;
    uint32_t n_chosen;
    struct side u, v, pairs; /* pairs: H, of which n_followed are projected. */
    uint32_t n_followed;
    double *score;  /* (n). */
    double update2; /* Squared norm of the update, and what is left of it */
    double left2;   /* behind the pairs that H has followed. */
    double *z;      /* (C) the update in the orthogonal basis of the chosen. */
};

static double side_entry(const struct side *s, size_t at)
{
    return s->b == NULL ? s->a[at] : s->a[at] * s->b[at];
}

static int side_init(struct side *s,
                     const double *a,
                     const double *b,
                     const struct select_grams *g,
                     uint32_t C)
{
    const double zero = select_zero(g);

    *s = (struct side){.a = a, .b = b, .n = g->n};
    s->l = malloc(((size_t)C + 2) * g->n * sizeof *s->l);
    if (s->l == NULL) {
        return ERR_NOMEM;
    }
    s->d = s->l + (size_t)C * g->n;
    s->d0 = s->d + g->n;
    for (uint32_t r = 0; r < g->n; r++) {
        size_t at = (size_t)r * g->n + r;
        bool counts = g->g1[at] * g->g2[at] > zero;
        s->d[r] = s->d0[r] = counts ? side_entry(s, at) : 0;
        s->total += s->d0[r];
    }
    s->unit = s->total > 0 ? 1 / s->total : 0;
    return 0;
}

/* Project vector @p out of all of them. False if it is spanned already. */
static bool side_project(struct side *s, uint32_t p)
{
    double *col = s->l + (size_t)s->rank * s->n;
    double root;

    if (!(s->d[p] > 0)) {
        return false;
    }
    root = 1 / sqrt(s->d[p]);
    for (uint32_t r = 0; r < s->n; r++) {
        col[r] = side_entry(s, (size_t)p * s->n + r);
    }
    for (uint32_t t = 0; t < s->rank; t++) {
        const double *l = s->l + (size_t)t * s->n;
        double a = l[p];
        for (uint32_t r = 0; r < s->n; r++) {
            col[r] -= a * l[r];
        }
    }
    for (uint32_t r = 0; r < s->n; r++) {
        col[r] *= root;
        s->d[r] -= col[r] * col[r];
        if (s->d[r] <= SELECT_JCSS_SPANNED * s->d0[r]) {
            s->d[r] = 0;
        }
    }
    s->d[p] = 0;
    s->rank++;
    return true;
}

static double update_with(const struct side *pairs, uint32_t p)
{
    double sum = 0;

    for (uint32_t r = 0; r < pairs->n; r++) {
        sum += side_entry(pairs, (size_t)p * pairs->n + r);
    }
    return sum;
}

/* Bring H up to the pairs that are chosen, and know the error that is left. */
static void follow(struct jcss *j)
{
    struct side *s = &j->pairs;

    for (; j->n_followed < j->n_chosen; j->n_followed++) {
        uint32_t p = j->index[j->n_followed], t = s->rank;
        double z = update_with(s, p), pivot = s->d[p];
        if (!side_project(s, p)) {
            continue;
        }
        for (uint32_t i = 0; i < t; i++) {
            z -= s->l[(size_t)i * s->n + p] * j->z[i];
        }
        j->z[t] = z / sqrt(pivot);
        j->left2 -= j->z[t] * j->z[t];
    }
}

/* Fill in the scores of a step. Return their sum. */
static double score(struct jcss *j)
{
    const uint32_t n = j->g->n;
    double sum = 0;

    for (uint32_t r = 0; r < n; r++) {
        j->score[r] = j->u.d[r] * j->u.unit + j->v.d[r] * j->v.unit;
        sum += j->score[r];
    }
    if (sum > 0) {
        return sum;
    }
    follow(j);
    for (uint32_t r = 0; r < n; r++) {
        j->score[r] = j->pairs.d[r] * j->pairs.unit;
        sum += j->score[r];
    }
    return sum;
}

static uint32_t drawn(const struct jcss *j, double sum)
{
    uint64_t bits = rng_u64(j->o->seed, j->o->stream, j->n_chosen);
    double x = (double)(bits >> 11) * 0x1p-53 * sum;
    uint32_t last = 0;

    for (uint32_t r = 0; r < j->g->n; r++) {
        if (j->score[r] > 0) {
            x -= j->score[r];
            last = r;
            if (x < 0) {
                break;
            }
        }
    }
    return last; /* Rounding may leave x at zero behind the last. */
}

static uint32_t largest(const struct jcss *j)
{
    const uint64_t *key = j->o->key;
    double most = 0;
    uint32_t best = UINT32_MAX;

    for (uint32_t r = 0; r < j->g->n; r++) {
        most = j->score[r] > most ? j->score[r] : most;
    }
    for (uint32_t r = 0; r < j->g->n; r++) {
        if (j->score[r] >= most * (1 - TIE) &&
            (best == UINT32_MAX || (key != NULL && key[r] < key[best]))) {
            best = r;
        }
    }
    return best;
}

/* A chosen pair is spanned by itself. */
static void choose(struct jcss *j, uint32_t p)
{
    side_project(&j->u, p);
    side_project(&j->v, p);
    j->index[j->n_chosen++] = p;
    if (j->o->error_max > 0) {
        follow(j);
    }
}

static bool good_enough(const struct jcss *j)
{
    double error = j->o->error_max;

    return error > 0 && j->left2 <= error * error * j->update2;
}

static int jcss_init(struct jcss *j, uint32_t C)
{
    const struct select_grams *g = j->g;

    j->z = malloc(((size_t)C + g->n) * sizeof *j->z);
    if (j->z == NULL || side_init(&j->u, g->g1, NULL, g, C) != 0 ||
        side_init(&j->v, g->g2, NULL, g, C) != 0 ||
        side_init(&j->pairs, g->g1, g->g2, g, C) != 0) {
        return ERR_NOMEM;
    }
    j->score = j->z + C;
    for (uint32_t r = 0; r < g->n; r++) {
        j->update2 += update_with(&j->pairs, r);
    }
    j->left2 = j->update2;
    return 0;
}

static void jcss_fini(struct jcss *j)
{
    free(j->u.l);
    free(j->v.l);
    free(j->pairs.l);
    free(j->z);
}

int select_jcss(const struct select_grams *g,
                const struct select_jcss_options *o,
                uint32_t *index,
                uint32_t *n_chosen,
                struct err *e)
{
    uint32_t C = o->C < g->n ? o->C : g->n;
    struct jcss j = {.g = g, .o = o, .index = index};
    int rc = jcss_init(&j, C);
    double sum;

    if (rc != 0) {
        jcss_fini(&j);
        return err_set(e, rc, "choose %u of %u pairs", C, g->n);
    }
    while (j.n_chosen < C && !good_enough(&j) && (sum = score(&j)) > 0) {
        choose(&j, o->greedy ? largest(&j) : drawn(&j, sum));
    }
    *n_chosen = j.n_chosen;
    jcss_fini(&j);
    return 0;
}
