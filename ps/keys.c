#include "ps/keys.h"

#include <stdlib.h>
#include <string.h>

void ps_keys_init(struct ps_keys *k)
{
    memset(k, 0, sizeof *k);
}

void ps_keys_fini(struct ps_keys *k)
{
    for (size_t i = 0; i < PS_KEYS_PLACES; i++) {
        free(k->lists[i].index);
    }
    memset(k, 0, sizeof *k);
}

const uint32_t *ps_keys_get(const struct ps_keys *k, uint64_t hash, uint32_t n)
{
    const struct ps_keys_list *l = &k->lists[hash % PS_KEYS_PLACES];

    return l->n == n && l->hash == hash ? l->index : NULL;
}

static void forget(struct ps_keys *k, struct ps_keys_list *l)
{
    k->n_keys -= l->n;
    free(l->index);
    memset(l, 0, sizeof *l);
}

void ps_keys_put(struct ps_keys *k,
                 uint64_t hash,
                 const uint32_t *index,
                 uint32_t n)
{
    struct ps_keys_list *l = &k->lists[hash % PS_KEYS_PLACES];
    uint32_t *copy;

    if (n == 0 || n > PS_KEYS_MAX || ps_keys_get(k, hash, n) != NULL) {
        return;
    }
    copy = malloc(n * sizeof *copy);
    if (copy == NULL) {
        return;
    }
    memcpy(copy, index, n * sizeof *copy);
    forget(k, l);
    while (k->n_keys + n > PS_KEYS_MAX) {
        forget(k, &k->lists[k->next++ % PS_KEYS_PLACES]);
    }
    *l = (struct ps_keys_list){.hash = hash, .n = n, .index = copy};
    k->n_keys += n;
}

static size_t place_of(p2p_peer peer, uint64_t h)
{
    return (h ^ peer * 0x9e3779b97f4a7c15u) % PS_KEYS_PLACES;
}

bool ps_keys_sent_has(const struct ps_keys_sent *s, p2p_peer peer, uint64_t h)
{
    size_t i = place_of(peer, h);

    return s->entries[i].used && s->entries[i].hash == h &&
           s->entries[i].peer == peer;
}

void ps_keys_sent_put(struct ps_keys_sent *s, p2p_peer peer, uint64_t h)
{
    size_t i = place_of(peer, h);

    s->entries[i].hash = h;
    s->entries[i].peer = peer;
    s->entries[i].used = true;
}

void ps_keys_sent_drop(struct ps_keys_sent *s, p2p_peer peer, uint64_t h)
{
    if (ps_keys_sent_has(s, peer, h)) {
        s->entries[place_of(peer, h)].used = false;
    }
}
