#include "dataset/featurize.h"

#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "dataset/unicode.h"

#define TEXT_SIZE_MAX   ((size_t)1 << 28) /* Offsets fit in 32 bits. */
#define INSERTION_N_MAX 24                /* Fewer are sorted one by one. */

const struct dataset_featurizer DATASET_FEATURIZER_DEFAULT =
    {.words = false, .n_min = 1, .n_max = 3, .bits = 15, .lowercase = true};

static const char LINE_START[] = "# lyre featurizer ";

int dataset_featurizer_check(const struct dataset_featurizer *f, struct err *e)
{
    if (f->n_min < 1 || f->n_min > f->n_max || f->n_max > FEATURIZE_N_MAX) {
        return err_set(e, ERR_INVALID,
                       "n-grams of %u to %u: 1 to %u can be had", f->n_min,
                       f->n_max, FEATURIZE_N_MAX);
    }
    if (f->bits < 1 || f->bits > FEATURIZE_BITS_MAX) {
        return err_set(e, ERR_INVALID, "%u bits: 1 to %u can be had", f->bits,
                       FEATURIZE_BITS_MAX);
    }
    return 0;
}

int dataset_featurizer_parse(struct dataset_featurizer *f,
                             const char *ngrams,
                             struct err *e)
{
    unsigned a = 0, b = 0;
    char kind[5];
    int end = 0;

    if (sscanf(ngrams, "%4[a-z]:%2u%n", kind, &a, &end) == 2) {
        b = a;
        if (ngrams[end] == '-') {
            int more = 0;
            end =
                sscanf(ngrams + end, "-%2u%n", &b, &more) == 1 ? end + more : 0;
        }
    }
    if (end == 0 || ngrams[end] != '\0' ||
        (strcmp(kind, "char") != 0 && strcmp(kind, "word") != 0)) {
        return err_set(e, ERR_INVALID,
                       "n-grams \"%s\": expected char:1-3, word:1-2 or alike",
                       ngrams);
    }
    f->words = strcmp(kind, "word") == 0;
    f->n_min = a;
    f->n_max = b;
    return 0;
}

void dataset_featurizer_line(const struct dataset_schema *s,
                             char line[FEATURIZE_LINE_SIZE])
{
    const struct dataset_featurizer *f = &s->featurizer;

    snprintf(line, FEATURIZE_LINE_SIZE,
             "%s%s:%u-%u bits %u lowercase %s normalize %s\n", LINE_START,
             f->words ? "word" : "char", f->n_min, f->n_max, f->bits,
             f->lowercase ? "yes" : "no",
             s->normalize == DATASET_NORMALIZE_L2 ? "l2" : "none");
}

static int parse_line(const char *line, struct dataset_schema *s, struct err *e)
{
    char ngrams[16], lowercase[4], normalize[5];
    struct dataset_featurizer *f = &s->featurizer;
    struct err why;

    if (sscanf(line, "%15s bits %2u lowercase %3s normalize %4s", ngrams,
               &f->bits, lowercase, normalize) != 4) {
        return err_set(e, ERR_CORRUPT,
                       "line 1: this featurizer line is incomplete");
    }
    f->lowercase = strcmp(lowercase, "yes") == 0;
    s->normalize = strcmp(normalize, "l2") == 0 ? DATASET_NORMALIZE_L2
                                                : DATASET_NORMALIZE_NONE;
    if (dataset_featurizer_parse(f, ngrams, &why) != 0 ||
        dataset_featurizer_check(f, &why) != 0) {
        return err_set(e, ERR_CORRUPT, "line 1: %s", why.msg);
    }
    return 0;
}

bool dataset_featurizer_same(const struct dataset_featurizer *a,
                             const struct dataset_featurizer *b)
{
    return a->words == b->words && a->n_min == b->n_min &&
           a->n_max == b->n_max && a->bits == b->bits &&
           a->lowercase == b->lowercase;
}

int dataset_featurizer_adopt(struct dataset_build *b,
                             const char *head,
                             size_t size,
                             struct err *e)
{
    const size_t skip = sizeof LINE_START - 1;
    struct dataset_schema s = {0};
    char line[FEATURIZE_LINE_SIZE] = {0};
    int rc;

