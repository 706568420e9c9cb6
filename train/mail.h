/* Messages that are sent again until their receiver says that they came.
 *
 * A message is known by its first TRAIN_MAIL_HEAD_SIZE bytes, which tell apart
 * all that are on their way to one peer; the answer to it is those bytes alone.
 *
 * No I/O: what is to be sent is taken with train_mail_next().
 */

#ifndef TRAIN_MAIL_H_
#define TRAIN_MAIL_H_

#include <stdbool.h>
#include <stdint.h>

#include "core/blob.h"
#include "core/err.h"
#include "p2p/transport.h"

#define TRAIN_MAIL_HEAD_SIZE 16

/* What goes out. */
struct train_mail_out {
    p2p_peer peer;
    bool came;         /* Says that a message has come. */
    bool again;        /* Not needed if what was sent before is still queued. */
    struct blob *body; /* One reference. */
};

/* A message that may be lost. */
struct train_mail_sent {
    p2p_peer peer;
    struct blob *body;
    uint64_t sent_ns;
    unsigned n_again;
};

struct train_mail {
    uint64_t retry_ns; /* Patience; doubles while nothing is answered. */
    struct train_mail_sent *sent;
    size_t n_sent, sent_room;
    struct train_mail_out *outs;
    size_t outs_first, n_outs, outs_room;
};

void train_mail_init(struct train_mail *m, uint64_t retry_ns);
void train_mail_fini(struct train_mail *m);

/* Send @body, of which this takes its own references. Errors: ERR_NOMEM. */
int train_mail_send(struct train_mail *m,
                    p2p_peer peer,
                    struct blob *body,
                    uint64_t now_ns,
                    struct err *e);

/* Tell @peer that the message @body has come. Errors: ERR_NOMEM. */
int train_mail_answer(struct train_mail *m,
                      p2p_peer peer,
                      const struct blob *body,
                      struct err *e);

/* @peer answers that a message came. Errors: ERR_INVALID: no such answer. */
int train_mail_came(struct train_mail *m,
                    p2p_peer peer,
                    const struct blob *answer);

/* Send again what is due. Errors: ERR_NOMEM. */
int train_mail_tick(struct train_mail *m, uint64_t now_ns);

/* When the next tick makes a difference. UINT64_MAX: never. */
uint64_t train_mail_due_ns(const struct train_mail *m);

/* Take what is to be sent next. False: nothing. */
bool train_mail_next(struct train_mail *m, struct train_mail_out *out);

#endif /* TRAIN_MAIL_H_ */
