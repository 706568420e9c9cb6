#include "train/loop.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/clock.h"
#include "core/rng.h"
#include "dataset/sampler.h"
#include "sv/codec.h"

#define PROGRESS_NS (100 * CLOCK_MS)

/* The loss that is shown is a mean over about so many clocks. */
#define LOSS_CLOCKS 50

struct loop {
    struct train_loop_options o;
    struct train_summary *s;
    const struct train_run *run;
    struct train_replica *replica;
    size_t n; /* Matrices. */
    struct dataset_sampler sampler;
    uint32_t *rows;                   /* (batch) rows of the minibatch. */
    struct sv_batch *own;             /* (n) what this clock computed. */
    struct sv_codec_scratch *scratch; /* (threads). */
    struct buf bytes;                 /* Encoding. */
    struct sv_batch *came;            /* (came_room, n) decoded batches. */
    size_t came_room;                 /* Clocks' worth of batches. */
    struct sv_op *ops;                /* (ops_room). */
    size_t ops_room;
    struct sv_apply *apply;
    struct ckpt_step step;
    double loss_sum, loss_weight; /* Fading sums for the shown loss. */
    uint64_t begin_ns, begin_cpu_ns, progress_ns;
    double test_loss, test_accuracy; /* Of this clock, or NaN. */
};

/* Add the seconds since *t to *sum, note them in @now, and start anew. */
static void lap(uint64_t *t, double *sum, double *now)
{
    uint64_t ns = clock_ns();
    double seconds = (double)(ns - *t) * 1e-9;

    *sum += seconds;
    *now = (isnan(*now) ? 0 : *now) + seconds;
    *t = ns;
}

static int loop_init(struct loop *l, struct err *e)
{
    size_t threads = pool_threads(l->replica->pool);
    int rc = 0;

    l->n = l->replica->n_states;
    l->sampler = (struct dataset_sampler){.seed = l->run->seed,
                                          .shard = l->o.self,
                                          .n_rows = l->o.data->n_rows,
                                          .batch = l->run->batch};
    l->rows = calloc(l->run->batch, sizeof *l->rows);
    l->own = calloc(l->n, sizeof *l->own);
    l->scratch = calloc(threads, sizeof *l->scratch);
    l->apply = sv_apply_create();
    buf_init(&l->bytes);
    ckpt_step_init(&l->step);
    if (l->rows == NULL || l->own == NULL || l->scratch == NULL ||
        l->apply == NULL) {
        rc = err_set(e, ERR_NOMEM, "minibatches of %u samples", l->run->batch);
    }
    for (size_t t = 0; l->scratch != NULL && t < threads; t++) {
        sv_codec_scratch_init(&l->scratch[t]);
    }
    for (size_t i = 0; l->own != NULL && i < l->n; i++) {
        struct model_param p = l->replica->ops->param(l->replica->model, i);
        sv_batch_init(&l->own[i], p.J, p.K);
    }
    return rc;
}

