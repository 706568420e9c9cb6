#include "dataset/unicode.h"

/* Code points first, first + step .. last become smaller or larger by delta. */
struct range {
    uint32_t first, last, step;
    int32_t delta;
};

static const struct range LOWER[] = {
    {0x000c0, 0x000d6, 1, 32},     {0x000d8, 0x000de, 1, 32},
    {0x00100, 0x0012e, 2, 1},      {0x00130, 0x00130, 1, -199},
    {0x00132, 0x00136, 2, 1},      {0x00139, 0x00147, 2, 1},
    {0x0014a, 0x00176, 2, 1},      {0x00178, 0x00178, 1, -121},
    {0x00179, 0x0017d, 2, 1},      {0x00181, 0x00181, 1, 210},
    {0x00182, 0x00184, 2, 1},      {0x00186, 0x00186, 1, 206},
    {0x00187, 0x00187, 1, 1},      {0x00189, 0x0018a, 1, 205},
    {0x0018b, 0x0018b, 1, 1},      {0x0018e, 0x0018e, 1, 79},
    {0x0018f, 0x0018f, 1, 202},    {0x00190, 0x00190, 1, 203},
    {0x00191, 0x00191, 1, 1},      {0x00193, 0x00193, 1, 205},
    {0x00194, 0x00194, 1, 207},    {0x00196, 0x00196, 1, 211},
    {0x00197, 0x00197, 1, 209},    {0x00198, 0x00198, 1, 1},
    {0x0019c, 0x0019c, 1, 211},    {0x0019d, 0x0019d, 1, 213},
    {0x0019f, 0x0019f, 1, 214},    {0x001a0, 0x001a4, 2, 1},
    {0x001a6, 0x001a6, 1, 218},    {0x001a7, 0x001a7, 1, 1},
    {0x001a9, 0x001a9, 1, 218},    {0x001ac, 0x001ac, 1, 1},
    {0x001ae, 0x001ae, 1, 218},    {0x001af, 0x001af, 1, 1},
    {0x001b1, 0x001b2, 1, 217},    {0x001b3, 0x001b5, 2, 1},
    {0x001b7, 0x001b7, 1, 219},    {0x001b8, 0x001b8, 1, 1},
    {0x001bc, 0x001bc, 1, 1},      {0x001c4, 0x001c4, 1, 2},
    {0x001c5, 0x001c5, 1, 1},      {0x001c7, 0x001c7, 1, 2},
    {0x001c8, 0x001c8, 1, 1},      {0x001ca, 0x001ca, 1, 2},
    {0x001cb, 0x001db, 2, 1},      {0x001de, 0x001ee, 2, 1},
    {0x001f1, 0x001f1, 1, 2},      {0x001f2, 0x001f4, 2, 1},
    {0x001f6, 0x001f6, 1, -97},    {0x001f7, 0x001f7, 1, -56},
    {0x001f8, 0x0021e, 2, 1},      {0x00220, 0x00220, 1, -130},
    {0x00222, 0x00232, 2, 1},      {0x0023a, 0x0023a, 1, 10795},
    {0x0023b, 0x0023b, 1, 1},      {0x0023d, 0x0023d, 1, -163},
    {0x0023e, 0x0023e, 1, 10792},  {0x00241, 0x00241, 1, 1},
    {0x00243, 0x00243, 1, -195},   {0x00244, 0x00244, 1, 69},
    {0x00245, 0x00245, 1, 71},     {0x00246, 0x0024e, 2, 1},
    {0x00370, 0x00372, 2, 1},      {0x00376, 0x00376, 1, 1},
    {0x0037f, 0x0037f, 1, 116},    {0x00386, 0x00386, 1, 38},
    {0x00388, 0x0038a, 1, 37},     {0x0038c, 0x0038c, 1, 64},
    {0x0038e, 0x0038f, 1, 63},     {0x00391, 0x003a1, 1, 32},
    {0x003a3, 0x003ab, 1, 32},     {0x003cf, 0x003cf, 1, 8},
    {0x003d8, 0x003ee, 2, 1},      {0x003f4, 0x003f4, 1, -60},
    {0x003f7, 0x003f7, 1, 1},      {0x003f9, 0x003f9, 1, -7},
    {0x003fa, 0x003fa, 1, 1},      {0x003fd, 0x003ff, 1, -130},
    {0x00400, 0x0040f, 1, 80},     {0x00410, 0x0042f, 1, 32},
    {0x00460, 0x00480, 2, 1},      {0x0048a, 0x004be, 2, 1},
    {0x004c0, 0x004c0, 1, 15},     {0x004c1, 0x004cd, 2, 1},
    {0x004d0, 0x0052e, 2, 1},      {0x00531, 0x00556, 1, 48},
    {0x010a0, 0x010c5, 1, 7264},   {0x010c7, 0x010c7, 1, 7264},
    {0x010cd, 0x010cd, 1, 7264},   {0x013a0, 0x013ef, 1, 38864},
    {0x013f0, 0x013f5, 1, 8},      {0x01c90, 0x01cba, 1, -3008},
    {0x01cbd, 0x01cbf, 1, -3008},  {0x01e00, 0x01e94, 2, 1},
    {0x01e9e, 0x01e9e, 1, -7615},  {0x01ea0, 0x01efe, 2, 1},
    {0x01f08, 0x01f0f, 1, -8},     {0x01f18, 0x01f1d, 1, -8},
    {0x01f28, 0x01f2f, 1, -8},     {0x01f38, 0x01f3f, 1, -8},
    {0x01f48, 0x01f4d, 1, -8},     {0x01f59, 0x01f5f, 2, -8},
    {0x01f68, 0x01f6f, 1, -8},     {0x01f88, 0x01f8f, 1, -8},
    {0x01f98, 0x01f9f, 1, -8},     {0x01fa8, 0x01faf, 1, -8},
    {0x01fb8, 0x01fb9, 1, -8},     {0x01fba, 0x01fbb, 1, -74},
    {0x01fbc, 0x01fbc, 1, -9},     {0x01fc8, 0x01fcb, 1, -86},
    {0x01fcc, 0x01fcc, 1, -9},     {0x01fd8, 0x01fd9, 1, -8},
    {0x01fda, 0x01fdb, 1, -100},   {0x01fe8, 0x01fe9, 1, -8},
    {0x01fea, 0x01feb, 1, -112},   {0x01fec, 0x01fec, 1, -7},
    {0x01ff8, 0x01ff9, 1, -128},   {0x01ffa, 0x01ffb, 1, -126},
    {0x01ffc, 0x01ffc, 1, -9},     {0x02126, 0x02126, 1, -7517},
    {0x0212a, 0x0212a, 1, -8383},  {0x0212b, 0x0212b, 1, -8262},
    {0x02132, 0x02132, 1, 28},     {0x02160, 0x0216f, 1, 16},
    {0x02183, 0x02183, 1, 1},      {0x024b6, 0x024cf, 1, 26},
    {0x02c00, 0x02c2f, 1, 48},     {0x02c60, 0x02c60, 1, 1},
    {0x02c62, 0x02c62, 1, -10743}, {0x02c63, 0x02c63, 1, -3814},
    {0x02c64, 0x02c64, 1, -10727}, {0x02c67, 0x02c6b, 2, 1},
    {0x02c6d, 0x02c6d, 1, -10780}, {0x02c6e, 0x02c6e, 1, -10749},
    {0x02c6f, 0x02c6f, 1, -10783}, {0x02c70, 0x02c70, 1, -10782},
    {0x02c72, 0x02c72, 1, 1},      {0x02c75, 0x02c75, 1, 1},
    {0x02c7e, 0x02c7f, 1, -10815}, {0x02c80, 0x02ce2, 2, 1},
    {0x02ceb, 0x02ced, 2, 1},      {0x02cf2, 0x02cf2, 1, 1},
    {0x0a640, 0x0a66c, 2, 1},      {0x0a680, 0x0a69a, 2, 1},
    {0x0a722, 0x0a72e, 2, 1},      {0x0a732, 0x0a76e, 2, 1},
    {0x0a779, 0x0a77b, 2, 1},      {0x0a77d, 0x0a77d, 1, -35332},
    {0x0a77e, 0x0a786, 2, 1},      {0x0a78b, 0x0a78b, 1, 1},
    {0x0a78d, 0x0a78d, 1, -42280}, {0x0a790, 0x0a792, 2, 1},
    {0x0a796, 0x0a7a8, 2, 1},      {0x0a7aa, 0x0a7aa, 1, -42308},
    {0x0a7ab, 0x0a7ab, 1, -42319}, {0x0a7ac, 0x0a7ac, 1, -42315},
    {0x0a7ad, 0x0a7ad, 1, -42305}, {0x0a7ae, 0x0a7ae, 1, -42308},
    {0x0a7b0, 0x0a7b0, 1, -42258}, {0x0a7b1, 0x0a7b1, 1, -42282},
    {0x0a7b2, 0x0a7b2, 1, -42261}, {0x0a7b3, 0x0a7b3, 1, 928},
    {0x0a7b4, 0x0a7c2, 2, 1},      {0x0a7c4, 0x0a7c4, 1, -48},
    {0x0a7c5, 0x0a7c5, 1, -42307}, {0x0a7c6, 0x0a7c6, 1, -35384},
    {0x0a7c7, 0x0a7c9, 2, 1},      {0x0a7d0, 0x0a7d0, 1, 1},
    {0x0a7d6, 0x0a7d8, 2, 1},      {0x0a7f5, 0x0a7f5, 1, 1},
    {0x0ff21, 0x0ff3a, 1, 32},     {0x10400, 0x10427, 1, 40},
    {0x104b0, 0x104d3, 1, 40},     {0x10570, 0x1057a, 1, 39},
    {0x1057c, 0x1058a, 1, 39},     {0x1058c, 0x10592, 1, 39},
    {0x10594, 0x10595, 1, 39},     {0x10c80, 0x10cb2, 1, 64},
    {0x118a0, 0x118bf, 1, 32},     {0x16e40, 0x16e5f, 1, 32},
    {0x1e900, 0x1e921, 1, 34}};

