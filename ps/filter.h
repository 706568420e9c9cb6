/* Filters: what of some values need not be sent, or is worth it.
 *
 * A filter goes over the values of a push before they leave the worker, or over
 * those of a reply before they leave the server, and leaves out keys. Filters
 * stand behind one another in a list; each sees what the one before has left.
 * What is left out follows from the filter's state and the values alone.
 *
 *     significant  adds values up by key, and lets a sum go when it is
 *                  @threshold or more from zero. Nothing is lost: what is held
 *                  back goes with a later push, or with flush.
 *     kkt          for L1: leaves out the gradient of a key whose weight is 0
 *                  and will remain 0, since |g| <= @limit, which the caller
 *                  sets somewhat below lambda. That is lost, and may be.
 *     changed      the server's side of significant: leaves out keys whose
 *                  value differs by less than @threshold from what the receiver
 *                  was last sent; the error of each is always below it, and
 *                  none with a threshold of 0.
 *
 * Source: the idea of such filters, and of the second: Li et al., "Scaling
 * Distributed Machine Learning with the Parameter Server", OSDI 2014, 3.3.
 */

#ifndef PS_FILTER_H_
#define PS_FILTER_H_

#include "ps/values.h"

struct ps_filter {
    /* Take keys out of @v. Errors: ERR_NOMEM: neither @v nor the state has
     * changed. */
    int (*apply)(struct ps_filter *f, struct ps_values *v);
};

struct ps_filter_significant {
    struct ps_filter filter; /* Must be first. */
    float threshold;         /* Not less than 0. */
    uint32_t n;
    float *held; /* (n) what was not sent. Owned. */
};

struct ps_filter_kkt {
    struct ps_filter filter; /* Must be first. */
    float limit;
    const float *weights; /* (n) of the caller. */
};

struct ps_filter_changed {
    struct ps_filter filter; /* Must be first. */
    float threshold;
    uint32_t n;
    float *sent; /* (n) what the receiver has. Owned. */
};

/* Keys of values are below @n. Errors: ERR_NOMEM. */
int ps_filter_significant_init(struct ps_filter_significant *f,
                               uint32_t n,
                               float threshold);
void ps_filter_significant_fini(struct ps_filter_significant *f);

/* Make @v all that is held back, and hold nothing. Errors: ERR_NOMEM. */
int ps_filter_significant_flush(struct ps_filter_significant *f,
                                struct ps_values *v);

void ps_filter_kkt_init(struct ps_filter_kkt *f,
                        const float *weights,
                        float limit);

/* The receiver has @sent. Errors: ERR_NOMEM. */
int ps_filter_changed_init(struct ps_filter_changed *f,
                           uint32_t n,
                           const float *sent,
                           float threshold);
void ps_filter_changed_fini(struct ps_filter_changed *f);

/* Send @v through @n filters. Errors: as theirs; those before have done their
 * work then. */
int ps_filter_apply(struct ps_filter *const *filters,
                    size_t n,
                    struct ps_values *v);

#endif /* PS_FILTER_H_ */
