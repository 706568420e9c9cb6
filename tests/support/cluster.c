#include "tests/support/cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "sv/codec.h"
#include "sv/rows.h"
#include "tests/support/test.h"

static void record(struct log *l, enum log_level level, const char *msg)
{
    struct cluster_node *node = (struct cluster_node *)l;
    struct cluster *c = node->cluster;
    int n;

    (void)level;
    node->n_batch_msgs += strncmp(msg, "send ", 5) == 0;
    node->n_eager += strncmp(msg, "send clock ", 11) == 0;
    node->n_asked += strncmp(msg, "ask ", 4) == 0;
    if (!c->telling || strncmp(msg, "clock ", 6) != 0) {
        return;
    }
    n = snprintf(c->story + c->story_size, sizeof c->story - c->story_size,
                 "[%4" PRIu64 "] %u > %s\n", p2p_sim_now_ns(c->net) / CLOCK_MS,
                 node->rank, msg);
    assert_true(n > 0 && (size_t)n < sizeof c->story - c->story_size);
    c->story_size += (size_t)n;
}

static uint64_t cluster_now(void *arg)
{
    return p2p_sim_now_ns(((struct cluster *)arg)->net);
}

static int
load_nothing(void *arg, uint64_t clock, struct blob **blob, struct err *e)
{
    (void)arg;
    (void)blob;
    return err_set(e, ERR_NOT_FOUND, "clock %" PRIu64, clock);
}

static bool mixes(const struct cluster *c)
{
    return (c->o.repair == TRAIN_REPAIR_SYNC ||
            c->o.repair == TRAIN_REPAIR_ROTATE) &&
           c->o.multicast != P2P_MULTICAST_ALL;
}

static void hand_in(struct cluster_node *node)
{
    struct cluster *c = node->cluster;
    uint32_t i = 0, end = 0;

    if (mixes(c) && node->clock < c->o.clocks) {
        train_exchange_due(c->pieces.n, c->o.mix_clocks, node->clock, &i, &end);
    }
    for (; i < end; i++) {
        struct blob *body = train_exchange_body(c->pieces.floats[i]);
        sv_rows_copy(train_exchange_floats(body), &node->state,
                     c->pieces.at[i].first, c->pieces.at[i].n);
        assert_int_equal(train_hub_part(node->hub, i, node->clock, body), 0);
        blob_unref(body);
    }
}

/* Add what rounds bring. */
static void mix(struct cluster_node *node)
{
    struct train_exchange_result *r;
    size_t n = train_hub_results(node->hub, &r);

    for (size_t q = 0; q < n; q++) {
        const struct train_piece *p = &node->cluster->pieces.at[r[q].piece];
        struct sv_row_block b;
        struct sv_op op = {.kind = SV_OP_MIX, .rows = &b};
        sv_rows_init(&b);
        assert_int_equal(sv_rows_resize(&b, p->first, p->n, p->width, NULL), 0);
        for (size_t i = 0; i < (size_t)p->n * p->width; i++) {
            b.values[i] = train_exchange_floats(r[q].result)[i] -
                          train_exchange_floats(r[q].part)[i];
        }
        sv_apply_naive(&node->state, &op, 1);
        sv_rows_fini(&b);
        blob_unref(r[q].part);
        blob_unref(r[q].result);
        node->n_results++;
    }
}

static void begin_clock(struct cluster_node *node)
{
    uint64_t ns = node->cluster->o.compute_ns[node->rank];

    node->ready_ns =
        p2p_sim_now_ns(node->cluster->net) + (ns == 0 ? 10 * CLOCK_MS : ns);
    node->at_gate = false;
    hand_in(node);
}

