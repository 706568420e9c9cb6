#include "train/mail.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_SIZE           TRAIN_MAIL_HEAD_SIZE
#define RETRY_DOUBLINGS_MAX 5

void train_mail_init(struct train_mail *m, uint64_t retry_ns)
{
    *m = (struct train_mail){.retry_ns = retry_ns};
}

void train_mail_fini(struct train_mail *m)
{
    struct train_mail_out out;

    while (train_mail_next(m, &out)) {
        blob_unref(out.body);
    }
    for (size_t i = 0; i < m->n_sent; i++) {
        blob_unref(m->sent[i].body);
    }
    free(m->sent);
    free(m->outs);
    memset(m, 0, sizeof *m);
}

/* Put @out, with its reference, behind what is to be sent. */
static int put(struct train_mail *m, struct train_mail_out out, struct err *e)
{
    if (m->outs_first > 0 && m->outs_first + m->n_outs == m->outs_room) {
        memmove(m->outs, m->outs + m->outs_first, m->n_outs * sizeof *m->outs);
        m->outs_first = 0;
    }
    if (m->n_outs == m->outs_room) {
        size_t room = m->outs_room == 0 ? 64 : 2 * m->outs_room;
        void *p = realloc(m->outs, room * sizeof *m->outs);
        if (p == NULL) {
            blob_unref(out.body);
            return err_set(e, ERR_NOMEM, "%zu messages", room);
        }
        m->outs = p;
        m->outs_room = room;
    }
    m->outs[m->outs_first + m->n_outs++] = out;
    return 0;
}

int train_mail_send(struct train_mail *m,
                    p2p_peer peer,
                    struct blob *body,
                    uint64_t now_ns,
                    struct err *e)
{
    assert(body->size >= HEAD_SIZE);
    if (m->n_sent == m->sent_room) {
        size_t room = m->sent_room == 0 ? 64 : 2 * m->sent_room;
        void *p = realloc(m->sent, room * sizeof *m->sent);
        if (p == NULL) {
            return err_set(e, ERR_NOMEM, "%zu messages", room);
        }
        m->sent = p;
        m->sent_room = room;
    }
    m->sent[m->n_sent++] = (struct train_mail_sent){
        .peer = peer, .body = blob_ref(body), .sent_ns = now_ns};
    return put(m, (struct train_mail_out){.peer = peer, .body = blob_ref(body)},
               e);
}

int train_mail_answer(struct train_mail *m,
                      p2p_peer peer,
                      const struct blob *body,
                      struct err *e)
{
    struct blob *answer = blob_copy(body->data, HEAD_SIZE);

    if (answer == NULL) {
        return err_set(e, ERR_NOMEM, "answer");
    }
    return put(
        m, (struct train_mail_out){.peer = peer, .came = true, .body = answer},
        e);
}

int train_mail_came(struct train_mail *m,
                    p2p_peer peer,
                    const struct blob *answer)
{
    if (answer == NULL || answer->size != HEAD_SIZE) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < m->n_sent; i++) {
        struct train_mail_sent *s = &m->sent[i];
        if (s->peer == peer &&
            memcmp(s->body->data, answer->data, HEAD_SIZE) == 0) {
            blob_unref(s->body);
            *s = m->sent[--m->n_sent];
            return 0;
        }
    }
    return 0; /* It was answered before. */
}

static uint64_t due_of(const struct train_mail *m,
                       const struct train_mail_sent *s)
{
    unsigned n =
        s->n_again < RETRY_DOUBLINGS_MAX ? s->n_again : RETRY_DOUBLINGS_MAX;

    return s->sent_ns + (m->retry_ns << n);
}

int train_mail_tick(struct train_mail *m, uint64_t now_ns)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < m->n_sent; i++) {
        struct train_mail_sent *s = &m->sent[i];
        if (due_of(m, s) <= now_ns) {
            s->sent_ns = now_ns;
            s->n_again++;
            rc = put(m,
                     (struct train_mail_out){.peer = s->peer,
                                             .again = true,
                                             .body = blob_ref(s->body)},
                     NULL);
        }
    }
    return rc;
}

uint64_t train_mail_due_ns(const struct train_mail *m)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < m->n_sent; i++) {
        uint64_t t = due_of(m, &m->sent[i]);
        due = t < due ? t : due;
    }
    return due;
}

bool train_mail_next(struct train_mail *m, struct train_mail_out *out)
{
    if (m->n_outs == 0) {
        return false;
    }
    *out = m->outs[m->outs_first++];
    if (--m->n_outs == 0) {
        m->outs_first = 0;
    }
    return true;
}
