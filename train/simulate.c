#include "train/simulate.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "dataset/shards.h"
#include "p2p/sim.h"
#include "train/peer.h"
#include "train/sim_state.h"
#include "train/sim_times.h"
#include "train/timers.h"

/* From the arrival of a message to the moment a peer looks: a thread wakes up.
 * What arrives meanwhile is looked at with it. */
#define LAG_NS ((uint64_t)20000)

/* Greetings get lost, too: time for a few, as a share of the peer timeout. */
#define WARM_UP_SHARE 5

enum phase {
    COMPUTING, /* Until busy_ns. */
    AT_GATE,
    APPLYING, /* Until busy_ns. */
    ENDING,   /* Through, while others may need something of it. */
    ENDED
};

struct sim_peer {
    p2p_peer rank;
    struct train_hub *hub;
    struct train_clock clock;
    struct train_sim_state *state;
    struct blob *own; /* Of the clock that is being computed. */
    enum phase phase;
    uint64_t number;              /* The clock. */
    uint64_t busy_ns;             /* See phase. */
    uint64_t since_ns;            /* When the phase began. */
    uint64_t spent_ns[ENDED + 1]; /* By phase. */
};

struct sim {
    const struct train_simulate_options *o;
    struct train_simulate_result *r;
    struct pool *pool;
    struct train_replica replica;
    struct dataset_shards shards;
    struct dataset test;
    struct train_mix mix; /* Of the replica, whoever plays it. */
    struct train_clock_tools tools;
    struct train_sim_states states;
    struct train_sim_times times;
    struct train_timers timers;
    struct p2p_sim *net;
    struct sim_peer *peers; /* (n) */
    uint32_t n, n_ended;
    uint64_t zero_ns;        /* When the time that is reported begins. */
    uint64_t end_ns;         /* When the last peer had everything. */
    struct p2p_stats before; /* What was sent by zero_ns. */
    bool begun;
    uint64_t point_every; /* Clocks. */
    double loss_sum;      /* Of the minibatches since the last point, */
    uint64_t loss_n;      /* which had so many samples. */
};

static uint64_t now(const struct sim *s)
{
    return p2p_sim_now_ns(s->net);
}

static uint64_t hub_now(void *arg)
{
    return now(arg);
}

static int
load_nothing(void *arg, uint64_t clock, struct blob **blob, struct err *e)
{
    (void)arg;
    (void)blob;
    return err_set(e, ERR_NOT_FOUND, "no batch of clock %" PRIu64, clock);
}

static int read_data(struct sim *s, struct err *e)
{
    struct train_run *run = s->o->run;
    struct dataset_options o = train_run_data_options(run);
    struct dataset all;
    int rc;

    o.pool = s->pool;
    o.log = s->o->log;
    rc = dataset_read(&all, run->data, &o, e);
    if (rc != 0) {
        return rc;
    }
    if (all.n_rows < run->n_peers) {
        rc = err_set(e, ERR_INVALID,
                     "%s has %" PRIu64 " rows: not one for each of %u peers",
                     run->data, all.n_rows_file, run->n_peers);
        dataset_fini(&all);
        return rc;
    }
    rc = train_run_complete(run, &all, s->o->epochs, e);
    if (rc != 0) {
        dataset_fini(&all);
        return rc;
    }
    return dataset_shards_init(&s->shards, &all, run->shards, run->n_peers, e);
}

static int read_test(struct sim *s, struct err *e)
{
    const struct train_run *run = &s->replica.run;
    struct dataset_options o = {
        .schema = &run->schema, .pool = s->pool, .log = s->o->log};

    return run->test == NULL ? 0 : dataset_read(&s->test, run->test, &o, e);
}

