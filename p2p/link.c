#include "p2p/link.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

#define PING_SIZE 8
#define PINGS_MAX 200000
#define WAIT_NS   (50 * CLOCK_MS)

/* Paced: messages that may be on their way from the beginning, and the share of
 * those on their way after which is asked how many have arrived. */
#define PACE_MIN   2
#define PACE_SHARE 4

/* Not those of a mesh or of who uses it, which may arrive early. */
enum link_type {
    LINK_PING = 200,
    LINK_PONG,
    LINK_DATA,    /* Counted. */
    LINK_COUNT,   /* How many were counted? */
    LINK_COUNTED, /* So many: ack. */
    LINK_DONE,    /* To peer 0: this peer has measured. */
    LINK_ALL_DONE /* From peer 0. */
};

/* What somebody who measures wants to hear. */
struct asker {
    uint64_t n_data; /* Counted. */
    uint32_t n_pings, n_counts;
};

struct link {
    const struct p2p_link_options *o;
    struct p2p_transport *t;
    struct asker *askers; /* (n_peers). */
    uint32_t n_due;       /* Answers that are owed to all of them. */
    uint32_t n_done;      /* Peers that told peer 0. */
    bool all_done;
    uint64_t n_pongs;
    uint64_t n_counted; /* Own messages, by the last answer. */
    uint64_t n_sent;
    uint64_t heard_ns; /* Last message of any kind. */
    struct blob *ping;
    struct p2p_link_result *result;
    struct err *e;
};

/* Hand a message to the transport. ERR_AGAIN: no room. */
static int put(struct link *l,
               p2p_peer to,
               enum link_type type,
               uint64_t ack,
               struct blob *body)
{
    struct p2p_msg msg = {.peer = to, .type = (uint8_t)type, .ack = ack};
    int rc;

    msg.body = body == NULL ? NULL : blob_ref(body);
    rc = p2p_send(l->t, &msg, l->e);
    blob_unref(msg.body);
    return rc == 0 || rc == ERR_AGAIN ? rc : err_wrap(l->e, rc, "send");
}

static int answer(struct link *l, p2p_peer p)
{
    struct asker *a = &l->askers[p];
    int rc = 0;

    while (rc == 0 && a->n_pings + a->n_counts > 0) {
        const bool ping = a->n_pings > 0;
        rc = ping ? put(l, p, LINK_PONG, 0, l->ping)
                  : put(l, p, LINK_COUNTED, a->n_data, NULL);
        if (rc == 0) {
            a->n_pings -= ping;
            a->n_counts -= !ping;
            l->n_due--;
        }
    }
    return rc == ERR_AGAIN ? 0 : rc;
}

static int answer_all(struct link *l)
{
    int rc = 0;

    for (p2p_peer p = 0; rc == 0 && l->n_due > 0 && p < l->o->n_peers; p++) {
        rc = answer(l, p);
    }
    return rc;
}

static int take(struct link *l, const struct p2p_msg *msg)
{
    struct asker *a = &l->askers[msg->peer];

    switch (msg->type) {
    case LINK_PING:
        a->n_pings++;
        l->n_due++;
        return answer(l, msg->peer);
    case LINK_DATA:
        a->n_data++;
        return 0;
    case LINK_COUNT:
        a->n_counts++;
        l->n_due++;
        return answer(l, msg->peer);
    case LINK_PONG:
        l->n_pongs++;
        return 0;
    case LINK_COUNTED:
        l->n_counted = msg->ack;
        return 0;
    case LINK_DONE:
        l->n_done++;
        return 0;
    case LINK_ALL_DONE:
        l->all_done = true;
        return 0;
    default:
        return 0;
    }
}

static bool needed(const struct link *l, p2p_peer p)
{
    return p == l->o->target || p == 0 || l->o->self == 0;
}

