/* The options that say what a job is a function of: those that every command
 * which trains has, with one meaning and one default.
 *
 * A command has a table of its own options, and joins these with it.
 */

#ifndef CLI_RUN_OPTIONS_H_
#define CLI_RUN_OPTIONS_H_

#include "cli/opt.h"
#include "train/run.h"

#define RUN_OPTIONS_N 30 /* Options. */

/* Fill @table (RUN_OPTIONS_N + n_own): the files first, then the first @n_lead
 * of @own, the other options of a job, and the rest of @own. */
void run_options_join(struct opt *table,
                      const struct opt *own,
                      size_t n_own,
                      size_t n_lead);

/* After parsing: is there one word, a model, and are there data? Returns -1 to
 * go on, or CMD_USAGE after saying what is wrong. */
int run_options_check(const struct opt_command *c, int n_words, char **words);

/* Passes over the data, unless clocks were given. */
double run_options_epochs(void);

/* What was parsed, as settings. @r is initialized. Returns as above. */
int run_options_read(const struct opt_command *c,
                     const char *model,
                     uint32_t n_peers,
                     struct train_run *r);

#endif /* CLI_RUN_OPTIONS_H_ */
