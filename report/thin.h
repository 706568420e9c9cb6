/* Fewer points for a line that is drawn: those that one would miss.
 *
 * The points are divided into parts of equal length. Of each part its least and
 * its greatest value stay, and one that is missing (NaN) if it has any, so that
 * a gap stays a gap. The first and the last point stay, too.
 */

#ifndef REPORT_THIN_H_
#define REPORT_THIN_H_

#include <stddef.h>

#define REPORT_THIN_MIN 8 /* The least @max. */

/* Choose at most @max of the points @y (@n): their indices, ascending, to
 * @keep, which has room for @max. Return how many; all of them if @n <= @max.
 * The first, the last, the least and the greatest are always among them.
 * Cost: O(n). */
size_t report_thin(const double *y, size_t n, size_t max, size_t *keep);

#endif /* REPORT_THIN_H_ */
