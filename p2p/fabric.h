/* The libfabric objects of one endpoint: which provider, opened and closed in
 * the right order. Only p2p/ofi.c uses it. */

#ifndef P2P_FABRIC_H_
#define P2P_FABRIC_H_

#include <stdbool.h>

#include <rdma/fabric.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>

#include "core/err.h"
#include "core/log.h"

struct fabric {
    struct fi_info *info; /* What was chosen. */
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_av *av;
    struct fid_cq *cq; /* Of both directions, entries of FI_CQ_FORMAT_MSG. */
    struct fid_ep *endpoint;
    bool waits;          /* fi_cq_sread() can sleep. */
    bool needs_mr;       /* Buffers must be registered. */
    bool tells_by_again; /* A connection that was lost shows as -FI_EAGAIN. */
};

/* Choose a provider and open its endpoint, bound to the local address @node
 * unless that is NULL. See p2p/ofi.h for the choice.
 *
 * Errors: ERR_INVALID  no such provider, or none that can bind to @node.
 *         ERR_IO, ERR_NOMEM. Nothing is left open. */
int fabric_open(struct fabric *f,
                const char *provider,
                const char *node,
                struct log *log,
                struct err *e);

/* Close what is open. */
void fabric_close(struct fabric *f);

/* The name of the provider in use. */
const char *fabric_provider(const struct fabric *f);

/* Write "@call: reason" for a negative code of libfabric. Return ERR_NOMEM,
 * ERR_INVALID (no such local address) or ERR_IO. */
int fabric_err(struct err *e, const char *call, ssize_t rc);

#endif /* P2P_FABRIC_H_ */
