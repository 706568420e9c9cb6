#include "sv/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void copy_mat(struct mat *to, const struct mat *from)
{
    assert(to->K == from->K && to->ld == from->ld);
    if (from->data != NULL) {
        memcpy(to->data, from->data, from->K * from->ld * sizeof(float));
    }
}

void sv_states_assign(struct sv_state *to,
                      const struct sv_state *from,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(to[i].rule == from[i].rule);
        copy_mat(&to[i].w, &from[i].w);
        copy_mat(&to[i].aux, &from[i].aux);
        if (from[i].h != NULL) {
            memcpy(to[i].h, from[i].h, from[i].w.K * sizeof *to[i].h);
        }
    }
}

int sv_states_copy(struct sv_state **copies,
                   const struct sv_state *states,
                   size_t n,
                   struct err *e)
{
    struct sv_state *s = calloc(n + 1, sizeof *s);
    int rc = s == NULL ? err_set(e, ERR_NOMEM, "copy of the replica") : 0;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = sv_state_init(&s[i], states[i].rule, states[i].eps, states[i].w.K,
                           states[i].w.J, e);
    }
    *copies = NULL;
    if (rc != 0) {
        sv_states_free(s, n);
        return err_wrap(e, rc, "copy of the replica");
    }
    sv_states_assign(s, states, n);
    *copies = s;
    return 0;
}

void sv_states_free(struct sv_state *states, size_t n)
{
    for (size_t i = 0; states != NULL && i < n; i++) {
        sv_state_fini(&states[i]);
    }
    free(states);
}
