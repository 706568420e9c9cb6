/* lyre explain: what a clock costs, for each way of sending. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/cmd.h"
#include "cli/explain.h"
#include "cli/past.h"
#include "cli/run_options.h"
#include "cli/say.h"
#include "select/select.h"

#define WAYS_MAX   12
#define CLOCKS_MAX 1000 /* Of a log, whose metrics are averaged. */

static struct {
    uint64_t peers, threads;
    const char *link;
    bool json, peers_given;
} opts = {.peers = 4, .link = "1gbit"};

#define N_LEAD 2 /* The first of these options stand in front. */

static const struct opt OPTS[] = {
    {.name = "peers",
     .kind = OPT_U64,
     .value = &opts.peers,
     .given = &opts.peers_given,
     .arg = "N",
     .help = "how many peers the job would have",
     .min = 1,
     .max = TRAIN_PEERS_MAX},
    {.name = "link",
     .kind = OPT_STRING,
     .value = &opts.link,
     .arg = "RATE",
     .help = "what a peer's link carries in each direction: 100mbit, 10gbit"},
    {.name = "threads",
     .kind = OPT_U64,
     .value = &opts.threads,
     .arg = "T",
     .help = "threads of the measurement (default: one for each CPU)",
     .min = 1,
     .max = POOL_THREADS_MAX},
    {.name = "json",
     .kind = OPT_FLAG,
     .value = &opts.json,
     .help = "print one JSON object"},
};

#define N_OPTS (sizeof OPTS / sizeof OPTS[0])

static struct opt table[RUN_OPTIONS_N + N_OPTS];

static const struct opt_command COMMAND = {
    .name = "explain",
    .summary = "What a clock costs, for each way of sending.",
    .usage = "explain DIR [--link RATE] [--json]\n"
             "       lyre explain mlr --data F [--peers N] [options]",
    .details =
        "Real minibatches are computed from the data, or taken from the end of "
        "a run's log;\neach way selects, encodes and applies them here. Bytes "
        "and messages are those that a\npeer sends in a clock; a clock's time "
        "is that of the work and of the bytes on a link of\nthat rate. The "
        "first row is the job as its options are. Nothing is written, and no\n"
        "network is used. Of a run, options of a job mean nothing: it "
        "has its own. What leaves\nout too much, by the rule of --select auto, "
        "is no candidate for the cheapest.",
    .examples = "lyre explain run\n"
                "lyre explain mlr --data langid.train.tsv --peers 8 --link "
                "100mbit\n"
                "lyre explain mlr --data train.bin --peers 16 --select jcss:8 "
                "--json",
    .opts = table,
    .n_opts = sizeof table / sizeof table[0],
};

/* All that is said. */
struct report {
    struct explain x;
    struct explain_way ways[WAYS_MAX]; /* The job's own first. */
    size_t n_ways;
    struct ckpt_metrics mean; /* Of a run's clocks. */
    uint64_t n_clocks;        /* That mean is over. 0: no run. */
};