#define N_LOWER (sizeof LOWER / sizeof LOWER[0])

static bool is_tail(const char *p, const char *end, size_t n)
{
    if ((size_t)(end - p) <= n) {
        return false;
    }
    for (size_t i = 1; i <= n; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80) {
            return false;
        }
    }
    return true;
}

bool unicode_decode(const char **p, const char *end, uint32_t *c)
{
    static const uint32_t LEAST[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)*p;
    size_t n = s[0] < 0x80 ? 0 : s[0] < 0xe0 ? 1 : s[0] < 0xf0 ? 2 : 3;
    uint32_t x = s[0];

    if (n > 0) {
        if (s[0] < 0xc2 || s[0] > 0xf4 || !is_tail(*p, end, n)) {
            return false;
        }
        x &= 0x3fu >> n;
        for (size_t i = 1; i <= n; i++) {
            x = x << 6 | (s[i] & 0x3fu);
        }
        if (x < LEAST[n] || x > 0x10ffff || (x >= 0xd800 && x < 0xe000)) {
            return false;
        }
    }
    *c = x;
    *p += n + 1;
    return true;
}

size_t unicode_encode(char to[UNICODE_BYTES_MAX], uint32_t c)
{
    static const unsigned LEAD[] = {0, 0xc0, 0xe0, 0xf0};
    size_t n = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

    for (size_t i = n; i > 0; i--) {
        to[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    to[0] = (char)(LEAD[n] | c);
    return n + 1;
}

bool unicode_is_utf8(const char *p, size_t size)
{
    const char *end = p + size;
    uint32_t c;

    while (p < end) {
        if (!unicode_decode(&p, end, &c)) {
            return false;
        }
    }
    return true;
}

/* The last range that begins at @c or before. */
static const struct range *find(uint32_t c)
{
    size_t a = 0, b = N_LOWER;

    while (b - a > 1) {
        size_t m = a + (b - a) / 2;
        if (LOWER[m].first <= c) {
            a = m;
        } else {
            b = m;
        }
    }
    return &LOWER[a];
}

uint32_t unicode_lower(uint32_t c)
{
    const struct range *r;

    if (c < 0x80) {
        return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    }
    r = find(c);
    if (c < r->first || c > r->last || (c - r->first) % r->step != 0) {
        return c;
    }
    return (uint32_t)((int32_t)c + r->delta);
}

bool unicode_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool is_word_ascii(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

bool unicode_is_word(uint32_t c)
{
    if (c < 0x80) {
        return is_word_ascii(c);
    }
    if (c < 0xc0) {
        return c == 0xaa || c == 0xb5 || c == 0xba; /* Letters. */
    }
    if (c >= 0xff00 && c <= 0xff60) {
        return is_word_ascii(c - 0xff00 + 0x20); /* Full-width ASCII. */
    }
    return !(c == 0xd7 || c == 0xf7 || c == 0x1680 ||
             (c >= 0x2000 && c <= 0x2bff) || (c >= 0x3000 && c <= 0x303f));
}
