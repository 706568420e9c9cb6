#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "p2p/meeting.h"

#define FILE_LOOK_MS 20 /* Between looks at the directory. */

/* The files of a meeting, each replaced in one step by a rename:
 *
 *     lyre-opening   rank 0 is there: a new number each time
 *     lyre-card-R    what rank R brings, in answer to that number
 *     lyre-clash-R   another process took rank R
 *     lyre-table     all cards, or what went wrong
 *
 * Whatever an old job left does not have the numbers of this one. */
#define NAME_OPENING "lyre-opening"
#define NAME_TABLE   "lyre-table"

struct place {
    struct meeting *m;
    int dir;
    struct buf frame; /* The last file that was read. */
};

static void name_card(char name[32], p2p_peer rank)
{
    snprintf(name, 32, "lyre-card-%u", rank);
}

static void name_clash(char name[32], p2p_peer rank)
{
    snprintf(name, 32, "lyre-clash-%u", rank);
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* Make @name hold the frames in @b, at once for whoever looks. */
static int file_replace(struct place *p,
                        const char *name,
                        const struct buf *b,
                        struct err *e)
{
    char tmp[64];
    int fd;
    int rc = 0;

    if (b->failed) {
        return err_set(e, ERR_NOMEM, "write %s", name);
    }
    snprintf(tmp, sizeof tmp, "lyre-tmp-%u-%016llx", p->m->o->self,
             (unsigned long long)p->m->nonce);
    fd = openat(p->dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return err_wrap(e, err_errno(e, "create"), "write %s", name);
    }
    if (write_all(fd, b->data, b->size) != 0) {
        rc = err_errno(e, "write");
    }
    if (close(fd) != 0 && rc == 0) {
        rc = err_errno(e, "close");
    }
    if (rc == 0 && renameat(p->dir, tmp, p->dir, name) != 0) {
        rc = err_errno(e, "rename");
    }
    if (rc != 0) {
        (void)unlinkat(p->dir, tmp, 0);
        return err_wrap(e, rc, "write %s", name);
    }
    return 0;
}

/* Read a file of one frame of the given kind into p->frame, and return its
 * content and size. NULL: there is none, or not of ours. */
static const uint8_t *file_read(struct place *p,
                                const char *name,
                                size_t *size,
                                enum frame_kind *kind)
{
    size_t room = FRAME_HEADER_SIZE + frame_table_size_max(p->m->o->n_peers);
    struct stat st;
    uint8_t *at;
    size_t n = 0;
    int fd = openat(p->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return NULL;
    }
    buf_reset(&p->frame);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_size >= FRAME_HEADER_SIZE && (size_t)st.st_size <= room) {
        size_t want = (size_t)st.st_size;
        at = buf_add(&p->frame, want);
        while (at != NULL && n < want) {
            ssize_t got = read(fd, at + n, want - n);
            if (got <= 0) {
                break;
            }
            n += (size_t)got;
        }
    }
    close(fd);
    if (n < FRAME_HEADER_SIZE || n != p->frame.size ||
        frame_header_get(p->frame.data, room, kind, size) != 0 ||
        n != FRAME_HEADER_SIZE + *size ||
        !frame_is_intact(p->frame.data, p->frame.data + FRAME_HEADER_SIZE,
                         *size)) {
        return NULL;
    }
    return p->frame.data + FRAME_HEADER_SIZE;
}

/* The number of the opening there is now, or 0, and of how many peers. */
static uint64_t opening_read(struct place *p, uint32_t *n_peers)
{
    enum frame_kind kind;
    size_t size;
    const uint8_t *content = file_read(p, NAME_OPENING, &size, &kind);

    if (content == NULL || kind != FRAME_OPENING || size != 12) {
        return 0;
    }
    *n_peers = le_u32(content + 8);
    return le_u64(content);
}

/* Is the opening still the one of this meeting? */
static bool opening_stands(struct place *p)
{
    uint32_t n_peers;

    return opening_read(p, &n_peers) == p->m->opening;
}

static int opening_write(struct place *p, struct err *e)
{
    uint8_t content[12];
    struct buf b;
    int rc;

    buf_init(&b);
    le_put_u64(content, p->m->opening);
    le_put_u32(content + 8, p->m->o->n_peers);
    frame_put(&b, FRAME_OPENING, content, sizeof content);
    rc = file_replace(p, NAME_OPENING, &b, e);
    buf_fini(&b);
    return rc;
}

static bool
card_read_from(struct place *p, const char *name, struct meeting_card *c)
{
    enum frame_kind kind;
    size_t size;
    const uint8_t *content = file_read(p, name, &size, &kind);

    return content != NULL && kind == FRAME_CARD &&
           frame_get_card(content, size, c);
}

