/* Finding a command among several: lyre's own, or those of "lyre log". */

#ifndef CLI_DISPATCH_H_
#define CLI_DISPATCH_H_

#include <stddef.h>
#include <stdio.h>

#include "cli/cmd.h"

#define DISPATCH_MAX 24 /* Commands of a group. */

struct dispatch {
    const char *prefix;     /* What stands before a command: "lyre log". */
    const char *summary;    /* A line or two for the help. */
    const struct cmd *cmds; /* (n_cmds). */
    size_t n_cmds;          /* At most DISPATCH_MAX. */
};

/* The command called @name, or NULL when there is none, and the nearest one has
 * been named on stderr. */
const struct cmd *dispatch_find(const struct dispatch *d, const char *name);

/* Run the command argv[1] with argv[1..). Without one, or for --help, say what
 * there is. Returns an enum cmd_exit. */
int dispatch_run(const struct dispatch *d, int argc, char **argv);

/* Say what there is. Returns CMD_OK, or CMD_USAGE if @out is stderr. */
int dispatch_help(const struct dispatch *d, FILE *out);

#endif /* CLI_DISPATCH_H_ */