static void loop_fini(struct loop *l)
{
    for (size_t t = 0; l->scratch != NULL && t < pool_threads(l->replica->pool);
         t++) {
        sv_codec_scratch_fini(&l->scratch[t]);
    }
    for (size_t i = 0; l->own != NULL && i < l->n; i++) {
        sv_batch_fini(&l->own[i]);
    }
    for (size_t i = 0; i < l->came_room * l->n; i++) {
        sv_batch_fini(&l->came[i]);
    }
    free(l->rows);
    free(l->own);
    free(l->scratch);
    free(l->came);
    free(l->ops);
    buf_fini(&l->bytes);
    ckpt_step_fini(&l->step);
    sv_apply_destroy(l->apply);
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

static int
check_finite(const struct loop *l, const struct sv_batch *b, struct err *e)
{
    uint32_t bad = sv_batch_find_not_finite(b);

    if (bad == b->n) {
        return 0;
    }
    return err_set(e, ERR_NOT_FINITE, "row %u of %s: its update is not finite",
                   b->sample[bad] + 1, l->run->data);
}

static int compute(struct loop *l, uint64_t clock, struct err *e)
{
    const struct train_run *run = l->run;
    struct ckpt_metrics *m = &l->step.metrics;
    struct sv_sparsify sparsify = {
        .tau = run->tau,
        .unbiased = run->unbiased,
        .seed = run->seed,
        .stream = rng_stream(RNG_SPARSIFY, l->o.self, clock)};
    struct model_input in = {.data = l->o.data,
                             .rows = l->rows,
                             .n = run->batch,
                             .w = l->replica->mats,
                             .sparsify = &sparsify,
                             .pool = l->replica->pool};
    struct model_loss loss = {0};
    uint64_t entries = 0, dense = 0;
    int rc;

    dataset_sampler_get(&l->sampler, clock, l->rows);
    rc = l->replica->ops->gradient(l->replica->model, &in, l->own, &loss, e);
    m->pairs = 0;
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        struct sv_batch *b = &l->own[i];
        scale(run, b, loss.n);
        rc = check_finite(l, b, e);
        entries += sv_vecs_entries(&b->u);
        dense += (uint64_t)b->n * b->u.len;
        m->pairs += b->n;
    }
    if (rc != 0) {
        return rc;
    }
    l->s->samples += loss.n;
    l->s->u_entries += entries;
    l->s->u_entries_dense += dense;
    l->loss_sum = l->loss_sum * (1 - 1.0 / LOSS_CLOCKS) + loss.sum;
    l->loss_weight = l->loss_weight * (1 - 1.0 / LOSS_CLOCKS) + loss.n;
    m->loss = loss.sum / loss.n;
    m->accuracy = (double)loss.n_right / loss.n;
    m->samples = loss.n;
    m->u_share = dense == 0 ? 0 : (double)entries / (double)dense;
    m->epoch = (double)(clock + 1) * run->batch / l->o.data->n_rows;
    return 0;
}

/* The records of this clock's own batches, as they are sent and logged. */
static int
encode(struct loop *l, uint64_t clock, struct blob **blob, struct err *e)
{
    buf_reset(&l->bytes);
    for (size_t i = 0; i < l->n; i++) {
        struct sv_record r = {.kind = SV_RECORD_BATCH,
                              .origin = l->o.self,
                              .clock = clock,
                              .matrix = (uint16_t)i};
        int rc = sv_codec_encode(&l->bytes, &r, &l->own[i], &l->scratch[0], e);
        if (rc != 0) {
            return rc;
        }
    }
    *blob = blob_copy(l->bytes.data, l->bytes.size);
    if (*blob == NULL) {
        return err_set(e, ERR_NOMEM, "records of %zu bytes", l->bytes.size);
    }
    l->s->encoded_bytes += l->bytes.size;
    l->step.metrics.bytes_encoded = (double)l->bytes.size;
    return 0;
}

struct decode_args {
    struct loop *l;
    const struct train_hub_item *items;
    uint64_t clock;   /* Own batches of this clock need no decoding. */
    int *rcs;         /* (n_items). */
    struct err *errs; /* (n_items). */
};

static void decode_item(void *arg, size_t index, size_t thread)
{
    struct decode_args *a = arg;
    struct loop *l = a->l;
    const struct train_hub_item *item = &a->items[index];
    size_t at = 0;
    int rc = 0;

    if (item->peer == l->o.self && item->clock == a->clock) {
        a->rcs[index] = 0;
        return;
    }
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        struct sv_batch *b = &l->came[index * l->n + i];
        struct sv_record r;
        rc =
            sv_codec_decode(b, &r, item->blob->data + at, item->blob->size - at,
                            &l->scratch[thread], &a->errs[index]);
        at += SV_RECORD_SIZE + (rc == 0 ? r.payload_size : 0);
        if (rc == 0 && sv_batch_find_not_finite(b) != b->n) {
            rc = err_set(&a->errs[index], ERR_NOT_FINITE,
                         "it has an update that is not finite");
        }
    }
    a->rcs[index] = rc;
}

static int make_room(struct loop *l, size_t n_items, struct err *e)
{
    size_t ops = n_items + 4;

    if (n_items > l->came_room) {
        void *p = realloc(l->came, n_items * l->n * sizeof *l->came);
        if (p == NULL) {
            return err_set(e, ERR_NOMEM, "%zu batches", n_items);
        }
        l->came = p;
        for (size_t i = l->came_room * l->n; i < n_items * l->n; i++) {
            const struct mat *w = l->replica->mats[i % l->n];
            sv_batch_init(&l->came[i], (uint32_t)w->J, (uint32_t)w->K);
        }
        l->came_room = n_items;
    }
    if (ops > l->ops_room) {
        void *p = realloc(l->ops, ops * sizeof *l->ops);
        if (p == NULL) {
            return err_set(e, ERR_NOMEM, "%zu ops", ops);
        }
        l->ops = p;
        l->ops_room = ops;
    }
    return 0;
}