static bool card_read(struct place *p, p2p_peer rank, struct meeting_card *c)
{
    char name[32];

    name_card(name, rank);
    return card_read_from(p, name, c);
}

/* A rank that rank 0 does not expect leaves its card where it will look. */
static int card_write(struct place *p, uint32_t n_peers, struct err *e)
{
    char name[32];
    struct buf b;
    int rc;

    buf_init(&b);
    if (p->m->o->self < n_peers) {
        name_card(name, p->m->o->self);
    } else {
        name_clash(name, 0);
    }
    frame_put_card(&b, p->m);
    rc = file_replace(p, name, &b, e);
    buf_fini(&b);
    return rc;
}

static bool clash_is_told(struct place *p, p2p_peer rank)
{
    char name[32];
    enum frame_kind kind;
    const uint8_t *content;
    size_t size;

    name_clash(name, rank);
    content = file_read(p, name, &size, &kind);
    return content != NULL && kind == FRAME_CLASH && size == 16 &&
           le_u64(content) == p->m->opening;
}

/* Say that another process has our rank. */
static int clash_tell(struct place *p, struct err *e)
{
    struct meeting *m = p->m;
    uint8_t content[16];
    char name[32];
    struct buf b;

    buf_init(&b);
    le_put_u64(content, m->opening);
    le_put_u64(content + 8, m->nonce);
    frame_put(&b, FRAME_CLASH, content, sizeof content);
    name_clash(name, m->o->self);
    (void)file_replace(p, name, &b, NULL);
    buf_fini(&b);
    return err_set(e, ERR_INVALID, "two peers have rank %u", m->o->self);
}

/* Look at the card of one rank. An answer to another opening is an old one. Of
 * a rank that was here before, a new card may be the same peer's, started
 * again; if it is not, the first one complains. */
static int card_look(struct place *p, p2p_peer rank, struct err *e)
{
    struct meeting *m = p->m;
    struct meeting_card c;

    if (clash_is_told(p, rank)) {
        return err_set(e, ERR_INVALID, "two peers have rank %u", rank);
    }
    if (!card_read(p, rank, &c) || c.opening != m->opening || c.rank != rank) {
        return 0;
    }
    m->here[rank] = false;
    return meeting_admit(m, &c, e);
}

static int cards_look(struct place *p, struct err *e)
{
    struct meeting *m = p->m;
    struct meeting_card c;
    char name[32];

    for (p2p_peer i = 1; i < m->o->n_peers; i++) {
        int rc = card_look(p, i, e);
        if (rc != 0) {
            return rc;
        }
    }
    name_clash(name, 0);
    if (card_read_from(p, name, &c) && c.opening == m->opening) {
        return meeting_admit(m, &c, e);
    }
    if (!opening_stands(p)) {
        return err_set(e, ERR_INVALID, "two peers have rank 0");
    }
    return 0;
}

static int table_write(struct place *p, struct err *e)
{
    struct buf b;
    int rc;

    buf_init(&b);
    frame_put_table(&b, p->m);
    rc = file_replace(p, NAME_TABLE, &b, e);
    buf_fini(&b);
    return rc;
}

/* Take away what only this meeting could use. A peer takes its card away when
 * it has the table: once all cards are gone the table may go. */
static void host_clean(struct place *p)
{
    uint64_t until_ns = clock_ns() + MEETING_LINGER_NS;
    bool any = true;
    struct meeting_card c;
    char name[32];

    while (any && clock_ns() < until_ns) {
        any = false;
        for (p2p_peer i = 1; i < p->m->o->n_peers && !any; i++) {
            any = card_read(p, i, &c) && c.opening == p->m->opening;
        }
        if (any) {
            (void)poll(NULL, 0, FILE_LOOK_MS);
        }
    }
    if (!opening_stands(p)) {
        return; /* The files are another job's now. */
    }
    (void)unlinkat(p->dir, NAME_OPENING, 0);
    for (p2p_peer i = 0; i < p->m->o->n_peers; i++) {
        name_clash(name, i);
        (void)unlinkat(p->dir, name, 0);
    }
    if (!any) {
        (void)unlinkat(p->dir, NAME_TABLE, 0);
    }
}

/* Leave word of the failure, also for those who come in the next moments. */
static void host_fail(struct place *p, int code, const char *why)
{
    uint64_t until_ns =
        clock_ns() + (code == ERR_INTERRUPTED ? 0 : MEETING_LINGER_NS);
    struct meeting *m = p->m;
    bool all;

    do {
        struct buf b;
        all = true;
        for (p2p_peer i = 1; i < m->o->n_peers; i++) {
            struct meeting_card c;
            if (card_read(p, i, &c) && c.opening == m->opening) {
                m->here[i] = true;
                m->nonces[i] = c.nonce;
            }
            all &= m->here[i];
        }
        buf_init(&b);
        frame_put_failure(&b, m, code, why);
        (void)file_replace(p, NAME_TABLE, &b, NULL);
        buf_fini(&b);
        (void)poll(NULL, 0, FILE_LOOK_MS);
    } while (!all && clock_ns() < until_ns);
    if (opening_stands(p)) {
        (void)unlinkat(p->dir, NAME_OPENING, 0);
    }
}

