/* lyre blame: who contributed most to some clocks. */

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "ckpt/blame.h"
#include "cli/cmd.h"
#include "cli/past.h"
#include "cli/say.h"
#include "cli/span.h"

static struct {
    const char *clock, *matrix;
    uint64_t peer, threads, row, column, top;
    bool peer_given, row_given, column_given, json;
} opts = {.top = 10};

static const struct opt OPTS[] = {
    {.name = "clock",
     .kind = OPT_STRING,
     .value = &opts.clock,
     .arg = "A..B",
     .help = "these clocks, both of them too, or one (default: all)"},
    {.name = "row",
     .kind = OPT_U64,
     .value = &opts.row,
     .given = &opts.row_given,
     .arg = "R",
     .help = "count what went to this row of W, an input, from 0"},
    {.name = "col",
     .kind = OPT_U64,
     .value = &opts.column,
     .given = &opts.column_given,
     .arg = "J",
     .help = "count what went to this column of W, an output, from 0"},
    {.name = "matrix",
     .kind = OPT_STRING,
     .value = &opts.matrix,
     .arg = "NAME",
     .help = "of a model with several: which (default: the first)"},
    {.name = "top",
     .kind = OPT_U64,
     .value = &opts.top,
     .arg = "N",
     .help = "show so many batches, and samples",
     .min = 1,
     .max = 1 << 20},
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
     .help = "print one JSON object"},
};

static const struct opt_command COMMAND = {
    .name = "blame",
    .summary = "Which peers, batches and samples contributed most to some "
               "clocks.",
    .usage = "blame DIR [--clock A..B] [--row R | --col J] [--top N] [--json]",
    .details =
        "A pair weighs |coef| |v| |u|, the norm of the update that it asks "
        "for; with --row or\n--col only that entry of v or u counts. A batch, "
        "a peer or a sample weighs the sum of\nits pairs. This reads the log "
        "and replays nothing, so what the optimizer makes of a\npair does not "
        "count: lyre diff says what moved. Samples are rows of the training\n"
        "file, from 1.",
    .examples = "lyre blame run --clock 310..320\n"
                "lyre blame run --clock 310..320 --col 7 --top 20\n"
                "lyre blame run --row 17 --json",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

static double share(const struct ckpt_blame *b, double weight)
{
    return b->weight > 0 ? weight / b->weight : 0;
}

static void print_text(const struct ckpt_blame *b, const struct span *s)
{
    printf("clocks %" PRIu64 " to %" PRIu64 ": %zu batches of %zu peers\n",
           s->first, s->last, b->n_batches, b->n_peers);
    puts("  share      weight  peer");
    for (size_t i = 0; i < b->n_peers; i++) {
        const struct ckpt_blame_line *x = &b->peers[i];
        printf("%6.1f%%  %10.4g  peer %u, %" PRIu64 " batches, %" PRIu64
               " pairs\n",
               100 * share(b, x->weight), x->weight, x->origin, x->n_batches,
               x->n_pairs);
    }
    puts("  share      weight  batch");
    for (size_t i = 0; i < b->n_batches && i < opts.top; i++) {
        const struct ckpt_blame_line *x = &b->batches[i];
        printf("%6.2f%%  %10.4g  peer %u, clock %" PRIu64 ", %" PRIu64
               " pairs\n",
               100 * share(b, x->weight), x->weight, x->origin, x->clock,
               x->n_pairs);
    }
    if (b->n_samples > 0) {
        puts("  share      weight  sample");
    }
    for (size_t i = 0; i < b->n_samples && i < opts.top; i++) {
        const struct ckpt_blame_line *x = &b->samples[i];
        printf("%6.2f%%  %10.4g  row %" PRIu64 ", of peer %u\n",
               100 * share(b, x->weight), x->weight, (uint64_t)x->sample + 1,
               x->origin);
    }
}

static json_t *json_line(const struct ckpt_blame *b,
                         const struct ckpt_blame_line *x)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f}", "peer",
                     (json_int_t)x->origin, "clock", (json_int_t)x->clock,
                     "batches", (json_int_t)x->n_batches, "pairs",
                     (json_int_t)x->n_pairs, "weight", x->weight, "share",
                     share(b, x->weight));
}