static int make_peer(struct sim *s, p2p_peer rank, struct err *e)
{
    const struct train_run *run = &s->replica.run;
    struct sim_peer *p = &s->peers[rank];
    struct train_hub_options ho = {
        .worker = train_peer_worker_options(run, rank),
        .n_matrices = s->replica.n_states,
        .transport = s->n == 1 ? NULL : p2p_sim_endpoint(s->net, rank),
        .peer_timeout_ns = run->peer_timeout_ns,
        .load = load_nothing,
        .now = hub_now,
        .now_arg = s,
        .exchange = train_mix_options(&s->mix),
        .log = s->o->log,
    };
    int rc;

    ho.worker.retry_ns = s->o->retry_ns;
    ho.worker.log = s->o->log;
    p->rank = rank;
    p->state = s->states.start;
    rc = train_clock_init(&p->clock, &s->replica, &s->shards.view[rank], rank,
                          &s->tools, e);
    return rc != 0 ? rc : train_hub_create(&p->hub, &ho, e);
}

static int make_peers(struct sim *s, struct err *e)
{
    int rc = 0;

    s->peers = calloc(s->n, sizeof *s->peers);
    if (s->peers == NULL) {
        return err_set(e, ERR_NOMEM, "%u peers", s->n);
    }
    for (p2p_peer p = 0; rc == 0 && p < s->n; p++) {
        rc = make_peer(s, p, e);
    }
    return rc;
}

static int make_network(struct sim *s, struct err *e)
{
    struct p2p_sim_options o = {.seed = s->replica.run.seed,
                                .n_peers = s->n,
                                .delay_ns_min = s->o->delay_ns,
                                .delay_ns_max = s->o->delay_ns,
                                .loss_permille = s->o->loss_permille,
                                .bytes_per_s = s->o->link_bytes_per_s,
                                .limit_in = true};

    s->net = p2p_sim_create(&o);
    return s->net == NULL ? err_set(e, ERR_NOMEM, "network of %u peers", s->n)
                          : 0;
}

static int find_times(struct sim *s, struct err *e)
{
    const struct train_simulate_options *o = s->o;
    int rc = 0;

    s->times = (struct train_sim_times){
        .seed = s->replica.run.seed,
        .compute_ns = o->compute_ns,
        .apply_ns = o->apply_ns,
        .jitter = o->jitter,
        .n_peers = s->n,
        .n_stragglers = (uint32_t)ceil(o->straggler_share * s->n),
        .factor = o->straggler_factor};
    if (o->compute_ns == 0 || o->apply_ns == 0) {
        rc = train_sim_states_scratch(&s->states, s->states.start, e);
        rc = rc != 0
                 ? rc
                 : train_sim_times_measure(&s->times, &s->replica,
                                           s->shards.view, s->n, o->speed, e);
    }
    return rc;
}

static int sim_open(struct sim *s, struct err *e)
{
    int rc = pool_create(&s->pool, s->o->n_threads, e);

    s->n = s->o->run->n_peers;
    rc = rc != 0 ? rc : read_data(s, e);
    rc =
        rc != 0 ? rc : train_replica_create(&s->replica, s->o->run, s->pool, e);
    rc = rc != 0 ? rc : read_test(s, e);
    rc = rc != 0 ? rc : train_mix_init(&s->mix, &s->replica, 0, e);
    rc = rc != 0 ? rc : train_clock_tools_init(&s->tools, &s->replica, e);
    rc = rc != 0 ? rc : train_sim_states_init(&s->states, &s->replica, s->n, e);
    rc = rc != 0 ? rc : find_times(s, e);
    rc = rc != 0 ? rc : train_timers_init(&s->timers, s->n, e);
    rc = rc != 0 ? rc : make_network(s, e);
    return rc != 0 ? rc : make_peers(s, e);
}

static void sim_close(struct sim *s)
{
    for (p2p_peer p = 0; s->peers != NULL && p < s->n; p++) {
        blob_unref(s->peers[p].own);
        train_hub_destroy(s->peers[p].hub);
        train_clock_fini(&s->peers[p].clock);
    }
    free(s->peers);
    p2p_sim_destroy(s->net);
    train_timers_fini(&s->timers);
    train_sim_states_fini(&s->states);
    train_clock_tools_fini(&s->tools);
    train_mix_fini(&s->mix);
    dataset_fini(&s->test);
    train_replica_close(&s->replica);
    dataset_shards_fini(&s->shards);
    pool_destroy(s->pool);
}

static void enter(struct sim *s, struct sim_peer *p, enum phase phase)
{
    uint64_t t = now(s);

    p->spent_ns[p->phase] += t - p->since_ns;
    p->since_ns = t;
    p->phase = phase;
}

