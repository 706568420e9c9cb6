/* Unit tests of train/reduce.h and train/mail.h: all peers in one process, with
 * a network that loses, doubles and reorders by seed. */

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/rng.h"
#include "tests/support/test.h"
#include "train/reduce.h"

#define P_MAX      7
#define PIECES_MAX 9
#define FLOATS     5
#define ROUNDS     4
#define RETRY_NS   10

struct flight {
    p2p_peer from, to;
    bool came;
    struct blob *body;
};

struct net {
    enum train_reduce_kind kind;
    uint32_t P, n_pieces;
    struct train_reduce *peers[P_MAX];
    uint32_t round[P_MAX];   /* That each is in, from 0. */
    uint32_t n_begun[P_MAX]; /* Of its pieces. */
    float sums[P_MAX][ROUNDS][PIECES_MAX][FLOATS];
    struct flight flights[4096];
    size_t n_flights;
    uint64_t now, seed, n_drawn;
    uint32_t loss, doubled; /* Permille. */
    size_t bytes[P_MAX];    /* Sent, of parts and sums, but for what is sent
                             * again. */
};

static int add(void *arg,
               struct train_reduce_part a,
               struct train_reduce_part b,
               size_t head_size,
               struct blob **sum,
               struct err *e)
{
    float x[FLOATS], y[FLOATS];

    (void)arg;
    if (a.size != sizeof x || b.size != sizeof y) {
        return err_set(e, ERR_CORRUPT, "parts of %zu and %zu bytes", a.size,
                       b.size);
    }
    memcpy(x, a.data, sizeof x);
    memcpy(y, b.data, sizeof y);
    for (size_t i = 0; i < FLOATS; i++) {
        x[i] += y[i];
    }
    *sum = blob_create(head_size + sizeof x);
    assert_non_null(*sum);
    memcpy((*sum)->data + head_size, x, sizeof x);
    return 0;
}

static float number(uint32_t round, uint32_t piece, p2p_peer p, uint32_t i)
{
    return rng_normal(round, rng_stream(RNG_TEST, piece, p), i);
}

static uint64_t draw(struct net *n, uint64_t below)
{
    return rng_below(n->seed, rng_stream(RNG_TEST, 0, 0), n->n_drawn++, below);
}

static void net_init(struct net *n,
                     enum train_reduce_kind kind,
                     uint32_t P,
                     uint32_t n_pieces,
                     uint64_t seed)
{
    memset(n, 0, sizeof *n);
    n->kind = kind;
    n->P = P;
    n->n_pieces = n_pieces;
    n->seed = seed;
    for (p2p_peer p = 0; p < P; p++) {
        struct train_reduce_options o = {.kind = kind,
                                         .self = p,
                                         .n_peers = P,
                                         .pieces_max = PIECES_MAX,
                                         .part_max = FLOATS * sizeof(float),
                                         .retry_ns = RETRY_NS,
                                         .add = add};
        assert_int_equal(train_reduce_create(&n->peers[p], &o, NULL), 0);
        assert_int_equal(train_reduce_open(n->peers[p], 0, n_pieces, 0, NULL),
                         0);
    }
}

static void net_fini(struct net *n)
{
    for (p2p_peer p = 0; p < n->P; p++) {
        train_reduce_destroy(n->peers[p]);
    }
    for (size_t i = 0; i < n->n_flights; i++) {
        blob_unref(n->flights[i].body);
    }
}

/* What the engines want sent goes on its way, but for what is lost. */
static void collect(struct net *n)
{
    struct train_mail_out out;

    for (p2p_peer p = 0; p < n->P; p++) {
        while (train_mail_next(train_reduce_mail(n->peers[p]), &out)) {
            int copies = draw(n, 1000) < n->doubled ? 2 : 1;
            n->bytes[p] += out.came || out.again ? 0 : out.body->size;
            for (int i = 0; i < copies && draw(n, 1000) >= n->loss; i++) {
                assert_true(n->n_flights < 4096);
                n->flights[n->n_flights++] =
                    (struct flight){.from = p,
                                    .to = out.peer,
                                    .came = out.came,
                                    .body = blob_ref(out.body)};
            }
            blob_unref(out.body);
        }
    }
}

static void deliver(struct net *n)
{
    size_t i = draw(n, n->n_flights);
    struct flight f = n->flights[i];

    n->flights[i] = n->flights[--n->n_flights];
    if (f.came) {
        assert_int_equal(
            train_mail_came(train_reduce_mail(n->peers[f.to]), f.from, f.body),
            0);
    } else {
        assert_int_equal(
            train_reduce_receive(n->peers[f.to], f.from, f.body, n->now, NULL),
            0);
    }
    blob_unref(f.body);
}

