/* Text for HTML and for JSON inside of HTML, into a buffer.
 *
 * What comes from data (paths, labels, settings) goes through one of these.
 * Bytes that are no UTF-8, and control characters that HTML does not have,
 * become U+FFFD.
 */

#ifndef REPORT_TEXT_H_
#define REPORT_TEXT_H_

#include "core/buf.h"

/* As it is: for what we wrote ourselves. */
void report_text(struct buf *out, const char *text);

/* Formatted, at most 1000 bytes: for numbers and what we wrote ourselves. */
void report_text_printf(struct buf *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* As the content of an element, or of an attribute in double quotes. */
void report_text_html(struct buf *out, const char *text);

/* As a JSON string with its quotes, without any '<', '>' or '&': neither
 * "</script" nor "<!--" can end the element it stands in. */
void report_text_json(struct buf *out, const char *text);

/* A number for JSON that reads back as the same to nine digits; null for NaN
 * and infinity. */
void report_text_number(struct buf *out, double x);

/* A number for people: "0.1234", "12,345", "-" for NaN. */
void report_text_value(struct buf *out, double x);

/* "512 B", "1.2 kB", "3.4 MB": powers of 1000. "-" for NaN. */
void report_text_bytes(struct buf *out, double bytes);

#endif /* REPORT_TEXT_H_ */
