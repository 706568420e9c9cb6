/* What every command says in the same way: errors on stderr as "lyre:
 * <message>", and the exit status that goes with them. */

#ifndef CLI_SAY_H_
#define CLI_SAY_H_

#include <stdbool.h>
#include <stdint.h>

#include "cli/opt.h"
#include "core/err.h"
#include "core/log.h"

/* opt_parse() with its message said. Returns -1 to go on, or the status to exit
 * with: CMD_OK after --help, CMD_USAGE after a wrong option. */
int say_parse(const struct opt_command *c, int argc, char **argv, int *n_words);

/* Say what is wrong with the words of a command, and where its help is.
 * Returns CMD_USAGE. */
int say_usage(const struct opt_command *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Say "lyre: <message>" and return the status for @code: CMD_DIVERGED,
 * CMD_NOT_FINITE, CMD_INTERRUPTED, CMD_USAGE for ERR_INVALID, else CMD_FAILED.
 */
int say_error(int code, const struct err *e);

/* The sink of diagnostics: "lyre: <message>" on stderr, up to @level.
 * Thread-safe. */
struct log say_log(enum log_level level);

/* A line on stderr that overwrites itself: "<what> <done> of <all>". Silent
 * unless stderr is a terminal and it has been going for a while. */
struct say_progress {
    const char *what;
    uint64_t all;      /* What done will be at the end. */
    uint64_t begun_ns; /* Set by the first call. */
    uint64_t said_ns;  /* When the line was written last. 0: never. */
};

/* Fits ckpt_replay_options.progress: @arg is a struct say_progress. Returns 0.
 */
int say_progress(void *arg, uint64_t done);

/* Wipe the line. */
void say_progress_end(struct say_progress *p);

#endif /* CLI_SAY_H_ */
