#include "train/loop.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "core/clock.h"
#include "train/auto.h"
#include "train/clock.h"
#include "train/probe.h"
#include "train/transfer.h"

#define PROGRESS_NS (100 * CLOCK_MS)

/* The loss that is shown is a mean over about so many clocks. */
#define LOSS_CLOCKS 50

struct loop {
    struct train_loop_options o;
    struct train_summary *s;
    const struct train_run *run;
    struct train_replica *replica;
    struct train_clock_tools tools;
    struct train_clock clock;
    struct train_auto choice; /* --select auto. */
    bool matrices;            /* Travel, not pairs, by transfer. */
    struct train_transfer transfer;
    struct ckpt_step step;
    struct buf bytes;             /* Of step and digest records. */
    double loss_sum, loss_weight; /* Fading sums for the shown loss. */
    uint64_t begin_ns, begin_cpu_ns, progress_ns;
    uint64_t clock_end_ns; /* Of the clock before, as seconds_clock has it. */
    double log_late; /* Seconds that logging took behind that. NaN: none. */
    bool reached;    /* The target: this peer has evaluated, and says so. */
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
    int rc;

    buf_init(&l->bytes);
    ckpt_step_init(&l->step);
    rc = train_clock_tools_init(&l->tools, l->replica, e);
    rc = rc != 0 ? rc
                 : train_clock_init(&l->clock, l->replica, l->o.data, l->o.self,
                                    &l->tools, e);
    if (rc == 0 && l->replica->reader != NULL) {
        rc = train_choice_read(&l->clock.choice, l->replica->reader,
                               l->replica->clock, &l->tools.scratch[0], e);
    }
    if (rc == 0 && l->matrices) {
        rc = train_transfer_init(&l->transfer, l->replica, l->o.hub, e);
    }
    return rc;
}

static bool is_auto(const struct loop *l)
{
    return l->run->select.kind == SELECT_AUTO;
}

/* Say what was chosen, and go on by it. */
static void take_choice(struct loop *l)
{
    char text[TRAIN_AUTO_TEXT_SIZE];

    train_choice_set(&l->clock.choice, train_auto_spec(&l->choice));
    if (l->o.note != NULL) {
        train_auto_format(&l->choice, text);
        l->o.note(l->o.note_arg, text);
    }
}

/* Before the first clock. The network thread runs meanwhile, so that the others
 * know that we live. */
static int choose(struct loop *l, uint64_t clock, struct err *e)
{
    const struct train_auto_options o = {
        .delivery = train_run_delivery(l->run, l->o.last_clock),
        .hidden = l->run->mode != TRAIN_BSP,
        .link = l->o.link,
        .latency = l->o.latency};
    int rc;

    if (!is_auto(l) || clock >= l->o.last_clock) {
        return 0;
    }
    train_auto_init(&l->choice, &o, l->run->batch);
    rc = train_probe_auto(&l->clock, clock, &l->choice, e);
    if (rc != 0) {
        return err_wrap(e, rc, "choosing what to send");
    }
    take_choice(l);
    return 0;
}

/* What the last clock took, for the choice of the next ones. */
static void observe(struct loop *l)
{
    const struct ckpt_metrics *m = &l->step.metrics;
    const struct train_auto_window clock = {.gradient = m->seconds_compute,
                                            .select = m->seconds_select,
                                            .encode = m->seconds_encode,
                                            .apply = m->seconds_apply,
                                            .wait = m->seconds_wait,
                                            .other = m->seconds_log,
                                            .size = m->bytes_encoded,
                                            .error = m->selection_error};

    if (is_auto(l) && train_auto_observe(&l->choice, &clock)) {
        take_choice(l);
    }
}

static void loop_fini(struct loop *l)
{
    if (l->matrices) {
        train_transfer_fini(&l->transfer);
    }
    train_clock_fini(&l->clock);
    train_clock_tools_fini(&l->tools);
    buf_fini(&l->bytes);
    ckpt_step_fini(&l->step);
}

