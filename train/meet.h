/* Meeting the other peers of a job: the endpoint, the rendezvous, and whether
 * all came for the same thing. */

#ifndef TRAIN_MEET_H_
#define TRAIN_MEET_H_

#include <signal.h>

#include "core/log.h"
#include "p2p/transport.h"

/* What a peer must have in common with the others, and how far its log goes. */
struct train_note {
    uint64_t fingerprint; /* train_run_fingerprint(). */
    uint64_t run;         /* Resume: the job's number. New: 0. */
    uint64_t clocks;      /* Clocks that its log has. New: 0. */
};

struct train_meet_options {
    const char *rendezvous;
    const char *provider;
    const char *node;
    uint32_t rank, n_peers;
    uint64_t timeout_ns; /* To wait for the others. */
    const volatile sig_atomic_t *interrupted;
    struct log *log;
};

/* Open an endpoint, exchange notes, connect. *session is a number that this
 * start of the job has to itself; *clocks is the lowest of all notes.
 *
 * Owner:  the caller closes *t.
 * Errors: ERR_INVALID  a note differs: who, and in what. Those of
 *         p2p_ofi_open() and rendezvous_meet(). */
int train_meet(struct p2p_transport **t,
               const struct train_meet_options *o,
               const struct train_note *note,
               uint64_t *session,
               uint64_t *clocks,
               struct err *e);

#endif /* TRAIN_MEET_H_ */
