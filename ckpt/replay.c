#include "ckpt/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sv/codec.h"
#include "sv/rows.h"

#define MEMORY_DEFAULT ((size_t)64 << 20)

/* Decoded bytes for one of a sparse payload, until there is experience. */
#define GROWTH_DEFAULT 4.0

/* A record that an op needs, and what it is decoded to: one or the other. */
struct source {
    const uint8_t *data;
    size_t size;
    const struct sv_state *state; /* That it is for. */
    struct sv_batch *batch;
    struct sv_row_block *rows;
    float factor;
    int rc;
};

/* The ops of a group on one matrix. */
struct part {
    struct sv_op *ops;
    size_t n_ops, ops_room;
    struct sv_batch **batches; /* Each on its own: ops point to them. */
    size_t n_batches, batches_made, batches_room;
    struct sv_row_block **rows; /* Likewise. */
    size_t n_rows, rows_made, rows_room;
};

struct replay {
    struct ckpt_reader *reader;
    const struct ckpt_replay_options *o;
    struct sv_state *states;
    size_t n_states;
    struct pool *pool;
    size_t memory_max;
    struct part *parts;     /* (n_states). */
    struct source *sources; /* Of the group. */
    size_t n_sources, sources_room;
    struct sv_codec_scratch *scratch; /* One for each thread. */
    size_t n_threads;
    struct sv_apply *apply;
    struct ckpt_step step;
    size_t memory;      /* Bytes that the group will have decoded, about. */
    size_t sparse_size; /* Payload bytes of its sparse records. */
    double growth;      /* Decoded bytes for one of those, so far. */
};

/* Make room for one more element. */
static int
reserve(void **at, size_t n, size_t *room, size_t size, struct err *e)
{
    size_t more = *room == 0 ? 64 : 2 * *room;
    void *p;

    if (n < *room) {
        return 0;
    }
    p = realloc(*at, more * size);
    if (p == NULL) {
        return err_set(e, ERR_NOMEM, "replay of %zu ops", more);
    }
    *at = p;
    *room = more;
    return 0;
}

static int replay_init(struct replay *x,
                       struct ckpt_reader *r,
                       struct sv_state *states,
                       size_t n_states,
                       const struct ckpt_replay_options *o,
                       struct err *e)
{
    *x = (struct replay){.reader = r,
                         .o = o,
                         .states = states,
                         .n_states = n_states,
                         .pool = o->pool,
                         .memory_max = o->memory_max == 0 ? MEMORY_DEFAULT
                                                          : o->memory_max,
                         .n_threads = pool_threads(o->pool),
                         .growth = GROWTH_DEFAULT};
    ckpt_step_init(&x->step);
    x->apply = sv_apply_create();
    x->parts = calloc(n_states, sizeof *x->parts);
    x->scratch = calloc(x->n_threads, sizeof *x->scratch);
    if (x->apply == NULL || x->parts == NULL || x->scratch == NULL) {
        return err_set(e, ERR_NOMEM, "replay");
    }
    for (size_t t = 0; t < x->n_threads; t++) {
        sv_codec_scratch_init(&x->scratch[t]);
    }
    return 0;
}

static void part_fini(struct part *p)
{
    for (size_t i = 0; i < p->batches_made; i++) {
        sv_batch_fini(p->batches[i]);
        free(p->batches[i]);
    }
    for (size_t i = 0; i < p->rows_made; i++) {
        sv_rows_fini(p->rows[i]);
        free(p->rows[i]);
    }
    free(p->batches);
    free(p->rows);
    free(p->ops);
}

static void replay_fini(struct replay *x)
{
    for (size_t i = 0; x->parts != NULL && i < x->n_states; i++) {
        part_fini(&x->parts[i]);
    }
    for (size_t t = 0; x->scratch != NULL && t < x->n_threads; t++) {
        sv_codec_scratch_fini(&x->scratch[t]);
    }
    free(x->parts);
    free(x->scratch);
    free(x->sources);
    sv_apply_destroy(x->apply);
    ckpt_step_fini(&x->step);
}

