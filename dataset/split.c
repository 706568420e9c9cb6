#include "dataset/split.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "dataset/detect.h"
#include "dataset/input.h"
#include "dataset/liner.h"
#include "dataset/output.h"
#include "dataset/pairs.h"

struct job {
    struct dataset_split *s;
    struct dataset_input *in;
    bool comments; /* Lines that begin with '#' are no rows. */
    uint64_t n, n_test;
    struct dataset_output train, test;
};

static bool is_row(const struct job *j, const struct dataset_liner *l)
{
    return dataset_liner_is_row(l) &&
           !(j->comments && *dataset_skip_blanks(l->p) == '#');
}

static int count_rows(struct job *j, struct err *e)
{
    struct dataset_liner l;
    int rc;

    dataset_liner_init(&l, j->in);
    while ((rc = dataset_liner_next(&l, e)) > 0) {
        j->n += is_row(j, &l);
    }
    dataset_liner_fini(&l);
    if (rc == 0 && j->n < 2) {
        rc = err_set(e, ERR_INVALID, "%llu rows cannot be divided",
                     (unsigned long long)j->n);
    }
    return rc;
}

static int put_line(struct dataset_output *to,
                    const struct dataset_liner *l,
                    struct err *e)
{
    int rc = dataset_output_put(to, l->p, (size_t)(l->end - l->p), e);
    return rc != 0 ? rc : dataset_output_put(to, "\n", 1, e);
}

/* Row @row is a test row iff a random permutation of the rows puts it among
 * the first n_test. */
static int copy_line(struct job *j,
                     const struct dataset_liner *l,
                     uint64_t *row,
                     struct err *e)
{
    uint64_t stream = rng_stream(RNG_SPLIT, 0, 0);
    int rc;

    if (!is_row(j, l)) {
        rc = put_line(&j->train, l, e);
        return rc != 0 ? rc : put_line(&j->test, l, e);
    }
    if (rng_permute(j->s->seed, stream, j->n, (*row)++) < j->n_test) {
        return put_line(&j->test, l, e);
    }
    return put_line(&j->train, l, e);
}

static int copy_lines(struct job *j, struct err *e)
{
    struct dataset_liner l;
    uint64_t row = 0;
    int rc = dataset_input_rewind(j->in, e);

    if (rc != 0) {
        return rc;
    }
    dataset_liner_init(&l, j->in);
    while ((rc = dataset_liner_next(&l, e)) > 0) {
        rc = copy_line(j, &l, &row, e);
        if (rc != 0) {
            break;
        }
    }
    dataset_liner_fini(&l);
    return rc;
}

/* ".svm.gz" of "dir/a.svm.gz". */
static const char *suffix(const char *path, enum dataset_format f)
{
    const char *name = strrchr(path, '/');
    const char *dot;
    size_t n;

    name = name == NULL ? path : name + 1;
    n = strlen(name);
    dot = name + n;
    if (n > 3 && strcmp(dot - 3, ".gz") == 0) {
        dot -= 3;
    }
    dot = dot == name ? NULL : memrchr(name, '.', (size_t)(dot - name));
    if (dot == NULL || dot == name) {
        return f == DATASET_TEXT   ? ".tsv"
               : f == DATASET_LDAC ? ".ldac"
                                   : ".svm";
    }
    return dot;
}

static int write_files(struct job *j, struct err *e)
{
    int rc = dataset_output_open(&j->train, j->s->train, e);

    if (rc == 0) {
        rc = dataset_output_open(&j->test, j->s->test, e);
    }
    if (rc == 0) {
        rc = copy_lines(j, e);
    }
    if (rc == 0) {
        rc = dataset_output_close(&j->train, e);
    }
    if (rc == 0) {
        rc = dataset_output_close(&j->test, e);
    }
    dataset_output_abort(&j->train);
    dataset_output_abort(&j->test);
    return rc == 0
               ? 0
               : err_wrap(e, rc, "write %s and %s", j->s->train, j->s->test);
}

static int split(struct job *j, const char *path, struct err *e)
{
    size_t size;
    const char *head = dataset_input_head(j->in, &size);
    enum dataset_format f = dataset_detect(path, head, size);
    const char *end = suffix(path, f);
    int rc;

    if (f != DATASET_LIBSVM && f != DATASET_TEXT && f != DATASET_LDAC) {
        return err_set(e, ERR_INVALID, "%s cannot be divided line by line",
                       dataset_format_name(f));
    }
    if ((size_t)snprintf(j->s->train, PATH_MAX, "%s.train%s", j->s->prefix,
                         end) >= PATH_MAX) {
        return err_set(e, ERR_INVALID, "the prefix is too long");
    }
    snprintf(j->s->test, PATH_MAX, "%s.test%s", j->s->prefix, end);
    j->comments = f == DATASET_LIBSVM;
    rc = count_rows(j, e);
    if (rc != 0) {
        return rc;
    }
    j->n_test = (uint64_t)llround(j->s->share * (double)j->n);
    j->n_test = j->n_test < 1 ? 1 : j->n_test;
    j->n_test = j->n_test > j->n - 1 ? j->n - 1 : j->n_test;
    j->s->n_test = j->n_test;
    j->s->n_train = j->n - j->n_test;
    return write_files(j, e);
}

int dataset_split(struct dataset_split *s, const char *path, struct err *e)
{
    struct job j = {.s = s};
    int rc;

    if (!(s->share > 0 && s->share < 1)) {
        return err_set(e, ERR_INVALID,
                       "split %s: a share of %g: between 0 and 1", path,
                       s->share);
    }
    rc = dataset_input_open(&j.in, path, e);
    if (rc == 0) {
        rc = split(&j, path, e);
    }
    dataset_input_close(j.in);
    return rc == 0 ? 0 : err_wrap(e, rc, "split %s", path);
}
