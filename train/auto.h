/* Which way of sending costs least: the decision behind `--select auto`.
 *
 * A clock by way i takes
 *
 *     work_i = gradient + select_i + encode_i + apply_i
 *     link_i = bytes_i / link + rounds_i latency
 *     seconds_i = work_i + link_i            where a clock waits for its
 * batches = max(work_i, link_i)        where clocks hide the network
 *
 * (train/cost.h for bytes and rounds). Of the ways that may stand for all pairs
 * the least wins, and all pairs win unless they cost more than TRAIN_AUTO_TIE
 * more. So a slower link never leads to more bytes, but for a tie.
 *
 * Quality comes first. Which ways may stand is not a matter of time:
 *
 *     none     always
 *     jcss:C   if it leaves a relative error of TRAIN_AUTO_ERROR_MAX at most:
 *              what it leaves out is lost. It keeps v sparse
 *     svd:C    with feedback, where v is dense: what it leaves is sent later
 *     matrix   never: it is no selection, but compared, so that a user hears of
 *              --transfer
 *
 * C is a minibatch over TRAIN_AUTO_PART, at least TRAIN_AUTO_C_MIN.
 *
 * What was predicted is then compared with what clocks take, over windows. If
 * TRAIN_AUTO_WRONG windows in a row are off by more than TRAIN_AUTO_OFF, the
 * numbers are fitted to what was measured and the choice is made again. A way
 * that has run counts with what it took, not with what was predicted; one that
 * has not must promise to be better by TRAIN_AUTO_GAIN; and each fit doubles
 * the windows that the next one needs. So it comes to rest.
 *
 * The error is watched, too: a selection that begins to leave out too much is
 * left at the end of its window.
 *
 * Pure functions: the caller measures.
 */

#ifndef TRAIN_AUTO_H_
#define TRAIN_AUTO_H_

#include <stdbool.h>
#include <stdint.h>

#include "select/spec.h"
#include "train/cost.h"

#define TRAIN_AUTO_WAYS_MAX    4
#define TRAIN_AUTO_ERROR_MAX   0.05
#define TRAIN_AUTO_PART        8
#define TRAIN_AUTO_BATCH_MAX   4096 /* Larger minibatches are sent whole. */
#define TRAIN_AUTO_C_MIN       4
#define TRAIN_AUTO_TIE         0.05
#define TRAIN_AUTO_OFF         0.2
#define TRAIN_AUTO_GAIN        0.1
#define TRAIN_AUTO_WRONG       2
#define TRAIN_AUTO_WRONG_MAX   256
#define TRAIN_AUTO_CLOCKS_MIN  20 /* Of a window, */
#define TRAIN_AUTO_SECONDS_MIN 1. /* and how long it is. */
#define TRAIN_AUTO_TEXT_SIZE   384
#define TRAIN_AUTO_OUT_SIZE    48

struct train_auto_way {
    struct select_spec spec;
    bool matrix;   /* The dense gradient, by ring all-reduce. */
    char out[48];  /* Why it may not be chosen; "": it may. */
    double size;   /* Bytes of a batch, encoded. */
    double error;  /* Relative, of the selection. */
    double select; /* Seconds: choosing and rounding, */
    double encode; /* encoding, */
    double apply;  /* decoding and applying the batches of all peers. */
    struct train_cost_traffic traffic;
    double predicted; /* Seconds of a clock. */
    double measured;  /* Seconds of a clock. 0: it has not run. */
};

struct train_auto_options {
    struct train_delivery delivery;
    bool hidden;     /* Clocks hide the network: not bsp. */
    double link;     /* Bytes per second each way. 0: one peer, no link. */
    double latency;  /* Seconds, one way. */
    double gradient; /* Seconds. */
};

/* Sums over the clocks of a window, of one way. */
struct train_auto_window {
    uint64_t n;
    double gradient, select, encode, apply, wait, other; /* Seconds. */
    double wait_min;                                     /* Of one clock. */
    double size;                                         /* Bytes encoded. */
    double error; /* Relative, of the selection. */
};

struct train_auto {
    struct train_auto_options o;
    struct train_auto_way ways[TRAIN_AUTO_WAYS_MAX];
    uint32_t n_ways;
    uint32_t chosen;   /* Index. */
    double other;      /* Seconds of a clock that are none of the above. */
    double overlap;    /* Seconds of the link's that are not waited for. */
    uint32_t n_wrong;  /* Windows in a row. */
    uint32_t patience; /* Windows that are needed. */
    struct train_auto_window window;
};

/* The selections that are worth a comparison for minibatches of @batch samples,
 * all pairs first. Returns how many. */
uint32_t train_auto_specs(uint32_t batch,
                          struct select_spec specs[TRAIN_AUTO_WAYS_MAX]);

/* Those, and the matrix if there are peers, all numbers zero. The caller fills
 * them in. */
void train_auto_init(struct train_auto *a,
                     const struct train_auto_options *o,
                     uint32_t batch);

/* Why a selection that leaves @error may not stand for all pairs: to @out, ""
 * if it may. */
void train_auto_judge(const struct select_spec *s,
                      double error,
                      bool v_sparse,
                      char out[TRAIN_AUTO_OUT_SIZE]);

/* Predict every way from its numbers, and choose. */
void train_auto_choose(struct train_auto *a);

/* The chosen way, never the matrix. */
const struct select_spec *train_auto_spec(const struct train_auto *a);

/* One clock was measured. Returns true if the numbers were fitted and the
 * choice was made again, which may lead to the same way. */
bool train_auto_observe(struct train_auto *a,
                        const struct train_auto_window *clock);

/* Choice and reason, one line: "svd:8, 0.07 s a clock (none 0.52 s, ...): the
 * link moves 11.9 MB/s". */
void train_auto_format(const struct train_auto *a,
                       char text[TRAIN_AUTO_TEXT_SIZE]);

#endif /* TRAIN_AUTO_H_ */