static int host_run(struct place *p, struct err *e)
{
    struct meeting *m = p->m;
    char text[FRAME_TEXT_MAX];
    int rc;

    m->opening = clock_nonce();
    rc = opening_write(p, e);
    while (rc == 0) {
        rc = cards_look(p, e);
        if (rc != 0 || meeting_is_full(m)) {
            break;
        }
        meeting_missing(m, text);
        if (meeting_report_due(m)) {
            log_info(m->o->log, "rendezvous: waiting for %s", text);
        }
        rc = meeting_pause(m, NULL, 0, FILE_LOOK_MS, e);
    }
    if (rc == ERR_UNREACHABLE) {
        err_set(e, rc, "%s did not come within %.1f s", text,
                (double)m->o->timeout_ns / (double)CLOCK_S);
    }
    if (rc == 0) {
        rc = table_write(p, e);
    }
    if (rc == 0) {
        host_clean(p);
    } else {
        host_fail(p, rc, e->msg);
    }
    return rc;
}

/* Answer the opening there is, again if it is a new one, and see that nobody
 * else answers for our rank. ERR_AGAIN: rank 0 is not there. */
static int guest_answer(struct place *p, struct err *e)
{
    struct meeting *m = p->m;
    uint32_t n_peers = 0;
    uint64_t opening = opening_read(p, &n_peers);
    struct meeting_card c;

    if (opening != 0 && opening != m->opening) {
        m->opening = opening;
        return card_write(p, n_peers, e);
    }
    if (m->opening != 0 && card_read(p, m->o->self, &c) &&
        c.opening == m->opening && c.nonce != m->nonce) {
        return clash_tell(p, e);
    }
    return m->opening == 0 ? err_set(e, ERR_AGAIN, "rank 0 is not there") : 0;
}

/* Look for the table. ERR_AGAIN: there is none for us yet. */
static int guest_look(struct place *p, struct err *e)
{
    struct meeting *m = p->m;
    enum frame_kind kind;
    const uint8_t *content;
    size_t size;
    bool for_us = false;
    int code = 0;

    content = file_read(p, NAME_TABLE, &size, &kind);
    if (content == NULL || m->opening == 0) {
        return ERR_AGAIN;
    }
    if (kind == FRAME_TABLE && frame_get_table(content, size, m)) {
        return 0;
    }
    if (kind == FRAME_FAILURE &&
        frame_get_failure(content, size, m, &for_us, e, &code) && for_us) {
        return code;
    }
    return ERR_AGAIN;
}

static void guest_clean(struct place *p)
{
    struct meeting_card c;
    char name[32];

    if (card_read(p, p->m->o->self, &c) && c.nonce == p->m->nonce) {
        name_card(name, p->m->o->self);
        (void)unlinkat(p->dir, name, 0);
    }
}

static int guest_run(struct place *p, struct err *e)
{
    struct meeting *m = p->m;
    int rc;

    for (;;) {
        int there = guest_answer(p, e);
        if (there != 0 && there != ERR_AGAIN) {
            rc = there;
            break;
        }
        rc = guest_look(p, e);
        if (rc != ERR_AGAIN) {
            break;
        }
        if (meeting_report_due(m)) {
            log_info(m->o->log, "rendezvous: waiting for %s",
                     there == 0 ? "the others" : "rank 0");
        }
        rc = meeting_pause(m, NULL, 0, FILE_LOOK_MS, e);
        if (rc == ERR_UNREACHABLE) {
            err_set(e, rc, "%s within %.1f s",
                    there == 0 ? "rank 0 has not seen all"
                               : "rank 0 did not come",
                    (double)m->o->timeout_ns / (double)CLOCK_S);
        }
        if (rc != 0) {
            break;
        }
    }
    guest_clean(p);
    return rc;
}

int meeting_file(struct meeting *m, const char *dir, struct err *e)
{
    struct place p = {.m = m};
    int rc;

    p.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p.dir < 0) {
        return err_set(e, ERR_INVALID, "open %s: %s", dir, strerror(errno));
    }
    buf_init(&p.frame);
    rc = m->o->self == 0 ? host_run(&p, e) : guest_run(&p, e);
    buf_fini(&p.frame);
    close(p.dir);
    return rc;
}
