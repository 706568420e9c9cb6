#include "ps/consistency.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOUNDED "bounded:"

int ps_consistency_parse(struct ps_consistency *c,
                         const char *text,
                         struct err *e)
{
    const char *digits = text + strlen(BOUNDED);
    struct ps_consistency made = {.kind = PS_SEQUENTIAL};
    char *end = NULL;

    if (strcmp(text, "sequential") == 0) {
        made.kind = PS_SEQUENTIAL;
    } else if (strcmp(text, "eventual") == 0) {
        made.kind = PS_EVENTUAL;
    } else if (strncmp(text, BOUNDED, strlen(BOUNDED)) == 0 &&
               isdigit((unsigned char)*digits)) {
        made.kind = PS_BOUNDED;
        made.delay = strtoull(digits, &end, 10);
    }
    if ((made.kind == PS_SEQUENTIAL && strcmp(text, "sequential") != 0) ||
        (end != NULL && *end != '\0') || made.delay > PS_DELAY_MAX) {
        return err_set(e, ERR_INVALID,
                       "consistency '%s': must be sequential, eventual, or "
                       "bounded:D with D up to %d",
                       text, PS_DELAY_MAX);
    }
    *c = made;
    return 0;
}

void ps_consistency_format(const struct ps_consistency *c,
                           char text[PS_CONSISTENCY_TEXT_SIZE])
{
    if (c->kind == PS_BOUNDED) {
        snprintf(text, PS_CONSISTENCY_TEXT_SIZE, BOUNDED "%llu",
                 (unsigned long long)c->delay);
    } else {
        snprintf(text, PS_CONSISTENCY_TEXT_SIZE, "%s",
                 c->kind == PS_SEQUENTIAL ? "sequential" : "eventual");
    }
}
