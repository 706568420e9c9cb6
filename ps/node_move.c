/* What happens to copies when a view begins: see ps/node.h. */

#include <stdlib.h>
#include <string.h>

#include "ps/node_state.h"

#define MOVES_MAX 64 /* Ranges that a head moves at a time. */

void ps_node_forget_known(struct seat *s)
{
    free(s->known);
    s->known = NULL;
    s->n_known = 0;
}

static void add_known(struct ps_node *n,
                      struct seat *s,
                      p2p_peer peer,
                      uint64_t epoch,
                      uint64_t seq)
{
    struct known_copy *more =
        realloc(s->known, (s->n_known + 1) * sizeof *more);

    if (more == NULL) {
        n->out_of_memory = true;
        return;
    }
    s->known = more;
    more[s->n_known++] =
        (struct known_copy){.peer = peer, .epoch = epoch, .seq = seq};
}

static uint32_t place_in(const struct seat *s, p2p_peer peer)
{
    for (uint32_t i = 0; i < s->n_chain; i++) {
        if (s->chain[i] == peer) {
            return i;
        }
    }
    return NOWHERE;
}

static void
put_report(struct ps_node *n, uint32_t range, uint64_t epoch, uint64_t seq)
{
    buf_put_u32(&n->out, range);
    buf_put_u64(&n->out, epoch);
    buf_put_u64(&n->out, seq);
}

/* Tell @to what is held here of the ranges that it heads, and which were served
 * later than what is held. Always all of it: the first report that arrives
 * counts, whichever it is. */
static void send_report(struct ps_node *n, p2p_peer to)
{
    struct ps_msg m = {.kind = PS_MSG_REPORT};

    buf_reset(&n->out);
    for (uint32_t r = 0; r < n->table.n_ranges; r++) {
        const struct seat *s = &n->seats[r];
        if (s->n_chain == 0 || s->chain[0] != to) {
            continue;
        }
        if (s->holds) {
            put_report(n, r, s->range.epoch, s->range.seq);
        }
        if (n->served[r] > (s->holds ? s->range.epoch : 0)) {
            put_report(n, r, n->served[r], PS_MSG_WITNESS);
        }
    }
    if (n->out.failed) {
        n->out_of_memory = true;
        return;
    }
    m.payload = n->out.size == 0 ? NULL : n->out.data;
    m.payload_size = n->out.size;
    ps_node_send(n, to, &m);
}

/* Whether a copy is held of a range that @head heads and others keep. */
static bool has_orphan(const struct ps_node *n, p2p_peer head)
{
    for (uint32_t r = 0; r < n->table.n_ranges; r++) {
        const struct seat *s = &n->seats[r];
        if (s->holds && s->place == NOWHERE && s->n_chain > 0 &&
            s->chain[0] == head) {
            return true;
        }
    }
    return false;
}

/* The place of @range in the new view. */
static void take_seat(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];

    ps_node_chain_reset(s);
    ps_node_head_reset(s);
    ps_node_reply_reset(s);
    ps_node_forget_known(s);
    s->n_chain = 0;
    if (n->is_member) {
        s->n_chain =
            ps_ring_chain(&n->ring, ps_table_ring_key(&n->table, range),
                          n->o.replicas + 1, s->chain);
    }
    s->place = place_in(s, n->o.self);
    s->stage = s->place == 0 ? STAGE_ASK : STAGE_NONE;
    if (s->place == 0) {
        n->n_unsettled++;
        s->witnessed = n->served[range];
        if (s->holds) {
            add_known(n, s, n->o.self, s->range.epoch, s->range.seq);
        }
    }
}

/* Who the members, workers and keepers of ranges are. */
static int
take_members(struct ps_node *n, const struct ps_view *v, struct err *e)
{
    struct ps_member *members = malloc((v->n_members + 1) * sizeof *members);
    struct ps_worker *workers = malloc((v->n_members + 1) * sizeof *workers);
    bool *reported = calloc(v->n_members + 1, sizeof *reported);
    p2p_peer *keepers = malloc((v->n_members + 1) * sizeof *keepers);
    struct ps_ring ring = {0};
    uint32_t n_workers = 0;
    int rc = ERR_NOMEM;

    if (members != NULL && workers != NULL && reported != NULL &&
        keepers != NULL) {
        for (uint32_t i = 0; i < v->n_members; i++) {
            members[i] = v->members[i];
            if (!members[i].leaving) {
                keepers[n_workers] = members[i].peer;
                workers[n_workers++] = (struct ps_worker){
                    .peer = members[i].peer, .since = members[i].since};
            }
        }
        rc = ps_ring_init(&ring, n->o.seed, keepers, n_workers, e);
    }
    free(keepers);
    if (rc != 0) {
        free(members);
        free(workers);
        free(reported);
        return rc;
    }
    free(n->members);
    free(n->workers);
    free(n->reported);
    ps_ring_fini(&n->ring);
    n->members = members;
    n->n_members = v->n_members;
    n->workers = workers;
    n->n_workers = n_workers;
    n->reported = reported;
    n->ring = ring;
    return 0;
}

