#include "cli/opt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_SIZE_MAX 64 /* Longer words are like nothing we know. */
#define HELP_COLUMN   26 /* Where explanations begin. */
#define HELP_WIDTH    80
#define NS_PER_S      1e9

/* Edits from @a to @b: insert, delete, replace, swap of neighbours. Case does
 * not count. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_SIZE_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    const size_t n = strlen(a), m = strlen(b);

    for (size_t j = 0; j <= m; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const int x = tolower((unsigned char)a[i - 1]);
            const int y = tolower((unsigned char)b[j - 1]);
            size_t best = last[j - 1] + (x != y);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]) &&
                before[j - 2] + 1 < best) {
                best = before[j - 2] + 1;
            }
            row[j] = best;
        }
        size_t *recycled = before;
        before = last;
        last = row;
        row = recycled;
    }
    return last[m];
}

const char *opt_nearest(const char *word, const char *const *words)
{
    const size_t n = strlen(word);
    size_t best = 2 + n / 4;
    const char *nearest = NULL, *longer = NULL;
    int n_longer = 0;

    if (n == 0 || n > WORD_SIZE_MAX) {
        return NULL;
    }
    for (; *words != NULL; words++) {
        if (strlen(*words) > WORD_SIZE_MAX) {
            continue;
        }
        const size_t d = distance(word, *words);
        /* Not everything with two letters is like "lr". */
        if (d < best && d < n) {
            best = d;
            nearest = *words;
        }
        if (strncasecmp(*words, word, n) == 0) {
            n_longer++;
            longer = *words;
        }
    }
    return best <= 1 || n_longer != 1 ? nearest : longer;
}

static const struct opt *
find(const struct opt_command *c, const char *name, size_t size)
{
    for (size_t i = 0; i < c->n_opts; i++) {
        const char *candidate = c->opts[i].name;
        if (strlen(candidate) == size && memcmp(candidate, name, size) == 0) {
            return &c->opts[i];
        }
    }
    return NULL;
}

static int unknown(const struct opt_command *c, const char *arg, struct err *e)
{
    const char *bare = arg + strspn(arg, "-");
    const size_t size = strcspn(bare, "=");
    const char *nearest = NULL;
    char *word = strndup(bare, size);
    const char **names = calloc(c->n_opts + 2, sizeof *names);

    if (names != NULL && word != NULL) {
        for (size_t i = 0; i < c->n_opts; i++) {
            names[i] = c->opts[i].name;
        }
        names[c->n_opts] = "help";
        nearest = opt_nearest(word, names);
    }
    free(word);
    free(names);
    const int shown = (int)(bare - arg) + (int)size;
    return nearest != NULL ? err_set(e, ERR_INVALID,
                                     "unknown option %.*s; did you mean --%s?",
                                     shown, arg, nearest)
                           : err_set(e, ERR_INVALID,
                                     "unknown option %.*s; lyre %s --help "
                                     "lists those there are",
                                     shown, arg, c->name);
}

static int bad_value(const struct opt *o,
                     const char *text,
                     const char *want,
                     struct err *e)
{
    return err_set(e, ERR_INVALID, "option --%s: '%s' is not %s", o->name, text,
                   want);
}

static int
check_range(const struct opt *o, double x, const char *text, struct err *e)
{
    const char *unit = o->kind == OPT_SECONDS ? "s" : "";

    if (o->max <= o->min || (x >= o->min && x <= o->max)) {
        return 0;
    }
    if (isinf(o->max)) {
        return err_set(e, ERR_INVALID,
                       "option --%s: %s is out of range, at least %.15g%s",
                       o->name, text, o->min, unit);
    }
    if (isinf(o->min)) {
        return err_set(e, ERR_INVALID,
                       "option --%s: %s is out of range, at most %.15g%s",
                       o->name, text, o->max, unit);
    }
    return err_set(e, ERR_INVALID,
                   "option --%s: %s is out of range, %.15g%s to %.15g%s",
                   o->name, text, o->min, unit, o->max, unit);
}

/* strtoull() takes signs and spaces; we do not. */
static bool whole(const char *text, uint64_t *x, const char **end)
{
    char *stop;

    if (!isdigit((unsigned char)*text)) {
        return false;
    }
    errno = 0;
    *x = strtoull(text, &stop, 10);
    *end = stop;
    return errno == 0;
}

