/* The tables of a report: what a reader, or a program, finds without charts. */

#ifndef REPORT_TABLES_H_
#define REPORT_TABLES_H_

#include "core/buf.h"
#include "core/err.h"
#include "report/run.h"
#include "report/series.h"

/* Results, a column for each run. */
void report_table_summary(struct buf *out,
                          const struct report_run *runs,
                          size_t n_runs);

/* What the jobs were, a column for each run; what differs is marked. */
int report_table_settings(struct buf *out,
                          const struct report_run *runs,
                          size_t n_runs,
                          struct err *e);

/* Totals, a row for each peer: where the time went, bytes. */
void report_table_peers(struct buf *out,
                        const struct report_run *runs,
                        size_t n_runs);

/* Evaluations on the test set, a row for each, at most @rows_max of a series.
 */
int report_table_tests(struct buf *out,
                       const struct report_series *series,
                       size_t n_series,
                       size_t rows_max,
                       struct err *e);

/* Every metric of some clocks, the first and the last among them: at most
 * @rows_max of a peer. */
void report_table_clocks(struct buf *out,
                         const struct report_run *runs,
                         size_t n_runs,
                         size_t rows_max);

/* The parts of a clock's time, in the order of the bars. */
#define REPORT_PARTS 7
extern const char *const report_part_names[REPORT_PARTS];

/* Seconds of each, of all clocks of a peer; the last is what is left. */
void report_parts(const struct report_peer *p, double seconds[REPORT_PARTS]);

#endif /* REPORT_TABLES_H_ */
