#include "cli/compare_mode.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bases; those but the first are values of --transfer. */
static const struct {
    const char *name;
    bool counted; /* ":R" follows. */
} BASES[] = {{"sv", false},
             {"matrix-ps", false},
             {"matrix-allreduce", false},
             {"powersgd", true}};
#define BASES_TEXT "sv, matrix-ps, matrix-allreduce or powersgd:R"

static const struct {
    const char *name;  /* Of the option. */
    const char *value; /* Where none is given. NULL: one must be. */
} PARTS[] = {{"select", "auto"}, {"multicast", "random:2"},
             {"codec", "bf16"},  {"consistency", NULL},
             {"repair", NULL},   {"sparsify", NULL},
             {"batch", NULL},    {"lr", NULL},
             {"optimizer", NULL}};
#define PARTS_TEXT                                                    \
    "select, multicast, codec, consistency, repair, sparsify, batch," \
    " lr or optimizer"

#define N_OF(TABLE) (sizeof(TABLE) / sizeof *(TABLE))

/* Append "--<option>" and <value>. What does not fit was refused before: a name
 * is shorter than its options by a constant for each part. */
static void
add(struct compare_mode *m, size_t *used, const char *option, const char *value)
{
    const char *words[2] = {option, value};

    for (size_t i = 0; i < 2; i++) {
        char *at = m->text + *used;
        *used += (size_t)snprintf(at, sizeof m->text - *used, "%s%s",
                                  i == 0 ? "--" : "", words[i]) +
                 1;
        m->args[m->n_args++] = at;
    }
}

static bool add_base(struct compare_mode *m, size_t *used, const char *word)
{
    for (size_t i = 0; i < N_OF(BASES); i++) {
        const size_t n = strlen(BASES[i].name);
        if (strncmp(word, BASES[i].name, n) == 0 &&
            (BASES[i].counted ? word[n] == ':' && word[n + 1] != '\0'
                              : word[n] == '\0')) {
            if (i > 0) {
                add(m, used, "transfer", word);
            }
            return true;
        }
    }
    return false;
}

/* The value of a part without one. Few peers have few to send to. */
static const char *standard(size_t part, unsigned n_peers)
{
    return strcmp(PARTS[part].name, "multicast") == 0 && n_peers <= 3
               ? "random:1"
               : PARTS[part].value;
}

static bool add_part(struct compare_mode *m,
                     size_t *used,
                     const char *word,
                     unsigned n_peers)
{
    const size_t n = strcspn(word, "=");

    for (size_t i = 0; i < N_OF(PARTS); i++) {
        const char *value =
            word[n] == '=' ? word + n + 1 : standard(i, n_peers);
        if (strncmp(word, PARTS[i].name, n) != 0 || PARTS[i].name[n] != '\0') {
            continue;
        }
        if (value == NULL || *value == '\0') {
            return false;
        }
        add(m, used, PARTS[i].name, value);
        return true;
    }
    return false;
}

/* m->name is there. Cut it at its signs. */
static int mode_parse(struct compare_mode *m, unsigned n_peers, struct err *e)
{
    char words[COMPARE_MODE_SIZE], *rest = NULL, *word;
    size_t used = 0;

    snprintf(words, sizeof words, "%s", m->name);
    word = strtok_r(words, "+", &rest);
    if (word == NULL || !add_base(m, &used, word)) {
        return err_set(e, ERR_INVALID,
                       "\"%s\" is no mode: it begins with " BASES_TEXT,
                       m->name);
    }
    while ((word = strtok_r(NULL, "+", &rest)) != NULL) {
        /* Each word takes "--" and two ends more than it has; and a value. */
        if (m->n_args + 2 > COMPARE_MODE_ARGS_MAX ||
            used + strlen(word) + 16 > sizeof m->text) {
            return err_set(e, ERR_INVALID, "\"%s\" has too many parts",
                           m->name);
        }
        if (!add_part(m, &used, word, n_peers)) {
            return err_set(e, ERR_INVALID,
                           "\"%s\": +%s is none of the parts of a mode, or has"
                           " no value: " PARTS_TEXT ", as in sv+select=jcss:8",
                           m->name, word);
        }
    }
    return 0;
}

/* A comma parts modes, but in sv+codec=u=bf16,v=f32 it does not: what follows
 * one is a mode only if it begins as one. */
static size_t length(const char *text)
{
    size_t n = strcspn(text, ",");

    while (text[n] == ',' && strchr("uv", text[n + 1]) != NULL &&
           text[n + 1] != '\0' && text[n + 2] == '=') {
        n += 1 + strcspn(text + n + 1, ",");
    }
    return n;
}

static bool is_there(const struct compare_mode *modes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(modes[i].name, modes[n].name) == 0) {
            return true;
        }
    }
    return false;
}

int compare_modes_parse(struct compare_mode *modes,
                        size_t *n_modes,
                        const char *text,
                        unsigned n_peers,
                        struct err *e)
{
    *n_modes = 0;
    for (bool more = true; more; (*n_modes)++) {
        const size_t n = length(text);
        struct compare_mode *m = &modes[*n_modes];
        int rc;
        if (*n_modes == COMPARE_MODES_MAX) {
            return err_set(e, ERR_INVALID, "more than %d modes",
                           COMPARE_MODES_MAX);
        }
        memset(m, 0, sizeof *m);
        if (n >= sizeof m->name || memchr(text, '/', n) != NULL) {
            return err_set(e, ERR_INVALID,
                           "\"%.*s\" is no mode: too long, or with a slash",
                           (int)n, text);
        }
        memcpy(m->name, text, n);
        rc = mode_parse(m, n_peers, e);
        if (rc != 0) {
            return rc;
        }
        if (is_there(modes, *n_modes)) {
            return err_set(e, ERR_INVALID, "\"%s\" is there twice", m->name);
        }
        more = text[n] == ',';
        text += n + more;
    }
    return 0;
}