/* An empty batch for @part, from an earlier group if there is one. */
static struct sv_batch *
take_batch(struct part *part, const struct sv_state *s, struct err *e)
{
    struct sv_batch *b;
    void *at = part->batches;

    if (part->n_batches == part->batches_made) {
        if (reserve(&at, part->batches_made, &part->batches_room,
                    sizeof(struct sv_batch *), e) != 0) {
            return NULL;
        }
        part->batches = at;
        b = malloc(sizeof *b);
        if (b == NULL) {
            err_set(e, ERR_NOMEM, "batch");
            return NULL;
        }
        sv_batch_init(b, (uint32_t)s->w.J, (uint32_t)s->w.K);
        part->batches[part->batches_made++] = b;
    }
    return part->batches[part->n_batches++];
}

/* The same for a block of rows. */
static struct sv_row_block *take_rows(struct part *part, struct err *e)
{
    struct sv_row_block *b;
    void *at = part->rows;

    if (part->n_rows == part->rows_made) {
        if (reserve(&at, part->rows_made, &part->rows_room,
                    sizeof(struct sv_row_block *), e) != 0) {
            return NULL;
        }
        part->rows = at;
        b = malloc(sizeof *b);
        if (b == NULL) {
            err_set(e, ERR_NOMEM, "block of rows");
            return NULL;
        }
        sv_rows_init(b);
        part->rows[part->rows_made++] = b;
    }
    return part->rows[part->n_rows++];
}

static size_t dense_size(uint32_t n, uint32_t len)
{
    return n * mat_ld(len) * sizeof(float);
}

/* What a record will take when it is decoded. */
static void count_memory(struct replay *x, const uint8_t *data, size_t size)
{
    struct sv_record r;
    double sparse = 0;

    if (sv_record_peek(&r, data, size, NULL) != 0) {
        return; /* Decoding it will say why. */
    }
    if (r.kind == SV_RECORD_ROWS) {
        x->memory += r.payload_size;
        return;
    }
    if ((r.codec & SV_CODEC_U_SPARSE) == 0) {
        x->memory += dense_size(r.n, r.J);
    }
    if ((r.codec & SV_CODEC_V_SPARSE) == 0) {
        x->memory += dense_size(r.n, r.K);
    }
    if ((r.codec & (SV_CODEC_U_SPARSE | SV_CODEC_V_SPARSE)) != 0) {
        sparse = r.payload_raw_size;
    }
    x->sparse_size += (size_t)sparse;
    x->memory += (size_t)(sparse * x->growth);
}

static int add_source(struct replay *x,
                      const struct ckpt_op *op,
                      struct sv_op *out,
                      struct err *e)
{
    struct part *part = &x->parts[op->matrix];
    struct source s = {.state = &x->states[op->matrix], .factor = op->a};
    void *at = x->sources;
    int rc = reserve(&at, x->n_sources, &x->sources_room, sizeof s, e);

    if (rc != 0) {
        return rc;
    }
    x->sources = at;
    rc = ckpt_reader_op(x->reader, x->step.clock, op, &s.data, &s.size, e);
    if (rc != 0) {
        return rc;
    }
    if (op->kind == SV_OP_MIX) {
        out->rows = s.rows = take_rows(part, e);
    } else {
        out->batch = s.batch = take_batch(part, s.state, e);
    }
    if (s.batch == NULL && s.rows == NULL) {
        return ERR_NOMEM;
    }
    count_memory(x, s.data, s.size);
    x->sources[x->n_sources++] = s;
    return 0;
}

