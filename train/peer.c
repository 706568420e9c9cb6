#include "train/peer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "p2p/link.h"
#include "train/cost.h"
#include "train/held.h"
#include "train/keep.h"
#include "train/meet.h"
#include "train/transfer.h"

/* How long peers wait for one another at the start, at least: the others may
 * still be reading their data. */
#define MEET_NS (600 * CLOCK_S)

/* Patience before a batch is asked for again, as a share of the peer timeout.
 * libfabric loses nothing, so this is for what a peer dropped. */
#define RETRY_SHARE 4

/* How long links are measured: round trips, then messages of this size. */
#define PING_NS     (20 * CLOCK_MS)
#define STREAM_NS   (150 * CLOCK_MS)
#define STREAM_SIZE 65536

struct peer {
    const struct train_peer_options *o;
    struct pool *pool;
    struct train_replica replica;
    struct train_mix mix;
    bool has_replica;
    struct dataset data, test;
    bool has_data, has_test;
    struct p2p_transport *transport;
    struct ckpt_log *log;
    struct train_keep *keep; /* Compacts it meanwhile. NULL: nobody does. */
    struct train_hub *hub;
    uint64_t first_clock, last_clock;
    uint64_t *applied; /* (n_peers), see struct train_worker_options. */
    struct train_window *ahead; /* (n_peers), likewise. */
};

static void peer_close(struct peer *p)
{
    train_hub_destroy(p->hub);
    if (p->transport != NULL) {
        p->transport->ops->close(p->transport);
    }
    if (p->has_test) {
        dataset_fini(&p->test);
    }
    if (p->has_replica) {
        train_mix_fini(&p->mix);
        train_replica_close(&p->replica);
    }
    if (p->has_data) {
        dataset_fini(&p->data);
    }
    free(p->applied);
    free(p->ahead);
    pool_destroy(p->pool);
}

static int read_test(struct peer *p, struct err *e)
{
    const struct train_run *run = &p->replica.run;
    struct dataset_options o = {
        .schema = &run->schema, .pool = p->pool, .log = p->o->log};
    int rc;

    if (run->test == NULL || p->o->rank != 0) {
        return 0;
    }
    rc = dataset_read(&p->test, run->test, &o, e);
    p->has_test = rc == 0;
    return rc;
}

static int
read_shard(struct peer *p, struct train_run *run, bool known, struct err *e)
{
    struct dataset_options o = train_run_data_options(run);
    int rc;

    o.shard = p->o->rank;
    o.n_shards = run->n_peers;
    o.schema = known ? &run->schema : NULL;
    o.pool = p->pool;
    o.log = p->o->log;
    rc = dataset_read(&p->data, run->data, &o, e);
    if (rc != 0) {
        return rc;
    }
    p->has_data = true;
    if (p->data.n_rows == 0) {
        return err_set(e, ERR_INVALID,
                       "%s has %" PRIu64 " rows: not one for each of %u peers",
                       run->data, p->data.n_rows_file, run->n_peers);
    }
    return 0;
}

/* What auto came to, and why. */
static void say_choice(const struct peer *p, const struct train_run *run)
{
    uint64_t J = run->schema.n_classes, K = run->schema.n_features;
    char text[TRAIN_TRANSFER_TEXT_SIZE];
    double pair = (double)(J + K) * sizeof(float);

    train_transfer_format(&run->transfer, text);
    if (!p->data.dense) {
        log_info(p->o->log, "transfer %s: pairs of sparse vectors are small",
                 text);
        return;
    }
    log_info(p->o->log,
             "transfer %s: a peer sends %.3g MB a clock as pairs, %.3g MB as a "
             "matrix",
             text, run->batch * pair * (run->n_peers - 1) * 1e-6,
             train_cost_matrix_ring(J, K, run->n_peers).bytes * 1e-6);
}

static int begin_new(struct peer *p, struct err *e)
{
    struct train_run *run = p->o->run;
    bool choosing = run->transfer.kind == TRAIN_TRANSFER_AUTO;
    int rc = read_shard(p, run, false, e);

    rc = rc != 0 ? rc : train_run_complete(run, &p->data, p->o->epochs, e);
    if (rc == 0 && choosing && p->o->rank == 0) {
        say_choice(p, run);
    }
    p->last_clock = run->clocks;
    rc = rc != 0 ? rc : train_replica_create(&p->replica, run, p->pool, e);
    p->has_replica = rc == 0;
    return rc;
}

