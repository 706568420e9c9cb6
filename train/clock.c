#include "train/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"

int train_clock_tools_init(struct train_clock_tools *t,
                           const struct train_replica *replica,
                           struct err *e)
{
    memset(t, 0, sizeof *t);
    buf_init(&t->bytes);
    t->n = replica->n_states;
    t->n_scratch = pool_threads(replica->pool);
    t->scratch = calloc(t->n_scratch, sizeof *t->scratch);
    t->apply = sv_apply_create();
    for (size_t i = 0; t->scratch != NULL && i < t->n_scratch; i++) {
        sv_codec_scratch_init(&t->scratch[i]);
    }
    if (t->scratch == NULL || t->apply == NULL) {
        return err_set(e, ERR_NOMEM, "scratch memory");
    }
    return 0;
}

void train_clock_tools_fini(struct train_clock_tools *t)
{
    for (size_t i = 0; t->scratch != NULL && i < t->n_scratch; i++) {
        sv_codec_scratch_fini(&t->scratch[i]);
    }
    for (size_t i = 0; i < t->came_room * t->n; i++) {
        sv_batch_fini(&t->came[i]);
    }
    free(t->scratch);
    free(t->came);
    free(t->ops);
    buf_fini(&t->bytes);
    sv_apply_destroy(t->apply);
    memset(t, 0, sizeof *t);
}

int train_clock_init(struct train_clock *c,
                     struct train_replica *replica,
                     const struct dataset *data,
                     uint32_t self,
                     struct train_clock_tools *tools,
                     struct err *e)
{
    const struct train_run *run = &replica->run;

    memset(c, 0, sizeof *c);
    c->replica = replica;
    c->data = data;
    c->self = self;
    c->n = replica->n_states;
    c->tools = tools;
    c->sampler = (struct dataset_sampler){.seed = run->seed,
                                          .shard = self,
                                          .n_rows = data->n_rows,
                                          .batch = run->batch};
    c->rows = calloc(run->batch, sizeof *c->rows);
    c->own = calloc(c->n, sizeof *c->own);
    for (size_t i = 0; c->own != NULL && i < c->n; i++) {
        struct model_param p = replica->ops->param(replica->model, i);
        sv_batch_init(&c->own[i], p.J, p.K);
    }
    if (c->rows == NULL || c->own == NULL) {
        return err_set(e, ERR_NOMEM, "minibatches of %u samples", run->batch);
    }
    return train_choice_init(&c->choice, replica, self, e);
}

void train_clock_fini(struct train_clock *c)
{
    for (size_t i = 0; c->own != NULL && i < c->n; i++) {
        sv_batch_fini(&c->own[i]);
    }
    train_choice_fini(&c->choice);
    free(c->rows);
    free(c->own);
    memset(c, 0, sizeof *c);
}

/* The sum over the samples becomes the step: rules that divide by what they
 * have seen take the sum, the others the mean over the clock's samples. */
static void scale(const struct train_run *run, struct sv_batch *b, uint32_t n)
{
    bool sum = run->rule == SV_ROWGRAD || run->rule == SV_ADAGRAD;
    float c = sum ? -1.0f : -run->lr / (float)((uint64_t)n * run->n_peers);

    for (uint32_t r = 0; r < b->n; r++) {
        b->coef[r] *= c;
    }
    b->rate = sum ? run->lr : 1.0f;
}

static int check_finite(const struct train_clock *c,
                        const struct sv_batch *b,
                        struct err *e)
{
    uint32_t bad = sv_batch_find_not_finite(b);

    if (bad == b->n) {
        return 0;
    }
    return err_set(e, ERR_NOT_FINITE, "row %u of %s: its update is not finite",
                   b->sample[bad] + 1, c->replica->run.data);
}

/* From all pairs of matrix @i to those that are sent, as they are sent. */
static int choose(struct train_clock *c,
                  size_t i,
                  uint64_t clock,
                  struct train_clock_work *work,
                  struct err *e)
{
    struct sv_batch *b = &c->own[i];
    const uint64_t begin_ns = clock_ns();
    double error = 0;
    int rc =
        train_choice_make(&c->choice, i, clock, b, c->replica->pool, &error, e);

    work->seconds_select += (double)(clock_ns() - begin_ns) * 1e-9;
    if (rc != 0) {
        return rc;
    }
    sv_codec_round(b, &c->replica->run.codec);
    if (error > work->selection_error) {
        work->selection_error = error;
    }
    work->n_u += sv_vecs_entries(&b->u);
    work->n_u_dense += (uint64_t)b->n * b->u.len;
    work->n_pairs += b->n;
    return 0;
}

