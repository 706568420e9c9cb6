#include "cli/bench.h"

#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/say.h"
#include "core/clock.h"
#include "p2p/bench_link.h"

#define URL_SIZE 512

static struct {
    const char *provider, *listen, *connect, *node;
    uint64_t peers, phase_ns, timeout_ns;
    bool peers_given;
} opts = {.peers = 2, .phase_ns = CLOCK_S / 2, .timeout_ns = 30 * CLOCK_S};

static const struct opt OPTS[] = {
    {.name = "provider",
     .kind = OPT_STRING,
     .value = &opts.provider,
     .arg = "NAME",
     .help = "measure this libfabric provider only (default: on this machine "
             "the usual ones, between two the one that training chooses)"},
    {.name = "peers",
     .kind = OPT_U64,
     .value = &opts.peers,
     .given = &opts.peers_given,
     .arg = "N",
     .help = "how many peers, on this machine: all but one send",
     .min = 2,
     .max = BENCH_LINK_PEERS_MAX},
    {.name = "listen",
     .kind = OPT_STRING,
     .value = &opts.listen,
     .arg = "HOST:PORT",
     .help = "be the end that answers, and wait there for the other"},
    {.name = "connect",
     .kind = OPT_STRING,
     .value = &opts.connect,
     .arg = "HOST:PORT",
     .help = "be the end that measures; the other one listens there"},
    {.name = "node",
     .kind = OPT_STRING,
     .value = &opts.node,
     .arg = "ADDRESS",
     .help = "local address to use (default: the one that leads there)"},
    {.name = "time",
     .kind = OPT_SECONDS,
     .value = &opts.phase_ns,
     .arg = "TIME",
     .help = "how long each number is measured",
     .min = 0.01,
     .max = 60},
    {.name = "timeout",
     .kind = OPT_SECONDS,
     .value = &opts.timeout_ns,
     .arg = "TIME",
     .help = "how long to wait for the other end",
     .min = 0.1,
     .max = 86400},
};

static const struct opt_command COMMAND = {
    .name = "bench link",
    .summary = "Latency and bandwidth between peers, as training has them.",
    .usage = "bench link [--provider NAME] [--peers N | --listen HOST:PORT | "
             "--connect HOST:PORT]",
    .details =
        "Round trips of 8 bytes, then streams of messages of 1 KiB and 64 KiB, "
        "with headers\nand checks. Without --listen and --connect all peers "
        "are "
        "on this machine. cpu is the\nshare of a core that this process uses "
        "for the big messages.",
    .examples = "lyre bench link\n"
                "lyre bench link --provider net --time 2s\n"
                "host0$ lyre bench link --listen host0:7777\n"
                "host1$ lyre bench link --connect host0:7777",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

/* Reliable datagrams over what every machine has. */
static const char *const PROVIDERS[] = {"net", "tcp;ofi_rxm", "sockets"};
#define N_PROVIDERS (sizeof PROVIDERS / sizeof PROVIDERS[0])

static void print_head(void)
{
    printf("%-14s %14s %10s %12s %12s %6s\n", "provider", "round trip us",
           "p99 us", "1 KiB msg/s", "64 KiB GB/s", "cpu");
}

static void print_result(const char *name, const struct bench_link_result *r)
{
    printf("%-14s %14.1f %10.1f %12.0f %12.3f %6.2f\n", name,
           r->round_trip_us_median, r->round_trip_us_p99, r->small_msgs_per_s,
           r->big_bytes_per_s / 1e9, r->big_cpu_share);
    fflush(stdout);
}

/* Every provider there is; one that fails does not keep the others from it. */
static int run_all(struct bench_link_options *o)
{
    int status = CMD_FAILED;

    print_head();
    for (size_t i = 0; i < N_PROVIDERS; i++) {
        struct bench_link_result r;
        struct err e;
        o->provider = PROVIDERS[i];
        if (bench_link_local(o, (uint32_t)opts.peers, &r, &e) == 0) {
            print_result(PROVIDERS[i], &r);
            status = CMD_OK;
        } else {
            printf("%-14s %s\n", PROVIDERS[i], e.msg);
        }
    }
    return status;
}

static int run_one(const struct bench_link_options *o)
{
    struct bench_link_result r = {.provider = ""};
    char url[URL_SIZE];
    struct err e;
    int status;

    if (opts.listen == NULL && opts.connect == NULL) {
        status = bench_link_local(o, (uint32_t)opts.peers, &r, &e);
    } else {
        snprintf(url, sizeof url, "tcp://%s",
                 opts.listen != NULL ? opts.listen : opts.connect);
        status = bench_link_pair(o, url, opts.listen != NULL ? 0 : 1, &r, &e);
    }
    if (status != 0) {
        return say_error(status, &e);
    }
    if (opts.listen == NULL) {
        print_head();
        print_result(r.provider, &r);
    }
    return CMD_OK;
}

int bench_link(int argc, char **argv)
{
    int n_words;
    const int status = say_parse(&COMMAND, argc, argv, &n_words);
    struct log log = say_log(LOG_INFO);

    if (status >= 0) {
        return status;
    }
    if (n_words != 0) {
        return say_usage(&COMMAND, "'%s' is not an option", argv[1]);
    }
    if (opts.listen != NULL && opts.connect != NULL) {
        return say_usage(&COMMAND, "--listen and --connect exclude each other");
    }
    const bool pair = opts.listen != NULL || opts.connect != NULL;
    if (pair && opts.peers_given) {
        return say_usage(&COMMAND, "--peers is for one machine");
    }
    struct bench_link_options o = {.provider = opts.provider,
                                   .node = opts.node,
                                   .phase_ns = opts.phase_ns,
                                   .timeout_ns = opts.timeout_ns,
                                   .log = &log};
    if (opts.provider != NULL && strcmp(opts.provider, "shm") == 0) {
        return say_usage(&COMMAND,
                         "shm cannot be measured: its endpoints stay stuck when"
                         " one ends");
    }
    return pair || opts.provider != NULL ? run_one(&o) : run_all(&o);
}
