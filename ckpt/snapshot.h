/* A replica at a clock, as files: where replay may begin.
 *
 * Snapshots are made by replaying the log, beside training or after it, and let
 * old segments go: ckpt/compact.h. One is a directory of the log's:
 *
 *     snapshots/clock-123/
 *         W-0.npy         matrix 0 (K, J): see core/npy.h
 *         aux-0.npy       where its rule keeps one: momentum, sums of adagrad
 *         h-0.npy         where its rule keeps them (K, 1): sums of rowgrad
 *         W-1.npy ...
 *         state           what they are
 *
 * The file "state", little-endian:
 *
 *     offset  size  field
 *          0     8  magic, "LYRESNP1"
 *          8     8  run, the job's random number
 *         16     4  peer
 *         20     4  n, matrices
 *         24     8  clock
 *         32     4  m, peers of which batches were applied
 *         36    28  reserved, zero
 *         64   72n  for each matrix: u32 rule, f32 eps, u64 K, u64 J, and
 *                   XXH3-128 (high, low) of W, aux and h, zeros if not there
 *          -  144m  for each peer: u32 peer, u32 zero, u64 next, and 1,024
 * bits: bit i, from the low one of the first byte on, says that its batch of
 * clock next - 1024 + i was applied to matrix 0. next is behind the last one
 * applied
 *          -     8  XXH3-64 of all before
 *
 * All of it is written to "clock-123.partial", synced and renamed: a snapshot
 * is there whole or not at all. What a selection carries from clock to clock is
 * not in it, but in the segments, which are kept from there on.
 */

#ifndef CKPT_SNAPSHOT_H_
#define CKPT_SNAPSHOT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ckpt/file.h"
#include "core/err.h"
#include "core/hash.h"
#include "sv/apply.h"

#define CKPT_APPLIED_BITS       1024
#define CKPT_SNAPSHOT_NAME_SIZE 64 /* Of "snapshots/clock-123/W-0.npy". */

/* Batches of a peer that were applied: those that the bits name, and of clocks
 * before them all that ever came. */
struct ckpt_applied {
    uint32_t origin;
    uint64_t next;
    uint8_t bits[CKPT_APPLIED_BITS / 8]; /* Of next - CKPT_APPLIED_BITS on. */
};

/* For each peer of which there is any. Zero it to begin. */
struct ckpt_applied_list {
    struct ckpt_applied *at; /* Owned. */
    size_t n;
};
void ckpt_applied_fini(struct ckpt_applied_list *list);

/* Note a batch. One too far behind to have a bit changes nothing.
 * Errors: ERR_NOMEM. */
int ckpt_applied_add(struct ckpt_applied_list *list,
                     uint32_t origin,
                     uint64_t clock,
                     struct err *e);

/* Was the batch of @clock applied? Only for clocks from next -
 * CKPT_APPLIED_BITS on. */
bool ckpt_applied_has(const struct ckpt_applied *a, uint64_t clock);

struct ckpt_snapshot_matrix {
    enum sv_rule rule;
    float eps;
    uint64_t K, J;
    struct hash128 w, aux, h;
};

struct ckpt_snapshot {
    uint64_t run;
    uint32_t peer;
    uint64_t clock;
    size_t n;                              /* Matrices. */
    struct ckpt_snapshot_matrix *matrices; /* (n). Owned. */
    struct ckpt_applied_list applied;
};
void ckpt_snapshot_fini(struct ckpt_snapshot *s);

/* Write @states (n_states), which are at W_clock, as a snapshot of the log in
 * @dir; @s says run, peer, clock and applied. One that is there already stays.
 *
 * Errors: ERR_FULL, ERR_IO, ERR_NOMEM. Nothing is left then that counts. */
int ckpt_snapshot_write(struct ckpt_fs *fs,
                        const char *dir,
                        const struct ckpt_snapshot *s,
                        const struct sv_state *states,
                        size_t n_states,
                        struct err *e);

/* Read "state" of the snapshot at @clock. Owner: on success fini is needed.
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO, ERR_NOMEM. */
int ckpt_snapshot_open(struct ckpt_snapshot *s,
                       const char *dir,
                       uint64_t clock,
                       struct err *e);

/* Give @states the content of the snapshot, digests compared.
 * Errors: ERR_CORRUPT (other shapes or rules, or damage: the file is named),
 *         ERR_NOT_FOUND, ERR_IO. */
int ckpt_snapshot_load(const struct ckpt_snapshot *s,
                       const char *dir,
                       struct sv_state *states,
                       size_t n_states,
                       struct err *e);

/* Clocks of the snapshots in @dir, ascending; those half written do not count.
 * Owner: the caller frees *clocks. Errors: ERR_IO, ERR_NOMEM. */
int ckpt_snapshot_list(const char *dir,
                       uint64_t **clocks,
                       size_t *n,
                       struct err *e);

/* Remove the snapshot at @clock, "state" first. Errors: ERR_IO. */
int ckpt_snapshot_remove(struct ckpt_fs *fs,
                         const char *dir,
                         uint64_t clock,
                         struct err *e);

/* Remove what an interrupted write has left. Nobody may be writing one. */
int ckpt_snapshot_clean(struct ckpt_fs *fs, const char *dir, struct err *e);

/* "snapshots/clock-123", relative to the log's directory. */
void ckpt_snapshot_name(char name[CKPT_SNAPSHOT_NAME_SIZE], uint64_t clock);

#endif /* CKPT_SNAPSHOT_H_ */