/* The gradient is computed when its virtual time begins, and nobody hears of it
 * before that is over. */
static int begin_clock(struct sim *s, struct sim_peer *p, struct err *e)
{
    struct train_clock_work work;
    int rc;

    train_sim_states_play(&s->states, p->state);
    rc = train_mix_hand_in(&s->mix, p->hub, p->number, e);
    rc = rc != 0 ? rc : train_clock_compute(&p->clock, p->number, &work, e);
    rc = rc != 0 ? rc : train_clock_encode(&p->clock, p->number, &p->own, e);
    if (rc != 0) {
        return err_wrap(e, rc, "clock %" PRIu64 ", peer %u", p->number,
                        p->rank);
    }
    s->loss_sum += work.loss.sum;
    s->loss_n += work.loss.n;
    s->r->samples += work.loss.n;
    s->r->u_entries += work.n_u;
    s->r->u_entries_dense += work.n_u_dense;
    s->r->bytes_encoded += p->own->size;
    enter(s, p, COMPUTING);
    p->busy_ns =
        now(s) + train_sim_times_compute(&s->times, p->rank, p->number);
    return 0;
}

static int end_clock(struct sim *s, struct sim_peer *p, struct err *e)
{
    int rc = train_hub_own(p->hub, p->number, p->own);

    blob_unref(p->own);
    p->own = NULL;
    enter(s, p, AT_GATE);
    return rc == 0 ? 0 : err_set(e, rc, "%s", err_str(rc));
}

static int apply(struct sim *s, struct sim_peer *p, struct err *e)
{
    struct train_hub_item *items;
    struct train_sim_gate gate = {
        .clock = &p->clock, .mix = &s->mix, .number = p->number};
    struct train_exchange_result *results;
    int rc = train_hub_try_gate(p->hub, &items, &gate.n_items, e);

    if (rc != 0) {
        return rc == ERR_AGAIN || rc == ERR_CLOSED ? 0 : rc;
    }
    gate.items = items;
    gate.n_results = train_hub_results(p->hub, &results);
    gate.results = results;
    rc = train_sim_states_advance(&s->states, &p->state, &gate, e);
    for (size_t i = 0; i < gate.n_items; i++) {
        blob_unref(items[i].blob);
    }
    for (size_t i = 0; i < gate.n_results; i++) {
        blob_unref(results[i].part);
        blob_unref(results[i].result);
    }
    enter(s, p, APPLYING);
    p->busy_ns =
        now(s) + train_sim_times_apply(&s->times, p->rank, gate.n_items);
    return rc;
}

static uint64_t last_clock(const struct sim *s)
{
    return s->replica.run.clocks;
}

static bool due(uint64_t every, uint64_t clock, uint64_t last)
{
    return clock == last || (every != 0 && clock % every == 0);
}

/* What is asked of all peers at some moment. */
static void look_around(const struct sim *s, struct train_simulate_point *point)
{
    uint64_t t = now(s) - s->zero_ns, waited_ns = 0;

    point->seconds = (double)t * 1e-9;
    point->staleness = train_hub_staleness(s->peers[0].hub);
    point->clock_min = UINT64_MAX;
    point->bytes_sent = -s->before.bytes_sent;
    point->msgs_sent = -s->before.msgs_sent;
    for (p2p_peer p = 0; p < s->n; p++) {
        const struct sim_peer *x = &s->peers[p];
        struct p2p_stats stats = train_hub_stats(x->hub);
        point->bytes_sent += stats.bytes_sent;
        point->msgs_sent += stats.msgs_sent;
        waited_ns += x->spent_ns[AT_GATE];
        if (x->phase == AT_GATE) {
            waited_ns += now(s) - x->since_ns;
        }
        if (x->number < point->clock_min) {
            point->clock_min = x->number;
        }
    }
    point->waiting = t == 0 ? 0 : (double)waited_ns / ((double)t * s->n);
}

static int evaluate(struct sim *s,
                    const struct sim_peer *p,
                    struct train_simulate_point *point,
                    struct err *e)
{
    struct model_score score = {0};
    int rc;

