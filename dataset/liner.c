#include "dataset/liner.h"

#include <string.h>

#define CHUNK_SIZE ((size_t)262144)

void dataset_liner_init(struct dataset_liner *l, struct dataset_input *in)
{
    memset(l, 0, sizeof *l);
    l->in = in;
}

void dataset_liner_fini(struct dataset_liner *l)
{
    buf_fini(&l->text);
}

/* Move what is left to the front and read on. The last line gets an end if it
 * has none. */
static int refill(struct dataset_liner *l, struct err *e)
{
    size_t left = l->text.size - l->at, n;
    void *to;
    int rc;

    if (left > 0) {
        memmove(l->text.data, l->text.data + l->at, left);
    }
    l->at = 0;
    l->text.size = left;
    to = buf_add(&l->text, CHUNK_SIZE);
    if (to == NULL) {
        return err_set(e, ERR_NOMEM, "a line of %zu bytes", left);
    }
    rc = dataset_input_read(l->in, to, CHUNK_SIZE, &n, e);
    if (rc != 0) {
        return rc;
    }
    l->text.size = left + n;
    l->ended = n < CHUNK_SIZE;
    if (l->ended && left + n > 0 && l->text.data[left + n - 1] != '\n') {
        buf_put(&l->text, "\n", 1);
    }
    return l->text.failed ? err_set(e, ERR_NOMEM, "a line of %zu bytes", left)
                          : 0;
}

static const char *find_end(const struct dataset_liner *l)
{
    return l->at == l->text.size
               ? NULL
               : memchr(l->text.data + l->at, '\n', l->text.size - l->at);
}

int dataset_liner_next(struct dataset_liner *l, struct err *e)
{
    const char *end;

    while ((end = find_end(l)) == NULL) {
        int rc = l->ended ? 0 : refill(l, e);
        if (rc != 0) {
            return err_wrap(e, rc, "behind line %llu",
                            (unsigned long long)l->line);
        }
        if (l->ended && l->at == l->text.size) {
            return 0;
        }
    }
    l->line++;
    l->p = (const char *)l->text.data + l->at;
    l->at = (size_t)(end + 1 - (const char *)l->text.data);
    if (end > l->p && end[-1] == '\r') {
        end--;
    }
    l->end = end;
    if (memchr(l->p, '\0', (size_t)(end - l->p)) != NULL) {
        return err_set(e, ERR_CORRUPT,
                       "line %llu: a zero byte: this is not text",
                       (unsigned long long)l->line);
    }
    return 1;
}

bool dataset_liner_is_row(const struct dataset_liner *l)
{
    const char *p = l->p;

    while (p < l->end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    return p < l->end;
}
