#include "sv/apply.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *sv_rule_name(enum sv_rule rule)
{
    static const char *const NAMES[SV_RULE_COUNT] = {
        [SV_PLAIN] = "plain",
        [SV_MOMENTUM] = "momentum",
        [SV_ROWGRAD] = "rowgrad",
        [SV_ADAGRAD] = "adagrad",
    };

    assert(rule < SV_RULE_COUNT);
    return NAMES[rule];
}

int sv_state_init(struct sv_state *s,
                  enum sv_rule rule,
                  float eps,
                  size_t K,
                  size_t J,
                  struct err *e)
{
    int rc = 0;

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
            rc = err_set(e, ERR_NOMEM, "sums of %zu rows", K);
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

struct sv_apply {
    size_t n_calls;
};

struct sv_apply *sv_apply_create(void)
{
    return calloc(1, sizeof(struct sv_apply));
}

void sv_apply_destroy(struct sv_apply *x)
{
    free(x);
}

int sv_apply_ops(struct sv_apply *x,
                 struct sv_state *s,
                 const struct sv_op *ops,
                 size_t n_ops,
                 struct pool *pool,
                 struct err *e)
{
    (void)pool;
    (void)e;
    x->n_calls++;
    sv_apply_naive(s, ops, n_ops);
    return 0;
}