    point->test_loss = point->test_accuracy = NAN;
    if (s->replica.run.test == NULL) {
        return 0;
    }
    train_sim_states_play(&s->states, p->state);
    rc = s->replica.ops->evaluate(s->replica.model, s->replica.mats, &s->test,
                                  s->pool, &score, e);
    if (rc == 0) {
        point->test_loss = score.loss;
        point->test_accuracy = score.accuracy;
    }
    return rc;
}

/* Peer 0 has come to a clock that is reported. */
static int report(struct sim *s, const struct sim_peer *p, struct err *e)
{
    struct train_simulate_point *point = &s->r->last;
    int rc = evaluate(s, p, point, e);

    look_around(s, point);
    point->clock = p->number;
    point->epoch = train_run_epochs(&s->replica.run, p->number);
    point->loss = s->loss_n == 0 ? NAN : s->loss_sum / (double)s->loss_n;
    s->loss_sum = 0;
    s->loss_n = 0;
    if (rc == 0 && s->o->point != NULL) {
        s->o->point(s->o->arg, point);
    }
    return rc;
}

/* The peer is in W_{clock+1}. */
static int next_clock(struct sim *s, struct sim_peer *p, struct err *e)
{
    uint64_t last = last_clock(s);
    int rc = 0;

    p->number++;
    if (due(s->replica.run.digest_every, p->number, last)) {
        train_sim_states_digest(&s->states, p->state);
        train_hub_digest(p->hub, p->number, p->state->joint);
    }
    if (p->rank == 0 && due(s->point_every, p->number, last)) {
        rc = report(s, p, e);
    }
    if (rc == 0 && p->number < last) {
        return begin_clock(s, p, e);
    }
    enter(s, p, ENDING);
    s->end_ns = now(s);
    return rc;
}

/* Has the job ended for the peer, and how? */
static int look_at_end(struct sim *s, struct sim_peer *p, struct err *e)
{
    char why[ERR_MSG_SIZE];
    p2p_peer about;
    int rc;

    if (!train_hub_ended(p->hub)) {
        return 0;
    }
    rc = train_hub_outcome(p->hub, &about, why);
    if (rc != 0) {
        return err_set(e, rc, "%s", why);
    }
    assert(p->phase == ENDING);
    enter(s, p, ENDED);
    s->n_ended++;
    return 0;
}

/* Do what the peer's compute thread would do now. Set *moved if that may have
 * given its network thread something to do. */
static int move(struct sim *s, struct sim_peer *p, bool *moved, struct err *e)
{
    enum phase before = p->phase;
    bool ready = now(s) >= p->busy_ns;
    int rc = 0;

    if (p->phase == COMPUTING && ready) {
        rc = end_clock(s, p, e);
    } else if (p->phase == AT_GATE) {
        rc = apply(s, p, e);
    } else if (p->phase == APPLYING && ready) {
        rc = next_clock(s, p, e);
    }
    rc = rc != 0 || p->phase == ENDED ? rc : look_at_end(s, p, e);
    *moved = p->phase != before;
    return rc;
}

/* Let the peer do what it can at this moment, and ask when it wants to be
 * called again. */
static int turn(struct sim *s, struct sim_peer *p, struct err *e)
{
    uint64_t idle_ns = UINT64_MAX, due_ns;
    bool moved = true;
    int rc = 0;

    while (rc == 0 && moved) {
        while (s->n > 1 && (idle_ns = train_hub_turn(p->hub)) == 0) {
        }
        rc = move(s, p, &moved, e);
    }
    due_ns = idle_ns == UINT64_MAX ? UINT64_MAX : now(s) + idle_ns;
    if ((p->phase == COMPUTING || p->phase == APPLYING) &&
        p->busy_ns < due_ns) {
        due_ns = p->busy_ns;
    }
    train_timers_set(&s->timers, p->rank, due_ns);
    return rc;
}

