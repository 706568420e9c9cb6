/* Files that stand inside the program: style and script of a report, and
 * Chart.js with its licence notice.
 *
 * They are taken in when the program is built, so that a report needs nothing
 * of the machine it is made on.
 */

#ifndef REPORT_ASSETS_H_
#define REPORT_ASSETS_H_

/* Each ends with a zero byte. */
extern const char report_page_css[];
extern const char report_page_js[];
extern const char report_chart_js[]; /* Chart.js: MIT licence. */

#endif /* REPORT_ASSETS_H_ */
