/* How far what a worker reads may be behind what workers have pushed.
 *
 *     sequential  a worker's tasks run one after the other, and each range is
 *                 linearizable: a pull has all pushes that were done before it
 *                 began, in one order for all
 *     eventual    a worker's tasks run at once, but for those they are said to
 *                 come after; a pull has what happens to be there
 *     bounded:D   a pull of time t has all pushes of all workers up to time
 *                 t - D, and a task of time t starts when the worker's own of
 *                 times below t - D are done
 */

#ifndef PS_CONSISTENCY_H_
#define PS_CONSISTENCY_H_

#include <stdint.h>

#include "core/err.h"

#define PS_CONSISTENCY_TEXT_SIZE 32
#define PS_DELAY_MAX             1000000

enum ps_consistency_kind { PS_SEQUENTIAL, PS_EVENTUAL, PS_BOUNDED };

struct ps_consistency {
    enum ps_consistency_kind kind;
    uint64_t delay; /* D of bounded; 0 otherwise. */
};

/* Errors: ERR_INVALID: none of the above; the message lists them. */
int ps_consistency_parse(struct ps_consistency *c,
                         const char *text,
                         struct err *e);

/* The text that parses to @c. */
void ps_consistency_format(const struct ps_consistency *c,
                           char text[PS_CONSISTENCY_TEXT_SIZE]);

#endif /* PS_CONSISTENCY_H_ */
