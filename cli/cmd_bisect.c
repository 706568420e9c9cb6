/* lyre bisect: the first clock at which a run got worse. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/cmd.h"
#include "cli/past.h"
#include "cli/say.h"
#include "sv/state.h"

#define POINTS_MAX 4096
#define CHANCES                                                                \
    3.0                  /* Standard deviations that a share of right rows may \
                          * differ by, by chance. */
#define LOSS_CHANGE 0.02 /* What a loss may change by. */

static struct {
    const char *data, *labels, *metric, *class;
    uint64_t from, to, points, peer, threads;
    bool from_given, to_given, peer_given, tolerance_given, json;
    double tolerance;
} opts = {.metric = "loss", .points = 32};

static const struct opt OPTS[] = {
    {.name = "data",
     .kind = OPT_STRING,
     .value = &opts.data,
     .arg = "FILE",
     .help = "what to evaluate on, in any format that lyre reads"},
    {.name = "labels",
     .kind = OPT_STRING,
     .value = &opts.labels,
     .arg = "FILE",
     .help = "labels, where they have a file of their own (IDX, npy)"},
    {.name = "metric",
     .kind = OPT_STRING,
     .value = &opts.metric,
     .arg = "M",
     .help = "loss or accuracy"},
    {.name = "class",
     .kind = OPT_STRING,
     .value = &opts.class,
     .arg = "K",
     .help = "of the rows with this label only"},
    {.name = "from",
     .kind = OPT_U64,
     .value = &opts.from,
     .given = &opts.from_given,
     .arg = "A",
     .help = "look from this clock on (default: the first there is)"},
    {.name = "to",
     .kind = OPT_U64,
     .value = &opts.to,
     .given = &opts.to_given,
     .arg = "B",
     .help = "up to this one (default: the last)"},
    {.name = "points",
     .kind = OPT_U64,
     .value = &opts.points,
     .arg = "N",
     .help = "evaluate at so many clocks before halving between two",
     .min = 2,
     .max = POINTS_MAX},
    {.name = "tolerance",
     .kind = OPT_F64,
     .value = &opts.tolerance,
     .given = &opts.tolerance_given,
     .arg = "X",
     .help = "how much worse than the best is worse (default: a tenth of\n"
             "the greatest fall)",
     .min = 0,
     .max = 1e9},
    {.name = "peer",
     .kind = OPT_U64,
     .value = &opts.peer,
     .given = &opts.peer_given,
     .arg = "P",
     .help = "read the log of this peer (default: the lowest)",
     .min = 0,
     .max = UINT32_MAX},
    {.name = "threads",
     .kind = OPT_U64,
     .value = &opts.threads,
     .arg = "T",
     .help = "threads (default: one for each CPU)",
     .min = 1,
     .max = POOL_THREADS_MAX},
    {.name = "json",
     .kind = OPT_FLAG,
     .value = &opts.json,
     .help = "print one JSON object, with all points"},
};