static bool real(const char *text, double *x, const char **end)
{
    char *stop;

    if (*text == '\0' || isspace((unsigned char)*text)) {
        return false;
    }
    *x = strtod(text, &stop);
    *end = stop;
    return stop != text && isfinite(*x);
}

static int set_u64(const struct opt *o, const char *text, struct err *e)
{
    uint64_t x;
    const char *end;

    if (!whole(text, &x, &end) || *end != '\0') {
        return bad_value(o, text, "a whole number", e);
    }
    const int status = check_range(o, (double)x, text, e);
    if (status == 0) {
        *(uint64_t *)o->value = x;
    }
    return status;
}

static int set_f64(const struct opt *o, const char *text, struct err *e)
{
    double x;
    const char *end;

    if (!real(text, &x, &end) || *end != '\0') {
        return bad_value(o, text, "a number", e);
    }
    const int status = check_range(o, x, text, e);
    if (status == 0) {
        *(double *)o->value = x;
    }
    return status;
}

static int set_size(const struct opt *o, const char *text, struct err *e)
{
    static const char SUFFIX[] = "KMGT";
    uint64_t x;
    const char *end;
    unsigned shift = 0;

    if (!whole(text, &x, &end)) {
        return bad_value(o, text, "a size, like 4096, 64M or 1G", e);
    }
    const char *at = *end != '\0' ? strchr(SUFFIX, *end) : NULL;
    if (at != NULL) {
        shift = 10 * (unsigned)(at - SUFFIX + 1);
        end++;
    }
    if (*end != '\0' || x > UINT64_MAX >> shift) {
        return bad_value(o, text, "a size, like 4096, 64M or 1G", e);
    }
    const int status = check_range(o, (double)(x << shift), text, e);
    if (status == 0) {
        *(uint64_t *)o->value = x << shift;
    }
    return status;
}

static int set_seconds(const struct opt *o, const char *text, struct err *e)
{
    static const struct {
        const char *name;
        double seconds;
    } UNITS[] = {{"", 1},      {"s", 1},  {"ms", 1e-3}, {"us", 1e-6},
                 {"ns", 1e-9}, {"m", 60}, {"h", 3600}};
    double x;
    const char *end;

    if (!real(text, &x, &end) || x < 0) {
        return bad_value(o, text, "a time, like 5s, 200ms or 2m", e);
    }
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (strcmp(end, UNITS[i].name) != 0) {
            continue;
        }
        const double seconds = x * UNITS[i].seconds;
        const int status = check_range(o, seconds, text, e);
        if (status == 0 && seconds * NS_PER_S >= (double)UINT64_MAX) {
            return bad_value(o, text, "a time that can be counted", e);
        }
        if (status == 0) {
            *(uint64_t *)o->value = (uint64_t)llround(seconds * NS_PER_S);
        }
        return status;
    }
    return bad_value(o, text, "a time, like 5s, 200ms or 2m", e);
}

static int set_list(const struct opt *o, const char *text, struct err *e)
{
    struct opt_list *list = o->value;

    if (list->n == OPT_LIST_MAX) {
        return err_set(e, ERR_INVALID, "option --%s: more than %d times",
                       o->name, OPT_LIST_MAX);
    }
    list->item[list->n++] = text;
    return 0;
}

static int set(const struct opt *o, const char *text, struct err *e)
{
    switch (o->kind) {
    case OPT_FLAG:
        *(bool *)o->value = true;
        return 0;
    case OPT_STRING:
        *(const char **)o->value = text;
        return 0;
    case OPT_LIST:
        return set_list(o, text, e);
    case OPT_U64:
        return set_u64(o, text, e);
    case OPT_F64:
        return set_f64(o, text, e);
    case OPT_SIZE:
        return set_size(o, text, e);
    case OPT_SECONDS:
        return set_seconds(o, text, e);
    }
    return err_set(e, ERR_INVALID, "option --%s: of no known kind", o->name);
}

/* Is @word an option of @c, so that it cannot be the value of another? */
static bool is_option(const struct opt_command *c, const char *word)
{
    return strncmp(word, "--", 2) == 0 &&
           find(c, word + 2, strcspn(word + 2, "=")) != NULL;
}

