/* Blocks of rows: numbers that are added to W, aux and h. */

#include "sv/apply_run.h"
#include "sv/rows.h"

#define TASK_FLOATS ((size_t)1 << 15) /* That a task adds, about. */

static void add(float *to, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = to[i] + x[i];
    }
}

/* What lies behind column J is padding, which no block has. */
void sv_mix_apply(const struct sv_state *s,
                  const struct sv_row_block *rows,
                  struct sv_part part)
{
    const size_t J = s->w.J, i = part.k - rows->first;
    const float *x = rows->values;
    size_t n = part.cols;

    if (part.k < rows->first || i >= rows->n || part.j >= J) {
        return;
    }
    x += i * rows->width + part.j;
    n = n < J - part.j ? n : J - part.j;
    add(mat_row(&s->w, part.k) + part.j, x, n);
    if (s->aux.data != NULL) {
        add(mat_row(&s->aux, part.k) + part.j, x + J, n);
    }
}

static size_t task_rows(const struct sv_row_block *rows)
{
    return TASK_FLOATS / rows->width + 1;
}

struct mix {
    const struct sv_state *s;
    const struct sv_row_block *rows;
};

static void mix_task(void *arg, size_t index, size_t thread)
{
    const struct mix *m = arg;
    const struct sv_row_block *rows = m->rows;
    size_t i = index * task_rows(rows), end = i + task_rows(rows);

    (void)thread;
    for (end = end < rows->n ? end : rows->n; i < end; i++) {
        size_t k = rows->first + i;
        sv_mix_apply(m->s, rows, (struct sv_part){.k = k, .cols = m->s->w.J});
        if (m->s->h != NULL) {
            m->s->h[k] = m->s->h[k] + rows->values[(i + 1) * rows->width - 1];
        }
    }
}

/* One block behind the other: they may have rows in common. */
void sv_run_mix(struct sv_job *job)
{
    const struct sv_whole *wholes = job->x->wholes.data;

    for (size_t q = 0; q < job->run->n_wholes; q++) {
        struct mix m = {.s = job->s, .rows = wholes[q].rows};
        size_t rows = task_rows(m.rows);
        pool_run(job->pool, (m.rows->n + rows - 1) / rows, mix_task, &m);
    }
}
