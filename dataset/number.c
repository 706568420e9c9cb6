#include "dataset/number.h"

#include <float.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 19 /* Any so many digits fit in 64 bits. */

static const float POW10F[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f,
                               1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
static const double POW10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* w * 10^e10, as it stands in the text. */
struct decimal {
    uint64_t w;
    int e10;
    unsigned n_digits; /* Zeros in front included; w is right up to 19. */
    bool negative;
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

static const char *scan_digits(const char *p, struct decimal *d)
{
    const char *begin = p;

    for (; is_digit(*p); p++) {
        d->w = d->w * 10 + (uint64_t)(*p - '0');
    }
    d->n_digits += (unsigned)(p - begin);
    return p;
}

/* "e-3" at @p; without a digit it is not an exponent. */
static const char *scan_exponent(const char *p, struct decimal *d)
{
    const char *q = p + 1;
    bool negative = *q == '-';
    int x = 0;

    if (*q == '-' || *q == '+') {
        q++;
    }
    if (!is_digit(*q)) {
        return p;
    }
    for (; is_digit(*q); q++) {
        x = x < 100000 ? x * 10 + (*q - '0') : x;
    }
    d->e10 += negative ? -x : x;
    return q;
}

/* Returns where the number ends, or NULL. */
static const char *scan(const char *p, struct decimal *d)
{
    *d = (struct decimal){.negative = *p == '-'};
    if (*p == '-' || *p == '+') {
        p++;
    }
    p = scan_digits(p, d);
    if (*p == '.') {
        const char *fraction = p + 1;
        p = scan_digits(fraction, d);
        d->e10 = -(int)(p - fraction);
    }
    if (d->n_digits == 0) {
        return NULL;
    }
    return *p == 'e' || *p == 'E' ? scan_exponent(p, d) : p;
}

/* Both operands are exact, so the one operation rounds correctly. */
static bool round_f32(const struct decimal *d, float *x)
{
    if (d->w >= 1u << 24 || d->e10 < -10 || d->e10 > 10) {
        return false;
    }
    *x = d->e10 < 0 ? (float)d->w / POW10F[-d->e10]
                    : (float)d->w * POW10F[d->e10];
    return true;
}

/* Rounding to double and then to float is right unless the double lies exactly
 * halfway between two floats: it may have been rounded to there. */
static bool round_f64(const struct decimal *d, float *x)
{
    uint64_t bits;
    double y;

    if (d->w >= (uint64_t)1 << 53 || d->e10 < -22 || d->e10 > 22) {
        return false;
    }
    y = d->e10 < 0 ? (double)d->w / POW10[-d->e10]
                   : (double)d->w * POW10[d->e10];
    memcpy(&bits, &y, sizeof bits);
    if ((bits & 0x1fffffff) == 0x10000000 || y < (double)FLT_MIN ||
        y > (double)FLT_MAX) {
        return false;
    }
    *x = (float)y;
    return true;
}

static float round_hard(const char *p)
{
    /* The process may have set a locale with another decimal point. The "C"
     * locale is static: nothing is allocated. */
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return strtof_l(p, NULL, c);
}

bool dataset_parse_f32(const char **p, float *x)
{
    struct decimal d;
    const char *end = scan(*p, &d);

    if (end == NULL) {
        return false;
    }
    if (d.n_digits <= DIGITS_MAX && (round_f32(&d, x) || round_f64(&d, x))) {
        *x = d.negative ? -*x : *x;
    } else {
        *x = round_hard(*p);
    }
    *p = end;
    return true;
}

bool dataset_parse_u64(const char **p, uint64_t *x)
{
    struct decimal d = {0};
    const char *end = scan_digits(*p, &d);

    if (end == *p) {
        return false;
    }
    *x = d.n_digits <= DIGITS_MAX ? d.w : UINT64_MAX;
    *p = end;
    return true;
}
