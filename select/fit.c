#include "select/fit.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RIDGE_FIRST 1e-7
#define RIDGE_LAST  1.0

static double h(const struct select_grams *g, uint32_t r, uint32_t s)
{
    size_t at = (size_t)r * g->n + s;

    return g->g1[at] * g->g2[at];
}

double select_zero(const struct select_grams *g)
{
    double most = 0;

    for (uint32_t r = 0; r < g->n; r++) {
        most = fmax(most, h(g, r, r));
    }
    return SELECT_ZERO * most;
}

/* Inner product of pair @r with the update. */
static double target(const struct select_grams *g, uint32_t r)
{
    double sum = 0;

    for (uint32_t s = 0; s < g->n; s++) {
        sum += h(g, r, s);
    }
    return sum;
}

/* Solve for @w with the diagonal times 1 + @ridge. Rows and columns are scaled
 * to a diagonal of ones, so that pairs of any size are treated alike. */
static int solve(const struct select_grams *g,
                 const uint32_t *index,
                 uint32_t m,
                 double ridge,
                 double *a,
                 double *w)
{
    int rc;

    for (uint32_t i = 0; i < m; i++) {
        double size = sqrt(h(g, index[i], index[i]));
        w[i] = size > 0 ? target(g, index[i]) / size : 0;
        for (uint32_t j = 0; j < i; j++) {
            double both = size * sqrt(h(g, index[j], index[j]));
            a[(size_t)i * m + j] =
                both > 0 ? h(g, index[i], index[j]) / both : 0;
        }
        a[(size_t)i * m + i] = 1 + ridge;
    }
    /* Row-major lower is column-major upper. */
    rc = LAPACKE_dposv(LAPACK_COL_MAJOR, 'U', (int)m, 1, a, (int)m, w, (int)m);
    for (uint32_t i = 0; i < m && rc == 0; i++) {
        double size = sqrt(h(g, index[i], index[i]));
        w[i] = size > 0 ? w[i] / size : 0;
    }
    return rc;
}

int select_fit(const struct select_grams *g,
               const uint32_t *index,
               uint32_t m,
               double *w,
               struct err *e)
{
    double ridge = 0;
    double *a;
    int rc;

    if (m == 0) {
        return 0;
    }
    a = malloc((size_t)m * m * sizeof *a);
    if (a == NULL) {
        return err_set(e, ERR_NOMEM, "weights of %u pairs", m);
    }
    while ((rc = solve(g, index, m, ridge, a, w)) != 0 && ridge < RIDGE_LAST) {
        ridge = ridge > 0 ? 10 * ridge : RIDGE_FIRST;
    }
    free(a);
    return rc == 0 ? 0
                   : err_set(e, ERR_NOT_FINITE,
                             "weights of %u pairs: inner products are not "
                             "finite",
                             m);
}

double select_error(const struct select_grams *g,
                    const uint32_t *index,
                    uint32_t m,
                    const double *w)
{
    double all = 0, left = 0;

    for (uint32_t r = 0; r < g->n; r++) {
        all += target(g, r);
    }
    if (!(all > 0)) {
        return 0;
    }
    left = all;
    for (uint32_t i = 0; i < m; i++) {
        double sum = 0;
        for (uint32_t j = 0; j < m; j++) {
            sum += w[j] * h(g, index[i], index[j]);
        }
        left += w[i] * (sum - 2 * target(g, index[i]));
    }
    return left > 0 ? sqrt(left / all) : 0;
}
