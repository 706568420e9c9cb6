/* What travels between peers, as text and as numbers:
 *
 *     sv                 sufficient vectors
 *     matrix-ps          the dense update of each peer, by ranges of rows, to
 *                        owners that add them, and the sum back
 *     matrix-allreduce   the same by a ring: each byte once to and once fro
 *     powersgd:R         an approximation of the sum, of rank R
 *     auto               sv or matrix-allreduce, whichever sends fewer bytes
 */

#ifndef TRAIN_TRANSFER_SPEC_H_
#define TRAIN_TRANSFER_SPEC_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

#define TRAIN_TRANSFER_TEXT_SIZE 24

enum train_transfer_kind {
    TRAIN_TRANSFER_SV = 0,
    TRAIN_TRANSFER_MATRIX_PS,
    TRAIN_TRANSFER_MATRIX_ALLREDUCE,
    TRAIN_TRANSFER_POWERSGD,
    TRAIN_TRANSFER_AUTO,
    TRAIN_TRANSFER_COUNT
};

struct train_transfer_spec {
    enum train_transfer_kind kind;
    uint32_t rank; /* powersgd: R, from 1. Else 0. */
};

/* Errors: ERR_INVALID  the message says what there is. @s is unchanged. */
int train_transfer_parse(struct train_transfer_spec *s,
                         const char *text,
                         struct err *e);

/* Write what train_transfer_parse() reads. */
void train_transfer_format(const struct train_transfer_spec *s,
                           char text[TRAIN_TRANSFER_TEXT_SIZE]);

/* What auto comes to for a matrix (K, J), minibatches of @batch samples and
 * @n_peers peers: sv where the data are sparse, or where its bytes,
 * batch (J + K) (P - 1), are not more than those of the matrix,
 * 2 J K (P - 1) / P. A function of what all peers know. */
enum train_transfer_kind train_transfer_choose(uint64_t J,
                                               uint64_t K,
                                               uint32_t batch,
                                               uint32_t n_peers,
                                               bool sparse);

#endif /* TRAIN_TRANSFER_SPEC_H_ */