    if (size < skip || memcmp(head, LINE_START, skip) != 0) {
        return 0;
    }
    size -= skip;
    memcpy(line, head + skip, size < sizeof line ? size : sizeof line - 1);
    line[strcspn(line, "\r\n")] = '\0';
    rc = parse_line(line, &s, e);
    if (rc != 0) {
        return rc;
    }
    if (b->o->schema == NULL) {
        b->change.featurizer = s.featurizer;
        b->n_features = 1u << s.featurizer.bits;
        if (b->change.normalize == DATASET_NORMALIZE_NONE) {
            b->change.normalize = s.normalize;
        }
    } else if (b->change.featurizer.n_max > 0 &&
               !dataset_featurizer_same(&b->change.featurizer, &s.featurizer)) {
        return err_set(e, ERR_CORRUPT,
                       "features of text made in another way than the model's");
    }
    return 0;
}

/* Text cut into units: code points, or words. Unit i is bytes at[i] ..
 * at[i + 1] - gap. */
struct units {
    uint32_t *at; /* (n + 1) */
    char *bytes;
    size_t n;
    size_t size; /* Of bytes. */
    size_t gap;  /* Between units: 0, or 1 for words. */
};

static void put(struct units *u, uint32_t c)
{
    u->size += unicode_encode(u->bytes + u->size, c);
}

static void put_unit(struct units *u, uint32_t c)
{
    u->at[u->n++] = (uint32_t)u->size;
    put(u, c);
}

/* A word character goes on with a word or begins one; anything else ends it. */
static void put_word(struct units *u, uint32_t c, bool *inside)
{
    if (!unicode_is_word(c)) {
        if (*inside) {
            put(u, ' ');
        }
        *inside = false;
        return;
    }
    if (*inside) {
        put(u, c);
    } else {
        put_unit(u, c);
    }
    *inside = true;
}

static int cut_text(const struct dataset_featurizer *f,
                    const char *text,
                    size_t size,
                    struct units *u,
                    struct err *e)
{
    const char *p = text, *end = text + size;
    bool inside = false;
    uint32_t c;

    u->gap = f->words ? 1 : 0;
    if (!f->words) {
        put_unit(u, '^');
    }
    while (p < end) {
        if (!unicode_decode(&p, end, &c)) {
            return err_set(e, ERR_CORRUPT, "byte %zu of the text is not UTF-8",
                           (size_t)(p - text) + 1);
        }
        c = f->lowercase ? unicode_lower(c) : c;
        if (f->words) {
            put_word(u, c, &inside);
        } else {
            put_unit(u, c);
        }
    }
    if (!f->words) {
        put_unit(u, '$');
    } else if (inside) {
        put(u, ' ');
    }
    u->at[u->n] = (uint32_t)u->size;
    return 0;
}

static size_t hash_ngrams(const struct dataset_featurizer *f,
                          const struct units *u,
                          uint32_t *to)
{
    uint32_t mask = (uint32_t)(((uint64_t)1 << f->bits) - 1);
    size_t n = 0;

    for (size_t len = f->n_min; len <= f->n_max; len++) {
        for (size_t i = 0; i + len <= u->n; i++) {
            size_t size = u->at[i + len] - u->gap - u->at[i];
            to[n++] = (uint32_t)hash64(u->bytes + u->at[i], size) & mask;
        }
    }
    return n;
}

static void sort_insertion(uint32_t *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t y = x[i];
        size_t j = i;
        for (; j > 0 && x[j - 1] > y; j--) {
            x[j] = x[j - 1];
        }
        x[j] = y;
    }
}

static void
sort_digit(const uint32_t *x, uint32_t *to, size_t n, unsigned shift)
{
    uint32_t at[257] = {0};

    for (size_t i = 0; i < n; i++) {
        at[(x[i] >> shift & 0xff) + 1]++;
    }
    for (size_t i = 1; i < 256; i++) {
        at[i] += at[i - 1];
    }
    for (size_t i = 0; i < n; i++) {
        to[at[x[i] >> shift & 0xff]++] = x[i];
    }
}

