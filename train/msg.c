#include "train/msg.h"

#include <assert.h>
#include <string.h>

#include "core/buf.h"
#include "sv/record.h"

#define WANT_SIZE   20
#define DIGEST_SIZE 24
#define STOP_SIZE   12 /* Before the text. */

struct blob *train_msg_encode(enum train_msg_type type,
                              const struct train_msg *m)
{
    size_t text_size = strlen(m->why);
    struct blob *b;

    if (type == TRAIN_MSG_WANT) {
        b = blob_create(WANT_SIZE);
    } else if (type == TRAIN_MSG_DIGEST) {
        b = blob_create(DIGEST_SIZE);
    } else {
        b = blob_create(STOP_SIZE + text_size);
    }
    if (b == NULL) {
        return NULL;
    }
    le_put_u64(b->data, m->clock);
    if (type == TRAIN_MSG_WANT) {
        le_put_u64(b->data + 8, m->until);
        le_put_u32(b->data + 16, m->origin);
    } else if (type == TRAIN_MSG_DIGEST) {
        le_put_u64(b->data + 8, m->digest.high);
        le_put_u64(b->data + 16, m->digest.low);
    } else {
        le_put_u32(b->data + 8, (uint32_t)-m->reason);
        memcpy(b->data + STOP_SIZE, m->why, text_size);
    }
    return b;
}

/* The records of one clock at @at of @body; *at moves behind them. */
static int decode_clock(const struct blob *body,
                        size_t *at,
                        uint32_t origin,
                        size_t n_matrices,
                        uint64_t *clock,
                        struct err *e)
{
    for (size_t i = 0; i < n_matrices; i++) {
        struct sv_record r;
        size_t size = 0;
        int rc =
            sv_record_read(&r, body->data + *at, body->size - *at, &size, e);
        if (rc != 0) {
            return err_wrap(e, ERR_CORRUPT, "batch");
        }
        if (r.kind != SV_RECORD_BATCH || r.origin != origin || r.matrix != i ||
            (i > 0 && r.clock != *clock)) {
            return err_set(e, ERR_CORRUPT, "batch: record %zu is of another",
                           i);
        }
        *clock = r.clock;
        *at += size;
    }
    return 0;
}

static int decode_batch(struct train_msg *m,
                        const struct blob *body,
                        uint32_t origin,
                        size_t n_matrices,
                        struct err *e)
{
    uint64_t clock = 0;
    size_t at = 0;
    int rc = decode_clock(body, &at, origin, n_matrices, &m->clock, e);

    m->origin = origin;
    for (uint64_t before = m->clock; rc == 0 && at < body->size;
         before = clock) {
        rc = decode_clock(body, &at, origin, n_matrices, &clock, e);
        if (rc == 0 && clock <= before) {
            rc = err_set(e, ERR_CORRUPT, "batch: clocks do not ascend");
        }
    }
    return rc;
}

/* The first record says whose they are. */
static int decode_held(struct train_msg *m,
                       const struct blob *body,
                       uint32_t sender,
                       size_t n_matrices,
                       struct err *e)
{
    struct sv_record r;

    if (sv_record_peek(&r, body->data, body->size, e) != 0) {
        return err_wrap(e, ERR_CORRUPT, "held batch");
    }
    if (r.origin == sender) {
        return err_set(e, ERR_CORRUPT, "held batch: it is the sender's own");
    }
    return decode_batch(m, body, r.origin, n_matrices, e);
}

bool train_msg_next_clock(const struct blob *body,
                          size_t n_matrices,
                          size_t *at,
                          size_t *size,
                          uint64_t *clock)
{
    size_t from = *at;

    if (from >= body->size) {
        return false;
    }
    for (size_t i = 0; i < n_matrices; i++) {
        struct sv_record r;
        int rc = sv_record_peek(&r, body->data + *at, body->size - *at, NULL);
        assert(rc == 0);
        (void)rc;
        *clock = r.clock;
        *at += SV_RECORD_SIZE + r.payload_size;
    }
    *size = *at - from;
    return true;
}

static int decode_stop(struct train_msg *m, const struct blob *b, struct err *e)
{
    size_t text_size = b->size - STOP_SIZE;
    uint32_t code = le_u32(b->data + 8);

    if (code == 0 || code > 1000) {
        return err_set(e, ERR_CORRUPT, "stop: code %u", code);
    }
    if (text_size > sizeof m->why - 1) {
        text_size = sizeof m->why - 1;
    }
    m->reason = -(int)code;
    memcpy(m->why, b->data + STOP_SIZE, text_size);
    m->why[text_size] = '\0';
    for (char *c = m->why; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ') {
            *c = ' '; /* It goes to a terminal. */
        }
    }
    return 0;
}

int train_msg_decode(struct train_msg *m,
                     uint8_t type,
                     const struct blob *body,
                     uint32_t origin,
                     size_t n_matrices,
                     struct err *e)
{
    size_t size = body == NULL ? 0 : body->size;

    memset(m, 0, sizeof *m);
    switch (type) {
    case TRAIN_MSG_BATCH:
        return size == 0 ? err_set(e, ERR_CORRUPT, "batch: empty")
                         : decode_batch(m, body, origin, n_matrices, e);
    case TRAIN_MSG_HELD:
        return size == 0 ? err_set(e, ERR_CORRUPT, "held batch: empty")
                         : decode_held(m, body, origin, n_matrices, e);
    case TRAIN_MSG_WANT:
        if (size != WANT_SIZE) {
            break;
        }
        m->clock = le_u64(body->data);
        m->until = le_u64(body->data + 8);
        m->origin = le_u32(body->data + 16);
        return 0;
    case TRAIN_MSG_DIGEST:
        if (size != DIGEST_SIZE) {
            break;
        }
        m->clock = le_u64(body->data);
        m->digest.high = le_u64(body->data + 8);
        m->digest.low = le_u64(body->data + 16);
        return 0;
    case TRAIN_MSG_ACK:
    case TRAIN_MSG_DONE:
        if (size != 0) {
            break;
        }
        return 0;
    case TRAIN_MSG_STOP:
        if (size < STOP_SIZE) {
            break;
        }
        m->clock = le_u64(body->data);
        return decode_stop(m, body, e);
    default:
        return err_set(e, ERR_CORRUPT, "message of unknown type %u", type);
    }
    return err_set(e, ERR_CORRUPT, "message of type %u with %zu bytes", type,
                   size);
}
