#include "cli/compare_result.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Share by which links may carry more than we count. */
#define LINKS_MORE_MAX 0.05

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* One that trained but a few clocks less than others did the same job. The
 * peer that evaluates tells what was reached, and when. */
static void add_peer(struct compare_result *r, const json_t *peer)
{
    const uint64_t clock =
        (uint64_t)json_integer_value(json_object_get(peer, "clock"));
    const bool evaluates = json_is_number(json_object_get(peer, "test_loss"));
    const double memory = number(peer, "rss_max_bytes");

    if (r->n_peers == 0 || evaluates) {
        r->clocks = clock;
        r->seconds = number(peer, "seconds_train");
        r->loss = number(peer, "loss");
        r->accuracy = number(peer, "accuracy");
        r->has_target = json_is_string(json_object_get(peer, "until"));
        r->reached = json_is_true(json_object_get(peer, "reached"));
    }
    r->n_peers++;
    r->bytes_sent += number(peer, "bytes_sent");
    r->bytes_logged += number(peer, "bytes_logged");
    r->memory_bytes = fmax(r->memory_bytes, memory);
    r->seconds_computing +=
        number(peer, "seconds_computing") + number(peer, "seconds_selecting") +
        number(peer, "seconds_encoding") + number(peer, "seconds_applying");
    r->seconds_waiting += number(peer, "seconds_waiting");
    r->seconds_logging += number(peer, "seconds_logging");
}

int compare_result_add(struct compare_result *r,
                       const char *text,
                       struct err *e)
{
    json_error_t at;
    json_t *root = json_loads(text, JSON_DISABLE_EOF_CHECK, &at);
    const json_t *peers = json_object_get(root, "peers");

    if (json_array_size(peers) == 0) {
        json_decref(root);
        return err_set(e, ERR_CORRUPT, "it ended without a result");
    }
    for (size_t i = 0; i < json_array_size(peers); i++) {
        add_peer(r, json_array_get(peers, i));
    }
    json_decref(root);
    return 0;
}

void compare_result_finish(struct compare_result *r)
{
    const double share = r->n_peers == 0 ? 0 : 1.0 / r->n_peers;

    r->seconds_computing *= share;
    r->seconds_waiting *= share;
    r->seconds_logging *= share;
}

double compare_result_traffic(const struct compare_result *r)
{
    return r->n_peers == 0 || r->clocks == 0
               ? 0
               : r->bytes_sent / r->n_peers / (double)r->clocks;
}

/* It took this time for what was asked. */
static bool is_timed(const struct compare_result *r)
{
    return !r->failed && (!r->has_target || r->reached) && r->seconds > 0;
}

double compare_result_speedup(const struct compare_result *r,
                              const struct compare_result *first)
{
    return is_timed(r) && is_timed(first) ? first->seconds / r->seconds : NAN;
}

static void put_cell(FILE *out, int width, int digits, double x)
{
    if (isnan(x)) {
        fprintf(out, "  %*s", width, "-");
    } else {
        fprintf(out, "  %*.*f", width, digits, x);
    }
}

static void print_row(const struct compare_result *r,
                      const struct compare_result *first,
                      int width,
                      FILE *out)
{
    fprintf(out, "%-*s  %-11s", width, r->name,
            r->failed        ? "failed"
            : !r->has_target ? "done"
            : r->reached     ? "reached"
                             : "not reached");
    if (r->failed) {
        fprintf(out, "  %s\n", r->why);
        return;
    }
    put_cell(out, 8, 2, r->seconds);
    put_cell(out, 6, 2, compare_result_speedup(r, first));
    fprintf(out, "  %7" PRIu64, r->clocks);
    put_cell(out, 8, 2,
             r->clocks == 0 ? NAN : 1e3 * r->seconds / (double)r->clocks);
    put_cell(out, 10, 1, 1e-3 * compare_result_traffic(r));
    put_cell(out, 8, 2, r->seconds_computing);
    put_cell(out, 8, 2, r->seconds_waiting);
    put_cell(out, 7, 2, r->seconds_logging);
    put_cell(out, 7, 1, 1e-6 * r->bytes_logged);
    put_cell(out, 6, 0, 1e-6 * r->memory_bytes);
    put_cell(out, 8, 4, r->loss);
    put_cell(out, 8, 4, r->accuracy);
    fputc('\n', out);
}

/* What the kernel counted, beside what we did: headers are in it, and what
 * peers say before they train. */
static void print_links(const struct compare_result *r, FILE *out)
{
    const double more = r->link_bytes / r->bytes_sent - 1;

    if (r->failed || isnan(r->link_bytes) || r->bytes_sent <= 0) {
        return;
    }
    fprintf(out, "%s: links sent %.3f MB, lyre counts %.3f MB (%+.1f%%)%s\n",
            r->name, 1e-6 * r->link_bytes, 1e-6 * r->bytes_sent, 100 * more,
            fabs(more) > LINKS_MORE_MAX ? "; warning: that is more than 5% off"
                                        : "");
}

void compare_table_print(const struct compare_result *results,
                         size_t n,
                         FILE *out)
{
    int width = 4;

    for (size_t i = 0; i < n; i++) {
        const int own = (int)strlen(results[i].name);
        width = own > width ? own : width;
    }
    fprintf(out,
            "%-*s  %-11s  %8s  %6s  %7s  %8s  %10s  %8s  %8s  %7s  %7s  %6s"
            "  %8s  %8s\n",
            width, "mode", "target", "time s", "faster", "clocks", "ms/clock",
            "kB sent", "computes", "waits", "logs", "log MB", "mem MB", "loss",
            "accuracy");
    for (size_t i = 0; i < n; i++) {
        print_row(&results[i], &results[0], width, out);
    }
    fputs("faster: times as fast as the first. kB sent: by a peer in a clock."
          " computes, waits,\nlogs: seconds, mean of the peers. log: of all"
          " peers. mem: of the largest peer.\n",
          out);
    for (size_t i = 0; i < n; i++) {
        print_links(&results[i], out);
    }
}

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *result_json(const struct compare_result *r,
                           const struct compare_result *first)
{
    if (r->failed) {
        return json_pack("{s:s, s:s, s:s}", "mode", r->name, "status", "failed",
                         "error", r->why);
    }
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
        " s:o, s:o}",
        "mode", r->name, "status",
        !r->has_target ? "done"
        : r->reached   ? "reached"
                       : "not reached",
        "seconds", real(r->seconds), "speedup",
        real(compare_result_speedup(r, first)), "clocks", (json_int_t)r->clocks,
        "peers", (json_int_t)r->n_peers, "bytes_per_peer_and_clock",
        real(compare_result_traffic(r)), "bytes_sent", real(r->bytes_sent),
        "link_bytes_sent", real(r->link_bytes), "seconds_computing",
        real(r->seconds_computing), "seconds_waiting", real(r->seconds_waiting),
        "seconds_logging", real(r->seconds_logging), "bytes_logged",
        real(r->bytes_logged), "rss_max_bytes", real(r->memory_bytes), "loss",
        real(r->loss), "accuracy", real(r->accuracy));
}

json_t *compare_table_json(const struct compare_result *results, size_t n)
{
    json_t *o = json_object(), *modes = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(modes, result_json(&results[i], &results[0]));
    }
    json_object_set_new(o, "modes", modes);
    return o;
}
