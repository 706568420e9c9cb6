#include "train/until.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[TRAIN_UNTIL_COUNT] =
    {[TRAIN_UNTIL_LOSS] = "loss=", [TRAIN_UNTIL_ACCURACY] = "accuracy="};

static bool is_possible(const struct train_until *u)
{
    return isfinite(u->value) && u->value > 0 &&
           (u->kind != TRAIN_UNTIL_ACCURACY || u->value <= 1);
}

int train_until_parse(struct train_until *u, const char *text, struct err *e)
{
    for (int i = TRAIN_UNTIL_LOSS; i < TRAIN_UNTIL_COUNT; i++) {
        const size_t n = strlen(NAMES[i]);
        struct train_until read = {.kind = (enum train_until_kind)i};
        char *end;
        if (strncmp(text, NAMES[i], n) != 0) {
            continue;
        }
        read.value = strtod(text + n, &end);
        if (end != text + n && *end == '\0' && is_possible(&read)) {
            *u = read;
            return 0;
        }
        break;
    }
    return err_set(e, ERR_INVALID,
                   "\"%s\" is no target: loss=X with X above 0, or accuracy=X"
                   " with X from above 0 to 1",
                   text);
}

void train_until_format(const struct train_until *u,
                        char text[TRAIN_UNTIL_SIZE])
{
    if (u->kind == TRAIN_UNTIL_CLOCKS) {
        text[0] = '\0';
        return;
    }
    snprintf(text, TRAIN_UNTIL_SIZE, "%s%.9g", NAMES[u->kind], u->value);
    if (strtod(text + strlen(NAMES[u->kind]), NULL) != u->value) {
        snprintf(text, TRAIN_UNTIL_SIZE, "%s%.17g", NAMES[u->kind], u->value);
    }
}

bool train_until_reached(const struct train_until *u,
                         double loss,
                         double accuracy)
{
    switch (u->kind) {
    case TRAIN_UNTIL_LOSS:
        return loss <= u->value;
    case TRAIN_UNTIL_ACCURACY:
        return accuracy >= u->value;
    default:
        return false;
    }
}
