#include "ckpt/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OP_SIZE_MIN 3  /* Bytes: MIX with two one-byte numbers. */
#define SCALED      64 /* Goes with APPLY: a factor stands behind it. */

void ckpt_step_init(struct ckpt_step *s)
{
    memset(s, 0, sizeof *s);
    ckpt_step_reset(s, 0);
}

void ckpt_step_fini(struct ckpt_step *s)
{
    free(s->ops);
    memset(s, 0, sizeof *s);
}

static void metrics_clear(struct ckpt_metrics *m)
{
#define X(NAME, TEXT) m->NAME = (double)NAN;
    CKPT_METRIC_MAP(X)
#undef X
}

void ckpt_step_reset(struct ckpt_step *s, uint64_t clock)
{
    s->clock = clock;
    s->n_ops = 0;
    metrics_clear(&s->metrics);
}

static int reserve(struct ckpt_step *s, size_t n, struct err *e)
{
    size_t room = n > 2 * s->ops_room ? n : 2 * s->ops_room;
    struct ckpt_op *ops;

    if (n <= s->ops_room) {
        return 0;
    }
    ops = realloc(s->ops, room * sizeof *ops);
    if (ops == NULL) {
        return err_set(e, ERR_NOMEM, "step of %zu ops", room);
    }
    s->ops = ops;
    s->ops_room = room;
    return 0;
}

int ckpt_step_add(struct ckpt_step *s, const struct ckpt_op *op, struct err *e)
{
    int rc = reserve(s, s->n_ops + 1, e);

    if (rc == 0) {
        s->ops[s->n_ops++] = *op;
    }
    return rc;
}

static void put_op(struct buf *out, const struct ckpt_op *op)
{
    bool scaled = op->kind == SV_OP_APPLY && op->a != 1;
    uint8_t kind = (uint8_t)(op->kind | (scaled ? SCALED : 0));

    buf_put(out, &kind, 1);
    buf_put_varint(out, op->matrix);
    if (op->kind == SV_OP_APPLY) {
        buf_put_varint(out, op->origin);
        buf_put_varint(out, op->clock);
    }
    if (op->kind == SV_OP_MIX) {
        buf_put_varint(out, op->sequence);
    } else if (op->kind != SV_OP_APPLY || scaled) {
        uint8_t a[4];
        le_put_f32(a, op->a);
        buf_put(out, a, sizeof a);
    }
}

static void put_f64(struct buf *out, double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    buf_put_u64(out, bits);
}

int ckpt_step_write(struct buf *out,
                    uint32_t view,
                    uint32_t self,
                    const struct ckpt_step *s,
                    struct err *e)
{
    struct sv_record r = {.kind = SV_RECORD_STEP,
                          .view = view,
                          .origin = self,
                          .clock = s->clock};
    struct buf payload;
    int rc = ERR_NOMEM;

    buf_init(&payload);
    buf_put_varint(&payload, s->n_ops);
    for (size_t i = 0; i < s->n_ops; i++) {
        put_op(&payload, &s->ops[i]);
    }
    buf_put_varint(&payload, CKPT_METRICS_COUNT);
#define X(NAME, TEXT) put_f64(&payload, s->metrics.NAME);
    CKPT_METRIC_MAP(X)
#undef X
    if (payload.failed) {
        err_set(e, rc, "step of %zu ops", s->n_ops);
    } else {
        rc = sv_record_write(out, &r, payload.data, payload.size, e);
    }
    buf_fini(&payload);
    return rc;
}

static int bad(struct err *e, uint64_t clock, const char *what)
{
    return err_set(e, ERR_CORRUPT, "step of clock %llu: %s",
                   (unsigned long long)clock, what);
}

static bool is_op(uint8_t kind)
{
    return (kind >= SV_OP_APPLY && kind <= SV_OP_ADD_AUX) || kind == SV_OP_MIX;
}

