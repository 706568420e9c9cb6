#include <assert.h>
#include <string.h>

#include "sv/apply_run.h"
#include "sv/rows.h"

/* Scratch memory is bounded: about 60 MB for GROUPED, 40 MB for TILES. */
#define ENTRIES_MAX    ((size_t)2 << 20)
#define PAIRS_MAX      ((size_t)1 << 16)
#define SPREAD_PAIRS   ((size_t)1 << 12)
#define SPREAD_COLS    ((size_t)512)
#define TILES_PAIRS    ((size_t)2048)
#define TILES_FLOATS   ((size_t)8 << 20)
#define ROWS_PAIRS     ((size_t)2048)
#define BUCKET_ENTRIES ((size_t)8192)
#define BUCKET_PLACES  ((size_t)65536)
#define BUCKETS_LOG2   12

/* Updates of elements, in fours, that take longer than waking a thread and
 * waiting for it: about 100 us. */
#define SERIAL_WORK ((size_t)1 << 19)

/* Entries that are sorted to buckets by one thread: the threads would meet
 * twice more. */
#define SERIAL_ENTRIES ((size_t)1 << 16)

/* Sparse u costs its entries when listed, the whole row, in vectors, when
 * spread. A listed entry takes as long as two vectors or so. */
static enum sv_form choose_form(const struct sv_batch *b, size_t lanes)
{
    size_t cols = mat_ld(b->u.len);

    if (!b->u.sparse) {
        return SV_FORM_DENSE;
    }
    if (cols <= SPREAD_COLS &&
        2 * lanes * sv_vecs_entries(&b->u) >= cols * b->n) {
        return SV_FORM_SPREAD;
    }
    return SV_FORM_LISTED;
}

static enum sv_engine choose_engine(const struct sv_batch *b, enum sv_rule rule)
{
    if (b->v.sparse) {
        return SV_GROUPED;
    }
    return b->u.sparse || rule == SV_ADAGRAD ? SV_ROWS : SV_TILES;
}

static bool
fits(const struct sv_run *run, const struct sv_batch *b, enum sv_rule rule)
{
    return run->n_pieces == 0 || (run->engine == choose_engine(b, rule) &&
                                  (run->form == SV_FORM_DENSE) == !b->u.sparse);
}

static size_t pairs_max(const struct sv_run *run, size_t cols)
{
    switch (run->engine) {
    case SV_TILES:
        if (TILES_FLOATS / cols < SV_TILES_PAIRS) {
            return SV_TILES_PAIRS;
        }
        return TILES_FLOATS / cols < TILES_PAIRS ? TILES_FLOATS / cols
                                                 : TILES_PAIRS;
    case SV_ROWS:
        return ROWS_PAIRS;
    default:
        return run->form == SV_FORM_SPREAD ? SPREAD_PAIRS : PAIRS_MAX;
    }
}

/* How many pairs of @b from @from on the run still takes. Not 0 for the first
 * pair of a run. */
static uint32_t
room_for(const struct sv_run *run, const struct sv_batch *b, uint32_t from)
{
    size_t left = pairs_max(run, mat_ld(b->u.len)) - run->n_pairs;
    uint32_t end = b->n - from < left ? b->n : from + (uint32_t)left;

    if (run->engine == SV_GROUPED) {
        const uint32_t *ptr = b->v.ptr;
        while (end > from &&
               run->n_entries + (ptr[end] - ptr[from]) > ENTRIES_MAX) {
            end = from + (end - from) / 2;
        }
        if (end == from && run->n_pairs == 0) {
            end++;
        }
    }
    return end - from;
}

/* Add a block of rows. False when it belongs to another run. */
static bool add_mix(const struct sv_op *op,
                    struct sv_whole *wholes,
                    const struct sv_state *s,
                    struct sv_run *run)
{
    if (run->n_pairs == 0 && run->n_wholes == 0) {
        run->engine = SV_MIX;
    }
    if (run->engine != SV_MIX &&
        (run->n_pairs == 0 || run->engine == SV_GROUPED || s->h != NULL)) {
        return false;
    }
    wholes[run->n_wholes++] = (struct sv_whole){
        .kind = op->kind, .rows = op->rows, .at = run->n_pairs};
    return true;
}

