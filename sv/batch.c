#include "sv/batch.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mat.h"

#define ALIGN_SIZE 64 /* Bytes: dense vectors start on a cache line. */

static void vecs_init(struct sv_vecs *x, uint32_t len)
{
    assert(len <= SV_LEN_MAX);
    memset(x, 0, sizeof *x);
    x->len = len;
    x->ld = (uint32_t)mat_ld(len);
}

static void vecs_free(struct sv_vecs *x)
{
    free(x->val);
    free(x->idx);
    free(x->ptr);
    x->val = NULL;
    x->idx = NULL;
    x->ptr = NULL;
    x->val_room = 0;
    x->ptr_room = 0;
}

/* Memory of one form is of little use to the other, and what idx has room for
 * need not be remembered apart if both forms never share it. */
static void vecs_reset(struct sv_vecs *x, bool sparse)
{
    if (x->sparse != sparse) {
        vecs_free(x);
    }
    x->sparse = sparse;
    x->n = 0;
}

void sv_batch_init(struct sv_batch *b, uint32_t J, uint32_t K)
{
    memset(b, 0, sizeof *b);
    vecs_init(&b->u, J);
    vecs_init(&b->v, K);
}

void sv_batch_fini(struct sv_batch *b)
{
    vecs_free(&b->u);
    vecs_free(&b->v);
    free(b->coef);
    free(b->sample);
    memset(b, 0, sizeof *b);
}

void sv_batch_reset(struct sv_batch *b, bool u_sparse, bool v_sparse)
{
    b->n = 0;
    vecs_reset(&b->u, u_sparse);
    vecs_reset(&b->v, v_sparse);
}

/* Twice what there was, so that appending costs a constant, or what is needed,
 * so that a codec that knows the size gets no more than that. */
static size_t grown(size_t room, size_t need)
{
    return need > 2 * room ? need : 2 * room;
}

/* Move @p, of which @used elements of @size bytes count, to a new aligned array
 * of @room elements. NULL if there is no memory: @p is as before. */
static void *moved(void *p, size_t used, size_t room, size_t size)
{
    size_t bytes;
    void *q;

    if (__builtin_mul_overflow(room, size, &bytes) || bytes > SIZE_MAX / 2) {
        return NULL;
    }
    bytes = (bytes + ALIGN_SIZE - 1) / ALIGN_SIZE * ALIGN_SIZE;
    q = aligned_alloc(ALIGN_SIZE, bytes);
    if (q == NULL) {
        return NULL;
    }
    if (used > 0) {
        memcpy(q, p, used * size);
    }
    free(p);
    return q;
}

static int no_memory(size_t n, struct err *e)
{
    return err_set(e, ERR_NOMEM, "batch of %zu numbers: out of memory", n);
}

static int reserve_ptr(struct sv_vecs *x, size_t n, struct err *e)
{
    size_t used = x->n == 0 ? 0 : (size_t)x->n + 1;
    size_t room = grown(x->ptr_room, n + 1);
    uint32_t *ptr;

    if (n + 1 <= x->ptr_room) {
        return 0;
    }
    ptr = moved(x->ptr, used, room, sizeof *ptr);
    if (ptr == NULL) {
        return no_memory(room, e);
    }
    x->ptr = ptr;
    x->ptr_room = room;
    return 0;
}

/* Both arrays are replaced, or neither: val_room speaks for both. */
static int reserve_entries(struct sv_vecs *x, size_t need, struct err *e)
{
    size_t used = sv_vecs_entries(x);
    size_t room = grown(x->val_room, need);
    uint32_t *idx;
    float *val;

    if (need <= x->val_room) {
        return 0;
    }
    idx = moved(NULL, 0, room, sizeof *idx);
    if (idx == NULL) {
        return no_memory(room, e);
    }
    val = moved(x->val, used, room, sizeof *val);
    if (val == NULL) {
        free(idx);
        return no_memory(room, e);
    }
    if (used > 0) {
        memcpy(idx, x->idx, used * sizeof *idx);
    }
    free(x->idx);
    x->idx = idx;
    x->val = val;
    x->val_room = room;
    return 0;
}

