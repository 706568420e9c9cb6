#include "cli/span.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A number that ends where @end says. */
static bool number(const char *text, uint64_t *x, const char **end)
{
    char *stop;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    *x = strtoull(text, &stop, 10);
    *end = stop;
    return errno == 0;
}

int span_parse(struct span *s, const char *text, struct err *e)
{
    const char *at = text;
    uint64_t first = 0, last = 0;
    bool good = number(at, &first, &at);

    last = first;
    if (good && strncmp(at, "..", 2) == 0) {
        good = number(at + 2, &last, &at);
    }
    if (!good || *at != '\0' || last < first) {
        return err_set(e, ERR_INVALID,
                       "\"%s\": clocks are wanted, as in 310..320, or one",
                       text);
    }
    *s = (struct span){.first = first, .last = last};
    return 0;
}
