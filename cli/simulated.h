/* How a simulation is shown: the table, the summary, the JSON object. */

#ifndef CLI_SIMULATED_H_
#define CLI_SIMULATED_H_

#include <jansson.h>

#include "train/simulate.h"

struct simulated {
    const struct train_simulate_options *o;
    bool quiet, json;
    const char *link, *stragglers; /* As they were given. */
    char mode[32];                 /* Of consistency. */
    uint32_t n_peers;
    uint64_t clocks;
    json_t *settings, *series; /* Owned; NULL: no JSON. */
};

/* For struct train_simulate_options; @arg is a struct simulated. */
void simulated_begin(void *arg,
                     const struct train_run *run,
                     const struct train_simulate_result *r);
void simulated_point(void *arg, const struct train_simulate_point *p);

/* The summary, or the object. Errors: ERR_NOMEM. */
int simulated_end(struct simulated *s, const struct train_simulate_result *r);

void simulated_fini(struct simulated *s);

#endif /* CLI_SIMULATED_H_ */
