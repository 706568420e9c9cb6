/* Sums over all peers: what the compute thread does with them, and what the
 * network thread does for them. */

#include "train/hub_state.h"
#include "train/msg.h"

int train_hub_reduce_open(struct train_hub *h,
                          uint64_t round,
                          uint32_t n_pieces,
                          struct err *e)
{
    int rc;

    pthread_mutex_lock(&h->mutex);
    rc = train_reduce_open(h->reduce, round, n_pieces, train_hub_now(h), e);
    pthread_mutex_unlock(&h->mutex);
    train_hub_wake(h);
    return rc;
}

int train_hub_reduce_begin(struct train_hub *h,
                           uint32_t piece,
                           struct blob *part,
                           struct err *e)
{
    int rc;

    pthread_mutex_lock(&h->mutex);
    rc = train_reduce_begin(h->reduce, piece, part, train_hub_now(h), e);
    pthread_mutex_unlock(&h->mutex);
    train_hub_wake(h);
    return rc;
}

int train_hub_reduce_take(struct train_hub *h,
                          uint32_t *piece,
                          struct blob **sum,
                          struct err *e)
{
    int rc = ERR_AGAIN;

    pthread_mutex_lock(&h->mutex);
    while (rc == ERR_AGAIN) {
        if (train_worker_ended(h->worker)) {
            rc = err_set(e, ERR_CLOSED, "the job is over");
        } else if (train_reduce_left(h->reduce) == 0) {
            rc = ERR_NOT_FOUND;
        } else if (train_reduce_take(h->reduce, piece, sum)) {
            rc = 0;
        } else {
            train_hub_wait(h);
        }
    }
    pthread_mutex_unlock(&h->mutex);
    return rc;
}

bool train_hub_reduce_is(uint8_t type)
{
    return type == TRAIN_MSG_ADDEND || type == TRAIN_MSG_CAME;
}

/* The engine cannot go on. The mutex is held. */
static void fail(struct train_hub *h, int rc, const char *why)
{
    (void)train_hub_step(h, (struct train_event){.kind = TRAIN_EVENT_STOP,
                                                 .peer = h->o.worker.self,
                                                 .reason = rc,
                                                 .why = why});
}

void train_hub_reduce_message(struct train_hub *h, const struct p2p_msg *msg)
{
    struct err e;
    int rc = ERR_INVALID;

    err_set(&e, rc, "nothing is summed here");
    if (h->reduce != NULL && msg->type == TRAIN_MSG_CAME) {
        rc =
            train_mail_came(train_reduce_mail(h->reduce), msg->peer, msg->body);
        err_set(&e, rc, "not a word that a message came");
    } else if (h->reduce != NULL && msg->body != NULL) {
        rc = train_reduce_receive(h->reduce, msg->peer, msg->body,
                                  train_hub_now(h), &e);
    }
    if (rc == ERR_INVALID) {
        log_warn(h->o.log, "dropped what peer %u sent: %s", msg->peer, e.msg);
    } else if (rc != 0) {
        fail(h, rc, e.msg);
    }
}

uint64_t train_hub_reduce_tick(struct train_hub *h, uint64_t now_ns)
{
    struct train_mail *mail;
    int rc = 0;

    if (h->reduce == NULL) {
        return UINT64_MAX;
    }
    mail = train_reduce_mail(h->reduce);
    if (train_mail_due_ns(mail) <= now_ns) {
        rc = train_mail_tick(mail, now_ns);
    }
    if (rc != 0) {
        fail(h, rc, "no memory to send a part again");
    }
    if (train_reduce_ready(h->reduce)) {
        pthread_cond_signal(&h->changed);
    }
    return train_mail_due_ns(mail);
}

/* Send h->mail_held. False: no room. */
static bool send_held(struct train_hub *h)
{
    struct train_mail_out *out = &h->mail_held;
    uint64_t ack;
    int rc = 0;

    /* What is sent again may be in the queue still. */
    if (!out->again || mesh_pending(h->mesh, out->peer) == 0) {
        pthread_mutex_lock(&h->mutex);
        ack = train_msg_ack(train_worker_have(h->worker, out->peer),
                            train_worker_pace(h->worker));
        pthread_mutex_unlock(&h->mutex);
        rc = mesh_send(h->mesh, out->peer,
                       out->came ? TRAIN_MSG_CAME : TRAIN_MSG_ADDEND, ack,
                       out->body, NULL);
    }
    if (rc == ERR_AGAIN) {
        return false;
    }
    blob_unref(out->body);
    out->body = NULL;
    return true;
}

void train_hub_reduce_send(struct train_hub *h)
{
    bool more = h->reduce != NULL;

    while (more && (h->mail_held.body == NULL || send_held(h))) {
        pthread_mutex_lock(&h->mutex);
        more = train_mail_next(train_reduce_mail(h->reduce), &h->mail_held);
        pthread_mutex_unlock(&h->mutex);
    }
}
