/* lyre bench: what this machine and its network can do. */

#include "cli/bench.h"
#include "cli/cmd.h"
#include "cli/dispatch.h"

static const struct cmd COMMANDS[] = {
    {"apply", bench_apply, "speed of the exact apply, by instruction set"},
    {"link", bench_link, "latency and bandwidth between two peers"},
};

static const struct dispatch BENCH = {
    .prefix = "lyre bench",
    .summary = "Measures what this machine and its network can do.",
    .cmds = COMMANDS,
    .n_cmds = sizeof COMMANDS / sizeof COMMANDS[0],
};

int cmd_bench(int argc, char **argv)
{
    return dispatch_run(&BENCH, argc, argv);
}