/* Bytes per second of "100mbit". 0: not a rate. */
static double read_rate(const char *text)
{
    static const struct {
        const char *unit;
        double bits;
    } UNITS[] = {{"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {"bit", 1}};
    char *end;
    const double x = strtod(text, &end);

    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (end != text && strcmp(end, UNITS[i].unit) == 0 && x > 0 &&
            isfinite(x)) {
            return x * UNITS[i].bits / 8;
        }
    }
    return 0;
}

/* "12.3 kB": four places at most, powers of 1000. @unit may be "". */
static const char *human(double x, const char *unit, char text[24])
{
    static const char *const PREFIXES[] = {"", "k", "M", "G", "T", "P"};
    size_t i = 0;

    while (x >= 999.95 && i + 1 < sizeof PREFIXES / sizeof PREFIXES[0]) {
        x /= 1000;
        i++;
    }
    snprintf(text, 24, i == 0 ? "%.0f %s%s" : "%.1f %s%s", x, PREFIXES[i],
             unit);
    return text;
}

static const char *human_time(double seconds, char text[24])
{
    if (seconds < 1e-3) {
        snprintf(text, 24, "%.0f us", seconds * 1e6);
    } else if (seconds < 1) {
        snprintf(text, 24, "%.1f ms", seconds * 1e3);
    } else {
        snprintf(text, 24, "%.2f s", seconds);
    }
    return text;
}

static bool is_there(const struct report *r, const char *name)
{
    for (size_t i = 0; i < r->n_ways; i++) {
        if (strcmp(r->ways[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Keep the way behind the last, unless there is one of that name. */
static void keep(struct report *r)
{
    if (!is_there(r, r->ways[r->n_ways].name)) {
        r->n_ways++;
    }
}

/* The ways that need all pairs. */
static int add_others(struct report *r, struct err *e)
{
    struct select_spec specs[TRAIN_AUTO_WAYS_MAX];
    const uint32_t n = train_auto_specs(r->x.replica->run.batch, specs);
    struct train_run run = r->x.replica->run; /* Owns nothing. */
    int rc;

    memset(&run.select, 0, sizeof run.select);
    memset(&run.codec, 0, sizeof run.codec);
    run.multicast.kind = P2P_MULTICAST_ALL;
    rc = explain_sv(&r->x, &run, &r->ways[r->n_ways], e);
    if (rc != 0) {
        return rc;
    }
    keep(r);
    run.codec.u = run.codec.v = SV_VALUE_BF16;
    rc = explain_sv(&r->x, &run, &r->ways[r->n_ways], e);
    if (rc != 0) {
        return rc;
    }
    keep(r);
    memset(&run.codec, 0, sizeof run.codec);
    /* What auto compares, and twice as many pairs. */
    for (uint32_t i = 0; i < 2 * (n - 1); i++) {
        run.select = specs[1 + i / 2];
        run.select.C *= 1 + i % 2;
        run.select.feedback *= 1 + i % 2;
        rc = explain_sv(&r->x, &run, &r->ways[r->n_ways], e);
        if (rc != 0) {
            return rc;
        }
        keep(r);
    }
    return 0;
}

/* As the job sends, but to few at once. Without repair, fewer would be applied
 * as well, which was not measured. */
static void add_schedules(struct report *r)
{
    struct train_run run = r->x.replica->run; /* Owns nothing. */
    const uint32_t fan_outs[] = {1, (uint32_t)ceil(log2(run.n_peers))};

    for (size_t i = 0; i < 2; i++) {
        run.multicast.kind = P2P_MULTICAST_RANDOM;
        run.multicast.fan_out = fan_outs[i];
        if (run.repair == TRAIN_REPAIR_LAZY && fan_outs[i] > 0 &&
            fan_outs[i] + 1 < run.n_peers) {
            explain_delivered(&r->x, &r->ways[0], &run, &r->ways[r->n_ways]);
            keep(r);
        }
    }
}

static int add_ways(struct report *r, struct err *e)
{
    int rc = explain_sv(&r->x, &r->x.replica->run, &r->ways[r->n_ways], e);

    if (rc != 0) {
        return rc;
    }
    keep(r);
    if (r->n_clocks > 0 && !r->x.all_pairs &&
        r->x.replica->run.select.kind != SELECT_NONE) {
        r->ways[0].error = r->mean.selection_error;
        explain_judge(&r->x, &r->x.replica->run, &r->ways[0]);
    }
    rc = r->x.all_pairs ? add_others(r, e) : 0;
    add_schedules(r);
    for (int ring = 0; rc == 0 && ring < 2; ring++) {
        rc = explain_matrix(&r->x, ring != 0, &r->ways[r->n_ways], e);
        keep(r);
    }
    return rc;
}

/* Of the ways that can stand for all pairs; the job's own if none can. */
static const struct explain_way *least(const struct report *r, bool seconds)
{
    const struct explain_way *best = NULL;

    for (size_t i = 0; i < r->n_ways; i++) {
        const struct explain_way *w = &r->ways[i];
        if (w->out[0] == '\0' &&
            (best == NULL ||
             (seconds ? w->seconds < best->seconds
                      : w->traffic.bytes < best->traffic.bytes))) {
            best = w;
        }
    }
    return best == NULL ? &r->ways[0] : best;
}

/* Ways that are no choice, and why. */
static void print_outs(const struct report *r)
{
    const char *lead = "not good enough to stand for all pairs: ";

    for (size_t i = 0; i < r->n_ways; i++) {
        if (r->ways[i].out[0] != '\0') {
            printf("%s%s (%s)", lead, r->ways[i].name, r->ways[i].out);
            lead = ", ";
        }
    }
    if (lead[0] == ',') {
        putchar('\n');
    }
}

/* The cheapest of the ways that send the matrix. */
static const struct explain_way *matrix(const struct report *r, bool seconds)
{
    const struct explain_way *a = &r->ways[r->n_ways - 2];
    const struct explain_way *b = &r->ways[r->n_ways - 1];

    return seconds && b->seconds < a->seconds ? b : a;
}

static bool loses(const struct report *r, size_t i, bool seconds)
{
    const struct explain_way *w = &r->ways[i], *m = matrix(r, seconds);

    return !w->matrix && (seconds ? w->seconds > m->seconds
                                  : w->traffic.bytes > m->traffic.bytes);
}

/* Where SVs lose against the matrix, in words. */
static void print_losers(const struct report *r, bool seconds)
{
    const struct explain_way *m = matrix(r, seconds);
    size_t n = 0;

    for (size_t i = 0; i < r->n_ways; i++) {
        const struct explain_way *w = &r->ways[i];
        if (loses(r, i, seconds)) {
            printf("%s%s (%.3g times)",
                   n > 0     ? ", "
                   : seconds ? "slower than the matrix: "
                             : "more bytes than the matrix: ",
                   w->name,
                   seconds ? w->seconds / m->seconds
                           : w->traffic.bytes / m->traffic.bytes);
            n++;
        }
    }
    puts(n > 0     ? ""
         : seconds ? "no way of sufficient vectors is slower than the matrix"
                   : "no way of sufficient vectors sends more bytes than the "
                     "matrix");
}

static double break_even(const struct report *r)
{
    const struct explain_way *w = &r->ways[0];

    return w->pairs > 0 ? explain_break_even(&r->x, w->record_size / w->pairs)
                        : INFINITY;
}

static void print_head(const struct report *r)
{
    const struct train_run *run = &r->x.replica->run;
    char a[24], mode[32];

    train_mode_format(run, mode);
    printf("%s, %u peers, %u samples each, %s, W", run->model, run->n_peers,
           run->batch, mode);
    for (size_t i = 0; i < r->x.n; i++) {
        const struct mat *w = r->x.replica->mats[i];
        printf("%s (%zu, %zu)", i > 0 ? "," : "", w->K, w->J);
    }
    printf(", links of %s\n", human(r->x.link * 8, "bit/s", a));
    if (r->n_clocks > 0) {
        printf("in %" PRIu64 " clocks of the run: ", r->n_clocks);
        printf("%.0f pairs, %.1f%% of u, ", r->mean.pairs,
               100 * r->mean.u_share);
        printf("%s encoded, ", human(r->mean.bytes_encoded, "B", a));
        printf("%s sent; ", human(r->mean.bytes_sent, "B", a));
        printf("compute %s, ", human_time(r->mean.seconds_compute, a));
        printf("encode %s, ", human_time(r->mean.seconds_encode, a));
        printf("wait %s, ", human_time(r->mean.seconds_wait, a));
        printf("apply %s, ", human_time(r->mean.seconds_apply, a));
        printf("clock %s\n", human_time(r->mean.seconds_clock, a));
    } else {
        printf("in the first %zu clocks: %.1f%% of u is kept (fewer once the "
               "model has learnt: explain a run), computing takes %s\n",
               r->x.n_clocks, 100 * r->x.u_share,
               human_time(r->x.seconds_compute, a));
    }
}

static void print_way(const struct explain_way *w, double compute, int width)
{
    char pairs[24] = "-", error[24] = "-", messages[40], a[24], b[24], c[24],
         d[24], f[24], g[24], h[24];

    if (!w->matrix) {
        snprintf(pairs, sizeof pairs, "%.0f", w->pairs);
    }
    if (!isnan(w->error)) {
        snprintf(error, sizeof error, "%.3f", w->error);
    }
    snprintf(messages, sizeof messages,
             w->traffic.msgs_lazy > 0 ? "%.0f + %.2f" : "%.0f",
             w->traffic.msgs_eager, w->traffic.msgs_lazy);
    printf("%-*s %6s %6s %9s %12s %9s %8s %9s %9s %9s %9s\n", width, w->name,
           pairs, error, human(w->record_size, "B", a), messages,
           human(w->traffic.bytes, "B", b), human(w->flops, "", c),
           human(w->memory_size, "B", d),
           human_time(compute + w->seconds_select + w->seconds_encode +
                          w->seconds_apply,
                      f),
           human_time(w->seconds_link, g), human_time(w->seconds, h));
}

/* What a selection leaves out, behind its name. */
static const char *error_of(const struct explain_way *w, char text[40])
{
    text[0] = '\0';
    if (w->error > 0) {
        snprintf(text, 40, " (error %.3f)", w->error);
    }
    return text;
}

static void print_text(const struct report *r)
{
    const struct explain_way *bytes = least(r, false), *fast = least(r, true);
    const double even = break_even(r);
    char a[24], b[24], c[24], left[2][40];
    int width = 3;

    print_head(r);
    for (size_t i = 0; i < r->n_ways; i++) {
        const int n = (int)strlen(r->ways[i].name);
        width = n > width ? n : width;
    }
    printf("\n%-*s %6s %6s %9s %12s %9s %8s %9s %9s %9s %9s\n", width, "way",
           "pairs", "error", "record", "messages", "sent", "flops", "memory",
           "work", "link", "clock");
    for (size_t i = 0; i < r->n_ways; i++) {
        print_way(&r->ways[i], r->x.seconds_compute, width);
    }
    putchar('\n');
    if (!r->x.all_pairs) {
        puts("other selections and codecs need all pairs, as computed: lyre "
             "explain MODEL --data F");
    }
    if (r->x.replica->run.n_peers == 1) {
        printf("one peer sends nothing, whatever the way; fastest is %s, with "
               "%s a clock\n",
               fast->name, human_time(fast->seconds, a));
        return;
    }
    print_losers(r, false);
    print_losers(r, true);
    print_outs(r);
    printf("pairs as the job sends them cost fewer bytes than the matrix below "
           "%.3g of a peer and clock\n",
           even);
    printf("cheapest in bytes is %s%s, with %s from each peer and clock; at %s "
           "the fastest is %s%s, with %s a clock\n",
           bytes->name, error_of(bytes, left[0]),
           human(bytes->traffic.bytes, "B", a),
           human(r->x.link * 8, "bit/s", b), fast->name,
           error_of(fast, left[1]), human_time(fast->seconds, c));
}

/* NaN and infinity have no JSON. */
static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *way_json(const struct report *r, size_t i)
{
    const struct explain_way *w = &r->ways[i];

    return json_pack(
        "{s:s, s:b, s:f, s:f, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, "
        "s:f, s:f, s:f, s:b, s:b, s:s?}",
        "way", w->name, "matrix", (int)w->matrix, "pairs", w->pairs,
        "record_bytes", w->record_size, "error", number(w->error),
        "messages_eager", w->traffic.msgs_eager, "messages_lazy",
        w->traffic.msgs_lazy, "rounds", w->traffic.rounds, "bytes",
        w->traffic.bytes, "flops", w->flops, "memory_bytes", w->memory_size,
        "seconds_select", w->seconds_select, "seconds_encode",
        w->seconds_encode, "seconds_apply", w->seconds_apply, "seconds_link",
        w->seconds_link, "seconds", w->seconds, "loses_bytes",
        (int)loses(r, i, false), "loses_seconds", (int)loses(r, i, true), "out",
        w->out[0] == '\0' ? NULL : w->out);
}

static json_t *measured_json(const struct report *r)
{
    json_t *object = json_object();

    json_object_set_new(object, "clocks",
                        json_integer((json_int_t)r->n_clocks));
#define X(NAME, TEXT) json_object_set_new(object, #NAME, number(r->mean.NAME));
    CKPT_METRIC_MAP(X)
#undef X
    return object;
}

static int print_json(const struct report *r, struct err *e)
{
    const struct train_run *run = &r->x.replica->run;
    json_t *ways = json_array(), *shapes = json_array(), *object;
    int rc = 0;

    for (size_t i = 0; i < r->n_ways; i++) {
        json_array_append_new(ways, way_json(r, i));
    }
    for (size_t i = 0; i < r->x.n; i++) {
        const struct mat *w = r->x.replica->mats[i];
        json_array_append_new(
            shapes, json_pack("[I, I]", (json_int_t)w->K, (json_int_t)w->J));
    }
    object = json_pack(
        "{s:s, s:I, s:I, s:o, s:f, s:o, s:f, s:o, s:s, s:s, s:o, s:o}", "model",
        run->model, "peers", (json_int_t)run->n_peers, "batch",
        (json_int_t)run->batch, "shapes", shapes, "link_bytes_per_second",
        r->x.link, "u_share", number(r->x.u_share), "seconds_compute",
        r->x.seconds_compute, "break_even_pairs", number(break_even(r)),
        "cheapest", least(r, false)->name, "fastest", least(r, true)->name,
        "measured", r->n_clocks > 0 ? measured_json(r) : json_null(), "ways",
        ways);
    if (object == NULL || json_array_size(ways) != r->n_ways ||
        json_dumpf(object, stdout, JSON_REAL_PRECISION(9)) != 0) {
        rc = err_set(e, ERR_NOMEM, "out of memory");
    }
    putchar('\n');
    json_decref(object);
    return rc;
}

static int report(struct report *r, struct err *e)
{
    int rc;

    r->x.link = read_rate(opts.link);
    rc = add_ways(r, e);
    if (rc == 0 && opts.json) {
        return print_json(r, e);
    }
    if (rc == 0) {
        print_text(r);
    }
    return rc;
}

/* Means over the last clocks of the log, of those that have a number. */
static int
read_metrics(struct report *r, struct ckpt_reader *log, struct err *e)
{
    const uint64_t clocks = ckpt_reader_clocks(log);
    const uint64_t first = clocks > CLOCKS_MAX ? clocks - CLOCKS_MAX : 0;
    struct ckpt_metrics n = {0};
    struct ckpt_step step;
    int rc = 0;

    ckpt_step_init(&step);
    for (uint64_t c = first; rc == 0 && c < clocks; c++) {
        rc = ckpt_reader_step(log, c, &step, e);
#define X(NAME, TEXT)                           \
    if (rc == 0 && !isnan(step.metrics.NAME)) { \
        r->mean.NAME += step.metrics.NAME;      \
        n.NAME++;                               \
    }
        CKPT_METRIC_MAP(X)
#undef X
    }
#define X(NAME, TEXT) r->mean.NAME = n.NAME > 0 ? r->mean.NAME / n.NAME : NAN;
    CKPT_METRIC_MAP(X)
#undef X
    ckpt_step_fini(&step);
    r->n_clocks = clocks - first;
    return rc;
}

/* Runs of older versions count selecting as computing. */
static double or_zero(double x)
{
    return isnan(x) ? 0 : x;
}

static int explain_run(struct report *r, const char *dir, struct err *e)
{
    const struct past_options o = {.threads = opts.threads};
    struct past past;
    int rc = past_open(&past, dir, &o, e);

    if (rc != 0) {
        return rc;
    }
    rc = explain_from_log(&r->x, &past.replica, e);
    rc = rc != 0 ? rc : read_metrics(r, past.replica.reader, e);
    if (rc == 0) {
        r->x.seconds_compute =
            or_zero(r->mean.seconds_compute) + or_zero(r->mean.seconds_select);
        r->x.u_share = r->mean.u_share;
        rc = report(r, e);
    }
    explain_fini(&r->x);
    past_close(&past);
    return rc;
}

static int explain_data(struct report *r, struct train_run *run, struct err *e)
{
    struct dataset_options o = train_run_data_options(run);
    struct train_replica replica;
    struct pool *pool = NULL;
    struct dataset data;
    int rc = past_pool(&pool, opts.threads, e);

    if (rc != 0) {
        return rc;
    }
    o.n_shards = run->n_peers;
    o.pool = pool;
    rc = dataset_read(&data, run->data, &o, e);
    if (rc != 0) {
        goto no_data;
    }
    if (data.n_rows == 0) {
        rc = err_set(e, ERR_INVALID, "%s has no rows", run->data);
        goto no_replica;
    }
    if (run->select.kind == SELECT_AUTO) { /* It begins with all pairs. */
        run->select.kind = SELECT_NONE;
    }
    rc = train_run_complete(run, &data, run_options_epochs(), e);
    rc = rc != 0 ? rc : train_replica_create(&replica, run, pool, e);
    if (rc != 0) {
        goto no_replica;
    }
    rc = explain_from_data(&r->x, &replica, &data, e);
    rc = rc != 0 ? rc : report(r, e);
    explain_fini(&r->x);
    train_replica_close(&replica);
no_replica:
    dataset_fini(&data);
no_data:
    pool_destroy(pool);
    return rc;
}

int cmd_explain(int argc, char **argv)
{
    static struct report r;
    struct train_run run;
    struct err e;
    int n_words, status, rc = 0;

    run_options_join(table, OPTS, N_OPTS, N_LEAD);
    status = say_parse(&COMMAND, argc, argv, &n_words);
    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(&COMMAND,
                         "one run directory or model is wanted, not "
                         "%d",
                         n_words);
    }
    if (read_rate(opts.link) <= 0) {
        return say_usage(&COMMAND, "--link %s: a rate such as 100mbit or 1gbit",
                         opts.link);
    }
    if (model_find(argv[1]) == NULL) {
        if (opts.peers_given) {
            return say_usage(&COMMAND, "--peers goes with a model and --data: "
                                       "a run has its own");
        }
        rc = explain_run(&r, argv[1], &e);
        return rc == 0 ? CMD_OK : say_error(rc, &e);
    }
    status = run_options_check(&COMMAND, n_words, argv + 1);
    if (status >= 0) {
        return status;
    }
    train_run_init(&run);
    status = run_options_read(&COMMAND, argv[1], (uint32_t)opts.peers, &run);
    if (status < 0) {
        rc = explain_data(&r, &run, &e);
        status = rc == 0 ? CMD_OK : say_error(rc, &e);
    }
    train_run_fini(&run);
    return status;
}
