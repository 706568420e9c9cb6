#include "train/auto.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

uint32_t train_auto_specs(uint32_t batch,
                          struct select_spec specs[TRAIN_AUTO_WAYS_MAX])
{
    const uint32_t part = batch / TRAIN_AUTO_PART;
    const uint32_t C = part > TRAIN_AUTO_C_MIN ? part : TRAIN_AUTO_C_MIN;

    specs[0] = (struct select_spec){.kind = SELECT_NONE};
    if (C >= batch || batch > TRAIN_AUTO_BATCH_MAX) {
        return 1;
    }
    specs[1] = (struct select_spec){.kind = SELECT_JCSS, .C = C};
    specs[2] = (struct select_spec){.kind = SELECT_SVD, .C = C, .feedback = C};
    return 3;
}

void train_auto_init(struct train_auto *a,
                     const struct train_auto_options *o,
                     uint32_t batch)
{
    struct select_spec specs[TRAIN_AUTO_WAYS_MAX];

    memset(a, 0, sizeof *a);
    a->o = *o;
    a->patience = TRAIN_AUTO_WRONG;
    a->n_ways = train_auto_specs(batch, specs);
    for (uint32_t i = 0; i < a->n_ways; i++) {
        a->ways[i].spec = specs[i];
    }
    if (o->delivery.schedule.n_peers > 1) {
        struct train_auto_way *matrix = &a->ways[a->n_ways++];
        matrix->matrix = true;
        snprintf(matrix->out, sizeof matrix->out, "it is no selection");
    }
}

void train_auto_judge(const struct select_spec *s,
                      double error,
                      bool v_sparse,
                      char out[TRAIN_AUTO_OUT_SIZE])
{
    const bool svd = s->kind == SELECT_SVD;

    out[0] = '\0';
    if (s->kind == SELECT_NONE || s->kind == SELECT_AUTO) {
        return;
    }
    if (svd && v_sparse) {
        snprintf(out, TRAIN_AUTO_OUT_SIZE, "v is sparse");
    } else if (!(svd && s->feedback > 0) && !(error <= TRAIN_AUTO_ERROR_MAX)) {
        snprintf(out, TRAIN_AUTO_OUT_SIZE, "error %.2f above %.2g", error,
                 TRAIN_AUTO_ERROR_MAX);
    }
}

static double work(const struct train_auto *a, const struct train_auto_way *w)
{
    return a->o.gradient + w->select + w->encode + w->apply + a->other;
}

static void predict(struct train_auto *a, struct train_auto_way *w)
{
    double link = 0;

    if (!w->matrix) {
        w->traffic = train_cost_sv(&a->o.delivery, w->size);
    }
    if (a->o.link > 0) {
        link = fmax(0, w->traffic.bytes / a->o.link - a->overlap) +
               w->traffic.rounds * a->o.latency;
    }
    w->predicted =
        a->o.hidden && !w->matrix ? fmax(work(a, w), link) : work(a, w) + link;
}

/* What a way is believed to take. */
static double seconds(const struct train_auto_way *w)
{
    return w->measured > 0 ? w->measured : w->predicted;
}

static uint32_t least(const struct train_auto *a)
{
    uint32_t best = 0; /* All pairs. */

    for (uint32_t i = 1; i < a->n_ways; i++) {
        const struct train_auto_way *w = &a->ways[i];
        if (w->out[0] == '\0' && seconds(w) < seconds(&a->ways[best])) {
            best = i;
        }
    }
    return seconds(&a->ways[0]) <=
                   (1 + TRAIN_AUTO_TIE) * seconds(&a->ways[best])
               ? 0
               : best;
}

void train_auto_choose(struct train_auto *a)
{
    for (uint32_t i = 0; i < a->n_ways; i++) {
        predict(a, &a->ways[i]);
    }
    a->chosen = least(a);
}

const struct select_spec *train_auto_spec(const struct train_auto *a)
{
    return &a->ways[a->chosen].spec;
}