int train_clock_gradient(struct train_clock *c,
                         uint64_t clock,
                         struct model_loss *loss,
                         struct err *e)
{
    const struct train_run *run = &c->replica->run;
    struct sv_sparsify sparsify = {
        .tau = run->tau,
        .unbiased = run->unbiased,
        .seed = run->seed,
        .stream = rng_stream(RNG_SPARSIFY, c->self, clock)};
    struct model_input in = {.data = c->data,
                             .rows = c->rows,
                             .n = run->batch,
                             .w = c->replica->mats,
                             .sparsify = &sparsify,
                             .pool = c->replica->pool};
    int rc;

    dataset_sampler_get(&c->sampler, clock, c->rows);
    rc = c->replica->ops->gradient(c->replica->model, &in, c->own, loss, e);
    for (size_t i = 0; rc == 0 && i < c->n; i++) {
        scale(run, &c->own[i], loss->n);
        rc = check_finite(c, &c->own[i], e);
    }
    return rc;
}

int train_clock_compute(struct train_clock *c,
                        uint64_t clock,
                        struct train_clock_work *work,
                        struct err *e)
{
    int rc;

    memset(work, 0, sizeof *work);
    rc = train_clock_gradient(c, clock, &work->loss, e);
    for (size_t i = 0; rc == 0 && i < c->n; i++) {
        rc = choose(c, i, clock, work, e);
    }
    return rc;
}

/* The records of own batches: those of this clock, or without pairs. */
static int encode(struct train_clock *c,
                  uint64_t clock,
                  bool nothing,
                  struct blob **blob,
                  struct err *e)
{
    c->tools->scratch[0].options = c->replica->run.codec;
    c->tools->scratch[0].plain =
        c->replica->run.transfer.kind != TRAIN_TRANSFER_SV;
    buf_reset(&c->tools->bytes);
    for (size_t i = 0; i < c->n; i++) {
        struct sv_record r = {.kind = SV_RECORD_BATCH,
                              .origin = c->self,
                              .clock = clock,
                              .matrix = (uint16_t)i};
        struct sv_batch none;
        int rc;
        sv_batch_init(&none, c->own[i].u.len, c->own[i].v.len);
        rc = sv_codec_encode(&c->tools->bytes, &r, nothing ? &none : &c->own[i],
                             &c->tools->scratch[0], e);
        sv_batch_fini(&none);
        if (rc != 0) {
            return rc;
        }
    }
    *blob = blob_copy(c->tools->bytes.data, c->tools->bytes.size);
    if (*blob == NULL) {
        return err_set(e, ERR_NOMEM, "records of %zu bytes",
                       c->tools->bytes.size);
    }
    return 0;
}

int train_clock_encode(struct train_clock *c,
                       uint64_t clock,
                       struct blob **blob,
                       struct err *e)
{
    return encode(c, clock, false, blob, e);
}

int train_clock_encode_nothing(struct train_clock *c,
                               uint64_t clock,
                               struct blob **blob,
                               struct err *e)
{
    return encode(c, clock, true, blob, e);
}

struct decode_args {
    struct train_clock *c;
    const struct train_hub_item *items;
    uint64_t clock;   /* Own batches of this clock need no decoding. */
    int *rcs;         /* (n_items). */
    struct err *errs; /* (n_items). */
};

static void decode_item(void *arg, size_t index, size_t thread)
{
    struct decode_args *a = arg;
    struct train_clock *c = a->c;
    const struct train_hub_item *item = &a->items[index];
    size_t at = 0;
    int rc = 0;

    if (item->peer == c->self && item->clock == a->clock) {
        a->rcs[index] = 0;
        return;
    }
    for (size_t i = 0; rc == 0 && i < c->n; i++) {
        struct sv_batch *b = &c->tools->came[index * c->n + i];
        struct sv_record r;
        rc =
            sv_codec_decode(b, &r, item->blob->data + at, item->blob->size - at,
                            &c->tools->scratch[thread], &a->errs[index]);
        at += SV_RECORD_SIZE + (rc == 0 ? r.payload_size : 0);
        if (rc == 0 && item->factor != 1) {
            sv_batch_scale(b, item->factor);
        }
        if (rc == 0 && sv_batch_find_not_finite(b) != b->n) {
            rc = err_set(&a->errs[index], ERR_NOT_FINITE,
                         "it has an update that is not finite");
        }
    }
    a->rcs[index] = rc;
}