static int begin_again(struct peer *p, struct err *e)
{
    struct train_run *run;
    int rc = train_replica_open(&p->replica, p->o->dir, p->o->rank, p->pool, e);

    if (rc != 0) {
        return rc;
    }
    p->has_replica = true;
    run = &p->replica.run;
    p->last_clock = p->o->clocks != 0 ? p->o->clocks : run->clocks;
    if (p->o->clocks != 0) {
        run->until = (struct train_until){.kind = TRAIN_UNTIL_CLOCKS};
    }
    rc = read_shard(p, run, true, e);
    if (rc == 0 && (p->data.fingerprint != run->data_fingerprint ||
                    p->data.n_rows_file != run->n_rows)) {
        rc = err_set(e, ERR_INVALID,
                     "%s is not what the run began with: it had %" PRIu64
                     " rows, now %" PRIu64 ", or other labels",
                     run->data, run->n_rows, p->data.n_rows_file);
    }
    return rc;
}

/* Which batches of whom are in W_clock: those that the log says. */
static int find_applied(struct peer *p, uint64_t clock, struct err *e)
{
    const struct train_delivery d =
        train_run_delivery(&p->replica.run, p->last_clock);
    uint32_t n = p->replica.run.n_peers, self = p->o->rank;
    struct ckpt_applied_list list;
    int rc;

    p->applied = calloc(n, sizeof *p->applied);
    p->ahead = calloc(n, sizeof *p->ahead);
    if (p->applied == NULL || p->ahead == NULL) {
        return err_set(e, ERR_NOMEM, "clocks of %u peers", n);
    }
    for (uint32_t q = 0; q < n; q++) {
        p->applied[q] = train_delivery_next(&d, q, self, 0);
    }
    rc = ckpt_reader_applied(p->replica.reader, clock, &list, e);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < list.n; i++) {
        const struct ckpt_applied *a = &list.at[i];
        uint64_t c =
            a->next > CKPT_APPLIED_BITS ? a->next - CKPT_APPLIED_BITS : 0;
        if (a->origin >= n) {
            continue;
        }
        p->applied[a->origin] = train_delivery_next(&d, a->origin, self, c);
        for (; c < a->next; c++) {
            if (ckpt_applied_has(a, c)) {
                train_delivery_note(&d, a->origin, self, &p->ahead[a->origin],
                                    &p->applied[a->origin], c);
            }
        }
    }
    ckpt_applied_fini(&list);
    return 0;
}

static int open_log(struct peer *p, struct err *e)
{
    const struct train_run *run = &p->replica.run;
    char *dir = train_peer_dir(p->o->dir, p->o->rank), *json = NULL;
    struct ckpt_log_options lo = {.run = run->run,
                                  .peer = p->o->rank,
                                  .durability = run->durability,
                                  .interval_ns = run->durability_ns,
                                  .segment_size_max = run->segment_size,
                                  .log = p->o->log};
    int rc = dir == NULL ? err_set(e, ERR_NOMEM, "path of the log") : 0;

    lo.dir = dir;
    if (rc == 0 && p->o->resume) {
        rc = ckpt_log_reopen(&p->log, &lo, p->first_clock, e);
    } else if (rc == 0) {
        rc = train_run_to_json(run, &json, e);
        lo.run_json = json;
        rc = rc != 0 ? rc : ckpt_log_create(&p->log, &lo, e);
    }
    free(json);
    free(dir);
    return rc;
}