static int add_op(struct replay *x, const struct ckpt_op *op, struct err *e)
{
    struct sv_op out = {.kind = op->kind, .a = op->a};
    struct part *part;
    void *at;
    int rc;

    if (op->matrix >= x->n_states) {
        return err_set(e, ERR_CORRUPT, "op on matrix %u of %zu", op->matrix,
                       x->n_states);
    }
    if ((op->kind == SV_OP_SCALE_AUX || op->kind == SV_OP_ADD_AUX) &&
        x->states[op->matrix].rule != SV_MOMENTUM) {
        return err_set(e, ERR_CORRUPT, "op of momentum on matrix %u, rule %s",
                       op->matrix, sv_rule_name(x->states[op->matrix].rule));
    }
    part = &x->parts[op->matrix];
    at = part->ops;
    rc = reserve(&at, part->n_ops, &part->ops_room, sizeof out, e);
    part->ops = at;
    if (rc == 0 && (op->kind == SV_OP_APPLY || op->kind == SV_OP_MIX)) {
        rc = add_source(x, op, &out, e);
    }
    if (rc == 0) {
        part->ops[part->n_ops++] = out;
    }
    return rc;
}

static bool skipped(const struct replay *x, const struct ckpt_op *op)
{
    return x->o->skip != NULL && x->o->skip(x->o->skip_arg, x->step.clock, op);
}

static void empty(struct replay *x)
{
    x->n_sources = 0;
    x->memory = 0;
    x->sparse_size = 0;
    for (size_t i = 0; i < x->n_states; i++) {
        x->parts[i].n_ops = 0;
        x->parts[i].n_batches = 0;
        x->parts[i].n_rows = 0;
    }
}

/* Gather the ops of steps from *clock on, until memory is full: one at least.
 * *clock is then the one behind them. */
static int gather(struct replay *x, uint64_t *clock, uint64_t to, struct err *e)
{
    empty(x);
    do {
        int rc = ckpt_reader_step(x->reader, *clock, &x->step, e);
        for (size_t i = 0; rc == 0 && i < x->step.n_ops; i++) {
            if (!skipped(x, &x->step.ops[i])) {
                rc = add_op(x, &x->step.ops[i], e);
            }
        }
        if (rc != 0) {
            return err_wrap(e, rc, "replay of clock %" PRIu64, *clock);
        }
        ++*clock;
    } while (*clock < to && x->memory < x->memory_max);
    return 0;
}

static int decode(struct replay *x, struct source *s, size_t t, struct err *e)
{
    struct sv_record r;
    int rc;

    if (s->rows != NULL) {
        rc = sv_rows_decode(s->rows, &r, s->data, s->size, e);
        if (rc == 0 && !sv_rows_fit(s->rows, s->state)) {
            rc = err_set(e, ERR_CORRUPT,
                         "%u rows of %u floats from row %u on are none of a "
                         "matrix of %zu rows",
                         s->rows->n, s->rows->width, s->rows->first,
                         s->state->w.K);
        }
        return rc;
    }
    rc = sv_codec_decode(s->batch, &r, s->data, s->size, &x->scratch[t], e);
    if (rc == 0 && s->factor != 1) {
        sv_batch_scale(s->batch, s->factor);
    }
    return rc;
}

static void decode_task(void *arg, size_t index, size_t thread)
{
    struct replay *x = arg;
    struct source *s = &x->sources[index];

    s->rc = decode(x, s, thread, NULL);
}

static size_t sparse_bytes(const struct sv_vecs *v)
{
    return v->sparse ? 8 * sv_vecs_entries(v) + 4 * (size_t)v->n : 0;
}

static int decode_group(struct replay *x, struct err *e)
{
    size_t size = 0;

    pool_run(x->pool, x->n_sources, decode_task, x);
    for (size_t i = 0; i < x->n_sources; i++) {
        struct source *s = &x->sources[i];
        if (s->rc != 0) {
            s->rc = decode(x, s, 0, e); /* Once more, for the message. */
        }
        if (s->rc != 0) {
            return ckpt_reader_wrap(x->reader, s->data, s->rc, e);
        }
        if (s->batch != NULL) {
            size += sparse_bytes(&s->batch->u) + sparse_bytes(&s->batch->v);
        }
    }
    if (x->sparse_size > 0) {
        x->growth = (double)size / (double)x->sparse_size;
    }
    return 0;
}