static void begin_serving(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];

    s->stage = STAGE_SERVE;
    n->n_moving--;
    n->n_unsettled--;
    for (uint32_t i = 0; i < s->n_known; i++) {
        if (place_in(s, s->known[i].peer) == NOWHERE) {
            ps_node_send(
                n, s->known[i].peer,
                &(struct ps_msg){.kind = PS_MSG_RELEASE, .range = range});
        }
    }
    ps_node_forget_known(s);
}

/* Whether chain[i] has just what the head installs. */
static bool has_same(const struct seat *s, uint32_t i)
{
    for (uint32_t j = 0; j < s->n_known; j++) {
        const struct known_copy *k = &s->known[j];
        if (k->peer == s->chain[i]) {
            return k->epoch == s->old_epoch && k->seq == s->range.seq;
        }
    }
    return false;
}

static void send_install(struct ps_node *n, uint32_t range, uint32_t i)
{
    struct seat *s = &n->seats[range];
    struct ps_msg m = {.kind = PS_MSG_INSTALL,
                       .range = range,
                       .from = s->old_epoch,
                       .seq = s->range.seq};

    if (!has_same(s, i)) {
        buf_reset(&n->out);
        ps_range_encode(&s->range, &n->out);
        if (n->out.failed) {
            n->out_of_memory = true;
            return;
        }
        m.payload = n->out.data;
        m.payload_size = n->out.size;
    }
    ps_node_send(n, s->chain[i], &m);
}

static void send_installs(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];

    s->moved_ns = n->now_ns;
    for (uint32_t i = 1; i < s->n_chain; i++) {
        if ((s->installed >> i & 1) == 0) {
            send_install(n, range, i);
        }
    }
}

/* The copy at hand is the best there is: begin the view with it. */
static void install(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];

    s->old_epoch = s->range.epoch;
    if (ps_range_install(&s->range, n->view, n->workers, n->n_workers) != 0 ||
        ps_node_head_begin(s) != 0) {
        n->out_of_memory = true;
        return;
    }
    ps_node_chain_reset(s);
    ps_node_log_state(n, range);
    s->stage = STAGE_INSTALL;
    s->installed = 1;
    if (s->n_chain == 1) {
        begin_serving(n, range);
    } else {
        send_installs(n, range);
    }
}

static void send_fetch(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];

    s->moved_ns = n->now_ns;
    ps_node_send(n, s->source,
                 &(struct ps_msg){.kind = PS_MSG_FETCH, .range = range});
}

static bool is_better(const struct known_copy *a, const struct known_copy *b)
{
    return a->epoch > b->epoch || (a->epoch == b->epoch && a->seq > b->seq);
}

/* All copies are known: take the best; among equals the own, if there is one,
 * for it comes first. */
static void decide(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];
    const struct known_copy *best = s->known;

    for (uint32_t i = 1; i < s->n_known; i++) {
        best = is_better(&s->known[i], best) ? &s->known[i] : best;
    }
    if (!n->fresh && (best == NULL || best->epoch < s->witnessed)) {
        s->stage = STAGE_LOST;
        log_error(n->o.log, "range %u is lost: no member has a copy%s", range,
                  best == NULL ? "" : " that is not too old");
        ps_node_act(
            n, &(struct ps_action){.kind = PS_ACTION_LOST, .range = range});
        return;
    }
    if (ps_node_hold(n, range) != 0) {
        return;
    }
    n->n_moving++;
    if (best == NULL || best->peer == n->o.self) {
        install(n, range);
    } else {
        s->stage = STAGE_FETCH;
        s->source = best->peer;
        send_fetch(n, range);
    }
}

static void move_on(struct ps_node *n)
{
    if (n->n_reported < n->n_members) {
        return;
    }
    while (n->next_move < n->table.n_ranges && n->n_moving < MOVES_MAX &&
           !n->out_of_memory) {
        uint32_t range = n->next_move++;
        if (n->seats[range].stage == STAGE_ASK) {
            decide(n, range);
        }
    }
}

