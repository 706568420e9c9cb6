/* What the parts of a node share: ps/node.c (events and actions),
 * ps/node_move.c (views), ps/node_chain.c (entries), ps/node_head.c (requests),
 * ps/node_reply.c (answers to pulls) and ps/node_tasks.c (the worker). */

#ifndef PS_NODE_STATE_H_
#define PS_NODE_STATE_H_

#include "ps/filter.h"
#include "ps/msg.h"
#include "ps/node.h"
#include "ps/ring.h"

#define CHAIN_MAX (PS_REPLICAS_MAX + 1)
#define NOWHERE   UINT32_MAX /* No place in a chain. */
#define WINDOW    64         /* Entries on their way down a chain. */
#define WAITS_MAX 4096       /* Pulls that wait at a range. */

/* How far a head is with a range. */
enum seat_stage {
    STAGE_NONE,    /* Not the head. */
    STAGE_ASK,     /* Waits for reports, or for its turn to move. */
    STAGE_FETCH,   /* Waits for the best copy. */
    STAGE_INSTALL, /* Waits for its successors. */
    STAGE_SERVE,
    STAGE_LOST /* Nobody has it. */
};

/* A copy that somebody reported. */
struct known_copy {
    p2p_peer peer;
    uint64_t epoch, seq;
};

/* A pull that waits for pushes, or a push that waits for those of others. */
struct waiting_pull {
    p2p_peer peer;
    struct ps_msg msg; /* Without payload. */
};

struct waiting_push {
    struct ps_push push;
    uint64_t task;
};

/* The last answer to a pull of a peer. */
struct sent_reply {
    p2p_peer peer;
    uint64_t number;
    uint32_t first, count;
    struct ps_filter_changed changed;
};

/* The last answer to a pull of a range that this worker got. */
struct got_reply {
    uint64_t number; /* 0: none in this view. */
    uint32_t first, count;
    float *val; /* (count) Owned. */
};

/* What a node has of a range. */
struct seat {
    bool holds;
    struct ps_range range;     /* If it holds a copy. */
    p2p_peer chain[CHAIN_MAX]; /* Head first. */
    uint32_t n_chain;
    uint32_t place; /* Own place in it, or NOWHERE. */
    /* In a chain. */
    struct blob **window; /* (WINDOW) entry seq at seq mod WINDOW, or NULL.
                           * Owned, made when needed. */
    uint64_t acked;       /* Entries up to this are with the tail. */
    uint64_t sent_ns;     /* When unacknowledged entries were last sent. */
    /* As the head. */
    enum seat_stage stage;
    struct known_copy *known; /* (n_known) */
    uint32_t n_known;
    uint64_t witnessed; /* The last view of which some worker knows that the
                         * range was served in it. */
    p2p_peer source;    /* FETCH: who has the best copy. */
    uint64_t old_epoch; /* INSTALL: of the best copy. */
    uint32_t installed; /* INSTALL: bit i for chain[i]. */
    uint64_t moved_ns;  /* When FETCH or INSTALL was last sent. */
    struct waiting_pull *pulls; /* (n_pulls) */
    uint32_t n_pulls;
    struct waiting_push *pool; /* (n_pool) by time and origin: to be aggregated
                                * before replication. */
    uint32_t n_pool;
    struct ps_vclock pooled; /* The range's clock, and those. */
    /* As who answers pulls. */
    struct sent_reply *sent; /* (n_sent) */
    uint32_t n_sent;
};

/* A task's share of one range. */
struct part {
    uint32_t range;
    uint32_t first, count; /* Keys in the range; of a pull. */
    uint64_t from;         /* Of a push. */
    uint64_t due_ns;       /* When to send it, again. */
    uint32_t n_tries;      /* How often it was sent in this view. */
    bool done;
};

struct task {
    uint64_t id;
    bool is_push;
    bool started;
    uint32_t param;
    uint64_t time;
    uint64_t *after; /* (n_after) Owned. */
    uint32_t n_after;
    struct ps_values values; /* PUSH. Owned. */
    uint32_t first;          /* PULL. */
    float *out;
    struct part *parts; /* (n_parts) by range. Owned. */
    uint32_t n_parts;
    uint32_t n_done;
    uint32_t n_sent; /* Those before were sent. */
};

