/* lyre report: one HTML file with charts and tables of one or several runs. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/say.h"
#include "report/page.h"
#include "report/text.h"

static struct {
    const char *out;
} opts = {.out = "report.html"};

static const struct opt OPTS[] = {
    {.name = "out",
     .kind = OPT_STRING,
     .value = &opts.out,
     .arg = "FILE",
     .help = "where to write the page; -: standard output"},
};

static const struct opt_command COMMAND = {
    .name = "report",
    .summary = "One HTML file with charts and tables of one or several runs.",
    .usage = "report DIR... [--out FILE]",
    .details =
        "Loss and accuracy against clocks, time and bytes; where the time "
        "went; bytes,\nselection error and staleness of a clock; settings and "
        "results. One run shows its\npeers (more than eight: their mean), "
        "several runs are shown side by side, each as\nthe mean of its peers. "
        "Runs that go on, or were cut short, are shown as far as\nthey are. "
        "The file needs no network and nothing beside it.",
    .examples = "lyre report run\n"
                "lyre report bsp ssp asp --out compare.html",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

/* Whole or not at all: what was at @path stays until the new page is there. */
static int write_file(const char *path, const struct buf *b, struct err *e)
{
    char *partial = NULL;
    FILE *f = NULL;
    int rc = 0;

    if (asprintf(&partial, "%s.partial", path) < 0) {
        return err_set(e, ERR_NOMEM, "%s", path);
    }
    f = fopen(partial, "we");
    if (f == NULL) {
        rc = err_errno(e, "open");
    } else {
        bool bad = fwrite(b->data, 1, b->size, f) != b->size;
        bad = fclose(f) != 0 || bad;
        rc = bad ? err_errno(e, "write") : 0;
    }
    if (rc == 0 && rename(partial, path) != 0) {
        rc = err_errno(e, "rename");
    }
    if (rc != 0 && f != NULL) {
        unlink(partial);
    }
    free(partial);
    return rc != 0 ? err_wrap(e, rc, "%s", path) : 0;
}

/* Logs that could not be read are said, and do not hide the others. */
static void say_problems(const struct report_run *run)
{
    for (size_t i = 0; i < run->n_peers; i++) {
        if (run->peers[i].problem[0] != '\0') {
            fprintf(stderr, "lyre: %s, peer %u is left out: %s\n", run->dir,
                    run->peers[i].rank, run->peers[i].problem);
        }
    }
}

static int load(struct report_run *runs, size_t n, char **dirs, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const int rc = report_run_load(&runs[i], dirs[i], e);
        if (rc != 0) {
            return err_wrap(e, rc, "%s", dirs[i]);
        }
        say_problems(&runs[i]);
    }
    return 0;
}

static int
make(const struct report_run *runs, size_t n, const char *path, struct err *e)
{
    struct buf page, size;
    int rc;

    buf_init(&page);
    buf_init(&size);
    rc = report_page(&page, runs, n, e);
    if (rc == 0 && strcmp(path, "-") == 0) {
        fwrite(page.data, 1, page.size, stdout); /* main() looks for errors. */
    } else if (rc == 0) {
        rc = write_file(path, &page, e);
    }
    if (rc == 0 && strcmp(path, "-") != 0) {
        report_text_bytes(&size, (double)page.size);
        printf("%s: %zu run%s, %.*s\n", path, n, n == 1 ? "" : "s",
               (int)size.size, (const char *)size.data);
    }
    buf_fini(&size);
    buf_fini(&page);
    return rc;
}

int cmd_report(int argc, char **argv)
{
    struct report_run *runs;
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words < 1) {
        return say_usage(&COMMAND, "a run directory is wanted");
    }
    const size_t n = (size_t)n_words;
    runs = calloc(n, sizeof *runs);
    status = runs == NULL ? err_set(&e, ERR_NOMEM, "%zu runs", n)
                          : load(runs, n, argv + 1, &e);
    if (status == 0) {
        status = make(runs, n, opts.out, &e);
    }
    for (size_t i = 0; runs != NULL && i < n; i++) {
        report_run_fini(&runs[i]);
    }
    free(runs);
    return status == 0 ? CMD_OK : say_error(status, &e);
}