static const struct opt_command COMMAND = {
    .name = "bisect",
    .summary = "The first clock at which a run got worse.",
    .usage = "bisect DIR --data F [--metric loss|accuracy] [--class K]"
             " [--json]",
    .details =
        "The run is replayed and evaluated at clocks that are evenly spread. "
        "Where the metric\nfalls most, from a best to a worst after it, the "
        "first of these clocks that is worse\nthan the tolerance allows, and "
        "the one before it, are halved between until they are\nneighbours. A "
        "fall that chance explains is none: less than three standard "
        "deviations\nof the accuracy, or 2% of the loss. Ask lyre blame for "
        "the clock that is found.",
    .examples =
        "lyre bisect run --data test.svm\n"
        "lyre bisect run --data test.svm --metric accuracy --class de\n"
        "lyre bisect run --data test.svm --from 300 --points 100 --json",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

struct point {
    uint64_t clock;
    double value; /* Greater is better: losses have their sign changed. */
};

struct bisect {
    struct past *past;
    struct dataset data;
    bool accuracy;
    uint64_t n_rows; /* That were evaluated. */
    struct point points[POINTS_MAX];
    size_t n;
    size_t best, worst;         /* Of the greatest fall. */
    double threshold;           /* Less is worse. */
    struct point before, after; /* Neighbours, in the end. */
    bool found;
};

static double shown(const struct bisect *b, double value)
{
    return b->accuracy ? value : -value;
}

/* Only rows of one class have a label from here on. */
static int choose_class(struct dataset *d, uint32_t **own, struct err *e)
{
    const struct dataset_schema *s = &d->schema;
    uint32_t class = 0, *labels;
    uint64_t n = 0;

    while (class < s->n_classes && strcmp(s->classes[class], opts.class) != 0) {
        class ++;
    }
    if (class == s->n_classes) {
        return err_set(e, ERR_INVALID, "--class %s: the run has no such label",
                       opts.class);
    }
    labels = malloc((d->n_rows + 1) * sizeof *labels);
    if (labels == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < d->n_rows; i++) {
        labels[i] = d->label[i] == class ? class : DATASET_NO_LABEL;
        n += d->label[i] == class;
    }
    *own = labels;
    d->n_unknown_labels = 0;
    return n > 0 ? 0
                 : err_set(e, ERR_INVALID, "%s: no row has the label %s",
                           opts.data, opts.class);
}

/* Evaluate where the replica is. */
static int measure(struct bisect *b, struct point *p, struct err *e)
{
    struct train_replica *r = &b->past->replica;
    struct model_score score;
    int status =
        r->ops->evaluate(r->model, r->mats, &b->data, b->past->pool, &score, e);

    if (status == 0 && score.n == 0) {
        status = err_set(e, ERR_INVALID, "%s: no row has a label", opts.data);
    }
    if (status == 0) {
        b->n_rows = score.n;
        p->clock = r->clock;
        p->value = b->accuracy ? score.accuracy : -score.loss;
        if (!isfinite(p->value)) {
            p->value = -INFINITY;
        }
    }
    return status;
}

static int
measure_all(struct bisect *b, uint64_t from, uint64_t to, struct err *e)
{
    const uint64_t n = to - from < opts.points ? to - from : opts.points - 1;
    int status = 0;

    for (uint64_t i = 0; status == 0 && i <= n; i++) {
        const uint64_t clock = n == 0
                                   ? from
                                   : from + (uint64_t)((double)(to - from) *
                                                       (double)i / (double)n);
        status = past_seek(b->past, i == n ? to : clock, e);
        status = status != 0 ? status : measure(b, &b->points[b->n], e);
        b->n += status == 0;
    }
    return status;
}

/* The greatest fall: from the best so far to what comes later. */
static double find_fall(struct bisect *b)
{
    double fall = 0;
    size_t best = 0;

    for (size_t i = 1; i < b->n; i++) {
        const double now = b->points[best].value - b->points[i].value;
        if (now > fall) {
            fall = now;
            b->best = best;
            b->worst = i;
        }
        if (b->points[i].value > b->points[best].value) {
            best = i;
        }
    }
    return fall;
}

/* What chance explains. */
static double noise(const struct bisect *b)
{
    const double best = shown(b, b->points[b->best].value);

    return b->accuracy ? CHANCES * sqrt(best * (1 - best) / (double)b->n_rows)
                       : LOSS_CHANGE * best;
}

/* The first point behind the best that is worse, and the one before. */
static bool find_step(struct bisect *b)
{
    const double fall = find_fall(b);

    b->threshold =
        b->points[b->best].value - (opts.tolerance_given ? opts.tolerance
                                    : isfinite(fall)     ? fall / 10
                                                         : 0);
    if (fall == 0 || (!opts.tolerance_given && fall <= noise(b))) {
        return false;
    }
    for (size_t i = b->best + 1; i < b->n; i++) {
        if (b->points[i].value < b->threshold) {
            b->before = b->points[i - 1];
            b->after = b->points[i];
            return true;
        }
    }
    return false;
}

/* Halve between two points until they are neighbours. Replay always begins at
 * the earlier one, of which there is a copy. */
static int halve(struct bisect *b, struct err *e)
{
    struct train_replica *r = &b->past->replica;
    struct sv_state *copies = NULL;
    int status = past_seek(b->past, b->before.clock, e);

    status = status != 0 ? status
                         : sv_states_copy(&copies, r->states, r->n_states, e);
    while (status == 0 && b->after.clock - b->before.clock > 1) {
        const uint64_t clock =
            b->before.clock + (b->after.clock - b->before.clock) / 2;
        struct point p;
        sv_states_assign(r->states, copies, r->n_states);
        r->clock = b->before.clock;
        status = past_seek(b->past, clock, e);
        status = status != 0 ? status : measure(b, &p, e);
        if (status == 0 && p.value < b->threshold) {
            b->after = p;
        } else if (status == 0) {
            b->before = p;
            sv_states_assign(copies, r->states, r->n_states);
        }
    }
    sv_states_free(copies, r->n_states);
    return status;
}

static void print_text(const struct bisect *b)
{
    const struct point *best = &b->points[b->best];

    if (!b->found) {
        printf("%s on %" PRIu64 " rows did not get worse from clock %" PRIu64
               " to %" PRIu64 "\n",
               opts.metric, b->n_rows, b->points[0].clock,
               b->points[b->n - 1].clock);
        return;
    }
    printf("%s on %" PRIu64 " rows: %.4f at clock %" PRIu64
           ", the best before it fell to %.4f at clock %" PRIu64 "\n",
           opts.metric, b->n_rows, shown(b, best->value), best->clock,
           shown(b, b->points[b->worst].value), b->points[b->worst].clock);
    printf("clock %" PRIu64 " is the first that is worse than %.4f: %.4f, "
           "after %.4f at clock %" PRIu64 "\n",
           b->after.clock, shown(b, b->threshold), shown(b, b->after.value),
           shown(b, b->before.value), b->before.clock);
}

static json_t *json_point(const struct bisect *b, const struct point *p)
{
    return json_pack("{s:I, s:o}", "clock", (json_int_t)p->clock, "value",
                     isfinite(p->value) ? json_real(shown(b, p->value))
                                        : json_null());
}

static int print_json(const struct bisect *b, struct err *e)
{
    json_t *points = json_array();
    json_t *object = json_pack("{s:s, s:I, s:o}", "metric", opts.metric, "rows",
                               (json_int_t)b->n_rows, "points", points);

    if (object == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < b->n; i++) {
        json_array_append_new(points, json_point(b, &b->points[i]));
    }
    json_object_set_new(object, "clock",
                        b->found ? json_integer((json_int_t)b->after.clock)
                                 : json_null());
    if (b->found) {
        json_object_set_new(object, "before", json_point(b, &b->before));
        json_object_set_new(object, "after", json_point(b, &b->after));
        json_object_set_new(object, "best", json_point(b, &b->points[b->best]));
        json_object_set_new(object, "worst",
                            json_point(b, &b->points[b->worst]));
    }
    json_dumpf(object, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
    return 0;
}

static int search(struct bisect *b, struct err *e)
{
    const struct ckpt_reader *reader = b->past->replica.reader;
    const uint64_t first = ckpt_reader_first(reader);
    const uint64_t from = opts.from_given ? opts.from : first;
    const uint64_t to = opts.to_given ? opts.to : ckpt_reader_clocks(reader);
    int status;

    if (from > to) {
        return err_set(e, ERR_INVALID,
                       "--from %" PRIu64 " is not before --to %" PRIu64, from,
                       to);
    }
    status = measure_all(b, from, to, e);
    if (status == 0) {
        b->found = find_step(b);
        status = b->found ? halve(b, e) : 0;
    }
    if (status == 0 && opts.json) {
        status = print_json(b, e);
    } else if (status == 0) {
        print_text(b);
    }
    return status;
}

static int bisect(struct past *p, bool accuracy, struct err *e)
{
    const struct dataset_options o = {.schema = &p->replica.run.schema,
                                      .labels = opts.labels,
                                      .pool = p->pool};
    struct bisect *b = calloc(1, sizeof *b);
    uint32_t *own = NULL, *labels;
    int status;

    if (b == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    b->past = p;
    b->accuracy = accuracy;
    status = dataset_read(&b->data, opts.data, &o, e);
    if (status == 0) {
        labels = b->data.label;
        status = opts.class != NULL ? choose_class(&b->data, &own, e) : 0;
        b->data.label = own != NULL ? own : labels;
        status = status != 0 ? status : search(b, e);
        b->data.label = labels;
        dataset_fini(&b->data);
    }
    free(own);
    free(b);
    return status;
}

int cmd_bisect(int argc, char **argv)
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
    if (opts.data == NULL) {
        return say_usage(&COMMAND, "--data is missing");
    }
    const bool accuracy = strcmp(opts.metric, "accuracy") == 0;
    if (!accuracy && strcmp(opts.metric, "loss") != 0) {
        return say_usage(&COMMAND, "--metric %s: loss or accuracy is wanted",
                         opts.metric);
    }
    const struct past_options o = {.peer = opts.peer,
                                   .peer_given = opts.peer_given,
                                   .threads = opts.threads};
    status = past_open(&past, argv[1], &o, &e);
    if (status == 0) {
        status = bisect(&past, accuracy, &e);
        past_close(&past);
    }
    return status == 0 ? CMD_OK : say_error(status, &e);
}
