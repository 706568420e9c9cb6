/* What every transport must do, as tests that run on each of them.
 *
 * A test program describes how to make a small network of its transport, and
 * calls transport_suite_run(). The order of messages is never assumed.
 */

#ifndef TESTS_SUPPORT_TRANSPORT_SUITE_H_
#define TESTS_SUPPORT_TRANSPORT_SUITE_H_

#include <stdbool.h>

#include "p2p/transport.h"

#define SUITE_PEERS_MAX 8

struct suite_net {
    struct p2p_transport *t[SUITE_PEERS_MAX]; /* NULL: closed. */
    uint32_t n_peers;
    void *arg; /* Of the kind of network. */
};

struct suite_kind {
    const char *name;

    /* Join @n peers. Fails the test if that is impossible. */
    void (*open)(struct suite_net *net, uint32_t n_peers);

    /* Close what is still open. */
    void (*close)(struct suite_net *net);

    /* Let time pass until something may have arrived. Return false if that
     * cannot happen any more. */
    bool (*step)(struct suite_net *net);

    bool tells_loss; /* poll() says that a peer closed. */
    bool is_bounded; /* send() comes to an end while nobody polls. */
};

/* Run all tests on @kind. Return how many failed. */
int transport_suite_run(const struct suite_kind *kind);

#endif /* TESTS_SUPPORT_TRANSPORT_SUITE_H_ */
