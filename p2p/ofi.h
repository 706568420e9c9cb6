/* The libfabric transport: reliable datagrams, one completion queue. */

#ifndef P2P_OFI_H_
#define P2P_OFI_H_

#include "core/log.h"
#include "p2p/transport.h"

struct p2p_ofi_options {
    const char
        *provider;    /* Name such as "net", "tcp", "shm", or NULL: choose. */
    const char *node; /* Local address to bind, or NULL or "": any. */
    struct log *log;
};

/* Open the endpoint of this peer. Provider choice: protocol FI_PROTO_XNET
 * first, then verbs, efa and psm; ofi_rxm and shm only when asked for by name.
 *
 * Errors: ERR_INVALID (no such provider: the message lists those there are),
 *         ERR_IO, ERR_NOMEM. Nothing is left open. */
int p2p_ofi_open(struct p2p_transport **t,
                 const struct p2p_ofi_options *o,
                 struct err *e);

/* The name of the provider in use. */
const char *p2p_ofi_provider(const struct p2p_transport *t);

/* The address that others send to. Errors: ERR_FULL: more than @room bytes. */
int p2p_ofi_address(const struct p2p_transport *t,
                    uint8_t *address,
                    size_t room,
                    size_t *size,
                    struct err *e);

/* Learn who is who: addresses (n_peers) by rank, this peer's own rank, and the
 * session that marks every message; messages of another session are counted
 * and dropped. What cannot be blamed on a peer of the session is counted in the
 * stats() of the own rank. Errors: ERR_IO, ERR_NOMEM; close it then. */
struct p2p_ofi_peer {
    const uint8_t *address;
    size_t address_size;
};
int p2p_ofi_connect(struct p2p_transport *t,
                    uint64_t session,
                    p2p_peer self,
                    const struct p2p_ofi_peer *peers,
                    uint32_t n_peers,
                    struct err *e);

#endif /* P2P_OFI_H_ */
