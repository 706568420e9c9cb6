#include "ckpt/blame.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sv/codec.h"

/* A batch that some step applied. */
struct source {
    const uint8_t *data;
    size_t size;
    size_t first; /* Of its pairs, in all of them. */
    uint32_t n;
    float factor; /* How many times it counts. */
    int rc;
};

struct blame {
    const struct ckpt_blame_options *o;
    struct ckpt_reader *reader;
    struct ckpt_blame *out;
    struct source *sources; /* One for each of out->batches. */
    size_t room;
    struct ckpt_blame_line *pairs; /* (n_pairs). */
    size_t n_pairs;
    struct sv_batch *scratch; /* One for each thread, */
    struct sv_codec_scratch *codec;
    size_t n_threads;
};

static double norm_of(struct sv_vec x)
{
    double sum = 0;

    for (uint32_t i = 0; i < x.nnz; i++) {
        sum += (double)x.val[i] * (double)x.val[i];
    }
    return sqrt(sum);
}

static double entry_of(struct sv_vec x, uint32_t index)
{
    uint32_t low = 0, high = x.nnz;

    if (x.idx == NULL) {
        return (double)x.val[index];
    }
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (x.idx[mid] < index) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < x.nnz && x.idx[low] == index ? (double)x.val[low] : 0;
}

/* What @x counts: one entry of it if @index is one, else all. */
static double part_of(struct sv_vec x, int64_t index)
{
    return index < 0 ? norm_of(x) : fabs(entry_of(x, (uint32_t)index));
}

static void weigh_task(void *arg, size_t index, size_t thread)
{
    struct blame *x = arg;
    const struct ckpt_blame_options *o = x->o;
    struct source *s = &x->sources[index];
    struct ckpt_blame_line *line = &x->out->batches[index];
    struct sv_batch *b = &x->scratch[thread];
    struct sv_record r;

    s->rc = sv_codec_decode(b, &r, s->data, s->size, &x->codec[thread], NULL);
    if (s->rc == 0) {
        sv_batch_scale(b, s->factor);
    }
    for (uint32_t i = 0; s->rc == 0 && i < b->n; i++) {
        struct sv_vec v = sv_vecs_get(&b->v, i), u = sv_vecs_get(&b->u, i);
        double weight = fabs((double)b->coef[i]) * part_of(v, o->row);
        weight *= weight == 0 ? 0 : part_of(u, o->column);
        x->pairs[s->first + i] =
            (struct ckpt_blame_line){.origin = line->origin,
                                     .clock = line->clock,
                                     .applied = line->applied,
                                     .sample = b->sample[i],
                                     .n_batches = 1,
                                     .n_pairs = 1,
                                     .weight = weight};
        line->weight += weight;
    }
}

static int add_source(struct blame *x,
                      uint64_t clock,
                      const struct ckpt_op *op,
                      struct err *e)
{
    struct ckpt_blame *out = x->out;
    struct source s = {.first = x->n_pairs, .factor = op->a};
    struct sv_record r;
    int rc = ckpt_reader_op(x->reader, clock, op, &s.data, &s.size, e);

    rc = rc != 0 ? rc : sv_record_peek(&r, s.data, s.size, e);
    if (rc != 0) {
        return rc;
    }
    if (out->n_batches == x->room) {
        size_t room = x->room == 0 ? 256 : 2 * x->room;
        void *lines = realloc(out->batches, room * sizeof *out->batches);
        void *sources = realloc(x->sources, room * sizeof *x->sources);
        out->batches = lines != NULL ? lines : out->batches;
        x->sources = sources != NULL ? sources : x->sources;
        if (lines == NULL || sources == NULL) {
            return err_set(e, ERR_NOMEM, "%zu batches", room);
        }
        x->room = room;
    }
    s.n = r.n;
    x->n_pairs += r.n;
    x->sources[out->n_batches] = s;
    out->batches[out->n_batches++] =
        (struct ckpt_blame_line){.origin = op->origin,
                                 .clock = op->clock,
                                 .applied = clock,
                                 .sample = SV_NO_SAMPLE,
                                 .n_batches = 1,
                                 .n_pairs = r.n};
    return 0;
}

/* All batches that the steps apply to the matrix. */
static int find_sources(struct blame *x, struct err *e)
{
    struct ckpt_step step;
    int rc = 0;

    ckpt_step_init(&step);
    for (uint64_t c = x->o->from; rc == 0 && c < x->o->to; c++) {
        rc = ckpt_reader_step(x->reader, c, &step, e);
        for (size_t i = 0; rc == 0 && i < step.n_ops; i++) {
            const struct ckpt_op *op = &step.ops[i];
            if (op->kind == SV_OP_APPLY && op->matrix == x->o->matrix) {
                rc = add_source(x, c, op, e);
            }
        }
    }
    ckpt_step_fini(&step);
    return rc;
}

