#include "report/thin.h"

#include <assert.h>
#include <math.h>

#define NONE ((size_t)-1)

/* What stays of a part: indices, NONE if there is none such. */
struct part {
    size_t least, greatest, missing;
};

static struct part look(const double *y, size_t from, size_t to)
{
    struct part p = {NONE, NONE, NONE};

    for (size_t i = from; i < to; i++) {
        if (isnan(y[i])) {
            p.missing = i;
        } else if (p.least == NONE) {
            p.least = p.greatest = i;
        } else {
            p.least = y[i] < y[p.least] ? i : p.least;
            p.greatest = y[i] > y[p.greatest] ? i : p.greatest;
        }
    }
    return p;
}

/* Add @i, if it is one, in ascending order and once. */
static void add(size_t *keep, size_t *n, size_t i)
{
    size_t at = *n;

    if (i == NONE) {
        return;
    }
    while (at > 0 && keep[at - 1] > i) {
        at--;
    }
    if (at > 0 && keep[at - 1] == i) {
        return;
    }
    for (size_t k = *n; k > at; k--) {
        keep[k] = keep[k - 1];
    }
    keep[at] = i;
    (*n)++;
}

size_t report_thin(const double *y, size_t n, size_t max, size_t *keep)
{
    const size_t parts = (max - 2) / 3; /* First and last are extra. */
    size_t kept = 0;

    assert(max >= REPORT_THIN_MIN);
    if (n <= max) {
        for (size_t i = 0; i < n; i++) {
            keep[i] = i;
        }
        return n;
    }
    add(keep, &kept, 0);
    for (size_t i = 0; i < parts; i++) {
        /* n < 2^44 and parts < 2^20: no overflow. */
        struct part p = look(y, n * i / parts, n * (i + 1) / parts);
        add(keep, &kept, p.least);
        add(keep, &kept, p.greatest);
        add(keep, &kept, p.missing);
    }
    add(keep, &kept, n - 1);
    return kept;
}
