#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "p2p/meeting.h"

#define TCP_RETRY_MS 100 /* Between attempts to reach rank 0. */

/* Connect to one address: 0 and *fd, or ERR_AGAIN and the reason. */
static int guest_connect_to(struct meeting *m,
                            const struct addrinfo *ai,
                            int *fd,
                            struct err *e)
{
    struct pollfd p = {.events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    int rc = 0;

    *fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        return err_set(e, ERR_AGAIN, "%s", strerror(errno));
    }
    if (connect(*fd, ai->ai_addr, ai->ai_addrlen) != 0) {
        error = errno;
    }
    p.fd = *fd;
    for (int i = 0; rc == 0 && error == EINPROGRESS && i < 40; i++) {
        rc = meeting_pause(m, &p, 1, MEETING_STOP_MS, e);
        if (p.revents != 0) {
            (void)getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &size);
        }
    }
    if (rc == 0 && error == 0) {
        return 0;
    }
    close(*fd);
    *fd = -1;
    return rc != 0 ? rc : err_set(e, ERR_AGAIN, "%s", strerror(error));
}

static int guest_connect(struct meeting *m,
                         const char *host,
                         const char *port,
                         int *fd,
                         struct err *e)
{
    struct addrinfo *list;
    int rc = meeting_resolve(&list, host, port, false, e);

    if (rc != 0) {
        return rc;
    }
    rc = ERR_AGAIN;
    for (const struct addrinfo *i = list; i != NULL && rc == ERR_AGAIN;
         i = i->ai_next) {
        rc = guest_connect_to(m, i, fd, e);
    }
    freeaddrinfo(list);
    return rc;
}

/* Send or receive exactly @size bytes. ERR_AGAIN: the connection broke. */
static int bytes_send(struct meeting *m,
                      int fd,
                      const uint8_t *data,
                      size_t size,
                      struct err *e)
{
    while (size > 0) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        int rc = 0;
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return err_set(e, ERR_AGAIN, "%s", strerror(errno));
        }
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else {
            rc = meeting_pause(m, &p, 1, MEETING_STOP_MS, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int bytes_receive(struct meeting *m,
                         int fd,
                         uint8_t *data,
                         size_t size,
                         struct err *e)
{
    while (size > 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n = recv(fd, data, size, 0);
        int rc = 0;
        if (n == 0) {
            return err_set(e, ERR_AGAIN, "it hung up");
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return err_set(e, ERR_AGAIN, "%s", strerror(errno));
        }
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else {
            rc = meeting_pause(m, &p, 1, MEETING_STOP_MS, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* Receive a frame; the caller frees *content. */
static int frame_receive(struct meeting *m,
                         int fd,
                         enum frame_kind *kind,
                         uint8_t **content,
                         size_t *size,
                         struct err *e)
{
    uint8_t header[FRAME_HEADER_SIZE];
    int rc = bytes_receive(m, fd, header, sizeof header, e);

    *content = NULL;
    if (rc != 0) {
        return rc;
    }
    if (frame_header_get(header, frame_table_size_max(m->o->n_peers), kind,
                         size) != 0) {
        return err_set(e, ERR_AGAIN, "what answers there is no peer of ours");
    }
    *content = malloc(*size + 1);
    if (*content == NULL) {
        return err_set(e, ERR_NOMEM, "frame of %zu bytes", *size);
    }
    rc = bytes_receive(m, fd, *content, *size, e);
    if (rc == 0 && !frame_is_intact(header, *content, *size)) {
        rc = err_set(e, ERR_AGAIN, "bad checksum");
    }
    return rc;
}

/* What rank 0 said last about whom it waits for. */
static void wait_note(struct meeting *m,
                      char waits[FRAME_TEXT_MAX + 1],
                      const uint8_t *content,
                      size_t size)
{
    size = size < FRAME_TEXT_MAX ? size : FRAME_TEXT_MAX;
    memcpy(waits, content, size);
    waits[size] = '\0';
    log_info(m->o->log, "rendezvous: waiting for %s", waits);
}

/* Listen to rank 0 until it sends the table. ERR_AGAIN: try a new connection.
 */
static int guest_listen(struct meeting *m,
                        int fd,
                        char waits[FRAME_TEXT_MAX + 1],
                        struct err *e)
{
    for (;;) {
        enum frame_kind kind;
        uint8_t *content;
        size_t size;
        bool for_us;
        int code = ERR_AGAIN;
        bool is_done = true;
        int rc = frame_receive(m, fd, &kind, &content, &size, e);

        if (rc == 0 && kind == FRAME_WAIT) {
            wait_note(m, waits, content, size);
            is_done = false;
        } else if (rc == 0 && kind == FRAME_TABLE) {
            rc = frame_get_table(content, size, m)
                     ? 0
                     : err_set(e, ERR_AGAIN, "its table is not for us");
        } else if (rc == 0) {
            rc = kind == FRAME_FAILURE &&
                         frame_get_failure(content, size, m, &for_us, e, &code)
                     ? code
                     : err_set(e, ERR_AGAIN, "unexpected answer");
        }
        free(content);
        if (is_done) {
            return rc;
        }
    }
}

static int guest_attempt(struct meeting *m,
                         const char *host,
                         const char *port,
                         char waits[FRAME_TEXT_MAX + 1],
                         struct err *e)
{
    struct buf card;
    int fd;
    int rc = guest_connect(m, host, port, &fd, e);

    if (rc != 0) {
        return rc;
    }
    buf_init(&card);
    frame_put_card(&card, m);
    rc = card.failed ? err_set(e, ERR_NOMEM, "card")
                     : bytes_send(m, fd, card.data, card.size, e);
    if (rc == 0) {
        rc = guest_listen(m, fd, waits, e);
    }
    buf_fini(&card);
    close(fd);
    return rc;
}

int meeting_tcp_guest(struct meeting *m,
                      const char *host,
                      const char *port,
                      struct err *e)
{
    char waits[FRAME_TEXT_MAX + 1] = "";
    struct err why = {"it was not there"};
    int rc;

    for (;;) {
        rc = guest_attempt(m, host, port, waits, e);
        if (rc != ERR_AGAIN) {
            break;
        }
        why = *e;
        if (meeting_report_due(m)) {
            log_info(m->o->log, "rendezvous: waiting for rank 0 at %s:%s: %s",
                     host, port, why.msg);
        }
        rc = meeting_pause(m, NULL, 0, TCP_RETRY_MS, e);
        if (rc != 0) {
            break;
        }
    }
    if (rc == ERR_UNREACHABLE && clock_ns() >= m->deadline_ns) {
        if (waits[0] != '\0') {
            err_set(e, rc, "%s did not come within %.1f s", waits,
                    (double)m->o->timeout_ns / (double)CLOCK_S);
        } else {
            err_set(e, rc,
                    "rank 0 did not answer at %s:%s within %.1f s: %.200s",
                    host, port, (double)m->o->timeout_ns / (double)CLOCK_S,
                    why.msg);
        }
    }
    return rc;
}
