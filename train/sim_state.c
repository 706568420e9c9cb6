#include "train/sim_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct train_sim_state *
add_state(struct train_sim_states *s, struct sv_state *states, struct err *e)
{
    size_t n = s->replica->n_states;
    struct train_sim_state *x = calloc(1, sizeof *x);

    if (x != NULL) {
        x->mats = calloc(n, sizeof *x->mats);
        x->states = states != NULL ? states : calloc(n, sizeof *x->states);
    }
    if (x == NULL || x->mats == NULL || x->states == NULL) {
        if (x != NULL) {
            free(x->mats);
            free(x->states == states ? NULL : x->states);
        }
        free(x);
        err_set(e, ERR_NOMEM, "one more replica");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        x->mats[i] = &x->states[i].w;
    }
    x->next = s->first;
    s->first = x;
    return x;
}

int train_sim_states_init(struct train_sim_states *s,
                          struct train_replica *replica,
                          uint32_t n_peers,
                          struct err *e)
{
    struct train_sim_state *x;

    memset(s, 0, sizeof *s);
    ckpt_step_init(&s->step);
    s->replica = replica;
    s->own_states = replica->states;
    s->own_mats = replica->mats;
    x = add_state(s, replica->states, e);
    if (x == NULL) {
        return ERR_NOMEM;
    }
    s->start = x;
    x->n_peers = n_peers;
    return 0;
}

void train_sim_states_fini(struct train_sim_states *s)
{
    struct train_sim_state *x;

    while ((x = s->first) != NULL) {
        s->first = x->next;
        if (x->states != s->own_states) {
            for (size_t i = 0; i < s->replica->n_states; i++) {
                sv_state_fini(&x->states[i]);
            }
            free(x->states);
        }
        free(x->mats);
        free(x);
    }
    if (s->replica != NULL) {
        s->replica->states = s->own_states;
        s->replica->mats = s->own_mats;
        ckpt_step_fini(&s->step);
    }
    memset(s, 0, sizeof *s);
}

void train_sim_states_play(struct train_sim_states *s,
                           const struct train_sim_state *state)
{
    s->replica->states = state->states;
    s->replica->mats = state->mats;
}

static struct hash128
history(struct hash128 name, uint64_t a, uint64_t b, uint64_t salt)
{
    uint64_t high[] = {name.high, name.low, a, b, salt};
    uint64_t low[] = {name.low, name.high, b, a, ~salt};

    return (struct hash128){hash64(high, sizeof high), hash64(low, sizeof low)};
}

/* The name of the state that @gate leads to from @name. */
static struct hash128 next_name(struct hash128 name,
                                const struct train_sim_gate *gate)
{
    name = history(name, gate->number, gate->n_items, 1);
    for (size_t i = 0; i < gate->n_items; i++) {
        const struct train_hub_item *item = &gate->items[i];
        uint32_t factor;
        memcpy(&factor, &item->factor, sizeof factor);
        name =
            history(name, item->peer, item->clock, (uint64_t)factor << 32 | 2);
    }
    for (size_t i = 0; i < gate->n_results; i++) {
        const struct train_exchange_result *r = &gate->results[i];
        name = history(name, r->piece, r->round, 3);
        name = history(name, hash64(r->part->data, r->part->size),
                       hash64(r->result->data, r->result->size), 4);
    }
    return name;
}

/* The state called @name that some peer is in, or NULL. */
static struct train_sim_state *find(const struct train_sim_states *s,
                                    struct hash128 name)
{
    struct train_sim_state *x = s->first;

    while (x != NULL && (x->n_peers == 0 || x->name.high != name.high ||
                         x->name.low != name.low)) {
        x = x->next;
    }
    return x;
}

static int find_free(struct train_sim_states *s,
                     struct train_sim_state **state,
                     struct err *e)
{
    struct train_sim_state *x = s->first;
    int rc = 0;

    while (x != NULL && x->n_peers > 0) {
        x = x->next;
    }
    if (x != NULL) {
        *state = x;
        return 0;
    }
    x = add_state(s, NULL, e);
    if (x == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; rc == 0 && i < s->replica->n_states; i++) {
        const struct sv_state *like = &s->own_states[i];
        rc = sv_state_init(&x->states[i], like->rule, like->eps, like->w.K,
                           like->w.J, e);
    }
    *state = x;
    return rc;
}

static void copy_mat(struct mat *to, const struct mat *from)
{
    if (from->data != NULL) {
        memcpy(to->data, from->data, from->K * from->ld * sizeof *from->data);
    }
}

/* A state of its own for a peer that parts from others. */
static int split(struct train_sim_states *s,
                 const struct train_sim_state *from,
                 struct train_sim_state **state,
                 struct err *e)
{
    struct train_sim_state *x;
    int rc = find_free(s, &x, e);

    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < s->replica->n_states; i++) {
        const struct sv_state *a = &from->states[i];
        struct sv_state *b = &x->states[i];
        copy_mat(&b->w, &a->w);
        copy_mat(&b->aux, &a->aux);
        if (a->h != NULL) {
            memcpy(b->h, a->h, a->w.K * sizeof *a->h);
        }
    }
    *state = x;
    return 0;
}

int train_sim_states_scratch(struct train_sim_states *s,
                             const struct train_sim_state *state,
                             struct err *e)
{
    struct train_sim_state *x;
    int rc = split(s, state, &x, e);

    if (rc == 0) {
        train_sim_states_play(s, x);
    }
    return rc;
}

int train_sim_states_advance(struct train_sim_states *s,
                             struct train_sim_state **state,
                             const struct train_sim_gate *gate,
                             struct err *e)
{
    struct hash128 name = next_name((*state)->name, gate);
    struct train_sim_state *from = *state, *to = find(s, name);
    int rc = 0;

    assert(from->n_peers > 0 && to != from);
    if (to != NULL) {
        s->n_shared++;
    } else {
        to = from;
        rc = from->n_peers == 1 ? 0 : split(s, from, &to, e);
        if (rc != 0) {
            return rc;
        }
        ckpt_step_reset(&s->step, gate->number);
        train_sim_states_play(s, to);
        rc = train_clock_apply(gate->clock, gate->items, gate->n_items,
                               &s->step, e);
        rc =
            rc != 0
                ? rc
                : train_mix_apply(gate->mix, gate->results, gate->n_results,
                                  gate->clock->tools->apply, &s->step, NULL, e);
        to->has_digest = false;
        s->n_applied++;
    }
    if (rc == 0) {
        from->n_peers--;
        to->n_peers++;
        to->name = name;
        *state = to;
    }
    return rc;
}

void train_sim_states_digest(struct train_sim_states *s,
                             struct train_sim_state *state)
{
    struct hash128 all[MODEL_PARAMS_MAX];

    if (!state->has_digest) {
        train_sim_states_play(s, state);
        state->joint = train_replica_digest(s->replica, all);
        state->digest = all[0];
        state->has_digest = true;
    }
}

uint32_t train_sim_states_count(const struct train_sim_states *s)
{
    uint32_t n = 0;

    for (const struct train_sim_state *x = s->first; x != NULL; x = x->next) {
        n += x->n_peers > 0;
    }
    return n;
}
