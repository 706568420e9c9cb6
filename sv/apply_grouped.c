/* Sparse v: the entries of all pairs of a run are grouped by row.
 *
 * Sorting is by two counts. First all entries go to buckets, each of which
 * holds every 2^b-th group of 16 rows; then, bucket by bucket and while it is
 * in cache, to their rows, which are updated at once. Both are stable, so the
 * entries of a row stay in the order of the pairs. Nothing is as long as W has
 * rows but counters that are zero between runs: clearing follows the entries.
 */

#include <assert.h>
#include <string.h>

#include "sv/apply_run.h"

#define AHEAD_FLOATS 2048 /* W that is on its way to the cache. */
#define AHEAD_MAX    16   /* Rows. */

static size_t part_begin(const struct sv_job *job, size_t part)
{
    return job->run->n_pairs * part / job->parts;
}

static uint32_t *part_heads(const struct sv_job *job, size_t part)
{
    return (uint32_t *)job->x->heads.data + (part << job->run->buckets_log2);
}

/* Fill in the pairs of a part, and count its entries by bucket. */
static void count_task(void *arg, size_t part, size_t thread)
{
    const struct sv_job *job = arg;
    size_t log2 = job->run->buckets_log2;
    size_t p = part_begin(job, part), end = part_begin(job, part + 1);
    uint32_t *heads = part_heads(job, part);

    (void)thread;
    sv_pairs_prepare(job, p, end);
    memset(heads, 0, sizeof *heads << log2);
    while (p < end) {
        const struct sv_piece *piece = sv_piece_find(job, p);
        const struct sv_vecs *v = &piece->batch->v;
        size_t n = piece->first + piece->n < end ? piece->first + piece->n - p
                                                 : end - p;
        const uint32_t *ptr = v->ptr + piece->from + (p - piece->first);
        for (size_t i = ptr[0]; i < ptr[n]; i++) {
            heads[sv_bucket(v->idx[i], log2)]++;
        }
        p += n;
    }
}

static void scatter_task(void *arg, size_t part, size_t thread)
{
    const struct sv_job *job = arg;
    struct sv_record_entry *records = job->x->records.data;
    size_t log2 = job->run->buckets_log2;
    size_t p = part_begin(job, part), end = part_begin(job, part + 1);
    const struct sv_piece *piece = p < end ? sv_piece_find(job, p) : NULL;
    uint32_t *heads = part_heads(job, part);

    (void)thread;
    for (; p < end; p++) {
        const struct sv_vecs *v;
        const uint32_t *ptr;
        if (p == piece->first + piece->n) {
            piece++;
        }
        v = &piece->batch->v;
        ptr = v->ptr + piece->from + (p - piece->first);
        for (size_t i = ptr[0]; i < ptr[1]; i++) {
            size_t k = v->idx[i];
            records[heads[sv_bucket(k, log2)]++] = (struct sv_record_entry){
                .place = (uint32_t)sv_bucket_place(k, log2),
                .entry = {.pair = (uint32_t)p, .v = v->val[i]}};
        }
    }
}

/* Counts become the place of each part's first entry in each bucket. After the
 * scatter, the last part's heads are where the buckets end. */
static void heads_from_counts(const struct sv_job *job)
{
    size_t n_buckets = (size_t)1 << job->run->buckets_log2;
    uint32_t sum = 0;

    for (size_t b = 0; b < n_buckets; b++) {
        for (size_t part = 0; part < job->parts; part++) {
            uint32_t *head = part_heads(job, part) + b;
            uint32_t count = *head;
            *head = sum;
            sum += count;
        }
    }
    assert(sum == job->run->n_entries);
}

/* Count the entries of each place. @rows gets the places to visit: those that
 * have entries, or all if there are ops on whole matrices. Return how many. */
static size_t count_rows(const struct sv_job *job,
                         size_t bucket,
                         const struct sv_record_entry *records,
                         size_t n,
                         uint32_t *counts,
                         uint32_t *rows)
{
    size_t log2 = job->run->buckets_log2, K = job->s->w.K, n_rows = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t place = records[i].place;
        rows[n_rows] = place;
        n_rows += counts[place]++ == 0;
    }
    if (job->run->n_wholes > 0) {
        size_t places = sv_bucket_places(K, log2);
        n_rows = 0;
        for (size_t place = 0; place < places; place++) {
            if (sv_bucket_row(bucket, place, log2) < K) {
                rows[n_rows++] = (uint32_t)place;
            }
        }
    }
    return n_rows;
}

/* Bring entries into the order of @rows. counts[place] becomes where the row
 * ends. */
static void group_rows(const struct sv_record_entry *records,
                       size_t n,
                       uint32_t *counts,
                       const uint32_t *rows,
                       size_t n_rows,
                       struct sv_entry *entries)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n_rows; i++) {
        uint32_t count = counts[rows[i]];
        counts[rows[i]] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++) {
        entries[counts[records[i].place]++] = records[i].entry;
    }
}

static size_t rows_ahead(size_t cols)
{
    size_t n = AHEAD_FLOATS / cols;

    return n < 1 ? 1 : n < AHEAD_MAX ? n : AHEAD_MAX;
}

static void bucket_task(void *arg, size_t bucket, size_t thread)
{
    const struct sv_job *job = arg;
    const struct sv_apply_thread *mine = &job->x->threads[thread];
    uint32_t *ends = part_heads(job, job->parts - 1);
    uint32_t from = bucket == 0 ? 0 : ends[bucket - 1];
    size_t log2 = job->run->buckets_log2, n = ends[bucket] - from;
    const struct sv_record_entry *records =
        (struct sv_record_entry *)job->x->records.data + from;
    struct sv_entry *entries = (struct sv_entry *)job->x->entries.data + from;
    uint32_t *counts = mine->counts.data, *rows = mine->rows.data;
    size_t n_rows = count_rows(job, bucket, records, n, counts, rows);
    size_t ahead = rows_ahead(job->s->w.ld), begin = 0;

    group_rows(records, n, counts, rows, n_rows, entries);
    for (size_t i = 0; i < n_rows; i++) {
        size_t next = rows[i + ahead < n_rows ? i + ahead : n_rows - 1];
        size_t end = counts[rows[i]];
        counts[rows[i]] = 0;
        next = sv_bucket_row(bucket, next, log2);
        if (job->s->h != NULL) {
            __builtin_prefetch(&job->s->h[next], 1, 3);
        }
        sv_row_apply(job, sv_bucket_row(bucket, rows[i], log2), entries + begin,
                     end - begin, next);
        begin = end;
    }
}

void sv_run_grouped(struct sv_job *job)
{
    pool_run(job->pool, job->parts, count_task, job);
    heads_from_counts(job);
    pool_run(job->pool, job->parts, scatter_task, job);
    pool_run(job->pool, (size_t)1 << job->run->buckets_log2, bucket_task, job);
}
