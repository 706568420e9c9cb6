#include "dataset/names.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define SLOTS_MIN      64
#define INT_DIGITS_MAX 18 /* Longer ones are names: they may not fit. */

void dataset_names_fini(struct dataset_names *s)
{
    free(s->at);
    free(s->slot);
    buf_fini(&s->text);
    memset(s, 0, sizeof *s);
}

void dataset_names_reset(struct dataset_names *s)
{
    s->n = 0;
    buf_reset(&s->text);
    for (size_t i = 0; i < s->n_slots; i++) {
        s->slot[i] = NAMES_NONE;
    }
}

const char *dataset_names_get(const struct dataset_names *s, uint32_t id)
{
    assert(id < s->n);
    return (const char *)s->text.data + s->at[id];
}

/* The slot where the name is, or where it belongs. */
static size_t
probe(const struct dataset_names *s, const char *name, size_t size)
{
    size_t i = hash64(name, size) & (s->n_slots - 1);

    for (; s->slot[i] != NAMES_NONE; i = (i + 1) & (s->n_slots - 1)) {
        const char *have = dataset_names_get(s, s->slot[i]);
        if (strncmp(have, name, size) == 0 && have[size] == '\0') {
            break;
        }
    }
    return i;
}

uint32_t
dataset_names_find(const struct dataset_names *s, const char *name, size_t size)
{
    return s->n_slots == 0 ? NAMES_NONE : s->slot[probe(s, name, size)];
}

/* Room for one more name: at most half of the slots are used. */
static int grow(struct dataset_names *s)
{
    size_t n_slots = s->n_slots == 0 ? SLOTS_MIN : s->n_slots * 2;
    uint32_t *slot = malloc(n_slots * sizeof *slot);
    size_t *at = realloc(s->at, n_slots / 2 * sizeof *at);

    if (at != NULL) {
        s->at = at;
    }
    if (slot == NULL || at == NULL) {
        free(slot);
        return ERR_NOMEM;
    }
    free(s->slot);
    s->slot = slot;
    s->n_slots = n_slots;
    memset(slot, 0xff, n_slots * sizeof *slot);
    for (uint32_t id = 0; id < s->n; id++) {
        const char *name = dataset_names_get(s, id);
        slot[probe(s, name, strlen(name))] = id;
    }
    return 0;
}

int dataset_names_add(struct dataset_names *s,
                      const char *name,
                      size_t size,
                      uint32_t *id)
{
    size_t i, at = s->text.size;

    *id = dataset_names_find(s, name, size);
    if (*id != NAMES_NONE) {
        return 0;
    }
    if (s->n == NAMES_NONE ||
        ((size_t)s->n + 1 > s->n_slots / 2 && grow(s) != 0)) {
        return ERR_NOMEM;
    }
    i = probe(s, name, size);
    buf_put(&s->text, name, size);
    buf_put(&s->text, "", 1);
    if (s->text.failed) {
        return ERR_NOMEM;
    }
    s->at[s->n] = at;
    s->slot[i] = *id = s->n++;
    return 0;
}

struct entry {
    const char *name;
    int64_t number;
    uint32_t id;
};

static bool parse_int(const char *s, int64_t *x)
{
    size_t sign = *s == '-' ? 1 : 0;
    size_t n = strlen(s + sign);

    if (n == 0 || n > INT_DIGITS_MAX || strspn(s + sign, "0123456789") != n) {
        return false;
    }
    *x = strtoll(s, NULL, 10);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* "01" and "1" are one number and two names. */
static int by_number(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->number != y->number) {
        return x->number < y->number ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

int dataset_names_sort(const struct dataset_names *s,
                       uint32_t *order,
                       struct err *e)
{
    struct entry *v = calloc((size_t)s->n + 1, sizeof *v);
    bool numbers = true;

    if (v == NULL) {
        return err_set(e, ERR_NOMEM, "%u classes", s->n);
    }
    for (uint32_t id = 0; id < s->n; id++) {
        v[id].name = dataset_names_get(s, id);
        v[id].id = id;
        numbers = numbers && parse_int(v[id].name, &v[id].number);
    }
    qsort(v, s->n, sizeof *v, numbers ? by_number : by_name);
    for (uint32_t i = 0; i < s->n; i++) {
        order[i] = v[i].id;
    }
    free(v);
    return 0;
}
