/* A target at which a job ends before its last clock: --until.
 *
 *     loss=X       the loss on the test set is X or less
 *     accuracy=X   the accuracy on the test set is X or more
 */

#ifndef TRAIN_UNTIL_H_
#define TRAIN_UNTIL_H_

#include <stdbool.h>

#include "core/err.h"

#define TRAIN_UNTIL_SIZE 40 /* Bytes of a formatted target. */

enum train_until_kind {
    TRAIN_UNTIL_CLOCKS, /* None: the job ends at its last clock. */
    TRAIN_UNTIL_LOSS,
    TRAIN_UNTIL_ACCURACY,
    TRAIN_UNTIL_COUNT
};

struct train_until {
    enum train_until_kind kind;
    double value; /* Nats, or a share from 0 to 1. */
};

/* Errors: ERR_INVALID, the message says what there is. */
int train_until_parse(struct train_until *u, const char *text, struct err *e);

/* "loss=1.5"; "" where there is no target. What it writes is parsed to the same
 * number. */
void train_until_format(const struct train_until *u,
                        char text[TRAIN_UNTIL_SIZE]);

/* Whether a model of this loss and accuracy is there; NaN never is. */
bool train_until_reached(const struct train_until *u,
                         double loss,
                         double accuracy);

#endif /* TRAIN_UNTIL_H_ */
