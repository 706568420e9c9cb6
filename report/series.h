/* What has a colour of its own in the charts of a report: a peer, or a whole
 * run, which is then the mean of its peers at each clock.
 *
 * One run with few peers shows a series for each peer; several runs, or many
 * peers, one for each run.
 */

#ifndef REPORT_SERIES_H_
#define REPORT_SERIES_H_

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "report/run.h"

#define REPORT_SERIES_PEERS_MAX 8 /* More peers are shown as their mean. */

struct report_series {
    const struct report_run *run;   /* Not owned. */
    const struct report_peer *peer; /* NULL: the mean of all of the run. */
    size_t n;                       /* Clocks. */
};

/* The series of @runs to *series. Owner: the caller frees them.
 * Errors: ERR_NOMEM. */
int report_series_make(struct report_series **series,
                       size_t *n_series,
                       const struct report_run *runs,
                       size_t n_runs,
                       struct err *e);

/* A short name to @out: "run", "peer 3". */
void report_series_name(const struct report_series *s, struct buf *out);

/* Where @clock lies: seconds since the beginning, bytes sent by a peer. */
double report_series_seconds(const struct report_series *s, size_t clock);
double report_series_sent(const struct report_series *s, size_t clock);

/* NaN: nobody measured it then. */
double
report_series_value(const struct report_series *s, size_t metric, size_t clock);

/* The lines of all series as a JSON array, at most @points_max points each:
 *
 *     {"series": 0, "metric": "loss", "clock": [], "seconds": [], "bytes": [],
 *      "value": []}
 *
 * clock is the key of the table metric. Besides the metrics there are loss_mean
 * and others, see report_fade(). Test results stand only where there are some;
 * elsewhere null is a gap. Lines without a value are left out.
 * Errors: ERR_NOMEM. */
int report_series_lines(struct buf *out,
                        const struct report_series *series,
                        size_t n_series,
                        size_t points_max,
                        struct err *e);

#endif /* REPORT_SERIES_H_ */
