/* One line of a file after the other, for formats that are read in order. */

#ifndef DATASET_LINER_H_
#define DATASET_LINER_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "dataset/input.h"

struct dataset_liner {
    struct dataset_input *in; /* Borrowed. */
    struct buf text;
    size_t at; /* Where the next line begins in text. */
    bool ended;
    uint64_t line;   /* Number of the last one, from 1. */
    const char *p;   /* The last line, without its end. */
    const char *end; /* Where "\n" or "\r\n" stands. */
};

void dataset_liner_init(struct dataset_liner *l, struct dataset_input *in);
void dataset_liner_fini(struct dataset_liner *l);

/* Go to the next line. Returns 1, or 0 behind the last one.
 *
 * Errors: ERR_CORRUPT: a zero byte, bad gzip data; ERR_IO, ERR_NOMEM. */
int dataset_liner_next(struct dataset_liner *l, struct err *e);

/* Whether the line holds more than blanks. */
bool dataset_liner_is_row(const struct dataset_liner *l);

#endif /* DATASET_LINER_H_ */