static int decode(struct loop *l,
                  uint64_t clock,
                  const struct train_hub_item *items,
                  size_t n_items,
                  struct err *e)
{
    struct decode_args a = {.l = l, .items = items, .clock = clock};
    int rc = make_room(l, n_items, e);

    a.rcs = calloc(n_items + 1, sizeof *a.rcs);
    a.errs = calloc(n_items + 1, sizeof *a.errs);
    if (rc == 0 && (a.rcs == NULL || a.errs == NULL)) {
        rc = err_set(e, ERR_NOMEM, "%zu batches", n_items);
    }
    if (rc == 0) {
        pool_run(l->replica->pool, n_items, decode_item, &a);
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

/* Add an op to the program of matrix @i, and to the step record. */
static int add_op(struct loop *l,
                  size_t i,
                  size_t *n_ops,
                  struct sv_op op,
                  const struct train_hub_item *item,
                  struct err *e)
{
    struct ckpt_op logged = {.kind = op.kind, .matrix = (uint16_t)i, .a = op.a};

    if (item != NULL) {
        logged.origin = item->peer;
        logged.clock = item->clock;
    }
    l->ops[(*n_ops)++] = op;
    return ckpt_step_add(&l->step, &logged, e);
}

/* The ops that lead matrix @i from W_clock to W_{clock+1}. */
static int program(struct loop *l,
                   size_t i,
                   const struct train_hub_item *items,
                   size_t n_items,
                   size_t *n_ops,
                   struct err *e)
{
    const struct train_run *run = l->run;
    uint64_t clock = l->step.clock;
    int rc = 0;

    *n_ops = 0;
    if (run->decay != 0) {
        rc = add_op(l, i, n_ops,
                    (struct sv_op){.kind = SV_OP_SCALE,
                                   .a = 1.0f - run->lr * run->decay},
                    NULL, e);
    }
    if (rc == 0 && run->rule == SV_MOMENTUM) {
        rc = add_op(l, i, n_ops,
                    (struct sv_op){.kind = SV_OP_SCALE_AUX, .a = run->momentum},
                    NULL, e);
    }
    for (size_t k = 0; rc == 0 && k < n_items; k++) {
        bool own = items[k].peer == l->o.self && items[k].clock == clock;
        const struct sv_batch *b = own ? &l->own[i] : &l->came[k * l->n + i];
        rc =
            add_op(l, i, n_ops, (struct sv_op){.kind = SV_OP_APPLY, .batch = b},
                   &items[k], e);
    }
    if (rc == 0 && run->rule == SV_MOMENTUM) {
        rc =
            add_op(l, i, n_ops, (struct sv_op){.kind = SV_OP_ADD_AUX}, NULL, e);
    }
    return rc;
}

static int apply(struct loop *l,
                 const struct train_hub_item *items,
                 size_t n_items,
                 struct err *e)
{
    uint64_t clock = l->step.clock, oldest = clock;
    int rc = decode(l, clock, items, n_items, e);

    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        size_t n_ops = 0;
        rc = program(l, i, items, n_items, &n_ops, e);
        rc = rc != 0 ? rc
                     : sv_apply_ops(l->apply, &l->replica->states[i], l->ops,
                                    n_ops, l->replica->pool, e);
    }
    for (size_t k = 0; k < n_items; k++) {
        oldest = items[k].clock < oldest ? items[k].clock : oldest;
    }
    l->step.metrics.staleness = (double)(clock - oldest);
    return rc;
}

/* The batches of others, then the step that names them. */
static int log_step(struct loop *l,
                    const struct train_hub_item *items,
                    size_t n_items,
                    struct err *e)
{
    struct blob *b;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n_items; i++) {
        if (items[i].peer != l->o.self) {
            rc = ckpt_log_put(l->o.log, items[i].blob, e);
        }
    }
    buf_reset(&l->bytes);
    rc = rc != 0 ? rc : ckpt_step_write(&l->bytes, 0, l->o.self, &l->step, e);
    if (rc != 0) {
        return rc;
    }
    b = blob_copy(l->bytes.data, l->bytes.size);
    rc = b == NULL ? err_set(e, ERR_NOMEM, "step record")
                   : ckpt_log_put(l->o.log, b, e);
    blob_unref(b);
    return rc;
}