/* Sort numbers of @bits bits with the help of @tmp (n). */
static void sort(uint32_t *x, uint32_t *tmp, size_t n, unsigned bits)
{
    if (n <= INSERTION_N_MAX) {
        sort_insertion(x, n);
        return;
    }
    for (unsigned shift = 0; shift < bits; shift += 16) {
        sort_digit(x, tmp, n, shift);
        sort_digit(tmp, x, n, shift + 8);
    }
}

/* Replace equal neighbours by one, with their number. */
static size_t count_equal(uint32_t *x, float *count, size_t n)
{
    size_t m = 0;

    for (size_t i = 0; i < n; m++) {
        size_t begin = i;
        while (i < n && x[i] == x[begin]) {
            i++;
        }
        x[m] = x[begin];
        count[m] = (float)(i - begin);
    }
    return m;
}

static int featurize(const struct dataset_featurizer *f,
                     const char *text,
                     size_t size,
                     struct dataset_part *part,
                     size_t *n,
                     struct err *e)
{
    struct dataset_rows *r = &part->rows;
    size_t room = size + 3; /* Units, with both marks and the last end. */
    size_t n_ngrams = room * (f->n_max - f->n_min + 1);
    struct units u = {0};
    int rc;

    if (size > TEXT_SIZE_MAX) {
        return err_set(e, ERR_CORRUPT, "a text of %zu bytes", size);
    }
    buf_reset(&part->scratch);
    u.at = buf_add(&part->scratch,
                   (room + n_ngrams) * sizeof *u.at + room * UNICODE_BYTES_MAX);
    if (u.at == NULL) {
        return err_set(e, ERR_NOMEM, "a text of %zu bytes", size);
    }
    u.bytes = (char *)(u.at + room + n_ngrams);
    rc = cut_text(f, text, size, &u, e);
    if (rc == 0) {
        rc = dataset_rows_reserve(r, n_ngrams, e);
    }
    if (rc != 0) {
        return rc;
    }
    *n = hash_ngrams(f, &u, r->idx + r->n_values);
    sort(r->idx + r->n_values, u.at + room, *n, f->bits);
    *n = count_equal(r->idx + r->n_values, r->val + r->n_values, *n);
    return 0;
}

int dataset_featurize(struct dataset_part *part,
                      const char *text,
                      size_t size,
                      uint32_t label,
                      struct err *e)
{
    const struct dataset_schema *s = &part->build->change;
    struct dataset_rows *r = &part->rows;
    size_t n = 0;
    int rc = featurize(&s->featurizer, text, size, part, &n, e);

    if (rc == 0) {
        rc = dataset_row_change(s, r->idx + r->n_values, r->val + r->n_values,
                                n, e);
    }
    return rc != 0 ? rc : dataset_rows_end(r, n, label, e);
}

int dataset_featurizer_check_schema(const struct dataset_schema *s,
                                    struct err *e)
{
    int rc = dataset_featurizer_check(&s->featurizer, e);

    if (rc == 0 && s->n_features < 1u << s->featurizer.bits) {
        return err_set(e, ERR_INVALID, "%u features are too few for %u bits",
                       s->n_features, s->featurizer.bits);
    }
    return rc;
}

int dataset_from_text(struct dataset *d,
                      const struct dataset_schema *schema,
                      const char *text,
                      struct err *e)
{
    const struct dataset_options o = {.schema = schema};
    struct dataset_build b;
    struct dataset_part part = {.build = &b};
    int rc;

    memset(d, 0, sizeof *d);
    dataset_build_init(&b, &o);
    if (schema->featurizer.n_max == 0) {
        return err_set(e, ERR_INVALID, "the model was not trained on text");
    }
    rc = dataset_featurizer_check_schema(schema, e);
    if (rc != 0) {
        return rc;
    }
    rc = dataset_featurize(&part, text, strlen(text), DATASET_NO_LABEL, e);
    if (rc == 0) {
        b.n_rows_file = 1;
        b.sum = dataset_row_hash(0, text, strlen(text));
        rc = dataset_rows_append(&b.rows, &part.rows, e);
    }
    if (rc == 0) {
        rc = dataset_build_finish(&b, d, e);
    }
    dataset_rows_fini(&part.rows);
    buf_fini(&part.scratch);
    dataset_build_fini(&b);
    return rc;
}
