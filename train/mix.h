/* How a replica takes part in the rounds of train/exchange.h: --repair sync:S
 * and rotate:S.
 *
 * The compute thread copies what is due when it is in W_c, and adds result
 * minus own part when a gate brings a result: an op SV_OP_MIX, behind those of
 * the batches, whose numbers stand in a record SV_RECORD_ROWS before the step.
 * Sums that only grow (h, and those of AdaGrad) do not fall below 0 by it: the
 * own part is no more than what is there, and the result is not below 0.
 */

#ifndef TRAIN_MIX_H_
#define TRAIN_MIX_H_

#include "ckpt/step.h"
#include "core/buf.h"
#include "sv/rows.h"
#include "train/hub.h"
#include "train/pieces.h"
#include "train/replica.h"

struct train_mix {
    struct train_replica *replica; /* Not owned. */
    uint32_t self;
    uint32_t every; /* S, clocks. 0: there are no rounds. */
    struct train_pieces pieces;
    struct sv_row_block block; /* What is added. */
};

/* What the repair of @replica's run asks for. Errors: those of
 * train_pieces_init(); @m needs fini all the same. */
int train_mix_init(struct train_mix *m,
                   struct train_replica *replica,
                   uint32_t self,
                   struct err *e);
void train_mix_fini(struct train_mix *m);

/* The options of the exchange that goes with it, but for the peers', clocks'
 * and patience. Valid as long as @m. */
struct train_exchange_options train_mix_options(const struct train_mix *m);

/* The replica is in W_@clock: hand in what is due. Errors: ERR_NOMEM. */
int train_mix_hand_in(struct train_mix *m,
                      struct train_hub *hub,
                      uint64_t clock,
                      struct err *e);

/* Add what @results bring. The ops go to @step, and the records that they name
 * to @records, if it is not NULL.
 *
 * Errors: ERR_NOT_FINITE (the message names the clock), ERR_NOMEM. */
int train_mix_apply(struct train_mix *m,
                    const struct train_exchange_result *results,
                    size_t n_results,
                    struct sv_apply *apply,
                    struct ckpt_step *step,
                    struct buf *records,
                    struct err *e);

#endif /* TRAIN_MIX_H_ */