/* Add what fits of the batch at the cursor. False when nothing more of it goes
 * into this run. */
static bool add_pairs(struct sv_cursor *c,
                      struct sv_piece *pieces,
                      enum sv_rule rule,
                      size_t lanes,
                      struct sv_run *run)
{
    const struct sv_batch *b = c->ops[c->op].batch;
    uint32_t n;

    if (c->pair == b->n) {
        return true;
    }
    if (!fits(run, b, rule)) {
        return false;
    }
    if (run->n_pieces == 0) {
        run->engine = choose_engine(b, rule);
        run->form = choose_form(b, lanes);
    }
    n = room_for(run, b, c->pair);
    if (n == 0) {
        return false;
    }
    pieces[run->n_pieces++] = (struct sv_piece){
        .batch = b, .from = c->pair, .n = n, .first = run->n_pairs};
    run->n_pairs += n;
    if (run->engine == SV_GROUPED) {
        run->n_entries += b->v.ptr[c->pair + n] - b->v.ptr[c->pair];
    }
    c->pair += n;
    return c->pair == b->n;
}

static size_t work_of_mix(const struct sv_run *run,
                          const struct sv_whole *wholes)
{
    size_t n = 0;

    for (size_t i = 0; i < run->n_wholes; i++) {
        n += (size_t)wholes[i].rows->n * wholes[i].rows->width / 4;
    }
    return n;
}

/* An estimate, in updates of four elements each. */
static size_t work(const struct sv_run *run,
                   const struct sv_state *s,
                   const struct sv_whole *wholes)
{
    size_t cols = s->w.ld / 4, all = s->w.K * cols;
    size_t n = run->n_wholes * all;

    if (run->engine == SV_MIX) {
        return work_of_mix(run, wholes);
    }
    if (run->engine == SV_GROUPED) {
        return n + run->n_entries *
                       (16 + (run->form == SV_FORM_LISTED ? 16 : cols));
    }
    return n + run->n_pairs * all;
}

/* Enough buckets that the entries of one stay in cache while they are grouped,
 * and, when threads share them, enough to balance. */
static size_t choose_buckets(const struct sv_run *run, size_t K)
{
    size_t log2 = run->serial ? 0 : 4;

    while (log2 < BUCKETS_LOG2 && (run->n_entries >> log2 > BUCKET_ENTRIES ||
                                   K >> log2 > BUCKET_PLACES)) {
        log2++;
    }
    return log2;
}

bool sv_run_next(struct sv_cursor *c,
                 const struct sv_apply *x,
                 const struct sv_state *s,
                 size_t lanes,
                 struct sv_run *run)
{
    struct sv_piece *pieces = x->pieces.data;
    struct sv_whole *wholes = x->wholes.data;

    memset(run, 0, sizeof *run);
    run->engine = SV_ROWS;
    for (; c->op < c->n_ops; c->op++, c->pair = 0) {
        const struct sv_op *op = &c->ops[c->op];
        if (op->kind == SV_OP_MIX) {
            assert(sv_rows_fit(op->rows, s));
            if (!add_mix(op, wholes, s, run)) {
                break;
            }
            continue;
        }
        if (run->engine == SV_MIX) {
            break;
        }
        if (op->kind != SV_OP_APPLY) {
            assert(op->kind == SV_OP_SCALE || s->rule == SV_MOMENTUM);
            wholes[run->n_wholes++] = (struct sv_whole){
                .kind = op->kind, .a = op->a, .at = run->n_pairs};
            continue;
        }
        assert(op->batch->u.len == s->w.J && op->batch->v.len == s->w.K);
        if (!add_pairs(c, pieces, s->rule, lanes, run)) {
            break;
        }
    }
    run->serial = work(run, s, wholes) < SERIAL_WORK;
    run->sort_serial = run->serial || run->n_entries < SERIAL_ENTRIES;
    run->buckets_log2 = choose_buckets(run, s->w.K);
    return run->n_pairs > 0 || run->n_wholes > 0;
}

