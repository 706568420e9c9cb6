#include "select/select.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "core/hash.h"
#include "select/fit.h"
#include "select/gram.h"
#include "select/jcss.h"
#include "select/svd.h"

/* What choosing among n pairs works with. */
struct choice {
    struct select_grams g;
    double *memory;
    double *g1, *g2; /* (n, n). */
    double *w;       /* (n) weights of the chosen. */
    uint64_t *key;   /* (n). */
    uint32_t *index; /* (n) the chosen. */
    uint32_t m;      /* How many. */
};

static int choice_init(struct choice *c, uint32_t n, struct err *e)
{
    size_t square = (size_t)n * n;

    c->memory = malloc((2 * square + n + 1) * sizeof(double) +
                       n * (sizeof *c->key + sizeof *c->index));
    if (c->memory == NULL) {
        return err_set(e, ERR_NOMEM, "select from %u pairs", n);
    }
    c->g1 = c->memory;
    c->g2 = c->g1 + square;
    c->w = c->g2 + square;
    c->key = (uint64_t *)(void *)(c->w + n + 1);
    c->index = (uint32_t *)(void *)(c->key + n);
    c->g = (struct select_grams){.n = n, .g1 = c->g1, .g2 = c->g2};
    return 0;
}

static uint64_t vec_hash(struct sv_vec x)
{
    size_t size = x.nnz * sizeof *x.val;

    return x.idx == NULL ? hash64(x.val, size)
                         : hash64_two(x.idx, size, x.val, size);
}

struct keys {
    const struct sv_batch *in;
    uint64_t *key;
};

/* What a pair is, in a number: ties go by it and not by the order of pairs. */
static void key_task(void *arg, size_t index, size_t thread)
{
    const struct keys *k = arg;
    uint32_t r = (uint32_t)index;
    uint64_t u = vec_hash(sv_vecs_get(&k->in->u, r));
    uint64_t v = vec_hash(sv_vecs_get(&k->in->v, r));
    uint64_t both = hash64_two(&u, sizeof u, &v, sizeof v);

    (void)thread;
    k->key[r] =
        hash64_two(&both, sizeof both, &k->in->coef[r], sizeof *k->in->coef);
}

static int choose(const struct select_spec *s,
                  const struct select_job *job,
                  struct choice *c,
                  struct err *e)
{
    struct select_jcss_options o = {.C = s->C,
                                    .greedy = s->kind != SELECT_JCSS,
                                    .seed = job->seed,
                                    .stream = job->stream};
    struct keys keys = {.in = job->in, .key = c->key};

    if (s->kind == SELECT_ERROR) {
        o.C = c->g.n;
        o.error_max = s->error;
    }
    if (o.greedy) {
        pool_run(job->pool, c->g.n, key_task, &keys);
        o.key = c->key;
    }
    return select_jcss(&c->g, &o, c->index, &c->m, e);
}

/* Pairs that do not count as zero. */
static uint32_t candidates(const struct select_grams *g)
{
    const double zero = select_zero(g);
    uint32_t n = 0;

    for (uint32_t r = 0; r < g->n; r++) {
        size_t at = (size_t)r * g->n + r;
        n += g->g1[at] * g->g2[at] > zero;
    }
    return n;
}

/* Weights of the chosen, and the error that they leave. */
static int weigh(struct choice *c, double *relative_error, struct err *e)
{
    int rc;

    if (c->m == candidates(&c->g)) {
        for (uint32_t i = 0; i < c->m; i++) {
            c->w[i] = 1;
        }
        *relative_error = 0;
        return 0;
    }
    rc = select_fit(&c->g, c->index, c->m, c->w, e);
    if (rc == 0) {
        *relative_error = select_error(&c->g, c->index, c->m, c->w);
    }
    return rc;
}

static int choice_put(const struct choice *c,
                      const struct sv_batch *in,
                      struct sv_batch *out,
                      struct err *e)
{
    for (uint32_t i = 0; i < c->m; i++) {
        uint32_t r = c->index[i];
        float coef = (float)(c->w[i] * (double)in->coef[r]);
        int rc = isfinite(coef)
                     ? sv_batch_append(out, coef, sv_vecs_get(&in->u, r),
                                       sv_vecs_get(&in->v, r), in->sample[r], e)
                     : err_set(e, ERR_NOT_FINITE,
                               "pair %u of %u: its new coef is not finite", r,
                               in->n);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int run_jcss(const struct select_spec *s,
                    const struct select_job *job,
                    struct sv_batch *out,
                    double *relative_error,
                    struct err *e)
{
    const struct sv_batch *in = job->in;
    struct choice c;
    double error;
    int rc = choice_init(&c, in->n, e);

    if (rc != 0) {
        return rc;
    }
    rc = select_gram(&in->u, in->coef, job->pool, c.g1, e);
    if (rc != 0) {
        rc = err_wrap(e, rc, "u");
        goto out;
    }
    rc = select_gram(&in->v, NULL, job->pool, c.g2, e);
    if (rc != 0) {
        rc = err_wrap(e, rc, "v");
        goto out;
    }
    if ((rc = choose(s, job, &c, e)) == 0 && (rc = weigh(&c, &error, e)) == 0 &&
        (rc = choice_put(&c, in, out, e)) == 0) {
        *relative_error = error;
    }
out:
    free(c.memory);
    return rc;
}

int select_run(const struct select_spec *s,
               const struct select_job *job,
               struct sv_batch *out,
               double *relative_error,
               struct err *e)
{
    const struct sv_batch *in = job->in;
    struct select_svd_job svd = {
        .in = in, .C = s->C, .feedback = s->feedback, .pool = job->pool};

    assert(out != in && out->u.len == in->u.len && out->v.len == in->v.len);
    if (in->n > SELECT_N_MAX && s->kind != SELECT_NONE) {
        return err_set(e, ERR_INVALID, "select from %u pairs: up to %d can be",
                       in->n, SELECT_N_MAX);
    }
    sv_batch_reset(out, in->u.sparse, in->v.sparse);
    out->rate = in->rate;
    switch (s->kind) {
    case SELECT_NONE:
        *relative_error = 0;
        return sv_batch_concat(out, in, e);
    case SELECT_JCSS:
    case SELECT_JCSS_GREEDY:
    case SELECT_ERROR:
        return run_jcss(s, job, out, relative_error, e);
    case SELECT_SVD:
        return select_svd(&svd, job->carried, out, relative_error, e);
    default:
        return err_set(e, ERR_INVALID,
                       "selection auto must be decided before pairs are "
                       "selected");
    }
}