static int weigh(struct blame *x, struct err *e)
{
    x->n_threads = pool_threads(x->o->pool);
    x->pairs = calloc(x->n_pairs + 1, sizeof *x->pairs);
    x->scratch = calloc(x->n_threads, sizeof *x->scratch);
    x->codec = calloc(x->n_threads, sizeof *x->codec);
    if (x->pairs == NULL || x->scratch == NULL || x->codec == NULL) {
        return err_set(e, ERR_NOMEM, "%zu pairs", x->n_pairs);
    }
    for (size_t t = 0; t < x->n_threads; t++) {
        sv_batch_init(&x->scratch[t], x->o->J, x->o->K);
        sv_codec_scratch_init(&x->codec[t]);
    }
    pool_run(x->o->pool, x->out->n_batches, weigh_task, x);
    for (size_t i = 0; i < x->out->n_batches; i++) {
        struct source *s = &x->sources[i];
        struct sv_record r;
        int rc = s->rc;
        if (rc != 0) { /* Once more, for the message. */
            rc = sv_codec_decode(&x->scratch[0], &r, s->data, s->size,
                                 &x->codec[0], e);
            return ckpt_reader_wrap(x->reader, s->data, rc, e);
        }
    }
    return 0;
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_origin(const void *p, const void *q)
{
    const struct ckpt_blame_line *a = p, *b = q;
    int o = order(a->origin, b->origin);

    return o != 0 ? o : order(a->clock, b->clock);
}

static int by_sample(const void *p, const void *q)
{
    const struct ckpt_blame_line *a = p, *b = q;
    int o = order(a->sample, b->sample);

    o = o != 0 ? o : order(a->applied, b->applied);
    return o != 0 ? o : by_origin(p, q);
}

static int by_weight(const void *p, const void *q)
{
    const struct ckpt_blame_line *a = p, *b = q;

    if (a->weight != b->weight) {
        return a->weight < b->weight ? 1 : -1;
    }
    return by_sample(p, q);
}

static bool same_origin(const struct ckpt_blame_line *a,
                        const struct ckpt_blame_line *b)
{
    return a->origin == b->origin;
}

static bool same_sample(const struct ckpt_blame_line *a,
                        const struct ckpt_blame_line *b)
{
    return a->sample == b->sample;
}

/* Add up neighbours that are the same; the later one gives its name. */
static size_t merge(struct ckpt_blame_line *at,
                    size_t n,
                    bool (*same)(const struct ckpt_blame_line *a,
                                 const struct ckpt_blame_line *b))
{
    size_t m = 0;

    for (size_t i = 0; i < n; i++) {
        if (m > 0 && same(&at[m - 1], &at[i])) {
            struct ckpt_blame_line sum = at[i];
            sum.weight += at[m - 1].weight;
            sum.n_pairs += at[m - 1].n_pairs;
            sum.n_batches += at[m - 1].n_batches;
            at[m - 1] = sum;
        } else {
            at[m++] = at[i];
        }
    }
    return m;
}

static int sum_up(struct blame *x, struct err *e)
{
    struct ckpt_blame *out = x->out;
    size_t n = out->n_batches;

    out->peers = malloc((n + 1) * sizeof *out->peers);
    if (out->peers == NULL) {
        return err_set(e, ERR_NOMEM, "%zu batches", n);
    }
    if (n > 0) {
        memcpy(out->peers, out->batches, n * sizeof *out->peers);
        qsort(out->peers, n, sizeof *out->peers, by_origin);
    }
    out->n_peers = merge(out->peers, n, same_origin);
    for (size_t i = 0; i < out->n_peers; i++) {
        out->weight += out->peers[i].weight;
    }
    out->samples = x->pairs;
    x->pairs = NULL;
    qsort(out->samples, x->n_pairs, sizeof *out->samples, by_sample);
    n = merge(out->samples, x->n_pairs, same_sample);
    if (n > 0 && out->samples[n - 1].sample == SV_NO_SAMPLE) {
        n--;
    }
    out->n_samples = n;
    qsort(out->peers, out->n_peers, sizeof *out->peers, by_weight);
    qsort(out->samples, n, sizeof *out->samples, by_weight);
    if (out->n_batches > 0) {
        qsort(out->batches, out->n_batches, sizeof *out->batches, by_weight);
    }
    return 0;
}

static void blame_fini(struct blame *x)
{
    for (size_t t = 0;
         x->scratch != NULL && x->codec != NULL && t < x->n_threads; t++) {
        sv_batch_fini(&x->scratch[t]);
        sv_codec_scratch_fini(&x->codec[t]);
    }
    free(x->scratch);
    free(x->codec);
    free(x->sources);
    free(x->pairs);
}

int ckpt_blame(struct ckpt_blame *b,
               struct ckpt_reader *r,
               const struct ckpt_blame_options *o,
               struct err *e)
{
    struct blame x = {.o = o, .reader = r, .out = b};
    int rc;

    memset(b, 0, sizeof *b);
    if (o->from > o->to || o->to > ckpt_reader_clocks(r)) {
        return err_set(e, ERR_NOT_FOUND,
                       "clocks %" PRIu64 " to %" PRIu64
                       ": the log has %" PRIu64,
                       o->from, o->to, ckpt_reader_clocks(r));
    }
    rc = find_sources(&x, e);
    rc = rc != 0 ? rc : weigh(&x, e);
    rc = rc != 0 ? rc : sum_up(&x, e);
    blame_fini(&x);
    if (rc != 0) {
        ckpt_blame_fini(b);
    }
    return rc;
}

void ckpt_blame_fini(struct ckpt_blame *b)
{
    free(b->peers);
    free(b->batches);
    free(b->samples);
    memset(b, 0, sizeof *b);
}
