#include "report/text.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "dataset/unicode.h"

#define PRINTF_SIZE 1001
#define REPLACEMENT 0xfffdu

void report_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
}

void report_text_printf(struct buf *out, const char *fmt, ...)
{
    char text[PRINTF_SIZE];
    va_list args;

    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(n >= 0 && n < PRINTF_SIZE);
    buf_put(out, text, (size_t)n);
}

/* The next character: what is no text is the replacement character. */
static uint32_t next(const char **p, const char *end)
{
    uint32_t c;

    if (!unicode_decode(p, end, &c)) {
        (*p)++;
        return REPLACEMENT;
    }
    if ((c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7f && c < 0xa0)) {
        return REPLACEMENT;
    }
    return c;
}

static void put_char(struct buf *out, uint32_t c)
{
    char bytes[UNICODE_BYTES_MAX];

    buf_put(out, bytes, unicode_encode(bytes, c));
}

void report_text_html(struct buf *out, const char *text)
{
    const char *end = text + strlen(text);

    while (text < end) {
        const uint32_t c = next(&text, end);
        switch (c) {
        case '&':
            report_text(out, "&amp;");
            break;
        case '<':
            report_text(out, "&lt;");
            break;
        case '>':
            report_text(out, "&gt;");
            break;
        case '"':
            report_text(out, "&quot;");
            break;
        case '\'':
            report_text(out, "&#39;");
            break;
        default:
            put_char(out, c);
        }
    }
}

void report_text_json(struct buf *out, const char *text)
{
    const char *end = text + strlen(text);

    report_text(out, "\"");
    while (text < end) {
        const uint32_t c = next(&text, end);
        if (c < 0x20 || c == '"' || c == '\\' || c == '<' || c == '>' ||
            c == '&' || c == 0x2028 || c == 0x2029) {
            report_text_printf(out, "\\u%04x", (unsigned)c);
        } else {
            put_char(out, c);
        }
    }
    report_text(out, "\"");
}

void report_text_number(struct buf *out, double x)
{
    if (!isfinite(x)) {
        report_text(out, "null");
    } else {
        report_text_printf(out, "%.9g", x);
    }
}

void report_text_value(struct buf *out, double x)
{
    if (!isfinite(x)) {
        report_text(out, isnan(x) ? "-" : "infinite");
    } else if (fabs(x) >= 1e15 || (x != 0 && fabs(x) < 1e-4)) {
        report_text_printf(out, "%.4g", x);
    } else if (fabs(x) < 1000) {
        report_text_printf(out, "%.*f",
                           x == floor(x)  ? 0
                           : fabs(x) < 10 ? 4
                                          : 1,
                           x);
    } else {
        char digits[24];
        const int n = snprintf(digits, sizeof digits, "%" PRId64,
                               (int64_t)llround(fabs(x)));
        report_text(out, x < 0 ? "-" : "");
        for (int i = 0; i < n; i++) {
            buf_put(out, &digits[i], 1);
            report_text(out, i + 1 < n && (n - 1 - i) % 3 == 0 ? "," : "");
        }
    }
}

void report_text_bytes(struct buf *out, double bytes)
{
    static const char *const UNITS[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;

    if (!isfinite(bytes)) {
        report_text(out, "-");
        return;
    }
    while (fabs(bytes) >= 999.5 && unit + 1 < sizeof UNITS / sizeof UNITS[0]) {
        bytes /= 1000;
        unit++;
    }
    report_text_printf(out, "%.*f %s", unit == 0 || bytes >= 100 ? 0 : 1, bytes,
                       UNITS[unit]);
}
