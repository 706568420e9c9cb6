/* Many seeds of nodes of a parameter server that die, come, leave and are taken
 * for dead, on a network that loses, delays and cuts.
 *
 * In sequential the history of each range must be linearizable, pushes that
 * were acknowledged included, in a way that shows their order. In bounded no
 * pull may miss a push that it must see, at any step. Then all is healed, and
 * progress is demanded, and copies with the same bits. Prints only the seed of
 * a failure. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tests/support/linear.h"
#include "tests/support/servers.h"
#include "tests/support/test.h"

#define SEEDS     60
#define ROUNDS    25
#define NODES     6
#define RANGES    3
#define TIMES     4096
#define RICH_SEED 5
#define UNHEARD   (UINT64_MAX / 2)

struct worker {
    uint64_t task; /* Under way; 0: none. */
    uint64_t ready_ns;
    uint64_t n_draws;
    /* sequential */
    uint32_t process; /* Its life, in histories. */
    struct linear_op *op;
    uint32_t range;
    float out[NODES];
    /* bounded */
    uint64_t time;       /* Of the pull under way, or the next. */
    uint64_t first_time; /* Of this life. */
    uint64_t begun_ns;
    uint64_t changed_ns; /* When it last came, or went. */
    uint64_t push_ids[TIMES];
    bool issued[TIMES];       /* Pushes of all lives. */
    uint64_t acked_ns[TIMES]; /* When they were; 0: not yet. */
};

static struct servers cluster;
static struct servers *const c = &cluster;
static struct worker workers[NODES];
static struct linear_history histories[RANGES];
static uint32_t n_processes;
static bool stopped;       /* Workers begin nothing more. */
static bool out_of_bounds; /* A pull missed what it must see. */
static uint64_t seed_now;
static void (*begin_next)(p2p_peer); /* What workers do. */

static uint64_t draw(uint64_t i, uint64_t n)
{
    return rng_below(seed_now, rng_stream(RNG_TEST, 78, 0), i, n);
}

static uint64_t draw_of(p2p_peer p, uint64_t n)
{
    return rng_below(seed_now, rng_stream(RNG_TEST, 79, p),
                     workers[p].n_draws++, n);
}

static void think(p2p_peer p)
{
    workers[p].ready_ns = servers_now(c) + draw_of(p, 20) * CLOCK_MS;
}

/* A worker's next turn: begin what comes next. */
static uint64_t turn(struct servers *s)
{
    uint64_t next = UINT64_MAX;

    for (p2p_peer p = 0; p < s->n; p++) {
        struct worker *w = &workers[p];
        if (s->nodes[p].node == NULL || s->nodes[p].leaving || w->task != 0 ||
            stopped) {
            continue;
        }
        if (w->ready_ns <= servers_now(s)) {
            begin_next(p);
        } else if (w->ready_ns < next) {
            next = w->ready_ns;
        }
    }
    return next;
}

/* sequential */

static int linear_update(void *arg,
                         uint64_t first,
                         uint32_t n,
                         float *val,
                         const struct ps_push *p)
{
    (void)arg;
    (void)first;
    (void)n;
    if (p->values.n == 1) {
        val[0] =
            (float)linear_hash((uint32_t)val[0], (uint32_t)p->values.val[0]);
        val[1] += 1;
    }
    return 0;
}

static struct linear_op *
record(p2p_peer p, uint32_t range, bool is_push, uint32_t x)
{
    struct linear_history *h = &histories[range];
    struct linear_op *op = &h->ops[h->n_ops++];

    assert_true(h->n_ops < LINEAR_OPS_MAX);
    *op = (struct linear_op){.process = workers[p].process,
                             .is_push = is_push,
                             .x = x,
                             .begin = servers_now(c),
                             .end = LINEAR_PENDING};
    return op;
}

static void begin_pull(p2p_peer p, uint32_t range)
{
    struct worker *w = &workers[p];
    struct ps_task t = {.first = 2 * range, .count = 2, .out = w->out};

    w->range = range;
    w->op = record(p, range, false, 0);
    assert_int_equal(
        ps_node_pull(c->nodes[p].node, servers_now(c), &t, &w->task, NULL), 0);
    servers_act(c, p);
}

