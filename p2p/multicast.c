#include "p2p/multicast.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

#define N_WORDS (P2P_PEERS_MAX / 64)

static const char *const KINDS[] = {
    [P2P_MULTICAST_ALL] = "all",
    [P2P_MULTICAST_RANDOM] = "random",
    [P2P_MULTICAST_HALTON] = "halton",
    [P2P_MULTICAST_RING] = "ring",
};
#define N_KINDS (sizeof KINDS / sizeof *KINDS)

/* S(c): shift s is in it iff bit s is set. Kept as bits because it is small
 * enough for the stack whatever Q is, and scans in order. */
struct shifts {
    uint64_t word[N_WORDS];
};

static bool shifts_has(const struct shifts *s, uint32_t shift)
{
    return s->word[shift / 64] >> (shift % 64) & 1;
}

static void shifts_put(struct shifts *s, uint32_t shift)
{
    s->word[shift / 64] |= (uint64_t)1 << (shift % 64);
}

/* The lowest shift that is in @s and not below @from; there is one. */
static uint32_t shifts_next(const struct shifts *s, uint32_t from)
{
    uint32_t w = from / 64;
    uint64_t left = s->word[w] >> (from % 64) << (from % 64);

    while (left == 0) {
        left = s->word[++w];
    }
    return 64 * w + (uint32_t)__builtin_ctzll(left);
}

static bool counted(enum p2p_multicast_kind kind)
{
    return kind == P2P_MULTICAST_RANDOM || kind == P2P_MULTICAST_HALTON;
}

/* Floyd's way to a uniform subset: one number for each element, none in vain,
 * and no table to shuffle. */
static void draw_random(const struct p2p_multicast *m,
                        uint32_t view,
                        uint64_t clock,
                        struct shifts *s)
{
    uint64_t stream = rng_stream(RNG_MULTICAST, view, clock);
    uint32_t n = m->n_peers - 2, k = m->fan_out - 1;

    for (uint32_t last = n - k; last < n; last++) {
        uint32_t x = (uint32_t)rng_below(m->seed, stream, last, last + 1);
        shifts_put(s, 2 + (shifts_has(s, 2 + x) ? last : x));
    }
}

/* Element @i of 0..n-1 in van der Corput's order: first the even numbers, each
 * half ordered by the same rule. For n a power of two, @i with its bits
 * reversed. */
static uint32_t corput(uint32_t n, uint32_t i)
{
    uint32_t x = 0;

    for (uint32_t bit = 1; n > 1; bit *= 2) {
        uint32_t n_even = n - n / 2;
        if (i < n_even) {
            n = n_even;
        } else {
            i -= n_even;
            n /= 2;
            x += bit;
        }
    }
    return x;
}

static void draw_halton(const struct p2p_multicast *m,
                        uint32_t view,
                        uint64_t clock,
                        struct shifts *s)
{
    uint64_t stream = rng_stream(RNG_MULTICAST, view, 0);
    uint32_t n = m->n_peers - 2, k = m->fan_out - 1;
    uint64_t turn = rng_below(m->seed, stream, 0, n);
    uint64_t first = rng_below(m->seed, stream, 1, n) + clock % n * k;

    for (uint32_t i = 0; i < k; i++) {
        uint32_t x = corput(n, (uint32_t)((first + i) % n));
        shifts_put(s, 2 + (uint32_t)((x + turn) % n));
    }
}

/* S(c). Returns how many are in it. */
static uint32_t draw(const struct p2p_multicast *m,
                     uint32_t view,
                     uint64_t clock,
                     struct shifts *s)
{
    uint32_t n = p2p_multicast_fan_out(m);

    memset(s, 0, sizeof *s);
    if (n == m->n_peers - 1) {
        for (uint32_t shift = 1; shift <= n; shift++) {
            shifts_put(s, shift);
        }
        return n;
    }
    shifts_put(s, 1);
    if (m->kind == P2P_MULTICAST_RANDOM) {
        draw_random(m, view, clock, s);
    } else if (m->kind == P2P_MULTICAST_HALTON) {
        draw_halton(m, view, clock, s);
    }
    return n;
}

