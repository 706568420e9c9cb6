/* Command line options, and the help that explains them.
 *
 * A command is a table of options; parsing, --help and the advice for wrong
 * options ("--bacth: did you mean --batch?") come from it.
 */

#ifndef CLI_OPT_H_
#define CLI_OPT_H_

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"

enum opt_kind {
    OPT_FLAG,   /* bool */
    OPT_STRING, /* const char * */
    OPT_U64,    /* uint64_t */
    OPT_F64,    /* double */
    OPT_SIZE,   /* uint64_t, "64M", "1G", "4096" */
    OPT_SECONDS /* uint64_t nanoseconds, "5s", "200ms", "0.5", "2m" */
};

struct opt {
    const char *name; /* Without dashes; '_' never occurs. */
    enum opt_kind kind;
    void *value;      /* Holds the default before, the value after. */
    const char *arg;  /* Name of the value in the help, e.g. "FILE". */
    const char *help; /* May hold \n for further lines. */
    bool *given;      /* Set if the option was there. May be NULL. */
    double min, max;  /* Bounds for numbers, if max > min. */
};

struct opt_command {
    const char *name;     /* "train mlr". */
    const char *summary;  /* One line. */
    const char *usage;    /* Behind "usage: lyre ". */
    const char *details;  /* Paragraphs behind the options, or NULL. */
    const char *examples; /* One a line, or NULL. */
    const struct opt *opts;
    size_t n_opts;
};

/* Read argv[1..). Words that are not options are moved to the front of argv and
 * counted in *n_words (argv[1..n_words]); "--" ends the options. --name value
 * and --name=value are the same. An option of kind OPT_STRING named in a list
 * (`--text a --text b`) keeps the last value.
 *
 * Returns 0, 1 if --help was there (the help has been printed to stdout), or
 * ERR_INVALID with a message that names the nearest right option. */
int opt_parse(const struct opt_command *c,
              int argc,
              char **argv,
              int *n_words,
              struct err *e);

void opt_help(const struct opt_command *c, FILE *out);

/* The word of @words (NULL-terminated) nearest to @word, or NULL if none is
 * near. */
const char *opt_nearest(const char *word, const char *const *words);

#endif /* CLI_OPT_H_ */