static void begin_push(p2p_peer p, uint32_t range)
{
    struct worker *w = &workers[p];
    float x = (float)(1 + draw_of(p, LINEAR_MODULUS - 1));
    struct ps_values v = {.first = 2 * range, .n = 1, .val = &x};
    struct ps_task t = {.time = w->time++, .values = &v};

    w->range = range;
    w->op = record(p, range, true, (uint32_t)x);
    assert_int_equal(
        ps_node_push(c->nodes[p].node, servers_now(c), &t, &w->task, NULL), 0);
    servers_act(c, p);
}

static void begin_sequential(p2p_peer p)
{
    uint32_t range = (uint32_t)draw_of(p, RANGES);

    if (draw_of(p, 2) == 0) {
        begin_pull(p, range);
    } else {
        begin_push(p, range);
    }
}

static void done_sequential(struct servers *s, p2p_peer p, uint64_t task)
{
    struct worker *w = &workers[p];

    /* A node alone is done before it has said which task it is. */
    assert_true(w->task == task);
    w->op->end = servers_now(s);
    if (!w->op->is_push) {
        w->op->hash = (uint32_t)w->out[0];
        w->op->count = (uint32_t)w->out[1];
    }
    w->task = 0;
    think(p);
}

/* bounded */

static void begin_bounded(p2p_peer p)
{
    struct worker *w = &workers[p];
    struct ps_task t = {.time = w->time, .count = NODES, .out = w->out};

    w->begun_ns = servers_now(c);
    assert_true(w->time < TIMES);
    assert_int_equal(
        ps_node_pull(c->nodes[p].node, servers_now(c), &t, &w->task, NULL), 0);
    servers_act(c, p);
}

/* What a pull of @time must have of @q, at least, when @p began it. */
static uint32_t must_see(p2p_peer p, p2p_peer q, uint64_t time)
{
    const struct worker *w = &workers[q];
    uint64_t delay = c->o.node.consistency.delay;
    bool stayed = c->nodes[q].in && !c->nodes[q].leaving &&
                  w->changed_ns + c->o.view_delay_ns < workers[p].begun_ns;
    uint32_t n = 0;

    for (uint64_t t = 0; t + delay <= time; t++) {
        n += (w->acked_ns[t] != 0 && w->acked_ns[t] <= workers[p].begun_ns) ||
             (stayed && t >= w->first_time);
    }
    return n;
}

static uint32_t may_see(p2p_peer q)
{
    uint32_t n = 0;

    for (uint64_t t = 0; t < TIMES; t++) {
        n += workers[q].issued[t];
    }
    return n;
}

static void push_bounded(p2p_peer p)
{
    struct worker *w = &workers[p];
    float one = 1;
    struct ps_values v = {.first = p, .n = 1, .val = &one};
    struct ps_task t = {.time = w->time, .values = &v};

    w->issued[w->time] = true;
    assert_int_equal(ps_node_push(c->nodes[p].node, servers_now(c), &t,
                                  &w->push_ids[w->time], NULL),
                     0);
    w->time++;
}

static void done_bounded(struct servers *s, p2p_peer p, uint64_t task)
{
    struct worker *w = &workers[p];

    if (task != w->task) {
        for (uint64_t t = w->first_time; t < w->time; t++) {
            if (w->push_ids[t] == task) {
                w->acked_ns[t] = servers_now(s);
            }
        }
        return;
    }
    for (p2p_peer q = 0; q < s->n; q++) {
        uint32_t n = (uint32_t)w->out[q];
        out_of_bounds =
            out_of_bounds || n < must_see(p, q, w->time) || n > may_see(q);
    }
    w->task = 0;
    think(p);
    push_bounded(p); /* Its actions are taken by whom called this. */
}

/* What happens to nodes. */

static uint32_t n_removed;    /* Since all were settled. */
static uint32_t n_settled_in; /* How many kept ranges then. */

static uint32_t n_keepers(void)
{
    uint32_t n = 0;

    for (p2p_peer p = 0; p < c->n; p++) {
        n += c->nodes[p].in && !c->nodes[p].leaving;
    }
    return n;
}

static bool may_remove(void)
{
    uint32_t most = c->o.node.replicas;

    most = most < n_settled_in - 1 ? most : n_settled_in - 1;
    return n_removed < most && n_keepers() > 2;
}

/* Nobody has heard of it yet. */
static void changed(p2p_peer p)
{
    workers[p].changed_ns = UNHEARD;
}