static int compute(struct loop *l, uint64_t clock, struct err *e)
{
    struct ckpt_metrics *m = &l->step.metrics;
    struct train_clock_work work;
    int rc = train_clock_compute(&l->clock, clock, &work, e);

    if (rc != 0) {
        return rc;
    }
    l->s->samples += work.loss.n;
    l->s->u_entries += work.n_u;
    l->s->u_entries_dense += work.n_u_dense;
    l->loss_sum = l->loss_sum * (1 - 1.0 / LOSS_CLOCKS) + work.loss.sum;
    l->loss_weight = l->loss_weight * (1 - 1.0 / LOSS_CLOCKS) + work.loss.n;
    m->loss = work.loss.sum / work.loss.n;
    m->accuracy = (double)work.loss.n_right / work.loss.n;
    m->samples = work.loss.n;
    m->pairs = (double)work.n_pairs;
    m->selection_error = work.selection_error;
    m->seconds_select = work.seconds_select;
    l->s->pairs += work.n_pairs;
    l->s->selection_error = work.selection_error;
    m->u_share =
        work.n_u_dense == 0 ? 0 : (double)work.n_u / (double)work.n_u_dense;
    m->selection = (double)l->clock.choice.spec.kind;
    m->epoch = (double)(clock + 1) * l->run->batch / l->o.data->n_rows;
    return 0;
}

static int
encode(struct loop *l, uint64_t clock, struct blob **blob, struct err *e)
{
    int rc = train_clock_encode(&l->clock, clock, blob, e);

    if (rc == 0) {
        l->s->encoded_bytes += (*blob)->size;
        l->step.metrics.bytes_encoded = (double)(*blob)->size;
    }
    return rc;
}

static int apply(struct loop *l,
                 const struct train_hub_item *items,
                 size_t n_items,
                 struct err *e)
{
    uint64_t clock = l->step.clock, oldest = clock;

    for (size_t k = 0; k < n_items; k++) {
        oldest = items[k].clock < oldest ? items[k].clock : oldest;
    }
    l->step.metrics.staleness = (double)(clock - oldest);
    l->step.metrics.staleness_bound = (double)train_hub_staleness(l->o.hub);
    buf_reset(&l->bytes);
    return train_clock_apply(&l->clock, items, n_items, &l->step, e);
}

/* What rounds with other replicas have brought. Its records go to l->bytes. */
static int mix(struct loop *l, struct err *e)
{
    struct train_exchange_result *results;
    size_t n = train_hub_results(l->o.hub, &results);
    int rc = train_mix_apply(l->o.mix, results, n, l->tools.apply, &l->step,
                             &l->bytes, e);

    for (size_t i = 0; i < n; i++) {
        blob_unref(results[i].part);
        blob_unref(results[i].result);
    }
    return rc;
}

/* The batches of others, the rows that apply() left in l->bytes, then the step
 * that names them. */
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
    struct hash128 all[MODEL_PARAMS_MAX];
    struct hash128 joint = train_replica_digest(l->replica, all);
    struct blob *b;
    int rc = 0;

    buf_reset(&l->bytes);
    for (size_t i = 0; rc == 0 && i < l->replica->n_states; i++) {
        rc = ckpt_digest_write(&l->bytes, 0, l->o.self, clock, (uint16_t)i,
                               all[i]);
    }
    if (rc != 0) {
        return err_set(e, rc, "digest record");
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
    l->reached =
        train_until_reached(&l->run->until, score.loss, score.accuracy);
    lap(&t, &l->s->seconds_eval, &seconds);
    return 0;
}

/* What training has sent and received, without what was measured before. */
static struct p2p_stats network(const struct loop *l)
{
    const struct p2p_stats *before = &l->o.before;
    struct p2p_stats s = train_hub_stats(l->o.hub);

    if (s.bytes_sent < before->bytes_sent) { /* It has not looked yet. */
        return (struct p2p_stats){0};
    }
    s.bytes_sent -= before->bytes_sent;
    s.bytes_received -= before->bytes_received;
    s.msgs_sent -= before->msgs_sent;
    s.msgs_received -= before->msgs_received;
    s.msgs_dropped -= before->msgs_dropped;
    return s;
}

