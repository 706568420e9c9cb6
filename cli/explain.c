#include "cli/explain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "train/clock.h"
#include "train/probe.h"

#define F32_SIZE 4.0

static double since(uint64_t begin_ns)
{
    return (double)(clock_ns() - begin_ns) * 1e-9;
}

static int begin(struct explain *x,
                 struct train_replica *r,
                 size_t n_clocks,
                 struct err *e)
{
    memset(x, 0, sizeof *x);
    x->replica = r;
    x->n = r->n_states;
    x->samples = r->run.batch;
    x->u_share = 1;
    x->batches = calloc(n_clocks * x->n, sizeof *x->batches);
    if (x->batches == NULL) {
        return err_set(e, ERR_NOMEM, "%zu batches", n_clocks * x->n);
    }
    x->n_clocks = n_clocks;
    for (size_t i = 0; i < n_clocks * x->n; i++) {
        const struct mat *w = r->mats[i % x->n];
        sv_batch_init(&x->batches[i], (uint32_t)w->J, (uint32_t)w->K);
    }
    return 0;
}

void explain_fini(struct explain *x)
{
    for (size_t i = 0; x->batches != NULL && i < x->n_clocks * x->n; i++) {
        sv_batch_fini(&x->batches[i]);
    }
    free(x->batches);
    memset(x, 0, sizeof *x);
}

/* One clock of peer 0, applied so that the next one sees another model. */
static int one_clock(struct explain *x,
                     struct train_clock *c,
                     uint64_t clock,
                     struct train_clock_work *work,
                     struct err *e)
{
    const struct train_hub_item own = {.peer = 0, .clock = clock};
    struct ckpt_step step;
    const uint64_t begin_ns = clock_ns();
    int rc = train_clock_compute(c, clock, work, e);

    x->seconds_compute += since(begin_ns) / (double)x->n_clocks;
    for (size_t i = 0; rc == 0 && i < x->n; i++) {
        struct sv_batch *to = &x->batches[clock * x->n + i];
        sv_batch_reset(to, c->own[i].u.sparse, c->own[i].v.sparse);
        to->rate = c->own[i].rate;
        rc = sv_batch_concat(to, &c->own[i], e);
    }
    ckpt_step_init(&step);
    ckpt_step_reset(&step, clock);
    rc = rc != 0 ? rc : train_clock_apply(c, &own, 1, &step, e);
    ckpt_step_fini(&step);
    return rc;
}

int explain_from_data(struct explain *x,
                      struct train_replica *replica,
                      const struct dataset *data,
                      struct err *e)
{
    const struct select_spec select = replica->run.select;
    const struct sv_codec_options codec = replica->run.codec;
    struct train_clock_tools tools;
    struct train_clock clock;
    struct train_clock_work work;
    double entries = 0, dense = 0;
    int rc;

    memset(&clock, 0, sizeof clock);
    memset(&replica->run.select, 0, sizeof replica->run.select);
    memset(&replica->run.codec, 0, sizeof replica->run.codec);
    rc = train_clock_tools_init(&tools, replica, e);
    rc = rc != 0 ? rc : train_clock_init(&clock, replica, data, 0, &tools, e);
    if (rc == 0) {
        rc = begin(x, replica, EXPLAIN_CLOCKS, e);
    } else {
        memset(x, 0, sizeof *x);
    }
    for (uint64_t c = 0; rc == 0 && c < EXPLAIN_CLOCKS; c++) {
        rc = one_clock(x, &clock, c, &work, e);
        entries += (double)work.n_u;
        dense += (double)work.n_u_dense;
    }
    x->u_share = dense > 0 ? entries / dense : 1;
    x->all_pairs = true;
    train_clock_fini(&clock);
    train_clock_tools_fini(&tools);
    replica->run.select = select;
    replica->run.codec = codec;
    return rc;
}

static int read_batch(struct explain *x,
                      struct sv_codec_scratch *s,
                      uint64_t clock,
                      size_t index,
                      struct err *e)
{
    const struct ckpt_reader *log = x->replica->reader;
    struct sv_record record;
    const uint8_t *data;
    size_t size;
    int rc = ckpt_reader_batch(log, ckpt_reader_peer(log), clock,
                               (uint16_t)(index % x->n), &data, &size, e);

    if (rc != 0) {
        return rc;
    }
    rc = sv_codec_decode(&x->batches[index], &record, data, size, s, e);
    return rc == 0 ? 0 : ckpt_reader_wrap(log, data, rc, e);
}

int explain_from_log(struct explain *x,
                     struct train_replica *replica,
                     struct err *e)
{
    static const struct sv_codec_options F32;
    const struct sv_codec_options *codec = &replica->run.codec;
    const uint64_t clocks = ckpt_reader_clocks(replica->reader);
    struct sv_codec_scratch scratch;
    int rc;

