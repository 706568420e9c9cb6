#include "sv/gaps.h"

#include <inttypes.h>

#include "sv/bits.h"

#define SELECTORS_MAX 56 /* Bits that one load gives wherever it begins. */
#define TRIES         8  /* Vectors that tell whether two widths pay. */

/* Room for wide and narrow of @n vectors, or NULL. */
static uint32_t *widths_room(struct buf *scratch, uint32_t n)
{
    buf_reset(scratch);
    return buf_add(scratch, (2 * (size_t)n + 1) * sizeof(uint32_t));
}

/* The narrow width with which the gaps take the fewest bits: @n_of[b] of them
 * have b bits, @n in all, @wide is the most. */
static uint32_t
best_narrow(const uint32_t n_of[33], uint32_t n, uint32_t wide, uint64_t *bits)
{
    uint32_t best = wide, n_narrow = 0;

    *bits = (uint64_t)n * wide;
    for (uint32_t narrow = 0; narrow < wide; narrow++) {
        uint64_t cost;
        n_narrow += n_of[narrow];
        cost =
            n + (uint64_t)n_narrow * narrow + (uint64_t)(n - n_narrow) * wide;
        if (cost < *bits) {
            *bits = cost;
            best = narrow;
        }
    }
    *bits -= best < wide ? n : 0; /* Selectors stand elsewhere. */
    return best;
}

/* Bits of the widest gap of @v, at least 1. */
static uint32_t widest(struct sv_vec v)
{
    uint32_t all = v.nnz == 0 ? 0 : v.idx[0];

    for (uint32_t i = 1; i < v.nnz; i++) {
        all |= v.idx[i] - v.idx[i - 1] - 1;
    }
    return all == 0 ? 1 : sv_bits_width(all);
}

/* The narrow width that suits @v. Return the bits that its gaps take. */
static uint64_t choose(struct sv_vec v, uint32_t wide, uint32_t *narrow)
{
    uint32_t n_of[33] = {0}, next = 0;
    uint64_t bits;

    for (uint32_t i = 0; i < v.nnz; i++) {
        n_of[sv_bits_width(v.idx[i] - next)]++;
        next = v.idx[i] + 1;
    }
    *narrow = best_narrow(n_of, v.nnz, wide, &bits);
    return bits;
}

struct sizes {
    uint64_t n_selectors; /* Bits. */
    uint64_t n_bits;      /* Of gaps. */
};

/* Does a second width save an eighth of the bits of the first few vectors?
 * Where it does not, the others need not be tried. */
static bool is_worth_it(const struct sv_vecs *x)
{
    uint64_t one = 0, two = 0;

    for (uint32_t r = 0; r < x->n && r < TRIES; r++) {
        struct sv_vec v = sv_vecs_get(x, r);
        uint32_t wide = widest(v), narrow;
        one += (uint64_t)v.nnz * wide;
        two += choose(v, wide, &narrow);
        two += narrow < wide ? v.nnz : 0;
    }
    return two + one / 8 < one;
}

static struct sizes
choose_all(const struct sv_vecs *x, uint32_t *wide, uint32_t *narrow)
{
    bool two = is_worth_it(x);
    struct sizes s = {0};

    for (uint32_t r = 0; r < x->n; r++) {
        struct sv_vec v = sv_vecs_get(x, r);
        wide[r] = v.nnz == 0 && r > 0 ? wide[r - 1] : widest(v);
        narrow[r] = wide[r];
        s.n_bits +=
            two ? choose(v, wide[r], &narrow[r]) : (uint64_t)v.nnz * wide[r];
        s.n_selectors += narrow[r] < wide[r] ? v.nnz : 0;
    }
    return s;
}

static void put_one(struct sv_bits_writer *gaps, struct sv_vec v, uint32_t wide)
{
    uint32_t next = 0;

    for (uint32_t i = 0; i < v.nnz; i++) {
        sv_bits_put(gaps, v.idx[i] - next, wide);
        next = v.idx[i] + 1;
    }
}

static void put_two(struct sv_bits_writer *selectors,
                    struct sv_bits_writer *gaps,
                    struct sv_vec v,
                    const uint32_t width[2])
{
    uint32_t next = 0;

    for (uint32_t i = 0; i < v.nnz; i++) {
        uint32_t gap = v.idx[i] - next;
        uint32_t is_wide = gap >> width[0] != 0;
        sv_bits_put(selectors, is_wide, 1);
        sv_bits_put(gaps, gap, width[is_wide]);
        next = v.idx[i] + 1;
    }
}

