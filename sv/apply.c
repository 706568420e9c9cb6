#include "sv/apply.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sv/apply_run.h"

#define ROOM_ALIGN ((size_t)64)
#define HUGE_ALIGN ((size_t)2 << 20)

const char *sv_rule_name(enum sv_rule rule)
{
    static const char *const NAMES[SV_RULE_COUNT] = {
        [SV_PLAIN] = "plain",
        [SV_MOMENTUM] = "momentum",
        [SV_ROWGRAD] = "rowgrad",
        [SV_ADAGRAD] = "adagrad",
    };

    assert((unsigned)rule < SV_RULE_COUNT);
    return NAMES[rule];
}

int sv_state_init(struct sv_state *s,
                  enum sv_rule rule,
                  float eps,
                  size_t K,
                  size_t J,
                  struct err *e)
{
    int rc;

    memset(s, 0, sizeof *s);
    if ((unsigned)rule >= SV_RULE_COUNT) {
        return err_set(e, ERR_INVALID, "no rule %d", (int)rule);
    }
    if ((rule == SV_ROWGRAD || rule == SV_ADAGRAD) &&
        !(eps > 0 && isfinite(eps))) {
        return err_set(e, ERR_INVALID, "eps %g of %s: above 0 is needed",
                       (double)eps, sv_rule_name(rule));
    }
    s->rule = rule;
    s->eps = eps;
    rc = mat_init(&s->w, K, J, e);
    if (rc == 0 && (rule == SV_MOMENTUM || rule == SV_ADAGRAD)) {
        rc = mat_init(&s->aux, K, J, e);
    }
    if (rc == 0 && rule == SV_ROWGRAD) {
        s->h = calloc(K, sizeof *s->h);
        if (s->h == NULL) {
            rc = err_set(e, ERR_NOMEM, "sums of %zu rows: out of memory", K);
        }
    }
    if (rc != 0) {
        sv_state_fini(s);
    }
    return rc;
}

void sv_state_fini(struct sv_state *s)
{
    mat_fini(&s->w);
    mat_fini(&s->aux);
    free(s->h);
    memset(s, 0, sizeof *s);
}

int sv_room_reserve(struct sv_room *r,
                    size_t count,
                    size_t size,
                    bool zero,
                    struct err *e)
{
    size_t bytes, align;
    void *data;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 4) {
        return err_set(e, ERR_NOMEM, "scratch memory of %zu x %zu bytes", count,
                       size);
    }
    if (bytes <= r->size && r->data != NULL) {
        return 0;
    }
    bytes += bytes / 4; /* Calls that grow slowly should not all allocate. */
    align = bytes >= 2 * HUGE_ALIGN ? HUGE_ALIGN : ROOM_ALIGN;
    bytes = (bytes / align + 1) * align; /* Never nothing. */
    data = aligned_alloc(align, bytes);
    if (data == NULL) {
        return err_set(e, ERR_NOMEM, "scratch memory of %zu bytes", bytes);
    }
    if (align == HUGE_ALIGN) {
        madvise(data, bytes, MADV_HUGEPAGE); /* Refused: it is slower. */
    }
    if (zero) {
        memset(data, 0, bytes);
    }
    free(r->data);
    r->data = data;
    r->size = bytes;
    return 0;
}

struct sv_apply *sv_apply_create(void)
{
    return calloc(1, sizeof(struct sv_apply));
}

void sv_apply_destroy(struct sv_apply *x)
{
    if (x == NULL) {
        return;
    }
    for (size_t t = 0; t < x->n_threads; t++) {
        free(x->threads[t].counts.data);
        free(x->threads[t].rows.data);
        free(x->threads[t].ends.data);
        free(x->threads[t].values.data);
        free(x->threads[t].panels.data);
        free(x->threads[t].block.data);
    }
    free(x->threads);
    free(x->pieces.data);
    free(x->wholes.data);
    free(x->pairs.data);
    free(x->spread.data);
    free(x->packed.data);
    free(x->heads.data);
    free(x->records.data);
    free(x->pair.data);
    free(x->v.data);
    free(x->sums.data);
    free(x);
}

static int reserve_threads(struct sv_apply *x, size_t n, struct err *e)
{
    struct sv_apply_thread *threads;

    if (n <= x->n_threads) {
        return 0;
    }
    threads = realloc(x->threads, n * sizeof *threads);
    if (threads == NULL) {
        return err_set(e, ERR_NOMEM, "scratch memory of %zu threads", n);
    }
    memset(threads + x->n_threads, 0, (n - x->n_threads) * sizeof *threads);
    x->threads = threads;
    x->n_threads = n;
    return 0;
}

/* All memory that all runs will need, before the first one changes W. */
static int reserve(struct sv_apply *x,
                   const struct sv_state *s,
                   struct sv_cursor c,
                   size_t lanes,
                   struct err *e)
{
    struct sv_run run;
    int rc;

    rc =
        sv_room_reserve(&x->pieces, c.n_ops, sizeof(struct sv_piece), false, e);
    if (rc == 0) {
        rc = sv_room_reserve(&x->wholes, c.n_ops, sizeof(struct sv_whole),
                             false, e);
    }
    while (rc == 0 && sv_run_next(&c, x, s, lanes, &run)) {
        rc = sv_run_reserve(x, s, &run, e);
    }
    return rc;
}

static void carry_out(struct sv_job *job)
{
    switch (job->run->engine) {
    case SV_GROUPED:
        sv_run_grouped(job);
        break;
    case SV_TILES:
        sv_run_tiles(job);
        break;
    case SV_ROWS:
        sv_run_rows(job);
        break;
    case SV_MIX:
        sv_run_mix(job);
        break;
    }
}

int sv_apply_ops(struct sv_apply *x,
                 struct sv_state *s,
                 const struct sv_op *ops,
                 size_t n_ops,
                 struct pool *pool,
                 struct err *e)
{
    const struct sv_kernel *kernel = sv_kernel_get();
    struct sv_cursor c = {.ops = ops, .n_ops = n_ops};
    struct sv_run run;
    int rc = reserve_threads(x, pool_threads(pool), e);

    if (rc == 0) {
        rc = reserve(x, s, c, kernel->lanes, e);
    }
    if (rc != 0) {
        return err_wrap(e, rc, "apply");
    }
    while (sv_run_next(&c, x, s, kernel->lanes, &run)) {
        struct sv_job job = {.x = x, .s = s, .kernel = kernel, .run = &run};
        job.pool = run.serial ? NULL : pool;
        job.sort_pool = run.sort_serial ? NULL : pool;
        job.parts = pool_threads(job.sort_pool);
        carry_out(&job);
    }
    return 0;
}