/* Receive what is there, and answer. If nothing is, wait for something. */
static int turn(struct link *l, bool wait)
{
    struct p2p_msg msg = {0};
    int rc = p2p_poll(l->t, &msg, l->e);

    if (rc == 0) {
        l->heard_ns = clock_ns();
        rc = take(l, &msg);
        blob_unref(msg.body);
        return rc;
    }
    if (rc == ERR_UNREACHABLE && !needed(l, msg.peer)) {
        return 0;
    }
    if (rc != ERR_AGAIN) {
        return err_wrap(l->e, rc, "receive");
    }
    if (l->o->stop != NULL &&
        __atomic_load_n(l->o->stop, __ATOMIC_RELAXED) != 0) {
        return err_set(l->e, ERR_INTERRUPTED, "interrupted");
    }
    if (clock_ns() - l->heard_ns > l->o->silent_ns) {
        return err_set(l->e, ERR_UNREACHABLE, "the other end is silent");
    }
    rc = answer_all(l);
    if (rc == 0 && wait) {
        l->t->ops->wait(l->t, l->n_due > 0 ? CLOCK_MS : WAIT_NS);
    }
    return rc;
}

/* Send, waiting for room. */
static int send_to(struct link *l,
                   p2p_peer to,
                   enum link_type type,
                   uint64_t ack,
                   struct blob *body)
{
    bool polled = false;
    int rc;

    l->heard_ns = clock_ns();
    while ((rc = put(l, to, type, ack, body)) == ERR_AGAIN) {
        /* Polling makes room; only if it does not is it time to sleep. */
        rc = turn(l, polled);
        polled = true;
        if (rc != 0) {
            return rc;
        }
    }
    return rc;
}

static int u64_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* One round trip. */
static int round_trip(struct link *l, uint64_t *ns)
{
    const uint64_t sent_ns = clock_ns(), n = l->n_pongs;
    int rc = send_to(l, l->o->target, LINK_PING, 0, l->ping);

    l->heard_ns = clock_ns();
    while (rc == 0 && l->n_pongs == n) {
        rc = turn(l, true);
    }
    *ns = clock_ns() - sent_ns;
    return rc;
}

/* The first one waits until the target is here, and does not count. */
static int round_trips(struct link *l)
{
    uint64_t *times = malloc(PINGS_MAX * sizeof times[0]), first, begin_ns;
    size_t n = 0;
    int rc = times == NULL ? err_set(l->e, ERR_NOMEM, "round trips")
                           : round_trip(l, &first);

    begin_ns = clock_ns();
    while (rc == 0 && n < PINGS_MAX &&
           (n == 0 || clock_ns() - begin_ns < l->o->ping_ns)) {
        rc = round_trip(l, &times[n++]);
    }
    if (rc == 0) {
        qsort(times, n, sizeof times[0], u64_compare);
        l->result->round_trip_us_median = (double)times[n / 2] / 1e3;
        l->result->round_trip_us_p99 = (double)times[n * 99 / 100] / 1e3;
    }
    free(times);
    return rc;
}

/* How far a stream was when the link's first burst was over. */
struct mark {
    uint64_t n, ns; /* Zeros: not yet. */
};

static uint64_t on_its_way(const struct link *l)
{
    return l->n_sent - l->n_counted;
}

/* Send one message of the stream, or wait until one may be sent. @begin is how
 * many had been sent before it. */
static int
stream_turn(struct link *l, struct blob *body, uint64_t begin, uint64_t *asked)
{
    const uint64_t came = l->n_counted > begin ? l->n_counted - begin : 0;
    const uint64_t room = came > PACE_MIN ? came : PACE_MIN;
    int rc;

    if (!l->o->paced) {
        rc = send_to(l, l->o->target, LINK_DATA, 0, body);
        l->n_sent += rc == 0;
        return rc;
    }
    if (on_its_way(l) >= room) {
        return turn(l, true);
    }
    rc = send_to(l, l->o->target, LINK_DATA, 0, body);
    l->n_sent += rc == 0;
    if (rc == 0 && (l->n_sent - *asked) * PACE_SHARE >= room) {
        rc = send_to(l, l->o->target, LINK_COUNT, 0, NULL);
        *asked = l->n_sent;
    }
    return rc;
}

