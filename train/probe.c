#include "train/probe.h"

#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"
#include "select/select.h"

#define TURNS 2
#define OPS_MAX \
    8 /* Batches that are applied to learn what more of them take. */
#define F32_SIZE  4.0
#define PASS_SIZE ((size_t)64 << 20) /* Bytes that tell how fast a pass is. */

/* Passes over a matrix of the dense way: zero the gradient, add what comes,
 * take the step. */
#define MATRIX_PASSES 3

static double since(uint64_t begin_ns)
{
    return (double)(clock_ns() - begin_ns) * 1e-9;
}

int train_probe_init(struct train_probe *p,
                     struct train_replica *replica,
                     struct err *e)
{
    memset(p, 0, sizeof *p);
    p->replica = replica;
    buf_init(&p->bytes);
    sv_codec_scratch_init(&p->scratch);
    p->apply = sv_apply_create();
    return p->apply == NULL ? err_set(e, ERR_NOMEM, "scratch memory") : 0;
}

void train_probe_fini(struct train_probe *p)
{
    sv_apply_destroy(p->apply);
    sv_codec_scratch_fini(&p->scratch);
    buf_fini(&p->bytes);
    memset(p, 0, sizeof *p);
}

static void drop_signs(struct sv_vecs *x)
{
    const size_t n = x->sparse ? sv_vecs_entries(x) : (size_t)x->n * x->ld;

    for (size_t i = 0; i < n; i++) {
        x->val[i] = fabsf(x->val[i]);
    }
}

/* Make every product of the batch -0. */
static void make_nothing(struct sv_batch *b)
{
    drop_signs(&b->u);
    drop_signs(&b->v);
    for (uint32_t r = 0; r < b->n; r++) {
        b->coef[r] = -0.0f;
    }
}

/* Seconds that @n_batches batches such as @b, which make_nothing() made, take.
 */
static int time_apply(struct train_probe *p,
                      size_t i,
                      const struct sv_batch *b,
                      uint32_t n_batches,
                      double *seconds,
                      struct err *e)
{
    const uint32_t n_ops = n_batches < OPS_MAX ? n_batches : OPS_MAX;
    struct sv_op ops[OPS_MAX];
    int rc = 0;

    for (uint32_t k = 0; k < n_ops; k++) {
        ops[k] = (struct sv_op){.kind = SV_OP_APPLY, .batch = b};
    }
    *seconds = INFINITY;
    for (int turn = 0; rc == 0 && turn < TURNS; turn++) {
        const uint64_t begin_ns = clock_ns();
        rc = sv_apply_ops(p->apply, &p->replica->states[i], ops, n_ops,
                          p->replica->pool, e);
        *seconds = fmin(*seconds, since(begin_ns) * n_batches / n_ops);
    }
    return rc;
}

static struct train_cost_pairs pairs_of(const struct sv_batch *b)
{
    struct train_cost_pairs p = {.n = b->n};

    if (b->n > 0) {
        p.nnz_u = (double)sv_vecs_entries(&b->u) / b->n;
        p.nnz_v = (double)sv_vecs_entries(&b->v) / b->n;
    }
    return p;
}

static double vecs_memory(const struct sv_vecs *x)
{
    return x->sparse ? 2 * F32_SIZE * (double)sv_vecs_entries(x)
                     : F32_SIZE * (double)x->n * x->ld;
}

/* A batch on its way. */
struct trip {
    struct train_probe *p;
    size_t i;
    const struct sv_batch *in;
    const struct train_probe_way *way;
    struct sv_batch carried, chosen, came;
    double decode;
};

/* Select, round, encode and decode once. */
static int once(struct trip *t, struct train_probe_result *r, struct err *e)
{
    const struct train_run *run = &t->p->replica->run;
    const struct sv_record head = {.kind = SV_RECORD_BATCH,
                                   .matrix = (uint16_t)t->i};
    const struct select_job job = {
        .in = t->in,
        .carried = t->way->select.feedback > 0 ? &t->carried : NULL,
        .seed = run->seed,
        .stream = rng_stream(RNG_SELECT, t->i, 0),
        .pool = t->p->replica->pool};
    struct sv_record record;
    uint64_t begin_ns = clock_ns();
    int rc = select_run(&t->way->select, &job, &t->chosen, &r->error, e);

    if (t->way->select.kind == SELECT_NONE) {
        begin_ns = clock_ns(); /* Training does not copy them. */
    }
    if (rc != 0) {
        return rc;
    }
    sv_codec_round(&t->chosen, &t->way->codec);
    r->select = fmin(r->select, since(begin_ns));
    begin_ns = clock_ns();
    t->p->scratch.options = t->way->codec;
    buf_reset(&t->p->bytes);
    rc = sv_codec_encode(&t->p->bytes, &head, &t->chosen, &t->p->scratch, e);
    r->encode = fmin(r->encode, since(begin_ns));
    begin_ns = clock_ns();
    rc = rc != 0 ? rc
                 : sv_codec_decode(&t->came, &record, t->p->bytes.data,
                                   t->p->bytes.size, &t->p->scratch, e);
    t->decode = fmin(t->decode, since(begin_ns));
    return rc;
}

static int
there_and_back(struct trip *t, struct train_probe_result *r, struct err *e)
{
    const struct train_probe_way *way = t->way;
    const double threads = (double)pool_threads(t->p->replica->pool);
    double apply = 0;
    int rc = 0;

    r->select = r->encode = t->decode = INFINITY;
    for (int turn = 0; rc == 0 && turn < TURNS; turn++) {
        rc = once(t, r, e);
    }
    if (rc != 0) {
        return rc;
    }
    r->sent = pairs_of(&t->chosen);
    r->memory = vecs_memory(&t->chosen.u) + vecs_memory(&t->chosen.v);
    r->size = (double)t->p->bytes.size;
    make_nothing(&t->came);
    rc = time_apply(t->p, t->i, &t->came, way->n_batches, &apply, e);
    /* Threads decode what comes from the others side by side. */
    r->apply = apply + t->decode * ceil((way->n_batches - 1.0) / threads);
    return rc;
}