static double window_work(const struct train_auto_window *w)
{
    return w->gradient + w->select + w->encode + w->apply;
}

/* What the shortest wait of the window says of the link: longer ones waited for
 * something else, too, such as a slow peer. What is waited less than the bytes
 * take went while others still worked; if it is more than that, the link is
 * faster than was thought. Where the network is hidden, a clock that hardly
 * waits tells nothing. */
static void fit_link(struct train_auto *a,
                     const struct train_auto_way *w,
                     const struct train_auto_window *mean)
{
    const double work = window_work(mean), bytes = w->traffic.bytes;
    const double taken =
        fmax(0, mean->wait_min - w->traffic.rounds * a->o.latency);
    double seconds;

    if (a->o.link <= 0 || bytes <= 0) {
        return;
    }
    if (a->o.hidden) {
        if (taken > 0.1 * work) {
            a->o.link = bytes / (taken + work);
        }
        return;
    }
    seconds = fmin(fmax(bytes / a->o.link, taken), taken + work);
    a->o.link = bytes / seconds;
    a->overlap = seconds - taken;
}

/* Make the chosen way's numbers those of @mean, and scale those of the others:
 * cores are as busy for them, and what keeps pairs as they are has entries in
 * the same proportion. */
static void fit(struct train_auto *a, const struct train_auto_window *mean)
{
    struct train_auto_way *now = &a->ways[a->chosen];
    const double before = work(a, now) - a->other;
    const double slow = before > 0 ? window_work(mean) / before : 1;
    const double thin = now->size > 0 ? mean->size / now->size : 1;

    for (uint32_t i = 0; i < a->n_ways; i++) {
        struct train_auto_way *w = &a->ways[i];
        w->select *= slow;
        w->encode *= slow;
        w->apply *= slow;
        if (!w->matrix && w->spec.kind != SELECT_SVD &&
            now->spec.kind != SELECT_SVD) {
            w->size *= thin;
        }
    }
    a->o.gradient = mean->gradient;
    now->select = mean->select;
    now->encode = mean->encode;
    now->apply = mean->apply;
    now->size = mean->size;
    now->traffic = train_cost_sv(&a->o.delivery, now->size);
    fit_link(a, now, mean);
    a->other = mean->other + mean->wait - mean->wait_min;
}

static void choose_again(struct train_auto *a, double measured)
{
    struct train_auto_way *now = &a->ways[a->chosen];
    const uint32_t was = a->chosen;

    /* The world is another one than when this way was measured: so it is for
     * the others. */
    if (now->measured > 0) {
        for (uint32_t i = 0; i < a->n_ways; i++) {
            a->ways[i].measured = 0;
        }
    }
    now->measured = measured;
    train_auto_choose(a);
    if (now->out[0] == '\0' && a->ways[a->chosen].measured == 0 &&
        a->ways[a->chosen].predicted > (1 - TRAIN_AUTO_GAIN) * measured) {
        a->chosen = was;
    }
}

static void window_add(struct train_auto_window *w,
                       const struct train_auto_window *clock)
{
    w->wait_min = w->n == 0 ? clock->wait : fmin(w->wait_min, clock->wait);
    w->n++;
    w->gradient += clock->gradient;
    w->select += clock->select;
    w->encode += clock->encode;
    w->apply += clock->apply;
    w->wait += clock->wait;
    w->other += clock->other;
    w->size += clock->size;
    w->error += clock->error;
}

static void window_divide(struct train_auto_window *w)
{
    const double n = (double)w->n;

    w->gradient /= n;
    w->select /= n;
    w->encode /= n;
    w->apply /= n;
    w->wait /= n;
    w->other /= n;
    w->size /= n;
    w->error /= n;
}

static double window_seconds(const struct train_auto_window *w)
{
    return window_work(w) + w->wait + w->other;
}

/* Were enough windows in a row off? */
static bool is_wrong(struct train_auto *a, double measured)
{
    const double expected = seconds(&a->ways[a->chosen]);

    if (fabs(measured / expected - 1) <= TRAIN_AUTO_OFF) {
        a->n_wrong = 0;
        return false;
    }
    return ++a->n_wrong >= a->patience;
}

