#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "p2p/meeting.h"

/* Strangers that rank 0 listens to beside its peers. */
#define TCP_STRANGERS_MAX 16

/* Who has not shown a card by then is a stranger. */
#define TCP_CARD_NS (2 * CLOCK_S)

#define TCP_BACKLOG 256

/* A connection that rank 0 accepted. */
struct guest {
    int fd;
    bool has_card; /* It showed a valid one, of @rank. */
    p2p_peer rank;
    uint64_t since_ns;
    struct buf in;
    struct buf out;
    size_t out_sent; /* Bytes of out that are gone. */
};

struct host {
    struct meeting *m;
    int listener;
    struct guest *guests; /* (n_guests_max) */
    struct pollfd *fds;   /* (n_guests_max + 1) The listener's is last. */
    size_t n_guests;
    size_t n_guests_max;
    unsigned n_told; /* Guests that got all of their last message. */
};

static int listen_at(const struct addrinfo *ai)
{
    int fd =
        socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    int saved;

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
        listen(fd, TCP_BACKLOG) == 0) {
        return fd;
    }
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int
host_listen(struct host *h, const char *host, const char *port, struct err *e)
{
    struct addrinfo *list;
    int rc = meeting_resolve(&list, host, port, true, e);

    if (rc != 0) {
        return rc;
    }
    h->listener = -1;
    for (const struct addrinfo *i = list; i != NULL && h->listener < 0;
         i = i->ai_next) {
        h->listener = listen_at(i);
    }
    if (h->listener < 0) {
        rc = err_set(e, ERR_IO, "listen on %s:%s: %s", host, port,
                     strerror(errno));
    }
    freeaddrinfo(list);
    return rc;
}

/* Close a connection. A peer that leaves before all are here may come again. */
static void guest_drop(struct host *h, size_t i)
{
    struct guest *g = &h->guests[i];

    if (g->has_card) {
        h->m->here[g->rank] = false;
    }
    close(g->fd);
    buf_fini(&g->in);
    buf_fini(&g->out);
    h->n_guests--;
    h->guests[i] = h->guests[h->n_guests];
}

static void guests_accept(struct host *h)
{
    while (h->n_guests < h->n_guests_max) {
        struct guest *g = &h->guests[h->n_guests];
        int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return;
        }
        memset(g, 0, sizeof *g);
        g->fd = fd;
        g->since_ns = clock_ns();
        buf_init(&g->in);
        buf_init(&g->out);
        h->n_guests++;
    }
}

/* Look at what a guest sent so far: ERR_AGAIN, not all; ERR_CORRUPT, not a
 * card; 0, *c is it. */
static int card_look(const struct guest *g, struct meeting_card *c)
{
    enum frame_kind kind;
    const uint8_t *content = g->in.data + FRAME_HEADER_SIZE;
    size_t size;

    if (g->in.size < FRAME_HEADER_SIZE) {
        return ERR_AGAIN;
    }
    if (frame_header_get(g->in.data, FRAME_CARD_SIZE_MAX, &kind, &size) != 0 ||
        kind != FRAME_CARD || g->in.size > FRAME_HEADER_SIZE + size) {
        return ERR_CORRUPT;
    }
    if (g->in.size < FRAME_HEADER_SIZE + size) {
        return ERR_AGAIN;
    }
    return frame_is_intact(g->in.data, content, size) &&
                   frame_get_card(content, size, c)
               ? 0
               : ERR_CORRUPT;
}

/* Read what a guest has to say. Return ERR_CLOSED to drop it, the code of the
 * failure if it ends the meeting, else 0. */
static int guest_read(struct host *h, struct guest *g, struct err *e)
{
    uint8_t bytes[1024];
    struct meeting_card card;
    ssize_t n = recv(g->fd, bytes, sizeof bytes, 0);
    int rc;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (n <= 0 || g->has_card) {
        return ERR_CLOSED;
    }
    buf_put(&g->in, bytes, (size_t)n);
    if (g->in.failed) {
        return ERR_CLOSED;
    }
    rc = card_look(g, &card);
    if (rc == ERR_AGAIN) {
        return 0;
    }
    if (rc == ERR_CORRUPT) {
        log_debug(h->m->o->log,
                  "rendezvous: drop a connection that is no peer");
        return ERR_CLOSED;
    }
    rc = meeting_admit(h->m, &card, e);
    if (rc == 0) {
        g->has_card = true;
        g->rank = card.rank;
    }
    return rc;
}

/* Write what is waiting. ERR_CLOSED: it is gone. */
static int guest_write(struct guest *g)
{
    while (g->out_sent < g->out.size) {
        ssize_t n = send(g->fd, g->out.data + g->out_sent,
                         g->out.size - g->out_sent, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : ERR_CLOSED;
        }
        g->out_sent += (size_t)n;
    }
    buf_reset(&g->out);
    g->out_sent = 0;
    return 0;
}

static size_t host_fds(struct host *h)
{
    for (size_t i = 0; i < h->n_guests; i++) {
        const struct guest *g = &h->guests[i];
        h->fds[i] = (struct pollfd){.fd = g->fd, .events = POLLIN};
        if (g->out.size > 0) {
            h->fds[i].events |= POLLOUT;
        }
    }
    h->fds[h->n_guests] = (struct pollfd){.fd = h->listener, .events = POLLIN};
    return h->n_guests + 1;
}

static bool guest_is_late(const struct guest *g)
{
    return !g->has_card && clock_ns() - g->since_ns > TCP_CARD_NS;
}

