#include "cli/cmd_log.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/past.h"
#include "cli/say.h"
#include "core/hash.h"
#include "sv/codec.h"
#include "sv/rows.h"

static struct past_options opts;

static const struct opt OPTS[] = {
    {.name = "clock",
     .kind = OPT_U64,
     .value = &opts.clock,
     .given = &opts.clock_given,
     .arg = "C",
     .help = "the clock that led from W_C to W_C+1 (default: the last)"},
    {.name = "peer",
     .kind = OPT_U64,
     .value = &opts.peer,
     .given = &opts.peer_given,
     .arg = "P",
     .help = "read the log of this peer (default: the lowest)",
     .min = 0,
     .max = UINT32_MAX},
};

static const struct opt_command COMMAND = {
    .name = "log show",
    .summary = "What a clock did to a replica: its ops, batches and "
               "measurements.",
    .usage = "log show DIR [--clock C] [--peer P]",
    .details =
        "An op is carried out on a matrix; applying a batch is W += coef v u^T "
        "for each of\nits pairs. Norms and coefficients are given as smallest "
        "to largest.",
    .examples = "lyre log show run --clock 100\n"
                "lyre log show run --clock 100 --peer 3",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

struct range {
    double min, max;
};

static void range_add(struct range *r, double x)
{
    r->min = x < r->min ? x : r->min;
    r->max = x > r->max ? x : r->max;
}

static struct range range_of_norms(const struct sv_vecs *x)
{
    struct range r = {INFINITY, -INFINITY};

    for (uint32_t i = 0; i < x->n; i++) {
        const struct sv_vec v = sv_vecs_get(x, i);
        double sum = 0;
        for (uint32_t j = 0; j < v.nnz; j++) {
            sum += (double)v.val[j] * (double)v.val[j];
        }
        range_add(&r, sqrt(sum));
    }
    return r;
}

static void
print_vecs(const char *name, const struct sv_vecs *x, const char *floats)
{
    const struct range norm = range_of_norms(x);

    if (x->sparse) {
        printf("      %s sparse, %.1f of %u entries each", name,
               (double)sv_vecs_entries(x) / x->n, x->len);
    } else {
        printf("      %s dense, %u entries each", name, x->len);
    }
    printf(", %s, norm %.4g to %.4g\n", floats, norm.min, norm.max);
}

/* What values of a side take: @bf16 and @f16 are its bits. */
static const char *floats_of(uint16_t codec, uint16_t bf16, uint16_t f16)
{
    return (codec & bf16) != 0 ? "bf16" : (codec & f16) != 0 ? "f16" : "f32";
}

static void
print_batch(const struct sv_batch *b, const struct sv_record *r, size_t size)
{
    struct range coef = {INFINITY, -INFINITY};

    for (uint32_t i = 0; i < b->n; i++) {
        range_add(&coef, (double)b->coef[i]);
    }
    printf("      %u pairs, %zu bytes", b->n, size);
    if ((r->codec & SV_CODEC_SNAPPY) != 0) {
        printf(" (%u before compression)", r->payload_raw_size);
    }
    if ((r->codec & SV_CODEC_SHUFFLE) != 0) {
        printf(", shuffled");
    }
    printf(", rate %.6g", (double)r->rate);
    if (b->n == 0) {
        putchar('\n');
        return;
    }
    printf(", coef %.4g to %.4g\n", coef.min, coef.max);
    print_vecs("u", &b->u,
               floats_of(r->codec, SV_CODEC_U_BF16, SV_CODEC_U_F16));
    print_vecs("v", &b->v,
               floats_of(r->codec, SV_CODEC_V_BF16, SV_CODEC_V_F16));
}

static int show_batch(const struct ckpt_reader *reader,
                      uint64_t clock,
                      const struct ckpt_op *op,
                      const struct sv_state *state,
                      struct err *e)
{
    struct sv_codec_scratch scratch;
    struct sv_batch batch;
    struct sv_record record;
    const uint8_t *data;
    size_t size;
    int status = ckpt_reader_op(reader, clock, op, &data, &size, e);

    if (status != 0) {
        return status;
    }
    sv_codec_scratch_init(&scratch);
    sv_batch_init(&batch, (uint32_t)state->w.J, (uint32_t)state->w.K);
    status = sv_codec_decode(&batch, &record, data, size, &scratch, e);
    if (status == 0) {
        print_batch(&batch, &record, size);
    }
    sv_batch_fini(&batch);
    sv_codec_scratch_fini(&scratch);
    return status;
}

static int show_rows(const struct ckpt_reader *reader,
                     uint64_t clock,
                     const struct ckpt_op *op,
                     const char *name,
                     struct err *e)
{
    struct sv_row_block rows;
    struct sv_record record;
    const uint8_t *data;
    size_t size;
    int status = ckpt_reader_op(reader, clock, op, &data, &size, e);

    sv_rows_init(&rows);
    status =
        status != 0 ? status : sv_rows_decode(&rows, &record, data, size, e);
    if (status == 0) {
        printf("  add to rows %u to %u of %s what other replicas have there,"
               " %zu bytes\n",
               rows.first, rows.first + rows.n - 1, name, size);
    }
    sv_rows_fini(&rows);
    return status;
}

static int show_op(const struct train_replica *r,
                   uint64_t clock,
                   const struct ckpt_op *op,
                   struct err *e)
{
    if (op->matrix >= r->n_states) {
        return err_set(e, ERR_CORRUPT, "op on matrix %u, there are %zu",
                       op->matrix, r->n_states);
    }
    const char *name = r->ops->param(r->model, op->matrix).name;
    switch (op->kind) {
    case SV_OP_APPLY:
        printf("  apply to %s the batch of peer %u, clock %" PRIu64, name,
               op->origin, op->clock);
        if (op->a != 1) {
            printf(", %.9g times", (double)op->a);
        }
        putchar('\n');
        return show_batch(r->reader, clock, op, &r->states[op->matrix], e);
    case SV_OP_SCALE:
        printf("  multiply %s by %.9g\n", name, (double)op->a);
        return 0;
    case SV_OP_SCALE_AUX:
        printf("  multiply the momentum of %s by %.9g\n", name, (double)op->a);
        return 0;
    case SV_OP_ADD_AUX:
        printf("  add the momentum of %s\n", name);
        return 0;
    case SV_OP_MIX:
        return show_rows(r->reader, clock, op, name, e);
    }
    return err_set(e, ERR_CORRUPT, "op of kind %d", (int)op->kind);
}

static void show_metrics(const struct ckpt_metrics *m)
{
#define X(NAME, TEXT)                                         \
    if (!isnan(m->NAME)) {                                    \
        printf("  %-16s %12.6g  %s\n", #NAME, m->NAME, TEXT); \
    }
    CKPT_METRIC_MAP(X)
#undef X
}

/* Digests of W_@clock that were taken in training. */
static void show_digests(const struct train_replica *r, uint64_t clock)
{
    char hex[HASH_HEX_SIZE];
    struct hash128 digest;

    for (size_t i = 0; i < r->n_states; i++) {
        if (ckpt_reader_digest(r->reader, clock, (uint16_t)i, &digest)) {
            hash_hex(digest, hex);
            printf("clock %" PRIu64 " matrix %s digest %s\n", clock,
                   r->ops->param(r->model, i).name, hex);
        }
    }
}

static int show(const struct past *p, uint64_t clock, struct err *e)
{
    const struct train_replica *r = &p->replica;
    struct ckpt_step step;
    int status;

    ckpt_step_init(&step);
    status = ckpt_reader_step(r->reader, clock, &step, e);
    if (status != 0) {
        goto fini;
    }
    printf("peer %u clock %" PRIu64 ": %zu ops\n", p->peer, clock, step.n_ops);
    for (size_t i = 0; i < step.n_ops && status == 0; i++) {
        status = show_op(r, clock, &step.ops[i], e);
    }
    if (status == 0) {
        show_metrics(&step.metrics);
        show_digests(r, clock);
        show_digests(r, clock + 1);
    }
fini:
    ckpt_step_fini(&step);
    return status != 0 ? err_wrap(e, status, "clock %" PRIu64, clock) : 0;
}

int cmd_log_show(int argc, char **argv)
{
    struct past past;
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(&COMMAND, "one run directory is wanted, not %d",
                         n_words);
    }
    opts.threads = 1;
    status = past_open(&past, argv[1], &opts, &e);
    if (status != 0) {
        return say_error(status, &e);
    }
    const uint64_t clocks = ckpt_reader_clocks(past.replica.reader);
    const uint64_t clock = opts.clock_given ? opts.clock : clocks - 1;
    if (clock >= clocks) {
        status = err_set(&e, ERR_NOT_FOUND,
                         "no clock %" PRIu64 " in the log of peer %u, which "
                         "has %" PRIu64,
                         opts.clock, past.peer, clocks);
    } else {
        status = show(&past, clock, &e);
    }
    past_close(&past);
    return status == 0 ? CMD_OK : say_error(status, &e);
}
