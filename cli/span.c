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

int span_batches_parse(struct span_batches *b, const char *text, struct err *e)
{
    struct span_batches out = {.peer = -1, .clocks = {0, UINT64_MAX}};
    bool good = *text != '\0', peer = false, clock = false;
    const char *at = text;
    uint64_t x;

    while (good && *at != '\0') {
        char clocks[48];
        size_t n = strcspn(at, ",");
        if (!peer && strncmp(at, "peer=", 5) == 0) {
            const char *end;
            peer = good =
                number(at + 5, &x, &end) && end == at + n && x <= UINT32_MAX;
            out.peer = good ? (int64_t)x : -1;
        } else if (!clock && strncmp(at, "clock=", 6) == 0 &&
                   n - 6 < sizeof clocks) {
            memcpy(clocks, at + 6, n - 6);
            clocks[n - 6] = '\0';
            clock = good = span_parse(&out.clocks, clocks, NULL) == 0;
        } else {
            good = false;
        }
        at += n;
        good = good && (*at == '\0' || at[1] != '\0');
        at += *at == ',';
    }
    if (!good) {
        return err_set(e, ERR_INVALID,
                       "\"%s\": peer=P, clock=A..B or peer=P,clock=A..B is "
                       "wanted",
                       text);
    }
    *b = out;
    return 0;
}

int span_list_parse(struct span_list *list,
                    const struct opt_list *texts,
                    struct err *e)
{
    int rc = 0;

    list->n = 0;
    for (size_t i = 0; rc == 0 && i < texts->n; i++) {
        rc = span_batches_parse(&list->at[i], texts->item[i], e);
        list->n += rc == 0;
    }
    return rc;
}

bool span_list_has(void *list, uint64_t clock, const struct ckpt_op *op)
{
    const struct span_list *x = list;

    (void)clock;
    for (size_t i = 0; op->kind == SV_OP_APPLY && i < x->n; i++) {
        const struct span_batches *b = &x->at[i];
        if ((b->peer < 0 || b->peer == (int64_t)op->origin) &&
            op->clock >= b->clocks.first && op->clock <= b->clocks.last) {
            return true;
        }
    }
    return false;
}

uint64_t span_list_first(const struct span_list *list)
{
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].clocks.first < first) {
            first = list->at[i].clocks.first;
        }
    }
    return first;
}
