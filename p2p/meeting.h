/* What both kinds of rendezvous share: the state of a meeting, its clock, and
 * the frames that peers exchange. Only p2p/rendezvous*.c use it.
 *
 * A frame, over a connection or alone in a file, little-endian:
 *
 *     offset size
 *      0      4   magic, MEETING_MAGIC
 *      4      4   kind, enum frame_kind
 *      8      4   size of what follows the header
 *     12      4   check, the low half of XXH3-64 of what follows
 *     16          the content:
 *
 *     FRAME_CARD     opening 8, nonce 8, rank 4, n_peers 4, address size 4,
 *                    note size 4, address, note
 *     FRAME_TABLE    opening 8, session 8, n_peers 4, 0 4, then the content of
 *                    a FRAME_CARD for each rank
 *     FRAME_FAILURE  opening 8, code 4, n_nonces 4, nonces 8 each, text
 *     FRAME_WAIT     text: the ranks that rank 0 waits for
 *     FRAME_OPENING  opening 8, n_peers 4: rank 0 is there (file only)
 *     FRAME_CLASH    opening 8, nonce 8: another took my rank (file only)
 *
 * The opening is a random number that rank 0 draws when it begins to wait; the
 * nonce is one that each peer draws. Over a connection both are not needed, and
 * the opening is 0.
 */

#ifndef P2P_MEETING_H_
#define P2P_MEETING_H_

#include <netdb.h>
#include <poll.h>
#include <stdbool.h>

#include "core/buf.h"
#include "p2p/rendezvous.h"

#define MEETING_MAGIC     0x5257594cu /* "LYWR" */
#define FRAME_HEADER_SIZE 16
#define FRAME_CARD_SIZE_MAX \
    ((size_t)32 + RENDEZVOUS_ADDRESS_MAX + RENDEZVOUS_NOTE_MAX)
#define FRAME_TEXT_MAX    400                    /* Bytes of a text. */
#define MEETING_REPORT_NS ((uint64_t)3000000000) /* Between "waiting for". */
#define MEETING_STOP_MS   50 /* How often the stop flag is looked at. */
#define MEETING_LINGER_NS ((uint64_t)2000000000) /* To tell of a failure. */

enum frame_kind {
    FRAME_CARD = 1,
    FRAME_TABLE,
    FRAME_FAILURE,
    FRAME_WAIT,
    FRAME_OPENING,
    FRAME_CLASH
};

struct meeting {
    const struct rendezvous_options *o;
    const struct rendezvous_card *own;
    struct rendezvous_card *cards; /* (n_peers) The caller's. */
    bool *here;                    /* (n_peers) Whose card came. Rank 0. */
    uint64_t *nonces;              /* (n_peers) Of those. */
    uint64_t opening;
    uint64_t nonce;    /* Own. */
    uint64_t offender; /* Whose card ends the meeting: its nonce, or 0. */
    uint64_t session;
    uint64_t deadline_ns;
    uint64_t report_ns; /* When to say next whom we wait for. */
};

/* A card with what goes with it. */
struct meeting_card {
    uint64_t opening;
    uint64_t nonce;
    p2p_peer rank;
    uint32_t n_peers;
    struct rendezvous_card card;
};

/* Meet over connections to host:port, where rank 0 listens; or in a
 * directory. */
int meeting_tcp_host(struct meeting *m,
                     const char *host,
                     const char *port,
                     struct err *e);
int meeting_tcp_guest(struct meeting *m,
                      const char *host,
                      const char *port,
                      struct err *e);
int meeting_file(struct meeting *m, const char *dir, struct err *e);

/* Wait for one of @fds, at most @timeout_ms and not longer than the stop flag
 * may go unseen. *any: one of them is ready.
 *
 * Errors: ERR_INTERRUPTED, ERR_UNREACHABLE (the deadline passed). */
int meeting_pause(struct meeting *m,
                  struct pollfd *fds,
                  size_t n_fds,
                  int timeout_ms,
                  struct err *e);

/* The addresses of host:port; the caller frees *list. Errors: ERR_INVALID. */
int meeting_resolve(struct addrinfo **list,
                    const char *host,
                    const char *port,
                    bool is_to_listen,
                    struct err *e);

/* Is every rank here? */
bool meeting_is_full(const struct meeting *m);

/* "rank 2" or "ranks 2, 5, 7". */
void meeting_missing(const struct meeting *m, char text[FRAME_TEXT_MAX]);

/* Is it time to say whom we wait for? */
bool meeting_report_due(struct meeting *m);

/* Take the card of a peer. Rank 0.
 *
 * Errors: ERR_INVALID  another number of peers, or a rank twice. */
int meeting_admit(struct meeting *m,
                  const struct meeting_card *c,
                  struct err *e);

/* Append a frame. */
void frame_put_card(struct buf *b, const struct meeting *m);
void frame_put_table(struct buf *b, const struct meeting *m);
void frame_put_failure(struct buf *b,
                       const struct meeting *m,
                       int code,
                       const char *text);
void frame_put(struct buf *b,
               enum frame_kind kind,
               const void *content,
               size_t size);

/* Look at the beginning of a frame: 0 and the size of its content, or
 * ERR_CORRUPT: not a frame of ours, or above @size_max. */
int frame_header_get(const uint8_t header[FRAME_HEADER_SIZE],
                     size_t size_max,
                     enum frame_kind *kind,
                     size_t *size);

/* Does the content have the checksum of its header? */
bool frame_is_intact(const uint8_t header[FRAME_HEADER_SIZE],
                     const uint8_t *content,
                     size_t size);

/* Read contents. False: malformed. */
bool frame_get_card(const uint8_t *content,
                    size_t size,
                    struct meeting_card *card);
bool frame_get_table(const uint8_t *content, size_t size, struct meeting *m);

/* The code and text of a failure. Set *for_us if the own nonce is in it. */
bool frame_get_failure(const uint8_t *content,
                       size_t size,
                       const struct meeting *m,
                       bool *for_us,
                       struct err *e,
                       int *code);

/* The most bytes of content that a table of @n_peers may have. */
size_t frame_table_size_max(uint32_t n_peers);

#endif /* P2P_MEETING_H_ */