    memset(x, 0, sizeof *x);
    if (clocks == 0) {
        return err_set(e, ERR_NOT_FOUND, "the log has no whole clock yet");
    }
    rc =
        begin(x, replica, clocks < EXPLAIN_CLOCKS ? clocks : EXPLAIN_CLOCKS, e);
    sv_codec_scratch_init(&scratch);
    for (size_t i = 0; rc == 0 && i < x->n_clocks * x->n; i++) {
        rc = read_batch(x, &scratch, clocks - x->n_clocks + i / x->n, i, e);
    }
    sv_codec_scratch_fini(&scratch);
    x->all_pairs = replica->run.select.kind == SELECT_NONE &&
                   codec->u == F32.u && codec->v == F32.v;
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

/* Whether the whole is the sum of its parts: then nothing is hidden. */
static void add_up(const struct explain *x, struct explain_way *way)
{
    const double work = x->seconds_compute + way->seconds_select +
                        way->seconds_encode + way->seconds_apply;

    way->seconds_link = way->traffic.bytes / x->link;
    way->seconds = way->matrix || x->replica->run.mode == TRAIN_BSP
                       ? work + way->seconds_link
                       : fmax(work, way->seconds_link);
}

static double replica_memory(const struct explain *x)
{
    double sum = 0;

    for (size_t i = 0; i < x->n; i++) {
        const struct sv_state *s = &x->replica->states[i];
        sum += train_cost_matrix_memory(s->w.J, s->w.K,
                                        s->aux.data != NULL ? 2 : 1) +
               (s->h != NULL ? F32_SIZE * (double)s->w.K : 0);
    }
    return sum;
}

/* What batches are worked on with. */
struct bench {
    struct explain *x;
    const struct train_run *run;
    struct explain_way *way;
    struct train_probe probe;
    double batch_memory;               /* Of a clock, mean. */
    double least[MODEL_PARAMS_MAX][3]; /* Seconds: select, encode, apply. */
};

/* What disturbs a measurement makes it longer: the least of all clocks counts,
 * of each matrix. */
static void note_times(struct bench *b, size_t i, const double seconds[3])
{
    for (size_t k = 0; k < 3; k++) {
        double *least = &b->least[i][k];
        *least = *least == 0 ? seconds[k] : fmin(*least, seconds[k]);
    }
}

static int measure(struct bench *b, size_t index, struct err *e)
{
    const struct sv_batch *in = &b->x->batches[index];
    const struct train_run *run = b->run;
    const struct train_cost_pairs all = pairs_of(in);
    const bool selects = b->x->all_pairs && run->select.kind != SELECT_NONE;
    const double share = 1.0 / (double)b->x->n_clocks;
    const struct train_delivery d = train_run_delivery(run, UINT64_MAX);
    const uint32_t n_batches = train_cost_batches(&d);
    struct train_probe_way how = {.codec = run->codec, .n_batches = n_batches};
    struct explain_way *way = b->way;
    struct train_probe_result r;
    int rc;

    if (selects) {
        how.select = run->select;
    }
    rc = train_probe_batch(&b->probe, index % b->x->n, in, &how, &r, e);
    if (rc != 0) {
        return rc;
    }
    if (selects) {
        way->error = fmax(way->error, r.error); /* NaN is no number. */
    }
    way->pairs += share * r.sent.n;
    way->record_size += share * r.size;
    way->flops +=
        share *
        (train_cost_forward_flops(b->x->samples, in->u.len, all.nnz_v) +
         (run->select.kind == SELECT_NONE ? 0 : train_cost_select_flops(&all)) +
         train_cost_apply_flops(&r.sent, n_batches));
    note_times(b, index % b->x->n,
               (const double[]){r.select, r.encode, r.apply});
    b->batch_memory += share * r.memory;
    return 0;
}

static void name(const struct train_run *run, char text[EXPLAIN_NAME_SIZE])
{
    const struct train_delivery d = train_run_delivery(run, UINT64_MAX);
    char select[SELECT_SPEC_SIZE], codec[SV_CODEC_OPTIONS_SIZE];
    char multicast[P2P_MULTICAST_TEXT_SIZE];
    char groups[1 + TRAIN_REPAIR_SIZE] = " ";

    select_spec_format(&run->select, select);
    sv_codec_options_format(&run->codec, codec);
    p2p_multicast_format(&run->multicast, multicast);
    if (run->n_peers > 1 &&
        p2p_multicast_fan_out(&d.schedule) < run->n_peers - 1) {
        train_repair_format(run, groups + 1);
    } else {
        groups[0] = '\0';
    }
    snprintf(text, EXPLAIN_NAME_SIZE, "sv %.24s %.24s %s%s", select, codec,
             multicast, groups);
}

/* Clocks of batches that a peer may hold at once. */
static uint32_t held(const struct train_run *run)
{
    const struct train_delivery d = train_run_delivery(run, UINT64_MAX);
    const bool groups = run->n_peers > 1 &&
                        p2p_multicast_fan_out(&d.schedule) < run->n_peers - 1;

    return 1 + run->staleness +
           (groups && run->repair == TRAIN_REPAIR_LAZY ? run->repair_clocks
                                                       : 0);
}

static void deliver(const struct explain *x,
                    const struct train_run *run,
                    double batch_memory,
                    struct explain_way *way)
{
    const struct train_delivery d = train_run_delivery(run, UINT64_MAX);
    double mixing = 0;

