/* How training is shown: the progress line, the summary, the JSON object. */

#ifndef CLI_SUMMARY_H_
#define CLI_SUMMARY_H_

#include <stdio.h>

#include "cli/job.h"

/* Sums and extremes over peers. */
struct summary {
    uint64_t clock;       /* The lowest. */
    uint64_t first_clock; /* Where this process began. */
    uint64_t clocks;
    double epoch;
    double loss;                     /* Of minibatches, mean over the peers. */
    double test_loss, test_accuracy; /* NaN: not evaluated. */
    uint64_t samples;
    uint64_t pairs;
    double selection_error; /* The largest of the peers, in the last clock. */
    uint64_t bytes_sent, bytes_received, log_bytes, encoded_bytes;
    uint64_t msgs_sent;
    double u_share;         /* Entries of u that were sent. NaN: no u. */
    double seconds_train;   /* The longest. */
    double seconds_cpu;     /* Sum. */
    double seconds_waiting; /* Means over the peers. */
    double seconds_computing;
    double seconds_selecting;
    double seconds_encoding;
    double seconds_applying;
    double seconds_logging;
    uint64_t rss_max_bytes; /* The largest. */
    struct train_until until;
    bool reached;           /* The target, all say so, */
    uint64_t reached_clock; /* at this clock, */
    double reached_seconds; /* after so long. */
    bool equal; /* All have a digest, the same, at the same clock. */
    struct hash128 digest;
};

void summary_of(struct summary *sum,
                const struct job_report *reports,
                uint32_t n);

/* A rule as the command line calls it. */
const char *summary_rule(enum sv_rule rule);

/* "clock 812/1032  epoch 0.79  loss 2.134  201 k samples/s ..." */
void summary_line(const struct summary *sum, char *line, size_t size);

/* A few lines for a human. */
void summary_print(const struct summary *sum,
                   const struct job_report *reports,
                   uint32_t n,
                   FILE *out);

/* One JSON object on one line. @first_rank is the rank of reports[0]. Errors:
 * ERR_NOMEM. */
int summary_json(const struct summary *sum,
                 const struct job_report *reports,
                 uint32_t n,
                 uint32_t first_rank,
                 FILE *out);

#endif /* CLI_SUMMARY_H_ */
