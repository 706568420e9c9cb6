/* lyre replay: rebuild the parameters of any clock from the log. */

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/cmd.h"
#include "cli/past.h"
#include "cli/say.h"
#include "core/clock.h"
#include "core/hash.h"

static struct {
    struct past_options past;
    const char *out;
    bool digest, verify, json;
} opts;

static const struct opt OPTS[] = {
    PAST_OPTS(opts.past),
    PAST_OPT_WITHOUT(opts.past),
    {.name = "out",
     .kind = OPT_STRING,
     .value = &opts.out,
     .arg = "W.npy",
     .help = "write the matrix there, (K, J), for numpy.load();\nof a model "
             "with several, W-NAME.npy each"},
    {.name = "digest",
     .kind = OPT_FLAG,
     .value = &opts.digest,
     .help = "print a line for each matrix: clock C matrix NAME digest HEX\n"
             "(what happens without --out and --verify, too)"},
    {.name = "verify",
     .kind = OPT_FLAG,
     .value = &opts.verify,
     .help = "replay to every clock whose digest was taken in training, up to "
             "--clock, and compare; exit 5 if one differs"},
    {.name = "json",
     .kind = OPT_FLAG,
     .value = &opts.json,
     .help = "end with one JSON object on standard output, and nothing else "
             "there:\nclock, seconds of replaying, digests"},
};

static const struct opt_command COMMAND = {
    .name = "replay",
    .summary = "Rebuild the parameters of any clock from a run's log, to the "
               "bit.",
    .usage = "replay DIR [--clock C] [--peer P] [--out W.npy] [--digest] "
             "[--verify] [--without WHOSE]",
    .details =
        "The parameters of clock C are those after C clocks of training: clock "
        "0 is the\nbeginning. The digest is XXH3-128 of the elements, so equal "
        "digests are equal\nbits, whatever the number of threads or the "
        "machine.\nWhat --without leaves out may be any batches: of a peer, of "
        "some clocks.",
    .examples = "lyre replay run --digest\n"
                "lyre replay run --clock 100 --out W.npy\n"
                "lyre replay run --peer 3 --verify\n"
                "lyre replay run --without peer=2,clock=310..320 --out W.npy",
    .opts = OPTS,
    .n_opts = sizeof OPTS / sizeof OPTS[0],
};

/* Where lines for people go. */
static FILE *said(void)
{
    return opts.json ? stderr : stdout;
}

static const char *name_of(const struct past *p, size_t i)
{
    return p->replica.ops->param(p->replica.model, i).name;
}

static void print_digest(const struct past *p, size_t i, const char *verdict)
{
    char hex[HASH_HEX_SIZE];

    hash_hex(hash_mat(&p->replica.states[i].w), hex);
    fprintf(said(), "clock %" PRIu64 " matrix %s digest %s%s\n",
            p->replica.clock, name_of(p, i), hex, verdict);
}

static int print_json(const struct past *p, double seconds, struct err *e)
{
    json_t *digests = json_object(), *object;
    int status = 0;

    for (size_t i = 0; i < p->replica.n_states; i++) {
        char hex[HASH_HEX_SIZE];
        hash_hex(hash_mat(&p->replica.states[i].w), hex);
        json_object_set_new(digests, name_of(p, i), json_string(hex));
    }
    object = json_pack("{s:I, s:f, s:o}", "clock", (json_int_t)p->replica.clock,
                       "seconds", seconds, "digests", digests);
    if (object == NULL || json_dumpf(object, stdout, JSON_REAL_PRECISION(9))) {
        status = err_set(e, ERR_NOMEM, "out of memory");
    }
    putchar('\n');
    json_decref(object);
    return status;
}

struct tally {
    uint64_t clocks, digests, bad;
    uint64_t bad_clock; /* The first. */
};

