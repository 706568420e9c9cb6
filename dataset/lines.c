#include "dataset/lines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/pool.h"
#include "dataset/unicode.h"

#define BLOCKS_PER_THREAD 2
#define WINDOW_SIZE       ((size_t)16 << 20) /* At most, in bytes of text. */

struct block {
    struct buf text; /* Whole lines, each with its '\n'. */
    uint64_t line;   /* Number of the first one, from 1. */
    uint64_t row;    /* Number of its first row, from 0. */
    uint64_t n_rows;
    uint64_t sum;
    struct dataset_part part;
    int rc;
    struct err err;
};

/* What is parsed or read at a time. */
struct window {
    struct block *blocks; /* (n_blocks) */
    size_t n;             /* Blocks that hold lines. */
    int rc;               /* Of reading the rest. */
    struct err err;
};

struct lines {
    struct dataset_build *build;
    struct dataset_input *in;
    const struct dataset_line_format *format;
    size_t block_size;
    size_t n_blocks;
    struct window windows[2];
    struct window *now;  /* Is parsed. */
    struct window *next; /* Is read. */
    struct buf carry;    /* The begin of a line that the last block cut. */
    uint64_t line, row;  /* Of the next block. */
    bool ended;
};

/* The next line of [*p, end), or false. */
static bool next_line(const char **p, const char *end, struct dataset_line *l)
{
    if (*p == end) {
        return false;
    }
    l->p = *p;
    l->end = memchr(*p, '\n', (size_t)(end - *p));
    *p = l->end + 1;
    if (l->end > l->p && l->end[-1] == '\r') {
        l->end--;
    }
    return true;
}