static void next_view(bool fresh)
{
    servers_view(c, fresh);
    for (p2p_peer p = 0; p < c->n; p++) {
        if (workers[p].changed_ns == UNHEARD) {
            workers[p].changed_ns = servers_now(c);
        }
    }
}

static void come(p2p_peer p)
{
    struct worker *w = &workers[p];
    uint64_t time = 0;

    if (c->nodes[p].node == NULL) {
        for (p2p_peer q = 0; q < c->n; q++) {
            time = workers[q].time > time ? workers[q].time : time;
        }
        w->time = time;
        w->first_time = time;
        w->task = 0;
        w->process = n_processes++;
        memset(w->push_ids, 0, sizeof w->push_ids);
        servers_start(c, p, time);
        c->nodes[p].since = time;
        think(p);
    }
    c->nodes[p].in = true;
    changed(p);
}

static void one_change(uint64_t d)
{
    p2p_peer p = (p2p_peer)draw(d, c->n);
    struct servers_node *node = &c->nodes[p];

    if (!node->in) {
        come(p);
    } else if (node->leaving) {
        return;
    } else if (draw(d + 1, 4) == 0 && n_keepers() > 2) {
        node->leaving = true;
        changed(p);
    } else if (may_remove()) {
        n_removed++;
        node->in = false;
        changed(p);
        if (draw(d + 2, 3) > 0) {
            servers_kill(c, p);
        }
    }
}

/* Those that have given all away may go. */
static void let_go(void)
{
    for (p2p_peer p = 0; p < c->n; p++) {
        struct servers_node *node = &c->nodes[p];
        if (node->in && node->leaving && ps_node_held(node->node) == 0) {
            servers_kill(c, p);
            node->in = false;
            node->leaving = false;
            changed(p);
            next_view(false);
        }
    }
}

static void change_members(uint64_t d)
{
    if (servers_settled(c)) {
        n_removed = 0;
        n_settled_in = n_keepers();
        let_go();
    }
    for (uint64_t i = 0; i <= draw(d, 2); i++) {
        one_change(d + 1 + 10 * i);
    }
    /* The others take their time to find out. */
    servers_run(c, servers_now(c) + draw(d + 30, 60) * CLOCK_MS);
    next_view(false);
}

static void mend_all(void)
{
    for (p2p_peer a = 0; a < c->n; a++) {
        for (p2p_peer b = 0; b < c->n; b++) {
            p2p_sim_mend(c->net, a, b);
        }
    }
}

/* Cuts last a few rounds. */
static void cut_a_link(uint64_t d)
{
    p2p_peer a = (p2p_peer)draw(d, c->n), b = (p2p_peer)draw(d + 1, c->n);

    if (draw(d + 2, 3) == 0) {
        mend_all();
    } else if (a != b && draw(d + 2, 3) == 1) {
        p2p_sim_cut(c->net, a, b);
    }
}

static void heal(void)
{
    mend_all();
    p2p_sim_loss(c->net, 0);
    for (p2p_peer p = 0; p < c->n; p++) {
        if (!c->nodes[p].in && c->nodes[p].node != NULL) {
            come(p);
        }
    }
    next_view(false);
}

static struct servers_options options_of(void)
{
    struct servers_options o = {
        .net = {.seed = seed_now,
                .n_peers = 3 + (uint32_t)draw(0, NODES - 2),
                .delay_ns_min = CLOCK_MS / 10,
                .delay_ns_max = CLOCK_MS * (1 + draw(1, 10)),
                .loss_permille = (uint32_t)draw(2, 100)},
        .node = {.seed = seed_now,
                 .n_params = 1,
                 .replicas = (uint32_t)draw(3, 4),
                 .retry_ns = CLOCK_MS * (10 + draw(4, 40)),
                 .compress = draw(5, 2) == 0,
                 .log_states = draw(6, 2) == 0,
                 .send_changes = draw(9, 2) == 0},
        .view_delay_ns = draw(7, 100) * CLOCK_MS,
        .turn = turn};
    return o;
}

static void begin(const struct servers_options *o)
{
    memset(workers, 0, sizeof workers);
    for (uint32_t r = 0; r < RANGES; r++) {
        histories[r].n_ops = 0;
    }
    n_processes = 0;
    n_removed = 0;
    stopped = true;
    out_of_bounds = false;
    servers_set_up(c, o);
    for (p2p_peer p = 0; p < c->n; p++) {
        come(p);
    }
    n_settled_in = c->n;
    next_view(true);
    assert_true(servers_settle(c, 100 * CLOCK_S));
    stopped = false;
}

