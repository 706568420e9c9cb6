#include "cli/summary.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

#define MB 1e6

static void
add_peer(struct summary *sum, const struct train_summary *s, double share)
{
    sum->clock = s->clock < sum->clock ? s->clock : sum->clock;
    sum->clocks = s->clocks > sum->clocks ? s->clocks : sum->clocks;
    sum->loss += s->loss * share;
    sum->samples += s->samples;
    sum->pairs += s->pairs;
    sum->selection_error = fmax(sum->selection_error, s->selection_error);
    sum->bytes_sent += s->stats.bytes_sent;
    sum->bytes_received += s->stats.bytes_received;
    sum->msgs_sent += s->stats.msgs_sent;
    sum->log_bytes += s->log_bytes;
    sum->encoded_bytes += s->encoded_bytes;
    sum->seconds_cpu += s->seconds_cpu;
    sum->seconds_waiting += s->seconds_wait * share;
    sum->seconds_computing += s->seconds_compute * share;
    sum->seconds_selecting += s->seconds_select * share;
    sum->seconds_encoding += s->seconds_encode * share;
    sum->seconds_applying += s->seconds_apply * share;
    sum->seconds_logging += s->seconds_log * share;
    sum->seconds_train = fmax(sum->seconds_train, s->seconds_train);
    if (s->rss_max_bytes > sum->rss_max_bytes) {
        sum->rss_max_bytes = s->rss_max_bytes;
    }
    if (!isnan(s->test_accuracy) && s->test_clock > 0) {
        sum->test_accuracy = s->test_accuracy;
        sum->test_loss = s->test_loss;
        sum->reached_clock = s->test_clock;
        sum->reached_seconds = s->seconds_train;
    }
}

void summary_of(struct summary *sum,
                const struct job_report *reports,
                uint32_t n)
{
    const struct train_summary *first = &reports[0].summary;
    uint64_t entries = 0, dense = 0;

    memset(sum, 0, sizeof *sum);
    sum->clock = UINT64_MAX;
    sum->test_loss = sum->test_accuracy = NAN;
    sum->equal = sum->reached = true;
    for (uint32_t p = 0; p < n; p++) {
        const struct train_summary *s = &reports[p].summary;
        add_peer(sum, s, 1.0 / n);
        entries += s->u_entries;
        dense += s->u_entries_dense;
        sum->reached = sum->reached && s->reached;
        sum->equal = sum->equal && s->has_digest && s->clock == first->clock &&
                     s->digest.high == first->digest.high &&
                     s->digest.low == first->digest.low;
    }
    sum->until = first->until;
    if (sum->reached_clock == 0) { /* Another peer has evaluated, elsewhere. */
        sum->reached_clock = sum->clock;
        sum->reached_seconds = sum->seconds_train;
    }
    sum->epoch = first->epoch;
    sum->first_clock = first->first_clock;
    sum->digest = first->digest;
    sum->u_share = dense == 0 ? NAN : (double)entries / (double)dense;
}

static double rate(const struct summary *sum)
{
    return sum->seconds_train > 0 ? (double)sum->samples / sum->seconds_train
                                  : 0;
}