static void node_set_up(struct cluster *c, p2p_peer rank)
{
    struct cluster_node *node = &c->nodes[rank];
    struct train_hub_options o = {
        .worker = {.self = rank,
                   .n_peers = c->n,
                   .mode = c->o.mode,
                   .staleness = c->o.staleness,
                   .delivery = {.schedule = {.kind = c->o.multicast,
                                             .fan_out = c->o.fan_out,
                                             .seed = c->o.net.seed,
                                             .n_peers = c->n},
                                .repair = c->o.repair,
                                .lazy = c->o.lazy == 0 ? 1 : c->o.lazy,
                                .last_clock = c->o.clocks},
                   .retry_ns =
                       c->o.retry_ns == 0 ? 100 * CLOCK_MS : c->o.retry_ns,
                   .log = &node->log},
        .n_matrices = 1,
        .transport = p2p_sim_endpoint(c->net, rank),
        .peer_timeout_ns =
            c->o.timeout_ns == 0 ? 3600 * CLOCK_S : c->o.timeout_ns,
        .held_bytes_max = 1 << 20,
        .load = load_nothing,
        .now = cluster_now,
        .now_arg = c,
    };

    assert_int_equal(
        sv_state_init(&node->state, SV_PLAIN, 0, CLUSTER_K, CLUSTER_J, NULL),
        0);
    if (rank == 0) {
        assert_int_equal(
            train_pieces_init(&c->pieces, &node->state, 1, 2 * CLUSTER_J, NULL),
            0);
    }
    if (mixes(c)) {
        o.exchange = (struct train_exchange_options){
            .kind = c->o.repair == TRAIN_REPAIR_SYNC ? TRAIN_EXCHANGE_STAR
                                                     : TRAIN_EXCHANGE_SHIFT,
            .every = c->o.mix_clocks,
            .n_pieces = c->pieces.n,
            .floats = c->pieces.floats};
    }
    node->log = (struct log){.emit = record, .level = LOG_TRACE};
    node->cluster = c;
    node->rank = rank;
    node->applied = calloc(c->o.clocks, sizeof *node->applied);
    node->has = calloc(c->n * c->o.clocks, sizeof *node->has);
    assert_true(node->applied != NULL && node->has != NULL);
    assert_int_equal(train_hub_create(&node->hub, &o, NULL), 0);
    begin_clock(node);
}

void cluster_set_up(struct cluster *c, const struct cluster_options *o)
{
    memset(c, 0, sizeof *c);
    assert_true(o->net.n_peers <= CLUSTER_NODES_MAX);
    c->o = *o;
    c->n = o->net.n_peers;
    c->net = p2p_sim_create(&o->net);
    c->apply = sv_apply_create();
    assert_true(c->net != NULL && c->apply != NULL);
    for (p2p_peer p = 0; p < c->n; p++) {
        node_set_up(c, p);
    }
}

void cluster_tear_down(struct cluster *c)
{
    for (p2p_peer p = 0; p < c->n; p++) {
        train_hub_destroy(c->nodes[p].hub);
        sv_state_fini(&c->nodes[p].state);
        free(c->nodes[p].applied);
        free(c->nodes[p].has);
    }
    sv_apply_destroy(c->apply);
    train_pieces_fini(&c->pieces);
    p2p_sim_destroy(c->net);
}

/* One pair whose numbers depend on rank, clock and replica. */
static void make_batch(struct cluster_node *node, struct sv_batch *b)
{
    uint64_t stream = rng_stream(RNG_TEST, node->rank, node->clock);
    float u[CLUSTER_J], v[CLUSTER_K];

    for (uint32_t j = 0; j < CLUSTER_J; j++) {
        u[j] = rng_f32(1, stream, j) - 0.5f +
               0.01f * mat_row(&node->state.w, j % CLUSTER_K)[j];
    }
    for (uint32_t k = 0; k < CLUSTER_K; k++) {
        v[k] = rng_f32(2, stream, k) - 0.5f;
    }
    sv_batch_reset(b, false, false);
    assert_int_equal(
        sv_batch_append(b, 0.3f, (struct sv_vec){CLUSTER_J, NULL, u},
                        (struct sv_vec){CLUSTER_K, NULL, v}, 0, NULL),
        0);
}

static void node_compute(struct cluster_node *node)
{
    struct sv_record r = {
        .kind = SV_RECORD_BATCH, .origin = node->rank, .clock = node->clock};
    struct sv_codec_scratch scratch;
    struct sv_batch b;
    struct buf bytes;
    struct blob *blob;

    sv_batch_init(&b, CLUSTER_J, CLUSTER_K);
    sv_codec_scratch_init(&scratch);
    buf_init(&bytes);
    make_batch(node, &b);
    assert_int_equal(sv_codec_encode(&bytes, &r, &b, &scratch, NULL), 0);
    blob = blob_copy(bytes.data, bytes.size);
    assert_non_null(blob);
    assert_int_equal(train_hub_own(node->hub, node->clock, blob), 0);
    blob_unref(blob);
    buf_fini(&bytes);
    sv_codec_scratch_fini(&scratch);
    sv_batch_fini(&b);
    node->at_gate = true;
}

bool cluster_has(const struct cluster *c,
                 p2p_peer p,
                 p2p_peer q,
                 uint64_t clock)
{
    return c->nodes[p].has[q * c->o.clocks + clock];
}