int train_probe_batch(struct train_probe *p,
                      size_t i,
                      const struct sv_batch *in,
                      const struct train_probe_way *way,
                      struct train_probe_result *r,
                      struct err *e)
{
    struct trip t = {.p = p, .i = i, .in = in, .way = way};
    int rc;

    memset(r, 0, sizeof *r);
    sv_batch_init(&t.carried, in->u.len, in->v.len);
    sv_batch_init(&t.chosen, in->u.len, in->v.len);
    sv_batch_init(&t.came, in->u.len, in->v.len);
    rc = there_and_back(&t, r, e);
    sv_batch_fini(&t.carried);
    sv_batch_fini(&t.chosen);
    sv_batch_fini(&t.came);
    return rc;
}

/* Seconds of reading and writing a whole matrix, from those of its first rows:
 * rows that sparse data never touched take no memory, and shall not now. */
static int
time_pass(struct train_probe *p, size_t i, double *seconds, struct err *e)
{
    const struct sv_op op = {.kind = SV_OP_SCALE, .a = 1};
    struct sv_state some = p->replica->states[i]; /* The same memory. */
    const size_t K = some.w.K, row_size = some.w.ld * sizeof(float);
    int rc = 0;

    some.w.K = K < 1 + PASS_SIZE / row_size ? K : 1 + PASS_SIZE / row_size;
    some.aux.K = some.aux.K < some.w.K ? some.aux.K : some.w.K;
    *seconds = INFINITY;
    for (int turn = 0; rc == 0 && turn < TURNS; turn++) {
        const uint64_t begin_ns = clock_ns();
        rc = sv_apply_ops(p->apply, &some, &op, 1, p->replica->pool, e);
        *seconds =
            fmin(*seconds, since(begin_ns) * (double)K / (double)some.w.K);
    }
    return rc;
}

int train_probe_matrix(struct train_probe *p,
                       size_t i,
                       const struct sv_batch *in,
                       double *form,
                       double *passes,
                       struct err *e)
{
    struct sv_batch nothing;
    int rc;

    sv_batch_init(&nothing, in->u.len, in->v.len);
    sv_batch_reset(&nothing, in->u.sparse, in->v.sparse);
    nothing.rate = in->rate;
    rc = sv_batch_concat(&nothing, in, e);
    if (rc == 0) {
        make_nothing(&nothing);
        rc = time_apply(p, i, &nothing, 1, form, e);
    }
    rc = rc != 0 ? rc : time_pass(p, i, passes, e);
    *passes *= MATRIX_PASSES;
    sv_batch_fini(&nothing);
    return rc;
}

static bool any_sparse(const struct train_clock *c)
{
    bool any = false;

    for (size_t i = 0; i < c->n; i++) {
        any = any || c->own[i].v.sparse;
    }
    return any;
}

/* A way that form rules out is not measured. */
static int probe_sv(struct train_probe *p,
                    const struct train_clock *c,
                    struct train_auto_way *w,
                    struct err *e)
{
    const struct train_run *run = &c->replica->run;
    const struct train_delivery d = train_run_delivery(run, UINT64_MAX);
    const struct train_probe_way way = {.select = w->spec,
                                        .codec = run->codec,
                                        .n_batches = train_cost_batches(&d)};
    const bool v_sparse = any_sparse(c);
    int rc = 0;

    train_auto_judge(&w->spec, 0, v_sparse, w->out);
    for (size_t i = 0; rc == 0 && w->out[0] == '\0' && i < c->n; i++) {
        struct train_probe_result r;
        rc = train_probe_batch(p, i, &c->own[i], &way, &r, e);
        w->size += r.size;
        w->error = fmax(w->error, r.error);
        w->select += r.select;
        w->encode += r.encode;
        w->apply += r.apply;
    }
    train_auto_judge(&w->spec, w->error, v_sparse, w->out);
    return rc;
}

static int probe_matrix(struct train_probe *p,
                        const struct train_clock *c,
                        struct train_auto_way *w,
                        struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < c->n; i++) {
        const struct mat *m = c->replica->mats[i];
        const struct train_cost_traffic t =
            train_cost_matrix_ring(m->J, m->K, c->replica->run.n_peers);
        double form = 0, passes = 0;
        rc = train_probe_matrix(p, i, &c->own[i], &form, &passes, e);
        w->traffic.bytes += t.bytes;
        w->traffic.rounds += t.rounds;
        w->apply += form + passes;
    }
    return rc;
}

int train_probe_auto(struct train_clock *c,
                     uint64_t clock,
                     struct train_auto *a,
                     struct err *e)
{
    struct model_loss loss;
    struct train_probe p;
    uint64_t begin_ns;
    int rc = train_probe_init(&p, c->replica, e);

    /* Applying touches all of W that the gradient will read. */
    rc = rc != 0 ? rc : train_clock_gradient(c, clock, &loss, e);
    for (uint32_t i = 0; rc == 0 && i < a->n_ways; i++) {
        rc = a->ways[i].matrix ? probe_matrix(&p, c, &a->ways[i], e)
                               : probe_sv(&p, c, &a->ways[i], e);
    }
    begin_ns = clock_ns();
    rc = rc != 0 ? rc : train_clock_gradient(c, clock, &loss, e);
    a->o.gradient = since(begin_ns);
    train_probe_fini(&p);
    if (rc == 0) {
        train_auto_choose(a);
    }
    return rc;
}