bool train_auto_observe(struct train_auto *a,
                        const struct train_auto_window *clock)
{
    struct train_auto_way *now = &a->ways[a->chosen];
    struct train_auto_window mean;
    double measured;

    window_add(&a->window, clock);
    if (a->window.n < TRAIN_AUTO_CLOCKS_MIN ||
        window_seconds(&a->window) < TRAIN_AUTO_SECONDS_MIN) {
        return false;
    }
    mean = a->window;
    window_divide(&mean);
    memset(&a->window, 0, sizeof a->window);
    measured = window_seconds(&mean);
    if (now->spec.kind != SELECT_NONE) {
        train_auto_judge(&now->spec, mean.error, false, now->out);
    }
    if (now->out[0] == '\0' && !is_wrong(a, measured)) {
        return false;
    }
    a->n_wrong = 0;
    if (a->patience < TRAIN_AUTO_WRONG_MAX) {
        a->patience *= 2;
    }
    fit(a, &mean);
    choose_again(a, measured);
    return true;
}

/* "0.52 s", "3.1 ms". */
static const char *time_text(double s, char text[24])
{
    if (s < 0.0095) {
        snprintf(text, 24, "%.2g ms", s * 1e3);
    } else {
        snprintf(text, 24, s < 10 ? "%.2f s" : "%.0f s", s);
    }
    return text;
}

static void name(const struct train_auto_way *w, char text[SELECT_SPEC_SIZE])
{
    if (w->matrix) {
        snprintf(text, SELECT_SPEC_SIZE, "matrix by ring all-reduce");
    } else {
        select_spec_format(&w->spec, text);
    }
}

static const struct train_auto_way *matrix_of(const struct train_auto *a)
{
    const struct train_auto_way *last = &a->ways[a->n_ways - 1];

    return last->matrix ? last : NULL;
}

static size_t append(char *text, size_t at, const char *one, const char *two)
{
    const int n =
        at < TRAIN_AUTO_TEXT_SIZE
            ? snprintf(text + at, TRAIN_AUTO_TEXT_SIZE - at, "%s%s", one, two)
            : 0;

    return at + (size_t)(n > 0 ? n : 0);
}

void train_auto_format(const struct train_auto *a,
                       char text[TRAIN_AUTO_TEXT_SIZE])
{
    const struct train_auto_way *now = &a->ways[a->chosen];
    const struct train_auto_way *matrix = matrix_of(a);
    char way[SELECT_SPEC_SIZE], number[24];
    const char *between = " (";
    size_t at;

    name(now, way);
    at = append(text, 0, "auto: ", way);
    at = append(text, at, ", ", "");
    at = append(text, at, time_text(seconds(now), number), " a clock");
    for (uint32_t i = 0; i < a->n_ways; i++) {
        const struct train_auto_way *w = &a->ways[i];
        if (i == a->chosen) {
            continue;
        }
        name(w, way);
        at = append(text, at, between, way);
        between = ", ";
        if (w->out[0] != '\0' && !w->matrix) {
            at = append(text, at, " out: ", w->out);
        } else {
            at = append(text, at, " ", time_text(seconds(w), number));
        }
    }
    at = append(text, at, between[0] == ',' ? ")" : "", ": ");
    if (a->o.link > 0) {
        const bool giga = a->o.link >= 1e9;
        snprintf(number, sizeof number, giga ? "%.2g GB/s" : "%.3g MB/s",
                 a->o.link * (giga ? 1e-9 : 1e-6));
        at = append(text, at, "the link moves ", number);
    } else {
        at = append(text, at, "one peer sends nothing", "");
    }
    if (matrix != NULL &&
        seconds(matrix) < (1 - TRAIN_AUTO_TIE) * seconds(now)) {
        at = append(text, at, "; the matrix would be faster: see ",
                    "--transfer matrix-allreduce");
    }
}
