/* How the peers of a job find one another: each brings its rank, a note for the
 * others and the address of its endpoint, and all leave with everybody's.
 *
 *     tcp://host:port       rank 0 listens there, the others connect. Names,
 *                           IPv4 and [IPv6] addresses.
 *     file:///shared/dir    through a directory that all can write
 *
 * Every call makes a new session: a random number that rank 0 draws and all
 * share afterwards. What an old job left behind in a directory, or sends from
 * an old process, belongs to another session and is ignored.
 */

#ifndef P2P_RENDEZVOUS_H_
#define P2P_RENDEZVOUS_H_

#include "core/log.h"
#include "p2p/transport.h"

#define RENDEZVOUS_ADDRESS_MAX 512  /* Bytes of an endpoint's address. */
#define RENDEZVOUS_NOTE_MAX    4096 /* Bytes of a note. */

struct rendezvous_options {
    const char *url;
    p2p_peer self;
    uint32_t n_peers;
    uint64_t timeout_ns;      /* To wait for the others. */
    struct log *log;          /* Says every few seconds whom we wait for. */
    const volatile int *stop; /* Not NULL: give up when it becomes nonzero. */
};

/* What a peer brings. */
struct rendezvous_card {
    size_t address_size;
    uint8_t address[RENDEZVOUS_ADDRESS_MAX];
    size_t note_size; /* The layer above looks into it: settings, clocks. */
    uint8_t note[RENDEZVOUS_NOTE_MAX];
};

/* Exchange cards. On return cards[rank] (n_peers) are those of all peers, the
 * own one included, and *session is the same for all.
 *
 * Errors: ERR_INVALID      the URL, or two peers with one rank, or another
 *                          number of peers.
 *         ERR_UNREACHABLE  not all came in time: the message names the ranks.
 *         ERR_INTERRUPTED  *stop was set. ERR_IO, ERR_NOMEM. */
int rendezvous_meet(const struct rendezvous_options *o,
                    const struct rendezvous_card *own,
                    struct rendezvous_card *cards,
                    uint64_t *session,
                    struct err *e);

/* The local address that leads to the rendezvous, e.g. "127.0.0.1", for binding
 * the endpoint: NULL-terminated text. With file:// it is empty: any address.
 * Errors: ERR_INVALID. */
int rendezvous_local_address(const char *url, char address[64], struct err *e);

#endif /* P2P_RENDEZVOUS_H_ */