static bool get_op(const uint8_t **p, const uint8_t *end, struct ckpt_op *op)
{
    uint64_t matrix, origin = 0, clock = 0, sequence = 0;
    uint8_t kind;
    bool scaled;

    if (*p == end) {
        return false;
    }
    kind = *(*p)++;
    scaled = kind == (SV_OP_APPLY | SCALED);
    kind = scaled ? SV_OP_APPLY : kind;
    if (!is_op(kind) || !buf_get_varint(p, end, &matrix) ||
        matrix > UINT16_MAX) {
        return false;
    }
    *op = (struct ckpt_op){.kind = (enum sv_op_kind)kind,
                           .matrix = (uint16_t)matrix};
    if (kind == SV_OP_APPLY) {
        if (!buf_get_varint(p, end, &origin) || origin > UINT32_MAX ||
            !buf_get_varint(p, end, &clock)) {
            return false;
        }
        op->origin = (uint32_t)origin;
        op->clock = clock;
        op->a = 1;
        if (!scaled) {
            return true;
        }
    }
    if (kind == SV_OP_MIX) {
        if (!buf_get_varint(p, end, &sequence) || sequence > UINT32_MAX) {
            return false;
        }
        op->sequence = (uint32_t)sequence;
        return true;
    }
    if (end - *p < 4) {
        return false;
    }
    op->a = le_f32(*p);
    *p += 4;
    return !scaled || isfinite(op->a);
}

/* Columns that a newer writer has behind ours are skipped. */
static bool
get_metrics(const uint8_t **p, const uint8_t *end, struct ckpt_metrics *m)
{
    double values[CKPT_METRICS_COUNT];
    uint64_t n;

    if (!buf_get_varint(p, end, &n) || n > (uint64_t)(end - *p) / 8) {
        return false;
    }
    memcpy(values, m, sizeof values);
    for (uint64_t i = 0; i < n && i < CKPT_METRICS_COUNT; i++) {
        uint64_t bits = le_u64(*p + 8 * i);
        memcpy(&values[i], &bits, sizeof bits);
    }
    memcpy(m, values, sizeof values);
    *p += 8 * n;
    return true;
}

int ckpt_step_read(struct ckpt_step *s,
                   const struct sv_record *r,
                   const uint8_t *payload,
                   struct err *e)
{
    const uint8_t *p = payload, *end = payload + r->payload_size;
    uint64_t n;
    int rc;

    ckpt_step_reset(s, r->clock);
    if (r->kind != SV_RECORD_STEP) {
        return bad(e, r->clock, "not a step");
    }
    if (!buf_get_varint(&p, end, &n) || n > (uint64_t)(end - p) / OP_SIZE_MIN) {
        return bad(e, r->clock, "bad number of ops");
    }
    rc = reserve(s, (size_t)n, e);
    if (rc != 0) {
        return rc;
    }
    for (; s->n_ops < n; s->n_ops++) {
        if (!get_op(&p, end, &s->ops[s->n_ops])) {
            return bad(e, r->clock, "bad op");
        }
    }
    if (!get_metrics(&p, end, &s->metrics)) {
        return bad(e, r->clock, "bad metrics");
    }
    return p == end ? 0 : bad(e, r->clock, "bytes left over");
}

int ckpt_digest_write(struct buf *out,
                      uint32_t view,
                      uint32_t self,
                      uint64_t clock,
                      uint16_t matrix,
                      struct hash128 digest)
{
    struct sv_record r = {.kind = SV_RECORD_DIGEST,
                          .view = view,
                          .origin = self,
                          .clock = clock,
                          .matrix = matrix};
    uint8_t payload[16];

    le_put_u64(payload, digest.high);
    le_put_u64(payload + 8, digest.low);
    return sv_record_write(out, &r, payload, sizeof payload, NULL);
}

int ckpt_digest_read(struct hash128 *digest,
                     const struct sv_record *r,
                     const uint8_t *payload,
                     struct err *e)
{
    if (r->kind != SV_RECORD_DIGEST || r->payload_size != 16) {
        return err_set(e, ERR_CORRUPT, "digest of clock %llu: %u bytes",
                       (unsigned long long)r->clock, r->payload_size);
    }
    *digest =
        (struct hash128){.high = le_u64(payload), .low = le_u64(payload + 8)};
    return 0;
}