static int reserve_dense(struct sv_vecs *x, size_t n, struct err *e)
{
    size_t need = n * x->ld;
    size_t room = grown(x->val_room, need);
    float *val;

    if (need <= x->val_room) {
        return 0;
    }
    val = moved(x->val, (size_t)x->n * x->ld, room, sizeof *val);
    if (val == NULL) {
        return no_memory(room, e);
    }
    x->val = val;
    x->val_room = room;
    return 0;
}

/* Room for @n vectors, with @n_entries entries in all when sparse. */
static int
vecs_reserve(struct sv_vecs *x, size_t n, size_t n_entries, struct err *e)
{
    int rc;

    if (!x->sparse) {
        return reserve_dense(x, n, e);
    }
    if (n_entries > UINT32_MAX) {
        return err_set(e, ERR_FULL, "batch of %zu entries: 2^32 - 1 fit",
                       n_entries);
    }
    /* Lists that are all empty lie somewhere too: NULL would mean dense. */
    rc = reserve_ptr(x, n, e);
    return rc != 0 ? rc : reserve_entries(x, n_entries > 0 ? n_entries : 1, e);
}

static int pairs_reserve(struct sv_batch *b, size_t n, struct err *e)
{
    size_t room = grown(b->room, n);
    float *coef;
    uint32_t *sample;

    if (n > SV_N_MAX) {
        return err_set(e, ERR_FULL, "batch of %zu pairs: %u fit", n, SV_N_MAX);
    }
    if (n <= b->room) {
        return 0;
    }
    sample = moved(NULL, 0, room, sizeof *sample);
    if (sample == NULL) {
        return no_memory(room, e);
    }
    coef = moved(b->coef, b->n, room, sizeof *coef);
    if (coef == NULL) {
        free(sample);
        return no_memory(room, e);
    }
    if (b->n > 0) {
        memcpy(sample, b->sample, b->n * sizeof *sample);
    }
    free(b->sample);
    b->sample = sample;
    b->coef = coef;
    b->room = room;
    return 0;
}

/* There is room. */
static void vecs_push(struct sv_vecs *x, struct sv_vec a)
{
    size_t at = x->sparse ? sv_vecs_entries(x) : (size_t)x->n * x->ld;

    if (a.nnz > 0) {
        memcpy(x->val + at, a.val, a.nnz * sizeof *x->val);
    }
    if (x->sparse) {
        if (a.nnz > 0) {
            memcpy(x->idx + at, a.idx, a.nnz * sizeof *x->idx);
        }
        x->ptr[x->n] = (uint32_t)at;
        x->ptr[x->n + 1] = (uint32_t)at + a.nnz;
    } else {
        memset(x->val + at + x->len, 0, (x->ld - x->len) * sizeof *x->val);
    }
    x->n++;
}

static bool form_fits(const struct sv_vecs *x, struct sv_vec a)
{
    return x->sparse ? a.nnz <= x->len && (a.idx != NULL || a.nnz == 0)
                     : a.nnz == x->len && a.idx == NULL;
}

int sv_batch_append(struct sv_batch *b,
                    float coef,
                    struct sv_vec u,
                    struct sv_vec v,
                    uint32_t sample,
                    struct err *e)
{
    size_t n = (size_t)b->n + 1;
    int rc;

    assert(form_fits(&b->u, u) && form_fits(&b->v, v));
    if ((rc = pairs_reserve(b, n, e)) != 0 ||
        (rc = vecs_reserve(&b->u, n, sv_vecs_entries(&b->u) + u.nnz, e)) != 0 ||
        (rc = vecs_reserve(&b->v, n, sv_vecs_entries(&b->v) + v.nnz, e)) != 0) {
        return rc;
    }
    vecs_push(&b->u, u);
    vecs_push(&b->v, v);
    b->coef[b->n] = coef;
    b->sample[b->n] = sample;
    b->n++;
    return 0;
}

/* There is room. */
static void vecs_concat(struct sv_vecs *x, const struct sv_vecs *from)
{
    if (from->n == 0) {
        return;
    }
    if (x->sparse) {
        size_t at = sv_vecs_entries(x), n = sv_vecs_entries(from);
        if (n > 0) {
            memcpy(x->val + at, from->val, n * sizeof *x->val);
            memcpy(x->idx + at, from->idx, n * sizeof *x->idx);
        }
        for (uint32_t r = 0; r <= from->n; r++) {
            x->ptr[x->n + r] = (uint32_t)at + from->ptr[r];
        }
    } else {
        memcpy(x->val + (size_t)x->n * x->ld, from->val,
               (size_t)from->n * x->ld * sizeof *x->val);
    }
    x->n += from->n;
}

