/* One node of a parameter server, worker and server in one, without I/O.
 *
 * Every peer of a job is a node. It keeps some ranges of the parameters, and
 * its worker pushes to and pulls from all of them. The node reads no clock,
 * sends nothing and owns no thread: whoever drives it says what happened and
 * what time it is, and carries out the actions that ps_node_next() gives.
 *
 * Views. Who is there is not decided here: numbered lists of members come from
 * outside, the same for all, and a number is never used twice in the life of a
 * job. What a message says counts in its view only.
 *
 * Chains. A range is kept by the owner of its place on the ring and by the
 * `replicas` members that follow. What is to happen to it comes to the owner,
 * the head of the chain, which numbers it; it goes down the chain, and the last
 * one, the tail, answers the worker. So what was acknowledged is with all of
 * them. In `sequential` pulls go the same way, so that a head or a tail that
 * does not know yet that others took over can answer nothing by itself.
 *
 * Change. In a new view everybody first ends the old one and tells the heads of
 * the new one what copies it has. With the answers of all members a head knows
 * the best copy of each of its ranges, fetches it, installs it with its
 * successors, and begins to serve. So nothing that was acknowledged is lost
 * unless `replicas` + 1 members of a chain are lost before a view is settled.
 * Then the range is lost: that is said (PS_ACTION_LOST), and nothing is made
 * up. A copy that somebody has from before does not count either, if any member
 * had an answer of the range since.
 *
 * A member that leaves in good order is in a view as leaving, until
 * ps_node_held() is 0, and then in none.
 *
 * Loss of messages is made good by sending again; pushes are known by origin
 * and time, and count once.
 *
 * Source: van Renesse, Schneider, "Chain replication for supporting high
 * throughput and availability", OSDI 2004; the parameter server: Li et al.,
 * "Scaling Distributed Machine Learning with the Parameter Server", OSDI 2014.
 */

#ifndef PS_NODE_H_
#define PS_NODE_H_

#include "core/blob.h"
#include "core/log.h"
#include "ps/consistency.h"
#include "ps/table.h"

#define PS_REPLICAS_MAX 7
#define PS_AFTER_MAX    64   /* Tasks that a task comes after. */
#define PS_TASKS_MAX    4096 /* Not done, of a worker. */

struct ps_node_options {
    p2p_peer self;
    uint64_t seed; /* Of the ring; the same for all. */
    const struct ps_param *params;
    uint32_t n_params;
    uint32_t replicas; /* k: successors that keep a copy, too. */
    struct ps_consistency consistency;
    uint64_t first_time; /* The worker pushes nothing below. */
    uint64_t retry_ns;   /* Patience before something is sent again. */
    bool compress;       /* Try Snappy on payloads. */
    bool send_changes;   /* Answer a pull that comes again with what changed by
                          * change_threshold or more since the last answer;
                          * 0: exact. Costs a copy on either side. */
    float change_threshold;
    bool send_known; /* Sparse keys that were sent before as a hash. */
    bool log_states; /* Give PS_ACTION_LOG. */
    struct log *log;
};

struct ps_member {
    p2p_peer peer;
    uint64_t since; /* first_time of its process, in all views that it is in:
                     * it is waited for from there on. */
    bool leaving;   /* Gives its copies away; its worker is done. */
};

struct ps_view {
    uint32_t number; /* From 1, ascending. */
    bool fresh;      /* Nothing is lost: ranges that nobody has begin with their
                      * initial values, old copies do. For the views of a new job,
                      * until every node has said that it is settled, and for who
                      * would rather go on with what there is. */
    const struct ps_member *members; /* (n_members) by peer. */
    uint32_t n_members;
};

/* What a worker wants. */
struct ps_task {
    uint32_t param;
    uint64_t time;
    const uint64_t *after; /* (n_after) numbers of tasks to be done before. */
    uint32_t n_after;
    const struct ps_values *values; /* PUSH: of keys of the vector. Copied. */
    uint32_t first, count;          /* PULL: keys [first, first + count). */
    float *out;                     /* PULL: (count), until it is done. */
};

