/* What lyre watch shows, as text: a pure function of a run and a size. */

#ifndef CLI_WATCH_SCREEN_H_
#define CLI_WATCH_SCREEN_H_

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "report/live.h"

struct watch_style {
    size_t width;  /* Columns: no line is longer. */
    size_t height; /* Lines: there are no more. 0: as many as are wanted. */
    bool colour;   /* Beside letters, never instead of them. */
    bool utf8;     /* Else ASCII. */
};

/* The whole picture: lines that end in a newline. Two peers and more are shown
 * in 24 lines as far as they fit, and how many do not. */
void watch_screen(struct buf *out,
                  const struct report_live *l,
                  const struct watch_style *s);

/* The same in a line, without a newline: for files and pipes. */
void watch_line(struct buf *out, const struct report_live *l);

/* @width cells for @n parts, as near to their shares as whole cells are: the
 * number of each to @cells; they add up to @width. All zero if the parts are.
 */
void watch_bar(const double *parts, size_t n, size_t width, size_t *cells);

/* The values of @h in @width characters, the least lowest. */
void watch_spark(struct buf *out,
                 const struct report_history *h,
                 size_t width,
                 bool utf8);

#endif /* CLI_WATCH_SCREEN_H_ */
