/* A run as it goes on: what its peers have measured so far, kept up to date
 * from the table metric of their indexes.
 *
 * Looking does not disturb: indexes are read as SQLite lets readers read, no
 * lock is taken, and nothing is written. What is new is there when the log has
 * committed it, with --durability 1s a second later at most. Where an index
 * cannot be read the log itself is gone through, which takes longer.
 */

#ifndef REPORT_LIVE_H_
#define REPORT_LIVE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "report/run.h"
#include "report/tables.h"

#define REPORT_LIVE_HISTORY 4096 /* Points of a history, even. */
#define REPORT_LIVE_MARKS   6    /* Updates that rates are over. */

/* What adds up over clocks. */
struct report_sums {
    double clocks, seconds, samples, sent, received, staleness;
    double parts[REPORT_PARTS];
};

/* Some metric over all clocks, thinned: every stride-th. */
struct report_history {
    size_t n, stride, skipped;
    double value[REPORT_LIVE_HISTORY];
};
void report_history_add(struct report_history *h, double x);

struct report_live_peer {
    uint32_t rank;
    char *dir; /* Of the log. Owned. */
    bool running;
    uint64_t clocks; /* Known so far. */
    struct report_sums sums;
    /* The sums of earlier updates that brought something, the oldest first. */
    struct report_sums marks[REPORT_LIVE_MARKS];
    size_t n_marks;
    struct report_fading fading_loss, fading_accuracy;
    struct ckpt_metrics last; /* Of the last clock; loss, accuracy: fading. */
    double test_loss, test_accuracy; /* NaN: not evaluated yet. */
    uint64_t test_clock;
    struct report_history loss, accuracy;
};

struct report_live {
    char *dir;            /* Owned. */
    bool known;           /* Some log has said what the job is: */
    uint64_t clocks;      /* that it is to have, */
    uint32_t n_peers_all; /* and of how many peers. */
    char mode[32];
    char model[32];
    size_t n_peers;                  /* That have a log here. */
    struct report_live_peer **peers; /* (n_peers), by rank. Owned. */
};

/* @dir need not be there yet. Errors: ERR_NOMEM. */
int report_live_init(struct report_live *l, const char *dir, struct err *e);
void report_live_fini(struct report_live *l);

/* Look what is new; *news: something is. Peers that appeared are added; a log
 * that was cut behind our back is read anew.
 *
 * Errors: ERR_NOT_FOUND  no run is there, yet;
 *         ERR_NOMEM, ERR_IO, ERR_CORRUPT: nothing could be read of any peer. */
int report_live_update(struct report_live *l, bool *news, struct err *e);

/* What a peer did of late: since some updates ago, or ever. */
struct report_sums report_live_recent(const struct report_live_peer *p);

/* The clocks that all peers have. */
uint64_t report_live_clocks(const struct report_live *l);

/* Does any peer run? Have all come to the end of the job? */
bool report_live_running(const struct report_live *l);
bool report_live_complete(const struct report_live *l);

#endif /* REPORT_LIVE_H_ */