/* Agree with the others on the job, and on the clock to begin with. */
static int meet(struct peer *p, struct err *e)
{
    struct train_run *run = &p->replica.run;
    struct train_note note = {.fingerprint =
                                  train_run_fingerprint(run) ^ p->last_clock};
    struct train_meet_options mo = {.rendezvous = p->o->rendezvous,
                                    .provider = p->o->provider,
                                    .node = p->o->node,
                                    .rank = p->o->rank,
                                    .n_peers = run->n_peers,
                                    .timeout_ns = MEET_NS,
                                    .interrupted = p->o->interrupted,
                                    .log = p->o->log};
    uint64_t session = clock_nonce();

    if (p->o->resume) {
        note.run = run->run;
        note.clocks = ckpt_reader_clocks(p->replica.reader);
    }
    p->first_clock = note.clocks;
    if (run->n_peers > 1) {
        int rc =
            train_meet(&p->transport, &mo, &note, &session, &p->first_clock, e);
        if (rc != 0) {
            return rc;
        }
    }
    if (!p->o->resume) {
        run->run = session;
    }
    return 0;
}

/* The log is cut behind the first clock, but the reader's files are mapped:
 * what it reads lies before the cut. */
static int
load_own(void *arg, uint64_t clock, struct blob **blob, struct err *e)
{
    struct peer *p = arg;
    const uint8_t *first = NULL;
    struct buf all;
    int rc = 0;

    if (p->replica.reader == NULL) {
        return err_set(e, ERR_NOT_FOUND, "no batch before clock 0");
    }
    buf_init(&all);
    for (size_t i = 0; rc == 0 && i < p->replica.n_states; i++) {
        size_t size;
        rc = ckpt_reader_batch(p->replica.reader, p->o->rank, clock,
                               (uint16_t)i, &first, &size, e);
        if (rc == 0) {
            buf_put(&all, first, size);
        }
    }
    if (rc == 0) {
        *blob = all.failed ? NULL : blob_copy(all.data, all.size);
        rc = *blob == NULL
                 ? err_set(e, ERR_NOMEM, "batch of clock %" PRIu64, clock)
                 : 0;
    }
    buf_fini(&all);
    return rc;
}

static int find_start(struct peer *p, struct err *e)
{
    int rc = 0;

    if (!p->o->resume) {
        return 0;
    }
    if (p->first_clock >= p->last_clock) {
        log_info(p->o->log, "the run is complete at clock %" PRIu64,
                 p->first_clock);
        p->last_clock = p->first_clock;
    }
    if (p->replica.run.transfer.kind == TRAIN_TRANSFER_SV) {
        rc = find_applied(p, p->first_clock, e);
    }
    rc = rc != 0
             ? rc
             : train_replica_seek(&p->replica, p->first_clock, NULL, NULL, e);
    return rc;
}

struct train_worker_options
train_peer_worker_options(const struct train_run *run, uint32_t rank)
{
    return (struct train_worker_options){
        .self = rank,
        .n_peers = run->n_peers,
        .mode = run->mode,
        .staleness = run->staleness,
        .staleness_min = run->staleness_min,
        .delivery = train_run_delivery(run, run->clocks),
        .retry_ns = run->peer_timeout_ns / RETRY_SHARE,
    };
}

static int open_hub(struct peer *p, struct err *e)
{
    const struct train_run *run = &p->replica.run;
    struct train_hub_options ho = {
        .worker = train_peer_worker_options(run, p->o->rank),
        .n_matrices = p->replica.n_states,
        .transport = p->transport,
        .peer_timeout_ns = run->peer_timeout_ns,
        .held_bytes_max = TRAIN_HELD_BYTES,
        .load = load_own,
        .load_arg = p,
        .interrupted = p->o->interrupted,
        .exchange = train_mix_options(&p->mix),
        .log = p->o->log,
    };
    struct train_reduce_options reduce;

    if (run->transfer.kind != TRAIN_TRANSFER_SV) {
        train_transfer_reduce_options(&p->replica, &reduce);
        reduce.self = p->o->rank;
        reduce.retry_ns = ho.worker.retry_ns;
        reduce.log = p->o->log;
        ho.reduce = &reduce;
    }
    ho.worker.first_clock = p->first_clock;
    ho.worker.delivery.last_clock = p->last_clock;
    ho.worker.applied = p->applied;
    ho.worker.ahead = p->ahead;
    ho.worker.log = p->o->log;
    return train_hub_create(&p->hub, &ho, e);
}

/* The log is made durable whatever happened; the first error is the one that
 * counts. */