static void summarize(struct loop *l)
{
    struct train_summary *s = l->s;
    struct rusage usage;

    s->loss = l->loss_weight > 0 ? l->loss_sum / l->loss_weight : NAN;
    s->epoch = train_run_epochs(l->run, s->clock);
    s->log_bytes = ckpt_log_bytes(l->o.log);
    s->stats = network(l);
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

/* What selection left for @clock, for a peer that resumes there. */
static int log_carried(struct loop *l, uint64_t clock, struct err *e)
{
    struct blob *b;
    int rc;

    buf_reset(&l->bytes);
    rc = train_choice_write(&l->clock.choice, clock, &l->bytes,
                            &l->tools.scratch[0], e);
    if (rc != 0 || l->bytes.size == 0) {
        return rc;
    }
    b = blob_copy(l->bytes.data, l->bytes.size);
    rc = b == NULL ? err_set(e, ERR_NOMEM, "what is carried")
                   : ckpt_log_put(l->o.log, b, e);
    blob_unref(b);
    return rc;
}

/* The own batch becomes the update of all: what is logged and applied. What the
 * others are sent for this clock has no pairs. */
static int
transfer(struct loop *l, uint64_t clock, struct blob **sent, struct err *e)
{
    int rc = train_transfer_run(&l->transfer, clock, l->clock.own, e);
    double pairs = 0;

    if (rc == ERR_CLOSED) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < l->clock.n; i++) {
        const struct sv_batch *b = &l->clock.own[i];
        pairs += b->n;
        if (sv_batch_find_not_finite(b) != b->n) {
            rc =
                err_set(e, ERR_NOT_FINITE,
                        "the update of clock %" PRIu64 " is not finite", clock);
        }
    }
    l->step.metrics.pairs = pairs;
    return rc != 0 ? rc : train_clock_encode_nothing(&l->clock, clock, sent, e);
}

/* From W_clock to what the others get. */
static int first_half(struct loop *l, uint64_t clock, struct err *e)
{
    struct ckpt_metrics *m = &l->step.metrics;
    struct blob *own = NULL, *sent = NULL;
    uint64_t t = clock_ns();
    int rc = compute(l, clock, e);

    lap(&t, &l->s->seconds_compute, &m->seconds_compute);
    if (rc == 0) {
        l->s->seconds_compute -= m->seconds_select;
        l->s->seconds_select += m->seconds_select;
        m->seconds_compute -= m->seconds_select;
    }
    if (rc != 0) {
        return err_wrap(e, rc, "clock %" PRIu64 ", peer %u", clock, l->o.self);
    }
    if (l->matrices) {
        rc = transfer(l, clock, &sent, e);
        lap(&t, &l->s->seconds_wait, &m->seconds_wait);
    }
    rc = rc != 0 ? rc : encode(l, clock, &own, e);
    lap(&t, &l->s->seconds_encode, &m->seconds_encode);
    if (rc == 0) {
        rc = ckpt_log_put(l->o.log, own, e);
        rc = rc != 0 ? rc : log_carried(l, clock + 1, e);
        lap(&t, &l->s->seconds_log, &m->seconds_log);
    }
    if (rc == 0) {
        rc = train_hub_own(l->o.hub, clock, sent != NULL ? sent : own);
        if (rc != 0) {
            rc = err_set(e, rc, "%s", err_str(rc));
        }
    }
    blob_unref(own);
    blob_unref(sent);
    return rc;
}

/* Where matrices travel, the own batch is the update of all: let go of what the
 * others have sent. Returns how many items are left. */
static size_t
keep_own(const struct loop *l, struct train_hub_item *items, size_t n_items)
{
    size_t n = 0;

    for (size_t i = 0; i < n_items; i++) {
        if (items[i].peer == l->o.self) {
            items[n++] = items[i];
        } else {
            blob_unref(items[i].blob);
        }
    }
    return n;
}