static void begin_view(struct ps_node *n)
{
    n->n_reported = 0;
    n->n_moving = 0;
    n->next_move = 0;
    n->n_unsettled = 0;
    n->asked_ns = n->now_ns;
    n->orphan_ns = n->now_ns;
    for (uint32_t r = 0; r < n->table.n_ranges; r++) {
        take_seat(n, r);
    }
    for (uint32_t i = 0; i < n->n_members && n->is_member; i++) {
        if (n->members[i].peer == n->o.self) {
            n->reported[i] = true;
            n->n_reported++;
        } else if (!n->members[i].leaving) {
            send_report(n, n->members[i].peer);
        }
        /* Its report came before this view began here, and was dropped. */
        if (n->early[n->members[i].peer] == n->view) {
            ps_node_send(n, n->members[i].peer,
                         &(struct ps_msg){.kind = PS_MSG_SURVEY});
        }
    }
}

int ps_node_view(struct ps_node *n,
                 uint64_t now_ns,
                 const struct ps_view *view,
                 struct err *e)
{
    int rc;

    n->now_ns = now_ns;
    for (uint32_t i = 0; i < view->n_members; i++) {
        if (view->members[i].peer >= P2P_PEERS_MAX ||
            (i > 0 && view->members[i].peer <= view->members[i - 1].peer)) {
            return err_set(e, ERR_INVALID, "view %u: member %u is out of order",
                           view->number, view->members[i].peer);
        }
    }
    if (view->number <= n->view) {
        return 0;
    }
    rc = take_members(n, view, e);
    if (rc != 0) {
        return rc;
    }
    n->view = view->number;
    n->fresh = view->fresh;
    n->is_member = ps_node_member(n, n->o.self) != NULL;
    begin_view(n);
    ps_node_tasks_view(n);
    if (n->is_member) {
        move_on(n);
    }
    return ps_node_finish(n);
}

void ps_node_on_survey(struct ps_node *n, p2p_peer from)
{
    send_report(n, from);
}

static void
report_one(struct ps_node *n, p2p_peer from, const uint8_t *p, bool is_first)
{
    uint32_t range = le_u32(p);
    struct seat *s;

    if (range >= n->table.n_ranges) {
        n->stats.n_dropped++;
        return;
    }
    s = &n->seats[range];
    if (le_u64(p + 12) == PS_MSG_WITNESS) {
        if (is_first && s->witnessed < le_u64(p + 4)) {
            s->witnessed = le_u64(p + 4);
        }
    } else if (is_first && s->stage == STAGE_ASK) {
        add_known(n, s, from, le_u64(p + 4), le_u64(p + 12));
    } else if (s->stage == STAGE_SERVE && place_in(s, from) == NOWHERE) {
        ps_node_send(n, from,
                     &(struct ps_msg){.kind = PS_MSG_RELEASE, .range = range});
    }
}

void ps_node_on_report(struct ps_node *n, p2p_peer from, const struct ps_msg *m)
{
    size_t i = (size_t)(ps_node_member(n, from) - n->members);
    bool is_first = !n->reported[i];

    if (m->payload_size % PS_MSG_REPORT_SIZE != 0) {
        n->stats.n_dropped++;
        return;
    }
    for (size_t at = 0; at < m->payload_size; at += PS_MSG_REPORT_SIZE) {
        report_one(n, from, m->payload + at, is_first);
    }
    n->n_reported += is_first;
    n->reported[i] = true;
    if (is_first) {
        move_on(n);
    }
}

void ps_node_on_fetch(struct ps_node *n, p2p_peer from, const struct ps_msg *m)
{
    struct seat *s = &n->seats[m->range];
    struct ps_msg reply = {.kind = PS_MSG_STATE, .range = m->range};

    if (!s->holds || s->n_chain == 0 || s->chain[0] != from) {
        n->stats.n_stale++;
        return;
    }
    buf_reset(&n->out);
    ps_range_encode(&s->range, &n->out);
    if (n->out.failed) {
        n->out_of_memory = true;
        return;
    }
    reply.payload = n->out.data;
    reply.payload_size = n->out.size;
    ps_node_send(n, from, &reply);
}

void ps_node_on_state(struct ps_node *n, p2p_peer from, const struct ps_msg *m)
{
    struct seat *s = &n->seats[m->range];
    int rc;

    if (s->stage != STAGE_FETCH || s->source != from) {
        n->stats.n_stale++;
        return;
    }
    rc = ps_range_decode(&s->range, m->payload, m->payload_size, NULL);
    if (rc != 0) {
        n->out_of_memory = n->out_of_memory || rc == ERR_NOMEM;
        n->stats.n_dropped++;
        return;
    }
    install(n, m->range);
    move_on(n);
}

