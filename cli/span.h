/* Stretches of clocks, as users write them, and batches that are left out. */

#ifndef CLI_SPAN_H_
#define CLI_SPAN_H_

#include <stdbool.h>
#include <stdint.h>

#include "ckpt/step.h"
#include "cli/opt.h"
#include "core/err.h"

/* Clocks first..last, both of them too. */
struct span {
    uint64_t first, last;
};

/* "310..320", or "310" for one clock. Errors: ERR_INVALID, and the message
 * names what is wanted. */
int span_parse(struct span *s, const char *text, struct err *e);

#endif /* CLI_SPAN_H_ */
