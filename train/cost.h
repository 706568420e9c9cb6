/* What a clock costs, for each way of sending an update: bytes, messages,
 * floating point operations, memory. Pure functions of shapes and counts, which
 * may be expected or measured.
 *
 * W is (K, J), C pairs (u, v) are sent of a batch, to P - 1 others:
 *
 *     sufficient vectors   C (nnz(u) + nnz(v)) (P - 1) numbers leave a peer
 *     the matrix           2 J K (P - 1) / P, by ring all-reduce, or to servers
 *                          that are spread over the peers and back
 *
 * So pairs cost bytes that grow with P, and flops in every replica; the matrix
 * costs bytes that do not. train_cost_break_even() says where they meet.
 *
 * Units: numbers of matrices are f32. All results are means for one peer and
 *        one clock.
 * Source: Xie et al., "Orpheus", 2018, section 4; ring all-reduce: Patarasuk,
 *         Yuan, JPDC 69(2), 2009.
 */

#ifndef TRAIN_COST_H_
#define TRAIN_COST_H_

#include <stdint.h>

#include "train/delivery.h"

/* Pairs of a batch. */
struct train_cost_pairs {
    double n;     /* Pairs, C. */
    double nnz_u; /* Entries of a u: J if dense. */
    double nnz_v; /* Entries of a v: K if dense. */
};

/* What leaves a peer. As much comes in. */
struct train_cost_traffic {
    double bytes;
    double msgs_eager; /* At once. */
    double msgs_lazy;  /* With their groups, spread over the group's clocks. */
    double rounds;     /* Messages that wait for one another. */
};

/* Bytes of @p, with @size_u and @size_v for an entry (f32: 4, bf16: 2, and
 * about 1 more for the index of a sparse one). Headers are not counted. */
double train_cost_record_size(const struct train_cost_pairs *p,
                              double size_u,
                              double size_v);

/* A batch of @record_size bytes goes to everybody, by the schedule and the
 * groups of @d: to Q at once, and what the others lack in a message for each
 * group. Groups save messages, not bytes; without repair it goes to Q, and that
 * is all. Which clocks a pair of peers meets in
 * counts as independent: exact for all, ring and random, close for halton. */
struct train_cost_traffic train_cost_sv(const struct train_delivery *d,
                                        double record_size);

/* Batches of a clock that a replica applies: one of each peer or, where those
 * left out never get one, as many as are sent, and its own. */
uint32_t train_cost_batches(const struct train_delivery *d);

/* What --repair sync:@every or rotate:@every adds to that, spread over the
 * clocks, where @d leaves batches out: 2 J K (P - 1) / P numbers every so many
 * clocks for the mean of all replicas, J K for moving them on. What an
 * optimizer keeps beside W comes on top. Else nothing. */
struct train_cost_traffic train_cost_mix(const struct train_delivery *d,
                                         uint32_t every,
                                         uint64_t J,
                                         uint64_t K);

/* The dense gradient goes to servers, a range of W in each peer, and the
 * parameters come back. */
struct train_cost_traffic
train_cost_matrix_ps(uint64_t J, uint64_t K, uint32_t n_peers);

/* Reduce-scatter and all-gather on a ring. */
struct train_cost_traffic
train_cost_matrix_ring(uint64_t J, uint64_t K, uint32_t n_peers);

/* Pairs per peer and clock at which SVs, @pair_size bytes each, cost the bytes
 * of the matrix; with fewer they cost less. INFINITY for one peer. */
double train_cost_break_even(uint64_t J,
                             uint64_t K,
                             uint32_t n_peers,
                             double pair_size);

/* Flops of the forward product of @n samples with @nnz_v entries each. */
double train_cost_forward_flops(double n, uint64_t J, double nnz_v);

/* Flops of the inner products that a selection from @p needs. */
double train_cost_select_flops(const struct train_cost_pairs *p);

/* Flops of applying @n_batches batches such as @p: 2 n nnz(u) nnz(v) each. */
double train_cost_apply_flops(const struct train_cost_pairs *p,
                              uint32_t n_batches);

/* Flops of a dense gradient from the pairs of one batch, of adding it to what
 * comes (J K (P - 1) / P additions) and of the step (2 J K). */
double train_cost_matrix_flops(const struct train_cost_pairs *p,
                               uint64_t J,
                               uint64_t K,
                               uint32_t n_peers);

/* Bytes of @n matrices as replicas hold them, rows padded. */
double train_cost_matrix_memory(uint64_t J, uint64_t K, uint32_t n);

/* Bytes of the batches that a peer holds: of @n_peers peers, @n_clocks clocks,
 * @batch_size bytes each. */
double
train_cost_held_memory(uint32_t n_peers, uint32_t n_clocks, double batch_size);

#endif /* TRAIN_COST_H_ */