/* Stream @body for a phase: how many arrived per second. */
static int stream(struct link *l, struct blob *body, double *msgs_per_s)
{
    const uint64_t begin_ns = clock_ns(), begin = l->n_sent;
    struct mark mark = {.n = begin, .ns = begin_ns};
    uint64_t asked = begin;
    int rc = 0;

    l->heard_ns = begin_ns;
    while (rc == 0 &&
           (l->n_sent == begin || clock_ns() - begin_ns < l->o->phase_ns)) {
        rc = stream_turn(l, body, begin, &asked);
        if (l->o->paced && mark.ns == begin_ns && l->n_counted > begin &&
            clock_ns() - begin_ns > l->o->phase_ns / 3) {
            mark = (struct mark){.n = l->n_counted, .ns = clock_ns()};
        }
    }
    rc = rc != 0 ? rc : send_to(l, l->o->target, LINK_COUNT, 0, NULL);
    l->heard_ns = clock_ns();
    while (rc == 0 && l->n_counted < l->n_sent) {
        rc = turn(l, true);
    }
    if (l->n_sent == mark.n) {
        mark = (struct mark){.n = begin, .ns = begin_ns};
    }
    *msgs_per_s = (double)(l->n_sent - mark.n) * (double)CLOCK_S /
                  (double)(clock_ns() - mark.ns + 1);
    return rc;
}

static struct blob *body_create(size_t size)
{
    struct blob *body = blob_create(size);

    if (body != NULL) {
        memset(body->data, 0x5a, size);
    }
    return body;
}

static int streams(struct link *l)
{
    struct blob *small = body_create(l->o->small_size);
    struct blob *big = body_create(l->o->big_size);
    double big_msgs_per_s = 0;
    int rc =
        small == NULL || big == NULL ? err_set(l->e, ERR_NOMEM, "bodies") : 0;

    if (rc == 0 && l->o->small_size > 0) {
        rc = stream(l, small, &l->result->small_msgs_per_s);
    }
    if (rc == 0) {
        const uint64_t cpu_ns = clock_cpu_ns(), begin_ns = clock_ns();
        rc = stream(l, big, &big_msgs_per_s);
        l->result->big_cpu_share = (double)(clock_cpu_ns() - cpu_ns) /
                                   (double)(clock_ns() - begin_ns + 1);
    }
    l->result->big_bytes_per_s = big_msgs_per_s * (double)l->o->big_size;
    blob_unref(small);
    blob_unref(big);
    return rc;
}

/* Answer until all have measured. */
static int wait_all(struct link *l)
{
    int rc = l->o->self == 0 ? 0 : send_to(l, 0, LINK_DONE, 0, NULL);

    l->heard_ns = clock_ns();
    if (l->o->self != 0) {
        while (rc == 0 && !l->all_done) {
            rc = turn(l, true);
        }
        return rc;
    }
    while (rc == 0 && (l->n_done < l->o->n_peers - 1 || l->n_due > 0)) {
        rc = turn(l, true);
    }
    for (p2p_peer p = 1; rc == 0 && p < l->o->n_peers; p++) {
        rc = send_to(l, p, LINK_ALL_DONE, 0, NULL);
    }
    return rc;
}

int p2p_link_measure(struct p2p_transport *t,
                     const struct p2p_link_options *o,
                     struct p2p_link_result *result,
                     struct err *e)
{
    struct err unused;
    struct link l = {
        .o = o, .t = t, .result = result, .e = e == NULL ? &unused : e};
    int rc = 0;

    memset(result, 0, sizeof *result);
    l.askers = calloc(o->n_peers, sizeof *l.askers);
    l.ping = body_create(PING_SIZE);
    l.heard_ns = clock_ns();
    if (l.askers == NULL || l.ping == NULL) {
        rc = err_set(l.e, ERR_NOMEM, "links of %u peers", o->n_peers);
    } else if (o->target != o->self) {
        rc = round_trips(&l);
        rc = rc != 0 ? rc : streams(&l);
    }
    rc = rc != 0 ? rc : wait_all(&l);
    free(l.askers);
    blob_unref(l.ping);
    return rc;
}