static int make_room(struct train_clock *c, size_t n_items, struct err *e)
{
    struct train_clock_tools *t = c->tools;
    size_t ops = n_items + 4;

    if (n_items > t->came_room) {
        void *p = realloc(t->came, n_items * c->n * sizeof *t->came);
        if (p == NULL) {
            return err_set(e, ERR_NOMEM, "%zu batches", n_items);
        }
        t->came = p;
        for (size_t i = t->came_room * c->n; i < n_items * c->n; i++) {
            const struct mat *w = c->replica->mats[i % c->n];
            sv_batch_init(&t->came[i], (uint32_t)w->J, (uint32_t)w->K);
        }
        t->came_room = n_items;
    }
    if (ops > t->ops_room) {
        void *p = realloc(t->ops, ops * sizeof *t->ops);
        if (p == NULL) {
            return err_set(e, ERR_NOMEM, "%zu ops", ops);
        }
        t->ops = p;
        t->ops_room = ops;
    }
    return 0;
}

static int decode(struct train_clock *c,
                  uint64_t clock,
                  const struct train_hub_item *items,
                  size_t n_items,
                  struct err *e)
{
    struct decode_args a = {.c = c, .items = items, .clock = clock};
    int rc = make_room(c, n_items, e);

    a.rcs = calloc(n_items + 1, sizeof *a.rcs);
    a.errs = calloc(n_items + 1, sizeof *a.errs);
    if (rc == 0 && (a.rcs == NULL || a.errs == NULL)) {
        rc = err_set(e, ERR_NOMEM, "%zu batches", n_items);
    }
    if (rc == 0) {
        pool_run(c->replica->pool, n_items, decode_item, &a);
    }
    for (size_t i = 0; rc == 0 && i < n_items; i++) {
        if (a.rcs[i] != 0) {
            rc = err_set(e, a.rcs[i] == ERR_AGAIN ? ERR_CORRUPT : a.rcs[i],
                         "batch of peer %u, clock %" PRIu64 ": %s",
                         items[i].peer, items[i].clock, a.errs[i].msg);
        }
    }
    free(a.rcs);
    free(a.errs);
    return rc;
}

/* The ops of one matrix, as they are collected. */
struct program {
    size_t matrix;
    size_t n_ops; /* In c->tools->ops. */
    struct ckpt_step *step;
};

/* Add an op to the program, and to the step record. */
static int add_op(struct train_clock *c,
                  struct program *p,
                  struct sv_op op,
                  const struct train_hub_item *item,
                  struct err *e)
{
    struct ckpt_op logged = {
        .kind = op.kind, .matrix = (uint16_t)p->matrix, .a = op.a};

    if (item != NULL) {
        logged.a = item->factor;
        logged.origin = item->peer;
        logged.clock = item->clock;
    }
    c->tools->ops[p->n_ops++] = op;
    return ckpt_step_add(p->step, &logged, e);
}

/* The ops that lead a matrix from W_clock to W_{clock+1}. */
static int program(struct train_clock *c,
                   struct program *p,
                   const struct train_hub_item *items,
                   size_t n_items,
                   struct err *e)
{
    const struct train_run *run = &c->replica->run;
    struct sv_op decay = {.kind = SV_OP_SCALE,
                          .a = 1.0f - run->lr * run->decay};
    struct sv_op fade = {.kind = SV_OP_SCALE_AUX, .a = run->momentum};
    struct sv_op add = {.kind = SV_OP_ADD_AUX};
    int rc = run->decay == 0 ? 0 : add_op(c, p, decay, NULL, e);

    if (rc == 0 && run->rule == SV_MOMENTUM) {
        rc = add_op(c, p, fade, NULL, e);
    }
    for (size_t k = 0; rc == 0 && k < n_items; k++) {
        bool own = items[k].peer == c->self && items[k].clock == p->step->clock;
        struct sv_op op = {.kind = SV_OP_APPLY,
                           .batch =
                               own ? &c->own[p->matrix]
                                   : &c->tools->came[k * c->n + p->matrix]};
        rc = add_op(c, p, op, &items[k], e);
    }
    if (rc == 0 && run->rule == SV_MOMENTUM) {
        rc = add_op(c, p, add, NULL, e);
    }
    return rc;
}

int train_clock_apply(struct train_clock *c,
                      const struct train_hub_item *items,
                      size_t n_items,
                      struct ckpt_step *step,
                      struct err *e)
{
    int rc = decode(c, step->clock, items, n_items, e);

    for (size_t i = 0; rc == 0 && i < c->n; i++) {
        struct program p = {.matrix = i, .step = step};
        rc = program(c, &p, items, n_items, e);
        rc = rc != 0
                 ? rc
                 : sv_apply_ops(c->tools->apply, &c->replica->states[i],
                                c->tools->ops, p.n_ops, c->replica->pool, e);
    }
    return rc;
}
