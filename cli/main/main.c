/* The program: finds the command and runs it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/opt.h"
#include "core/isa.h"

#define HELP_ARGS_MAX 16

static const struct cmd COMMANDS[] = {
    {"train", cmd_train, "train a model, here or with peers elsewhere"},
    {"resume", cmd_resume, "go on with a run that was interrupted"},
    {"eval", cmd_eval, "loss and accuracy of a run on a data set"},
    {"predict", cmd_predict, "the likeliest labels of rows or of texts"},
    {"replay", cmd_replay, "rebuild the parameters of any clock from the log"},
    {"log", cmd_log, "list, show, verify or reindex the log of a run"},
    {"data", cmd_data, "inspect, convert, featurize or split a data set"},
    {"bench", cmd_bench, "measure this machine: apply kernels, network"},
};

#define N_COMMANDS (sizeof COMMANDS / sizeof COMMANDS[0])

static int usage(FILE *out)
{
    fputs("usage: lyre <command> [options]\n\n"
          "Trains models with big parameter matrices on machines joined by an\n"
          "ordinary network, and can rebuild any moment of the training.\n\n"
          "commands:\n",
          out);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(out, "  %-9s%s\n", COMMANDS[i].name, COMMANDS[i].summary);
    }
    fputs("\nlyre <command> --help explains a command, with examples.\n"
          "lyre --version names the version. man lyre tells more.\n",
          out);
    return out == stderr ? CMD_USAGE : CMD_OK;
}

static const struct cmd *find(const char *name)
{
    const char *names[N_COMMANDS + 2] = {NULL};

    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, COMMANDS[i].name) == 0) {
            return &COMMANDS[i];
        }
        names[i] = COMMANDS[i].name;
    }
    names[N_COMMANDS] = "help";
    const char *nearest = opt_nearest(name, names);
    if (nearest != NULL) {
        fprintf(stderr, "lyre: unknown command %s; did you mean %s?\n", name,
                nearest);
    } else {
        fprintf(stderr,
                "lyre: unknown command %s; lyre --help lists those there are\n",
                name);
    }
    return NULL;
}

/* lyre help log ls: as lyre log ls --help. */
static int help(int argc, char **argv)
{
    static char flag[] = "--help";
    char *args[HELP_ARGS_MAX + 2] = {NULL};

    if (argc == 0) {
        return usage(stdout);
    }
    const struct cmd *c = find(argv[0]);
    if (c == NULL || argc > HELP_ARGS_MAX) {
        return CMD_USAGE;
    }
    memcpy(args, argv, (size_t)argc * sizeof *args);
    args[argc] = flag;
    return c->run(argc + 1, args);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        return usage(stderr);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return usage(stdout);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("lyre " LYRE_VERSION);
        return CMD_OK;
    }
    if (strcmp(argv[1], "help") == 0) {
        return help(argc - 2, argv + 2);
    }
    const struct cmd *c = find(argv[1]);
    return c != NULL ? c->run(argc - 1, argv + 1) : CMD_USAGE;
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
