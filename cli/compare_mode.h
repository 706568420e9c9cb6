/* The modes of `lyre compare`: short names for sets of options of `lyre train`.
 *
 *     BASE[+PART[=VALUE]]...      sv+select=jcss:8+codec=bf16
 *
 * BASE is sv, or what --transfer may be. A PART is an option of `lyre train`,
 * without a value with one that is worth a try.
 */

#ifndef CLI_COMPARE_MODE_H_
#define CLI_COMPARE_MODE_H_

#include <stddef.h>

#include "core/err.h"

#define COMPARE_MODES_MAX     32
#define COMPARE_MODE_ARGS_MAX 24
#define COMPARE_MODE_SIZE     100 /* Bytes of a name. */

struct compare_mode {
    char name[COMPARE_MODE_SIZE];     /* As it was given. */
    char text[2 * COMPARE_MODE_SIZE]; /* What args point to. */
    size_t n_args;
    const char *args[COMPARE_MODE_ARGS_MAX]; /* "--select", "jcss:8", ... */
};

/* Read "sv,sv+select,powersgd:4" to @modes (COMPARE_MODES_MAX), of a job of
 * @n_peers. A mode points into itself: leave it where it is. Values are looked
 * at by `lyre train`, not here.
 *
 * Errors: ERR_INVALID: the message names the mode, and what there is. */
int compare_modes_parse(struct compare_mode *modes,
                        size_t *n_modes,
                        const char *text,
                        unsigned n_peers,
                        struct err *e);

#endif /* CLI_COMPARE_MODE_H_ */
