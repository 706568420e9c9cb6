/* What a mode of `lyre compare` took, and the table of all. */

#ifndef CLI_COMPARE_RESULT_H_
#define CLI_COMPARE_RESULT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "core/err.h"

struct compare_result {
    const char *name; /* Of the mode. Not owned. */
    bool failed;
    char why[ERR_MSG_SIZE]; /* If it did. */
    uint32_t n_peers;       /* That have told. */
    bool has_target, reached;
    uint64_t clocks;
    double seconds;    /* To the target, or to the last clock. */
    double bytes_sent; /* Of all peers. */
    double link_bytes; /* Sent by all links, says the kernel. NaN: no links. */
    double seconds_computing; /* Means of the peers. Selecting, encoding and
                               * applying are in it. */
    double seconds_waiting;
    double seconds_logging;
    double bytes_logged;   /* Of all peers. */
    double memory_bytes;   /* Of the largest peer. */
    double loss, accuracy; /* On the test set; else loss of minibatches. */
};

/* Add what a process of `lyre train --json` has written: an object whose peers
 * are some or all of the job's. @r begins as zeros with a name.
 * Errors: ERR_CORRUPT: it is not such an object. */
int compare_result_add(struct compare_result *r,
                       const char *text,
                       struct err *e);

/* After all peers were added: sums become means. */
void compare_result_finish(struct compare_result *r);

/* Bytes that a peer sent in a clock. */
double compare_result_traffic(const struct compare_result *r);

/* How many times as fast as @first this is; NaN where one of them has failed,
 * or did not reach its target. */
double compare_result_speedup(const struct compare_result *r,
                              const struct compare_result *first);

void compare_table_print(const struct compare_result *results,
                         size_t n,
                         FILE *out);

/* A new reference. NULL: no memory. */
json_t *compare_table_json(const struct compare_result *results, size_t n);

#endif /* CLI_COMPARE_RESULT_H_ */
