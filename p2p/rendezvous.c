#include "p2p/rendezvous.h"

#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "p2p/meeting.h"

struct url {
    bool is_file;
    char host[256]; /* Or the directory. */
    char port[8];
};

static int err_url(struct err *e, const char *url, const char *what)
{
    return err_set(e, ERR_INVALID,
                   "rendezvous %s: %s; write tcp://host:port or "
                   "file:///shared/directory",
                   url, what);
}

static bool port_is_valid(const char *port)
{
    char *end;
    long n = strtol(port, &end, 10);

    return port[0] >= '0' && port[0] <= '9' && *end == '\0' && n > 0 &&
           n <= 65535 && strlen(port) < 6;
}

/* Split "host:port" or "[address]:port". */
static int
tcp_parse(struct url *u, const char *url, const char *rest, struct err *e)
{
    const char *colon = strrchr(rest, ':');
    const char *host = rest;
    size_t size;

    if (colon == NULL || !port_is_valid(colon + 1)) {
        return err_url(e, url, "no port");
    }
    size = (size_t)(colon - rest);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    } else if (memchr(host, ':', size) != NULL) {
        return err_url(e, url, "an IPv6 address stands in brackets");
    }
    if (size == 0 || size >= sizeof u->host) {
        return err_url(e, url, "no host");
    }
    memcpy(u->host, host, size);
    u->host[size] = '\0';
    strcpy(u->port, colon + 1);
    return 0;
}

static int url_parse(struct url *u, const char *url, struct err *e)
{
    memset(u, 0, sizeof *u);
    if (strncmp(url, "tcp://", 6) == 0) {
        return tcp_parse(u, url, url + 6, e);
    }
    if (strncmp(url, "file:///", 8) != 0) {
        return err_url(e, url, "unknown kind");
    }
    u->is_file = true;
    if (strlen(url + 7) >= sizeof u->host) {
        return err_url(e, url, "path is too long");
    }
    strcpy(u->host, url + 7);
    return 0;
}

static int meet(struct meeting *m, const struct url *u, struct err *e)
{
    if (u->is_file) {
        return meeting_file(m, u->host, e);
    }
    return m->o->self == 0 ? meeting_tcp_host(m, u->host, u->port, e)
                           : meeting_tcp_guest(m, u->host, u->port, e);
}

int rendezvous_meet(const struct rendezvous_options *o,
                    const struct rendezvous_card *own,
                    struct rendezvous_card *cards,
                    uint64_t *session,
                    struct err *e)
{
    struct meeting m = {.o = o, .own = own, .cards = cards};
    struct err local;
    struct url u;
    int rc;

    e = e == NULL ? &local : e;
    assert(o->n_peers > 0 && o->n_peers <= P2P_PEERS_MAX);
    assert(own->address_size <= RENDEZVOUS_ADDRESS_MAX);
    assert(own->note_size <= RENDEZVOUS_NOTE_MAX);
    if (o->self >= o->n_peers) {
        return err_set(e, ERR_INVALID, "rank %u of %u peers", o->self,
                       o->n_peers);
    }
    rc = url_parse(&u, o->url, e);
    if (rc != 0) {
        return rc;
    }
    m.here = calloc(o->n_peers, sizeof m.here[0]);
    m.nonces = calloc(o->n_peers, sizeof m.nonces[0]);
    if (m.here == NULL || m.nonces == NULL) {
        rc = err_set(e, ERR_NOMEM, "rendezvous of %u peers", o->n_peers);
        goto out;
    }
    m.nonce = clock_nonce();
    m.session = clock_nonce();
    m.deadline_ns = clock_ns() + o->timeout_ns;
    m.report_ns = clock_ns() + MEETING_REPORT_NS;
    m.here[o->self] = true;
    m.nonces[o->self] = m.nonce;
    cards[o->self] = *own;
    if (o->n_peers > 1) {
        rc = meet(&m, &u, e);
    }
    if (rc == 0) {
        *session = m.session;
    }

out:
    free(m.here);
    free(m.nonces);
    return rc == 0 ? 0 : err_wrap(e, rc, "rendezvous %s", o->url);
}

/* "0.0.0.0" and "::" are all addresses of a machine, and lead to none. */
static bool is_any(const struct addrinfo *ai)
{
    if (ai->ai_family == AF_INET) {
        return ((const struct sockaddr_in *)ai->ai_addr)->sin_addr.s_addr ==
               htonl(INADDR_ANY);
    }
    return ai->ai_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(
               &((const struct sockaddr_in6 *)ai->ai_addr)->sin6_addr);
}

/* The address of this end when talking to @ai, as text. */
static bool local_address(const struct addrinfo *ai, char address[64])
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    int fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found;

    if (fd < 0) {
        return false;
    }
    /* Connecting a datagram socket sends nothing: it looks up the route. */
    found = connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
            getsockname(fd, (struct sockaddr *)&own, &size) == 0 &&
            getnameinfo((struct sockaddr *)&own, size, address, 64, NULL, 0,
                        NI_NUMERICHOST) == 0;
    close(fd);
    return found;
}

int rendezvous_local_address(const char *url, char address[64], struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *list;
    struct url u;
    bool found = false;
    int rc = url_parse(&u, url, e);

    address[0] = '\0';
    if (rc != 0 || u.is_file) {
        return rc;
    }
    rc = getaddrinfo(u.host, u.port, &hints, &list);
    if (rc != 0) {
        return err_set(e, ERR_INVALID, "rendezvous %s: %s: %s", url, u.host,
                       gai_strerror(rc));
    }
    for (const struct addrinfo *i = list; i != NULL && !found; i = i->ai_next) {
        found = is_any(i) || local_address(i, address);
    }
    freeaddrinfo(list);
    if (!found) {
        return err_set(e, ERR_INVALID, "rendezvous %s: no route to %s", url,
                       u.host);
    }
    return 0;
}
