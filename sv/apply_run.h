/* Runs: what the ops of a call are cut into.
 *
 * A run is a row of pairs whose vectors have one form, with the ops in between
 * that change whole matrices. It is carried out in one pass over W:
 *
 *     sparse v            sv_run_grouped  entries of v grouped by row
 *     dense v, dense u    sv_run_tiles    GEMM that starts from W
 *     dense v, else       sv_run_rows     row by row
 *     none                sv_run_mix      blocks of rows, and nothing else
 *
 * The first op of another form, or too many pairs for the scratch memory, begin
 * the next run. Where v is dense and the rule has no h, blocks of rows are ops
 * in between; elsewhere they are runs of their own, because h is moved on ahead
 * of the pairs of a run, and because sparse v touches few rows.
 *
 * Inside of sv/ only.
 */

#ifndef SV_APPLY_RUN_H_
#define SV_APPLY_RUN_H_

#include <stdbool.h>

#include "sv/apply.h"
#include "sv/kernel.h"

/* Memory that only grows. */
struct sv_room {
    void *data; /* Owned. */
    size_t size;
};

/* Make room for @count elements of @size bytes, on huge pages if it is large.
 * The content is lost when it grows; with @zero it is zeros then. Errors:
 * ERR_NOMEM. */
int sv_room_reserve(struct sv_room *r,
                    size_t count,
                    size_t size,
                    bool zero,
                    struct err *e);

/* Pairs [from, from + n) of @batch are pairs first.. of the run. */
struct sv_piece {
    const struct sv_batch *batch;
    uint32_t from;
    uint32_t n;
    size_t first;
};

/* An op on whole rows, to be done before pair @at. */
struct sv_whole {
    enum sv_op_kind kind;
    float a;
    const struct sv_row_block *rows;
    size_t at;
};

enum sv_engine { SV_GROUPED, SV_TILES, SV_ROWS, SV_MIX };

struct sv_run {
    enum sv_engine engine;
    enum sv_form form;
    size_t n_pairs;
    size_t n_entries; /* Of sparse v. */
    size_t n_pieces;
    size_t n_wholes;
    size_t buckets_log2; /* GROUPED: see sv/apply_grouped.c. */
    bool serial;         /* So little work that one thread is faster. */
    bool sort_serial;    /* GROUPED: the same, until entries are in buckets. */
};

/* What each thread has for itself. */
struct sv_apply_thread {
    struct sv_room counts; /* GROUPED: entries of each place, else zeros. */
    struct sv_room rows;   /* GROUPED: places, then rows, that have entries. */
    struct sv_room ends;   /* GROUPED: where the entries of each row end. */
    struct sv_room values; /* ROWS: v of a row. */
    struct sv_room panels; /* TILES: packed v. */
    struct sv_room block;  /* ROWS, TILES: v of 16 rows. */
};

struct sv_apply {
    struct sv_room pieces;  /* struct sv_piece */
    struct sv_room wholes;  /* struct sv_whole */
    struct sv_room pairs;   /* struct sv_pair */
    struct sv_room spread;  /* (n_pairs, ld) c of SPREAD. */
    struct sv_room packed;  /* (n_pairs, ld) c of TILES, in panels. */
    struct sv_room heads;   /* GROUPED: (parts, buckets) positions. */
    struct sv_room records; /* GROUPED: entries by bucket. */
    struct sv_room pair;    /* GROUPED, ROWS: pair of each entry by row. */
    struct sv_room v;       /* GROUPED: v of each entry by row. */
    struct sv_room sums;    /* GROUPED: h behind each entry. */
    struct sv_apply_thread *threads; /* (n_threads). Owned. */
    size_t n_threads;
};

/* A run, with all that it takes to carry it out. */
struct sv_job {
    struct sv_apply *x;
    struct sv_state *s;
    const struct sv_kernel *kernel;
    const struct sv_run *run;
    struct pool *pool;      /* NULL: this thread. */
    struct pool *sort_pool; /* GROUPED: until entries are in buckets. */
    size_t parts;           /* GROUPED: threads of that. */
    size_t tile_rows;       /* TILES: rows of W that a task has. */
};