static int close_log(struct peer *p, int rc, struct err *e)
{
    struct err late;
    int late_rc;

    train_keep_stop(p->keep);
    p->keep = NULL;
    if (p->log == NULL) {
        return rc;
    }
    late_rc = ckpt_log_close(p->log, &late);
    p->log = NULL;
    if (late_rc != 0 && rc == 0) {
        *e = late;
        return late_rc;
    }
    return rc;
}

/* The network thread runs while the replica is rebuilt, so that the others know
 * that we live. */
static int restore(struct peer *p, struct err *e)
{
    int rc = 0;

    if (p->o->resume) {
        rc = train_replica_seek(&p->replica, p->first_clock, NULL, NULL, e);
    }
    rc = rc != 0 ? rc : open_log(p, e);
    rc = rc != 0 ? rc
                 : train_keep_start(&p->keep, p->o->dir, p->o->rank,
                                    &p->replica.run, p->log, p->o->log, e);
    if (rc != 0) {
        train_hub_stop(p->hub, rc, e->msg);
    }
    return rc;
}

/* For --select auto: how fast the link to the next peer is while all others
 * measure theirs. Before the hub, which then owns the transport. */
static int
measure_link(struct peer *p, struct train_loop_options *lo, struct err *e)
{
    const struct train_run *run = &p->replica.run;
    const struct p2p_link_options o = {.self = p->o->rank,
                                       .target =
                                           (p->o->rank + 1) % run->n_peers,
                                       .n_peers = run->n_peers,
                                       .ping_ns = PING_NS,
                                       .phase_ns = STREAM_NS,
                                       .big_size = STREAM_SIZE,
                                       .paced = true,
                                       .silent_ns = MEET_NS,
                                       .stop = p->o->interrupted};
    struct p2p_link_result r;
    int rc;

    if (run->select.kind != SELECT_AUTO || run->n_peers < 2) {
        return 0;
    }
    rc = p2p_link_measure(p->transport, &o, &r, e);
    if (rc != 0) {
        return err_wrap(e, rc, "measuring the link to peer %u", o.target);
    }
    lo->link = r.big_bytes_per_s;
    lo->latency = r.round_trip_us_median * 0.5e-6;
    for (p2p_peer i = 0; i < run->n_peers; i++) {
        const struct p2p_stats s = p->transport->ops->stats(p->transport, i);
        lo->before.bytes_sent += s.bytes_sent;
        lo->before.bytes_received += s.bytes_received;
        lo->before.msgs_sent += s.msgs_sent;
        lo->before.msgs_received += s.msgs_received;
        lo->before.msgs_dropped += s.msgs_dropped;
    }
    return 0;
}

static int train(struct peer *p, struct train_summary *s, struct err *e)
{
    struct train_loop_options lo = {.replica = &p->replica,
                                    .data = &p->data,
                                    .test = p->has_test ? &p->test : NULL,
                                    .mix = &p->mix,
                                    .self = p->o->rank,
                                    .last_clock = p->last_clock,
                                    .note = p->o->note,
                                    .note_arg = p->o->note_arg,
                                    .interrupted = p->o->interrupted,
                                    .progress = p->o->progress,
                                    .progress_arg = p->o->progress_arg};
    int rc = measure_link(p, &lo, e);

    rc = rc != 0 ? rc : open_hub(p, e);
    rc = rc != 0 ? rc : restore(p, e);
    if (rc == 0) {
        lo.hub = p->hub;
        lo.log = p->log;
        rc = train_loop_run(&lo, s, e);
    }
    return close_log(p, rc, e);
}

int train_peer_run(const struct train_peer_options *o,
                   struct train_summary *s,
                   struct err *e)
{
    struct peer p = {.o = o};
    int rc;

    memset(s, 0, sizeof *s);
    rc = pool_create(&p.pool, o->n_threads, e);
    rc = rc != 0 ? rc : o->resume ? begin_again(&p, e) : begin_new(&p, e);
    rc = rc != 0 ? rc : train_mix_init(&p.mix, &p.replica, o->rank, e);
    rc = rc != 0 ? rc : read_test(&p, e);
    rc = rc != 0 ? rc : meet(&p, e);
    rc = rc != 0 ? rc : find_start(&p, e);
    rc = rc != 0 ? rc : train(&p, s, e);
    peer_close(&p);
    return rc;
}
