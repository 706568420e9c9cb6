#include "train/choice.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "select/select.h"

int train_choice_init(struct train_choice *c,
                      const struct train_replica *replica,
                      uint32_t self,
                      struct err *e)
{
    const struct select_spec *spec = &replica->run.select;
    const bool carries = spec->kind == SELECT_AUTO ||
                         (spec->kind == SELECT_SVD && spec->feedback > 0);
    size_t n = replica->n_states;

    memset(c, 0, sizeof *c);
    c->run = &replica->run;
    c->self = self;
    if (spec->kind == SELECT_NONE) {
        return 0;
    }
    if (spec->kind != SELECT_AUTO) {
        c->spec = *spec;
    }
    c->chosen = calloc(n, sizeof *c->chosen);
    if (carries) {
        c->carried = calloc(n, sizeof *c->carried);
    }
    if (c->chosen == NULL || (carries && c->carried == NULL)) {
        return err_set(e, ERR_NOMEM, "selection of %zu matrices", n);
    }
    c->n = n;
    for (size_t i = 0; i < n; i++) {
        struct model_param p = replica->ops->param(replica->model, i);
        sv_batch_init(&c->chosen[i], p.J, p.K);
        if (c->carried != NULL) {
            sv_batch_init(&c->carried[i], p.J, p.K);
        }
    }
    return 0;
}

void train_choice_fini(struct train_choice *c)
{
    for (size_t i = 0; i < c->n; i++) {
        sv_batch_fini(&c->chosen[i]);
        if (c->carried != NULL) {
            sv_batch_fini(&c->carried[i]);
        }
    }
    free(c->chosen);
    free(c->carried);
    memset(c, 0, sizeof *c);
}

void train_choice_set(struct train_choice *c, const struct select_spec *spec)
{
    assert(c->run->select.kind == SELECT_AUTO && spec->kind != SELECT_AUTO);
    c->spec = *spec;
}

/* The way of this clock: under auto, what a way left behind that carries is
 * sent with all pairs of the clock, which are no more than their rank. */
static struct select_spec
spec_of(const struct train_choice *c, size_t i, uint32_t n)
{
    const bool stays = c->spec.kind == SELECT_SVD && c->spec.feedback > 0;
    struct select_spec spec = c->spec;

    if (c->carried != NULL && !stays && c->carried[i].n > 0) {
        spec =
            (struct select_spec){.kind = SELECT_SVD, .C = n + c->carried[i].n};
    }
    return spec;
}

int train_choice_make(struct train_choice *c,
                      size_t i,
                      uint64_t clock,
                      struct sv_batch *batch,
                      struct pool *pool,
                      double *relative_error,
                      struct err *e)
{
    struct select_job job = {
        .in = batch,
        .carried = c->carried == NULL ? NULL : &c->carried[i],
        .seed = c->run->seed,
        .stream = rng_stream(RNG_SELECT, (uint64_t)c->self << 16 | i, clock),
        .pool = pool};
    const struct select_spec spec = spec_of(c, i, batch->n);
    struct sv_batch all = *batch;
    int rc;

    *relative_error = 0;
    if (spec.kind == SELECT_NONE) {
        return 0;
    }
    rc = select_run(&spec, &job, &c->chosen[i], relative_error, e);
    if (rc != 0) {
        return err_wrap(e, rc, "selection");
    }
    *batch = c->chosen[i]; /* The memory changes sides. */
    c->chosen[i] = all;
    return 0;
}

int train_choice_write(struct train_choice *c,
                       uint64_t clock,
                       struct buf *out,
                       struct sv_codec_scratch *s,
                       struct err *e)
{
    struct sv_codec_options options = s->options;
    int rc = 0;

    memset(&s->options, 0, sizeof s->options); /* It must come back exactly. */
    for (size_t i = 0; rc == 0 && c->carried != NULL && i < c->n; i++) {
        struct sv_record r = {.kind = SV_RECORD_CARRY,
                              .origin = c->self,
                              .clock = clock,
                              .matrix = (uint16_t)i};
        if (c->run->select.kind != SELECT_AUTO || c->carried[i].n > 0) {
            rc = sv_codec_encode(out, &r, &c->carried[i], s, e);
        }
    }
    s->options = options;
    return rc;
}

/* Looking for the record of one matrix; of several with one clock, which a
 * resumed peer may have written, the last. */
struct search {
    uint32_t origin;
    uint64_t clock;
    uint16_t matrix;
    struct ckpt_record_info found;
    bool any;
};

static int look(void *arg, const struct ckpt_record_info *info)
{
    struct search *s = arg;

    if (info->record.origin == s->origin && info->record.clock == s->clock &&
        info->record.matrix == s->matrix) {
        s->found = *info;
        s->any = true;
    }
    return info->record.clock > s->clock;
}

int train_choice_read(struct train_choice *c,
                      const struct ckpt_reader *log,
                      uint64_t clock,
                      struct sv_codec_scratch *s,
                      struct err *e)
{
    for (size_t i = 0; c->carried != NULL && clock > 0 && i < c->n; i++) {
        struct search at = {
            .origin = c->self, .clock = clock, .matrix = (uint16_t)i};
        struct sv_record r;
        int rc = ckpt_reader_each(log, SV_RECORD_CARRY, look, &at, e);
        if (rc < 0) {
            return rc;
        }
        if (!at.any &&
            (c->run->select.kind == SELECT_AUTO ||
             (c->run->branch != 0 && c->run->branch_clock == clock))) {
            continue; /* Nothing was, or it was another way until here. */
        }
        if (!at.any) {
            return err_set(e, ERR_NOT_FOUND,
                           "the log does not say what was carried to clock"
                           " %" PRIu64,
                           clock);
        }
        rc = sv_codec_decode(&c->carried[i], &r,
                             at.found.payload - SV_RECORD_SIZE,
                             (size_t)at.found.size, s, e);
        if (rc != 0) {
            return err_wrap(e, rc, "what was carried to clock %" PRIu64, clock);
        }
    }
    return 0;
}
