#include "p2p/meeting.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/hash.h"

int meeting_pause(struct meeting *m,
                  struct pollfd *fds,
                  size_t n_fds,
                  int timeout_ms,
                  struct err *e)
{
    int ms = timeout_ms < MEETING_STOP_MS ? timeout_ms : MEETING_STOP_MS;

    (void)poll(fds, n_fds, ms);
    if (m->o->stop != NULL &&
        __atomic_load_n(m->o->stop, __ATOMIC_RELAXED) != 0) {
        return err_set(e, ERR_INTERRUPTED, "interrupted");
    }
    if (clock_ns() >= m->deadline_ns) {
        return err_set(e, ERR_UNREACHABLE, "no answer within %.1f s",
                       (double)m->o->timeout_ns / (double)CLOCK_S);
    }
    return 0;
}

bool meeting_is_full(const struct meeting *m)
{
    for (p2p_peer i = 0; i < m->o->n_peers; i++) {
        if (!m->here[i]) {
            return false;
        }
    }
    return true;
}

void meeting_missing(const struct meeting *m, char text[FRAME_TEXT_MAX])
{
    size_t used;
    unsigned n = 0;

    for (p2p_peer i = 0; i < m->o->n_peers; i++) {
        n += !m->here[i];
    }
    used = (size_t)snprintf(text, FRAME_TEXT_MAX, n == 1 ? "rank" : "ranks");
    for (p2p_peer i = 0; i < m->o->n_peers; i++) {
        if (m->here[i]) {
            continue;
        }
        if (used > FRAME_TEXT_MAX - 32) {
            snprintf(text + used, FRAME_TEXT_MAX - used, " and %u more", n);
            return;
        }
        n--;
        used += (size_t)snprintf(text + used, FRAME_TEXT_MAX - used, " %u%s", i,
                                 n > 0 ? "," : "");
    }
}

bool meeting_report_due(struct meeting *m)
{
    uint64_t now_ns = clock_ns();

    if (now_ns < m->report_ns) {
        return false;
    }
    m->report_ns = now_ns + MEETING_REPORT_NS;
    return true;
}

int meeting_admit(struct meeting *m,
                  const struct meeting_card *c,
                  struct err *e)
{
    uint32_t n_peers = m->o->n_peers;

    m->offender = c->nonce;
    if (c->n_peers != n_peers) {
        return err_set(e, ERR_INVALID,
                       "rank %u was told of %u peers, rank 0 of %u", c->rank,
                       c->n_peers, n_peers);
    }
    if (c->rank >= n_peers) {
        return err_set(e, ERR_INVALID, "rank %u of %u peers", c->rank, n_peers);
    }
    if (m->here[c->rank] && m->nonces[c->rank] != c->nonce) {
        return err_set(e, ERR_INVALID, "two peers have rank %u", c->rank);
    }
    m->offender = 0;
    m->here[c->rank] = true;
    m->nonces[c->rank] = c->nonce;
    m->cards[c->rank] = c->card;
    return 0;
}

void frame_put(struct buf *b,
               enum frame_kind kind,
               const void *content,
               size_t size)
{
    buf_put_u32(b, MEETING_MAGIC);
    buf_put_u32(b, (uint32_t)kind);
    buf_put_u32(b, (uint32_t)size);
    buf_put_u32(b, (uint32_t)hash64(content, size));
    buf_put(b, content, size);
}

/* Append a frame whose content is in @content, and free that. */
static void
frame_put_buf(struct buf *b, enum frame_kind kind, struct buf *content)
{
    if (content->failed) {
        b->failed = true;
    } else {
        frame_put(b, kind, content->data, content->size);
    }
    buf_fini(content);
}

static void card_put(struct buf *b,
                     const struct meeting *m,
                     p2p_peer rank,
                     uint64_t nonce,
                     const struct rendezvous_card *card)
{
    buf_put_u64(b, m->opening);
    buf_put_u64(b, nonce);
    buf_put_u32(b, rank);
    buf_put_u32(b, m->o->n_peers);
    buf_put_u32(b, (uint32_t)card->address_size);
    buf_put_u32(b, (uint32_t)card->note_size);
    buf_put(b, card->address, card->address_size);
    buf_put(b, card->note, card->note_size);
}

void frame_put_card(struct buf *b, const struct meeting *m)
{
    struct buf content;

    buf_init(&content);
    card_put(&content, m, m->o->self, m->nonce, m->own);
    frame_put_buf(b, FRAME_CARD, &content);
}

void frame_put_table(struct buf *b, const struct meeting *m)
{
    struct buf content;

    buf_init(&content);
    buf_put_u64(&content, m->opening);
    buf_put_u64(&content, m->session);
    buf_put_u32(&content, m->o->n_peers);
    buf_put_u32(&content, 0);
    for (p2p_peer i = 0; i < m->o->n_peers; i++) {
        card_put(&content, m, i, m->nonces[i], &m->cards[i]);
    }
    frame_put_buf(b, FRAME_TABLE, &content);
}

