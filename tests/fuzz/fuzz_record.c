/* Records from the wire: no bytes whatever may do harm, and what decodes must
 * encode to the same batch. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "sv/codec.h"
#include "sv/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_vecs(const struct sv_vecs *a, const struct sv_vecs *b)
{
    assert(a->n == b->n && a->sparse == b->sparse);
    for (uint32_t r = 0; r < a->n; r++) {
        struct sv_vec x = sv_vecs_get(a, r), y = sv_vecs_get(b, r);
        assert(x.nnz == y.nnz);
        assert(x.nnz == 0 || memcmp(x.val, y.val, x.nnz * sizeof *x.val) == 0);
        for (uint32_t i = 0; a->sparse && i < x.nnz; i++) {
            assert(x.idx[i] == y.idx[i] && x.idx[i] < a->len);
            assert(i == 0 || x.idx[i] > x.idx[i - 1]);
        }
    }
}

/* What the record was encoded with. */
static struct sv_codec_options options_of(uint16_t codec)
{
    return (struct sv_codec_options){
        .u = (codec & SV_CODEC_U_BF16) != 0  ? SV_VALUE_BF16
             : (codec & SV_CODEC_U_F16) != 0 ? SV_VALUE_F16
                                             : SV_VALUE_F32,
        .v = (codec & SV_CODEC_V_BF16) != 0  ? SV_VALUE_BF16
             : (codec & SV_CODEC_V_F16) != 0 ? SV_VALUE_F16
                                             : SV_VALUE_F32,
        .shuffle = (codec & SV_CODEC_SHUFFLE) != 0};
}

static void check_again(const struct sv_record *r,
                        const struct sv_batch *b,
                        struct sv_codec_scratch *s)
{
    struct sv_record fields;
    struct sv_batch back;
    struct buf out;
    int rc;

    buf_init(&out);
    sv_batch_init(&back, r->J, r->K);
    s->options = options_of(r->codec);
    rc = sv_codec_encode(&out, r, b, s, NULL);
    assert(rc == 0);
    rc = sv_codec_decode(&back, &fields, out.data, out.size, s, NULL);
    assert(rc == 0 && fields.clock == r->clock && back.n == b->n);
    check_vecs(&b->u, &back.u);
    check_vecs(&b->v, &back.v);
    sv_codec_round(&back, &s->options); /* What was read is round. */
    check_vecs(&b->u, &back.u);
    check_vecs(&b->v, &back.v);
    sv_batch_fini(&back);
    buf_fini(&out);
}

static void check_rows(const uint8_t *data, size_t size)
{
    struct sv_row_block b, back;
    struct sv_record r, fields;
    struct buf out;

    buf_init(&out);
    sv_rows_init(&b);
    sv_rows_init(&back);
    if (sv_rows_decode(&b, &r, data, size, NULL) == 0) {
        assert(sv_rows_encode(&out, &r, &b, NULL) == 0);
        assert(sv_rows_decode(&back, &fields, out.data, out.size, NULL) == 0);
        assert(back.first == b.first && back.n == b.n);
        assert(memcmp(back.values, b.values,
                      (size_t)b.n * b.width * sizeof *b.values) == 0);
    }
    sv_rows_fini(&b);
    sv_rows_fini(&back);
    buf_fini(&out);
}

/* Most inputs would end at the checksum: put the right one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sv_codec_scratch s;
    struct sv_record r;
    struct sv_batch b;
    uint8_t *copy;

    if (size < SV_RECORD_SIZE) {
        return 0;
    }
    copy = malloc(size);
    memcpy(copy, data, size);
    memcpy(copy, "LYR1\1", 5);
    le_put_u32(copy + 48, (uint32_t)(size - SV_RECORD_SIZE));
    if ((copy[6] & SV_CODEC_SNAPPY) == 0) {
        le_put_u32(copy + 52, (uint32_t)(size - SV_RECORD_SIZE));
    }
    le_put_u64(copy + 56, hash64_two(copy, 56, copy + SV_RECORD_SIZE,
                                     size - SV_RECORD_SIZE));
    if (sv_record_peek(&r, copy, size, NULL) == 0 &&
        r.kind == SV_RECORD_BATCH) {
        sv_codec_scratch_init(&s);
        sv_batch_init(&b, r.J, r.K);
        if (sv_codec_decode(&b, &r, copy, size, &s, NULL) == 0) {
            check_again(&r, &b, &s);
        }
        sv_batch_fini(&b);
        sv_codec_scratch_fini(&s);
    }
    check_rows(copy, size);
    free(copy);
    return 0;
}
