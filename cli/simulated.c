#include "cli/simulated.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/summary.h"

#define MB 1e6
#define MS 1e6 /* Nanoseconds. */

/* JSON has no NaN. */
static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *count(uint64_t x)
{
    return json_integer((json_int_t)x);
}

static double seconds(uint64_t ns)
{
    return (double)ns * 1e-9;
}

static void print_begin(const struct simulated *s,
                        const struct train_run *run,
                        const struct train_simulate_result *r)
{
    const struct train_simulate_options *o = s->o;
    bool measured = o->compute_ns == 0 || o->apply_ns == 0;

    printf("simulating %u peers, %s: %" PRIu64 " rows, %" PRIu64
           " clocks of %u samples a peer\n",
           run->n_peers, s->mode, run->n_rows, run->clocks, run->batch);
    printf("  optimizer %s, lr %g\n", summary_rule(run->rule), (double)run->lr);
    printf("  network   links of %s, delay %g ms, %.1f%% lost\n", s->link,
           (double)o->delay_ns / MS, (double)o->loss_permille / 10);
    printf("  time      gradients %.4g ms, applying %.4g ms a batch%s",
           (double)r->compute_ns / MS, (double)r->apply_ns / MS,
           measured ? " (measured here)" : "");
    if (r->n_stragglers > 0) {
        printf("; %u stragglers, %g times slower", r->n_stragglers,
               o->straggler_factor);
    }
    printf("\n\n%8s %7s %10s %9s %9s %9s %11s %8s\n", "clock", "epoch",
           "seconds", "loss", "test loss", "accuracy", "MB sent", "waiting");
}

static void set_begin(struct simulated *s,
                      const struct train_run *run,
                      const struct train_simulate_result *r)
{
    const struct train_simulate_options *o = s->o;
    json_t *x = json_object();

    json_object_set_new(x, "peers", count(run->n_peers));
    json_object_set_new(x, "clocks", count(run->clocks));
    json_object_set_new(x, "batch", count(run->batch));
    json_object_set_new(x, "rows", count(run->n_rows));
    json_object_set_new(x, "seed", count(run->seed));
    json_object_set_new(x, "consistency", json_string(s->mode));
    json_object_set_new(x, "optimizer", json_string(summary_rule(run->rule)));
    json_object_set_new(x, "lr", number((double)run->lr));
    json_object_set_new(x, "link_bytes_per_second", count(o->link_bytes_per_s));
    json_object_set_new(x, "delay", number(seconds(o->delay_ns)));
    json_object_set_new(x, "loss_share",
                        number((double)o->loss_permille / 1000));
    json_object_set_new(x, "retry", number(seconds(o->retry_ns)));
    json_object_set_new(x, "compute", number(seconds(r->compute_ns)));
    json_object_set_new(x, "apply", number(seconds(r->apply_ns)));
    json_object_set_new(x, "jitter", number(o->jitter));
    json_object_set_new(x, "stragglers", count(r->n_stragglers));
    json_object_set_new(x, "straggler_factor", number(o->straggler_factor));
    s->settings = x;
    s->series = json_array();
}

void simulated_begin(void *arg,
                     const struct train_run *run,
                     const struct train_simulate_result *r)
{
    struct simulated *s = arg;

    s->n_peers = run->n_peers;
    s->clocks = run->clocks;
    train_mode_format(run, s->mode);
    if (s->json) {
        set_begin(s, run, r);
    } else if (!s->quiet) {
        print_begin(s, run, r);
    }
}

static json_t *point_object(const struct train_simulate_point *p)
{
    json_t *x = json_object();

    json_object_set_new(x, "clock", count(p->clock));
    json_object_set_new(x, "clock_min", count(p->clock_min));
    json_object_set_new(x, "epoch", number(p->epoch));
    json_object_set_new(x, "seconds", number(p->seconds));
    json_object_set_new(x, "train_loss", number(p->loss));
    json_object_set_new(x, "test_loss", number(p->test_loss));
    json_object_set_new(x, "accuracy", number(p->test_accuracy));
    json_object_set_new(x, "bytes_sent", count(p->bytes_sent));
    json_object_set_new(x, "messages_sent", count(p->msgs_sent));
    json_object_set_new(x, "waiting", number(p->waiting));
    json_object_set_new(x, "staleness_bound", count(p->staleness));
    return x;
}

/* A number of the table, or a dash where there is none. */
static void print_number(int width, int digits, double x)
{
    if (isnan(x)) {
        printf(" %*s", width, "-");
    } else {
        printf(" %*.*f", width, digits, x);
    }
}

