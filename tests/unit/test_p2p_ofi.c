/* Unit tests of p2p/ofi.h: the transport suite over libfabric on loopback, and
 * what only a real network does. */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "p2p/mesh.h"
#include "p2p/ofi.h"
#include "tests/support/test.h"
#include "tests/support/transport_suite.h"

#define SESSION 0x1234567890abcdefu

struct address {
    uint8_t bytes[128];
    size_t size;
};

static struct p2p_transport *endpoint_open(struct address *a)
{
    struct p2p_ofi_options o = {.node = "127.0.0.1"};
    struct p2p_transport *t;
    struct err e;

    if (p2p_ofi_open(&t, &o, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_int_equal(
        p2p_ofi_address(t, a->bytes, sizeof a->bytes, &a->size, &e), 0);
    return t;
}

static void endpoint_connect(struct p2p_transport *t,
                             uint64_t session,
                             p2p_peer self,
                             const struct address *a,
                             uint32_t n_peers)
{
    struct p2p_ofi_peer peers[SUITE_PEERS_MAX];
    struct err e;

    for (p2p_peer i = 0; i < n_peers; i++) {
        peers[i] = (struct p2p_ofi_peer){a[i].bytes, a[i].size};
    }
    if (p2p_ofi_connect(t, session, self, peers, n_peers, &e) != 0) {
        fail_msg("%s", e.msg);
    }
}

static void ofi_open(struct suite_net *net, uint32_t n_peers)
{
    struct address a[SUITE_PEERS_MAX];

    net->n_peers = n_peers;
    for (p2p_peer i = 0; i < n_peers; i++) {
        net->t[i] = endpoint_open(&a[i]);
    }
    for (p2p_peer i = 0; i < n_peers; i++) {
        endpoint_connect(net->t[i], SESSION, i, a, n_peers);
    }
}

static void ofi_close(struct suite_net *net)
{
    for (p2p_peer i = 0; i < net->n_peers; i++) {
        if (net->t[i] != NULL) {
            net->t[i]->ops->close(net->t[i]);
        }
    }
}

static bool ofi_step(struct suite_net *net)
{
    (void)net;
    sched_yield();
    return true;
}

static const struct suite_kind OFI = {.name = "transport suite on libfabric",
                                      .open = ofi_open,
                                      .close = ofi_close,
                                      .step = ofi_step,
                                      .tells_loss = true,
                                      .is_bounded = true};

int main(void)
{
    return transport_suite_run(&OFI);
}