static void put_streams(struct sv_bits_writer selectors,
                        struct sv_bits_writer gaps,
                        const struct sv_vecs *x,
                        const uint32_t *wide,
                        const uint32_t *narrow)
{
    for (uint32_t r = 0; r < x->n; r++) {
        const uint32_t width[2] = {narrow[r], wide[r]};
        if (narrow[r] < wide[r]) {
            put_two(&selectors, &gaps, sv_vecs_get(x, r), width);
        } else {
            put_one(&gaps, sv_vecs_get(x, r), wide[r]);
        }
    }
    sv_bits_flush(&selectors);
    sv_bits_flush(&gaps);
}

/* The difference stands for the narrow one: mostly it is 0, or the same. */
static void
put_widths(struct buf *out, const uint32_t *wide, uint32_t *narrow, uint32_t n)
{
    sv_bits_put_run(out, wide, n);
    for (uint32_t r = 0; r < n; r++) {
        narrow[r] = wide[r] - narrow[r];
    }
    sv_bits_put_run(out, narrow, n);
    for (uint32_t r = 0; r < n; r++) {
        narrow[r] = wide[r] - narrow[r];
    }
}

void sv_gaps_put(struct buf *out, const struct sv_vecs *x, struct buf *scratch)
{
    uint32_t *wide = widths_room(scratch, x->n);
    struct sv_bits_writer selectors = {0}, gaps = {0};
    struct sizes s;
    uint8_t *at;

    if (wide == NULL) {
        out->failed = true;
        return;
    }
    for (uint32_t r = 0; r < x->n; r++) {
        wide[r] = sv_vecs_get(x, r).nnz;
    }
    sv_bits_put_run(out, wide, x->n);
    s = choose_all(x, wide, wide + x->n);
    put_widths(out, wide, wide + x->n, x->n);
    at = buf_add(
        out, (size_t)(sv_bits_bytes(s.n_selectors) + sv_bits_bytes(s.n_bits)));
    if (at != NULL) {
        selectors.p = at;
        gaps.p = at + sv_bits_bytes(s.n_selectors);
        put_streams(selectors, gaps, x, wide, wide + x->n);
    }
}

static int short_of(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "batch: %s are not all there", what);
}

/* A bit stream of @size bytes at @p; bit @at is next. */
struct stream {
    const uint8_t *p;
    uint64_t size;
    uint64_t at;
};

/* Bits of @n gaps of two widths. The selectors are there. */
static uint64_t
count_bits(const struct stream *s, uint32_t n, uint32_t wide, uint32_t narrow)
{
    uint64_t n_wide = 0, at = s->at;

    for (uint32_t left = n; left > 0;) {
        uint32_t m = left < SELECTORS_MAX ? left : SELECTORS_MAX;
        uint64_t bits = sv_bits_load_end(s->p, s->size, at);
        n_wide +=
            (uint64_t)__builtin_popcountll(bits & (((uint64_t)1 << m) - 1));
        at += m;
        left -= m;
    }
    return (uint64_t)n * narrow + n_wide * (wide - narrow);
}

/* Read @n gaps of two widths. Both streams hold them, and @gaps has 8 bytes
 * behind the last one unless @careful. */
static inline void get_two(struct stream *selectors,
                           struct stream *gaps,
                           const uint32_t width[2],
                           bool careful,
                           uint32_t *idx,
                           uint32_t n)
{
    const uint64_t mask[2] = {((uint64_t)1 << width[0]) - 1,
                              ((uint64_t)1 << width[1]) - 1};
    const uint8_t *p = gaps->p;
    uint64_t at = gaps->at;

    for (uint32_t i = 0; i < n;) {
        uint32_t m = n - i < SELECTORS_MAX ? n - i : SELECTORS_MAX;
        uint64_t bits =
            sv_bits_load_end(selectors->p, selectors->size, selectors->at);
        selectors->at += m;
        for (uint32_t end = i + m; i < end; i++, bits >>= 1) {
            uint64_t x = careful ? sv_bits_load_end(p, gaps->size, at)
                                 : sv_bits_load(p, at);
            idx[i] = (uint32_t)(x & mask[bits & 1]);
            at += width[bits & 1];
        }
    }
    gaps->at = at;
}