int sv_batch_concat(struct sv_batch *b,
                    const struct sv_batch *from,
                    struct err *e)
{
    size_t n = (size_t)b->n + from->n;
    size_t n_u = sv_vecs_entries(&b->u) + sv_vecs_entries(&from->u);
    size_t n_v = sv_vecs_entries(&b->v) + sv_vecs_entries(&from->v);
    int rc;

    assert(b->u.len == from->u.len && b->v.len == from->v.len);
    assert(b->u.sparse == from->u.sparse && b->v.sparse == from->v.sparse);
    if ((rc = pairs_reserve(b, n, e)) != 0 ||
        (rc = vecs_reserve(&b->u, n, n_u, e)) != 0 ||
        (rc = vecs_reserve(&b->v, n, n_v, e)) != 0) {
        return rc;
    }
    vecs_concat(&b->u, &from->u);
    vecs_concat(&b->v, &from->v);
    if (from->n > 0) {
        memcpy(b->coef + b->n, from->coef, from->n * sizeof *b->coef);
        memcpy(b->sample + b->n, from->sample, from->n * sizeof *b->sample);
    }
    b->n += from->n;
    return 0;
}

int sv_vecs_resize(struct sv_vecs *x,
                   uint32_t n,
                   size_t n_entries,
                   struct err *e)
{
    int rc;

    if (n > SV_N_MAX) {
        return err_set(e, ERR_FULL, "batch of %u pairs: %u fit", n, SV_N_MAX);
    }
    x->n = 0; /* What was there need not move. */
    rc = vecs_reserve(x, n, n_entries, e);
    if (rc != 0) {
        return rc;
    }
    x->n = n;
    if (x->sparse) {
        x->ptr[0] = 0;
        x->ptr[n] = (uint32_t)n_entries;
    } else if (n > 0) {
        memset(x->val, 0, (size_t)n * x->ld * sizeof *x->val);
    }
    return 0;
}

int sv_batch_resize(struct sv_batch *b, uint32_t n, struct err *e)
{
    int rc;

    b->n = 0;
    rc = pairs_reserve(b, n, e);
    if (rc != 0) {
        return rc;
    }
    b->n = n;
    for (uint32_t r = 0; r < n; r++) {
        b->coef[r] = 0;
        b->sample[r] = SV_NO_SAMPLE;
    }
    return 0;
}

struct sv_vec sv_vecs_get(const struct sv_vecs *x, uint32_t r)
{
    assert(r < x->n);
    if (!x->sparse) {
        return (struct sv_vec){.nnz = x->len,
                               .val = x->val + (size_t)r * x->ld};
    }
    return (struct sv_vec){.nnz = x->ptr[r + 1] - x->ptr[r],
                           .idx = x->idx + x->ptr[r],
                           .val = x->val + x->ptr[r]};
}

size_t sv_vecs_entries(const struct sv_vecs *x)
{
    if (!x->sparse) {
        return (size_t)x->n * x->len;
    }
    return x->n == 0 ? 0 : x->ptr[x->n];
}

/* Exponents are compared in blocks without a branch, so that the compiler uses
 * vectors: this is looked at for every batch that arrives. */
static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t end = n - i < 64 ? n : i + 64;
        uint32_t bad = 0;
        for (; i < end; i++) {
            uint32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            bad |= (bits & 0x7f800000u) == 0x7f800000u;
        }
        if (bad != 0) {
            return false;
        }
    }
    return true;
}

void sv_batch_scale(struct sv_batch *b, float factor)
{
    for (uint32_t r = 0; r < b->n; r++) {
        b->coef[r] *= factor;
    }
}

uint32_t sv_batch_find_not_finite(const struct sv_batch *b)
{
    for (uint32_t r = 0; r < b->n; r++) {
        struct sv_vec u = sv_vecs_get(&b->u, r), v = sv_vecs_get(&b->v, r);
        if (!isfinite(b->coef[r]) || !all_finite(u.val, u.nnz) ||
            !all_finite(v.val, v.nnz)) {
            return r;
        }
    }
    return b->n;
}
