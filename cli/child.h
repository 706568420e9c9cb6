/* A process of this very program, as if a user had typed its command: what it
 * says goes to files. */

#ifndef CLI_CHILD_H_
#define CLI_CHILD_H_

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/err.h"

struct child {
    pid_t pid;  /* 0: none runs. */
    int heard;  /* Interrupts before it was started: not for it. */
    int status; /* When it has ended: what a shell would see, 128 + the number
                 * for signals. */
};

/* The path of this program. Owner: the caller frees it. Errors: ERR_IO. */
int child_program(char **path, struct err *e);

/* Start argv[0] with @argv (NULL-terminated), in a process group of its own,
 * so that Ctrl-C does not reach it twice; it is ended when we are. Its output
 * goes to the file @out, its complaints to @log, which are made anew.
 * Errors: ERR_IO, ERR_FULL. */
int child_start(struct child *c,
                char *const *argv,
                const char *out,
                const char *log,
                struct err *e);

/* Look whether it has ended: true, and then c->status is there. */
bool child_ended(struct child *c);

/* Wait until all of @children (n) have ended. The first Ctrl-C, as job_catch_
 * signals() counts them, is passed on, the next kills. When one has failed, the
 * others have a while to find out, and then are told to end. */
void child_wait_all(struct child *children, size_t n);

/* The first line of the file @log that begins with @sign ("lyre: "), without
 * it, to @why (ERR_MSG_SIZE); or else how it ended. */
void child_reason(const struct child *c,
                  const char *log,
                  const char *sign,
                  char *why);

#endif /* CLI_CHILD_H_ */
