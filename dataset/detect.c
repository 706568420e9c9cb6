#include "dataset/detect.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "dataset/input.h"
#include "dataset/number.h"
#include "dataset/pairs.h"

#define LINES_MAX 64 /* Enough to tell; a line may be long. */

/* What one line looks like. */
struct look {
    unsigned n_numbers; /* Words that are numbers, before any other. */
    unsigned n_pairs;   /* Words that are "index:value". */
    unsigned n_others;  /* The first one included. */
    uint64_t first;     /* The first word, if it is a whole number. */
    bool counted;       /* It is, and equals n_pairs. */
    bool zero;          /* One of the indices is 0. */
};

/* What all lines look like. */
struct looks {
    size_t n;
    size_t n_single;  /* Lines of one number at the top of the file. */
    size_t n_triples; /* Lines of three numbers. */
    size_t n_pairs;   /* Lines with pairs behind the first word only. */
    bool pairs;       /* All lines have nothing else. */
    bool counted;
    bool zero;
};

static bool at_end(const char *p, const char *end)
{
    return p >= end || *p == ' ' || *p == '\t' || *p == '\r';
}

static bool is_number(const char *p, const char *end)
{
    float x;
    return dataset_parse_f32(&p, &x) && at_end(p, end);
}

static bool is_pair(const char *p, const char *end, uint64_t *k)
{
    float x;
    return dataset_parse_u64(&p, k) && *p++ == ':' &&
           dataset_parse_f32(&p, &x) && at_end(p, end);
}

static void look_at_word(struct look *l, const char *p, const char *end)
{
    bool first = l->n_numbers + l->n_pairs + l->n_others == 0;
    const char *q = p;
    uint64_t k;

    if (is_pair(p, end, &k)) {
        l->n_pairs++;
        l->zero = l->zero || k == 0;
    } else if (is_number(p, end)) {
        l->n_numbers++;
    } else {
        l->n_others++;
    }
    if (first) {
        l->counted = dataset_parse_u64(&q, &l->first) && at_end(q, end);
    }
}

static struct look look_at_line(const char *p, const char *end)
{
    struct look l = {0};

    while ((p = dataset_skip_blanks(p)) < end && *p != '#' && *p != '\r') {
        const char *next = dataset_skip_word(p, end);
        look_at_word(&l, p, next);
        p = next;
    }
    l.counted = l.counted && l.first == l.n_pairs;
    return l;
}

static void add_look(struct looks *s, const struct look *l)
{
    unsigned n = l->n_numbers + l->n_pairs + l->n_others;

    if (n == 0) {
        return;
    }
    if (n == 1 && l->n_numbers == 1 && s->n_single == s->n) {
        s->n_single++;
    }
    s->n_triples += n == 3 && l->n_numbers == 3;
    s->n_pairs += l->n_pairs > 0 && l->n_pairs + 1 == n;
    s->pairs = s->pairs && l->n_pairs + 1 == n;
    s->counted = s->counted && l->counted;
    s->zero = s->zero || l->zero;
    s->n++;
}

/* Lines that end within the head. Of a first line that is longer than the head
 * all but the last word, which may be cut, counts. */
static struct looks look_at_all(const char *p, size_t size)
{
    const char *end = p + size;
    struct looks s = {.pairs = true, .counted = true};

    while (p < end && s.n < LINES_MAX) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        struct look l;
        if (eol == NULL && size == INPUT_HEAD_SIZE) {
            eol = memrchr(p, ' ', (size_t)(end - p));
            if (s.n > 0 || eol == NULL) {
                break;
            }
        }
        eol = eol == NULL ? end : eol;
        l = look_at_line(p, eol);
        add_look(&s, &l);
        p = eol + 1;
    }
    return s;
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t n = name == NULL ? 0 : strlen(name), m = strlen(suffix);

    if (n > 3 && strcmp(name + n - 3, ".gz") == 0) {
        n -= 3;
    }
    return n > m && memcmp(name + n - m, suffix, m) == 0;
}

static enum dataset_format
detect_text(const char *name, const char *head, size_t size)
{
    struct looks s = look_at_all(head, size);

    if (ends_in(name, ".svm")) {
        return DATASET_LIBSVM;
    }
    if (s.n_single == 3 && s.n_triples + 3 == s.n) {
        return DATASET_BOW;
    }
    if (s.n > 0 && s.n_triples == s.n) {
        return DATASET_TRIPLES;
    }
    if (ends_in(name, ".ldac") || (s.n > 0 && s.counted && s.zero)) {
        return DATASET_LDAC;
    }
    return s.pairs || 2 * s.n_pairs >= s.n ? DATASET_LIBSVM : DATASET_TEXT;
}

enum dataset_format
dataset_detect(const char *name, const char *head, size_t size)
{
    if (size >= 8 && memcmp(head, "lyredata", 8) == 0) {
        return DATASET_BIN;
    }
    if (size >= 6 && memcmp(head, "\x93NUMPY", 6) == 0) {
        return DATASET_NPY;
    }
    if (size >= 4 && memcmp(head, "\0\0", 2) == 0) {
        return DATASET_IDX;
    }
    return detect_text(name, head, size);
}

const char *dataset_format_name(enum dataset_format f)
{
    static const char *const NAMES[] = {
        "LIBSVM text",       "labelled text", "LDA-C", "bag of words",
        "user item ratings", "IDX",           "npy",   "lyre binary"};
    return NAMES[f];
}
