#include "p2p/fault.h"

#include <stdbool.h>
#include <string.h>

/* Count a call, and say whether it is one that fails. */
static bool fault_now(struct p2p_fault *f)
{
    f->n_calls++;
    return f->fail_at != 0 && f->n_calls >= f->fail_at &&
           f->n_calls - f->fail_at < f->fail_for;
}

static int
fault_send(struct p2p_transport *t, struct p2p_msg *msg, struct err *e)
{
    struct p2p_fault *f = (struct p2p_fault *)t;

    if (fault_now(f)) {
        return err_set(e, f->code, "call %llu: failure on demand",
                       (unsigned long long)f->n_calls);
    }
    return p2p_send(f->inner, msg, e);
}

static int
fault_poll(struct p2p_transport *t, struct p2p_msg *msg, struct err *e)
{
    struct p2p_fault *f = (struct p2p_fault *)t;

    if (fault_now(f)) {
        msg->peer = f->peer;
        return err_set(e, f->code, "call %llu: failure on demand",
                       (unsigned long long)f->n_calls);
    }
    return p2p_poll(f->inner, msg, e);
}

static void fault_wait(struct p2p_transport *t, uint64_t timeout_ns)
{
    struct p2p_fault *f = (struct p2p_fault *)t;

    f->inner->ops->wait(f->inner, timeout_ns);
}

static void fault_wake(struct p2p_transport *t)
{
    struct p2p_fault *f = (struct p2p_fault *)t;

    f->inner->ops->wake(f->inner);
}

static struct p2p_stats fault_stats(const struct p2p_transport *t,
                                    p2p_peer peer)
{
    const struct p2p_fault *f = (const struct p2p_fault *)t;

    return f->inner->ops->stats(f->inner, peer);
}

static struct p2p_stats fault_total(const struct p2p_transport *t)
{
    const struct p2p_fault *f = (const struct p2p_fault *)t;

    return f->inner->ops->total(f->inner);
}

static size_t fault_pending(const struct p2p_transport *t, p2p_peer peer)
{
    const struct p2p_fault *f = (const struct p2p_fault *)t;

    return f->inner->ops->pending(f->inner, peer);
}

static void fault_close(struct p2p_transport *t)
{
    struct p2p_fault *f = (struct p2p_fault *)t;

    f->inner->ops->close(f->inner);
}

static const struct p2p_transport_ops FAULT_OPS = {
    .name = "fault",
    .send = fault_send,
    .poll = fault_poll,
    .wait = fault_wait,
    .wake = fault_wake,
    .stats = fault_stats,
    .total = fault_total,
    .pending = fault_pending,
    .close = fault_close,
};

void p2p_fault_init(struct p2p_fault *f, struct p2p_transport *inner)
{
    memset(f, 0, sizeof *f);
    f->base.ops = &FAULT_OPS;
    f->inner = inner;
}
