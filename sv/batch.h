/* A batch of sufficient vectors: what one peer computed for one matrix in one
 * clock.
 *
 * The update of a matrix-parameterized model over a minibatch is a sum of outer
 * products,
 *
 *     W += coef_0 v_0 u_0^T + ... + coef_{n-1} v_{n-1} u_{n-1}^T,  W is (K, J)
 *
 * and the pairs (u_r, v_r) are all a peer needs to repeat it: n (J + K) numbers
 * instead of J K. The u side is all dense or all sparse, and so is the v side;
 * entries that a sparse vector does not list are not touched by an update.
 *
 * Not thread-safe. A batch has one owner at a time.
 */

#ifndef SV_BATCH_H_
#define SV_BATCH_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define SV_LEN_MAX ((uint32_t)1 << 30) /* Of J, K. */
#define SV_N_MAX   ((uint32_t)1 << 24) /* Pairs in a batch. */

/* n vectors of one length. */
struct sv_vecs {
    uint32_t n;   /* Vectors. */
    uint32_t len; /* Length of each. */
    bool sparse;
    uint32_t ld;   /* Dense: floats from one vector to the next, mat_ld(len). */
    float *val;    /* Dense: (n, ld), padding zero, on a 64 byte boundary.
                    * Sparse: (ptr[n]). Owned. */
    uint32_t *idx; /* Sparse: (ptr[n]), ascending in each vector. Owned. */
    uint32_t *ptr; /* Sparse: (n + 1), vector r is [ptr[r], ptr[r + 1]). */
    size_t val_room; /* Floats allocated at val, and at idx when sparse. */
    size_t ptr_room; /* Entries allocated at ptr. */
};

struct sv_batch {
    uint32_t n;       /* Pairs. */
    float *coef;      /* (n). Owned. */
    uint32_t *sample; /* (n) row of the data set that a pair came from, or
                       * SV_NO_SAMPLE. Owned. */
    struct sv_vecs u; /* (n, J). */
    struct sv_vecs v; /* (n, K). */
    float rate;  /* Step size for the rules that use one: see sv/apply.h. */
    size_t room; /* Pairs allocated at coef and sample. */
};

#define SV_NO_SAMPLE UINT32_MAX

/* Make an empty batch for a matrix (K, J). Owns no memory yet. */
void sv_batch_init(struct sv_batch *b, uint32_t J, uint32_t K);
void sv_batch_fini(struct sv_batch *b);

/* Empty the batch, keep its memory, and say what form its vectors will have. */
void sv_batch_reset(struct sv_batch *b, bool u_sparse, bool v_sparse);

/* Append one pair. A dense vector is (len) floats with NULL for its indices; a
 * sparse one has @nnz ascending indices below len.
 *
 * Owner:  the caller keeps the vectors.
 * Errors: ERR_NOMEM, ERR_FULL (SV_N_MAX pairs, or 2^32 entries). @b is
 *         unchanged. */
struct sv_vec {
    uint32_t nnz;        /* Entries; len when dense. */
    const uint32_t *idx; /* (nnz), or NULL when dense. */
    const float *val;    /* (nnz). */
};
int sv_batch_append(struct sv_batch *b,
                    float coef,
                    struct sv_vec u,
                    struct sv_vec v,
                    uint32_t sample,
                    struct err *e);

/* Append all pairs of @from, which has the same shape and forms. For batches
 * that several threads have made in pieces. Errors: as append. */
int sv_batch_concat(struct sv_batch *b,
                    const struct sv_batch *from,
                    struct err *e);

/* Building in place, for codecs: hold @n vectors with @n_entries entries in all
 * (ignored when dense), whose content the caller then writes. What was there is
 * gone. Dense vectors are zeroed, padding included; of a sparse one ptr[0] and
 * ptr[n] are set. sv_batch_resize() does the same for coef (zeros) and sample
 * (SV_NO_SAMPLE). Errors: ERR_NOMEM, ERR_FULL; n may be zero then. */
int sv_vecs_resize(struct sv_vecs *x,
                   uint32_t n,
                   size_t n_entries,
                   struct err *e);
int sv_batch_resize(struct sv_batch *b, uint32_t n, struct err *e);

/* Vector @r of @x. */
struct sv_vec sv_vecs_get(const struct sv_vecs *x, uint32_t r);

/* Entries stored: n len when dense. */
size_t sv_vecs_entries(const struct sv_vecs *x);

/* coef_r := factor * coef_r, rounded once to f32, for every pair: what a batch
 * that counts @factor times is, before it is applied. Where a step names a
 * factor, training and replay both do it here. */
void sv_batch_scale(struct sv_batch *b, float factor);

/* The first pair with a coef, u or v entry that is NaN or infinite, or n. */
uint32_t sv_batch_find_not_finite(const struct sv_batch *b);

#endif /* SV_BATCH_H_ */