static bool misbehave(const char **what)
{
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t d = 1000 + 100 * round;
        cut_a_link(d);
        if (draw(d + 3, 2) == 0) {
            change_members(d + 4);
        }
        servers_run(c, servers_now(c) + draw(d + 80, 200) * CLOCK_MS);
        *what = "a pull missed a push, or saw one twice";
        if (out_of_bounds) {
            return false;
        }
        *what = "a range was lost";
        if (c->n_lost > 0) {
            return false;
        }
    }
    return true;
}

static bool is_idle(void)
{
    for (p2p_peer p = 0; p < c->n; p++) {
        if (c->nodes[p].in && workers[p].task != 0) {
            return false;
        }
    }
    return true;
}

/* Nothing more begins, and what began is done. */
static bool come_to_rest(const char **what)
{
    uint64_t until = servers_now(c) + 60 * CLOCK_S;

    stopped = true;
    while (!is_idle() && servers_now(c) < until) {
        servers_run(c, servers_now(c) + 10 * CLOCK_MS);
    }
    *what = "a task was never done on a good network";
    if (!is_idle()) {
        return false;
    }
    servers_run(c, servers_now(c) + 20 * CLOCK_S);
    *what = "views do not settle on a good network";
    if (!servers_settled(c)) {
        return false;
    }
    *what = "copies differ";
    return servers_agree(c);
}

/* Everybody reads every range once more. */
static bool read_all(const char **what)
{
    for (uint32_t r = 0; r < RANGES; r++) {
        for (p2p_peer p = 0; p < c->n; p++) {
            if (c->nodes[p].in && !c->nodes[p].leaving) {
                begin_pull(p, r);
            }
        }
        if (!come_to_rest(what)) {
            return false;
        }
    }
    return true;
}

static bool run_sequential(uint64_t seed, const char **what)
{
    static const struct ps_param PARAM = {
        .n = 2 * RANGES, .range_keys = 2, .update = {.apply = linear_update}};
    struct servers_options o;
    bool ok;

    seed_now = seed;
    o = options_of();
    o.node.params = &PARAM;
    o.node.consistency.kind = PS_SEQUENTIAL;
    o.done = done_sequential;
    begin_next = begin_sequential;
    begin(&o);
    ok = misbehave(what);
    if (ok) {
        heal();
        ok = come_to_rest(what) && read_all(what);
    }
    for (uint32_t r = 0; ok && r < RANGES; r++) {
        *what = "a history is not linearizable";
        ok = linear_check(&histories[r]);
    }
    servers_tear_down(c);
    return ok;
}

static bool run_bounded(uint64_t seed, const char **what)
{
    static const struct ps_param PARAMS[] = {
        {.n = NODES, .range_keys = NODES / RANGES},
        {.n = NODES, .range_keys = NODES / RANGES, .order = PS_ORDER_RANK},
        {.n = NODES,
         .range_keys = NODES / RANGES,
         .order = PS_ORDER_RANK,
         .aggregate_first = true}};
    struct servers_options o;
    uint64_t times[NODES];
    bool ok;

    seed_now = seed;
    o = options_of();
    o.node.params = &PARAMS[seed % 3];
    o.node.consistency = (struct ps_consistency){PS_BOUNDED, 1 + draw(8, 3)};
    o.done = done_bounded;
    begin_next = begin_bounded;
    begin(&o);
    ok = misbehave(what);
    if (ok) {
        heal();
        for (p2p_peer p = 0; p < c->n; p++) {
            times[p] = workers[p].time;
        }
        servers_run(c, servers_now(c) + 30 * CLOCK_S);
        for (p2p_peer p = 0; p < c->n && ok; p++) {
            *what = "a worker does not get on on a good network";
            ok = !c->nodes[p].in || c->nodes[p].leaving ||
                 workers[p].time > times[p] + 10;
        }
        if (ok) {
            *what = "a pull missed a push, or saw one twice";
            ok = !out_of_bounds;
        }
    }
    servers_tear_down(c);
    return ok;
}

