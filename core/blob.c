#include "core/blob.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct blob *blob_create(size_t size)
{
    struct blob *b;

    if (size > SIZE_MAX - sizeof *b) {
        return NULL;
    }
    b = malloc(sizeof *b + size);
    if (b != NULL) {
        atomic_init(&b->refs, 1);
        b->size = size;
        b->data = (uint8_t *)(b + 1);
        b->parent = NULL;
    }
    return b;
}

struct blob *blob_slice(struct blob *parent, size_t offset, size_t size)
{
    struct blob *b = blob_create(0);

    assert(offset <= parent->size && size <= parent->size - offset);
    if (b != NULL) {
        b->size = size;
        b->data = parent->data + offset;
        b->parent = blob_ref(parent);
    }
    return b;
}

struct blob *blob_copy(const void *data, size_t size)
{
    struct blob *b = blob_create(size);

    if (b != NULL && size > 0) {
        memcpy(b->data, data, size);
    }
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void blob_unref(struct blob *b)
{
    unsigned before;

    if (b == NULL) {
        return;
    }
    before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        blob_unref(b->parent);
        free(b);
    }
}
