/* What a range has aggregated, of whom: a vector clock.
 *
 * A push is known by its origin and its time, and says from which time on its
 * origin has nothing else: it stands for the times [from, time]. For every
 * origin the clock has `next`, below which nothing is missing, and the spans
 * above it that came before what lies between. A push whose time is there is a
 * duplicate.
 *
 * Encoded, all numbers as varints (core/buf.h):
 *
 *     number of origins, then for each, origins ascending:
 *         origin, next, number of spans, then for each span, ascending:
 *             from - (end of the span before, or next), at least 1
 *             times in it, at least 1
 */

#ifndef PS_VCLOCK_H_
#define PS_VCLOCK_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "p2p/transport.h"

#define PS_VCLOCK_SPANS_MAX 64 /* Of one origin. */

struct ps_span {
    uint64_t from, until; /* Times [from, until). */
};

struct ps_vclock_origin {
    p2p_peer origin;
    uint32_t n_spans;
    uint64_t next;
    struct ps_span *spans; /* Above next, ascending, not touching. Owned. */
};

struct ps_vclock {
    struct ps_vclock_origin *origins; /* Ascending. Owned. */
    uint32_t n_origins;
};

void ps_vclock_init(struct ps_vclock *c);
void ps_vclock_fini(struct ps_vclock *c);

/* Whether the push of @origin of @time is in. */
bool ps_vclock_has(const struct ps_vclock *c, p2p_peer origin, uint64_t time);

/* The time below which nothing of @origin is missing. */
uint64_t ps_vclock_next(const struct ps_vclock *c, p2p_peer origin);

/* Add the push [@from, @time], which is not in; @time < UINT64_MAX.
 *
 * Errors: ERR_FULL   too many gaps: let earlier ones come first.
 *         ERR_NOMEM  Nothing changed in either case. */
int ps_vclock_add(struct ps_vclock *c,
                  p2p_peer origin,
                  uint64_t from,
                  uint64_t time);

/* Nothing below @since will come from @origin. Errors: ERR_NOMEM. */
int ps_vclock_raise(struct ps_vclock *c, p2p_peer origin, uint64_t since);

/* Make @c what @from is. Errors: ERR_NOMEM: @c is as it was. */
int ps_vclock_copy(struct ps_vclock *c, const struct ps_vclock *from);

void ps_vclock_encode(const struct ps_vclock *c, struct buf *out);

/* Read a clock from [*p, end) into @c, initialised and empty, and move *p
 * behind it.
 *
 * Errors: ERR_CORRUPT, ERR_NOMEM: @c is empty. */
int ps_vclock_decode(struct ps_vclock *c,
                     const uint8_t **p,
                     const uint8_t *end,
                     struct err *e);

#endif /* PS_VCLOCK_H_ */
