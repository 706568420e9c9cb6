#include "cli/dispatch.h"

#include <assert.h>
#include <string.h>

#include "cli/opt.h"

const struct cmd *dispatch_find(const struct dispatch *d, const char *name)
{
    const char *names[DISPATCH_MAX + 1] = {NULL};

    assert(d->n_cmds <= DISPATCH_MAX);
    for (size_t i = 0; i < d->n_cmds; i++) {
        if (strcmp(name, d->cmds[i].name) == 0) {
            return &d->cmds[i];
        }
        names[i] = d->cmds[i].name;
    }
    const char *nearest = opt_nearest(name, names);
    fprintf(stderr, "lyre: unknown command '%s'; ", name);
    if (nearest != NULL) {
        fprintf(stderr, "did you mean %s %s?\n", d->prefix, nearest);
    } else {
        fprintf(stderr, "%s --help lists those there are\n", d->prefix);
    }
    return NULL;
}

int dispatch_help(const struct dispatch *d, FILE *out)
{
    fprintf(out, "usage: %s <command> [options]\n\n%s\n\ncommands:\n",
            d->prefix, d->summary);
    for (size_t i = 0; i < d->n_cmds; i++) {
        fprintf(out, "  %-11s%s\n", d->cmds[i].name, d->cmds[i].summary);
    }
    fprintf(out, "\n%s <command> --help explains a command, with examples.\n",
            d->prefix);
    return out == stderr ? CMD_USAGE : CMD_OK;
}

int dispatch_run(const struct dispatch *d, int argc, char **argv)
{
    if (argc < 2) {
        return dispatch_help(d, stderr);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return dispatch_help(d, stdout);
    }
    const struct cmd *c = dispatch_find(d, argv[1]);
    return c != NULL ? c->run(argc - 1, argv + 1) : CMD_USAGE;
}
