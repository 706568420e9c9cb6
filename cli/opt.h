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

#define OPT_LIST_MAX 256 /* Values that an option of kind OPT_LIST holds. */

enum opt_kind {
    OPT_FLAG,    /* bool */
    OPT_STRING,  /* const char *, the last one given */
    OPT_LIST,    /* struct opt_list, all that were given, in order */
    OPT_U64,     /* uint64_t */
    OPT_F64,     /* double, finite */
    OPT_SIZE,    /* uint64_t bytes, "64M", "1G", "4096": powers of 1024 */
    OPT_SECONDS, /* uint64_t nanoseconds, "5s", "200ms", "0.5", "2m" */
};

/* Values of an option that may be there more than once. */
struct opt_list {
    size_t n;
    const char *item[OPT_LIST_MAX];
};

struct opt {
    const char *name; /* Without dashes; '_' never occurs. */
    enum opt_kind kind;
    void *value;      /* Holds the default before, the value after. */
    const char *arg;  /* Name of the value in the help, e.g. "FILE". */
    const char *help; /* May hold \n for further lines. */
    bool *given;      /* Set if the option was there. May be NULL. */
    /* Bounds for numbers, if max > min; seconds for OPT_SECONDS. INFINITY and
     * -INFINITY are fine. */
    double min, max;
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
 * counted in *n_words (argv[1..n_words]); "--" ends the options, "-" is a word.
 * --name value and --name=value are the same. A value may begin with a dash
 * unless it is the name of an option: then the value is missing.
 *
 * Returns 0, 1 if --help or -h was there (the help has been printed to stdout),
 * or ERR_INVALID with a message that names the nearest right option, or option,
 * value and range. */
int opt_parse(const struct opt_command *c,
              int argc,
              char **argv,
              int *n_words,
              struct err *e);

/* Usage, summary, options with their defaults, details and examples. */
void opt_help(const struct opt_command *c, FILE *out);

/* The word of @words (NULL-terminated) nearest to @word, or NULL if none is
 * near: neither a few slips of the keyboard away, nor the only one that begins
 * with it. */
const char *opt_nearest(const char *word, const char *const *words);

#endif /* CLI_OPT_H_ */
