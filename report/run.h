/* A run as a report shows it: its settings, and what its peers measured. */

#ifndef REPORT_RUN_H_
#define REPORT_RUN_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ckpt/step.h"
#include "core/err.h"

/* Metrics by number, in the order of CKPT_METRIC_MAP. */
#define REPORT_METRIC(NAME) \
    (offsetof(struct ckpt_metrics, NAME) / sizeof(double))
static inline double report_metric(const struct ckpt_metrics *m, size_t metric)
{
    return ((const double *)(const void *)m)[metric];
}

struct report_peer {
    uint32_t rank;
    bool running;   /* Somebody may write to the log. */
    uint64_t bytes; /* Of the log, as far as it is valid. */
    size_t n;       /* Clocks 0..n-1; what is not known of them is NaN. */
    struct ckpt_metrics *metrics; /* (n). Owned. */
    double *seconds; /* (n) from the beginning to the end of a clock. */
    double *sent;    /* (n) bytes sent until then. Both owned. */
    char problem[ERR_MSG_SIZE]; /* Why the log could not be read; else "". */
};

struct report_run {
    char *dir;       /* As it was named. Owned. */
    char *json;      /* What the job is. NULL: no log says. Owned. */
    uint64_t clocks; /* That it was to have. */
    size_t n_peers;
    struct report_peer *peers; /* (n_peers), by rank. Owned. */
};

/* Read the logs of all peers under @dir: those of a running job as they are
 * now, torn ones as far as they go. A log that cannot be read does not hide the
 * others, it has a problem.
 *
 * Owner:  on success @r needs fini.
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT...: no log could be read; ERR_NOMEM. */
int report_run_load(struct report_run *r, const char *dir, struct err *e);
void report_run_fini(struct report_run *r);

/* The sum of a metric over all clocks of a peer; what is missing counts as 0.
 */
double report_peer_sum(const struct report_peer *p, size_t metric);

/* The clock where a peer measured this last, or -1. */
int64_t report_peer_last(const struct report_peer *p, size_t metric);

/* A running mean as training shows it: what is older than about fifty clocks
 * fades. NaN as long as nothing came. */
struct report_fading {
    double sum, weight;
};
double report_fade(struct report_fading *f, double x, double weight);

#endif /* REPORT_RUN_H_ */