/* --- apply_plan.c */

/* A place in a list of ops. */
struct sv_cursor {
    const struct sv_op *ops;
    size_t n_ops;
    size_t op;
    uint32_t pair; /* Next one of the batch of @op. */
};

/* Describe the next run and write its pieces and wholes (room for n_ops of each
 * is there). False when no op is left. */
bool sv_run_next(struct sv_cursor *c,
                 const struct sv_apply *x,
                 const struct sv_state *s,
                 size_t lanes,
                 struct sv_run *run);

/* Make room for @run. Errors: ERR_NOMEM. */
int sv_run_reserve(struct sv_apply *x,
                   const struct sv_state *s,
                   const struct sv_run *run,
                   struct err *e);

/* --- apply_grouped.c, apply_rows.c, apply_tiles.c, apply_mix.c */

void sv_run_grouped(struct sv_job *job);
void sv_run_rows(struct sv_job *job);
void sv_run_tiles(struct sv_job *job);
void sv_run_mix(struct sv_job *job);

/* Fill pairs [first, end) of the table. */
void sv_pairs_prepare(const struct sv_job *job, size_t first, size_t end);

/* The piece that pair @p of the run is in. */
const struct sv_piece *sv_piece_find(const struct sv_job *job, size_t p);

/* Rows k..k+15 of dense v of @n pairs from @first on, as (n, 16); with rowgrad
 * the steps, and h moves on. Behind the last row there are zeros. */
void sv_block_read(const struct sv_job *job,
                   size_t k,
                   size_t first,
                   size_t n,
                   float *v);

/* Apply the entries of @t, of which w, aux, ld, pairs and eps are filled in,
 * and all whole ops to each of its rows. */
void sv_rows_apply(const struct sv_job *job, struct sv_rows *t);

/* A part of a row: @cols floats from column @j on. */
struct sv_part {
    size_t k, j, cols;
};

/* One whole op on a part of a row. */
void sv_whole_apply(const struct sv_job *job,
                    const struct sv_whole *whole,
                    struct sv_part part);

/* Add what @rows has for a part of a row, h aside. */
void sv_mix_apply(const struct sv_state *s,
                  const struct sv_row_block *rows,
                  struct sv_part part);

/* --- Sizes that plan and engines share. */

#define SV_BLOCK 16 /* Rows that dense v are taken in. */
#define SV_TILES_PAIRS                                        \
    192 /* Pairs that a tile takes at a time: the panels of u \
         * and v that it uses stay in the first-level cache. */
#define SV_TILES_ROWS 256 /* Rows of W that a task holds in cache. */

/* GROUPED: bucket of row k, its place in the bucket, and back. Buckets take
 * rows in turn, 16 at a time: hot features with neighbouring numbers spread
 * over the threads, and no two threads write to one cache line of h. */
static inline size_t sv_bucket(size_t k, size_t log2)
{
    return k / SV_BLOCK & (((size_t)1 << log2) - 1);
}

static inline size_t sv_bucket_place(size_t k, size_t log2)
{
    return (k / SV_BLOCK >> log2) * SV_BLOCK + k % SV_BLOCK;
}

static inline size_t sv_bucket_row(size_t bucket, size_t place, size_t log2)
{
    return ((place / SV_BLOCK << log2) + bucket) * SV_BLOCK + place % SV_BLOCK;
}

/* Places that a bucket of K rows has at most. */
static inline size_t sv_bucket_places(size_t K, size_t log2)
{
    size_t groups = (K + SV_BLOCK - 1) / SV_BLOCK;
    return ((groups - 1) >> log2) * SV_BLOCK + SV_BLOCK;
}

#endif /* SV_APPLY_RUN_H_ */