/* Take the digest of W_@clock: for the log, and for the others. */
static int take_digest(struct loop *l, uint64_t clock, struct err *e)
{
    struct hash128 all[MODEL_PARAMS_MAX], joint;
    struct blob *b;
    int rc = 0;

    buf_reset(&l->bytes);
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        all[i] = hash_mat(l->replica->mats[i]);
        rc = ckpt_digest_write(&l->bytes, 0, l->o.self, clock, (uint16_t)i,
                               all[i]);
    }
    if (rc != 0) {
        return err_set(e, rc, "digest record");
    }
    joint = all[0];
    if (l->n > 1) {
        joint.low = hash64(all, l->n * sizeof all[0]);
    }
    l->s->digest = all[0];
    l->s->has_digest = true;
    b = blob_copy(l->bytes.data, l->bytes.size);
    rc = b == NULL ? err_set(e, ERR_NOMEM, "digest record")
                   : ckpt_log_put(l->o.log, b, e);
    blob_unref(b);
    if (rc == 0) {
        train_hub_digest(l->o.hub, clock, joint);
    }
    return rc;
}

static bool due(uint64_t every, uint64_t clock, uint64_t last)
{
    return clock == last || (every != 0 && clock % every == 0);
}

static int evaluate(struct loop *l, uint64_t clock, struct err *e)
{
    struct model_score score = {0};
    uint64_t t = clock_ns();
    double seconds = NAN;
    int rc;

    if (l->o.test == NULL || !due(l->run->eval_every, clock, l->o.last_clock)) {
        return 0;
    }
    rc = l->replica->ops->evaluate(l->replica->model, l->replica->mats,
                                   l->o.test, l->replica->pool, &score, e);
    if (rc != 0) {
        return rc;
    }
    l->s->test_loss = l->step.metrics.test_loss = score.loss;
    l->s->test_accuracy = l->step.metrics.test_accuracy = score.accuracy;
    l->s->test_clock = clock;
    lap(&t, &l->s->seconds_eval, &seconds);
    return 0;
}

static void summarize(struct loop *l)
{
    struct train_summary *s = l->s;
    struct rusage usage;

    s->loss = l->loss_weight > 0 ? l->loss_sum / l->loss_weight : NAN;
    s->epoch = train_run_epochs(l->run, s->clock);
    s->log_bytes = ckpt_log_bytes(l->o.log);
    s->stats = train_hub_stats(l->o.hub);
    s->seconds_train =
        (double)(clock_ns() - l->begin_ns) * 1e-9 - s->seconds_eval;
    s->seconds_cpu = (double)(clock_cpu_ns() - l->begin_cpu_ns) * 1e-9;
    getrusage(RUSAGE_SELF, &usage);
    s->rss_max_bytes = (uint64_t)usage.ru_maxrss * 1024;
}

static void report(struct loop *l)
{
    uint64_t now = clock_ns();

    if (l->o.progress != NULL && now - l->progress_ns >= PROGRESS_NS) {
        l->progress_ns = now;
        summarize(l);
        l->o.progress(l->o.progress_arg, l->s);
    }
}

/* From W_clock to what the others get. */
static int first_half(struct loop *l, uint64_t clock, struct err *e)
{
    struct ckpt_metrics *m = &l->step.metrics;
    struct blob *own = NULL;
    uint64_t t = clock_ns();
    int rc = compute(l, clock, e);

    lap(&t, &l->s->seconds_compute, &m->seconds_compute);
    if (rc != 0) {
        return err_wrap(e, rc, "clock %" PRIu64 ", peer %u", clock, l->o.self);
    }
    rc = encode(l, clock, &own, e);
    lap(&t, &l->s->seconds_encode, &m->seconds_encode);
    if (rc == 0) {
        rc = ckpt_log_put(l->o.log, own, e);
        lap(&t, &l->s->seconds_log, &m->seconds_log);
    }
    if (rc == 0) {
        rc = train_hub_own(l->o.hub, clock, own);
        if (rc != 0) {
            rc = err_set(e, rc, "%s", err_str(rc));
        }
    }
    blob_unref(own);
    return rc;
}