/* Seconds as "12 s", "3:05", "1:02:03". */
static void format_time(double seconds, char *text, size_t size)
{
    uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 0;

    if (s < 60) {
        snprintf(text, size, "%" PRIu64 " s", s);
    } else if (s < 3600) {
        snprintf(text, size, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
    } else {
        snprintf(text, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
                 s / 60 % 60, s % 60);
    }
}

void summary_line(const struct summary *sum, char *line, size_t size)
{
    char left[32] = "", accuracy[48] = "", error[32] = "";
    uint64_t here = sum->clock - sum->first_clock;

    if (!isnan(sum->test_accuracy)) {
        snprintf(accuracy, sizeof accuracy, "  test accuracy %.4f",
                 sum->test_accuracy);
    }
    if (sum->selection_error > 0) {
        snprintf(error, sizeof error, "  error %.3f", sum->selection_error);
    }
    /* What this process did says how long the rest takes. */
    if (here > 0 && sum->clock < sum->clocks && sum->seconds_train > 0.5) {
        format_time(sum->seconds_train / (double)here *
                        (double)(sum->clocks - sum->clock),
                    left, sizeof left);
    }
    snprintf(line, size,
             "clock %" PRIu64 "/%" PRIu64
             "  epoch %.2f  loss %.4f  %.0f samples/s  %.1f MB sent%s%s%s%s%s",
             sum->clock, sum->clocks, sum->epoch, sum->loss, rate(sum),
             (double)sum->bytes_sent / MB, error, accuracy, left[0] ? "  " : "",
             left, left[0] ? " left" : "");
}

const char *summary_rule(enum sv_rule rule)
{
    return rule == SV_PLAIN ? "sgd" : sv_rule_name(rule);
}

static void print_target(const struct summary *sum, FILE *out)
{
    char until[TRAIN_UNTIL_SIZE];

    train_until_format(&sum->until, until);
    if (sum->reached) {
        fprintf(out,
                "  target    %s reached at clock %" PRIu64 " after %.2f s\n",
                until, sum->reached_clock, sum->reached_seconds);
    } else if (until[0] != '\0') {
        fprintf(out, "  target    %s not reached\n", until);
    }
}

void summary_print(const struct summary *sum,
                   const struct job_report *reports,
                   uint32_t n,
                   FILE *out)
{
    char hex[HASH_HEX_SIZE], transfer[TRAIN_TRANSFER_TEXT_SIZE];

    fprintf(out,
            "trained %" PRIu64 " samples to clock %" PRIu64
            " (epoch %.2f) in %.2f s: %.0f samples/s\n",
            sum->samples, sum->clock, sum->epoch, sum->seconds_train,
            rate(sum));
    print_target(sum, out);
    train_transfer_format(&reports[0].summary.transfer, transfer);
    fprintf(out, "  optimizer %s, lr %g; transfer %s\n",
            summary_rule(reports[0].summary.rule),
            (double)reports[0].summary.lr, transfer);
    fprintf(out, "  loss      %.4f in training", sum->loss);
    if (!isnan(sum->test_accuracy)) {
        fprintf(out, "; on the test set %.4f, accuracy %.4f", sum->test_loss,
                sum->test_accuracy);
    }
    fprintf(out,
            "\n  time      computing %.2f s, selecting %.2f s, encoding %.2f s,"
            " waiting %.2f s, applying %.2f s, logging %.2f s%s\n",
            sum->seconds_computing, sum->seconds_selecting,
            sum->seconds_encoding, sum->seconds_waiting, sum->seconds_applying,
            sum->seconds_logging, n > 1 ? " (mean of the peers)" : "");
    fprintf(out, "  network   %.1f MB sent in %" PRIu64 " messages\n",
            (double)sum->bytes_sent / MB, sum->msgs_sent);
    fprintf(out, "  log       %.1f MB", (double)sum->log_bytes / MB);
    if (!isnan(sum->u_share)) {
        fprintf(out, "; %.1f%% of the entries of u were kept",
                100 * sum->u_share);
    }
    if (sum->pairs < sum->samples) {
        fprintf(out,
                "\n  selection %.1f%% of the pairs, relative error %.3f in the "
                "last clock",
                100 * (double)sum->pairs / (double)sum->samples,
                sum->selection_error);
    }
    fprintf(out, "\n  memory    %.0f MB at most in a peer\n",
            (double)sum->rss_max_bytes / MB);
    if (reports[0].summary.has_digest) {
        hash_hex(sum->digest, hex);
        fprintf(out, "  digest    %s%s\n", hex,
                n == 1       ? ""
                : sum->equal ? ", equal on all peers"
                             : " on peer 0; the peers' replicas differ");
    }
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *count(uint64_t x)
{
    return json_integer((json_int_t)x);
}

static json_t *digest(bool there, struct hash128 h)
{
    char hex[HASH_HEX_SIZE];

    hash_hex(h, hex);
    return there ? json_string(hex) : json_null();
}

static void set_loss(json_t *o, double loss, double test_loss, double accuracy)
{
    json_object_set_new(o, "loss", number(isnan(test_loss) ? loss : test_loss));
    json_object_set_new(o, "accuracy", number(accuracy));
    json_object_set_new(o, "train_loss", number(loss));
    json_object_set_new(o, "test_loss", number(test_loss));
}

/* Null where the run has no target. */
static void set_target(json_t *o, const struct train_until *until, bool reached)
{
    char text[TRAIN_UNTIL_SIZE];

    train_until_format(until, text);
    json_object_set_new(o, "until",
                        text[0] == '\0' ? json_null() : json_string(text));
    json_object_set_new(o, "reached",
                        text[0] == '\0' ? json_null() : json_boolean(reached));
}

static void set_seconds(json_t *o, const struct train_summary *s)
{
    json_object_set_new(o, "seconds_train", number(s->seconds_train));
    json_object_set_new(o, "seconds_cpu", number(s->seconds_cpu));
    json_object_set_new(o, "seconds_computing", number(s->seconds_compute));
    json_object_set_new(o, "seconds_selecting", number(s->seconds_select));
    json_object_set_new(o, "seconds_encoding", number(s->seconds_encode));
    json_object_set_new(o, "seconds_waiting", number(s->seconds_wait));
    json_object_set_new(o, "seconds_applying", number(s->seconds_apply));
    json_object_set_new(o, "seconds_logging", number(s->seconds_log));
}

static json_t *peer_object(const struct job_report *r, uint32_t rank)
{
    const struct train_summary *s = &r->summary;
    json_t *o = json_object();

    json_object_set_new(o, "rank", count(rank));
    json_object_set_new(o, "clock", count(s->clock));
    json_object_set_new(o, "epoch", number(s->epoch));
    set_target(o, &s->until, s->reached);
    set_loss(o, s->loss, s->test_clock > 0 ? s->test_loss : NAN,
             s->test_clock > 0 ? s->test_accuracy : NAN);
    json_object_set_new(o, "samples", count(s->samples));
    json_object_set_new(o, "samples_per_second",
                        number((double)s->samples / s->seconds_train));
    json_object_set_new(o, "bytes_sent", count(s->stats.bytes_sent));
    json_object_set_new(o, "bytes_received", count(s->stats.bytes_received));
    json_object_set_new(o, "messages_sent", count(s->stats.msgs_sent));
    json_object_set_new(o, "bytes_encoded", count(s->encoded_bytes));
    json_object_set_new(o, "bytes_logged", count(s->log_bytes));
    set_seconds(o, s);
    json_object_set_new(o, "rss_max_bytes", count(s->rss_max_bytes));
    json_object_set_new(o, "digest", digest(s->has_digest, s->digest));
    if (r->code != 0) {
        json_object_set_new(o, "error", json_string(r->msg));
    }
    return o;
}

int summary_json(const struct summary *sum,
                 const struct job_report *reports,
                 uint32_t n,
                 uint32_t first_rank,
                 FILE *out)
{
    json_t *o = json_object(), *peers = json_array();
    char transfer[TRAIN_TRANSFER_TEXT_SIZE];
    int rc;

    json_object_set_new(o, "clock", count(sum->clock));
    json_object_set_new(o, "epoch", number(sum->epoch));
    set_target(o, &sum->until, sum->reached);
    json_object_set_new(o, "optimizer",
                        json_string(summary_rule(reports[0].summary.rule)));
    json_object_set_new(o, "lr", number((double)reports[0].summary.lr));
    train_transfer_format(&reports[0].summary.transfer, transfer);
    json_object_set_new(o, "transfer", json_string(transfer));
    set_loss(o, sum->loss, sum->test_loss, sum->test_accuracy);
    json_object_set_new(o, "samples", count(sum->samples));
    json_object_set_new(o, "pairs", count(sum->pairs));
    json_object_set_new(o, "selection_error", number(sum->selection_error));
    json_object_set_new(o, "seconds_train", number(sum->seconds_train));
    json_object_set_new(o, "samples_per_second", number(rate(sum)));
    json_object_set_new(o, "bytes_sent", count(sum->bytes_sent));
    json_object_set_new(o, "bytes_received", count(sum->bytes_received));
    json_object_set_new(o, "messages_sent", count(sum->msgs_sent));
    json_object_set_new(o, "bytes_encoded", count(sum->encoded_bytes));
    json_object_set_new(o, "bytes_logged", count(sum->log_bytes));
    json_object_set_new(o, "u_share", number(sum->u_share));
    json_object_set_new(o, "seconds_cpu", number(sum->seconds_cpu));
    json_object_set_new(o, "seconds_waiting", number(sum->seconds_waiting));
    json_object_set_new(o, "seconds_computing", number(sum->seconds_computing));
    json_object_set_new(o, "seconds_selecting", number(sum->seconds_selecting));
    json_object_set_new(o, "seconds_encoding", number(sum->seconds_encoding));
    json_object_set_new(o, "seconds_applying", number(sum->seconds_applying));
    json_object_set_new(o, "seconds_logging", number(sum->seconds_logging));
    json_object_set_new(o, "rss_max_bytes", count(sum->rss_max_bytes));
    json_object_set_new(o, "digest", digest(sum->equal, sum->digest));
    for (uint32_t p = 0; p < n; p++) {
        json_array_append_new(peers, peer_object(&reports[p], first_rank + p));
    }
    json_object_set_new(o, "peers", peers);
    rc = json_dumpf(o, out, JSON_REAL_PRECISION(9)) == 0 ? 0 : ERR_NOMEM;
    fputc('\n', out);
    json_decref(o);
    return rc;
}