/* Compare the replica's digests with those of the log at the same clock. */
static void compare(const struct past *p, struct tally *t)
{
    const struct train_replica *r = &p->replica;
    struct hash128 want;

    t->clocks++;
    for (size_t i = 0; i < r->n_states; i++) {
        if (!ckpt_reader_digest(r->reader, r->clock, (uint16_t)i, &want)) {
            continue;
        }
        const struct hash128 got = hash_mat(&r->states[i].w);
        const bool same = got.high == want.high && got.low == want.low;
        t->digests++;
        t->bad_clock = t->bad == 0 && !same ? r->clock : t->bad_clock;
        t->bad += !same;
        if (same) {
            print_digest(p, i, " ok");
        } else {
            char hex[HASH_HEX_SIZE], verdict[HASH_HEX_SIZE + 64];
            hash_hex(want, hex);
            snprintf(verdict, sizeof verdict, " MISMATCH, in training %s", hex);
            print_digest(p, i, verdict);
        }
    }
}

static int verify(struct past *p, struct err *e)
{
    const struct ckpt_reader *reader = p->replica.reader;
    const uint64_t clocks = ckpt_reader_clocks(reader);
    const uint64_t last = opts.past.clock_given ? opts.past.clock : clocks;
    struct tally t = {0};
    uint64_t at = ckpt_reader_first(reader);

    if (last > clocks) {
        return err_set(e, ERR_NOT_FOUND,
                       "no clock %" PRIu64 " in the log, it ends at %" PRIu64,
                       last, clocks);
    }
    for (; ckpt_reader_next_digest(reader, at, &at) && at <= last; at++) {
        const int status = past_seek(p, at, e);
        if (status != 0) {
            return status;
        }
        compare(p, &t);
        fflush(stdout);
    }
    if (t.digests == 0) {
        return err_set(e, ERR_NOT_FOUND,
                       "no digest was taken up to clock %" PRIu64
                       ": nothing to verify",
                       last);
    }
    if (t.bad != 0) {
        return err_set(e, ERR_DIVERGED,
                       "%" PRIu64 " of %" PRIu64
                       " digests differ from those of training, from clock "
                       "%" PRIu64 " on",
                       t.bad, t.digests, t.bad_clock);
    }
    fprintf(said(),
            "%" PRIu64 " digest%s at %" PRIu64 " clock%s, as in training\n",
            t.digests, t.digests == 1 ? "" : "s", t.clocks,
            t.clocks == 1 ? "" : "s");
    return 0;
}

static int replay(struct past *p, struct err *e)
{
    uint64_t begin_ns;
    int status = 0;

    if (opts.verify) {
        status = verify(p, e);
    }
    begin_ns = clock_ns();
    if (status == 0 && (opts.out != NULL || opts.digest || !opts.verify)) {
        status = past_go(p, &opts.past, e);
    }
    if (status == 0 && opts.json) {
        status = print_json(p, (double)(clock_ns() - begin_ns) * 1e-9, e);
    }
    if (status == 0 && opts.out != NULL) {
        status = past_write(p, opts.out, e);
    }
    if (status == 0 && !opts.json &&
        (opts.digest || (opts.out == NULL && !opts.verify))) {
        for (size_t i = 0; i < p->replica.n_states; i++) {
            print_digest(p, i, "");
        }
    }
    return status;
}

int cmd_replay(int argc, char **argv)
{
    struct past past;
    struct err e;
    int n_words, status = say_parse(&COMMAND, argc, argv, &n_words);

    if (status >= 0) {
        return status;
    }
    if (n_words != 1) {
        return say_usage(&COMMAND, "one run directory is wanted, not %d",
                         n_words);
    }
    if (opts.verify && opts.past.without.n > 0) {
        return say_usage(&COMMAND, "--verify and --without exclude each other");
    }
    status = past_open(&past, argv[1], &opts.past, &e);
    if (status == 0) {
        status = replay(&past, &e);
        past_close(&past);
    }
    return status == 0 ? CMD_OK : say_error(status, &e);
}
