/* A report: one HTML file with charts and tables of one or several runs.
 *
 * It has everything in it, Chart.js too, and asks no network for anything (a
 * content security policy forbids it). Charts are drawn from the JSON in the
 * element "data":
 *
 *     {"series": [{"name": ""}], "parts": [""], "bars": [{"name": "",
 *      "seconds": []}], "lines": see report/series.h}
 *
 * Without scripts, the tables are there.
 */

#ifndef REPORT_PAGE_H_
#define REPORT_PAGE_H_

#include "core/buf.h"
#include "core/err.h"
#include "report/run.h"

/* Write the page to @out. Errors: ERR_NOMEM. */
int report_page(struct buf *out,
                const struct report_run *runs,
                size_t n_runs,
                struct err *e);

#endif /* REPORT_PAGE_H_ */