static int apply_group(struct replay *x, struct err *e)
{
    for (size_t i = 0; i < x->n_states; i++) {
        const struct part *part = &x->parts[i];
        int rc = part->n_ops == 0
                     ? 0
                     : sv_apply_ops(x->apply, &x->states[i], part->ops,
                                    part->n_ops, x->pool, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* One op, between two looks of the watcher. */
static int watch_op(struct replay *x, const struct ckpt_op *op, struct err *e)
{
    const struct ckpt_replay_options *o = x->o;
    const struct sv_batch *batch;
    int rc;

    empty(x);
    rc = add_op(x, op, e);
    rc = rc != 0 ? rc : decode_group(x, e);
    if (rc != 0) {
        return rc;
    }
    batch = x->parts[op->matrix].ops[0].batch;
    o->watch(o->watch_arg, x->step.clock, op, batch, false);
    rc = apply_group(x, e);
    o->watch(o->watch_arg, x->step.clock, op, batch, true);
    return rc;
}

static int watch_clock(struct replay *x, uint64_t *clock, struct err *e)
{
    int rc = ckpt_reader_step(x->reader, *clock, &x->step, e);

    for (size_t i = 0; rc == 0 && i < x->step.n_ops; i++) {
        if (!skipped(x, &x->step.ops[i])) {
            rc = watch_op(x, &x->step.ops[i], e);
        }
    }
    if (rc != 0) {
        return err_wrap(e, rc, "replay of clock %" PRIu64, *clock);
    }
    ++*clock;
    return 0;
}

static int
replay_group(struct replay *x, uint64_t *clock, uint64_t to, struct err *e)
{
    uint64_t first = *clock;
    int rc = gather(x, clock, to, e);

    if (rc != 0) {
        return rc;
    }
    rc = decode_group(x, e);
    if (rc == 0) {
        rc = apply_group(x, e);
    }
    return rc == 0 ? 0
                   : err_wrap(e, rc, "replay of clocks %" PRIu64 " to %" PRIu64,
                              first, *clock - 1);
}

static int run(struct replay *x, uint64_t from, uint64_t to, struct err *e)
{
    const struct ckpt_replay_options *o = x->o;

    for (uint64_t clock = from; clock < to;) {
        int rc = o->watch != NULL ? watch_clock(x, &clock, e)
                                  : replay_group(x, &clock, to, e);
        if (rc != 0) {
            return rc;
        }
        if (o->progress != NULL && o->progress(o->progress_arg, clock) != 0) {
            return err_set(e, ERR_INTERRUPTED,
                           "replay stopped at clock %" PRIu64, clock);
        }
    }
    return 0;
}

int ckpt_replay(struct ckpt_reader *r,
                struct sv_state *states,
                size_t n_states,
                uint64_t from,
                uint64_t to,
                const struct ckpt_replay_options *o,
                struct err *e)
{
    static const struct ckpt_replay_options none = {0};
    struct replay x;
    int rc;

    if (from < ckpt_reader_first(r)) {
        return err_set(e, ERR_NOT_FOUND,
                       "replay from clock %" PRIu64
                       ": the log was compacted, it begins at clock %" PRIu64,
                       from, ckpt_reader_first(r));
    }
    if (to < from || to > ckpt_reader_clocks(r)) {
        return err_set(e, ERR_NOT_FOUND,
                       "replay from clock %" PRIu64 " to %" PRIu64
                       ": the log has %" PRIu64,
                       from, to, ckpt_reader_clocks(r));
    }
    o = o == NULL ? &none : o;
    rc = replay_init(&x, r, states, n_states, o, e);
    if (rc == 0) {
        rc = run(&x, from, to, e);
    }
    replay_fini(&x);
    return rc;
}