void frame_put_failure(struct buf *b,
                       const struct meeting *m,
                       int code,
                       const char *text)
{
    struct buf content;
    uint32_t n = 1;

    buf_init(&content);
    for (p2p_peer i = 0; i < m->o->n_peers; i++) {
        n += m->here[i];
    }
    buf_put_u64(&content, m->opening);
    buf_put_u32(&content, (uint32_t)code);
    buf_put_u32(&content, n);
    buf_put_u64(&content, m->offender);
    for (p2p_peer i = 0; i < m->o->n_peers; i++) {
        if (m->here[i]) {
            buf_put_u64(&content, m->nonces[i]);
        }
    }
    buf_put(&content, text, strnlen(text, FRAME_TEXT_MAX));
    frame_put_buf(b, FRAME_FAILURE, &content);
}

int frame_header_get(const uint8_t header[FRAME_HEADER_SIZE],
                     size_t size_max,
                     enum frame_kind *kind,
                     size_t *size)
{
    uint32_t k = le_u32(header + 4);

    if (le_u32(header) != MEETING_MAGIC || k < FRAME_CARD || k > FRAME_CLASH ||
        le_u32(header + 8) > size_max) {
        return ERR_CORRUPT;
    }
    *kind = (enum frame_kind)k;
    *size = le_u32(header + 8);
    return 0;
}

bool frame_is_intact(const uint8_t header[FRAME_HEADER_SIZE],
                     const uint8_t *content,
                     size_t size)
{
    return le_u32(header + 12) == (uint32_t)hash64(content, size);
}

/* Read a card from [*p, end) and move *p behind it. */
static bool
card_get(const uint8_t **p, const uint8_t *end, struct meeting_card *c)
{
    const uint8_t *q = *p;
    size_t address_size;
    size_t note_size;

    if (end - q < 32) {
        return false;
    }
    c->opening = le_u64(q);
    c->nonce = le_u64(q + 8);
    c->rank = le_u32(q + 16);
    c->n_peers = le_u32(q + 20);
    address_size = le_u32(q + 24);
    note_size = le_u32(q + 28);
    q += 32;
    if (address_size > RENDEZVOUS_ADDRESS_MAX ||
        note_size > RENDEZVOUS_NOTE_MAX ||
        (size_t)(end - q) < address_size + note_size) {
        return false;
    }
    memset(&c->card, 0, sizeof c->card);
    c->card.address_size = address_size;
    c->card.note_size = note_size;
    memcpy(c->card.address, q, address_size);
    memcpy(c->card.note, q + address_size, note_size);
    *p = q + address_size + note_size;
    return true;
}

bool frame_get_card(const uint8_t *content,
                    size_t size,
                    struct meeting_card *card)
{
    const uint8_t *p = content;

    return card_get(&p, content + size, card) && p == content + size;
}

/* A table counts only if it belongs to the opening that we answered and has
 * the nonce that we drew for it. */
bool frame_get_table(const uint8_t *content, size_t size, struct meeting *m)
{
    const uint8_t *end = content + size;
    const uint8_t *p = content + 24;

    if (size < 24 || le_u64(content) != m->opening ||
        le_u32(content + 16) != m->o->n_peers) {
        return false;
    }
    for (p2p_peer i = 0; i < m->o->n_peers; i++) {
        struct meeting_card c;
        if (!card_get(&p, end, &c) || c.rank != i ||
            (i == m->o->self && c.nonce != m->nonce)) {
            return false;
        }
        m->cards[i] = c.card;
    }
    m->session = le_u64(content + 8);
    return p == end;
}

bool frame_get_failure(const uint8_t *content,
                       size_t size,
                       const struct meeting *m,
                       bool *for_us,
                       struct err *e,
                       int *code)
{
    size_t n;

    if (size < 16) {
        return false;
    }
    n = le_u32(content + 12);
    if (le_u64(content) != m->opening || n > P2P_PEERS_MAX + 1 ||
        size < 16 + 8 * n || size > 16 + 8 * n + FRAME_TEXT_MAX) {
        return false;
    }
    *for_us = false;
    for (size_t i = 0; i < n; i++) {
        *for_us |= le_u64(content + 16 + 8 * i) == m->nonce;
    }
    *code =
        (int)le_u32(content + 8) == ERR_INVALID ? ERR_INVALID : ERR_UNREACHABLE;
    err_set(e, *code, "rank 0 gave up: %.*s", (int)(size - 16 - 8 * n),
            (const char *)content + 16 + 8 * n);
    return true;
}

size_t frame_table_size_max(uint32_t n_peers)
{
    return 24 + n_peers * FRAME_CARD_SIZE_MAX;
}

int meeting_resolve(struct addrinfo **list,
                    const char *host,
                    const char *port,
                    bool is_to_listen,
                    struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = is_to_listen ? AI_PASSIVE : 0};
    int rc = getaddrinfo(host, port, &hints, list);

    return rc == 0 ? 0
                   : err_set(e, ERR_INVALID, "%s: %s", host, gai_strerror(rc));
}