enum ps_action_kind {
    PS_ACTION_SEND = 1, /* Send body to peer; it may get lost. */
    PS_ACTION_DONE,     /* The task is done. */
    PS_ACTION_LOG,      /* Put body into the log: see ps_node_restore(). */
    PS_ACTION_LOST      /* Nobody has what was acknowledged of the range: it is
                         * not served until a later view finds it. */
};

struct ps_action {
    enum ps_action_kind kind;
    p2p_peer peer;
    uint64_t task;
    uint32_t range;
    struct blob *body; /* SEND, LOG: the caller unrefs it. */
};

struct ps_node;

/* Errors: ERR_NOMEM, ERR_INVALID. */
int ps_node_create(struct ps_node **n,
                   const struct ps_node_options *o,
                   struct err *e);
void ps_node_destroy(struct ps_node *n);

/* All calls below that return an int may return ERR_NOMEM: the peer must stop.
 */

/* Begin a view; one with a number that is not higher is ignored. Without self
 * in it, the node serves and asks nobody until a later one.
 *
 * Errors: ERR_INVALID  the members are not in order. */
int ps_node_view(struct ps_node *n,
                 uint64_t now_ns,
                 const struct ps_view *view,
                 struct err *e);

/* A message of @from has arrived. What is not valid is dropped and counted. */
int ps_node_receive(struct ps_node *n,
                    uint64_t now_ns,
                    p2p_peer from,
                    const uint8_t *data,
                    size_t size);

/* Time has passed. */
int ps_node_tick(struct ps_node *n, uint64_t now_ns);

/* When ps_node_tick() makes a difference. UINT64_MAX: never. */
uint64_t ps_node_due_ns(const struct ps_node *n);

/* Begin a task, and write its number, which is higher than those of all tasks
 * before. Times of pushes to a vector ascend. In bounded, and for a vector by
 * rank, each worker pushes at each time, be it nothing: others wait for it.
 *
 * Errors: ERR_INVALID     it cannot be: see the message.
 *         ERR_NOT_FINITE  a value is not.
 *         ERR_FULL        PS_TASKS_MAX are under way. */
int ps_node_push(struct ps_node *n,
                 uint64_t now_ns,
                 const struct ps_task *task,
                 uint64_t *id,
                 struct err *e);
int ps_node_pull(struct ps_node *n,
                 uint64_t now_ns,
                 const struct ps_task *task,
                 uint64_t *id,
                 struct err *e);

/* Take the next action, in the order they arose. */
bool ps_node_next(struct ps_node *n, struct ps_action *a);

/* Before the first view: take up a body of PS_ACTION_LOG, in their order.
 *
 * Errors: ERR_CORRUPT  it is not one. */
int ps_node_restore(struct ps_node *n,
                    const uint8_t *data,
                    size_t size,
                    struct err *e);

/* All ranges that this node heads are served, and it has heard from all members
 * of the view which these are. */
bool ps_node_settled(const struct ps_node *n);

/* Copies that this node keeps until others have them. */
uint32_t ps_node_held(const struct ps_node *n);

/* The copy of a range that this node has, or NULL. For tests and tools. */
const struct ps_range *ps_node_copy(const struct ps_node *n, uint32_t range);

const struct ps_table *ps_node_table(const struct ps_node *n);

struct ps_node_stats {
    uint64_t n_dropped;    /* Messages that were not valid. */
    uint64_t n_stale;      /* Messages of other views. */
    uint64_t n_duplicates; /* Pushes that were in. */
    uint64_t n_resent;     /* Messages sent again. */
    uint64_t n_misses;     /* Lists of keys that were not known. */
    uint64_t n_refused;    /* Pushes that an update refused. */
};
struct ps_node_stats ps_node_stats(const struct ps_node *n);

#endif /* PS_NODE_H_ */
