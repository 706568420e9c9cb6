#include "ps/msg.h"

#include <string.h>

#include <snappy-c.h>

#define FLAG_SNAPPY     1
#define SNAPPY_SIZE_MIN 256 /* Payloads that are too small to gain. */
#define VIEW_AT         4   /* Offset. */

static void put_header(uint8_t *p, const struct ps_msg *m, uint8_t flags)
{
    p[0] = (uint8_t)m->kind;
    p[1] = flags;
    p[2] = (uint8_t)m->entry;
    p[3] = 0;
    le_put_u32(p + VIEW_AT, m->view);
    le_put_u32(p + 8, m->range);
    le_put_u32(p + 12, m->origin);
    le_put_u64(p + 16, m->task);
    le_put_u64(p + 24, m->seq);
    le_put_u64(p + 32, m->from);
    le_put_u64(p + 40, m->time);
    le_put_u32(p + 48, m->first);
    le_put_u32(p + 52, m->count);
    le_put_u32(p + 56, (uint32_t)-m->code);
    le_put_u32(p + 60, (uint32_t)m->payload_size);
}

/* The compressed message, or NULL if it does not gain. */
static struct blob *encode_packed(const struct ps_msg *m)
{
    size_t size = snappy_max_compressed_length(m->payload_size);
    struct blob *b = blob_create(PS_MSG_HEADER_SIZE + size);

    if (b == NULL ||
        snappy_compress((const char *)m->payload, m->payload_size,
                        (char *)b->data + PS_MSG_HEADER_SIZE,
                        &size) != SNAPPY_OK ||
        size > m->payload_size - m->payload_size / 20 ||
        m->payload_size / PS_MSG_EXPANSION_MAX > size) {
        blob_unref(b);
        return NULL;
    }
    put_header(b->data, m, FLAG_SNAPPY);
    b->size = PS_MSG_HEADER_SIZE + size;
    return b;
}

struct blob *ps_msg_encode(const struct ps_msg *m, bool compress)
{
    struct blob *b = NULL;

    if (m->payload_size > PS_MSG_PAYLOAD_MAX) {
        return NULL;
    }
    if (compress && m->payload_size >= SNAPPY_SIZE_MIN) {
        b = encode_packed(m);
    }
    if (b != NULL) {
        return b;
    }
    b = blob_create(PS_MSG_HEADER_SIZE + m->payload_size);
    if (b != NULL) {
        put_header(b->data, m, 0);
        if (m->payload_size > 0) {
            memcpy(b->data + PS_MSG_HEADER_SIZE, m->payload, m->payload_size);
        }
    }
    return b;
}

/* Set the payload to the @size bytes at @data, uncompressed. */
static int open_payload(struct ps_msg *m,
                        const uint8_t *data,
                        size_t size,
                        struct buf *scratch,
                        struct err *e)
{
    size_t raw_size = 0;

    if (m->payload_size > PS_MSG_PAYLOAD_MAX ||
        m->payload_size / PS_MSG_EXPANSION_MAX > size ||
        snappy_uncompressed_length((const char *)data, size, &raw_size) !=
            SNAPPY_OK ||
        raw_size != m->payload_size) {
        return err_set(e, ERR_CORRUPT, "message with a payload of bad length");
    }
    buf_reset(scratch);
    if (buf_add(scratch, raw_size + 1) == NULL) {
        return err_set(e, ERR_NOMEM, "payload of %zu bytes", raw_size);
    }
    if (snappy_uncompress((const char *)data, size, (char *)scratch->data,
                          &raw_size) != SNAPPY_OK) {
        return err_set(e, ERR_CORRUPT, "message with a bad snappy block");
    }
    m->payload = scratch->data;
    return 0;
}

static void get_header(struct ps_msg *m, const uint8_t *p)
{
    *m = (struct ps_msg){.kind = (enum ps_msg_kind)p[0],
                         .entry = (enum ps_entry)p[2],
                         .view = le_u32(p + VIEW_AT),
                         .range = le_u32(p + 8),
                         .origin = le_u32(p + 12),
                         .task = le_u64(p + 16),
                         .seq = le_u64(p + 24),
                         .from = le_u64(p + 32),
                         .time = le_u64(p + 40),
                         .first = le_u32(p + 48),
                         .count = le_u32(p + 52),
                         .payload_size = le_u32(p + 60)};
    m->code = -(int)(le_u32(p + 56) & 0xff);
}

/* What brings a push says of which times. */
static bool is_time_sound(const struct ps_msg *m)
{
    bool brings = m->kind == PS_MSG_PUSH || m->entry == PS_ENTRY_PUSH;

    return !brings || (m->from <= m->time && m->time < UINT64_MAX);
}

int ps_msg_decode(struct ps_msg *m,
                  const uint8_t *data,
                  size_t size,
                  uint32_t n_ranges,
                  struct buf *scratch,
                  struct err *e)
{
    if (size < PS_MSG_HEADER_SIZE) {
        return err_set(e, ERR_CORRUPT, "message of %zu bytes", size);
    }
    if (data[0] == 0 || data[0] >= PS_MSG_KINDS || data[1] > FLAG_SNAPPY ||
        data[2] > PS_ENTRY_AGGREGATE || data[3] != 0 ||
        (data[2] != 0) != (data[0] == PS_MSG_ENTRY)) {
        return err_set(e, ERR_CORRUPT, "message of an unknown kind");
    }
    get_header(m, data);
    if (m->range >= n_ranges || m->origin >= P2P_PEERS_MAX ||
        !is_time_sound(m)) {
        return err_set(e, ERR_CORRUPT,
                       "%s of a range, peer or time that cannot"
                       " be",
                       ps_msg_str(m->kind));
    }
    data += PS_MSG_HEADER_SIZE;
    size -= PS_MSG_HEADER_SIZE;
    if ((data[1 - PS_MSG_HEADER_SIZE] & FLAG_SNAPPY) != 0) {
        return open_payload(m, data, size, scratch, e);
    }
    if (m->payload_size != size || size > PS_MSG_PAYLOAD_MAX) {
        return err_set(e, ERR_CORRUPT, "%s of %zu bytes instead of %zu",
                       ps_msg_str(m->kind), size, m->payload_size);
    }
    m->payload = size == 0 ? NULL : data;
    return 0;
}

const char *ps_msg_str(enum ps_msg_kind kind)
{
    static const char *const NAMES[] = {
        "nothing", "push",  "pull",    "pushed",    "pulled",
        "miss",    "entry", "seen",    "survey",    "report",
        "fetch",   "state", "install", "installed", "release"};

    return kind < PS_MSG_KINDS ? NAMES[kind] : NAMES[0];
}