static int reserve_spread(struct sv_apply *x,
                          const struct sv_state *s,
                          const struct sv_run *run,
                          struct err *e)
{
    if (run->form != SV_FORM_SPREAD) {
        return 0;
    }
    return sv_room_reserve(&x->spread, run->n_pairs * s->w.ld, sizeof(float),
                           false, e);
}

static int
reserve_sort(struct sv_apply *x, const struct sv_run *run, struct err *e)
{
    size_t n = run->n_entries;
    int rc;

    if ((rc = sv_room_reserve(&x->heads, x->n_threads << run->buckets_log2,
                              sizeof(uint32_t), false, e)) != 0 ||
        (rc = sv_room_reserve(&x->records, n, sizeof(struct sv_hit), false,
                              e)) != 0 ||
        (rc = sv_room_reserve(&x->pair, n, sizeof(uint32_t), false, e)) != 0 ||
        (rc = sv_room_reserve(&x->v, n, sizeof(float), false, e)) != 0 ||
        (rc = sv_room_reserve(&x->sums, n, sizeof(float), false, e)) != 0) {
        return rc;
    }
    return 0;
}

static int reserve_grouped(struct sv_apply *x,
                           const struct sv_state *s,
                           const struct sv_run *run,
                           struct err *e)
{
    size_t places = sv_bucket_places(s->w.K, run->buckets_log2);
    int rc = reserve_spread(x, s, run, e);

    if (rc == 0) {
        rc = reserve_sort(x, run, e);
    }
    for (size_t t = 0; t < x->n_threads && rc == 0; t++) {
        struct sv_apply_thread *own = &x->threads[t];
        size_t size = sizeof(uint32_t);
        if ((rc = sv_room_reserve(&own->counts, places, size, true, e)) == 0 &&
            (rc = sv_room_reserve(&own->rows, places + 1, size, false, e)) ==
                0) {
            rc = sv_room_reserve(&own->ends, places, size, false, e);
        }
    }
    return rc;
}

static int reserve_tiles(struct sv_apply *x,
                         const struct sv_state *s,
                         const struct sv_run *run,
                         struct err *e)
{
    int rc = sv_room_reserve(&x->packed, run->n_pairs * s->w.ld, sizeof(float),
                             false, e);

    for (size_t t = 0; t < x->n_threads && rc == 0; t++) {
        struct sv_apply_thread *own = &x->threads[t];
        rc = sv_room_reserve(&own->panels, run->n_pairs * SV_TILES_ROWS,
                             sizeof(float), false, e);
        if (rc == 0) {
            rc = sv_room_reserve(&own->block, SV_TILES_PAIRS * SV_BLOCK,
                                 sizeof(float), false, e);
        }
    }
    return rc;
}

static int reserve_rows(struct sv_apply *x,
                        const struct sv_state *s,
                        const struct sv_run *run,
                        struct err *e)
{
    size_t n = run->n_pairs;
    int rc = reserve_spread(x, s, run, e);

    if (rc == 0) {
        rc = sv_room_reserve(&x->pair, n, sizeof(uint32_t), false, e);
    }
    for (size_t t = 0; t < x->n_threads && rc == 0; t++) {
        struct sv_apply_thread *own = &x->threads[t];
        rc = sv_room_reserve(&own->values, n, sizeof(float), false, e);
        if (rc == 0) {
            rc = sv_room_reserve(&own->block, n * SV_BLOCK, sizeof(float),
                                 false, e);
        }
    }
    return rc;
}

int sv_run_reserve(struct sv_apply *x,
                   const struct sv_state *s,
                   const struct sv_run *run,
                   struct err *e)
{
    int rc = sv_room_reserve(&x->pairs, run->n_pairs, sizeof(struct sv_pair),
                             false, e);

    if (rc != 0) {
        return rc;
    }
    switch (run->engine) {
    case SV_MIX:
        return 0;
    case SV_GROUPED:
        return reserve_grouped(x, s, run, e);
    case SV_TILES:
        return reserve_tiles(x, s, run, e);
    default:
        return reserve_rows(x, s, run, e);
    }
}
