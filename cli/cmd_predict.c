/* lyre predict: the likeliest labels of rows or of texts. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/cmd.h"
#include "cli/past.h"
#include "cli/say.h"
#include "dataset/featurize.h"

#define TOP_MAX 1000000

static struct {
    struct past_options past;
    const char *data;
    struct opt_list text;
    uint64_t top;
    bool json;
} opts = {.top = 1};

static const struct opt OPTS[] = {
    {.name = "data",
     .kind = OPT_STRING,
     .value = &opts.data,
     .arg = "FILE",
     .help = "rows to label, in any format that lyre reads; of text, a line "
             "each"},
    {.name = "text",
     .kind = OPT_LIST,
     .value = &opts.text,
     .arg = "S...",
     .help = "texts to label, if the run was trained on text"},
    {.name = "top",
     .kind = OPT_U64,
     .value = &opts.top,
     .arg = "N",
     .help = "how many labels for each, likeliest first",
     .min = 1,
     .max = TOP_MAX},
    PAST_OPTS(opts.past),
    {.name = "json",
     .kind = OPT_FLAG,
     .value = &opts.json,
     .help = "print a JSON object a line"},
};

static const struct opt_command COMMAND = {
    .name = "predict",
    .summary = "The likeliest labels of rows or of texts.",
    .usage = "predict DIR (--data F | --text S...) [--top N] [--clock C] "
             "[--json]",
    .details = "One line for each row or text: label, tab, probability; with "
               "--top, further labels\nand probabilities behind them.",
    .examples = "lyre predict run --text Danmark Allemagne 'South Africa'\n"
                "lyre predict run --data names.txt --top 3 --json",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

/* A row with its guesses, to be printed. */
struct answer {
    const struct train_replica *replica;
    uint64_t row;
    const char *text; /* NULL: a row of a file. */
    size_t n;         /* Guesses. */
    const struct model_guess *guesses;
};

static const char *label_of(const struct answer *a, size_t i)
{
    const struct dataset_schema *s = &a->replica->run.schema;
    const uint32_t label = a->guesses[i].label;

    return label < s->n_classes ? s->classes[label] : "?";
}

static void print_text(const struct answer *a)
{
    for (size_t i = 0; i < a->n; i++) {
        printf("%s%s\t%.4f", i > 0 ? "\t" : "", label_of(a, i),
               (double)a->guesses[i].p);
    }
    putchar('\n');
}

static int print_json(const struct answer *a, struct err *e)
{
    json_t *guesses = json_array();
    json_t *object = json_pack("{sIss*so}", "row", (json_int_t)a->row, "text",
                               a->text, "guesses", guesses);
    int bad = object == NULL;

    for (size_t i = 0; i < a->n && !bad; i++) {
        bad = json_array_append_new(guesses,
                                    json_pack("{sssf}", "label", label_of(a, i),
                                              "p", (double)a->guesses[i].p));
    }
    if (!bad) {
        bad = json_dumpf(object, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
        putchar('\n');
    }
    json_decref(object);
    return bad ? err_set(e, ERR_NOMEM, "row %llu: no JSON of it",
                         (unsigned long long)a->row)
               : 0;
}

/* Label every row of @d. The first is number @first of all; @text is what it
 * was made from, if it was. */
static int predict_rows(struct past *p,
                        const struct dataset *d,
                        uint64_t first,
                        const char *text,
                        struct err *e)
{
    struct train_replica *r = &p->replica;
    const size_t top = opts.top < r->run.schema.n_classes
                           ? (size_t)opts.top
                           : r->run.schema.n_classes;
    struct model_guess *guesses = calloc(top + 1, sizeof *guesses);
    int status = 0;

    if (guesses == NULL) {
        return err_set(e, ERR_NOMEM, "%zu guesses", top);
    }
    for (uint32_t row = 0; row < d->n_rows && status == 0; row++) {
        struct answer a = {r, first + row, text, top, guesses};
        status = r->ops->predict(r->model, r->mats, d, row, guesses, top, e);
        while (a.n > 0 && guesses[a.n - 1].label == DATASET_NO_LABEL) {
            a.n--;
        }
        if (status == 0 && opts.json) {
            status = print_json(&a, e);
        } else if (status == 0) {
            print_text(&a);
        }
    }
    free(guesses);
    return status;
}

static int predict_data(struct past *p, struct err *e)
{
    const struct dataset_options o = {.schema = &p->replica.run.schema,
                                      .pool = p->pool};
    struct dataset d;
    int status = dataset_read(&d, opts.data, &o, e);

    if (status != 0) {
        return status;
    }
    status = past_seek(p, past_clock(&opts.past), e);
    if (status == 0) {
        status = predict_rows(p, &d, 0, NULL, e);
    }
    if (d.n_unknown_features != 0) {
        fprintf(stderr,
                "lyre: %llu entries are of features that the model does not "
                "know; they are left out\n",
                (unsigned long long)d.n_unknown_features);
    }
    dataset_fini(&d);
    return status;
}

static int predict_texts(struct past *p, struct err *e)
{
    const struct dataset_schema *schema = &p->replica.run.schema;
    int status;

    if (schema->featurizer.n_max == 0) {
        return err_set(e, ERR_INVALID,
                       "--text: this run was trained on rows of numbers, and "
                       "how text becomes such rows is not known; use --data");
    }
    status = past_seek(p, past_clock(&opts.past), e);
    for (size_t i = 0; i < opts.text.n && status == 0; i++) {
        const char *text = opts.text.item[i];
        struct dataset d;
        status = dataset_from_text(&d, schema, text, e);
        if (status != 0) {
            return err_wrap(e, status, "text %zu", i + 1);
        }
        status = predict_rows(p, &d, i, text, e);
        dataset_fini(&d);
    }
    return status;
}

/* --text a b c: what follows the run directory are texts, too. */
static int take_texts(int n_words, char **words)
{
    for (int i = 1; i < n_words; i++) {
        if (opts.text.n == OPT_LIST_MAX) {
            return say_usage(&COMMAND,
                             "more than %d texts: write them to a file, a line "
                             "each, and use --data",
                             OPT_LIST_MAX);
        }
        opts.text.item[opts.text.n++] = words[i];
    }
    return CMD_OK;
}

static int check_usage(int n_words, char **words)
{
    if (n_words == 0) {
        return say_usage(&COMMAND, "the run directory is missing");
    }
    if (opts.data != NULL && opts.text.n != 0) {
        return say_usage(&COMMAND, "--data or --text, not both");
    }
    if (opts.data == NULL && opts.text.n == 0) {
        return say_usage(&COMMAND, "--data or --text is missing");
    }
    if (opts.data != NULL && n_words > 1) {
        return say_usage(&COMMAND, "one run directory is wanted, not %d",
                         n_words);
    }
    return take_texts(n_words, words);
}

int cmd_predict(int argc, char **argv)
{
    struct past past;
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    status = check_usage(n_words, argv + 1);
    if (status != CMD_OK) {
        return status;
    }
    status = past_open(&past, argv[1], &opts.past, &e);
    if (status == 0) {
        status = opts.data != NULL ? predict_data(&past, &e)
                                   : predict_texts(&past, &e);
        past_close(&past);
    }
    return status == 0 ? CMD_OK : say_error(status, &e);
}