void simulated_point(void *arg, const struct train_simulate_point *p)
{
    struct simulated *s = arg;

    if (s->json) {
        json_array_append_new(s->series, point_object(p));
    } else if (!s->quiet) {
        printf("%8" PRIu64, p->clock);
        print_number(7, 2, p->epoch);
        print_number(10, 4, p->seconds);
        print_number(9, 4, p->loss);
        print_number(9, 4, p->test_loss);
        print_number(9, 4, p->test_accuracy);
        print_number(11, 2, (double)p->bytes_sent / MB);
        printf(" %7.0f%%\n", 100 * p->waiting);
        fflush(stdout);
    }
}

static void print_end(const struct simulated *s,
                      const struct train_simulate_result *r)
{
    const struct train_simulate_point *p = &r->last;
    double per_clock = (double)s->n_peers * (double)s->clocks;
    char hex[HASH_HEX_SIZE];

    printf("\nsimulated %" PRIu64 " samples (epoch %.2f) in %.4f s of theirs,"
           " %.1f s of ours: %.0f samples/s\n",
           r->samples, p->epoch, p->seconds, r->seconds_real,
           (double)r->samples / p->seconds);
    printf("  loss      %.4f in training", p->loss);
    if (!isnan(p->test_accuracy)) {
        printf("; on the test set %.4f, accuracy %.4f", p->test_loss,
               p->test_accuracy);
    }
    printf("\n  time      computing %.4f s, waiting %.4f s, applying %.4f s"
           " (mean of the peers)\n",
           r->seconds_computing, r->seconds_waiting, r->seconds_applying);
    if (strncmp(s->mode, "adaptive", 8) == 0) {
        printf("            peer 0 allows a staleness of %u at the end\n",
               p->staleness);
    }
    if (r->n_stragglers > 0) {
        printf("            stragglers waited %.4f s\n",
               r->seconds_waiting_stragglers);
    }
    printf("  network   %.2f MB sent in %" PRIu64 " messages: %.0f bytes in"
           " %.1f a peer and clock\n",
           (double)p->bytes_sent / MB, p->msgs_sent,
           (double)p->bytes_sent / per_clock, (double)p->msgs_sent / per_clock);
    hash_hex(r->digest, hex);
    printf("  digest    %s%s", hex,
           s->n_peers == 1    ? ""
           : r->n_states == 1 ? ", equal on all peers"
                              : " on peer 0");
    if (r->n_states > 1) {
        printf("; there are %u different replicas", r->n_states);
    }
    putchar('\n');
}

static int dump_end(const struct simulated *s,
                    const struct train_simulate_result *r)
{
    json_t *x = point_object(&r->last);
    char hex[HASH_HEX_SIZE];
    int rc;

    hash_hex(r->digest, hex);
    json_object_set_new(
        x, "loss",
        number(isnan(r->last.test_loss) ? r->last.loss : r->last.test_loss));
    json_object_set_new(x, "samples", count(r->samples));
    json_object_set_new(x, "bytes_encoded", count(r->bytes_encoded));
    json_object_set_new(
        x, "u_share",
        number((double)r->u_entries / (double)r->u_entries_dense));
    json_object_set_new(x, "seconds_computing", number(r->seconds_computing));
    json_object_set_new(x, "seconds_waiting", number(r->seconds_waiting));
    json_object_set_new(x, "seconds_waiting_stragglers",
                        number(r->seconds_waiting_stragglers));
    json_object_set_new(x, "seconds_applying", number(r->seconds_applying));
    json_object_set_new(x, "seconds_real", number(r->seconds_real));
    json_object_set_new(x, "events", count(r->n_events));
    json_object_set_new(x, "replicas", count(r->n_states));
    json_object_set_new(x, "digest", json_string(hex));
    json_object_set(x, "settings", s->settings);
    json_object_set(x, "series", s->series);
    rc = json_dumpf(x, stdout, JSON_REAL_PRECISION(9)) == 0 ? 0 : ERR_NOMEM;
    putchar('\n');
    json_decref(x);
    return rc;
}

int simulated_end(struct simulated *s, const struct train_simulate_result *r)
{
    if (s->json) {
        return dump_end(s, r);
    }
    if (!s->quiet) {
        print_end(s, r);
    }
    return 0;
}

void simulated_fini(struct simulated *s)
{
    json_decref(s->settings);
    json_decref(s->series);
    memset(s, 0, sizeof *s);
}
