/* Which vectors of parameters there are, and how they are cut into ranges: the
 * same on all peers. Ranges are cut once and numbered through. */

#ifndef PS_TABLE_H_
#define PS_TABLE_H_

#include "ps/range.h"

#define PS_PARAMS_MAX 65536

/* A vector of parameters. */
struct ps_param {
    uint32_t n;          /* Keys, from 0. */
    uint32_t range_keys; /* In a range, at most; 0: all in one. */
    enum ps_order order;
    bool aggregate_first;    /* PS_ORDER_RANK only: successors are sent what a
                              * range has become, once for each time, and pushes
                              * are acknowledged then; otherwise they are sent each
                              * push. */
    struct ps_update update; /* apply NULL: ps_update_add. */
    const float *initial;    /* (n) of the caller, as long as the table. NULL:
                              * zeros. */
};

struct ps_table {
    struct ps_param *params; /* Owned. */
    uint32_t *ranges;        /* (n_params + 1) the first of each. Owned. */
    uint32_t n_params;
    uint32_t n_ranges;
};

/* Errors: ERR_NOMEM; ERR_INVALID: no params, too many, or one that cannot be.
 * @t needs no ps_table_fini() then. */
int ps_table_init(struct ps_table *t,
                  const struct ps_param *params,
                  uint32_t n_params,
                  struct err *e);
void ps_table_fini(struct ps_table *t);

/* Where a range is. */
struct ps_piece {
    uint32_t param;
    uint32_t first; /* Key. */
    uint32_t n;     /* Keys. */
};
struct ps_piece ps_table_piece(const struct ps_table *t, uint32_t range);

/* The range of @key of @param. */
uint32_t ps_table_range(const struct ps_table *t, uint32_t param, uint32_t key);

/* Where a range is on the ring. */
uint64_t ps_table_ring_key(const struct ps_table *t, uint32_t range);

#endif /* PS_TABLE_H_ */
