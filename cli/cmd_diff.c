/* lyre diff: what changed between two clocks, and who changed it. */

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "ckpt/diff.h"
#include "cli/cmd.h"
#include "cli/past.h"
#include "cli/say.h"

static struct {
    struct past_options past; /* Its clock is --from. */
    uint64_t to, top;
    bool to_given, json;
    const char *matrix;
} opts = {.top = 10};

static const struct opt OPTS[] = {
    {.name = "from",
     .kind = OPT_U64,
     .value = &opts.past.clock,
     .given = &opts.past.clock_given,
     .arg = "A",
     .help = "compare the parameters of this clock"},
    {.name = "to",
     .kind = OPT_U64,
     .value = &opts.to,
     .given = &opts.to_given,
     .arg = "B",
     .help = "with those of this one (default: the last)"},
    {.name = "matrix",
     .kind = OPT_STRING,
     .value = &opts.matrix,
     .arg = "NAME",
     .help = "of a model with several: which (default: the first)"},
    {.name = "top",
     .kind = OPT_U64,
     .value = &opts.top,
     .arg = "N",
     .help = "show so many rows, and columns",
     .min = 1,
     .max = 1 << 16},
    {.name = "peer",
     .kind = OPT_U64,
     .value = &opts.past.peer,
     .given = &opts.past.peer_given,
     .arg = "P",
     .help = "read the log of this peer (default: the lowest)",
     .min = 0,
     .max = UINT32_MAX},
    {.name = "threads",
     .kind = OPT_U64,
     .value = &opts.past.threads,
     .arg = "T",
     .help = "threads (default: one for each CPU)",
     .min = 1,
     .max = POOL_THREADS_MAX},
    {.name = "json",
     .kind = OPT_FLAG,
     .value = &opts.json,
     .help = "print one JSON object"},
};

static const struct opt_command COMMAND = {
    .name = "diff",
    .summary = "Which rows and columns of W moved most between two clocks, and "
               "whose batches\nmoved them.",
    .usage = "diff DIR --from A [--to B] [--top N] [--matrix NAME] [--json]",
    .details =
        "A row or column has moved by the norm of its difference. The share of "
        "a peer is how\nmuch of the way its batches took it, each measured as "
        "it was applied: shares add up\nto 1, and one below 0 pulled the other "
        "way. What applies no batch, such as weight\ndecay, is the share "
        "called other. Under momentum shares are approximate.",
    .examples = "lyre diff run --from 300 --to 320\n"
                "lyre diff run --from 300 --top 3 --json",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

static void print_shares(const struct ckpt_diff *d, const double *shares)
{
    for (size_t p = 0; p < d->n_origins; p++) {
        printf("%speer %u %.1f%%", p == 0 ? "" : ", ", d->origins[p],
               100 * shares[p]);
    }
    if (shares[d->n_origins] != 0) {
        printf(", other %.1f%%", 100 * shares[d->n_origins]);
    }
    putchar('\n');
}

static void
print_text(const struct past *p, size_t matrix, const struct ckpt_diff *d)
{
    const size_t who = d->n_origins + 1;

    printf("%s moved by %.6g from clock %" PRIu64 " to %" PRIu64
           "; its norm was %.6g\n",
           past_name(p, matrix), d->moved, opts.past.clock, opts.to, d->before);
    printf("%" PRIu64 " of %zu rows changed; most:\n", d->n_rows,
           p->replica.states[matrix].w.K);
    for (size_t i = 0; i < d->n_top_rows; i++) {
        printf("  row %u moved %.4g: ", d->rows[i].index, d->rows[i].moved);
        print_shares(d, d->row_shares + i * who);
    }
    puts("columns that moved most:");
    for (size_t i = 0; i < d->n_top_columns; i++) {
        const uint32_t j = d->columns[i].index;
        const char *label = past_column(p, matrix, j);
        printf("  column %u%s%s%s moved %.4g: ", j, label ? " (" : "",
               label ? label : "", label ? ")" : "", d->columns[i].moved);
        print_shares(d, d->column_shares + i * who);
    }
}

static json_t *json_lines(const struct ckpt_diff *d,
                          const struct ckpt_diff_line *lines,
                          size_t n,
                          const double *shares)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++, shares += d->n_origins + 1) {
        json_t *peers = json_array();
        for (size_t p = 0; p < d->n_origins; p++) {
            json_array_append_new(peers, json_pack("{s:I, s:f}", "peer",
                                                   (json_int_t)d->origins[p],
                                                   "share", shares[p]));
        }
        json_array_append_new(
            list, json_pack("{s:I, s:f, s:o, s:f}", "index",
                            (json_int_t)lines[i].index, "moved", lines[i].moved,
                            "peers", peers, "other", shares[d->n_origins]));
    }
    return list;
}

static int print_json(const struct ckpt_diff *d, struct err *e)
{
    json_t *object = json_pack(
        "{s:I, s:I, s:f, s:f, s:I, s:o, s:o}", "from",
        (json_int_t)opts.past.clock, "to", (json_int_t)opts.to, "moved",
        d->moved, "norm_before", d->before, "rows_changed",
        (json_int_t)d->n_rows, "rows",
        json_lines(d, d->rows, d->n_top_rows, d->row_shares), "columns",
        json_lines(d, d->columns, d->n_top_columns, d->column_shares));

    if (object == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    json_dumpf(object, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
    return 0;
}

static int diff(struct past *p, struct err *e)
{
    struct train_replica *r = &p->replica;
    struct ckpt_diff d;
    size_t matrix;
    int status = past_matrix(p, opts.matrix, &matrix, e);

    if (!opts.to_given) {
        opts.to = ckpt_reader_clocks(r->reader);
    }
    if (status == 0 && opts.to < opts.past.clock) {
        status = err_set(e, ERR_INVALID,
                         "--from %" PRIu64 " is not before --to %" PRIu64,
                         opts.past.clock, opts.to);
    }
    status = status != 0 ? status : past_seek(p, opts.past.clock, e);
    if (status != 0) {
        return status;
    }
    const struct ckpt_diff_options o = {.from = opts.past.clock,
                                        .to = opts.to,
                                        .matrix = matrix,
                                        .top = (size_t)opts.top,
                                        .pool = p->pool};
    status = ckpt_diff(&d, r->reader, r->states, r->n_states, &o, e);
    if (status == 0) {
        if (opts.json) {
            status = print_json(&d, e);
        } else {
            print_text(p, matrix, &d);
        }
        ckpt_diff_fini(&d);
    }
    return status;
}

int cmd_diff(int argc, char **argv)
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
    if (!opts.past.clock_given) {
        return say_usage(&COMMAND, "--from is missing");
    }
    status = past_open(&past, argv[1], &opts.past, &e);
    if (status == 0) {
        status = diff(&past, &e);
        past_close(&past);
    }
    return status == 0 ? CMD_OK : say_error(status, &e);
}