/* The next thing that a peer does for itself. */
static void act(struct net *n, p2p_peer p)
{
    struct train_reduce *r = n->peers[p];
    uint32_t piece;
    struct blob *sum;

    while (train_reduce_take(r, &piece, &sum)) {
        memcpy(n->sums[p][n->round[p]][piece],
               sum->data + TRAIN_REDUCE_HEAD_SIZE, FLOATS * sizeof(float));
        blob_unref(sum);
    }
    if (n->n_begun[p] < n->n_pieces) {
        float x[FLOATS];
        struct blob *part = blob_create(TRAIN_REDUCE_HEAD_SIZE + sizeof x);
        assert_non_null(part);
        for (uint32_t i = 0; i < FLOATS; i++) {
            x[i] = number(n->round[p], n->n_begun[p], p, i);
        }
        memcpy(part->data + TRAIN_REDUCE_HEAD_SIZE, x, sizeof x);
        assert_int_equal(
            train_reduce_begin(r, n->n_begun[p], part, n->now, NULL), 0);
        n->n_begun[p]++;
    } else if (train_reduce_left(r) == 0 && n->round[p] + 1 < ROUNDS) {
        n->round[p]++;
        n->n_begun[p] = 0;
        assert_int_equal(
            train_reduce_open(r, n->round[p], n->n_pieces, n->now, NULL), 0);
    }
}

static bool through(const struct net *n)
{
    for (p2p_peer p = 0; p < n->P; p++) {
        if (n->round[p] + 1 < ROUNDS || n->n_begun[p] < n->n_pieces ||
            train_reduce_left(n->peers[p]) > 0) {
            return false;
        }
    }
    return true;
}

static void play(struct net *n)
{
    for (int steps = 0; !through(n); steps++) {
        uint64_t what = draw(n, 8);
        assert_true(steps < 200000);
        collect(n);
        if (what < 3 && n->n_flights > 0) {
            deliver(n);
        } else if (what < 7) {
            act(n, (p2p_peer)draw(n, n->P));
        } else {
            n->now++;
            for (p2p_peer p = 0; p < n->P; p++) {
                struct train_mail *m = train_reduce_mail(n->peers[p]);
                if (train_mail_due_ns(m) <= n->now) {
                    assert_int_equal(train_mail_tick(m, n->now), 0);
                }
            }
        }
    }
}

/* All have the same sums, and they are those of the order that is promised. */
static void check(const struct net *n)
{
    for (uint32_t r = 0; r < ROUNDS; r++) {
        for (uint32_t piece = 0; piece < n->n_pieces; piece++) {
            for (uint32_t i = 0; i < FLOATS; i++) {
                p2p_peer first =
                    n->kind == TRAIN_REDUCE_RING ? piece % n->P : 0;
                float sum = number(r, piece, first, i);
                for (p2p_peer p = 1; p < n->P; p++) {
                    sum += number(r, piece, (first + p) % n->P, i);
                }
                for (p2p_peer p = 0; p < n->P; p++) {
                    assert_memory_equal(&n->sums[p][r][piece][i], &sum,
                                        sizeof sum);
                }
            }
        }
    }
}

static void all_get_the_same_sum(void **state)
{
    (void)state;
    for (uint32_t P = 1; P <= P_MAX; P++) {
        for (int kind = 0; kind < 2; kind++) {
            static struct net n;
            net_init(&n, (enum train_reduce_kind)kind, P, PIECES_MAX, P);
            play(&n);
            check(&n);
            net_fini(&n);
        }
    }
}

static void nothing_that_a_network_does_changes_a_sum(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        static struct net n;
        net_init(&n, seed % 2 == 0 ? TRAIN_REDUCE_RING : TRAIN_REDUCE_STAR,
                 1 + (uint32_t)(seed / 2 % P_MAX),
                 (uint32_t)(seed / 14 % PIECES_MAX) + 1, seed);
        n.loss = (uint32_t)(seed % 5) * 100;
        n.doubled = (uint32_t)(seed % 3) * 150;
        play(&n);
        check(&n);
        net_fini(&n);
    }
}

