/* The inside of a hub, shared by the two files that are its two threads' sides,
 * train/hub.c and train/hub_net.c, and by train/hub_exchange.c. */

#ifndef TRAIN_HUB_STATE_H_
#define TRAIN_HUB_STATE_H_

#include <pthread.h>
#include <stdatomic.h>

#include "train/held.h"
#include "train/hub.h"
#include "train/store.h"

/* Bodies of one group that are kept for the next receiver. */
#define GROUP_BODIES_MAX 16

struct train_hub {
    struct train_hub_options o;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* The gate opened, or the job ended. */
    struct train_worker *worker;
    struct train_store store;
    struct train_held held;      /* Batches of others that were applied. */
    struct train_reduce *reduce; /* NULL: nothing is summed. */
    struct p2p_stats stats;
    struct train_hub_item *items;
    size_t n_items, items_room;
    uint64_t clock; /* The one at whose gate we are, or next. */
    struct train_exchange *exchange;       /* NULL: none. */
    struct train_exchange_result *results; /* Of the last gate. */
    size_t n_results, results_room;

    /* The network thread's own. */
    struct mesh *mesh;
    struct {
        uint64_t clock, until;
        size_t n;
        uint64_t parts[GROUP_BODIES_MAX]; /* A bit for each clock in it. */
        struct blob *bodies[GROUP_BODIES_MAX];
    } group;                       /* What was sent of a group last. */
    struct train_action *deferred; /* Sends that found no room. */
    size_t n_deferred, deferred_room;
    struct train_exchange_out *unsent; /* Likewise, of the exchange. */
    size_t n_unsent, unsent_room;
    struct train_mail_out mail_held; /* Found no room. body NULL: none. */
    pthread_t thread;
    bool started;
    atomic_bool quit;
};

uint64_t train_hub_now(const struct train_hub *h);

/* Let the network thread look at what there is to do. */
void train_hub_wake(struct train_hub *h);

/* Sleep until the network thread reports or it is time to look at the flag. The
 * mutex is held, but for the sleep. */
void train_hub_wait(struct train_hub *h);

/* Report an event to the engine, at the present time. The mutex is held.
 * Errors: as train_worker_step(). */
int train_hub_step(struct train_hub *h, struct train_event ev);

/* A new reference to a batch: from the store, or from before this process. The
 * mutex is held. Errors: ERR_NOT_FOUND, and those of options.load. */
int train_hub_fetch(struct train_hub *h,
                    p2p_peer peer,
                    uint64_t clock,
                    struct blob **blob,
                    struct err *e);

/* Forget the bodies of groups. */
void train_hub_drop_group(struct train_hub *h);

/* --- hub_exchange.c. */

int train_hub_exchange_create(struct train_hub *h, struct err *e);
void train_hub_exchange_destroy(struct train_hub *h);

/* The gate waits for a round. The mutex is held. */
bool train_hub_held_up(const struct train_hub *h);

/* Take what the gate brings. The mutex is held. Errors: ERR_NOMEM. */
int train_hub_take_results(struct train_hub *h, struct err *e);

/* Send what there is to send, as far as there is room. */
void train_hub_exchange_send(struct train_hub *h);

/* A message of the exchange has come. */
void train_hub_exchange_receive(struct train_hub *h, const struct p2p_msg *msg);

/* Tell the time; return when to do so again. The mutex is held. */
uint64_t train_hub_exchange_tick(struct train_hub *h, uint64_t now_ns);

/* --- hub_reduce.c. */

/* Sums over all peers, for the network thread: send what the engine has, until
 * there is no room. */
void train_hub_reduce_send(struct train_hub *h);

/* Whether @type is a message of sums. */
bool train_hub_reduce_is(uint8_t type);

/* One has come. The mutex is held. */
void train_hub_reduce_message(struct train_hub *h, const struct p2p_msg *msg);

/* Tick if it is time. Returns when it will be next. The mutex is held. */
uint64_t train_hub_reduce_tick(struct train_hub *h, uint64_t now_ns);

/* The network thread: @hub is a struct train_hub. */
void *train_hub_network(void *hub);

#endif /* TRAIN_HUB_STATE_H_ */
