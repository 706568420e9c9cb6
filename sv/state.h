/* Copies of the states of a replica, for those who look at it twice. */

#ifndef SV_STATE_H_
#define SV_STATE_H_

#include "sv/apply.h"

/* Make *copies equal to @states (n). Owner: sv_states_free() them.
 * Errors: ERR_NOMEM; *copies is NULL then. */
int sv_states_copy(struct sv_state **copies,
                   const struct sv_state *states,
                   size_t n,
                   struct err *e);
void sv_states_free(struct sv_state *states, size_t n);

/* Give @to (n) the content of @from, which has the same shapes and rules. */
void sv_states_assign(struct sv_state *to,
                      const struct sv_state *from,
                      size_t n);

#endif /* SV_STATE_H_ */
