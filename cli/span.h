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

/* Batches of a peer, or of all, that were computed in some clocks, or ever. */
struct span_batches {
    int64_t peer; /* -1: all. */
    struct span clocks;
};

/* "peer=2", "clock=310..320" or "peer=2,clock=310..320". Errors: as parse. */
int span_batches_parse(struct span_batches *b, const char *text, struct err *e);

/* All that were named by an option that may be there more than once. */
struct span_list {
    size_t n;
    struct span_batches at[OPT_LIST_MAX];
};
int span_list_parse(struct span_list *list,
                    const struct opt_list *texts,
                    struct err *e);

/* Is @op, of any step, one that applies one of them? Fits
 * ckpt_replay_options.skip: @list is a struct span_list. */
bool span_list_has(void *list, uint64_t clock, const struct ckpt_op *op);

/* The first clock whose batches are among them: no step before applies one.
 * UINT64_MAX: there are none. */
uint64_t span_list_first(const struct span_list *list);

#endif /* CLI_SPAN_H_ */