/* Gaps to indices. Return one more than the last. */
static uint64_t sum_up(uint32_t *idx, uint32_t n)
{
    uint64_t next = 0;

    for (uint32_t i = 0; i < n; i++) {
        next += idx[i];
        idx[i] = (uint32_t)next++;
    }
    return next;
}

static int get_vector(struct stream *selectors,
                      struct stream *gaps,
                      const uint32_t width[2],
                      uint32_t *idx,
                      uint32_t n,
                      struct err *e)
{
    bool two = width[0] < width[1];
    uint64_t bits = two ? count_bits(selectors, n, width[1], width[0])
                        : (uint64_t)n * width[1];

    if (gaps->at + bits > 8 * gaps->size) {
        return short_of(e, "indices");
    }
    if (!two) {
        sv_bits_get(gaps->p, gaps->size, gaps->at, width[1], idx, n);
        gaps->at += bits;
    } else if ((gaps->at + bits) / 8 + 8 <= gaps->size) {
        get_two(selectors, gaps, width, false, idx, n);
    } else {
        get_two(selectors, gaps, width, true, idx, n);
    }
    return 0;
}

static int get_streams(const uint8_t **p,
                       const uint8_t *end,
                       struct sv_vecs *x,
                       const uint32_t *wide,
                       struct err *e)
{
    const uint32_t *less = wide + x->n;
    struct stream selectors = {.p = *p}, gaps = {0};
    uint64_t n_selectors = 0;

    for (uint32_t r = 0; r < x->n; r++) {
        if (wide[r] == 0 || wide[r] > 32 || less[r] > wide[r]) {
            return err_set(e, ERR_CORRUPT, "batch: pair %u has widths %u, -%u",
                           r, wide[r], less[r]);
        }
        n_selectors += less[r] > 0 ? x->ptr[r + 1] - x->ptr[r] : 0;
    }
    selectors.size = sv_bits_bytes(n_selectors);
    if (selectors.size > (uint64_t)(end - *p)) {
        return short_of(e, "indices");
    }
    gaps.p = *p + selectors.size;
    gaps.size = (uint64_t)(end - gaps.p);
    for (uint32_t r = 0; r < x->n; r++) {
        const uint32_t width[2] = {wide[r] - less[r], wide[r]};
        uint32_t *idx = x->idx + x->ptr[r], nnz = x->ptr[r + 1] - x->ptr[r];
        uint64_t next;
        int rc = get_vector(&selectors, &gaps, width, idx, nnz, e);
        if (rc != 0) {
            return rc;
        }
        next = sum_up(idx, nnz);
        if (next > x->len) {
            return err_set(e, ERR_CORRUPT,
                           "batch: pair %u has index %" PRIu64 " of %u", r,
                           next - 1, x->len);
        }
    }
    *p = gaps.p + sv_bits_bytes(gaps.at);
    return 0;
}

/* Turn counts into ptr. */
static int get_counts(const uint8_t **p,
                      const uint8_t *end,
                      struct sv_vecs *x,
                      uint32_t n,
                      uint32_t *counts,
                      struct err *e)
{
    uint64_t n_entries = 0;
    int rc;

    if (!sv_bits_get_run(p, end, counts, n)) {
        return short_of(e, "counts");
    }
    for (uint32_t r = 0; r < n; r++) {
        n_entries += counts[r];
    }
    if (n_entries > UINT32_MAX || n_entries / 8 > (uint64_t)(end - *p)) {
        return short_of(e, "entries");
    }
    rc = sv_vecs_resize(x, n, (size_t)n_entries, e);
    if (rc == 0) {
        x->ptr[0] = 0;
        for (uint32_t r = 0; r < n; r++) {
            x->ptr[r + 1] = x->ptr[r] + counts[r];
        }
    }
    return rc;
}

int sv_gaps_get(const uint8_t **p,
                const uint8_t *end,
                struct sv_vecs *x,
                uint32_t n,
                struct buf *scratch,
                struct err *e)
{
    uint32_t *numbers = widths_room(scratch, n);
    int rc;

    if (numbers == NULL) {
        return err_set(e, ERR_NOMEM, "widths of %u vectors", n);
    }
    rc = get_counts(p, end, x, n, numbers, e);
    if (rc != 0) {
        return rc;
    }
    if (!sv_bits_get_run(p, end, numbers, n) ||
        !sv_bits_get_run(p, end, numbers + n, n)) {
        return short_of(e, "widths");
    }
    return get_streams(p, end, x, numbers, e);
}
