/* Shared immutable bytes: encoded once, then sent, logged and applied by
 * different threads. The last one to let go frees it. */

#ifndef CORE_BLOB_H_
#define CORE_BLOB_H_

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
    atomic_uint refs;
    size_t size;         /* Bytes at data that count. */
    uint8_t *data;       /* Written by the creator before it shares the blob. */
    struct blob *parent; /* Whose bytes they are. One reference, or NULL. */
};

/* A blob of @size bytes with one reference, or NULL if there is no memory. */
struct blob *blob_create(size_t size);

/* A blob that holds a copy of @size bytes at @data, or NULL. */
struct blob *blob_copy(const void *data, size_t size);

/* A blob of the @size bytes of @parent at @offset, which it shares and keeps
 * alive. NULL: no memory. */
struct blob *blob_slice(struct blob *parent, size_t offset, size_t size);

/* Take another reference. Return @b. */
struct blob *blob_ref(struct blob *b);

/* Give a reference back. NULL is a no-op. */
void blob_unref(struct blob *b);

#endif /* CORE_BLOB_H_ */