/* From what came through the gate to W_{clock+1}. */
static int second_half(struct loop *l, struct err *e)
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
    n_items = l->matrices ? keep_own(l, items, n_items) : n_items;
    rc = apply(l, items, n_items, e);
    rc = rc != 0 ? rc : mix(l, e);
    lap(&t, &l->s->seconds_apply, &m->seconds_apply);
    if (rc == 0) {
        rc = evaluate(l, clock + 1, e);
        t = clock_ns();
    }
    l->s->stats = network(l);
    m->bytes_sent = (double)(l->s->stats.bytes_sent - before.bytes_sent);
    m->bytes_received =
        (double)(l->s->stats.bytes_received - before.bytes_received);
    m->seconds_clock = (double)(t - l->clock_end_ns) * 1e-9;
    l->clock_end_ns = t;
    rc = rc != 0 ? rc : log_step(l, items, n_items, e);
    lap(&t, &l->s->seconds_log, &l->log_late);
    for (size_t i = 0; i < n_items; i++) {
        blob_unref(items[i].blob);
    }
    if (rc == 0) {
        l->s->clock = clock + 1;
        if (due(l->run->digest_every, clock + 1, l->o.last_clock) ||
            l->reached) {
            rc = take_digest(l, clock + 1, e);
        }
    }
    return rc;
}

static int clocks(struct loop *l, uint64_t first, struct err *e)
{
    int rc = 0;

    for (uint64_t c = first; rc == 0 && !l->reached && c < l->o.last_clock;
         c++) {
        if (l->o.interrupted != NULL && *l->o.interrupted != 0) {
            return err_set(e, ERR_INTERRUPTED, "interrupted");
        }
        ckpt_step_reset(&l->step, c);
        l->step.metrics.seconds_log = l->log_late;
        l->log_late = NAN;
        rc = train_mix_hand_in(l->o.mix, l->o.hub, c, e);
        rc = rc != 0 ? rc : first_half(l, c, e);
        rc = rc != 0 ? rc : second_half(l, e);
        if (rc == 0) {
            observe(l);
        }
        report(l);
    }
    return rc;
}

/* The target is reached: what is here is whole, and the last of the run. The
 * peer that saw it has taken its digest. */
static int end_early(struct loop *l, struct err *e)
{
    l->s->reached = true;
    return l->reached ? 0 : take_digest(l, l->s->clock, e);
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
    if (said == ERR_CLOSED) {
        return end_early(l, e);
    }
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
    struct loop l = {.o = *o,
                     .s = s,
                     .run = &o->replica->run,
                     .replica = o->replica,
                     .log_late = NAN};
    uint64_t first = o->replica->clock;
    int rc;

    l.matrices = l.run->transfer.kind != TRAIN_TRANSFER_SV;
    memset(s, 0, sizeof *s);
    s->clock = s->first_clock = first;
    s->clocks = o->last_clock;
    s->rule = l.run->rule;
    s->transfer = l.run->transfer;
    s->lr = l.run->lr;
    s->until = l.run->until;
    s->test_loss = s->test_accuracy = NAN;
    rc = loop_init(&l, e);
    if (rc != 0) {
        loop_fini(&l);
        train_hub_stop(o->hub, rc, e->msg);
        return rc;
    }
    rc = choose(&l, first, e);
    l.begin_ns = l.clock_end_ns = clock_ns();
    l.begin_cpu_ns = clock_cpu_ns();
    if (rc == 0 && first > 0 &&
        due(l.run->digest_every, first, o->last_clock)) {
        rc = take_digest(&l, first, e); /* Do we resume from the same bits? */
    }
    rc = rc != 0 ? rc : clocks(&l, first, e);
    summarize(&l);
    if (rc == 0 && l.reached && s->clock < o->last_clock) {
        train_hub_stop(o->hub, ERR_CLOSED, "the target is reached");
    } else if (rc == 0) {
        s->reached = l.reached;
        train_hub_wait_end(o->hub);
    }
    rc = outcome(&l, rc, e);
    if (rc == 0) {
        s->stats = network(&l);
    }
    loop_fini(&l);
    return rc;
}
