#include "train/mix.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

int train_mix_init(struct train_mix *m,
                   struct train_replica *replica,
                   uint32_t self,
                   struct err *e)
{
    const struct train_delivery d =
        train_run_delivery(&replica->run, replica->run.clocks);

    memset(m, 0, sizeof *m);
    sv_rows_init(&m->block);
    m->replica = replica;
    m->self = self;
    if (!train_delivery_mixes(&d)) {
        return 0;
    }
    m->every = replica->run.repair_clocks;
    return train_pieces_init(&m->pieces, replica->states, replica->n_states,
                             TRAIN_PIECE_FLOATS, e);
}

void train_mix_fini(struct train_mix *m)
{
    sv_rows_fini(&m->block);
    train_pieces_fini(&m->pieces);
    memset(m, 0, sizeof *m);
}

struct train_exchange_options train_mix_options(const struct train_mix *m)
{
    enum train_exchange_kind kind = TRAIN_EXCHANGE_NONE;

    if (m->every > 0) {
        kind = m->replica->run.repair == TRAIN_REPAIR_SYNC
                   ? TRAIN_EXCHANGE_STAR
                   : TRAIN_EXCHANGE_SHIFT;
    }
    return (struct train_exchange_options){.kind = kind,
                                           .every = m->every,
                                           .n_pieces = m->pieces.n,
                                           .floats = m->pieces.floats};
}

int train_mix_hand_in(struct train_mix *m,
                      struct train_hub *hub,
                      uint64_t clock,
                      struct err *e)
{
    uint32_t i = 0, end = 0;
    int rc = 0;

    if (m->every > 0) {
        train_exchange_due(m->pieces.n, m->every, clock, &i, &end);
    }
    for (; rc == 0 && i < end; i++) {
        const struct train_piece *p = &m->pieces.at[i];
        struct blob *body = train_exchange_body(m->pieces.floats[i]);
        if (body == NULL) {
            return err_set(e, ERR_NOMEM, "part of %u numbers",
                           m->pieces.floats[i]);
        }
        sv_rows_copy(train_exchange_floats(body),
                     &m->replica->states[p->matrix], p->first, p->n);
        rc = train_hub_part(hub, i, clock, body);
        blob_unref(body);
        if (rc != 0) {
            err_set(e, rc, "%s", err_str(rc));
        }
    }
    return rc;
}

/* m->block becomes result minus own part. */
static int difference(struct train_mix *m,
                      const struct train_exchange_result *r,
                      struct err *e)
{
    const struct train_piece *p = &m->pieces.at[r->piece];
    const float *part = train_exchange_floats(r->part);
    const float *result = train_exchange_floats(r->result);
    int rc = sv_rows_resize(&m->block, p->first, p->n, p->width, e);
    bool finite = true;

    for (size_t i = 0; rc == 0 && i < m->pieces.floats[r->piece]; i++) {
        m->block.values[i] = result[i] - part[i];
        finite = finite && isfinite(m->block.values[i]);
    }
    if (rc == 0 && !finite) {
        rc = err_set(e, ERR_NOT_FINITE,
                     "rows from %u on of matrix %u, exchanged in round %" PRIu64
                     ", are not finite",
                     p->first, p->matrix, r->round);
    }
    return rc;
}

static int add(struct train_mix *m,
               const struct train_exchange_result *r,
               struct sv_apply *apply,
               struct ckpt_step *step,
               struct buf *records,
               struct err *e)
{
    const struct train_piece *p = &m->pieces.at[r->piece];
    struct sv_op op = {.kind = SV_OP_MIX, .rows = &m->block};
    struct ckpt_op logged = {
        .kind = SV_OP_MIX, .matrix = p->matrix, .sequence = p->number};
    struct sv_record record = {.origin = m->self,
                               .clock = step->clock,
                               .matrix = p->matrix,
                               .sequence = p->number};
    int rc = difference(m, r, e);

    if (rc == 0 && records != NULL) {
        rc = sv_rows_encode(records, &record, &m->block, e);
    }
    rc = rc != 0 ? rc : ckpt_step_add(step, &logged, e);
    return rc != 0 ? rc
                   : sv_apply_ops(apply, &m->replica->states[p->matrix], &op, 1,
                                  m->replica->pool, e);
}

int train_mix_apply(struct train_mix *m,
                    const struct train_exchange_result *results,
                    size_t n_results,
                    struct sv_apply *apply,
                    struct ckpt_step *step,
                    struct buf *records,
                    struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n_results; i++) {
        rc = add(m, &results[i], apply, step, records, e);
    }
    return rc;
}