    name(run, way->name);
    way->traffic = train_cost_sv(&d, way->record_size);
    for (size_t i = 0; i < x->n; i++) {
        const struct mat *w = x->replica->mats[i];
        const struct train_cost_traffic t =
            train_cost_mix(&d, run->repair_clocks, w->J, w->K);
        way->traffic.bytes += t.bytes;
        way->traffic.msgs_eager += t.msgs_eager;
        if (train_delivery_mixes(&d)) { /* Own parts, and those of others. */
            mixing += train_cost_matrix_memory(w->J, w->K, 2);
        }
    }
    way->memory_size =
        replica_memory(x) + mixing +
        train_cost_held_memory(run->n_peers, 1, batch_memory) +
        train_cost_held_memory(run->n_peers, held(run), way->record_size);
    add_up(x, way);
}

void explain_judge(const struct explain *x,
                   const struct train_run *run,
                   struct explain_way *way)
{
    const double error = isnan(way->error) ? 0 : way->error;
    bool v_sparse = false;

    for (size_t i = 0; i < x->n; i++) {
        v_sparse = v_sparse || x->batches[i].v.sparse;
    }
    train_auto_judge(&run->select, error, v_sparse, way->out);
}

int explain_sv(struct explain *x,
               const struct train_run *run,
               struct explain_way *way,
               struct err *e)
{
    struct bench b = {.x = x, .run = run, .way = way};
    int rc = train_probe_init(&b.probe, x->replica, e);

    memset(way, 0, sizeof *way);
    way->error = NAN;
    for (size_t i = 0; rc == 0 && i < x->n_clocks * x->n; i++) {
        rc = measure(&b, i, e);
    }
    train_probe_fini(&b.probe);
    for (size_t i = 0; rc == 0 && i < x->n; i++) {
        way->seconds_select += b.least[i][0];
        way->seconds_encode += b.least[i][1];
        way->seconds_apply += b.least[i][2];
    }
    if (rc == 0) {
        explain_judge(x, run, way);
        deliver(x, run, b.batch_memory, way);
    }
    return rc;
}

void explain_delivered(const struct explain *x,
                       const struct explain_way *sv,
                       const struct train_run *run,
                       struct explain_way *way)
{
    const struct train_run *as = &x->replica->run;
    const double batches =
        sv->memory_size - replica_memory(x) -
        train_cost_held_memory(as->n_peers, held(as), sv->record_size);

    *way = *sv;
    deliver(x, run, batches / as->n_peers, way);
}

int explain_matrix(struct explain *x,
                   bool ring,
                   struct explain_way *way,
                   struct err *e)
{
    const uint32_t P = x->replica->run.n_peers;
    struct train_probe probe;
    int rc = train_probe_init(&probe, x->replica, e);

    *way = (struct explain_way){.matrix = true, .error = NAN};
    way->memory_size = replica_memory(x);
    for (size_t i = 0; rc == 0 && i < x->n; i++) {
        const struct mat *w = x->replica->mats[i];
        const struct sv_batch *b = &x->batches[i];
        struct train_cost_pairs p = pairs_of(b);
        const struct train_cost_traffic t =
            ring ? train_cost_matrix_ring(w->J, w->K, P)
                 : train_cost_matrix_ps(w->J, w->K, P);
        double form = 0, passes = 0;
        rc = train_probe_matrix(&probe, i, b, &form, &passes, e);
        if (!x->all_pairs && b->n > 0 && x->samples > p.n) {
            /* The log has not the pairs that were left out. */
            form *= x->samples / p.n;
            p.n = x->samples;
        }
        way->traffic.bytes += t.bytes;
        way->traffic.msgs_eager += t.msgs_eager;
        way->traffic.rounds = t.rounds;
        way->record_size += F32_SIZE * (double)w->J * (double)w->K / P;
        way->flops +=
            train_cost_forward_flops(x->samples, (uint32_t)w->J, p.nnz_v) +
            train_cost_matrix_flops(&p, w->J, w->K, P);
        /* The gradient, and a piece that comes, or the server's sum. */
        way->memory_size += train_cost_matrix_memory(w->J, w->K, 1) +
                            train_cost_matrix_memory(w->J, w->K, 1) / P;
        way->seconds_apply += form + passes;
    }
    train_probe_fini(&probe);
    snprintf(way->name, sizeof way->name, "matrix %s",
             ring ? "by ring all-reduce" : "by servers");
    add_up(x, way);
    return rc;
}

double explain_break_even(const struct explain *x, double pair_size)
{
    double sum = 0;

    for (size_t i = 0; i < x->n; i++) {
        const struct mat *w = x->replica->mats[i];
        sum += train_cost_break_even(w->J, w->K, x->replica->run.n_peers,
                                     pair_size);
    }
    return sum;
}
