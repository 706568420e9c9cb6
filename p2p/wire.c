#include "p2p/wire.h"

#include <stdbool.h>
#include <string.h>

#include "core/buf.h"

enum { /* Offsets of the fields. */
       AT_MAGIC = 0,
       AT_VERSION = 4,
       AT_TYPE = 5,
       AT_FLAGS = 6,
       AT_SESSION = 8,
       AT_VIEW = 16,
       AT_FROM = 20,
       AT_TO = 24,
       AT_CHUNK_SIZE = 28,
       AT_ACK = 32,
       AT_ID = 40,
       AT_TOTAL_SIZE = 48,
       AT_OFFSET = 56,
       AT_COUNTER = 64,
       AT_MAC = 72
};

size_t wire_packets(size_t size)
{
    return size == 0 ? 1 : (size + WIRE_CHUNK_SIZE - 1) / WIRE_CHUNK_SIZE;
}

size_t wire_bytes(size_t size)
{
    return size + wire_packets(size) * WIRE_HEADER_SIZE;
}

void wire_encode(const struct wire_header *h, uint8_t out[WIRE_HEADER_SIZE])
{
    memset(out, 0, WIRE_HEADER_SIZE);
    le_put_u32(out + AT_MAGIC, WIRE_MAGIC);
    out[AT_VERSION] = WIRE_VERSION;
    out[AT_TYPE] = h->type;
    le_put_u64(out + AT_SESSION, h->session);
    le_put_u32(out + AT_VIEW, h->view);
    le_put_u32(out + AT_FROM, h->from);
    le_put_u32(out + AT_TO, h->to);
    le_put_u32(out + AT_CHUNK_SIZE, h->chunk_size);
    le_put_u64(out + AT_ACK, h->ack);
    le_put_u64(out + AT_ID, h->id);
    le_put_u64(out + AT_TOTAL_SIZE, h->total_size);
    le_put_u64(out + AT_OFFSET, h->offset);
}

static void fields_get(struct wire_header *h, const uint8_t *p)
{
    h->type = p[AT_TYPE];
    h->session = le_u64(p + AT_SESSION);
    h->view = le_u32(p + AT_VIEW);
    h->from = le_u32(p + AT_FROM);
    h->to = le_u32(p + AT_TO);
    h->chunk_size = le_u32(p + AT_CHUNK_SIZE);
    h->ack = le_u64(p + AT_ACK);
    h->id = le_u64(p + AT_ID);
    h->total_size = le_u64(p + AT_TOTAL_SIZE);
    h->offset = le_u64(p + AT_OFFSET);
}

static bool is_zero(const uint8_t *p, size_t size)
{
    uint8_t any = 0;

    for (size_t i = 0; i < size; i++) {
        any |= p[i];
    }
    return any == 0;
}

/* Does the chunk lie where the rules want it, and is it all of the packet? */
static bool chunk_fits(const struct wire_header *h, size_t size)
{
    uint64_t left;

    if (h->total_size == 0) {
        left = 0;
        if (h->offset != 0) {
            return false;
        }
    } else {
        if (h->offset % WIRE_CHUNK_SIZE != 0 || h->offset >= h->total_size) {
            return false;
        }
        left = h->total_size - h->offset;
    }
    if (left > WIRE_CHUNK_SIZE) {
        left = WIRE_CHUNK_SIZE;
    }
    return h->chunk_size == left && size == WIRE_HEADER_SIZE + left;
}

static enum wire_fault format_check(const uint8_t *packet, size_t size)
{
    if (size < WIRE_HEADER_SIZE) {
        return WIRE_SHORT;
    }
    if (le_u32(packet + AT_MAGIC) != WIRE_MAGIC) {
        return WIRE_MAGIC_BAD;
    }
    if (packet[AT_VERSION] != WIRE_VERSION) {
        return WIRE_VERSION_BAD;
    }
    if (le_u16(packet + AT_FLAGS) != 0) {
        return WIRE_FLAGS_BAD;
    }
    if (!is_zero(packet + AT_COUNTER, WIRE_HEADER_SIZE - AT_COUNTER)) {
        return WIRE_AUTH_BAD;
    }
    return WIRE_OK;
}

enum wire_fault wire_decode(struct wire_header *h,
                            const uint8_t *packet,
                            size_t size,
                            const struct wire_filter *filter)
{
    enum wire_fault fault = format_check(packet, size);

    if (fault != WIRE_OK) {
        return fault;
    }
    fields_get(h, packet);
    if (h->session != filter->session) {
        return WIRE_SESSION_BAD;
    }
    if (h->to != filter->self) {
        return WIRE_TO_BAD;
    }
    if (h->from >= filter->n_peers || h->from == filter->self) {
        return WIRE_FROM_BAD;
    }
    if (h->type == 0 || h->id == 0) {
        return WIRE_TYPE_BAD;
    }
    if (h->total_size > P2P_MSG_SIZE_MAX) {
        return WIRE_TOTAL_BAD;
    }
    return chunk_fits(h, size) ? WIRE_OK : WIRE_CHUNK_BAD;
}

const char *wire_fault_str(enum wire_fault fault)
{
    static const char *const TEXTS[] = {
#define X(NAME, TEXT) TEXT,
        WIRE_MAP(X)
#undef X
    };
    return TEXTS[fault];
}
