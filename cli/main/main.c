/* The program: finds the command and runs it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/dispatch.h"
#include "core/isa.h"

#define HELP_WORDS_MAX 8 /* Of lyre help. */

static int cmd_help(int argc, char **argv);

static const struct cmd COMMANDS[] = {
    {"train", cmd_train, "train a model, here or with peers elsewhere"},
    {"resume", cmd_resume, "go on with a run that was interrupted"},
    {"eval", cmd_eval, "loss and accuracy of a run on a data set"},
    {"predict", cmd_predict, "the likeliest labels of rows or of texts"},
    {"replay", cmd_replay, "rebuild the parameters of any clock from the log"},
    {"diff", cmd_diff, "what changed between two clocks, and who changed it"},
    {"blame", cmd_blame, "who contributed most to some clocks"},
    {"bisect", cmd_bisect, "the first clock at which a run got worse"},
    {"branch", cmd_branch, "go on from a past clock with other settings"},
    {"explain", cmd_explain, "what a clock costs, for each way of sending"},
    {"log", cmd_log, "list, show, export, verify or reindex a log"},
    {"watch", cmd_watch, "a run in the terminal, as it goes on"},
    {"report", cmd_report, "one HTML file with charts of one or several runs"},
    {"compare", cmd_compare, "the same job in several modes, side by side"},
    {"data", cmd_data, "inspect, convert, featurize or split a data set"},
    {"simulate", cmd_simulate, "try a job on a network that is not here"},
    {"bench", cmd_bench, "measure this machine: apply kernels, network"},
    {"help", cmd_help, "explain a command: lyre help train"},
};

static const struct dispatch LYRE = {
    .prefix = "lyre",
    .summary =
        "Trains models with big parameter matrices on machines joined by an\n"
        "ordinary network, and rebuilds any moment of the training to the bit.",
    .cmds = COMMANDS,
    .n_cmds = sizeof COMMANDS / sizeof COMMANDS[0],
};

/* lyre help log ls: as lyre log ls --help. */
static int cmd_help(int argc, char **argv)
{
    static char flag[] = "--help";
    char *args[HELP_WORDS_MAX + 2] = {NULL};

    if (argc < 2) {
        return dispatch_help(&LYRE, stdout);
    }
    const int n_words = argc - 1 < HELP_WORDS_MAX ? argc - 1 : HELP_WORDS_MAX;
    const struct cmd *c = dispatch_find(&LYRE, argv[1]);
    if (c == NULL) {
        return CMD_USAGE;
    }
    if (c->run == cmd_help) {
        return dispatch_help(&LYRE, stdout);
    }
    memcpy(args, argv + 1, (size_t)n_words * sizeof *args);
    args[n_words] = flag;
    return c->run(n_words + 1, args);
}

static int run(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("lyre " LYRE_VERSION);
        return CMD_OK;
    }
    return dispatch_run(&LYRE, argc, argv);
}

int main(int argc, char **argv)
{
    const char *isa = getenv("LYRE_ISA");
    struct err e;

    if (isa != NULL && isa[0] != '\0' && isa_force(isa, &e) != 0) {
        fprintf(stderr, "lyre: LYRE_ISA: %s\n", e.msg);
        return CMD_USAGE;
    }
    const int status = run(argc, argv);
    /* What was printed counts only once it is written: think of a full disk. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "lyre: write standard output: %s\n", strerror(errno));
        return status == CMD_OK ? CMD_FAILED : status;
    }
    return status;
}
