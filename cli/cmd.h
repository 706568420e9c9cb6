/* Subcommands. Each is one file, cli/cmd_<name>.c. */

#ifndef CLI_CMD_H_
#define CLI_CMD_H_

enum cmd_exit {
    CMD_OK = 0,
    CMD_FAILED = 1,       /* The message is on stderr. */
    CMD_USAGE = 2,        /* Wrong options. */
    CMD_PEER_LOST = 3,    /* A peer is gone; lyre resume goes on. */
    CMD_NOT_FINITE = 4,   /* NaN or infinity in training. */
    CMD_DIVERGED = 5,     /* Replicas or digests differ. */
    CMD_LOG_FAILED = 6,   /* Disk full or an I/O error on the log. */
    CMD_INTERRUPTED = 130 /* Ctrl-C; lyre resume goes on. */
};

struct cmd {
    const char *name;
    int (*run)(int argc, char **argv); /* Returns an enum cmd_exit. */
    const char *summary;
};

int cmd_train(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_bisect(int argc, char **argv);
int cmd_branch(int argc, char **argv);
int cmd_blame(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_data(int argc, char **argv);
int cmd_simulate(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_bench(int argc, char **argv);

#endif /* CLI_CMD_H_ */
