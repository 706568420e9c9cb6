/* How pairs are selected, as text and as numbers:
 *
 *     none            all pairs
 *     jcss:C          C pairs drawn by their residuals, and weighted
 *     jcss-greedy:C   C pairs, the largest residual each time, and weighted
 *     svd:C           the best C pairs there are, dense
 *     error:E         as few as leave a relative error of E at most, greedy
 *     auto            whatever costs least: for those who know the costs
 */

#ifndef SELECT_SPEC_H_
#define SELECT_SPEC_H_

#include <stdint.h>

#include "core/err.h"

#define SELECT_SPEC_SIZE 64 /* Bytes of the text, with the final zero. */

enum select_kind {
    SELECT_NONE = 0,
    SELECT_JCSS,
    SELECT_JCSS_GREEDY,
    SELECT_SVD,
    SELECT_ERROR,
    SELECT_AUTO,
    SELECT_KIND_COUNT
};

struct select_spec {
    enum select_kind kind;
    uint32_t C;        /* jcss, jcss-greedy, svd: 1 to SV_N_MAX. */
    double error;      /* error: from SELECT_ERROR_FLOOR, below 1. */
    uint32_t feedback; /* svd: pairs carried. No part of the text: 0. */
};

/* Errors: ERR_INVALID  the message says what there is. @s is unchanged. */
int select_spec_parse(struct select_spec *s, const char *text, struct err *e);

/* Write what select_spec_parse() reads. */
void select_spec_format(const struct select_spec *s,
                        char text[SELECT_SPEC_SIZE]);

#endif /* SELECT_SPEC_H_ */