/* Read the option at argv[*at], and its value. */
static int parse_option(const struct opt_command *c,
                        char **argv,
                        int argc,
                        int *at,
                        struct err *e)
{
    const char *arg = argv[*at];
    const size_t size = strcspn(arg + 2, "=");
    const struct opt *o =
        strncmp(arg, "--", 2) == 0 ? find(c, arg + 2, size) : NULL;
    const char *text = "";

    if (o == NULL) {
        return unknown(c, arg, e);
    }
    const bool joined = arg[2 + size] == '=';
    if (o->kind == OPT_FLAG && joined) {
        return err_set(e, ERR_INVALID, "option --%s takes no value", o->name);
    }
    if (joined) {
        text = arg + 2 + size + 1;
    } else if (o->kind != OPT_FLAG) {
        if (*at + 1 >= argc || is_option(c, argv[*at + 1])) {
            return err_set(e, ERR_INVALID, "option --%s needs a value, %s",
                           o->name, o->arg);
        }
        text = argv[++*at];
    }
    if (o->given != NULL) {
        *o->given = true;
    }
    return set(o, text, e);
}

int opt_parse(const struct opt_command *c,
              int argc,
              char **argv,
              int *n_words,
              struct err *e)
{
    bool options = true;
    int status = 0, n = 0;

    for (int i = 1; i < argc && status == 0; i++) {
        if (!options || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[++n] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (strcmp(argv[i], "--help") == 0 ||
                   strcmp(argv[i], "-h") == 0) {
            opt_help(c, stdout);
            return 1;
        } else {
            status = parse_option(c, argv, argc, &i, e);
        }
    }
    *n_words = n;
    return status;
}

/* The default in words, or "" where there is none worth a word. */
static void default_text(const struct opt *o, char *text, size_t size)
{
    text[0] = '\0';
    if (o->kind == OPT_STRING && *(const char **)o->value != NULL) {
        snprintf(text, size, " (default %s)", *(const char **)o->value);
    } else if (o->kind == OPT_F64 && *(double *)o->value != 0) {
        snprintf(text, size, " (default %g)", *(double *)o->value);
    } else if (o->kind == OPT_SECONDS && *(uint64_t *)o->value != 0) {
        snprintf(text, size, " (default %gs)",
                 (double)*(uint64_t *)o->value / NS_PER_S);
    } else if ((o->kind == OPT_U64 || o->kind == OPT_SIZE) &&
               *(uint64_t *)o->value != 0 &&
               *(uint64_t *)o->value != UINT64_MAX) {
        snprintf(text, size, " (default %" PRIu64 ")", *(uint64_t *)o->value);
    }
}

/* Print the words of @text from column @at on, in lines of HELP_WIDTH that
 * begin at HELP_COLUMN. */
static void print_wrapped(const char *text, size_t at, FILE *out)
{
    const char *glue = "";

    while (*text != '\0') {
        const size_t n = strcspn(text, " \n");
        if (at + strlen(glue) + n > HELP_WIDTH && at > HELP_COLUMN) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
            glue = "";
        }
        fprintf(out, "%s%.*s", glue, (int)n, text);
        at += strlen(glue) + n;
        glue = " ";
        text += n;
        if (*text == '\n') {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
            glue = "";
        }
        text += *text != '\0';
    }
    fputc('\n', out);
}

static void print_option(const struct opt *o, FILE *out)
{
    char text[1024], value[128];
    int at = fprintf(out, "  --%s%s%s", o->name, o->arg != NULL ? " " : "",
                     o->arg != NULL ? o->arg : "");

    if (at + 2 > HELP_COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - at, "");
    default_text(o, value, sizeof value);
    snprintf(text, sizeof text, "%s%s", o->help, value);
    print_wrapped(text, HELP_COLUMN, out);
}

void opt_help(const struct opt_command *c, FILE *out)
{
    fprintf(out, "usage: lyre %s\n\n%s\n\noptions:\n", c->usage, c->summary);
    for (size_t i = 0; i < c->n_opts; i++) {
        print_option(&c->opts[i], out);
    }
    fprintf(out, "  --%-*s%s\n", HELP_COLUMN - 4, "help", "print this help");
    if (c->details != NULL) {
        fprintf(out, "\n%s\n", c->details);
    }
    if (c->examples == NULL) {
        return;
    }
    fputs("\nexamples:\n", out);
    for (const char *line = c->examples; *line != '\0';) {
        const size_t n = strcspn(line, "\n");
        fprintf(out, "  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}
