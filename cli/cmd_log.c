/* lyre log: list, show, verify and reindex the logs of a run. */

#include "cli/cmd_log.h"

#include "cli/cmd.h"
#include "cli/dispatch.h"

static const struct cmd COMMANDS[] = {
    {"ls", cmd_log_ls, "peers, clocks, segments, digests, indexes"},
    {"show", cmd_log_show, "what a clock did to a replica"},
    {"export", cmd_log_export, "write the parameters of a clock to a file"},
    {"compact", cmd_log_compact, "let the old part of the logs go"},
    {"verify", cmd_log_verify, "read every record and check it"},
    {"reindex", cmd_log_reindex, "build the index anew from the segments"},
};

static const struct dispatch LOG = {
    .prefix = "lyre log",
    .summary = "Looks into the logs of a run, which hold every clock of it.",
    .cmds = COMMANDS,
    .n_cmds = sizeof COMMANDS / sizeof COMMANDS[0],
};

int cmd_log(int argc, char **argv)
{
    return dispatch_run(&LOG, argc, argv);
}
