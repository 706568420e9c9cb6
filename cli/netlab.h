/* Hosts with slow links on this machine, by scripts/netlab.sh: see there. Its
 * words go to files in a directory of the caller's. */

#ifndef CLI_NETLAB_H_
#define CLI_NETLAB_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct netlab {
    char *script;     /* Owned. */
    const char *dir;  /* For netlab.out and netlab.log. */
    char name[24];    /* Of the lab: this process's own. */
    char address[64]; /* Of host 0. */
    bool up;
};

/* Make @n_hosts hosts whose links have @rate. The script is the one that was
 * installed with @program, or else that of the build.
 *
 * Owner:  on success and on error, close.
 * Errors: ERR_NOT_FOUND (no script), ERR_IO (the message is the script's). */
int netlab_open(struct netlab *lab,
                const char *program,
                const char *dir,
                uint32_t n_hosts,
                const char *rate,
                struct err *e);

/* Bytes that all links together have sent so far, says the kernel.
 * Errors: ERR_IO. */
int netlab_sent(const struct netlab *lab, double *bytes, struct err *e);

/* Remove the hosts, and end what runs there. */
void netlab_close(struct netlab *lab);

#endif /* CLI_NETLAB_H_ */
