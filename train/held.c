#include "train/held.h"

#include <stdbool.h>
#include <stdlib.h>

static struct train_held_item *at(const struct train_held *h, size_t i)
{
    return &h->items[(h->first + i) % h->room];
}

static void drop_first(struct train_held *h)
{
    struct train_held_item *item = at(h, 0);

    h->bytes -= item->blob->size;
    blob_unref(item->blob);
    h->first = (h->first + 1) % h->room;
    h->count--;
}

void train_held_fini(struct train_held *h)
{
    while (h->count > 0) {
        drop_first(h);
    }
    free(h->items);
    *h = (struct train_held){.bytes_max = 0};
}

static bool make_room(struct train_held *h)
{
    size_t room = h->room == 0 ? 64 : 2 * h->room;
    struct train_held_item *items;

    if (h->count < h->room) {
        return true;
    }
    items = malloc(room * sizeof *items);
    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; i < h->count; i++) {
        items[i] = *at(h, i);
    }
    free(h->items);
    h->items = items;
    h->first = 0;
    h->room = room;
    return true;
}

void train_held_put(struct train_held *h,
                    p2p_peer origin,
                    uint64_t clock,
                    struct blob *blob)
{
    if (h->bytes_max == 0 || !make_room(h)) {
        return;
    }
    h->count++;
    *at(h, h->count - 1) =
        (struct train_held_item){origin, clock, blob_ref(blob)};
    h->bytes += blob->size;
    while (h->count > 0 && (h->bytes > h->bytes_max ||
                            at(h, 0)->clock + TRAIN_HELD_CLOCKS <= clock)) {
        drop_first(h);
    }
}

struct blob *
train_held_get(const struct train_held *h, p2p_peer origin, uint64_t clock)
{
    for (size_t i = h->count; i > 0; i--) {
        const struct train_held_item *item = at(h, i - 1);
        if (item->origin == origin && item->clock == clock) {
            return blob_ref(item->blob);
        }
    }
    return NULL;
}