/* Read and write wherever possible. Return the failure that ends the meeting,
 * if there is one. */
static int host_serve(struct host *h, struct err *e)
{
    /* Backwards, because dropping one moves the last into its place. */
    for (size_t i = h->n_guests; i-- > 0;) {
        struct guest *g = &h->guests[i];
        int rc = 0;
        if ((h->fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            rc = guest_read(h, g, e);
        }
        if (rc == 0 && g->out.size > 0) {
            rc = guest_write(g);
        }
        if (rc == ERR_CLOSED || (rc == 0 && guest_is_late(g))) {
            guest_drop(h, i);
        } else if (rc != 0) {
            return rc;
        }
    }
    guests_accept(h);
    return 0;
}

static void host_report(struct host *h)
{
    char text[FRAME_TEXT_MAX];

    if (!meeting_report_due(h->m)) {
        return;
    }
    meeting_missing(h->m, text);
    log_info(h->m->o->log, "rendezvous: waiting for %s", text);
    for (size_t i = 0; i < h->n_guests; i++) {
        struct guest *g = &h->guests[i];
        if (g->has_card && g->out.size == 0) {
            frame_put(&g->out, FRAME_WAIT, text, strlen(text));
        }
    }
}

static int host_gather(struct host *h, struct err *e)
{
    char text[FRAME_TEXT_MAX];
    int rc = 0;

    while (rc == 0 && !meeting_is_full(h->m)) {
        host_report(h);
        rc = meeting_pause(h->m, h->fds, host_fds(h), MEETING_STOP_MS, e);
        if (rc == 0) {
            rc = host_serve(h, e);
        }
    }
    if (rc == ERR_UNREACHABLE) {
        meeting_missing(h->m, text);
        err_set(e, rc, "%s did not come within %.1f s", text,
                (double)h->m->o->timeout_ns / (double)CLOCK_S);
    }
    return rc;
}

/* Write out what is queued until all is gone, or until the given time. */
static void host_flush(struct host *h, uint64_t until_ns)
{
    while (clock_ns() < until_ns) {
        size_t n_left = 0;
        for (size_t i = h->n_guests; i-- > 0;) {
            struct guest *g = &h->guests[i];
            if (guest_write(g) != 0) {
                guest_drop(h, i);
            } else {
                n_left += g->out.size > 0;
            }
        }
        if (n_left == 0) {
            return;
        }
        (void)poll(h->fds, host_fds(h) - 1, 10);
    }
}

/* Tell all guests what went wrong, and, for a while, those who come late. */
static void host_fail(struct host *h, int code, const char *why)
{
    uint64_t until_ns =
        clock_ns() + (code == ERR_INTERRUPTED ? 0 : MEETING_LINGER_NS);
    unsigned n_told = 0;

    do {
        while (h->n_guests > 0) {
            struct guest *g = &h->guests[h->n_guests - 1];
            struct pollfd *fd = &h->fds[0];
            buf_reset(&g->out);
            g->out_sent = 0;
            frame_put_failure(&g->out, h->m, code, why);
            n_told += guest_write(g) == 0;
            /* Unread input would turn the close into a reset, which may
             * overtake what was written: wait for the other end. */
            shutdown(g->fd, SHUT_WR);
            *fd = (struct pollfd){.fd = g->fd, .events = POLLIN};
            while (poll(fd, 1, 100) == 1) {
                uint8_t bytes[1024];
                if (recv(g->fd, bytes, sizeof bytes, 0) <= 0) {
                    break;
                }
            }
            guest_drop(h, h->n_guests - 1);
        }
        if (n_told >= h->m->o->n_peers - 1) {
            return;
        }
        (void)poll(h->fds, host_fds(h), MEETING_STOP_MS);
        guests_accept(h);
    } while (clock_ns() < until_ns);
}

static void host_send_table(struct host *h)
{
    for (size_t i = 0; i < h->n_guests; i++) {
        struct guest *g = &h->guests[i];
        if (g->has_card) {
            frame_put_table(&g->out, h->m);
        }
    }
    host_flush(h, clock_ns() + MEETING_LINGER_NS);
}

static int host_init(struct host *h, struct meeting *m, struct err *e)
{
    memset(h, 0, sizeof *h);
    h->m = m;
    h->n_guests_max = m->o->n_peers + TCP_STRANGERS_MAX;
    h->guests = calloc(h->n_guests_max, sizeof h->guests[0]);
    h->fds = calloc(h->n_guests_max + 1, sizeof h->fds[0]);
    if (h->guests == NULL || h->fds == NULL) {
        free(h->guests);
        free(h->fds);
        return err_set(e, ERR_NOMEM, "%zu connections", h->n_guests_max);
    }
    return 0;
}

static void host_fini(struct host *h)
{
    while (h->n_guests > 0) {
        guest_drop(h, h->n_guests - 1);
    }
    free(h->guests);
    free(h->fds);
}

int meeting_tcp_host(struct meeting *m,
                     const char *host,
                     const char *port,
                     struct err *e)
{
    struct host h;
    int rc = host_init(&h, m, e);

    if (rc != 0) {
        return rc;
    }
    rc = host_listen(&h, host, port, e);
    if (rc == 0) {
        rc = host_gather(&h, e);
        if (rc == 0) {
            host_send_table(&h);
        } else {
            host_fail(&h, rc, e->msg);
        }
        close(h.listener);
    }
    host_fini(&h);
    return rc;
}