static void node_apply(struct cluster_node *node,
                       const struct train_hub_item *it)
{
    struct sv_codec_scratch scratch;
    struct sv_record r;
    struct sv_batch b;
    struct sv_op op = {.kind = SV_OP_APPLY, .batch = &b};

    sv_batch_init(&b, CLUSTER_J, CLUSTER_K);
    sv_codec_scratch_init(&scratch);
    assert_int_equal(
        sv_codec_decode(&b, &r, it->blob->data, it->blob->size, &scratch, NULL),
        0);
    assert_int_equal(r.origin, it->peer);
    assert_int_equal(r.clock, it->clock);
    if (node->cluster->o.mode == TRAIN_BSP ||
        node->cluster->o.mode == TRAIN_PIPELINE) {
        assert_int_equal(it->clock, node->n_applied[it->peer]);
    }
    sv_batch_scale(&b, it->factor);
    node->n_applied[it->peer]++;
    assert_false(cluster_has(node->cluster, node->rank, it->peer, it->clock));
    node->has[it->peer * node->cluster->o.clocks + it->clock] = true;
    assert_int_equal(
        sv_apply_ops(node->cluster->apply, &node->state, &op, 1, NULL, NULL),
        0);
    sv_codec_scratch_fini(&scratch);
    sv_batch_fini(&b);
}

static void node_close(struct cluster_node *node)
{
    struct cluster *c = node->cluster;
    struct train_hub_item *items;
    size_t n;
    int rc = train_hub_try_gate(node->hub, &items, &n, NULL);

    if (rc == ERR_CLOSED) {
        node->ended = true;
    }
    if (rc != 0) {
        return;
    }
    node->applied[node->clock] = n;
    for (size_t i = 0; i < n; i++) {
        node_apply(node, &items[i]);
        blob_unref(items[i].blob);
    }
    mix(node);
    node->clock++;
    if (node->clock == c->o.clocks ||
        (c->o.digest_every != 0 && node->clock % c->o.digest_every == 0)) {
        train_hub_digest(node->hub, node->clock, hash_mat(&node->state.w));
    }
    for (p2p_peer p = 0; p < c->n; p++) {
        uint64_t there = c->nodes[p].clock;
        if (node->clock > there && node->clock - there > node->behind_max) {
            node->behind_max = node->clock - there;
        }
    }
    begin_clock(node);
}

/* Let a node do what it can now; return when it wants to be called again. */
static uint64_t node_turn(struct cluster_node *node)
{
    struct cluster *c = node->cluster;
    uint64_t now = p2p_sim_now_ns(c->net), idle, due;

    if (node->frozen) {
        return UINT64_MAX;
    }
    while ((idle = train_hub_turn(node->hub)) == 0) {
    }
    if (node->clock < c->o.clocks && !node->at_gate && now >= node->ready_ns &&
        !node->ended) {
        node_compute(node);
        idle = 0;
    }
    if (!node->ended && (node->at_gate || train_hub_ended(node->hub))) {
        uint64_t before = node->clock;
        node_close(node);
        idle = node->clock != before ? 0 : idle;
    }
    due = now + idle;
    if (!node->at_gate && !node->ended && node->clock < c->o.clocks &&
        node->ready_ns < due) {
        due = node->ready_ns > now ? node->ready_ns : now;
    }
    return due;
}

bool cluster_ended(const struct cluster *c)
{
    for (p2p_peer p = 0; p < c->n; p++) {
        if (!c->nodes[p].ended) {
            return false;
        }
    }
    return true;
}

void cluster_run(struct cluster *c, uint64_t until_ns)
{
    while (!cluster_ended(c) && p2p_sim_now_ns(c->net) < until_ns) {
        uint64_t now = p2p_sim_now_ns(c->net), due = until_ns;
        p2p_peer to;
        for (p2p_peer p = 0; p < c->n; p++) {
            uint64_t d = node_turn(&c->nodes[p]);
            due = d < due ? d : due;
        }
        if (due > now) {
            (void)p2p_sim_step(c->net, due, &to);
        }
    }
}

void cluster_expect(struct cluster *c, const char *expected)
{
    assert_string_equal(c->story, expected);
    c->story_size = 0;
    c->story[0] = '\0';
}

bool cluster_equal(const struct cluster *c, p2p_peer a, p2p_peer b)
{
    return memcmp(c->nodes[a].state.w.data, c->nodes[b].state.w.data,
                  CLUSTER_K * c->nodes[a].state.w.ld * sizeof(float)) == 0;
}
