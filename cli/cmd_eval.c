/* lyre eval: loss and accuracy of a run on a data set. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/cmd.h"
#include "cli/past.h"
#include "cli/say.h"

static struct {
    struct past_options past;
    const char *data, *labels;
    bool json;
} opts;

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
    PAST_OPTS(opts.past),
    PAST_OPT_WITHOUT(opts.past),
    {.name = "json",
     .kind = OPT_FLAG,
     .value = &opts.json,
     .help = "print one JSON object"},
};

static const struct opt_command COMMAND = {
    .name = "eval",
    .summary = "Loss and accuracy of a run on a data set.",
    .usage = "eval DIR --data F [--clock C] [--peer P] [--threads T] "
             "[--without WHOSE]"
             " [--json]",
    .details =
        "The data is read as the training data was: same features, transform "
        "and\nnormalization. Rows with a label that the model does not know "
        "count as wrong;\nfeatures that it does not know are left out. How "
        "many "
        "there were is said.",
    .examples = "lyre eval run --data langid.test.svm\n"
                "lyre eval run --data langid.test.svm --clock 100 --json\n"
                "lyre eval run --data langid.test.svm --without peer=2",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

/* NaN and infinity have no JSON. */
static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static int print_json(const struct past *p,
                      const struct dataset *d,
                      const struct model_score *score,
                      struct err *e)
{
    json_t *object = json_pack(
        "{sIsIsIsososIsI}", "clock", (json_int_t)p->replica.clock, "peer",
        (json_int_t)p->peer, "n", (json_int_t)score->n, "loss",
        number(score->loss), "accuracy", number(score->accuracy),
        "unknown_labels", (json_int_t)d->n_unknown_labels, "unknown_features",
        (json_int_t)d->n_unknown_features);

    if (object == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    json_dumpf(object, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
    return 0;
}

static void print_text(const struct past *p,
                       const struct dataset *d,
                       const struct model_score *score)
{
    printf("clock %" PRIu64 " of peer %u: loss %.4f, accuracy %.4f of %" PRIu64
           " rows\n",
           p->replica.clock, p->peer, score->loss, score->accuracy, score->n);
    if (d->n_unknown_labels != 0) {
        printf("%" PRIu64 " rows have labels that the model does not know; "
               "they count as wrong\n",
               d->n_unknown_labels);
    }
    if (d->n_unknown_features != 0) {
        printf("%" PRIu64 " entries are of features that the model does not "
               "know; they are left out\n",
               d->n_unknown_features);
    }
}

static int eval(struct past *p, struct err *e)
{
    struct train_replica *r = &p->replica;
    const struct dataset_options o = {
        .schema = &r->run.schema, .labels = opts.labels, .pool = p->pool};
    struct model_score score;
    struct dataset d;
    int status = dataset_read(&d, opts.data, &o, e);

    if (status != 0) {
        return status;
    }
    status = past_go(p, &opts.past, e);
    if (status != 0) {
        goto fini;
    }
    status = r->ops->evaluate(r->model, r->mats, &d, p->pool, &score, e);
    if (status != 0) {
        goto fini;
    }
    if (score.n == 0) {
        status = err_set(e, ERR_NOT_FOUND, "%s: no row has a label", opts.data);
        goto fini;
    }
    if (opts.json) {
        status = print_json(p, &d, &score, e);
    } else {
        print_text(p, &d, &score);
    }
fini:
    dataset_fini(&d);
    return status;
}

int cmd_eval(int argc, char **argv)
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
    status = past_open(&past, argv[1], &opts.past, &e);
    if (status == 0) {
        status = eval(&past, &e);
        past_close(&past);
    }
    return status == 0 ? CMD_OK : say_error(status, &e);
}
