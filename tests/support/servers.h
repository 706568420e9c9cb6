/* A cluster of parameter-server nodes on a simulated network, in virtual time.
 *
 * Nodes are started, killed and put into views by the test. Everybody learns of
 * a view at a time of its own, up to view_delay_ns later; who is killed forgets
 * everything but, where states are logged, its log.
 */

#ifndef TESTS_SUPPORT_SERVERS_H_
#define TESTS_SUPPORT_SERVERS_H_

#include <stdbool.h>

#include "core/clock.h"
#include "p2p/sim.h"
#include "ps/node.h"

#define SERVERS_MAX       12
#define SERVERS_VIEWS_MAX 512

struct servers;

struct servers_options {
    struct p2p_sim_options net;
    struct ps_node_options node; /* self, first_time, log: set for each. */
    uint64_t view_delay_ns;
    void (*done)(struct servers *c, p2p_peer p, uint64_t task); /* NULL: no. */
    /* Called before time moves on, for what workers do next; returns when to be
     * called again at the latest. NULL: no. */
    uint64_t (*turn)(struct servers *c);
};

struct servers_node {
    struct ps_node *node; /* NULL: not running. */
    uint32_t n_views;     /* How many views it has heard of. */
    bool in, leaving;     /* Of the next view. */
    uint64_t since;       /* Of the next view. */
    uint64_t n_done;      /* Tasks. */
    struct blob **log;    /* (n_log) what it logged, over all its lives. */
    size_t n_log, log_room;
};

struct servers {
    struct servers_options o;
    struct p2p_sim *net;
    uint32_t n;
    struct servers_node nodes[SERVERS_MAX];
    struct {
        uint64_t at_ns;
        bool fresh;
        uint32_t n_members;
        struct ps_member members[SERVERS_MAX];
    } views[SERVERS_VIEWS_MAX]; /* Number i + 1. */
    uint32_t n_views;
    uint64_t n_lost; /* Ranges somebody said are lost. */
};

void servers_set_up(struct servers *c, const struct servers_options *o);
void servers_tear_down(struct servers *c);

/* A new life of @p, with nothing but, if asked for, its log. */
void servers_start(struct servers *c, p2p_peer p, uint64_t first_time);
void servers_restore(struct servers *c, p2p_peer p);
void servers_kill(struct servers *c, p2p_peer p);

/* The next view: all nodes that are `in`. */
void servers_view(struct servers *c, bool fresh);

/* Go on until @until_ns. */
void servers_run(struct servers *c, uint64_t until_ns);

/* All members have heard of the last view and serve what they head. */
bool servers_settled(const struct servers *c);

/* Go on until servers_settled(), at most until @until_ns. */
bool servers_settle(struct servers *c, uint64_t until_ns);

/* Carry out what @p wants; to be called after its node was told something. */
void servers_act(struct servers *c, p2p_peer p);

uint64_t servers_now(const struct servers *c);

/* Members that keep @range in the last view, head first. */
uint32_t servers_chain(const struct servers *c,
                       uint32_t range,
                       p2p_peer chain[SERVERS_MAX]);

/* Push a row, pull keys; return the task. */
uint64_t servers_push(struct servers *c,
                      p2p_peer p,
                      uint32_t param,
                      uint64_t time,
                      const float *val,
                      uint32_t n);
uint64_t servers_pull(struct servers *c,
                      p2p_peer p,
                      uint32_t param,
                      uint64_t time,
                      float *out,
                      uint32_t n);

/* Whether all copies in the chain of each range have the same bytes. */
bool servers_agree(const struct servers *c);

#endif /* TESTS_SUPPORT_SERVERS_H_ */
