/* What stands in front of every packet on the network.
 *
 * A message travels as one or more packets, each a header and a chunk of the
 * body. All chunks but the last have WIRE_CHUNK_SIZE bytes, so that a chunk's
 * offset tells its number. A body of no bytes is one packet with an empty
 * chunk. All integers are little-endian.
 *
 *     offset size
 *      0      4   magic, WIRE_MAGIC
 *      4      1   version, WIRE_VERSION
 *      5      1   type, not 0
 *      6      2   flags, 0
 *      8      8   session
 *     16      4   view
 *     20      4   from
 *     24      4   to
 *     28      4   chunk size
 *     32      8   ack
 *     40      8   message id, from 1 for each (from, to)
 *     48      8   total size of the body
 *     56      8   chunk offset
 *     64      8   counter, 0: not authenticated
 *     72     16   MAC, 0: not authenticated
 *     88          the chunk
 *
 * A packet is valid iff it is a header and exactly chunk size bytes; magic,
 * version and flags are the ones above; the session is ours and the packet is
 * meant for us; from is another peer of the job; type and id are not 0; the
 * total size is at most P2P_MSG_SIZE_MAX; the offset is a multiple of
 * WIRE_CHUNK_SIZE below the total size (or 0), and the chunk size is what is
 * left there, but at most WIRE_CHUNK_SIZE; counter and MAC are 0.
 */

#ifndef P2P_WIRE_H_
#define P2P_WIRE_H_

#include "p2p/transport.h"

#define WIRE_MAGIC       0x5752594cu /* "LYRW" */
#define WIRE_VERSION     1
#define WIRE_HEADER_SIZE 88    /* Bytes. */
#define WIRE_CHUNK_SIZE  65536 /* Bytes of a body in one packet, at most. */
#define WIRE_PACKET_SIZE (WIRE_HEADER_SIZE + WIRE_CHUNK_SIZE)

struct wire_header {
    uint8_t type;
    uint64_t session; /* Which run of which job. */
    uint32_t view;    /* The sender's list of members. */
    p2p_peer from;    /* Who sent it. */
    p2p_peer to;      /* Whom it is meant for. */
    uint64_t ack;     /* Of the layer above. */
    uint64_t id;      /* Number of the message, from 1 for each (from, to). */
    uint64_t total_size; /* Bytes of the whole body. */
    uint64_t offset;     /* Of the chunk in the body. */
    uint32_t chunk_size; /* Bytes of the chunk. */
};

/* Why a packet was dropped. */
#define WIRE_MAP(X)                                                         \
    X(WIRE_OK, "valid")                                                     \
    X(WIRE_SHORT, "shorter than a header")                                  \
    X(WIRE_MAGIC_BAD, "not ours: wrong magic")                              \
    X(WIRE_VERSION_BAD, "of another version")                               \
    X(WIRE_FLAGS_BAD, "with unknown flags")                                 \
    X(WIRE_SESSION_BAD, "of another session")                               \
    X(WIRE_TO_BAD, "meant for another peer")                                \
    X(WIRE_FROM_BAD, "from nobody of this job")                             \
    X(WIRE_TYPE_BAD, "without a type or id")                                \
    X(WIRE_TOTAL_BAD, "of a body that is too big")                          \
    X(WIRE_CHUNK_BAD, "with a chunk that does not fit")                     \
    X(WIRE_AUTH_BAD, "with authentication that nobody asked for")           \
    X(WIRE_REPEATED, "that came before")                                    \
    X(WIRE_CONTRADICTS, "that contradicts an earlier chunk of its message") \
    X(WIRE_TOO_MANY, "of one incomplete message too many")                  \
    X(WIRE_NOMEM, "for which there is no memory")

enum wire_fault {
#define X(NAME, TEXT) NAME,
    WIRE_MAP(X)
#undef X
        WIRE_FAULTS /* How many there are. */
};

/* What a receiver accepts. */
struct wire_filter {
    uint64_t session;
    p2p_peer self;
    uint32_t n_peers;
};

/* Packets that a body of @size bytes takes, and all their bytes. */
size_t wire_packets(size_t size);
size_t wire_bytes(size_t size);

void wire_encode(const struct wire_header *h, uint8_t out[WIRE_HEADER_SIZE]);

/* Check a packet of @size bytes and read its header. @h is written if the
 * packet is valid or came from nobody of this job; what it says is not to be
 * trusted but in the first case. */
enum wire_fault wire_decode(struct wire_header *h,
                            const uint8_t *packet,
                            size_t size,
                            const struct wire_filter *filter);

/* "of another session" and so on, to stand behind "a packet". */
const char *wire_fault_str(enum wire_fault fault);

#endif /* P2P_WIRE_H_ */