/* Lines of blanks only are no rows. */
static bool is_row(const struct lines *s, const struct dataset_line *l)
{
    const char *p = l->p;

    while (p < l->end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    return p < l->end && !(s->format->comments && *p == '#');
}

static void count_rows(struct lines *s, struct block *b)
{
    const char *p = (const char *)b->text.data;
    const char *end = p + b->text.size;
    struct dataset_line l;

    b->line = s->line;
    b->row = s->row;
    while (next_line(&p, end, &l)) {
        s->line++;
        s->row += is_row(s, &l);
    }
    b->n_rows = s->row - b->row;
}

/* Append up to block_size bytes of the file. */
static int fill_some(struct lines *s, struct buf *text, struct err *e)
{
    size_t n, at = text->size;
    void *to = buf_add(text, s->block_size);
    int rc;

    if (to == NULL) {
        return err_set(e, ERR_NOMEM, "a line of %zu bytes", at);
    }
    rc = dataset_input_read(s->in, to, s->block_size, &n, e);
    if (rc != 0) {
        return rc;
    }
    text->size = at + n;
    s->ended = n < s->block_size;
    return 0;
}

/* Cut @text behind its last line end and keep the rest for the next block.
 * False if no line ends in it. */
static bool cut(struct lines *s, struct buf *text)
{
    const uint8_t *last = memrchr(text->data, '\n', text->size);
    size_t size;

    if (last == NULL) {
        return false;
    }
    size = (size_t)(last - text->data) + 1;
    buf_put(&s->carry, text->data + size, text->size - size);
    text->size = size;
    return true;
}

static int fill_block(struct lines *s, struct block *b, struct err *e)
{
    int rc;

    buf_reset(&b->text);
    buf_put(&b->text, s->carry.data, s->carry.size);
    buf_reset(&s->carry);
    do {
        rc = fill_some(s, &b->text, e);
        if (rc != 0) {
            return rc;
        }
    } while (!s->ended && !cut(s, &b->text));
    if (s->ended && b->text.size > 0 &&
        b->text.data[b->text.size - 1] != '\n') {
        buf_put(&b->text, "\n", 1);
    }
    if (b->text.failed || s->carry.failed) {
        return err_set(e, ERR_NOMEM, "a line of %zu bytes", b->text.size);
    }
    count_rows(s, b);
    return 0;
}

/* Lines before an error are parsed first: they may hold an earlier one. */
static void fill_window(struct lines *s, struct window *w)
{
    w->rc = 0;
    for (w->n = 0; w->n < s->n_blocks && !s->ended; w->n++) {
        w->rc = fill_block(s, &w->blocks[w->n], &w->err);
        if (w->rc != 0) {
            s->ended = true;
            return;
        }
    }
}

static int parse_line(const struct lines *s,
                      struct block *b,
                      struct dataset_line *l,
                      struct err *e)
{
    uint64_t row = b->row + b->n_rows;

    assert(l->p <= l->end);
    if (memchr(l->p, '\0', (size_t)(l->end - l->p)) != NULL) {
        return err_set(e, ERR_CORRUPT, "a zero byte: this is not text");
    }
    if (!is_row(s, l)) {
        return 0;
    }
    l->own = dataset_build_owns(s->build, row);
    b->sum += dataset_row_hash(row, l->p, (size_t)(l->end - l->p));
    b->n_rows++;
    return s->format->parse(&b->part, l, e);
}

static void parse_block(const struct lines *s, struct block *b)
{
    const char *p = (const char *)b->text.data;
    const char *end = p + b->text.size;
    struct dataset_line l;
    uint64_t line = b->line;

    dataset_rows_reset(&b->part.rows);
    dataset_names_reset(&b->part.labels);
    b->part.build = s->build;
    b->part.rows.dense = dataset_build_skims(s->build);
    b->part.n_features = 0;
    b->part.n_unknown_features = 0;
    b->n_rows = 0;
    b->sum = 0;
    b->rc = 0;
    for (; b->rc == 0 && next_line(&p, end, &l); line++) {
        b->rc = parse_line(s, b, &l, &b->err);
        if (b->rc != 0) {
            err_wrap(&b->err, b->rc, "line %llu", (unsigned long long)line);
        }
    }
}

/* The first task reads on while the others parse. */
static void run_task(void *arg, size_t index, size_t thread)
{
    struct lines *s = arg;

    (void)thread;
    if (index == 0) {
        fill_window(s, s->next);
    } else {
        parse_block(s, &s->now->blocks[index - 1]);
    }
}

/* Append a part to the whole. */
static int merge(struct dataset_build *b, struct block *from, struct err *e)
{
    struct dataset_part *part = &from->part;
    uint32_t *id_of = calloc((size_t)part->labels.n + 1, sizeof *id_of);
    int rc = 0;

    if (id_of == NULL) {
        return err_set(e, ERR_NOMEM, "%u labels", part->labels.n);
    }
    for (uint32_t i = 0; i < part->labels.n && rc == 0; i++) {
        const char *name = dataset_names_get(&part->labels, i);
        rc = dataset_names_add(&b->labels, name, strlen(name), &id_of[i]);
    }
    for (uint32_t i = 0; i < part->rows.n && rc == 0; i++) {
        uint32_t *label = &part->rows.label[i];
        *label = *label == DATASET_NO_LABEL ? *label : id_of[*label];
    }
    free(id_of);
    if (rc != 0) {
        return err_set(e, rc, "%u labels", b->labels.n);
    }
    b->n_rows_file += from->n_rows;
    b->sum += from->sum;
    b->n_unknown_features += part->n_unknown_features;
    if (part->n_features > b->n_features) {
        b->n_features = part->n_features;
    }
    return dataset_rows_append(&b->rows, &part->rows, e);
}

static int fail(const struct err *from, int rc, struct err *e)
{
    if (e != NULL) {
        *e = *from;
    }
    return rc;
}

static int merge_window(struct lines *s, struct window *w, struct err *e)
{
    for (size_t i = 0; i < w->n; i++) {
        struct block *b = &w->blocks[i];
        int rc = b->rc != 0 ? fail(&b->err, b->rc, e) : merge(s->build, b, e);
        if (rc != 0) {
            return rc;
        }
    }
    return w->rc != 0 ? fail(&w->err, w->rc, e) : 0;
}

static int read_windows(struct lines *s, struct err *e)
{
    int rc = 0;

    fill_window(s, s->next);
    do {
        struct window *w = s->next;
        s->next = s->now;
        s->now = w;
        pool_run(s->build->o->pool, w->n + 1, run_task, s);
        rc = merge_window(s, w, e);
    } while (rc == 0 && (s->next->n > 0 || s->next->rc != 0));
    return rc;
}

static void fini(struct lines *s)
{
    for (int i = 0; i < 2; i++) {
        struct window *w = &s->windows[i];
        for (size_t j = 0; w->blocks != NULL && j < s->n_blocks; j++) {
            buf_fini(&w->blocks[j].text);
            buf_fini(&w->blocks[j].part.scratch);
            dataset_rows_fini(&w->blocks[j].part.rows);
            dataset_names_fini(&w->blocks[j].part.labels);
        }
        free(w->blocks);
    }
    buf_fini(&s->carry);
}

int dataset_lines_read(struct dataset_build *b,
                       struct dataset_input *in,
                       const struct dataset_line_format *f,
                       size_t block_size,
                       struct err *e)
{
    struct lines s = {.build = b,
                      .in = in,
                      .format = f,
                      .n_blocks = BLOCKS_PER_THREAD * pool_threads(b->o->pool),
                      .line = 1};
    size_t share = WINDOW_SIZE / f->growth / s.n_blocks;
    int rc;

    assert(block_size > 0);
    s.block_size = block_size < share ? block_size : share;
    s.now = &s.windows[0];
    s.next = &s.windows[1];
    s.now->blocks = calloc(s.n_blocks, sizeof *s.now->blocks);
    s.next->blocks = calloc(s.n_blocks, sizeof *s.next->blocks);
    if (s.now->blocks == NULL || s.next->blocks == NULL) {
        rc = err_set(e, ERR_NOMEM, "%zu blocks", s.n_blocks);
    } else {
        rc = read_windows(&s, e);
    }
    fini(&s);
    return rc;
}

int dataset_part_skip(struct dataset_part *part, uint32_t label, struct err *e)
{
    return dataset_build_skims(part->build)
               ? dataset_rows_end(&part->rows, 0, label, e)
               : 0;
}

int dataset_part_label(struct dataset_part *part,
                       const char *name,
                       size_t size,
                       uint32_t *id,
                       struct err *e)
{
    char q[QUOTE_SIZE];

    if (size > 1 && name[0] == '+' && name[1] >= '0' && name[1] <= '9') {
        name++;
        size--;
    }
    *id = dataset_names_find(&part->labels, name, size);
    if (*id != NAMES_NONE) {
        return 0;
    }
    if (!unicode_is_utf8(name, size)) {
        return err_set(e, ERR_CORRUPT, "label %s is not UTF-8",
                       dataset_quote(q, name, size));
    }
    if (dataset_names_add(&part->labels, name, size, id) != 0) {
        return err_set(e, ERR_NOMEM, "%u labels", part->labels.n);
    }
    return 0;
}

const char *dataset_quote(char to[QUOTE_SIZE], const char *p, size_t size)
{
    size_t room = QUOTE_SIZE - 5, n = size < room ? size : room;
    char *at = to;

    *at++ = '"';
    for (size_t i = 0; i < n; i++) {
        *at++ = p[i] >= ' ' && p[i] <= '~' ? p[i] : '?';
    }
    if (n < size) {
        *at++ = '.';
        *at++ = '.';
    }
    *at++ = '"';
    *at = '\0';
    return to;
}
