/* Dense v and dense u: GEMM whose accumulator starts from W, in blocks.
 *
 * c = coef u is packed once for all: blocks of up to SV_TILES_PAIRS pairs, and
 * in them panels of nr columns, so that a tile reads it front to back. Then
 * tasks take some rows each, pack their part of v, which is where
 * rowgrad turns v into steps, and hold a part of W as wide as the cache allows
 * through all pairs and all ops on whole matrices.
 *
 * Source: the blocking is that of Goto and van de Geijn, "Anatomy of
 * high-performance matrix multiplication", ACM TOMS 2008.
 */

#include <string.h>

#include "sv/apply_run.h"

#define WIDTH 960 /* Columns of W that are held, a multiple of all nr. */

/* What comes next in a run: a block of pairs, or an op on whole matrices. */
struct step {
    size_t from;
    size_t n; /* Pairs, 0: the whole op. */
    const struct sv_whole *whole;
    size_t n_wholes; /* Passed so far. */
};

static bool step_next(const struct sv_job *job, struct step *s)
{
    const struct sv_whole *wholes = job->x->wholes.data;
    size_t end = job->run->n_pairs;

    s->from += s->n;
    s->n = 0;
    if (s->n_wholes < job->run->n_wholes) {
        s->whole = &wholes[s->n_wholes];
        if (s->whole->at == s->from) {
            s->n_wholes++;
            return true;
        }
        end = s->whole->at;
    }
    s->n = end - s->from < SV_TILES_PAIRS ? end - s->from : SV_TILES_PAIRS;
    return s->n > 0;
}

static void pack_c_task(void *arg, size_t panel, size_t thread)
{
    const struct sv_job *job = arg;
    const struct sv_kernel *kernel = job->kernel;
    const struct sv_pair *pairs = job->x->pairs.data;
    size_t cols = job->s->w.ld, j = panel * kernel->nr;
    size_t width = cols - j < kernel->nr ? cols - j : kernel->nr;
    struct step s = {0};

    (void)thread;
    while (step_next(job, &s)) {
        float *c = (float *)job->x->packed.data + s.from * cols + j * s.n;
        for (size_t r = s.from; r < s.from + s.n; r++) {
            kernel->scale(c, pairs[r].u + j, width, pairs[r].coef);
            c += width;
        }
    }
}

/* Pack rows k..k+15 of v of one step: 16 / mr panels (n, mr). */
static void pack_block(const struct sv_job *job,
                       size_t k,
                       const struct step *s,
                       float *block,
                       float *panel)
{
    size_t mr = job->kernel->mr;

    sv_block_read(job, k, s->from, s->n, block);
    for (size_t i = 0; i < SV_BLOCK; i += mr) {
        for (size_t r = 0; r < s->n; r++) {
            memcpy(panel, block + r * SV_BLOCK + i, mr * sizeof *panel);
            panel += mr;
        }
    }
}

/* Rows [k, end) of v, all steps in order: step s is at s.from * height. */
static void pack_v(const struct sv_job *job,
                   size_t k,
                   size_t end,
                   struct sv_apply_thread *mine)
{
    struct step s = {0};

    while (step_next(job, &s)) {
        float *panel = (float *)mine->panels.data + s.from * SV_TILES_ROWS;
        for (size_t i = k; i < end && s.n > 0; i += SV_BLOCK) {
            pack_block(job, i, &s, mine->block.data, panel);
            panel += SV_BLOCK * s.n;
        }
    }
}

struct area {
    size_t k, k_end; /* Rows. */
    size_t j, width; /* Columns. */
};

static void whole_on(const struct sv_job *job,
                     const struct area *a,
                     const struct sv_whole *whole)
{
    for (size_t k = a->k; k < a->k_end; k++) {
        sv_whole_apply(job, whole,
                       (struct sv_part){.k = k, .j = a->j, .cols = a->width});
    }
}

static void pairs_on(const struct sv_job *job,
                     const struct area *a,
                     const struct step *s,
                     const float *panels)
{
    const struct mat *target =
        job->s->rule == SV_MOMENTUM ? &job->s->aux : &job->s->w;
    size_t mr = job->kernel->mr;
    struct sv_strip t = {.n = s->n, .ld = target->ld, .cols = a->width};

    t.c = (float *)job->x->packed.data + s->from * target->ld + a->j * s->n;
    t.v = panels + s->from * SV_TILES_ROWS;
    for (size_t k = a->k; k < a->k_end; k += mr) {
        t.w = mat_row(target, k) + a->j;
        t.rows = a->k_end - k < mr ? a->k_end - k : mr;
        job->kernel->strip(&t);
        t.v += s->n * mr;
    }
}

static void tiles_task(void *arg, size_t index, size_t thread)
{
    const struct sv_job *job = arg;
    struct sv_apply_thread *mine = &job->x->threads[thread];
    size_t K = job->s->w.K, cols = job->s->w.ld;
    struct area a = {.k = index * job->tile_rows};

    a.k_end = K - a.k < job->tile_rows ? K : a.k + job->tile_rows;
    pack_v(job, a.k, a.k_end, mine);
    for (; a.j < cols; a.j += WIDTH) {
        struct step s = {0};
        a.width = cols - a.j < WIDTH ? cols - a.j : WIDTH;
        while (step_next(job, &s)) {
            if (s.n == 0) {
                whole_on(job, &a, s.whole);
            } else {
                pairs_on(job, &a, &s, mine->panels.data);
            }
        }
    }
}

/* As many rows as the cache takes, but some tasks for each thread. */
static size_t choose_rows(const struct sv_job *job)
{
    size_t rows = job->s->w.K / (4 * pool_threads(job->pool));

    rows = (rows / SV_BLOCK + 1) * SV_BLOCK;
    return rows < SV_TILES_ROWS ? rows : SV_TILES_ROWS;
}

void sv_run_tiles(struct sv_job *job)
{
    size_t nr = job->kernel->nr, cols = job->s->w.ld, K = job->s->w.K;

    job->tile_rows = choose_rows(job);
    sv_pairs_prepare(job, 0, job->run->n_pairs);
    pool_run(job->pool, (cols + nr - 1) / nr, pack_c_task, job);
    pool_run(job->pool, (K + job->tile_rows - 1) / job->tile_rows, tiles_task,
             job);
}
