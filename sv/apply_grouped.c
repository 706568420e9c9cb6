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
    struct sv_hit *records = job->x->records.data;
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
            records[heads[sv_bucket(k, log2)]++] =
                (struct sv_hit){.place = (uint32_t)sv_bucket_place(k, log2),
                                .pair = (uint32_t)p,
                                .v = v->val[i]};
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
                         const struct sv_sort *t,
                         uint32_t *rows)
{
    size_t log2 = job->run->buckets_log2, K = job->s->w.K, n_rows = 0;

    for (size_t i = 0; i < t->n; i++) {
        uint32_t place = t->from[i].place;
        rows[n_rows] = place;
        n_rows += t->at[place]++ == 0;
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

/* Counts become where the first entry of each row goes. */
static void
starts_from_counts(uint32_t *counts, const uint32_t *rows, size_t n_rows)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n_rows; i++) {
        uint32_t count = counts[rows[i]];
        counts[rows[i]] = sum;
        sum += count;
    }
}

static void
sort_entries(const struct sv_job *job, size_t bucket, struct sv_sort *t)
{
    if (job->s->rule == SV_ROWGRAD) {
        t->pairs = job->x->pairs.data;
        t->h = job->s->h + bucket * SV_BLOCK;
        t->h_step = (size_t)SV_BLOCK << job->run->buckets_log2;
        t->eps = job->s->eps;
        job->kernel->sort_rowgrad(t);
        return;
    }
    for (size_t i = 0; i < t->n; i++) {
        uint32_t at = t->at[t->from[i].place]++;
        t->pair[at] = t->from[i].pair;
        t->v[at] = t->from[i].v;
    }
}

/* Places become rows, and the counters zeros again. What the counters have run
 * up to is where rows end. */
static void rows_from_places(const struct sv_job *job,
                             size_t bucket,
                             size_t n_rows,
                             const struct sv_apply_thread *mine)
{
    uint32_t *counts = mine->counts.data, *rows = mine->rows.data;
    uint32_t *ends = mine->ends.data;
    size_t log2 = job->run->buckets_log2;

    for (size_t i = 0; i < n_rows; i++) {
        uint32_t place = rows[i];
        ends[i] = counts[place];
        counts[place] = 0;
        rows[i] = (uint32_t)sv_bucket_row(bucket, place, log2);
    }
}

static void bucket_task(void *arg, size_t bucket, size_t thread)
{
    const struct sv_job *job = arg;
    struct sv_apply *x = job->x;
    const struct sv_apply_thread *mine = &x->threads[thread];
    const uint32_t *ends = part_heads(job, job->parts - 1);
    size_t from = bucket == 0 ? 0 : ends[bucket - 1];
    struct sv_sort sort = {.from = (struct sv_hit *)x->records.data + from,
                           .n = ends[bucket] - from,
                           .at = mine->counts.data,
                           .pair = (uint32_t *)x->pair.data + from,
                           .v = (float *)x->v.data + from,
                           .sum = (float *)x->sums.data + from};
    struct sv_rows t = {.k = mine->rows.data,
                        .end = mine->ends.data,
                        .pair = sort.pair,
                        .v = sort.v};

    t.n = count_rows(job, bucket, &sort, mine->rows.data);
    starts_from_counts(sort.at, t.k, t.n);
    sort_entries(job, bucket, &sort);
    rows_from_places(job, bucket, t.n, mine);
    sv_rows_apply(job, &t);
}

void sv_run_grouped(struct sv_job *job)
{
    pool_run(job->sort_pool, job->parts, count_task, job);
    heads_from_counts(job);
    pool_run(job->sort_pool, job->parts, scatter_task, job);
    pool_run(job->pool, (size_t)1 << job->run->buckets_log2, bucket_task, job);
}
