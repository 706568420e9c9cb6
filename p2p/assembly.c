#include "p2p/assembly.h"

#include <stdlib.h>
#include <string.h>

struct assembly_part {
    uint64_t id;
    uint8_t type;
    uint64_t ack;
    size_t n_missing; /* Chunks that did not come yet. */
    struct blob *body;
    uint64_t here[]; /* Bit per chunk. */
};

void assembly_init(struct assembly *a)
{
    memset(a, 0, sizeof *a);
}

static void part_free(struct assembly_part *p)
{
    blob_unref(p->body);
    free(p);
}

void assembly_fini(struct assembly *a)
{
    for (size_t i = 0; i < a->n_parts; i++) {
        part_free(a->parts[i]);
    }
    assembly_init(a);
}

static bool bit_get(const uint64_t *bits, uint64_t i)
{
    return (bits[i / 64] >> (i % 64) & 1) != 0;
}

static void bit_set(uint64_t *bits, uint64_t i)
{
    bits[i / 64] |= (uint64_t)1 << (i % 64);
}

static void bit_clear(uint64_t *bits, uint64_t i)
{
    bits[i / 64] &= ~((uint64_t)1 << (i % 64));
}

static bool id_came(const struct assembly *a, uint64_t id)
{
    if (id > a->high) {
        return false;
    }
    return a->high - id >= ASSEMBLY_WINDOW ||
           bit_get(a->seen, id % ASSEMBLY_WINDOW);
}

static void id_note(struct assembly *a, uint64_t id)
{
    if (id > a->high && id - a->high >= ASSEMBLY_WINDOW) {
        memset(a->seen, 0, sizeof a->seen);
        a->high = id;
    }
    while (a->high < id) {
        a->high++;
        bit_clear(a->seen, a->high % ASSEMBLY_WINDOW);
    }
    if (a->high - id < ASSEMBLY_WINDOW) {
        bit_set(a->seen, id % ASSEMBLY_WINDOW);
    }
}

static void
msg_fill(struct p2p_msg *msg, const struct wire_header *h, struct blob *body)
{
    msg->peer = h->from;
    msg->type = h->type;
    msg->ack = h->ack;
    msg->body = body;
}

/* The usual case: the one chunk is the message. */
static enum wire_fault whole_add(struct assembly *a,
                                 const struct wire_header *h,
                                 const uint8_t *chunk,
                                 struct p2p_msg *msg)
{
    struct blob *body = NULL;

    if (h->chunk_size > 0) {
        body = blob_copy(chunk, h->chunk_size);
        if (body == NULL) {
            return WIRE_NOMEM;
        }
    }
    id_note(a, h->id);
    msg_fill(msg, h, body);
    return WIRE_OK;
}

static enum wire_fault part_create(struct assembly_part **part,
                                   struct assembly *a,
                                   const struct wire_header *h)
{
    size_t n = wire_packets((size_t)h->total_size);
    struct assembly_part *p;

    if (a->n_parts == ASSEMBLY_MSGS_MAX ||
        h->total_size > P2P_MSG_SIZE_MAX - a->bytes) {
        return WIRE_TOO_MANY;
    }
    p = calloc(1, sizeof *p + (n + 63) / 64 * sizeof p->here[0]);
    if (p == NULL) {
        return WIRE_NOMEM;
    }
    p->body = blob_create((size_t)h->total_size);
    if (p->body == NULL) {
        free(p);
        return WIRE_NOMEM;
    }
    p->id = h->id;
    p->type = h->type;
    p->ack = h->ack;
    p->n_missing = n;
    a->parts[a->n_parts++] = p;
    a->bytes += p->body->size;
    *part = p;
    return WIRE_OK;
}

/* The part that has the id of @h, or NULL. */
static struct assembly_part *part_find(const struct assembly *a,
                                       const struct wire_header *h)
{
    for (size_t i = 0; i < a->n_parts; i++) {
        if (a->parts[i]->id == h->id) {
            return a->parts[i];
        }
    }
    return NULL;
}

static bool part_agrees(const struct assembly_part *p,
                        const struct wire_header *h)
{
    return p->type == h->type && p->ack == h->ack &&
           p->body->size == h->total_size;
}

/* Take @p out of the list and give its body away. */
static struct blob *part_finish(struct assembly *a, struct assembly_part *p)
{
    struct blob *body = p->body;
    size_t i = 0;

    while (a->parts[i] != p) {
        i++;
    }
    a->parts[i] = a->parts[--a->n_parts];
    a->bytes -= body->size;
    free(p);
    return body;
}

enum wire_fault assembly_add(struct assembly *a,
                             const struct wire_header *h,
                             const uint8_t *chunk,
                             struct p2p_msg *msg,
                             bool *whole)
{
    uint64_t number = h->offset / WIRE_CHUNK_SIZE;
    struct assembly_part *p = part_find(a, h);
    enum wire_fault fault;

    *whole = false;
    if (id_came(a, h->id)) {
        return WIRE_REPEATED;
    }
    if (p != NULL && !part_agrees(p, h)) {
        return WIRE_CONTRADICTS;
    }
    if (h->chunk_size == h->total_size) {
        fault = whole_add(a, h, chunk, msg);
        *whole = fault == WIRE_OK;
        return fault;
    }
    if (p == NULL) {
        fault = part_create(&p, a, h);
        if (fault != WIRE_OK) {
            return fault;
        }
    }
    if (bit_get(p->here, number)) {
        return WIRE_REPEATED;
    }
    bit_set(p->here, number);
    memcpy(p->body->data + h->offset, chunk, h->chunk_size);
    p->n_missing--;
    if (p->n_missing == 0) {
        id_note(a, h->id);
        msg_fill(msg, h, part_finish(a, p));
        *whole = true;
    }
    return WIRE_OK;
}
