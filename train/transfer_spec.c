#include "train/transfer_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/cost.h"
#include "train/powersgd.h"

static const char *const NAMES[TRAIN_TRANSFER_COUNT] = {
    "sv", "matrix-ps", "matrix-allreduce", "powersgd", "auto"};

static int parse_rank(uint32_t *rank, const char *text)
{
    char *end;
    unsigned long r = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || r == 0 ||
        r > TRAIN_POWERSGD_RANK_MAX) {
        return ERR_INVALID;
    }
    *rank = (uint32_t)r;
    return 0;
}

int train_transfer_parse(struct train_transfer_spec *s,
                         const char *text,
                         struct err *e)
{
    size_t length = strcspn(text, ":");

    for (int i = 0; i < TRAIN_TRANSFER_COUNT; i++) {
        struct train_transfer_spec x = {.kind = (enum train_transfer_kind)i};
        bool ranked = i == TRAIN_TRANSFER_POWERSGD;
        if (strncmp(text, NAMES[i], length) != 0 || NAMES[i][length] != '\0') {
            continue;
        }
        if (ranked != (text[length] == ':') ||
            (ranked && parse_rank(&x.rank, text + length + 1) != 0)) {
            break;
        }
        *s = x;
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "%s: there are sv, matrix-ps, matrix-allreduce, powersgd:R "
                   "with R from 1 to %d, and auto",
                   text, TRAIN_POWERSGD_RANK_MAX);
}

void train_transfer_format(const struct train_transfer_spec *s,
                           char text[TRAIN_TRANSFER_TEXT_SIZE])
{
    if (s->kind == TRAIN_TRANSFER_POWERSGD) {
        snprintf(text, TRAIN_TRANSFER_TEXT_SIZE, "%s:%u", NAMES[s->kind],
                 s->rank);
    } else {
        snprintf(text, TRAIN_TRANSFER_TEXT_SIZE, "%s", NAMES[s->kind]);
    }
}

enum train_transfer_kind train_transfer_choose(uint64_t J,
                                               uint64_t K,
                                               uint32_t batch,
                                               uint32_t n_peers,
                                               bool sparse)
{
    double pair = (double)(J + K) * sizeof(float);

    return sparse || batch <= train_cost_break_even(J, K, n_peers, pair)
               ? TRAIN_TRANSFER_SV
               : TRAIN_TRANSFER_MATRIX_ALLREDUCE;
}