static void a_peer_sends_each_byte_but_twice(void **state)
{
    static struct net n;
    size_t part = TRAIN_REDUCE_HEAD_SIZE + FLOATS * sizeof(float);

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        net_init(&n, (enum train_reduce_kind)kind, 4, 8, 3);
        play(&n);
        collect(&n);
        for (p2p_peer p = 0; p < 4; p++) { /* 2 (P-1) / P of 8 pieces. */
            assert_int_equal(n.bytes[p], ROUNDS * 12 * part);
        }
        net_fini(&n);
    }
}

static struct blob *
message(uint64_t round, uint32_t piece, uint32_t whose, size_t size)
{
    struct blob *b = blob_create(TRAIN_REDUCE_HEAD_SIZE + size);

    assert_non_null(b);
    memset(b->data, 0, b->size);
    le_put_u64(b->data, round);
    le_put_u32(b->data + 8, piece);
    le_put_u32(b->data + 12, whose);
    return b;
}

static void what_cannot_be_is_refused(void **state)
{
    static const struct {
        p2p_peer peer;
        uint32_t piece, whose;
        size_t size;
    } BAD[] = {
        {0, 0, 0, 4},              /* Not from the one before us. */
        {1, PIECES_MAX, 1, 4},     /* No such piece at all, */
        {1, 5, 1, 4},              /* or in this round. */
        {1, 0, 0, 4},              /* It is another's. */
        {1, 0, 9, 4},              /* It is nobody's. */
        {1, 2, 1, 4},              /* We begin piece 2, */
        {1, 3, 3, 4},              /* and end piece 3. */
        {1, 0, 1, 4 * FLOATS + 1}, /* Too long. */
        {2, 0, 2, 4},              /* From ourselves. */
    };
    static struct net n;
    struct blob *b = blob_create(TRAIN_REDUCE_HEAD_SIZE - 1);

    (void)state;
    net_init(&n, TRAIN_REDUCE_RING, 3, 5, 1);
    assert_int_equal(train_reduce_receive(n.peers[2], 1, b, 0, NULL),
                     ERR_INVALID);
    blob_unref(b);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        b = message(0, BAD[i].piece, BAD[i].whose, BAD[i].size);
        assert_int_equal(
            train_reduce_receive(n.peers[2], BAD[i].peer, b, 0, NULL),
            ERR_INVALID);
        blob_unref(b);
    }
    play(&n); /* None of it did any harm. */
    check(&n);
    net_fini(&n);
}

static void a_part_that_does_not_fit_ends_the_job(void **state)
{
    static struct net n;
    struct blob *b = message(0, 0, 1, 3);
    struct blob *part =
        blob_create(TRAIN_REDUCE_HEAD_SIZE + FLOATS * sizeof(float));
    struct err e;

    (void)state;
    net_init(&n, TRAIN_REDUCE_RING, 3, 5, 1);
    assert_int_equal(train_reduce_receive(n.peers[2], 1, b, 0, NULL), 0);
    blob_unref(b);
    assert_int_equal(train_reduce_begin(n.peers[2], 0, part, 0, &e),
                     ERR_CORRUPT);
    assert_string_equal(e.msg, "piece 0 of round 0: parts of 3 and 20 bytes");
    net_fini(&n);
}

static void patience_doubles_until_it_came(void **state)
{
    struct train_mail m;
    struct train_mail_out out;
    struct blob *b = message(1, 2, 3, 4), *answer;
    int n_again = 0;

    (void)state;
    train_mail_init(&m, 10);
    assert_int_equal(train_mail_send(&m, 5, b, 0, NULL), 0);
    for (uint64_t now = 1; now <= 70; now++) {
        assert_int_equal(train_mail_tick(&m, now), 0);
    }
    while (train_mail_next(&m, &out)) {
        assert_ptr_equal(out.body, b);
        n_again += out.again;
        blob_unref(out.body);
    }
    assert_int_equal(n_again, 3); /* At 10, 30, 70. */
    answer = blob_copy(b->data, TRAIN_MAIL_HEAD_SIZE);
    assert_int_equal(train_mail_came(&m, 4, answer), 0); /* Another peer. */
    assert_true(train_mail_due_ns(&m) == 150);
    assert_int_equal(train_mail_came(&m, 5, b), ERR_INVALID);
    assert_int_equal(train_mail_came(&m, 5, answer), 0);
    assert_true(train_mail_due_ns(&m) == UINT64_MAX);
    blob_unref(answer);
    blob_unref(b);
    train_mail_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_get_the_same_sum),
        cmocka_unit_test(nothing_that_a_network_does_changes_a_sum),
        cmocka_unit_test(a_peer_sends_each_byte_but_twice),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_part_that_does_not_fit_ends_the_job),
        cmocka_unit_test(patience_doubles_until_it_came),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