struct ps_node {
    struct ps_node_options o;
    struct ps_table table;
    struct seat *seats; /* (n_ranges) */
    uint64_t now_ns;
    uint64_t due_ns;
    /* The view. */
    uint32_t view; /* 0: none yet. */
    bool fresh;
    bool is_member;
    struct ps_member *members; /* (n_members) Owned. */
    uint32_t n_members;
    struct ps_worker *workers; /* (n_workers) Owned. */
    uint32_t n_workers;
    struct ps_ring ring;
    bool *reported; /* (n_members) Owned. */
    uint32_t n_reported;
    uint32_t early[P2P_PEERS_MAX]; /* The last view, not yet begun here, of
                                    * which the peer spoke. */
    uint64_t asked_ns;             /* When reports were last asked for. */
    uint64_t orphan_ns; /* When copies that others should have were reported. */
    uint32_t n_moving;  /* Ranges in FETCH or INSTALL. */
    uint32_t next_move; /* Ranges below are not in ASK. */
    uint32_t n_unsettled; /* Ranges that it heads and does not serve. */
    /* The worker. */
    struct task **tasks; /* (n_tasks) by number. Owned. */
    uint32_t n_tasks;
    uint64_t last_id;
    uint32_t n_tokens;     /* Parts that may be sent now. */
    uint64_t tokens_ns;    /* When they were last all there. */
    uint64_t *range_next;  /* (n_ranges) above the last push. Owned. */
    uint64_t *param_next;  /* (n_params) Owned. */
    uint32_t *served;      /* (n_ranges) the last view in which it answered this
                            * worker. Owned. */
    struct got_reply *got; /* (n_ranges) if changes are sent. Owned. */
    struct ps_keys *keys;  /* Owned. */
    struct ps_keys_sent *keys_sent; /* Owned. */
    /* Out. */
    struct ps_action *actions; /* (room) a ring. Owned. */
    size_t actions_room, actions_first, n_actions;
    struct blob **local; /* (n_local) messages to self. Owned. */
    size_t local_room, n_local;
    struct buf scratch; /* Payloads in. */
    struct buf out;     /* Payloads out. */
    bool out_of_memory;
    uint64_t n_replies; /* Numbers of answers. */
    struct ps_node_stats stats;
};

/* node.c */
void ps_node_act(struct ps_node *n, const struct ps_action *a);
void ps_node_send(struct ps_node *n, p2p_peer to, struct ps_msg *m);
void ps_node_send_blob(struct ps_node *n, p2p_peer to, struct blob *body);
const struct ps_member *ps_node_member(const struct ps_node *n, p2p_peer peer);
int ps_node_hold(struct ps_node *n, uint32_t range);
void ps_node_drop_copy(struct seat *s);
void ps_node_log_state(struct ps_node *n, uint32_t range);
int ps_node_finish(struct ps_node *n); /* What every call ends with. */

/* node_move.c */
void ps_node_on_survey(struct ps_node *n, p2p_peer from);
void ps_node_on_report(struct ps_node *n,
                       p2p_peer from,
                       const struct ps_msg *m);
void ps_node_on_fetch(struct ps_node *n, p2p_peer from, const struct ps_msg *m);
void ps_node_on_state(struct ps_node *n, p2p_peer from, const struct ps_msg *m);
void ps_node_on_install(struct ps_node *n,
                        p2p_peer from,
                        const struct ps_msg *m);
void ps_node_on_installed(struct ps_node *n,
                          p2p_peer from,
                          const struct ps_msg *m);
void ps_node_on_release(struct ps_node *n,
                        p2p_peer from,
                        const struct ps_msg *m);
bool ps_node_move_tick(struct ps_node *n); /* Whether anything is under way. */
void ps_node_forget_known(struct seat *s);

/* node_chain.c */
void ps_node_chain_reset(struct seat *s); /* Its window begins at its copy. */
int ps_node_append(struct ps_node *n, uint32_t range, struct ps_msg *m);
void ps_node_on_entry(struct ps_node *n,
                      p2p_peer from,
                      const struct ps_msg *m,
                      const uint8_t *data,
                      size_t size);
void ps_node_on_seen(struct ps_node *n, p2p_peer from, const struct ps_msg *m);
bool ps_node_chain_tick(struct ps_node *n, uint32_t range);
int ps_node_apply_entry(struct ps_node *n,
                        struct seat *s,
                        const struct ps_msg *m);

/* node_head.c */
void ps_node_on_push(struct ps_node *n, p2p_peer from, const struct ps_msg *m);
void ps_node_on_pull(struct ps_node *n, p2p_peer from, const struct ps_msg *m);
void ps_node_head_reset(struct seat *s);
int ps_node_head_begin(struct seat *s); /* Its copy is installed. */
void ps_node_head_go_on(struct ps_node *n, uint32_t range); /* Room, or news. */

/* node_reply.c */
void ps_node_answer_pull(struct ps_node *n,
                         struct seat *s,
                         uint32_t range,
                         p2p_peer to,
                         const struct ps_msg *m);
void ps_node_reply_reset(struct seat *s);
uint64_t ps_node_reply_known(const struct ps_node *n, const struct part *p);
int ps_node_reply_take(struct ps_node *n,
                       const struct ps_msg *m,
                       const struct part *part,
                       float *out);
void ps_node_reply_forget(struct ps_node *n);

/* node_tasks.c */
void ps_node_on_pushed(struct ps_node *n,
                       p2p_peer from,
                       const struct ps_msg *m);
void ps_node_on_pulled(struct ps_node *n,
                       p2p_peer from,
                       const struct ps_msg *m);
void ps_node_on_miss(struct ps_node *n, p2p_peer from, const struct ps_msg *m);
void ps_node_tasks_view(struct ps_node *n); /* Send all again, soon. */
bool ps_node_tasks_tick(struct ps_node *n);
void ps_node_task_free(struct task *t);

#endif /* PS_NODE_STATE_H_ */
