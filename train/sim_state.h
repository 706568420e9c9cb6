/* Replicas of simulated peers, in as little memory and time as equality allows.
 *
 * What a replica is, is a function of what was applied to it and in which
 * order. So a state has a name, a hash of that history; peers with the same
 * history share one state, and the first of them that gets there computes it.
 * Under bsp a thousand peers have one or two matrices; where every peer hears
 * something else, everyone has its own.
 */

#ifndef TRAIN_SIM_STATE_H_
#define TRAIN_SIM_STATE_H_

#include "train/clock.h"
#include "train/mix.h"

/* The state of one replica or of many. */
struct train_sim_state {
    struct hash128 name; /* Of its history. */
    uint32_t n_peers;    /* That are in this state. 0: its memory is free. */
    struct sv_state *states; /* (n) matrices. Owned, but for the first state. */
    const struct mat **mats; /* (n) of the states. */
    bool has_digest;
    struct hash128 digest;        /* Of the first matrix, */
    struct hash128 joint;         /* and of all. */
    struct train_sim_state *next; /* Of all there are. */
};

struct train_sim_states {
    struct train_replica *replica; /* Plays the peer whose turn it is. */
    struct sv_state *own_states;   /* Those that the replica came with. */
    const struct mat **own_mats;
    struct train_sim_state *first; /* Live ones and free ones. */
    struct train_sim_state *start; /* Where all peers begin. */
    struct ckpt_step step;         /* Of the gate that is computed. */
    uint64_t n_applied;            /* Gates that were computed, */
    uint64_t n_shared;             /* and that were not. */
};

/* Begin with @n_peers peers in the state of @replica, whose matrices it borrows
 * until fini. Errors: ERR_NOMEM; @s needs fini all the same. */
int train_sim_states_init(struct train_sim_states *s,
                          struct train_replica *replica,
                          uint32_t n_peers,
                          struct err *e);
void train_sim_states_fini(struct train_sim_states *s);

/* Let the replica have the matrices of @state. */
void train_sim_states_play(struct train_sim_states *s,
                           const struct train_sim_state *state);

/* Let the replica have a copy of @state that nobody is in, to be used up before
 * the next call. Errors: ERR_NOMEM. */
int train_sim_states_scratch(struct train_sim_states *s,
                             const struct train_sim_state *state,
                             struct err *e);

/* What a peer applies when a clock of it is closed. */
struct train_sim_gate {
    struct train_clock *clock; /* The peer's. */
    uint64_t number;           /* Which clock it is. */
    const struct train_hub_item *items;
    size_t n_items;
    struct train_mix *mix; /* Not used if n_results is 0. */
    const struct train_exchange_result *results;
    size_t n_results;
};

/* Move one peer from *state to what @gate leads to. Errors: those of
 * train_clock_apply(); the peer stays. */
int train_sim_states_advance(struct train_sim_states *s,
                             struct train_sim_state **state,
                             const struct train_sim_gate *gate,
                             struct err *e);

/* Digests, computed once per state. */
void train_sim_states_digest(struct train_sim_states *s,
                             struct train_sim_state *state);

/* How many different states there are. */
uint32_t train_sim_states_count(const struct train_sim_states *s);

#endif /* TRAIN_SIM_STATE_H_ */
