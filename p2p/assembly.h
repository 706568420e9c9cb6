/* Messages put together from the chunks that one peer sends.
 *
 * Chunks may come in any order, and more than once; a message comes out exactly
 * once, whole. What waits for missing chunks is bounded: at most
 * ASSEMBLY_MSGS_MAX messages, whose bodies have at most P2P_MSG_SIZE_MAX bytes
 * together. What would exceed that is dropped.
 *
 * A message whose id is ASSEMBLY_WINDOW or more behind the newest whole one
 * counts as one that came before.
 */

#ifndef P2P_ASSEMBLY_H_
#define P2P_ASSEMBLY_H_

#include <stdbool.h>

#include "p2p/wire.h"

#define ASSEMBLY_MSGS_MAX 16
#define ASSEMBLY_WINDOW   1024 /* Ids, a multiple of 64. */

struct assembly_part; /* A message that is not whole yet. */

struct assembly {
    struct assembly_part *parts[ASSEMBLY_MSGS_MAX]; /* n_parts of them. */
    size_t n_parts;
    size_t bytes;                        /* Of the bodies of all parts. */
    uint64_t high;                       /* The newest id that came out. */
    uint64_t seen[ASSEMBLY_WINDOW / 64]; /* Bit id % ASSEMBLY_WINDOW: came out,
                                            for (high - WINDOW, high]. */
};

void assembly_init(struct assembly *a);
void assembly_fini(struct assembly *a);

/* Add a chunk whose header is valid. If that makes a message whole, set *whole
 * and write it to *msg.
 *
 * Owner:  the caller unrefs msg->body. An empty body is NULL.
 * Errors: the reason why the chunk was dropped; *whole is false. */
enum wire_fault assembly_add(struct assembly *a,
                             const struct wire_header *h,
                             const uint8_t *chunk,
                             struct p2p_msg *msg,
                             bool *whole);

#endif /* P2P_ASSEMBLY_H_ */
