#include "cli/cmd_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/npz.h"
#include "cli/past.h"
#include "cli/say.h"

static struct {
    struct past_options past;
    const char *format, *out;
} opts = {.format = "npy"};

static const struct opt OPTS[] = {
    PAST_OPTS(opts.past),
    {.name = "format",
     .kind = OPT_STRING,
     .value = &opts.format,
     .arg = "npy|npz",
     .help = "npy: the matrix; npz: in one file all matrices, and what the\n"
             "optimizer keeps beside them"},
    {.name = "out",
     .kind = OPT_STRING,
     .value = &opts.out,
     .arg = "FILE",
     .help = "where to write; npy of a model with several matrices:\n"
             "FILE-NAME.npy each"},
};

static const struct opt_command COMMAND = {
    .name = "log export",
    .summary = "Write the parameters of a clock to a file that numpy.load() "
               "reads.",
    .usage = "log export DIR --out FILE [--clock C] [--format npy|npz]",
    .details =
        "Matrices are (K, J): a row for each input, a column for each output. "
        "In an .npz a\nmatrix W has beside it, where the optimizer keeps such "
        "a thing, W.aux (K, J: the\nmomentum, or sums of squares of adagrad) "
        "or "
        "W.h (K, 1: sums of rowgrad). The file\nis there whole or not at all.",
    .examples = "lyre log export run --clock 100 --out W.npy\n"
                "lyre log export run --format npz --out run.npz",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

static void name_it(struct npz_array *a, const char *name, const char *what)
{
    snprintf(a->name, sizeof a->name, "%s%s", name, what);
}

static int write_npz(const struct past *p, struct err *e)
{
    const size_t n = p->replica.n_states;
    struct npz_array *arrays = calloc(2 * n, sizeof *arrays);
    size_t m = 0;

    if (arrays == NULL) {
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        const struct sv_state *s = &p->replica.states[i];
        name_it(&arrays[m], past_name(p, i), "");
        arrays[m++].rows = npy_rows_of(&s->w);
        if (s->aux.data != NULL) {
            name_it(&arrays[m], past_name(p, i), ".aux");
            arrays[m++].rows = npy_rows_of(&s->aux);
        }
        if (s->h != NULL) {
            name_it(&arrays[m], past_name(p, i), ".h");
            arrays[m++].rows =
                (struct npy_rows){.data = s->h, .K = s->w.K, .J = 1, .ld = 1};
        }
    }
    const int status = npz_write(opts.out, arrays, m, e);
    free(arrays);
    return status;
}

static int export(const char *dir, bool npz, struct err *e)
{
    struct past past;
    int status = past_open(&past, dir, &opts.past, e);

    if (status != 0) {
        return status;
    }
    status = past_seek(&past, past_clock(&opts.past), e);
    if (status == 0) {
        status = npz ? write_npz(&past, e) : past_write(&past, opts.out, e);
    }
    past_close(&past);
    return status;
}

int cmd_log_export(int argc, char **argv)
{
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(&COMMAND, "one run directory is wanted, not %d",
                         n_words);
    }
    const bool npz = strcmp(opts.format, "npz") == 0;
    if (!npz && strcmp(opts.format, "npy") != 0) {
        return say_usage(&COMMAND, "--format %s: npy or npz is wanted",
                         opts.format);
    }
    if (opts.out == NULL) {
        return say_usage(&COMMAND, "--out is missing");
    }
    status = export(argv[1], npz, &e);
    return status == 0 ? CMD_OK : say_error(status, &e);
}