static void swarm(bool (*run)(uint64_t seed, const char **what))
{
    const char *wish = getenv("SWARM_SEEDS");
    uint64_t n = wish != NULL ? strtoull(wish, NULL, 10) : SEEDS;
    uint64_t bad = 0;

    for (uint64_t seed = 1; seed <= n; seed++) {
        const char *what = "";
        if (!run(seed, &what)) {
            printf("seed=%llu: %s\n", (unsigned long long)seed, what);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

static void test_every_range_is_linearizable_whatever_happens(void **state)
{
    (void)state;
    swarm(run_sequential);
}

static void test_bounds_hold_at_each_pull_whatever_happens(void **state)
{
    (void)state;
    swarm(run_bounded);
}

/* The checkers themselves. */

/* Push 5, push 7, each seen after it. */
static struct linear_history *good_history(void)
{
    static struct linear_history h;
    uint32_t five = linear_hash(0, 5), both = linear_hash(five, 7);
    const struct linear_op ops[] = {
        {.process = 0, .is_push = true, .x = 5, .begin = 1, .end = 4},
        {.process = 1, .hash = 0, .count = 0, .begin = 2, .end = 3},
        {.process = 1, .hash = five, .count = 1, .begin = 5, .end = 6},
        {.process = 0, .is_push = true, .x = 7, .begin = 7, .end = 10},
        {.process = 1, .hash = both, .count = 2, .begin = 8, .end = 9},
        {.process = 2, .hash = both, .count = 2, .begin = 10, .end = 12}};

    memcpy(h.ops, ops, sizeof ops);
    h.n_ops = sizeof ops / sizeof ops[0];
    return &h;
}

static void test_the_checker_knows_good_histories(void **state)
{
    struct linear_history *h = good_history();

    (void)state;
    assert_true(linear_check(h));
    h->ops[0].end = LINEAR_PENDING; /* Never acknowledged, but seen. */
    assert_true(linear_check(h));
    h->n_ops = 2; /* Never acknowledged, and not seen. */
    assert_true(linear_check(h));
}

static void test_the_checker_refuses_broken_histories(void **state)
{
    struct linear_history *h = good_history();
    struct linear_op was;

    (void)state;
    h->ops[5].hash = linear_hash(linear_hash(0, 7), 5); /* Another order. */
    assert_false(linear_check(h));
    h = good_history();
    h->ops[2].hash = 0; /* An acknowledged push is lost. */
    h->ops[2].count = 0;
    assert_false(linear_check(h));
    h = good_history();
    h->ops[5].hash = linear_hash(h->ops[5].hash, 7); /* One counts twice. */
    h->ops[5].count = 3;
    assert_false(linear_check(h));
    h = good_history();
    h->ops[5].hash = linear_hash(0, 5); /* Back to what was. */
    h->ops[5].count = 1;
    assert_false(linear_check(h));
    h = good_history();
    was = h->ops[1]; /* A push is seen before it began. */
    h->ops[1].hash = linear_hash(0, 7);
    h->ops[1].count = 1;
    assert_false(linear_check(h));
    h->ops[1] = was;
    assert_true(linear_check(h));
}

/* The histories of the swarm are rich enough: a recorded one with two results
 * exchanged is refused. */
static void
test_the_checker_refuses_a_recorded_history_once_broken(void **state)
{
    struct linear_history *h = &histories[0];
    struct linear_op *first = NULL, *last = NULL;
    const char *what = "";
    uint32_t x;

    (void)state;
    assert_true(run_sequential(RICH_SEED, &what));
    for (size_t i = 0; i < h->n_ops; i++) {
        if (!h->ops[i].is_push && h->ops[i].end != LINEAR_PENDING) {
            first = first == NULL ? &h->ops[i] : first;
            last = &h->ops[i];
        }
    }
    assert_true(h->n_ops > 50 && first->count + 10 < last->count);
    x = first->hash;
    first->hash = last->hash;
    last->hash = x;
    x = first->count;
    first->count = last->count;
    last->count = x;
    assert_false(linear_check(h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_checker_knows_good_histories),
        cmocka_unit_test(test_the_checker_refuses_broken_histories),
        cmocka_unit_test(
            test_the_checker_refuses_a_recorded_history_once_broken),
        cmocka_unit_test(test_every_range_is_linearizable_whatever_happens),
        cmocka_unit_test(test_bounds_hold_at_each_pull_whatever_happens),
    };
    return cmocka_run_group_tests_name("ps_swarm", tests, NULL, NULL);
}
