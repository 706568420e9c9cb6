/* Messages of rounds from the wire: whatever comes, in whatever order, does no
 * harm, and what is held stays bounded. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/hash.h"
#include "train/exchange.h"
#include "train/msg.h"

#define N_PEERS  3
#define N_PIECES 2
#define CLOCKS   12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t FLOATS[N_PIECES] = {3, 1};

static void send_nothing(struct train_exchange *x)
{
    struct train_exchange_out out;

    while (train_exchange_next(x, &out)) {
        assert(out.peer < N_PEERS && out.peer != 1);
        blob_unref(out.body);
    }
}

/* One clock: what is due, and, if the gate lets us, the next one. */
static void advance(struct train_exchange *x, uint64_t *clock, bool *begun)
{
    struct train_exchange_result r;
    uint32_t i, end;

    train_exchange_due(N_PIECES, 2, *clock, &i, &end);
    for (; !*begun && i < end; i++) {
        struct blob *b = train_exchange_body(FLOATS[i]);
        memset(train_exchange_floats(b), 0, FLOATS[i] * sizeof(float));
        assert(train_exchange_begin(x, i, *clock, b, *clock) == 0);
        blob_unref(b);
    }
    *begun = true;
    if (*clock + 1 < CLOCKS && train_exchange_open(x, *clock)) {
        while (train_exchange_take(x, &r)) {
            assert(r.part->size == r.result->size);
            blob_unref(r.part);
            blob_unref(r.result);
        }
        ++*clock;
        *begun = false;
    }
}

/* Type, sender and size, each a byte, then the body: with the right checksum,
 * if the type says so. */
static size_t
receive(struct train_exchange *x, const uint8_t *data, size_t size, uint64_t t)
{
    size_t n = data[2] < size - 3 ? data[2] : size - 3;
    struct blob *b = blob_copy(data + 3, n);

    if ((data[0] & 0x80) != 0 && n >= TRAIN_EXCHANGE_HEAD_SIZE) {
        le_put_u64(b->data + 16,
                   hash64_two(b->data, 16, b->data + TRAIN_EXCHANGE_HEAD_SIZE,
                              n - TRAIN_EXCHANGE_HEAD_SIZE));
    }
    (void)train_exchange_receive(x, data[1] % 2 == 0 ? 0 : 2,
                                 TRAIN_MSG_PART + (data[0] & 7), b, t, NULL);
    blob_unref(b);
    return 3 + n;
}

static void
go_through(enum train_exchange_kind kind, const uint8_t *data, size_t size)
{
    struct train_exchange_options o = {.kind = kind,
                                       .self = 1,
                                       .n_peers = N_PEERS,
                                       .every = 2,
                                       .first_clock = size % 5,
                                       .last_clock = CLOCKS,
                                       .n_pieces = N_PIECES,
                                       .floats = FLOATS,
                                       .retry_ns = 1};
    struct train_exchange *x;
    uint64_t clock = o.first_clock, t = 0;
    bool begun = false;

    assert(train_exchange_create(&x, &o, NULL) == 0);
    while (size >= 3) {
        size_t used = receive(x, data, size, t++);
        data += used;
        size -= used;
        advance(x, &clock, &begun);
        (void)train_exchange_tick(x, t);
        send_nothing(x);
        assert(train_exchange_held(x) <= N_PIECES * (3 + N_PEERS) * 36);
    }
    train_exchange_destroy(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    go_through(TRAIN_EXCHANGE_STAR, data, size);
    go_through(TRAIN_EXCHANGE_SHIFT, data, size);
    return 0;
}