static json_t *json_lines(const struct ckpt_blame *b,
                          const struct ckpt_blame_line *lines,
                          size_t n,
                          bool samples)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *line = json_line(b, &lines[i]);
        if (samples && line != NULL) {
            json_object_set_new(line, "row",
                                json_integer((json_int_t)lines[i].sample + 1));
        }
        json_array_append_new(list, line);
    }
    return list;
}

static int
print_json(const struct ckpt_blame *b, const struct span *s, struct err *e)
{
    const size_t top = (size_t)opts.top;
    json_t *object = json_pack(
        "{s:I, s:I, s:f, s:o, s:o, s:o}", "first", (json_int_t)s->first, "last",
        (json_int_t)s->last, "weight", b->weight, "peers",
        json_lines(b, b->peers, b->n_peers, false), "batches",
        json_lines(b, b->batches, b->n_batches < top ? b->n_batches : top,
                   false),
        "samples",
        json_lines(b, b->samples, b->n_samples < top ? b->n_samples : top,
                   true));

    if (object == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    json_dumpf(object, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
    return 0;
}

/* Row, column and clocks that are there. */
static int
check(const struct past *p, size_t matrix, const struct span *s, struct err *e)
{
    const struct mat *w = &p->replica.states[matrix].w;
    const uint64_t clocks = ckpt_reader_clocks(p->replica.reader);

    if (opts.row_given && opts.row >= w->K) {
        return err_set(e, ERR_INVALID,
                       "--row %" PRIu64 ": %s has rows 0 to %zu", opts.row,
                       past_name(p, matrix), w->K - 1);
    }
    if (opts.column_given && opts.column >= w->J) {
        return err_set(e, ERR_INVALID,
                       "--col %" PRIu64 ": %s has columns 0 to %zu",
                       opts.column, past_name(p, matrix), w->J - 1);
    }
    if (s->last >= clocks) {
        return err_set(e, ERR_NOT_FOUND,
                       "no clock %" PRIu64 " in the log of peer %u, which has "
                       "%" PRIu64,
                       s->last, p->peer, clocks);
    }
    return 0;
}

static int blame(const struct past *p, struct span *s, struct err *e)
{
    const uint64_t clocks = ckpt_reader_clocks(p->replica.reader);
    struct ckpt_blame b;
    size_t matrix;
    int status = past_matrix(p, opts.matrix, &matrix, e);

    if (opts.clock == NULL) {
        *s = (struct span){.first = 0, .last = clocks > 0 ? clocks - 1 : 0};
    }
    status = status != 0 ? status : check(p, matrix, s, e);
    if (status != 0) {
        return status;
    }
    const struct mat *w = &p->replica.states[matrix].w;
    const struct ckpt_blame_options o = {
        .from = s->first,
        .to = s->last + 1,
        .matrix = (uint16_t)matrix,
        .J = (uint32_t)w->J,
        .K = (uint32_t)w->K,
        .row = opts.row_given ? (int64_t)opts.row : -1,
        .column = opts.column_given ? (int64_t)opts.column : -1,
        .pool = p->pool};
    status = ckpt_blame(&b, p->replica.reader, &o, e);
    if (status == 0) {
        if (opts.json) {
            status = print_json(&b, s, e);
        } else {
            print_text(&b, s);
        }
        ckpt_blame_fini(&b);
    }
    return status;
}

int cmd_blame(int argc, char **argv)
{
    struct span span = {0};
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
    if (opts.row_given && opts.column_given) {
        return say_usage(&COMMAND, "--row and --col exclude each other");
    }
    if (opts.clock != NULL && span_parse(&span, opts.clock, &e) != 0) {
        return say_usage(&COMMAND, "--clock %s", e.msg);
    }
    const struct past_options o = {.peer = opts.peer,
                                   .peer_given = opts.peer_given,
                                   .threads = opts.threads};
    status = past_open(&past, argv[1], &o, &e);
    if (status == 0) {
        status = blame(&past, &span, &e);
        past_close(&past);
    }
    return status == 0 ? CMD_OK : say_error(status, &e);
}