int p2p_multicast_parse(struct p2p_multicast *m,
                        const char *text,
                        struct err *e)
{
    for (unsigned kind = 0; kind < N_KINDS; kind++) {
        size_t n = strlen(KINDS[kind]);
        bool wants = counted((enum p2p_multicast_kind)kind);
        unsigned long fan_out = 0;
        if (strncmp(text, KINDS[kind], n) != 0 ||
            text[n] != (wants ? ':' : '\0')) {
            continue;
        }
        if (wants) {
            const char *digits = text + n + 1;
            fan_out = strtoul(digits, NULL, 10);
            if (digits[strspn(digits, "0123456789")] != '\0' || fan_out < 1 ||
                fan_out > P2P_MULTICAST_FAN_OUT_MAX) {
                return err_set(e, ERR_INVALID,
                               "\"%s\": the fan-out is 1 to %d, as in %s:4",
                               text, P2P_MULTICAST_FAN_OUT_MAX, KINDS[kind]);
            }
        }
        m->kind = (enum p2p_multicast_kind)kind;
        m->fan_out = (uint32_t)fan_out;
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "\"%s\" is no multicast schedule: all, random:Q, halton:Q or"
                   " ring",
                   text);
}

void p2p_multicast_format(const struct p2p_multicast *m,
                          char text[P2P_MULTICAST_TEXT_SIZE])
{
    if (counted(m->kind)) {
        snprintf(text, P2P_MULTICAST_TEXT_SIZE, "%s:%u", KINDS[m->kind],
                 m->fan_out);
    } else {
        snprintf(text, P2P_MULTICAST_TEXT_SIZE, "%s", KINDS[m->kind]);
    }
}

uint32_t p2p_multicast_fan_out(const struct p2p_multicast *m)
{
    uint32_t others = m->n_peers - 1, fan_out = others;

    assert(m->n_peers >= 1 && m->n_peers <= P2P_PEERS_MAX);
    if (m->kind == P2P_MULTICAST_RING) {
        fan_out = 1;
    } else if (counted(m->kind)) {
        assert(m->fan_out >= 1);
        fan_out = m->fan_out;
    }
    return fan_out < others ? fan_out : others;
}

uint32_t p2p_multicast_targets(const struct p2p_multicast *m,
                               uint32_t view,
                               uint32_t p,
                               uint64_t clock,
                               uint32_t *targets)
{
    struct shifts s;
    uint32_t n = draw(m, view, clock, &s), shift = 0;

    assert(p < m->n_peers);
    for (uint32_t i = 0; i < n; i++) {
        shift = shifts_next(&s, shift + 1);
        targets[i] = (p + shift) % m->n_peers;
    }
    return n;
}

bool p2p_multicast_sends(const struct p2p_multicast *m,
                         uint32_t view,
                         uint32_t p,
                         uint64_t clock,
                         uint32_t q)
{
    struct shifts s;

    assert(p < m->n_peers && q < m->n_peers);
    draw(m, view, clock, &s);
    return shifts_has(&s, (q + m->n_peers - p) % m->n_peers);
}

uint32_t p2p_multicast_sources(const struct p2p_multicast *m,
                               uint32_t view,
                               uint32_t q,
                               uint64_t clock,
                               uint32_t *sources)
{
    struct shifts s;
    uint32_t n = draw(m, view, clock, &s), shift = 0;

    assert(q < m->n_peers);
    for (uint32_t i = 0; i < n; i++) {
        shift = shifts_next(&s, shift + 1);
        sources[i] = (q + m->n_peers - shift) % m->n_peers;
    }
    return n;
}

float p2p_multicast_scale(const struct p2p_multicast *m, uint32_t p, uint32_t q)
{
    uint32_t P = m->n_peers, Q = p2p_multicast_fan_out(m);

    assert(p < P && q < P && p != q);
    if (q == (p + 1) % P || Q == 1) {
        return 1;
    }
    return (float)(P - 2) / (float)(Q - 1);
}