/* From what came through the gate to W_{clock+1}. */
static int second_half(struct loop *l, uint64_t begin_ns, struct err *e)
{
    struct ckpt_metrics *m = &l->step.metrics;
    uint64_t t = clock_ns(), clock = l->step.clock;
    struct p2p_stats before = l->s->stats;
    struct train_hub_item *items = NULL;
    size_t n_items = 0;
    int rc = train_hub_gate(l->o.hub, &items, &n_items, e);

    lap(&t, &l->s->seconds_wait, &m->seconds_wait);
    if (rc != 0) {
        return rc;
    }
    rc = apply(l, items, n_items, e);
    lap(&t, &l->s->seconds_apply, &m->seconds_apply);
    if (rc == 0) {
        rc = evaluate(l, clock + 1, e);
        t = clock_ns();
    }
    l->s->stats = train_hub_stats(l->o.hub);
    m->bytes_sent = (double)(l->s->stats.bytes_sent - before.bytes_sent);
    m->bytes_received =
        (double)(l->s->stats.bytes_received - before.bytes_received);
    m->seconds_clock = (double)(t - begin_ns) * 1e-9;
    rc = rc != 0 ? rc : log_step(l, items, n_items, e);
    lap(&t, &l->s->seconds_log, &m->seconds_log);
    for (size_t i = 0; i < n_items; i++) {
        blob_unref(items[i].blob);
    }
    if (rc == 0) {
        l->s->clock = clock + 1;
        if (due(l->run->digest_every, clock + 1, l->o.last_clock)) {
            rc = take_digest(l, clock + 1, e);
        }
    }
    return rc;
}

static int clocks(struct loop *l, uint64_t first, struct err *e)
{
    int rc = 0;

    for (uint64_t c = first; rc == 0 && c < l->o.last_clock; c++) {
        uint64_t begin_ns = clock_ns();
        if (l->o.interrupted != NULL && *l->o.interrupted != 0) {
            return err_set(e, ERR_INTERRUPTED, "interrupted");
        }
        ckpt_step_reset(&l->step, c);
        rc = first_half(l, c, e);
        rc = rc != 0 ? rc : second_half(l, begin_ns, e);
        report(l);
    }
    return rc;
}

/* What the hub has to say comes before what we saw of it. */
static int outcome(struct loop *l, int rc, struct err *e)
{
    char why[ERR_MSG_SIZE];
    p2p_peer peer;
    int said;

    if (rc != 0 && rc != ERR_CLOSED) {
        train_hub_stop(l->o.hub, rc, e->msg);
        return rc;
    }
    said = train_hub_outcome(l->o.hub, &peer, why);
    if (said != 0) {
        return err_set(e, said, "%s", why);
    }
    assert(rc == 0);
    return 0;
}

int train_loop_run(const struct train_loop_options *o,
                   struct train_summary *s,
                   struct err *e)
{
    struct loop l = {
        .o = *o, .s = s, .run = &o->replica->run, .replica = o->replica};
    uint64_t first = o->replica->clock;
    int rc;

    memset(s, 0, sizeof *s);
    s->clock = s->first_clock = first;
    s->clocks = o->last_clock;
    s->rule = l.run->rule;
    s->lr = l.run->lr;
    s->test_loss = s->test_accuracy = NAN;
    rc = loop_init(&l, e);
    if (rc != 0) {
        loop_fini(&l);
        train_hub_stop(o->hub, rc, e->msg);
        return rc;
    }
    l.begin_ns = clock_ns();
    l.begin_cpu_ns = clock_cpu_ns();
    if (first > 0 && due(l.run->digest_every, first, o->last_clock)) {
        rc = take_digest(&l, first, e); /* Do we resume from the same bits? */
    }
    rc = rc != 0 ? rc : clocks(&l, first, e);
    summarize(&l);
    if (rc == 0) {
        train_hub_wait_end(o->hub);
    }
    rc = outcome(&l, rc, e);
    if (rc == 0) {
        s->stats = train_hub_stats(o->hub);
    }
    loop_fini(&l);
    return rc;
}
