/* A set of names, numbered in the order in which they came. */

#ifndef DATASET_NAMES_H_
#define DATASET_NAMES_H_

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

#define NAMES_NONE UINT32_MAX

struct dataset_names {
    uint32_t n;
    size_t *at;      /* (n) Where each name begins in text. */
    uint32_t *slot;  /* (n_slots) Ids, or NAMES_NONE. */
    size_t n_slots;  /* A power of two, or 0. */
    struct buf text; /* The names, each with a final zero. */
};

/* All zero is an empty set. */
void dataset_names_fini(struct dataset_names *s);

/* Forget the names, keep the memory. */
void dataset_names_reset(struct dataset_names *s);

/* The id of the (@size) bytes at @name, which hold no zero; NAMES_NONE if they
 * are not in the set. */
uint32_t dataset_names_find(const struct dataset_names *s,
                            const char *name,
                            size_t size);

/* The same, and put them into the set if they are not there.
 *
 * Errors: ERR_NOMEM. */
int dataset_names_add(struct dataset_names *s,
                      const char *name,
                      size_t size,
                      uint32_t *id);

/* Name @id, with a final zero. Valid until the next add. */
const char *dataset_names_get(const struct dataset_names *s, uint32_t id);

/* Order the names as classes are ordered: numbers ascending if all are whole
 * numbers, else by strcmp. Write the ids in that order to @order (n). */
int dataset_names_sort(const struct dataset_names *s,
                       uint32_t *order,
                       struct err *e);

#endif /* DATASET_NAMES_H_ */
