/* Messages between the nodes of a parameter server.
 *
 * All have one header, little-endian, and maybe a payload; fields that a kind
 * does not use are 0.
 *
 *     offset size
 *      0      1   kind
 *      1      1   flags: 1 the payload is compressed with Snappy
 *      2      1   entry, of an ENTRY
 *      3      1   0
 *      4      4   view of the sender
 *      8      4   range
 *     12      4   origin: whose task an ENTRY is of
 *     16      8   task
 *     24      8   seq
 *     32      8   from
 *     40      8   time
 *     48      4   first key of a pull
 *     52      4   number of keys of a pull
 *     56      4   code, negated
 *     60      4   bytes of the payload, uncompressed
 *     64          payload
 *
 *     kind       from, to            says
 *     PUSH       worker, head        aggregate my push of [from, time]: values
 *     PULL       worker, head        send me keys [first, first + count); I
 *                                    have them as of your reply number `from`
 *     PUSHED     tail, worker        the task is done for this range
 *     PULLED     tail, worker        the same, reply number `seq`: values that
 *                                    go over those of reply `from`; 0: all
 *     MISS       head, worker        I do not know these keys: send the list
 *     ENTRY      down a chain        entry seq, see enum ps_entry
 *     SEEN       up a chain          the tail has all entries up to seq
 *     SURVEY     head, member        what do you hold of my ranges?
 *     REPORT     member, head        (u32 range, u64 epoch, u64 seq) for each;
 *                                    seq 2^64 - 1: no copy, but I know that it
 *                                    was served in view `epoch`
 *     FETCH      head, holder        send me your copy
 *     STATE      holder, head        the copy (ps/range.h)
 *     INSTALL    head, successor     this is the copy; none: keep yours, of
 *                                    epoch `from` and of seq
 *     INSTALLED  successor, head     done
 *     RELEASE    head, holder        you need not keep your copy
 *
 * Valid iff kind and entry are known, flags and byte 3 are as above, the
 * range is less than the number of ranges, from <= time < 2^64 - 1 where a push
 * is brought, and the payload is as long as said, at most PS_MSG_PAYLOAD_MAX
 * and at most PS_MSG_EXPANSION_MAX times what it is compressed. What the
 * payload says is checked by whom it is for.
 */

#ifndef PS_MSG_H_
#define PS_MSG_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/blob.h"
#include "core/buf.h"
#include "core/err.h"
#include "p2p/transport.h"

#define PS_MSG_HEADER_SIZE   64
#define PS_MSG_PAYLOAD_MAX   ((size_t)1 << 28)
#define PS_MSG_EXPANSION_MAX 32
#define PS_MSG_REPORT_SIZE   20 /* Bytes for each range of a REPORT. */
#define PS_MSG_WITNESS       UINT64_MAX

enum ps_msg_kind {
    PS_MSG_PUSH = 1,
    PS_MSG_PULL,
    PS_MSG_PUSHED,
    PS_MSG_PULLED,
    PS_MSG_MISS,
    PS_MSG_ENTRY,
    PS_MSG_SEEN,
    PS_MSG_SURVEY,
    PS_MSG_REPORT,
    PS_MSG_FETCH,
    PS_MSG_STATE,
    PS_MSG_INSTALL,
    PS_MSG_INSTALLED,
    PS_MSG_RELEASE,
    PS_MSG_KINDS /* Behind the last. */
};

/* What an entry of a chain is. All but the last two change nothing: the tail
 * answers them when all before them is there. */
enum ps_entry {
    PS_ENTRY_NONE,
    PS_ENTRY_FENCE,    /* Tell origin that its push, which is in, is done. */
    PS_ENTRY_READ,     /* Send origin keys [first, first + count). */
    PS_ENTRY_PUSH,     /* Aggregate the push of origin; tell it. */
    PS_ENTRY_AGGREGATE /* u32 n, then (u32 origin, u64 task, u64 from, u64 time)
                        * for each, then values: these are in, and the range is
                        * now this. Tell all. */
};

struct ps_msg {
    enum ps_msg_kind kind;
    enum ps_entry entry;
    uint32_t view;
    uint32_t range;
    p2p_peer origin;
    uint64_t task;
    uint64_t seq;
    uint64_t from;
    uint64_t time;
    uint32_t first;
    uint32_t count;
    int code;
    const uint8_t *payload; /* NULL iff payload_size is 0. */
    size_t payload_size;
};

/* The bytes of @m; its payload compressed where that is asked for and gains 5%.
 * NULL: no memory. */
struct blob *ps_msg_encode(const struct ps_msg *m, bool compress);

/* Read a message of @size bytes for a node with @n_ranges ranges. The payload
 * stands in @data, or, if it was compressed, in @scratch.
 *
 * Errors: ERR_CORRUPT  not valid.
 *         ERR_NOMEM */
int ps_msg_decode(struct ps_msg *m,
                  const uint8_t *data,
                  size_t size,
                  uint32_t n_ranges,
                  struct buf *scratch,
                  struct err *e);

/* "push", "installed" and so on, for logs. */
const char *ps_msg_str(enum ps_msg_kind kind);

#endif /* PS_MSG_H_ */