/* Take up the copy that the head sent, or keep the own. */
static int
take_install(struct ps_node *n, struct seat *s, const struct ps_msg *m)
{
    int rc;

    if (m->payload_size == 0) {
        if (!s->holds || s->range.epoch != m->from || s->range.seq != m->seq) {
            return ERR_NOT_FOUND;
        }
        return ps_range_install(&s->range, n->view, n->workers, n->n_workers);
    }
    rc = ps_node_hold(n, m->range);
    if (rc == 0) {
        rc = ps_range_decode(&s->range, m->payload, m->payload_size, NULL);
    }
    return rc;
}

void ps_node_on_install(struct ps_node *n,
                        p2p_peer from,
                        const struct ps_msg *m)
{
    struct seat *s = &n->seats[m->range];
    int rc = 0;

    if (s->place == NOWHERE || s->place == 0 || s->chain[0] != from) {
        n->stats.n_stale++;
        return;
    }
    if (!s->holds || s->range.epoch != n->view) {
        rc = take_install(n, s, m);
        ps_node_chain_reset(s);
        if (rc == 0) {
            ps_node_log_state(n, m->range);
        }
    }
    if (rc == ERR_NOMEM) {
        n->out_of_memory = true;
    } else if (rc == ERR_CORRUPT) {
        n->stats.n_dropped++;
    } else {
        ps_node_send(n, from,
                     &(struct ps_msg){.kind = PS_MSG_INSTALLED,
                                      .range = m->range,
                                      .code = rc});
    }
}

void ps_node_on_installed(struct ps_node *n,
                          p2p_peer from,
                          const struct ps_msg *m)
{
    struct seat *s = &n->seats[m->range];
    uint32_t i = place_in(s, from);

    if (s->stage != STAGE_INSTALL || i == NOWHERE) {
        return;
    }
    if (m->code != 0) { /* It has not what it said: send all. */
        for (uint32_t j = 0; j < s->n_known; j++) {
            s->known[j].epoch =
                s->known[j].peer == from ? 0 : s->known[j].epoch;
        }
        send_install(n, m->range, i);
        return;
    }
    s->installed |= 1u << i;
    if (s->installed == (1u << s->n_chain) - 1) {
        begin_serving(n, m->range);
        move_on(n);
    }
}

void ps_node_on_release(struct ps_node *n,
                        p2p_peer from,
                        const struct ps_msg *m)
{
    struct seat *s = &n->seats[m->range];

    if (s->place == NOWHERE && s->n_chain > 0 && s->chain[0] == from) {
        ps_node_drop_copy(s);
    }
}

static void ask_again(struct ps_node *n)
{
    if (n->now_ns - n->asked_ns < n->o.retry_ns) {
        return;
    }
    n->asked_ns = n->now_ns;
    for (uint32_t i = 0; i < n->n_members; i++) {
        if (!n->reported[i]) {
            ps_node_send(n, n->members[i].peer,
                         &(struct ps_msg){.kind = PS_MSG_SURVEY});
            n->stats.n_resent++;
        }
    }
}

static void move_again(struct ps_node *n, uint32_t range)
{
    struct seat *s = &n->seats[range];

    if (n->now_ns - s->moved_ns < n->o.retry_ns) {
        return;
    }
    if (s->stage == STAGE_FETCH) {
        send_fetch(n, range);
        n->stats.n_resent++;
    } else if (s->stage == STAGE_INSTALL) {
        send_installs(n, range);
        n->stats.n_resent++;
    }
}

/* Copies that nobody has taken over yet, or that a lost message should have
 * released. */
static bool offer_orphans(struct ps_node *n)
{
    bool any = ps_node_held(n) > 0;

    if (any && n->now_ns - n->orphan_ns >= 4 * n->o.retry_ns) {
        n->orphan_ns = n->now_ns;
        for (uint32_t i = 0; i < n->n_members; i++) {
            if (has_orphan(n, n->members[i].peer)) {
                send_report(n, n->members[i].peer);
            }
        }
    }
    return any;
}

bool ps_node_move_tick(struct ps_node *n)
{
    if (n->n_reported < n->n_members) {
        ask_again(n);
    } else if (n->n_moving > 0) {
        for (uint32_t r = 0; r < n->next_move; r++) {
            move_again(n, r);
        }
    }
    return offer_orphans(n) || !ps_node_settled(n);
}
