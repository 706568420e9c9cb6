#include "select/spec.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "select/fit.h"
#include "sv/batch.h"

static const struct {
    const char *name;
    char argument; /* Or 0. */
} KINDS[SELECT_KIND_COUNT] = {
    [SELECT_NONE] = {"none", 0},
    [SELECT_JCSS] = {"jcss", 'C'},
    [SELECT_JCSS_GREEDY] = {"jcss-greedy", 'C'},
    [SELECT_SVD] = {"svd", 'C'},
    [SELECT_ERROR] = {"error", 'E'},
    [SELECT_AUTO] = {"auto", 0},
};

static int unknown(const char *text, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "selection '%s': there are none, jcss:C, jcss-greedy:C, "
                   "svd:C, error:E and auto",
                   text);
}

static int parse_pairs(uint32_t *C, const char *text, struct err *e)
{
    uint64_t x = 0;
    const char *p = text;

    while (isdigit((unsigned char)*p) && x <= SV_N_MAX) {
        x = 10 * x + (uint64_t)(*p++ - '0');
    }
    if (p == text || *p != '\0' || x < 1 || x > SV_N_MAX) {
        return err_set(e, ERR_INVALID, "%s pairs to select: 1 to %u can be had",
                       text, SV_N_MAX);
    }
    *C = (uint32_t)x;
    return 0;
}

static int parse_error(double *error, const char *text, struct err *e)
{
    char *end;
    double x = strtod(text, &end);

    if (!isdigit((unsigned char)text[0]) && text[0] != '.') {
        end = NULL;
    }
    if (end == NULL || *end != '\0' || !(x >= SELECT_ERROR_FLOOR && x < 1)) {
        return err_set(e, ERR_INVALID,
                       "relative error of '%s': from %g (less is rounding) to "
                       "below 1 can be had",
                       text, SELECT_ERROR_FLOOR);
    }
    *error = x;
    return 0;
}

int select_spec_parse(struct select_spec *s, const char *text, struct err *e)
{
    size_t size = strcspn(text, ":");
    struct select_spec x = {0};
    int rc = 0;

    while (x.kind < SELECT_KIND_COUNT &&
           (strlen(KINDS[x.kind].name) != size ||
            memcmp(KINDS[x.kind].name, text, size) != 0)) {
        x.kind++;
    }
    if (x.kind == SELECT_KIND_COUNT ||
        (KINDS[x.kind].argument != 0) != (text[size] == ':')) {
        return unknown(text, e);
    }
    if (KINDS[x.kind].argument == 'C') {
        rc = parse_pairs(&x.C, text + size + 1, e);
    } else if (KINDS[x.kind].argument == 'E') {
        rc = parse_error(&x.error, text + size + 1, e);
    }
    if (rc != 0) {
        return err_wrap(e, rc, "selection '%s'", text);
    }
    *s = x;
    return 0;
}

void select_spec_format(const struct select_spec *s,
                        char text[SELECT_SPEC_SIZE])
{
    assert(s->kind < SELECT_KIND_COUNT);
    if (KINDS[s->kind].argument == 'C') {
        snprintf(text, SELECT_SPEC_SIZE, "%s:%u", KINDS[s->kind].name, s->C);
    } else if (KINDS[s->kind].argument == 'E') {
        snprintf(text, SELECT_SPEC_SIZE, "%s:%.17g", KINDS[s->kind].name,
                 s->error);
    } else {
        snprintf(text, SELECT_SPEC_SIZE, "%s", KINDS[s->kind].name);
    }
}