/* Messages that are due before the next peer is, or that peer's turn. */
static int step(struct sim *s, struct err *e)
{
    uint32_t next = train_timers_next(&s->timers);
    uint64_t due_ns = s->timers.due_ns[next];
    p2p_peer to;

    assert(due_ns != UINT64_MAX);
    if (p2p_sim_step(s->net, due_ns, &to)) {
        s->r->n_events++;
        if (s->timers.due_ns[to] > now(s) + LAG_NS) {
            train_timers_set(&s->timers, to, now(s) + LAG_NS);
        }
        return 0;
    }
    return turn(s, &s->peers[next], e);
}

/* All peers know one another: their time begins. */
static int begin(struct sim *s, struct err *e)
{
    struct train_simulate_point point;
    int rc = 0;

    s->begun = true;
    s->zero_ns = now(s);
    look_around(s, &point);
    s->before.bytes_sent = point.bytes_sent;
    s->before.msgs_sent = point.msgs_sent;
    for (p2p_peer p = 0; rc == 0 && p < s->n; p++) {
        s->peers[p].since_ns = s->zero_ns;
        rc = begin_clock(s, &s->peers[p], e);
        train_timers_set(&s->timers, p, s->zero_ns);
    }
    return rc;
}

static int run(struct sim *s, struct err *e)
{
    uint64_t warm_up_ns = s->replica.run.peer_timeout_ns / WARM_UP_SHARE;
    int rc = 0;

    for (p2p_peer p = 0; p < s->n; p++) {
        s->peers[p].phase = COMPUTING;
        s->peers[p].busy_ns = UINT64_MAX;
    }
    while (rc == 0 && s->n_ended < s->n) {
        if (s->o->interrupted != NULL && *s->o->interrupted != 0) {
            return err_set(e, ERR_INTERRUPTED, "interrupted");
        }
        if (!s->begun && (s->n == 1 || now(s) >= warm_up_ns)) {
            rc = begin(s, e);
        }
        rc = rc != 0 ? rc : step(s, e);
    }
    return rc;
}

static void fill_in_begin(struct sim *s)
{
    struct train_simulate_result *r = s->r;
    const struct train_run *run = &s->replica.run;
    uint64_t n = s->o->n_points;

    s->point_every = run->eval_every != 0 || n == 0 ? run->eval_every
                                                    : (run->clocks + n - 1) / n;
    r->compute_ns = s->times.compute_ns;
    r->apply_ns = s->times.apply_ns;
    r->n_stragglers = s->times.n_stragglers;
    if (s->o->begin != NULL) {
        s->o->begin(s->o->arg, run, r);
    }
}

static void fill_in_end(struct sim *s)
{
    struct train_simulate_result *r = s->r;
    double slow_s = 0;

    look_around(s, &r->last);
    r->last.seconds = (double)(s->end_ns - s->zero_ns) * 1e-9;
    for (p2p_peer p = 0; p < s->n; p++) {
        const uint64_t *ns = s->peers[p].spent_ns;
        double waited_s = (double)ns[AT_GATE] * 1e-9;
        r->seconds_computing += (double)ns[COMPUTING] * 1e-9 / s->n;
        r->seconds_applying += (double)ns[APPLYING] * 1e-9 / s->n;
        r->seconds_waiting += waited_s / s->n;
        slow_s += train_sim_times_is_straggler(&s->times, p) ? waited_s : 0;
    }
    r->seconds_waiting_stragglers =
        r->n_stragglers == 0 ? NAN : slow_s / r->n_stragglers;
    r->last.waiting = r->seconds_waiting / r->last.seconds;
    r->n_states = train_sim_states_count(&s->states);
    train_sim_states_digest(&s->states, s->peers[0].state);
    r->digest = s->peers[0].state->digest;
}

int train_simulate(const struct train_simulate_options *o,
                   struct train_simulate_result *result,
                   struct err *e)
{
    uint64_t begin_ns = clock_ns();
    struct sim s = {.o = o, .r = result};
    int rc;

    memset(result, 0, sizeof *result);
    rc = sim_open(&s, e);
    if (rc == 0) {
        fill_in_begin(&s);
        rc = run(&s, e);
    }
    if (rc == 0) {
        fill_in_end(&s);
    }
    sim_close(&s);
    result->seconds_real = (double)(clock_ns() - begin_ns) * 1e-9;
    return rc;
}
